"""Checkpoints: every published format loads strictly, and every mistake is told in one line."""

import errno
import json
import os
import pickle
import re
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
import torchvision
from torch import nn

from models.checkpoint import identify, load_network, match_family, read_checkpoint, save_checkpoint
from models.checkpoint.command import main
from models.registry import FAMILIES, GENERATORS, WARPS, create_generator, create_warp, roles_of
from utils.errors import CheckpointError, MissingFileError, UserError

NETWORKS = [
    (part, name, role)
    for part, names in (('warp', WARPS), ('generator', GENERATORS))
    for name in names
    for role in roles_of(name)
]
WARP = ('warp', 'mobile_afwm', 'student')
GENERATOR = ('generator', 'mobile_unet', 'student')
TIED = 'image_mobile.smooth_layers.3.weight'


def create(part, network, role):
    return create_warp(network, role) if part == 'warp' else create_generator(network, role)


def wanted(identity):
    part, network, role = identity
    return {'part': part, 'network': network, 'role': role}


def same_bits(first, second):
    assert list(first) == list(second)
    assert all(
        first[name].dtype == second[name].dtype and torch.equal(first[name], second[name]) for name in first
    )
    return True


@pytest.fixture(scope='module', autouse=True)
def one_thread():
    """Many small tensors gain nothing from threads, which only wait for one another on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='module')
def states():
    """State dicts of the two smallest networks, with other numbers in each tensor: none can be taken for
    another.
    """
    result = {}
    for identity in (WARP, GENERATOR):
        result[identity] = create(*identity).state_dict()
        generator = torch.Generator().manual_seed(5)
        for x in result[identity].values():
            if x.is_floating_point():
                x.copy_(torch.rand(x.shape, generator=generator) + 0.5)
            else:
                x.fill_(7)
    return result


@pytest.fixture
def warp_state(states):
    return dict(states[WARP])


@pytest.fixture
def generator_state(states):
    return dict(states[GENERATOR])


# ---- Formats


def training(state, **more):
    optimizer = torch.optim.Adam([nn.Parameter(torch.ones(3))], lr=5e-5)
    return {
        'model': state,
        'epoch': 60,
        'optimizer': optimizer.state_dict(),
        'best_fid': np.float64(28.2),
        **more,
    }


def prefixed(state, prefix):
    return OrderedDict((prefix + name, x) for name, x in state.items())


def with_filters(state):
    filters = torch.tensor([1.0, -2.0, 1.0]).expand(4, 1, 3, 3).clone()
    return {**state, 'aflow_net.weight': filters}


def legacy(content, path):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def as_safetensors(state, path):
    safetensors.torch.save_file({name: x.clone() for name, x in state.items()}, path)


FORMATS = {
    'a plain state dict': torch.save,
    'an ordered dict': lambda state, path: torch.save(OrderedDict(state), path),
    'parameters': lambda state, path: torch.save(
        {name: nn.Parameter(x, False) for name, x in state.items()}, path
    ),
    'under state_dict': lambda state, path: torch.save({'state_dict': state}, path),
    'a training checkpoint': lambda state, path: torch.save(training(state), path),
    'data parallel': lambda state, path: torch.save(prefixed(state, 'module.'), path),
    'data parallel twice': lambda state, path: torch.save(training(prefixed(state, 'module.module.')), path),
    'data parallel, compiled, data parallel': lambda state, path: torch.save(
        prefixed(state, 'module._orig_mod.module.'), path
    ),
    'compiled': lambda state, path: torch.save(prefixed(state, '_orig_mod.module.'), path),
    'filters': lambda state, path: torch.save(with_filters(state), path),
    'filters, data parallel': lambda state, path: torch.save(prefixed(with_filters(state), 'module.'), path),
    'the old format': legacy,
    'the old format in training': lambda state, path: legacy(training(state), path),
    'safetensors': as_safetensors,
}


@pytest.mark.parametrize(
    ('name', 'identity'),
    [(name, GENERATOR) for name in FORMATS]
    + [(name, WARP) for name in FORMATS if 'filters' in name or 'safe' in name],
    ids=lambda value: value if isinstance(value, str) else value[1],
)
def test_every_published_format_loads_strictly_and_bit_for_bit(tmp_path, states, identity, name):
    path = tmp_path / 'weights.pt'
    FORMATS[name](states[identity], path)
    network, info = load_network(path, **wanted(identity))
    assert same_bits(network.state_dict(), states[identity])
    assert info[:3] == identity
    assert not network.training


@pytest.mark.parametrize('identity', NETWORKS, ids='.'.join)
def test_every_network_of_the_registry_loads_from_a_checkpoint_saved_in_the_middle_of_training(
    tmp_path, identity
):
    part, name, role = identity
    saved = create(*identity)
    state = saved.state_dict()
    assert identify(state) == identity
    content = prefixed(with_filters(state) if part == 'warp' else state, 'module.')
    path = tmp_path / 'weights.pt'
    torch.save({'model': content, 'epoch': 60, 'best_fid': np.float64(28.2)}, path)
    loaded, info = load_network(path, **wanted(identity))
    path.unlink()
    assert same_bits(loaded.state_dict(), state)
    assert info[:3] == identity and info.extra == {'epoch': 60, 'best_fid': 28.2}
    # What no file carries must be there too: buffers that are not persistent, and what is to be trained.
    assert same_bits(dict(loaded.named_buffers()), dict(saved.named_buffers()))
    trained = [
        [(key, x.requires_grad) for key, x in network.named_parameters()] for network in (loaded, saved)
    ]
    assert trained[0] == trained[1]


@pytest.mark.parametrize(
    'scalar', [np.float64(28.2), np.float32(28.5), np.float16(28.5), np.int64(28), np.bool_(True)]
)
@pytest.mark.parametrize('package', ['core', '_core'])
def test_a_numpy_scalar_is_read_under_the_names_of_numpy_1_and_2(tmp_path, generator_state, scalar, package):
    path = tmp_path / 'weights.pt'
    legacy(training(generator_state, best_fid=scalar), path)
    content = path.read_bytes()
    for other in (b'numpy.core.multiarray', b'numpy._core.multiarray'):
        content = content.replace(b'c' + other, f'cnumpy.{package}.multiarray'.encode())
    assert f'cnumpy.{package}.multiarray\nscalar'.encode() in content
    path.write_bytes(content)
    _, info = read_checkpoint(path)
    assert info.extra['best_fid'] == scalar.item() and type(info.extra['best_fid']) is type(scalar.item())


def test_reading_leaves_no_type_allowed_for_the_rest_of_the_program(tmp_path, generator_state):
    before = set(torch.serialization.get_safe_globals())
    torch.save(training(generator_state), tmp_path / 'weights.pt')
    read_checkpoint(tmp_path / 'weights.pt')
    assert set(torch.serialization.get_safe_globals()) == before


def test_what_stands_beside_the_weights_is_handed_on(tmp_path, generator_state):
    path = tmp_path / 'weights.pt'
    torch.save(training(generator_state), path)
    _, info = read_checkpoint(path)
    assert (info.epoch, info.format, info.container) == (60, 'training checkpoint', 'torch zip')
    assert info.extra.keys() == {'epoch', 'optimizer', 'best_fid'}
    assert info.extra['optimizer']['param_groups'][0]['lr'] == 5e-5
    assert (info.align_corners, info.size, info.family) == (None, None, None)
    torch.save(generator_state, path)
    _, info = read_checkpoint(path)
    assert (info.epoch, info.format, info.extra) == (None, 'plain state dict', {})


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_come_as_float32_unless_asked(tmp_path, generator_state, dtype):
    path = tmp_path / 'weights.pt'
    stored = {name: x.to(dtype) if x.is_floating_point() else x for name, x in generator_state.items()}
    torch.save(stored, path)
    read, _ = read_checkpoint(path)
    assert {x.dtype for x in read.values()} == {torch.float32, torch.int64}
    assert all(torch.equal(read[name], x.to(read[name].dtype)) for name, x in stored.items())
    kept, _ = read_checkpoint(path, dtype=None)
    assert same_bits(kept, stored)


def test_one_tensor_under_five_names_is_one_tensor_after_reading(tmp_path, warp_state):
    path = tmp_path / 'weights.pt'
    torch.save({name: x.clone() for name, x in warp_state.items()}, path)
    state, _ = read_checkpoint(path)
    assert len({state[f'cond_mobile.smooth_layers.{level}.bias'].data_ptr() for level in range(5)}) == 1


# ---- Recognition


def test_recognition_agrees_with_the_names_and_shapes_of_the_published_weights(reference_shapes):
    for key, shapes in reference_shapes.items():
        state = {name: torch.empty(shape, device='meta') for name, shape in shapes.items()}
        assert '.'.join(identify(state)) == key


@pytest.mark.parametrize('name', ['resnet18', 'mobilenet_v2', 'vgg11'])
def test_a_stranger_is_none_of_the_networks(tmp_path, name):
    path = tmp_path / 'weights.pth'
    with torch.device('meta'):
        shapes = {
            key: x.shape for key, x in getattr(torchvision.models, name)(weights=None).state_dict().items()
        }
    torch.save(
        {'model': {key: torch.zeros(()).expand(shape) for key, shape in shapes.items()}, 'epoch': 3}, path
    )
    message = refusal(path)
    assert 'none of the networks here' in message
    assert all(network in message for network in (*WARPS, *GENERATORS))


@pytest.mark.parametrize('family', FAMILIES.values(), ids=lambda family: family.name)
def test_the_pair_of_networks_decides_the_family(family):
    assert match_family(family.warp, family.generator) == family.name


def test_a_pair_that_was_never_published_is_no_family():
    with pytest.raises(
        CheckpointError, match=r'mobile_afwm and the generator res_unet make no family.*pf_afn'
    ):
        match_family('mobile_afwm', 'res_unet')


# ---- Loading


def test_align_corners_is_the_argument_then_the_file_then_on(tmp_path, warp_state):
    silent, off = tmp_path / 'silent.pt', tmp_path / 'off.pt'
    torch.save(warp_state, silent)
    save_checkpoint(off, warp_state, **wanted(WARP), align_corners=False)
    for path, asked, chosen in (
        (silent, None, True),
        (silent, False, False),
        (off, None, False),
        (off, True, True),
    ):
        network, info = load_network(path, part='warp', align_corners=asked)
        assert network.aflow_net.align_corners is chosen and info.align_corners is chosen
    assert read_checkpoint(silent)[1].align_corners is None


def test_loading_leaves_the_random_numbers_of_the_caller_alone(tmp_path, generator_state):
    torch.save(generator_state, tmp_path / 'weights.pt')
    before = torch.get_rng_state()
    load_network(tmp_path / 'weights.pt', part='generator')
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize('identity', [WARP, GENERATOR], ids=lambda identity: identity[1])
def test_a_loaded_network_computes_what_the_saved_one_did(tmp_path, identity):
    network = create(*identity).eval()
    torch.save(network.state_dict(), tmp_path / 'weights.pt')
    loaded, _ = load_network(tmp_path / 'weights.pt', **wanted(identity))
    torch.manual_seed(1)
    pictures = (
        [torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)]
        if identity == WARP
        else [torch.rand(1, 7, 64, 64)]
    )
    with torch.no_grad():
        first, second = network(*pictures), loaded(*pictures)
    assert torch.equal(first[0], second[0])


def test_an_unknown_name_is_refused_with_what_there_is(tmp_path, generator_state):
    path = tmp_path / 'weights.pt'
    torch.save(generator_state, path)
    for options, words in (
        ({'part': 'gen'}, 'generator'),
        ({'part': 'generator', 'family': 'dmvton'}, 'dm_vton'),
        ({'part': 'generator', 'network': 'mobile'}, 'mobile_unet'),
        ({'part': 'generator', 'role': 'pupil'}, 'student'),
        ({'part': 'generator', 'family': 'dm_vton', 'network': 'rmgn'}, 'mobile_unet'),
    ):
        with pytest.raises(ValueError, match=words):
            load_network(path, **options)


# ---- Mistakes


def refusal(path, kind=CheckpointError, **options):
    """The one line with which a file is refused."""
    with pytest.raises(kind) as caught:
        load_network(path, **{'part': 'generator', **options})
    message = str(caught.value)
    assert isinstance(caught.value, UserError) and caught.value.exit_status == 2
    assert message.startswith(str(path)) and '\n' not in message
    return message


def cut(writer, share):
    def write(state, path):
        writer(state, path)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return write


def write_bytes(content):
    return lambda state, path: path.write_bytes(content)


def changed(**changes):
    """Save the state dict with some entries replaced or (None) removed."""

    def write(state, path):
        state = {name: x for name, x in state.items() if changes.get(name, x) is not None}
        torch.save({**state, **{name: x for name, x in changes.items() if x is not None}}, path)

    return write


def many_missing(state, path):
    torch.save(dict(list(state.items())[7:]), path)


def not_finite(state, path):
    broken = {
        'dconv1.bias': torch.full((96,), float('nan')),
        'conv_last.weight': torch.full((4, 16, 3, 3), -torch.inf),
    }
    torch.save({**state, **broken}, path)


def zip_of_files(state, path):
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('weights/readme.txt', 'hello')


def torchscript(state, path):
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', b'')
        archive.writestr('archive/constants.pkl', b'')


def safetensors_with_header(header):
    def write(state, path):
        path.write_bytes(len(header).to_bytes(8, 'little') + header + bytes(64))

    return write


HTML = (
    b'\n<!DOCTYPE html><html><head><title>Google Drive - Quota '
    b'exceeded</title></head><body>Sorry</body></html>'
)
MISTAKES = {
    'an empty file': (write_bytes(b''), 'is empty'),
    'a web page': (write_bytes(HTML), 'web page.*Google Drive.*browser'),
    'a web page with a byte order mark': (write_bytes(b'\xef\xbb\xbf<HTML>'), 'web page'),
    'a picture': (write_bytes(b'\xff\xd8\xff\xe0\x00\x10JFIF' + bytes(200)), 'not a checkpoint but a JPEG'),
    'a text': (write_bytes(b'epoch 1 loss 0.5\n'), 'not a checkpoint but text'),
    'other bytes': (write_bytes(bytes(range(200, 250))), 'begins with the bytes c8 c9 ca cb'),
    'a pointer of Git LFS': (
        write_bytes(b'version https://git-lfs.github.com/spec/v1\noid sha256:1'),
        'git lfs pull',
    ),
    'a zip of files': (zip_of_files, 'zip archive that torch did not write'),
    'TorchScript': (torchscript, 'TorchScript'),
    'a cut zip': (cut(torch.save, 0.9), 'cut short'),
    'a zip cut at its start': (cut(torch.save, 0.001), 'cut short'),
    'a cut pickle': (cut(legacy, 0.9), 'cut short'),
    'a pickle cut at its start': (cut(legacy, 0.0001), 'cut short'),
    'a cut safetensors': (cut(as_safetensors, 0.9), 'cut short'),
    'a safetensors cut in its header': (cut(as_safetensors, 0.001), 'cut short'),
    'a wrong safetensors header': (safetensors_with_header(b'{"a": [1, 2'), 'header is wrong'),
    'no tensors in the header': (safetensors_with_header(b'{"a": {"dtype": "F99"}}   '), 'header is wrong'),
    'a plain pickle': (
        lambda state, path: path.write_bytes(pickle.dumps({'a': 1})),
        'torch.save did not write',
    ),
    'a list': (lambda state, path: torch.save([1, 2], path), 'holds a list, expected a state dict'),
    'an empty dict': (lambda state, path: torch.save({}, path), 'found nothing'),
    'a dict without weights': (
        lambda state, path: torch.save({'epoch': 3, 'lr': 0.1}, path),
        'found epoch, lr',
    ),
    'a whole network': (
        lambda state, path: torch.save(nn.Linear(2, 2), path),
        r'names torch\.nn.*state_dict',
    ),
    'missing tensors': (many_missing, r'student\) of 213 tensors: 7 missing \(\S+, \S+, \S+, \.\.\.\)'),
    'a wrong shape': (
        lambda state, path: torch.save({**state, 'conv_last.weight': torch.ones(3, 16, 3, 3)}, path),
        r'1 of a wrong shape or type \(conv_last.weight \[3, 16, 3, 3\] float32, expected \[4, 16, 3, 3\]\)',
    ),
    'a wrong type': (
        lambda state, path: torch.save(
            {**state, 'conv_last.weight': torch.ones(4, 16, 3, 3, dtype=torch.int8)}, path
        ),
        r'conv_last.weight \[4, 16, 3, 3\] int8',
    ),
    'numbers that are not finite': (not_finite, r'2 tensors are not finite, the first is dconv1\.bias'),
}


@pytest.mark.parametrize('name', MISTAKES)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(tmp_path, generator_state, name):
    write, words = MISTAKES[name]
    path = tmp_path / 'weights.pt'
    write(generator_state, path)
    message = refusal(path)
    assert re.search(words, message), message


def test_tensors_that_the_network_does_not_have_are_a_note_in_a_published_file_and_an_error_in_our_own(
    tmp_path, generator_state
):
    path = tmp_path / 'weights.pt'
    torch.save({**generator_state, 'extra_layer': torch.ones(2)}, path)
    state, info = read_checkpoint(path)
    assert list(state) == list(generator_state)
    assert info.notes == (f'{path}: 1 tensors that mobile_unet does not have were left out (extra_layer)',)
    torch.save({**generator_state, 'aflow_net.weight': torch.ones(4, 2, 3, 3)}, path)
    assert 'aflow_net.weight' in read_checkpoint(path)[1].notes[0]
    save_checkpoint(path, generator_state, **wanted(GENERATOR))
    content = torch.load(path, weights_only=True)
    content['model']['extra_layer'] = torch.ones(2)
    torch.save(content, path)
    assert '1 unexpected (extra_layer)' in refusal(path)


def test_a_file_made_of_what_safetensors_reads_has_its_shared_tensors_back(tmp_path):
    """`safetensors.torch.load_file` returns a shared tensor under one of its names."""
    network = create(*WARP)
    safetensors.torch.save_model(network, str(tmp_path / 'weights.safetensors'))
    state = safetensors.torch.load_file(tmp_path / 'weights.safetensors')
    assert len(state) < len(network.state_dict())
    torch.save(state, tmp_path / 'weights.pt')
    assert same_bits(read_checkpoint(tmp_path / 'weights.pt')[0], network.state_dict())
    only_last = {
        name: x
        for name, x in network.state_dict().items()
        if 'smooth_layers' not in name or 'smooth_layers.3' in name
    }
    torch.save(only_last, tmp_path / 'weights.pt')
    loaded = read_checkpoint(tmp_path / 'weights.pt')
    assert same_bits(loaded[0], network.state_dict()) and loaded[1].notes == ()


def test_another_sampling_than_the_file_was_trained_with_is_a_note(tmp_path):
    path = tmp_path / 'weights.pt'
    save_checkpoint(path, create(*WARP), **wanted(WARP), align_corners=True)
    for asked, notes in ((None, 0), (True, 0), (False, 1)):
        network, info = load_network(path, part='warp', align_corners=asked)
        assert len(info.notes) == notes and network.aflow_net.align_corners is (asked is not False)
    assert 'was trained with align_corners on, this run has it off' in info.notes[0]


def test_words_in_place_of_a_safetensors_header_are_refused(tmp_path):
    path = tmp_path / 'weights.safetensors'
    path.write_bytes(bytes(range(200, 250)))
    assert 'header is wrong' in refusal(path)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    message = refusal(tmp_path / 'weights.pt', MissingFileError)
    assert 'no such file' in message
    assert 'is a folder' in refusal(tmp_path)


@pytest.mark.skipif(
    not hasattr(os, 'geteuid') or os.geteuid() == 0, reason='the superuser may read every file'
)
def test_a_file_that_may_not_be_read_says_so(tmp_path):
    path = tmp_path / 'weights.pt'
    path.write_bytes(b'secret')
    path.chmod(0)
    assert 'cannot be read' in refusal(path)


def test_the_other_part_another_family_and_another_role_are_named(tmp_path, states):
    warp, generator, teacher = (tmp_path / f'{name}.pt' for name in ('warp', 'generator', 'teacher'))
    torch.save(states[WARP], warp)
    torch.save(states[GENERATOR], generator)
    torch.save(create('generator', 'mobile_unet', 'teacher').state_dict(), teacher)
    assert 'holds the warp network mobile_afwm where a generator is needed' in refusal(warp)
    assert 'holds the generator mobile_unet where a warp network is needed' in refusal(generator, part='warp')
    message = refusal(generator, family='pf_afn')
    assert 'the generator mobile_unet (dm_vton), asked was res_unet (pf_afn or fs_vton)' in message
    assert "holds a teacher's mobile_unet where a student's is needed" in refusal(teacher)
    assert "holds a student's mobile_unet where a teacher's is needed" in refusal(generator, role='teacher')


def test_names_of_one_tensor_that_hold_different_numbers_are_refused(tmp_path, warp_state):
    path = tmp_path / 'weights.pt'
    warp_state[TIED] = warp_state[TIED] + 1
    torch.save(warp_state, path)
    message = refusal(path, part='warp')
    assert f'{TIED} differs from image_mobile.smooth_layers.0.weight' in message and '(1 differ)' in message


class Evil:
    """What a malicious pickle holds: a call to be made while it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), 'w')


@pytest.mark.parametrize(
    'write', [torch.save, legacy, lambda content, path: path.write_bytes(pickle.dumps(content))]
)
def test_a_pickle_that_wants_to_run_code_is_refused_and_nothing_runs(tmp_path, generator_state, write):
    path, trace = tmp_path / 'weights.pt', tmp_path / 'trace'
    content = training(generator_state, note=Evil(trace))
    pickle.loads(pickle.dumps(Evil(trace))).close()
    assert trace.exists()  # it is armed
    trace.unlink()
    write(content, path)
    assert 'could run code' in refusal(path)
    assert not trace.exists()


def test_weights_that_leave_the_range_of_float32_are_refused(tmp_path, generator_state):
    path = tmp_path / 'weights.pt'
    wide = {name: x.double() if x.is_floating_point() else x for name, x in generator_state.items()}
    name = next(name for name, x in wide.items() if x.is_floating_point())
    wide[name] = torch.full_like(wide[name], 1e300)
    torch.save(wide, path)
    assert 'leave the range of float32' in refusal(path, part='generator')
    assert read_checkpoint(path, dtype=None)[0][name].max() == 1e300


@pytest.mark.parametrize(
    ('text', 'make'),
    [
        ('on the device meta', lambda x: x.to('meta')),
        ('is sparse_coo', lambda x: x.to_sparse()),
        ('of type float8_e4m3fn', lambda x: x.to(torch.float8_e4m3fn)),
        ('of type complex64', lambda x: x.to(torch.complex64)),
    ],
)
def test_tensors_that_no_network_computes_with_are_refused(tmp_path, generator_state, text, make):
    path = tmp_path / 'weights.pt'
    name = next(iter(generator_state))
    torch.save(generator_state | {name: make(generator_state[name])}, path)
    message = refusal(path, part='generator')
    assert name in message and text in message


@pytest.mark.parametrize('entry', ['description', 'extra'])
@pytest.mark.parametrize('text', ['[' * 200_000, '9' * 5000], ids=['nested', 'digits'])
def test_metadata_that_python_cannot_take_is_refused(tmp_path, generator_state, entry, text):
    path = tmp_path / 'weights.safetensors'
    metadata = {'description': '{}', 'extra': '{}'} | {entry: text}
    safetensors.torch.save_file(
        {name: x.clone() for name, x in generator_state.items()}, path, metadata=metadata
    )
    assert 'its metadata cannot be read' in refusal(path, part='generator')


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='this system has no named pipes')
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'weights.pt')
    assert 'a pipe or device' in refusal(tmp_path / 'weights.pt', part='generator')


def test_a_path_that_the_system_refuses_is_told_in_one_line(tmp_path, generator_state):
    assert 'cannot be read: File name too long' in refusal(tmp_path / ('a' * 300), part='generator')
    with pytest.raises(CheckpointError, match='cannot be written .File name too long'):
        save_checkpoint(tmp_path / f'{"a" * 300}.pt', generator_state, **wanted(GENERATOR))


def test_a_tilde_is_the_home_folder(tmp_path, generator_state, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    save_checkpoint('~/weights.pt', generator_state, **wanted(GENERATOR))
    assert (tmp_path / 'weights.pt').is_file()
    assert same_bits(read_checkpoint('~/weights.pt')[0], generator_state)
    assert 'no such file' in refusal('~nosuchuser/weights.pt', MissingFileError, part='generator')


def test_names_in_a_file_cannot_break_the_line_or_colour_it(tmp_path, generator_state):
    path = tmp_path / 'weights.pt'
    description = {'part': 'generator', 'network': 'mobile_unet', 'role': 'student'}
    state = generator_state | {'a\nb\x1b[31m' + 'c' * 500: torch.ones(1)}
    torch.save({'model': state, 'description': description}, path)
    message = refusal(path, part='generator')
    assert r'a\nb\x1b[31mccc' in message and 'c' * 100 not in message and message.isprintable()


def test_a_file_that_lies_about_itself_is_refused(tmp_path, generator_state):
    path = tmp_path / 'weights.pt'
    description = {'part': 'generator', 'network': 'res_unet', 'role': 'student'}
    torch.save({'model': generator_state, 'description': description}, path)
    message = refusal(path)
    assert (
        'calls itself generator res_unet student, but has the tensors of generator mobile_unet student'
        in message
    )


def test_a_description_in_words_by_somebody_else_is_no_obstacle(tmp_path, generator_state):
    path = tmp_path / 'weights.safetensors'
    metadata = {'description': 'weights for my talk', 'extra': 'none'}
    safetensors.torch.save_file({name: x.clone() for name, x in generator_state.items()}, path, metadata)
    assert read_checkpoint(path)[1].format == 'plain state dict'


# ---- Writing

SAYS = {'align_corners': False, 'size': (256, 192), 'family': 'dm_vton'}


@pytest.mark.parametrize('suffix', ['.pt', '.pth', '.safetensors'])
@pytest.mark.parametrize('identity', [WARP, GENERATOR], ids=lambda identity: identity[1])
def test_a_saved_checkpoint_describes_itself(tmp_path, states, identity, suffix):
    path = tmp_path / f'weights{suffix}'
    save_checkpoint(
        path, states[identity], **wanted(identity), **SAYS, extra={'epoch': 3, 'best_fid': np.float64(28.2)}
    )
    state, info = read_checkpoint(path)
    assert same_bits(state, states[identity])
    assert info[:7] == (*identity, False, (256, 192), 'dm_vton', 3)
    assert info.format == 'self-describing'
    assert info.extra == {'epoch': 3, 'best_fid': 28.2}
    if suffix != '.safetensors':  # plain types only, for programs that allow no others
        assert torch.load(path, weights_only=True)['best_fid'] == 28.2
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize('suffix', ['.pt', '.safetensors'])
@pytest.mark.parametrize('share', [True, False])
def test_one_tensor_under_five_names_is_stored_once(tmp_path, warp_state, suffix, share):
    path = tmp_path / f'weights{suffix}'
    state = warp_state if share else {name: x.clone() for name, x in warp_state.items()}
    save_checkpoint(path, state, **wanted(WARP))
    once = {x.data_ptr(): x.nbytes for x in warp_state.values()}
    assert path.stat().st_size < sum(once.values()) + 150_000
    assert same_bits(read_checkpoint(path)[0], warp_state)


def test_other_tools_read_our_safetensors(tmp_path, warp_state):
    path = tmp_path / 'weights.safetensors'
    save_checkpoint(path, warp_state, **wanted(WARP), **SAYS)
    network = create(*WARP)
    assert safetensors.torch.load_model(network, path) == (set(), [])
    assert same_bits(network.state_dict(), warp_state)
    with safetensors.safe_open(path, framework='pt') as file:
        assert json.loads(file.metadata()['description'])['network'] == 'mobile_afwm'
        assert file.metadata()[TIED] == 'image_mobile.smooth_layers.0.weight'


def test_we_read_safetensors_of_other_tools(tmp_path, warp_state):
    path = tmp_path / 'weights.safetensors'
    network = create(*WARP)
    network.load_state_dict(warp_state)
    safetensors.torch.save_model(network, str(path))
    state, info = read_checkpoint(path)
    assert same_bits(state, warp_state) and info.format == 'plain state dict'


@pytest.mark.parametrize(('suffix', 'dtype'), [('.pt', torch.bfloat16), ('.safetensors', torch.float16)])
def test_weights_are_stored_in_16_bits_on_request(tmp_path, warp_state, suffix, dtype):
    path = tmp_path / f'weights{suffix}'
    save_checkpoint(path, warp_state, **wanted(WARP), dtype=dtype)
    state, _ = read_checkpoint(path)
    assert same_bits(state, {name: x.to(dtype).to(x.dtype) for name, x in warp_state.items()})
    assert path.stat().st_size < 15e6


def test_a_network_wrapped_for_data_parallel_is_saved_under_its_own_names(tmp_path):
    path = tmp_path / 'weights.pt'
    network = create(*GENERATOR)
    save_checkpoint(path, nn.DataParallel(network), **wanted(GENERATOR))
    assert same_bits(torch.load(path, weights_only=True)['model'], network.state_dict())


def test_the_state_of_an_optimizer_survives(tmp_path):
    path = tmp_path / 'weights.pt'
    network = create(*GENERATOR)
    optimizers = [torch.optim.Adam(network.parameters(), lr=5e-5) for _ in range(2)]
    network(torch.rand(2, 7, 64, 64)).sum().backward()
    optimizers[0].step()
    save_checkpoint(
        path, network, **wanted(GENERATOR), extra={'epoch': 1, 'optimizer': optimizers[0].state_dict()}
    )
    optimizers[1].load_state_dict(read_checkpoint(path)[1].extra['optimizer'])
    states = [optimizer.state_dict() for optimizer in optimizers]
    assert states[0]['param_groups'] == states[1]['param_groups']
    assert all(
        torch.equal(x['exp_avg'], states[1]['state'][key]['exp_avg']) for key, x in states[0]['state'].items()
    )


def test_what_could_not_be_read_back_is_not_saved(tmp_path, generator_state):
    path = tmp_path / 'weights.pt'
    with pytest.raises(TypeError, match=r'extra\.options is a Path|extra\.options is a PosixPath'):
        save_checkpoint(path, generator_state, **wanted(GENERATOR), extra={'options': tmp_path})
    with pytest.raises(ValueError, match='the checkpoint itself uses the name'):
        save_checkpoint(path, generator_state, **wanted(GENERATOR), extra={'model': 1})
    with pytest.raises(CheckpointError, match=r'asked to keep optimizer\); save as \.pt'):
        extra = {'optimizer': {'state': {0: torch.ones(2)}}}
        save_checkpoint(path.with_suffix('.safetensors'), generator_state, **wanted(GENERATOR), extra=extra)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('suffix', ['.pt', '.safetensors'])
def test_weights_that_are_wrong_never_replace_a_good_file(tmp_path, generator_state, suffix):
    path = tmp_path / f'weights{suffix}'
    path.write_text('old')
    diverged = {**generator_state, 'conv_last.weight': torch.full((4, 16, 3, 3), torch.nan)}
    too_large = {**generator_state, 'conv_last.weight': torch.full((4, 16, 3, 3), 1e5)}
    incomplete = {name: x for name, x in generator_state.items() if name != 'conv_last.weight'}
    for state, identity, dtype, words in (
        (diverged, GENERATOR, None, 'not finite, the first is conv_last.weight; the training diverged'),
        (too_large, GENERATOR, torch.float16, 'they leave the range of float16'),
        (incomplete, GENERATOR, None, r'1 missing \(conv_last.weight\)'),
        (generator_state, WARP, None, 'missing'),
        ({}, GENERATOR, None, '213 missing'),
    ):
        with pytest.raises(CheckpointError, match=words) as caught:
            save_checkpoint(path, state, **wanted(identity), dtype=dtype)
        assert str(caught.value).startswith(str(path)) and '\n' not in str(caught.value)
    assert path.read_text() == 'old' and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize('suffix', ['.pt', '.safetensors'])
def test_a_simulated_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path, generator_state, monkeypatch, suffix
):
    def full(descriptor):
        raise OSError(errno.ENOSPC, 'No space left on device')

    path = tmp_path / f'weights{suffix}'
    path.write_text('old')
    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(
        CheckpointError, match='cannot be written .No space left on device.; what was there'
    ) as caught:
        save_checkpoint(path, generator_state, **wanted(GENERATOR))
    assert str(caught.value).startswith(str(path))
    assert path.read_text() == 'old' and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize('suffix', ['.pt', '.safetensors'])
def test_a_write_that_the_system_stops_halfway_leaves_the_old_file_and_nothing_else(
    tmp_path, generator_state, suffix
):
    resource = pytest.importorskip('resource')
    path = tmp_path / f'weights{suffix}'
    path.write_text('old')
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(CheckpointError, match='cannot be written .File too large'):
            save_checkpoint(path, generator_state, **wanted(GENERATOR))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == 'old' and list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_and_an_unknown_suffix_are_named(tmp_path, generator_state):
    with pytest.raises(MissingFileError, match='no folder'):
        save_checkpoint(tmp_path / 'none' / 'weights.pt', generator_state, **wanted(GENERATOR))
    with pytest.raises(
        CheckpointError, match=r"unknown suffix '\.ckpt'; choose from \.pt, \.pth, \.safetensors"
    ):
        save_checkpoint(tmp_path / 'weights.ckpt', generator_state, **wanted(GENERATOR))


def test_a_diverged_tensor_of_several_names_is_called_diverged(tmp_path, warp_state):
    warp_state = {
        name: x.fill_(torch.nan) if 'smooth' in name else x for name, x in _copy(warp_state).items()
    }
    with pytest.raises(CheckpointError, match='20 tensors are not finite'):
        save_checkpoint(tmp_path / 'weights.pt', warp_state, **wanted(WARP))
    torch.save(warp_state, tmp_path / 'weights.pt')
    assert '20 tensors are not finite' in refusal(tmp_path / 'weights.pt', part='warp')


def _copy(state):
    """A copy in which shared tensors are still shared."""
    network = create(*WARP)
    network.load_state_dict(state)
    return network.state_dict()


# ---- Command line


def run(capsys, *arguments):
    main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def fail(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ') and error.count('\n') == 1
    return error


def test_inspect_says_what_a_published_file_is_and_what_it_does_not_say(tmp_path, warp_state, capsys):
    path = tmp_path / 'weights.pt'
    torch.save(training(prefixed(warp_state, 'module.')), path)
    lines = dict(line.split(maxsplit=1) for line in run(capsys, 'inspect', path).splitlines()[1:])
    once = {x.data_ptr(): x.nbytes for x in warp_state.values()}
    assert lines['network'] == 'mobile_afwm (warp network)'
    assert lines['role'] == 'student'
    assert lines['family'] == 'not said; fits dm_vton'
    assert lines['parameters'] == f'{sum(x.numel() for x in create(*WARP).parameters()):,}'
    assert lines['memory'].startswith(f'{sum(once.values()) / 1e6:.1f} MB')
    assert lines['dtype'] == 'float32'
    assert lines['format'].startswith('training checkpoint (torch zip')
    assert lines['align_corners'] == 'not said' and lines['size'] == 'not said'
    assert lines['epoch'] == '60'
    assert lines['beside'] == 'it      optimizer (dict), best_fid = 28.2'


def test_inspect_names_every_family_that_a_network_fits(tmp_path, capsys):
    path = tmp_path / 'weights.pt'
    network = create('warp', 'afwm', 'student')
    torch.save({name: x.new_zeros(()).expand(x.shape) for name, x in network.state_dict().items()}, path)
    assert 'not said; fits pf_afn or rmgn' in run(capsys, 'inspect', path)


@pytest.mark.parametrize('suffix', ['.pt', '.safetensors'])
def test_convert_makes_any_file_describe_itself(tmp_path, generator_state, capsys, suffix):
    source, target = tmp_path / 'weights.pth', tmp_path / f'converted{suffix}'
    torch.save(training(prefixed(generator_state, 'module.')), source)
    assert 'left out, since only training needs it: optimizer' in run(capsys, 'convert', source, target)
    state, info = read_checkpoint(target)
    assert same_bits(state, generator_state)
    assert (info.family, info.epoch, info.align_corners, info.extra['best_fid']) == (
        'dm_vton',
        60,
        None,
        28.2,
    )
    assert 'optimizer' not in info.extra and info.format == 'self-describing'


def test_convert_keeps_what_the_file_says_and_casts_on_request(tmp_path, warp_state, capsys):
    source, half, whole = (tmp_path / name for name in ('weights.pt', 'half.safetensors', 'whole.pt'))
    save_checkpoint(source, warp_state, **wanted(WARP), **SAYS, extra={'epoch': 3})
    run(capsys, 'convert', source, half, '--dtype', 'float16', '--family', 'dm_vton')
    assert 'dtype          float16' in run(capsys, 'inspect', half)
    run(capsys, 'convert', half, whole, '--dtype', 'float32')
    assert read_checkpoint(whole)[1][:7] == (*WARP, False, (256, 192), 'dm_vton', 3)
    assert 'dtype          float32' in run(capsys, 'inspect', whole)


def test_average_is_the_weighted_mean_and_says_of_what(tmp_path, generator_state, capsys):
    first, second, mean = (tmp_path / name for name in ('after.pt', 'before.pt', 'mean.safetensors'))
    other = {name: 3 * x + 1 if x.is_floating_point() else x + 5 for name, x in generator_state.items()}
    torch.save(generator_state, first), torch.save(other, second)
    run(capsys, 'average', first, second, mean, '--share', '0.75')
    averaged, info = read_checkpoint(mean)
    assert info.extra['averaged'] == '0.75 of after.pt, 0.25 of before.pt'
    for name, x in generator_state.items():
        expected = 0.75 * x + 0.25 * other[name] if x.is_floating_point() else x
        torch.testing.assert_close(averaged[name], expected, msg=name)
    half = tmp_path / 'half.pt'
    run(capsys, 'average', first, second, half, '--dtype', 'float16')
    assert {x.dtype for x in read_checkpoint(half, dtype=None)[0].values() if x.is_floating_point()} == {
        torch.float16
    }


def test_average_refuses_files_of_two_kinds_and_shares_that_are_none(
    tmp_path, generator_state, warp_state, capsys
):
    first, second, new = (tmp_path / name for name in ('gen.pt', 'warp.pt', 'new.pt'))
    torch.save(generator_state, first), torch.save(warp_state, second)
    message = fail(capsys, 'average', first, second, new)
    assert 'give two files of one kind' in message and str(first) in message and str(second) in message
    assert 'is the file to average' in fail(capsys, 'average', first, first, first)
    for share in ('0', '1', '1.5', 'nan', 'half'):
        assert 'is not a number between 0 and 1' in fail(
            capsys, 'average', first, first, new, '--share', share
        )
    assert 'no such file' in fail(capsys, 'average', first, tmp_path / 'none.pt', new)
    assert not new.exists()


def test_convert_refuses_what_would_lose_or_mislabel_a_file(tmp_path, generator_state, capsys):
    source = tmp_path / 'weights.pt'
    torch.save(generator_state, source)
    before = source.read_bytes()
    (tmp_path / 'link.pt').symlink_to(source)
    assert 'is the file to convert' in fail(capsys, 'convert', source, tmp_path / '.' / 'weights.pt')
    assert 'is the file to convert' in fail(capsys, 'convert', source, tmp_path / 'link.pt')
    assert 'unknown suffix' in fail(capsys, 'convert', source, tmp_path / 'weights.onnx')
    message = fail(capsys, 'convert', source, tmp_path / 'new.pt', '--family', 'rmgn')
    assert "holds the student's mobile_unet (dm_vton), asked was rmgn" in message
    assert 'no such file' in fail(capsys, 'convert', tmp_path / 'none.pt', tmp_path / 'new.pt')
    assert source.read_bytes() == before and not (tmp_path / 'new.pt').exists()


def test_init_writes_untrained_weights_that_load_and_repeat(tmp_path, capsys):
    folders = [tmp_path / name for name in ('first', 'again', 'other')]
    for folder, seed in zip(folders, (0, 0, 1), strict=True):
        assert 'UNTRAINED' in run(capsys, 'init', '--family', 'dm_vton', '--seed', seed, '--out', folder)
    for part, end in (('warp', 'warp'), ('generator', 'gen')):
        first, again, other = (read_checkpoint(folder / f'dm_vton_student_{end}.pt') for folder in folders)
        assert same_bits(first[0], again[0])
        assert any(not torch.equal(x, other[0][name]) for name, x in first[0].items())
        assert (
            first[1].family == 'dm_vton'
            and first[1].size == (256, 192)
            and first[1].extra['untrained'] is True
        )
        load_network(folders[0] / f'dm_vton_student_{end}.pt', part=part, family='dm_vton')
    assert 'exists already' in fail(capsys, 'init', '--family', 'dm_vton', '--out', folders[0])
    message = fail(capsys, 'init', '--family', 'rmgn', '--role', 'teacher', '--out', tmp_path / 'new')
    assert 'rmgn has no teacher' in message and not (tmp_path / 'new').exists()


def test_init_from_a_teacher_takes_all_that_fits_a_student(tmp_path, capsys):
    run(capsys, 'init', '--family', 'dm_vton', '--role', 'teacher', '--seed', 1, '--out', tmp_path)
    files = [tmp_path / f'dm_vton_teacher_{end}.pt' for end in ('warp', 'gen')]
    assert 'UNTRAINED' in run(
        capsys, 'init', '--family', 'dm_vton', '--teacher', *files, '--out', tmp_path / 'student'
    )
    new = {}
    for end, part, first in (('warp', 'warp', 'cond_mobile.'), ('gen', 'generator', '')):
        teacher, student = (
            read_checkpoint(folder)[0]
            for folder in (
                tmp_path / f'dm_vton_teacher_{end}.pt',
                tmp_path / 'student' / f'dm_vton_student_{end}.pt',
            )
        )
        new[part] = [name for name, x in student.items() if x.shape != teacher[name].shape]
        assert len(new[part]) == 1 and new[part][0].startswith(first)
        assert all(torch.equal(x, teacher[name]) for name, x in student.items() if name not in new[part])
    assert torch.equal(student[new['generator'][0]], teacher[new['generator'][0]][:, :7])
    message = fail(capsys, 'init', '--family', 'pf_afn', '--teacher', files[0], '--out', tmp_path / 'other')
    assert 'asked was afwm (pf_afn' in message and not (tmp_path / 'other').exists()
    message = fail(
        capsys, 'init', '--family', 'dm_vton', '--teacher', files[0], files[0], '--out', tmp_path / 'other'
    )
    assert 'a second warp network' in message
    message = fail(
        capsys,
        'init',
        '--family',
        'dm_vton',
        '--role',
        'teacher',
        '--teacher',
        *files,
        '--out',
        tmp_path / 'other',
    )
    assert 'only a student' in message and not (tmp_path / 'other').exists()


def test_the_command_ends_with_one_line_and_status_2(tmp_path):
    command = [sys.executable, '-m', 'models.checkpoint', 'inspect', str(tmp_path / 'none.pt')]
    result = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert result.returncode == 2 and result.stdout == ''
    assert result.stderr.count('\n') == 1 and result.stderr.startswith('error: ')


@pytest.mark.parametrize('seed', [2**70, -1, 'one', '9' * 5000])
def test_init_refuses_a_seed_before_it_makes_a_folder(tmp_path, capsys, seed):
    message = fail(capsys, 'init', '--family', 'dm_vton', '--seed', seed, '--out', tmp_path / 'new')
    assert 'argument --seed: ' in message and 'whole number from 0' in message and len(message) < 250
    assert not (tmp_path / 'new').exists()


@pytest.mark.parametrize(
    ('arguments', 'text'),
    [
        ([], 'required: COMMAND'),
        (['init', '--fam', 'dm_vton'], 'required: --family'),
        (['convert', 'in.pt', 'out.pt', '--dtype', 'int8'], 'invalid choice'),
        (['inspect', 'weights.pt', '--a\nb'], r'unrecognized arguments: --a\nb'),
    ],
)
def test_a_wrong_command_line_is_one_line_that_names_the_help(capsys, arguments, text):
    message = fail(capsys, *arguments)
    assert text in message and message.endswith('; see --help\n')


def test_the_help_shows_the_defaults_that_there_are(capsys):
    for command, text in (('init', '(default: student)'), ('convert', 'default: as they are')):
        with pytest.raises(SystemExit):
            main([command, '--help'])
        words = ' '.join(capsys.readouterr().out.split())
        assert text in words and 'default: None' not in words
