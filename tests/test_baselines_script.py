"""test.py with the compared methods: report and files as of a student, and bad input in one line."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from models import create_generator, create_warp
from models.baselines import BASELINES, BaselineNetwork, BaselineTryOn
from models.baselines.pipeline import BaselinePipeline
from synthetic.dataset import write_dataset

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def run_script():
    """test.py's main function. Its name is also that of a package of Python's own, so it is loaded by its
    path.
    """
    spec = importlib.util.spec_from_file_location('baselines_script', ROOT / 'test.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture(scope='module')
def drawn(tmp_path_factory):
    """A drawn test set of two pairs."""
    return (
        write_dataset(tmp_path_factory.mktemp('drawn') / 'set', train=0, test=2, seed=0, progress=False)
        / 'VITON_test'
    )


class Pasted(BaselineNetwork):
    """In the place of a network of hundreds of millions of parameters: half of what it sees of person and
    garment.
    """

    def __init__(self, method):
        super().__init__()
        self.inputs = BASELINES[method].network.inputs
        self.conv = torch.nn.Conv2d(3, 3, 1)
        self.has_flow = method != 'sdafn'

    def forward(self, **inputs):
        self.check_inputs(**inputs)
        person = inputs.get('person', inputs.get('agnostic'))
        flow = torch.zeros_like(person[:, :2]) if self.has_flow else None
        return BaselineTryOn((person + inputs['cloth'] + 0 * self.conv(person)) / 2, inputs['cloth'], flow)


@pytest.mark.parametrize('batch', [1, 2])
@pytest.mark.parametrize('method', BASELINES)
def test_a_method_gives_the_report_and_the_files_of_a_student(
    method, batch, run_script, drawn, tmp_path, monkeypatch
):
    def load(family, files, *, align_corners, device):
        assert (family, files, align_corners) == (method, ['a.pth', 'b.pth'], None)
        return BaselinePipeline(Pasted(method), family=family).eval().to(device)

    monkeypatch.setattr(BaselinePipeline, 'from_checkpoints', load)
    line = [
        '--dataroot',
        str(drawn),
        '--family',
        method,
        '--checkpoint',
        'a.pth',
        'b.pth',
        '--batch_size',
        str(batch),
    ]
    run_script(
        [
            *line,
            '--workers',
            '0',
            '--device',
            'cpu',
            '--project',
            str(tmp_path),
            '--metrics',
            'cost',
            'runtime',
        ]
    )
    results = tmp_path / 'exp' / 'results'
    report = json.loads((results / 'metrics.json').read_text())
    assert report['family'] == method and report.get('noise_seed') == (0 if method == 'acgpn' else None)
    metrics = report['metrics']
    assert (
        metrics['SSIM whole']['value'] > 0
        and metrics['runtime']['value'] > 0
        and metrics['parameters']['value'] == 12e-6
    )
    assert (metrics['warp error']['value'] is None) == (method == 'sdafn')
    names = sorted(path.name for path in (results / 'tryon').iterdir())
    assert names == ['000000_0.jpg', '000001_0.jpg']
    assert Image.open(results / 'visualize' / names[0]).width >= 4 * 192
    assert (results / 'contact_sheet.jpg').is_file()


@pytest.fixture(scope='module')
def student(module_path):
    for name, create, kind in (
        ('warp', create_warp, 'mobile_afwm'),
        ('gen', create_generator, 'mobile_unet'),
    ):
        torch.save(create(kind, 'student').state_dict(), module_path / f'{name}.pt')
    return module_path


def refused(run_script, capsys, *arguments):
    """The one line that test.py ends with."""
    with pytest.raises(SystemExit) as caught:
        run_script(list(map(str, arguments)))
    assert caught.value.code in (1, 2)
    error = capsys.readouterr().err
    assert error.startswith('error: ') and error.count('\n') == 1
    return error


def test_files_of_something_else_are_one_line(run_script, drawn, student, capsys):
    common = ['--dataroot', drawn, '--device', 'cpu', '--family']
    line = refused(run_script, capsys, *common, 'sdafn', '--checkpoint', student / 'gen.pt')
    assert "holds the student's mobile_unet, asked was sdafn" in line
    line = refused(run_script, capsys, *common, 'acgpn', '--checkpoint', student / 'none.pth')
    assert 'there is no such file' in line
    line = refused(run_script, capsys, *common, 'cvton', '--pf_warp_checkpoint', student / 'warp.pt')
    assert 'cvton is none, give --checkpoint alone' in line
    assert 'give --checkpoint FILE' in refused(run_script, capsys, *common, 'cvton')
    line = refused(run_script, capsys, '--dataroot', drawn, '--checkpoint', student / 'gen.pt')
    assert '--checkpoint is for compared methods; name one by --family: acgpn, cvton, sdafn' in line


def test_missing_annotations_and_another_size_are_one_line(run_script, drawn, tmp_path, capsys, monkeypatch):
    load = lambda family, files, **settings: BaselinePipeline(Pasted(family), family=family)  # noqa: E731
    monkeypatch.setattr(BaselinePipeline, 'from_checkpoints', load)
    bare = Path(shutil.copytree(drawn, tmp_path / 'VITON_test'))
    shutil.rmtree(bare / 'test_densepose')
    common = ['--device', 'cpu', '--family', 'cvton', '--checkpoint', 'a.pth', '--dataroot']
    line = refused(run_script, capsys, *common, bare)
    assert 'no test_densepose, but cvton needs the DensePose parts' in line and 'data.convert' in line
    line = refused(run_script, capsys, *common, drawn, '--size', '512', '384')
    assert 'size 512 x 384: cvton takes 256 x 192 only' in line
