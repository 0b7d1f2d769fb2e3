"""Checkpoints to start from, and files that are replaced together or not at all."""

import errno

import pytest
import torch

from engine.saving import load_weights, network_writer, write_together
from engine.settings import TrainSettings
from engine.stages import create_stage
from models.checkpoint import load_network
from utils.errors import CheckpointError, UserError

FAMILIES = {'teacher': 'dm_vton', 'student': 'dm_vton'}


def settings_of(stage, files=None, **changes):
    """The settings of a stage whose networks begin with `files`."""
    given = {f'{name}_checkpoint': path and str(path) for name, path in (files or {}).items()}
    return TrainSettings(stage=stage, **FAMILIES, size=(64, 64), **given, **changes)


@pytest.fixture(scope='module')
def teacher_files(module_path):
    """Paths of a teacher's checkpoints, written as training writes them, with align_corners on."""
    torch.manual_seed(3)
    stage = create_stage('pb_e2e', **FAMILIES)
    write = network_writer(stage, settings_of('pb_e2e', align_corners=True))
    paths = {name: module_path / f'{name}.pt' for name in stage.networks}
    for name, path in paths.items():
        write(path, name, {'epoch': 4})
    return paths


@pytest.fixture(scope='module')
def student_stage():
    """A stage whose teacher is frozen and whose warp network the stage before is meant to have trained."""
    return create_stage('pf_e2e', **FAMILIES, align_corners=False)


def test_a_written_network_describes_itself(teacher_files):
    _, info = load_network(teacher_files['pb_warp'], part='warp', role='teacher')
    assert (info.network, info.family, info.align_corners, info.size, info.epoch) == (
        'mobile_afwm',
        'dm_vton',
        True,
        (64, 64),
        4,
    )
    _, info = load_network(teacher_files['pb_gen'], part='generator', role='teacher')
    assert (info.network, info.align_corners) == ('mobile_unet', None)


def test_given_weights_are_loaded_and_what_is_odd_is_remarked_upon(teacher_files, student_stage):
    remarks = load_weights(student_stage, settings_of('pf_e2e', teacher_files))
    for name, path in teacher_files.items():
        expected = torch.load(path, weights_only=True)['model']
        assert all(
            torch.equal(x, expected[key]) for key, x in student_stage.networks[name].state_dict().items()
        )
    assert len(remarks) == 2
    assert 'pb_warp.pt was trained with align_corners on, this run has it off' in remarks[0]
    assert remarks[1].startswith('no --pf_warp_checkpoint: pf_warp starts untrained')
    assert not student_stage.teacher.training and student_stage.networks['pf_warp'].training


def test_a_resumed_run_needs_its_frozen_networks_only(teacher_files, student_stage):
    paths = {**teacher_files, 'pf_warp': 'gone.pt', 'pf_gen': 'gone.pt'}
    assert len(load_weights(student_stage, settings_of('pf_e2e', paths, run='somewhere'))) == 1


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'pb_gen': None}, "--pb_gen_checkpoint is needed: pb_gen is the trained teacher's"),
        ({'pf_warp': 'pb_warp'}, "holds a teacher's mobile_afwm where a student's is needed"),
        ({'pb_warp': 'pb_gen'}, 'are the two files swapped'),
    ],
)
def test_a_missing_teacher_and_a_wrong_file_are_refused_in_one_line(
    teacher_files, student_stage, changes, words
):
    paths = teacher_files | {name: other and teacher_files[other] for name, other in changes.items()}
    with pytest.raises(UserError, match=words) as caught:
        load_weights(student_stage, settings_of('pf_e2e', paths))
    assert '\n' not in str(caught.value)


def test_files_are_replaced_together_or_not_at_all(tmp_path):
    paths = [tmp_path / name for name in ('a.pt', 'b.pt', 'c.pt')]
    write_together({path: lambda temporary: temporary.write_text('old') for path in paths})

    def full(temporary):
        temporary.write_text('half')
        raise OSError(errno.ENOSPC, 'No space left on device')

    with pytest.raises(CheckpointError, match=r'b\.pt cannot be written \(No space left on device\)'):
        write_together({paths[0]: lambda temporary: temporary.write_text('new'), paths[1]: full})
    assert [path.read_text() for path in paths] == ['old'] * 3
    assert sorted(tmp_path.iterdir()) == paths


def test_an_error_about_a_file_names_it_as_the_user_knows_it(tmp_path):
    def refuse(temporary):
        raise CheckpointError(f'{temporary} was not written: 1 tensors are not finite')

    with pytest.raises(CheckpointError) as caught:
        write_together({tmp_path / 'a.pt': refuse})
    assert str(caught.value) == f'{tmp_path / "a.pt"} was not written: 1 tensors are not finite'
