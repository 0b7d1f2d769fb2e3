"""The benchmark: what it times, what it writes, and what it answers to wrong options."""

import json

import pytest
import torch
from PIL import Image

from benchmarks import pipelines as benchmark
from benchmarks.bar_chart import COLOURS, Bar, bar_chart
from benchmarks.pipelines import in_turns, main

CPU = torch.device('cpu')


def test_all_ways_take_turns_and_the_warm_up_is_not_counted():
    calls = []
    times = in_turns([lambda: calls.append('a'), lambda: calls.append('b')], device=CPU, repeats=3, title='')
    assert calls == ['a', 'b'] * 13 and [len(values) for values in times] == [3, 3]


def test_a_run_writes_a_plain_row_first_and_ratios_against_it(tmp_path, capsys):
    options = '--families dm_vton --modes fused --size 64 32 --batch 1 2 --repeats 1 --warm_up 0 --device cpu --out'
    main([*options.split(), str(tmp_path / 'x')])
    results = json.loads((tmp_path / 'x.json').read_text())
    rows = results['rows']
    assert [(row['mode'], row['garment_cached'], row['batch']) for row in rows] == [
        (mode, cached, batch) for batch in (1, 2) for mode in ('plain', 'fused') for cached in (False, True)
    ]
    for row in rows:
        plain = next(other for other in rows if other['batch'] == row['batch'])
        assert row['speed_up'] == pytest.approx(plain['median_ms'] / row['median_ms'])
        assert row['fps'] == pytest.approx(1000 * row['batch'] / row['median_ms'])
        assert row['tflops'] == pytest.approx(2 * row['multiply_adds_g'] / row['median_ms'])
        assert row['size'] == [64, 32] and row['peak_mb'] > 0 and row['parameters_mb'] == pytest.approx(37.6, rel=0.01)
    # a code spares half of the pyramid, and a batch of two is twice the work
    assert rows[1]['multiply_adds_g'] < 0.8 * rows[0]['multiply_adds_g']
    assert rows[4]['multiply_adds_g'] == pytest.approx(2 * rows[0]['multiply_adds_g'])
    assert results['published_t4_ms']['dm_vton'] == 23.3 and results['machine']['processor']
    assert 'fused' in (tmp_path / 'x.txt').read_text() and 'fused' in capsys.readouterr().out
    with Image.open(tmp_path / 'x.png') as picture:
        assert picture.width > 500


def test_a_run_cut_short_leaves_what_it_has(tmp_path, monkeypatch):
    def measure(*settings, batch, **others):
        if batch == 2:
            raise KeyboardInterrupt
        return measure_family(*settings, batch=batch, **others)

    measure_family = benchmark.measure_family
    monkeypatch.setattr(benchmark, 'measure_family', measure)
    options = '--families dm_vton --modes plain --size 64 32 --batch 1 2 --repeats 1 --warm_up 0 --device cpu --out'
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        main([*options.split(), str(tmp_path / 'new' / 'x')])
    assert [row['batch'] for row in json.loads((tmp_path / 'new' / 'x.json').read_text())['rows']] == [1, 1]


def test_training_steps_are_timed_plain_and_fast(capsys):
    options = '--training --stages pb_warp --teacher dm_vton --size 64 64 --channels_last --repeats 1 --warm_up 0 --device cpu'
    main(options.split())
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].split()[:4] == ['pb_warp', 'dm_vton', 'dm_vton', 'plain'] and 'channels_last' in lines[-1]


@pytest.mark.parametrize(
    'arguments, message',
    [
        ('--modes turbo', "no mode 'turbo'; choose from plain, fused"),
        ('--modes graph', 'mode graph cannot run: it needs a CUDA GPU'),
        ('--training', 'give some of --amp bf16, --channels_last, --compile'),
    ],
)
def test_wrong_options_are_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(['--device', 'cpu', *arguments.split()])
    assert exit_info.value.code == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1


def test_bars_are_as_long_as_their_values():
    picture = bar_chart({'group': [Bar('a', 10, 1), Bar('b', 20, 2)]}, title='t', note='n')
    lengths = []
    for colour in COLOURS[1:3]:
        wanted = tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
        xs = [x for y in range(picture.height) for x in range(0, picture.width, 2) if picture.getpixel((x, y)) == wanted]
        lengths.append(max(xs) - min(xs))
    assert lengths[1] == pytest.approx(2 * lengths[0], abs=6)
