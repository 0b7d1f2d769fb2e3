"""The score of a teacher: it dresses a drawn test set from the annotations and is compared with the truth."""

import json

import pytest
import torch
from PIL import Image

from models import create_generator, create_warp
from models.checkpoint import save_checkpoint
from scripts import score_teacher
from synthetic.dataset import write_dataset

SIZE = (64, 64)


@pytest.fixture(scope='module')
def line(module_path):
    """A command line that works: two drawn pairs and an untrained teacher."""
    write_dataset(module_path / 'set', train=0, test=2, seed=3, size=SIZE, progress=False)
    torch.manual_seed(0)
    networks = {
        'warp': create_warp('mobile_afwm', 'teacher', align_corners=True),
        'gen': create_generator('mobile_unet', 'teacher'),
    }
    options = ['--dataroot', module_path / 'set' / 'VITON_test', '--device', 'cpu', '--workers', '0', '--batch_size', '2']
    for name, network in networks.items():
        part, kind = ('warp', 'mobile_afwm') if name == 'warp' else ('generator', 'mobile_unet')
        save_checkpoint(module_path / f'{name}.pt', network, part=part, network=kind, role='teacher', size=SIZE, family='dm_vton')
        options += [f'--pb_{name}_checkpoint', module_path / f'{name}.pt']
    return [str(option) for option in options]


def test_a_teacher_is_scored_like_a_student(line, tmp_path):
    assert not score_teacher.main([*line, '--project', str(tmp_path)])
    results = tmp_path / 'teacher' / 'results'
    report = json.loads((results / 'metrics.json').read_text())
    assert report['role'] == 'teacher' and report['family'] == 'dm_vton'
    values = {name: score['value'] for name, score in report['metrics'].items()}
    assert 0 < values['SSIM garment'] < 1 and values['warp error'] > 0 and 'SSIM garment baseline' in values
    assert {Image.open(path).size for path in (results / 'tryon').iterdir()} == {SIZE}


def test_a_student_is_no_teacher(line, tmp_path, capsys):
    torch.manual_seed(0)
    student = create_warp('mobile_afwm', 'student', align_corners=True)
    save_checkpoint(tmp_path / 'student.pt', student, part='warp', network='mobile_afwm', role='student')
    arguments = [*line, '--pb_warp_checkpoint', str(tmp_path / 'student.pt'), '--project', str(tmp_path)]
    with pytest.raises(SystemExit) as exit_:
        score_teacher.main(arguments)
    assert exit_.value.code == 2 and "a teacher's is needed" in capsys.readouterr().err
