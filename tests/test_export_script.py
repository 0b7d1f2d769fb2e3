"""export.py from end to end: what it writes, and what it leaves alone where it fails."""

import json

import pytest
import torch

import export
from runtime import create_runtime
from runtime.export import parity
from runtime.export.graphs import describe

PACKAGES = 'onnx', 'onnxscript', 'onnxruntime'


@pytest.fixture
def packages():
    """Skips where one of the packages is missing that an export to ONNX needs."""
    for package in PACKAGES:
        pytest.importorskip(package, reason=f'{package} is not installed')


@pytest.fixture
def fake(packages, monkeypatch):
    """Instead of minutes of exporting: files of no meaning, and the comparisons that a test gives."""
    row = parity.GraphParity('whole', 'tryon', 1e-5, 1e-6, 90.0, 10.0, 20.0, 1.0)

    def write_graphs(pipeline, folder, *, format, precision, size):
        (folder / 'whole.onnx').write_text(f'{precision} {size}')
        files = describe([folder / 'whole.onnx'])
        manifest = {
            'format': format,
            'size': size,
            'align_corners': True,
            'trained': False,
            'graphs': {'whole': {'files': files}},
        }
        (folder / 'export.json').write_text(json.dumps(manifest))

    def answer(**changes):
        monkeypatch.setattr(export, 'write_graphs', write_graphs)
        monkeypatch.setattr(export, 'compare', lambda *args, **kwargs: [row._replace(**changes)])

    return answer


def run(*arguments) -> int:
    try:
        export.main([str(argument) for argument in arguments])
    except SystemExit as end:
        return end.code
    return 0


def test_a_real_export_reports_and_can_be_read_back(request, small_checkpoints, tmp_path, capsys):
    if not request.config.getoption('--slow'):
        pytest.skip('writing whole networks as ONNX takes minutes; give --slow')
    request.getfixturevalue('packages')
    out = tmp_path / 'new' / 'exported'
    assert (
        run('--format', 'onnx', '--out', out, '--checkpoint', small_checkpoints, '--precision', 'float32')
        == 0
    )
    said = capsys.readouterr().out
    assert (
        'drawn pictures' in said
        and 'speed-up' in said
        and said.count('warped_cloth') == 2
        and f'results: {out}' in said
    )
    manifest = json.loads((out / 'float32' / 'export.json').read_text())
    assert manifest['size'] == [64, 64] and manifest['family'] == 'dm_vton' and len(manifest['parity']) == 4
    assert all(entry['max_difference'] <= 1e-3 for entry in manifest['parity'])
    runtime = create_runtime('onnx', out)
    result = runtime(torch.zeros(3, 3, 64, 64), torch.zeros(3, 3, 64, 64), torch.ones(3, 1, 64, 64))
    assert result.image.shape == (3, 3, 64, 64)
    assert [path.name for path in out.iterdir()] == ['float32']


def test_both_precisions_are_written_at_the_size_of_the_checkpoint(fake, small_checkpoints, tmp_path):
    fake()
    assert run('--format', 'onnx', '--out', tmp_path / 'out', '--checkpoint', small_checkpoints) == 0
    assert (tmp_path / 'out' / 'float16' / 'whole.onnx').read_text() == 'float16 (64, 64)'
    assert (
        run(
            '--format', 'onnx', '--out', tmp_path / 'out', '--checkpoint', small_checkpoints, '--size', 96, 64
        )
        == 0
    )
    assert (tmp_path / 'out' / 'float32' / 'whole.onnx').read_text() == 'float32 (96, 64)'
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['float16', 'float32']


def test_an_export_that_is_off_ends_with_1_and_leaves_old_files_alone(
    fake, small_checkpoints, tmp_path, capsys
):
    out = tmp_path / 'out'
    fake(max_difference=0.01)
    assert run('--format', 'onnx', '--out', out, '--checkpoint', small_checkpoints) == 1
    assert not out.exists()
    captured = capsys.readouterr()
    assert 'error: float32, whole: tryon is off by up to 0.01' in captured.err and '1.0e-02' in captured.out
    (out / 'float32').mkdir(parents=True)
    (out / 'float32' / 'whole.onnx').write_text('old')
    assert run('--format', 'onnx', '--out', out, '--checkpoint', small_checkpoints) == 1
    assert [path.name for path in out.rglob('*')] == ['float32', 'whole.onnx']
    assert (out / 'float32' / 'whole.onnx').read_text() == 'old'


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--out', 'x'], '--format'),
        (['--format', 'tflite', '--out', 'x'], "invalid choice: 'tflite'"),
        (['--format', 'onnx', '--out', ' '], '--out: an empty name'),
        (['--format', 'onnx', '--out', 'x', '--size', '100', '64'], '100'),
        (['--format', 'onnx', '--out', 'x', '--checkpoint', 'none'], 'none: no such folder'),
        (['--format', 'onnx', '--out', 'x', '--dataroot', 'none'], 'none'),
    ],
)
def test_a_wrong_option_is_one_line_and_writes_nothing(
    arguments, message, packages, small_checkpoints, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    given = arguments if '--checkpoint' in arguments else [*arguments, '--checkpoint', str(small_checkpoints)]
    assert run(*given) in (1, 2)
    said = capsys.readouterr().err.strip()
    assert said.startswith('error: ') and '\n' not in said and message in said
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named_before_any_work(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr('runtime.export.onnx_file.importlib.util.find_spec', lambda name: None)
    assert run('--format', 'openvino', '--out', tmp_path / 'out') == 2
    assert 'onnx is not installed, which this runtime needs; pip install onnx' in capsys.readouterr().err
