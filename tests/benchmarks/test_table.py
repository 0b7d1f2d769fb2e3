"""The results table: sizes against the paper's, weights by method, and what is written."""

import itertools
import json

import pytest
import torch
from PIL import Image

from benchmarks.table import METHODS, file_bytes, inputs_of, main, parse_weights, published_files, untrained
from benchmarks.table_output import PUBLISHED, Result, as_markdown, draw_table, write_table
from engine.profiling import MEGA, memory_bytes
from models import FAMILIES
from models.baselines import BASELINES
from models.checkpoint.identity import without_draws
from utils.errors import UserError

ABOUT = {'processor': 'a processor', 'device': 'CPU, 1 thread', 'torch': '2', 'dataroot': None}


def result(method, ratio=1.0, **changes):
    values = {
        'method': method,
        'inputs': inputs_of(method),
        'parameters_m': 9.4,
        'memory_mb': 37.8,
        'multiply_adds_g': 3.3,
        'median_ms': 120.0,
        'p95_ms': 130.0,
        'ratio': ratio,
        'calls': 3,
        'weights': (),
        'quality': {},
    }
    return Result(**(values | changes))


@pytest.mark.parametrize('method', PUBLISHED)
def test_files_are_as_large_as_the_paper_says(method):
    with without_draws():
        pipeline = untrained(method, torch.device('cpu'))
    networks = published_files(pipeline)
    size = file_bytes(*networks) / MEGA
    assert size == pytest.approx(PUBLISHED[method].memory_mb, rel=0.01)
    # beside the tensors there are names and sizes, about 300 bytes a tensor
    assert size == pytest.approx(sum(memory_bytes(network) for network in networks) / MEGA, rel=0.01)


def test_every_family_and_method_has_a_row():
    assert METHODS == (*BASELINES, *FAMILIES)
    assert [inputs_of(name) for name in ('acgpn', 'cvton', 'sdafn', 'dm_vton')] == [
        ('parsing', 'pose'),
        ('parsing', 'DensePose'),
        ('parsing', 'pose'),
        ('picture',),
    ]


def test_weights_are_given_by_method():
    assert parse_weights(['sdafn=a.pt', 'dm_vton=w.pt,g.pt']) == {
        'sdafn': ['a.pt'],
        'dm_vton': ['w.pt', 'g.pt'],
    }
    for text, message in (
        ('a.pt', 'expected METHOD=FILE'),
        ('dmvton=a,b', 'with a method of acgpn'),
        ('sdafn=', 'expected METHOD=FILE'),
        ('dm_vton=a.pt', 'dm_vton has two files'),
    ):
        with pytest.raises(UserError, match=message):
            parse_weights([text])


def test_the_table_has_the_paper_beside_what_was_measured(tmp_path):
    rows = [
        result('acgpn', memory_mb=565.8, median_ms=3000.0, ratio=25.0),
        result('dm_vton', quality={'FID': 27.123, 'SSIM whole': 0.91}, weights=('warp.pt', 'gen.pt')),
        result('rmgn', ratio=None),
    ]
    text = as_markdown(rows, ABOUT | {'dataroot': 'somewhere/VITON_test'})
    lines = [
        [cell.strip() for cell in line.strip('| ').split(' | ')]
        for line in text.splitlines()
        if line.startswith('|')
    ]
    table = {line[0]: dict(zip(lines[0], line, strict=True)) for line in lines[2:]}
    assert table['acgpn']['memory, MB (paper)'] == '565.8 (565.9)' and table['acgpn']['FID'] == '-'
    assert (
        table['acgpn']['to DM-VTON (paper)'] == '25.00 (6.59)'
        and table['acgpn']['FID of the paper'] == '33.3'
    )
    assert table['dm_vton']['FID'] == '27.12' and table['dm_vton']['SSIM whole'] == '0.91'
    assert table['rmgn']['to DM-VTON (paper)'] == '- (-)'
    assert 'on VITON_test, weights of dm_vton: warp.pt, gen.pt' in text
    write_table(tmp_path / 'new' / 'table', rows, ABOUT)
    report = json.loads((tmp_path / 'new' / 'table.json').read_text())
    assert [row['method'] for row in report['rows']] == ['acgpn', 'dm_vton', 'rmgn']
    assert report['published']['sdafn']['fid'] == 30.2
    with Image.open(tmp_path / 'new' / 'table.png') as picture:
        assert picture.width > 800 and len(picture.convert('RGB').getcolors(1 << 20)) > 100


def test_the_picture_names_every_method_and_no_name_covers_another():
    ratios = (4.7, 1.26, 2.5, 1.69, 1.67, 2.2, 1.0, 0.07)
    figure = draw_table([result(*row) for row in zip(METHODS, ratios, strict=True)], ABOUT)
    figure.draw_without_rendering()
    texts = figure.axes[0].texts
    assert [text.get_text().replace('\n', ', ').split(', ')[0] for text in texts] == list(METHODS)
    boxes = [text.get_window_extent() for text in texts]
    covered = [(a, b) for a, b in itertools.combinations(range(len(boxes)), 2) if boxes[a].overlaps(boxes[b])]
    assert not covered, [(METHODS[a], METHODS[b]) for a, b in covered]


def test_one_command_measures_and_writes(tmp_path, capsys):
    main(
        [
            '--methods',
            'dm_vton',
            '--device',
            'cpu',
            '--repeats',
            '1',
            '--warm_up',
            '0',
            '--out',
            str(tmp_path / 'table'),
        ]
    )
    assert '| dm_vton | picture |' in capsys.readouterr().out
    assert {path.suffix for path in tmp_path.iterdir()} == {'.md', '.json', '.png'}
    (row,) = json.loads((tmp_path / 'table.json').read_text())['rows']
    assert torch.tensor(1e-40) * 1 > 0, 'denormal numbers stay rounded to 0 after the measurement'
    assert row['ratio'] == 1 and row['median_ms'] > 0 and row['multiply_adds_g'] > 1 and row['quality'] == {}
