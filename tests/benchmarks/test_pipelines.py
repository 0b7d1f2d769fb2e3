"""The benchmark: what it times, what it writes, and what it answers to wrong options."""

import json

import pytest
from PIL import Image

from benchmarks import correlation, pipelines, training
from benchmarks.pipelines import chart, main


def test_a_run_writes_a_plain_row_first_and_ratios_against_it(tmp_path, capsys):
    options = (
        '--families dm_vton --modes fused --size 64 32 --batch 1 2 --repeats 1 --warm_up 0 --device cpu --out'
    )
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
        assert (
            row['size'] == [64, 32]
            and row['peak_mb'] > 0
            and row['parameters_mb'] == pytest.approx(37.6, rel=0.01)
        )
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

    measure_family = pipelines.measure_family
    monkeypatch.setattr(pipelines, 'measure_family', measure)
    options = (
        '--families dm_vton --modes plain --size 64 32 --batch 1 2 --repeats 1 --warm_up 0 --device cpu --out'
    )
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        main([*options.split(), str(tmp_path / 'new' / 'x')])
    assert [row['batch'] for row in json.loads((tmp_path / 'new' / 'x.json').read_text())['rows']] == [1, 1]


@pytest.mark.parametrize(('stage', 'student'), [('pb_warp', 'dm_vton'), ('pf_truth', 'dm_vton_lite')])
def test_training_steps_are_timed_plain_and_fast(stage, student, capsys):
    options = f'--stages {stage} --teacher dm_vton --student {student} --size 64 64 --channels_last'
    training.main([*options.split(), *'--repeats 1 --warm_up 0 --device cpu'.split()])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].split()[:4] == [stage, 'dm_vton', student, 'plain'] and 'channels_last' in lines[-1]


@pytest.mark.parametrize(
    'arguments, message',
    [
        ('--modes turbo', "no mode 'turbo'; choose from plain, fused"),
        ('--modes graph', 'mode graph cannot run: it needs a CUDA GPU'),
    ],
)
def test_wrong_options_are_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(['--device', 'cpu', *arguments.split()])
    assert exit_info.value.code == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1


def test_training_has_something_to_compare_with(capsys):
    with pytest.raises(SystemExit):
        training.main(['--device', 'cpu'])
    assert 'give some of --amp bf16, --channels_last, --compile' in capsys.readouterr().err


def test_ways_of_the_cost_volume_are_tables_of_times_and_memory(capsys, monkeypatch):
    monkeypatch.setattr(correlation, 'LEVELS', ((8, 6),))
    correlation.main('--repeats 3 --warm_up 0 --device cpu'.split())
    said = capsys.readouterr().out
    for name in ('49 shifts', 'matrix product', 'matrix product, gradient by autograd'):
        assert said.count(name) >= 4  # forward and with gradients, times and memory
    assert '8 x 6' in said and 'peak MB' in said


def test_bars_are_as_long_as_their_values():
    row = {
        'family': 'dm_vton',
        'mode': 'plain',
        'garment_cached': False,
        'batch': 1,
        'calls': 3,
        'median_ms': 100.0,
    }
    about = {'processor': 'x', 'device': 'CPU', 'torch': '2'}
    figure = chart([row, row | {'mode': 'fused', 'median_ms': 50.0}, row | {'batch': 8}], about)
    widths = [bar.get_width() for container in figure.axes[0].containers for bar in container]
    assert widths == [100, 50, 23.3]  # of batch 1 alone, and the published one
