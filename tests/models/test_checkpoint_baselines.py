"""Checkpoint files of the compared methods: recognised, loaded strictly, and whatever else is refused in one
line.
"""

import pytest
import torch

from models import create_generator
from models.baselines import PARTS
from models.baselines.pipeline import BaselinePipeline
from models.checkpoint import identify, load_baseline, read_checkpoint
from models.checkpoint.command import main
from models.checkpoint.files import load_state
from models.checkpoint.identity import layout_of
from utils.errors import CheckpointError, UserError

ACGPN_FILES = ['acgpn.G1', 'acgpn.G2', 'acgpn.U', 'acgpn.G']


def tensors_of(name):
    """A state dict of one number a tensor, repeated: large networks, small files."""
    layout = layout_of('baseline', name, 'parser-based')
    numbers = {key: 0.01 * (index % 7) for index, key in enumerate(layout.tensors)}
    return {
        key: torch.tensor(numbers[key], dtype=x.dtype).expand(x.shape) for key, x in layout.tensors.items()
    }


@pytest.fixture(scope='module')
def files(module_path):
    """One published-like file of each network: a plain state dict."""
    paths = {name: module_path / f'{name}.pth' for name in PARTS}
    for name, path in paths.items():
        torch.save(tensors_of(name), path)
    torch.save(create_generator('mobile_unet', 'student').state_dict(), module_path / 'student.pt')
    return {**paths, 'student': module_path / 'student.pt'}


@pytest.mark.parametrize('name', PARTS)
def test_a_file_is_recognised_by_its_tensors(name, files):
    _, info = read_checkpoint(files[name])
    assert (info.part, info.network, info.role) == ('baseline', name, 'parser-based')


def test_acgpn_is_loaded_from_its_files_in_any_order(files):
    network, infos = load_baseline(
        'acgpn', [files[name] for name in reversed(ACGPN_FILES)], align_corners=True
    )
    assert [info.network for info in infos] == ACGPN_FILES[::-1]
    assert network.align_corners and not network.training
    for name in ACGPN_FILES:
        part = network.get_submodule(name.partition('.')[2]).state_dict()
        for key in ('conv1.0.bias', 'conv9.6.weight'):
            torch.testing.assert_close(part[key], tensors_of(name)[key].contiguous(), msg=f'{name} {key}')
    assert (
        network.U.stn.tps.inverse_kernel == tensors_of('acgpn.U')['stn.tps.inverse_kernel']
    ).all()  # the file's, not ours


def test_cvton_is_loaded_from_one_file_or_from_one_of_each_network(files):
    for names in (['cvton'], ['cvton.bpgm', 'cvton.oasis']):
        network, _ = load_baseline('cvton', [files[name] for name in names])
        value = network.bpgm.regression.linear.bias
        source = tensors_of('cvton' if len(names) == 1 else 'cvton.bpgm')
        key = 'bpgm.regression.linear.bias' if len(names) == 1 else 'regression.linear.bias'
        torch.testing.assert_close(value.data, source[key].contiguous())


def test_a_file_saved_in_parallel_training_is_the_same(files, tmp_path):
    wrapped = {f'module.{key}': value for key, value in tensors_of('sdafn').items()}
    torch.save({'state_dict': wrapped, 'epoch': 3}, tmp_path / 'training.pt')
    network, (info,) = load_baseline('sdafn', [tmp_path / 'training.pt'])
    assert info.epoch == 3 and network.dafnet.Self_MFEs[0].layers[6].weight.shape == (18, 32, 7, 7)


@pytest.mark.parametrize(
    'method, names, message',
    [
        (
            'sdafn',
            ['cvton'],
            'holds the network cvton, asked was sdafn; give the files of sdafn .* or --family cvton',
        ),
        ('cvton', ['acgpn.G'], 'holds the network acgpn.G, asked was cvton'),
        (
            'sdafn',
            ['student'],
            "holds the student's mobile_unet, asked was sdafn; a family's two .* without --checkpoint and",
        ),
        (
            'acgpn',
            ACGPN_FILES[:3],
            r'hold acgpn.G1 \+ acgpn.G2 \+ acgpn.U, but acgpn needs .*acgpn.G; bash scripts/download.sh',
        ),
        (
            'acgpn',
            ['acgpn.G1', 'acgpn.G1'],
            'acgpn.G1.pth and .*acgpn.G1.pth both hold acgpn.G1; acgpn needs one',
        ),
        (
            'cvton',
            ['cvton', 'cvton.bpgm'],
            r'hold cvton \+ cvton.bpgm, but cvton needs cvton, or cvton.oasis',
        ),
        ('cvton', ['cvton.bpgm'], 'hold cvton.bpgm, but cvton needs'),
        ('sdafn', ['sdafn', 'sdafn'], '2 checkpoints: sdafn has 1 at most'),
    ],
)
def test_wrong_files_are_one_line(method, names, message, files):
    with pytest.raises(UserError, match=message) as caught:
        load_baseline(method, [files[name] for name in names])
    assert '\n' not in str(caught.value)


def test_a_method_in_the_place_of_a_student_is_told_how_to_run_it(files):
    with pytest.raises(CheckpointError, match='where a warp network is needed; a compared method is run by'):
        load_state(files['acgpn.U'], part='warp', network=None, role='student')


def test_a_file_that_lacks_a_tensor_or_has_another_is_refused(files, tmp_path):
    whole = tensors_of('sdafn')
    first = next(iter(whole))
    for state, message in (
        ({key: value for key, value in whole.items() if key != first}, f'1 missing .{first}'),
        (whole | {first: torch.zeros(2)}, '1 of a wrong shape'),
        (whole | {first: torch.full_like(whole[first], float('nan'))}, 'not finite'),
    ):
        torch.save(state, tmp_path / 'bad.pt')
        with pytest.raises(CheckpointError, match=message):
            load_baseline('sdafn', [tmp_path / 'bad.pt'])


def test_a_tensor_more_is_left_out_with_a_note(files, tmp_path):
    torch.save(tensors_of('sdafn') | {'more': torch.zeros(1)}, tmp_path / 'more.pt')
    pipeline = BaselinePipeline.from_checkpoints('sdafn', [tmp_path / 'more.pt'])
    assert (
        len(pipeline.notes) == 1
        and '1 tensors that sdafn does not have were left out (more)' in pipeline.notes[0]
    )


def test_identify_names_what_there_is():
    with pytest.raises(CheckpointError, match='none of the networks here .*compared methods: acgpn.G1'):
        identify({'something.weight': torch.zeros(1)})


def test_inspect_and_convert_know_the_files(files, tmp_path, capsys):
    main(['inspect', str(files['acgpn.G2'])])
    shown = capsys.readouterr().out
    assert (
        'acgpn.G2 (network of a compared method)' in shown and '34,533,441' in shown and 'fits acgpn' in shown
    )
    main(['convert', str(files['cvton.bpgm']), str(tmp_path / 'bpgm.safetensors'), '--dtype', 'float16'])
    _, info = read_checkpoint(tmp_path / 'bpgm.safetensors')
    assert (info.network, info.family, info.format) == ('cvton.bpgm', 'cvton', 'self-describing')


def test_weights_as_initialised_say_so(files):
    pipeline = BaselinePipeline.from_checkpoints('sdafn', [files['sdafn']])
    assert pipeline.is_trained and pipeline.family == 'sdafn' and pipeline.size == (256, 192)
