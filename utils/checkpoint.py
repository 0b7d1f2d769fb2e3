"""Checkpoints: every published format in, one self-describing format out, and a command line for both.

A file is told by its content, never by its name: plain state dicts (PF-AFN, FS-VTON, RMGN releases), dicts with `model`
and the state of the training (DM-VTON release), torch's zip and older pickle format, safetensors. A pickle is only ever
read as tensors and plain values, so a file from a stranger cannot run code.

    python -m utils.checkpoint inspect weights.pt
    python -m utils.checkpoint convert weights.pt weights.safetensors --dtype float16
    python -m utils.checkpoint init --family dm_vton --out untrained/
    python -m utils.checkpoint init --family dm_vton --teacher pb_warp.pt pb_gen.pt --out begin/
"""

import argparse
import functools
import json
import os
import re
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from models.registry import FAMILIES, GENERATORS, ROLES, WARPS, choose, create_generator, create_warp, roles_of
from utils.cli import OptionParser
from utils.errors import CheckpointError, MissingFileError, UserError, exit_cleanly
from utils.paths import atomic_write, expand

PARTS = {'warp': 'warp network', 'generator': 'generator'}
DTYPES = {'float32': torch.float32, 'float16': torch.float16, 'bfloat16': torch.bfloat16}
SUFFIXES = ('.pt', '.pth', '.safetensors')
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
WHOLE_NUMBERS = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
LARGEST_SEED = 2**63 - 1
# What data parallel and torch.compile put before every name.
WRAPPER_PREFIXES = ('module.', '_orig_mod.')
# The constant second-difference filters, which a warp network saved in the middle of its training carries along.
FILTERS_NAME, FILTERS_SHAPE = 'aflow_net.weight', (4, 1, 3, 3)
# A file is one of the networks if at least this share of all names, its own and the network's, is common to both.
LEAST_COMMON_NAMES = 0.5
LONGEST_SAFETENSORS_HEADER = 100_000_000
LONGEST_TEXT = 60
ZIP_START, PICKLE_START, TORCH_PICKLE_START = b'PK\x03\x04', b'\x80', b'\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'
FOREIGN_STARTS = (
    (b'\xff\xd8\xff', 'a JPEG picture'),
    (b'\x89PNG', 'a PNG picture'),
    (b'\x1f\x8b', 'a gzip archive; unpack it'),
    (b'version https://git-lfs', 'a Git LFS pointer; run git lfs pull'),
)


class CheckpointInfo(NamedTuple):
    """What a checkpoint holds: part, network and role as the tensors tell; None is what the file does not say."""

    part: str  # 'warp' | 'generator'
    network: str  # name in the registry
    role: str  # 'teacher' | 'student'
    align_corners: bool | None
    size: tuple[int, int] | None  # height and width in pixels
    family: str | None
    epoch: int | None
    format: str  # 'plain state dict' | 'training checkpoint' | 'self-describing'
    container: str  # 'torch zip' | 'torch pickle' | 'safetensors'
    extra: dict[str, Any]  # what stands beside the weights: epoch, optimizer, best_fid, ...


class _Layout(NamedTuple):
    """Names and shapes of a network: what a file must have to be loaded strictly."""

    tensors: dict[str, Tensor]  # on the meta device: shapes and dtypes without memory
    tied: dict[str, str]  # name -> the earlier name of the very same tensor
    parameters: frozenset[str]


# ---- Networks and names


class _WithoutDraws(TorchFunctionMode):
    """Makes networks without drawing weights that a file is about to replace: a tenth of the time for the large ones.

    Everything else that a constructor computes, buffers for instance, is computed.
    """

    DRAWS = frozenset({'normal_', 'uniform_', 'kaiming_normal_', 'kaiming_uniform_'})

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if getattr(func, '__name__', '') in self.DRAWS:
            return args[0] if args else kwargs['tensor']
        return func(*args, **kwargs)


def _create(part: str, network: str, role: str, align_corners: bool = True) -> nn.Module:
    if choose('part', part, PARTS) == 'warp':
        return create_warp(network, role, align_corners=align_corners)
    return create_generator(network, role)


def _create_blank(part: str, network: str, role: str, align_corners: bool = True) -> nn.Module:
    """A network to be filled: its weights are whatever was in memory. The caller's random numbers are not touched."""
    with torch.random.fork_rng(devices=[]), _WithoutDraws():
        return _create(part, network, role, align_corners)


@functools.cache
def _layout(part: str, network: str, role: str) -> _Layout:
    module = _create_blank(part, network, role)
    tensors, tied, first_names = module.state_dict(keep_vars=True), {}, {}
    for name, tensor in tensors.items():
        first = first_names.setdefault(id(tensor), name)
        if first != name:
            tied[name] = first
    parameters = frozenset(name for name, _ in module.named_parameters())
    return _Layout({name: torch.empty_like(x, device='meta') for name, x in tensors.items()}, tied, parameters)


def _candidates() -> list[tuple[str, str, str]]:
    names = [('warp', name) for name in WARPS] + [('generator', name) for name in GENERATORS]
    # Students first: they win where the first convolution, the only difference, is missing.
    return [(part, name, role) for part, name in names for role in reversed(roles_of(name))]


def _families(part: str, network: str, role: str) -> list[str]:
    return [name for name, family in FAMILIES.items() if getattr(family, part) == network and role in family.roles]


def _name(kind: torch.dtype | torch.layout) -> str:
    return str(kind).removeprefix('torch.')


def _shown(value: Any, longest: int = LONGEST_TEXT) -> str:
    """A text of a file as a message may hold it: short and printable, whatever the file says."""
    try:
        text = str(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, a list in a list in a list
        text = f'a long {type(value).__name__}'
    text = text if len(text) <= longest else f'{text[:longest]}...'
    return text if text.isprintable() else repr(text)


def _names(names: list) -> str:
    return _first_three([_shown(name) for name in names[:4]])


def _first_three(names: list[str]) -> str:
    return ', '.join(names[:3]) + (', ...' if len(names) > 3 else '')


def identify(state_dict: Mapping[str, Tensor], *, source: str | Path = 'the state dict') -> tuple[str, str, str]:
    """Tell part ('warp' | 'generator'), network (name in the registry) and role of a state dict by names and shapes.

    The network is the one that shares most names, the role the one that more shapes agree with (the first convolution
    takes 45 or 3 channels, 8 or 7), so a damaged state dict is told too, to say what it lacks. Raises `CheckpointError`
    that begins with `source` where it is none of the networks.
    """
    best, best_score = None, (LEAST_COMMON_NAMES, 0)
    for candidate in _candidates():
        tensors = _layout(*candidate).tensors
        common = tensors.keys() & state_dict.keys()
        agreeing = sum(tensors[name].shape == state_dict[name].shape for name in common)
        score = (len(common) / len(tensors.keys() | state_dict.keys()), agreeing)
        if score > best_score:
            best, best_score = candidate, score
    if best is None:
        raise CheckpointError(
            f'{source} is none of the networks here (warp: {", ".join(WARPS)}; generator: {", ".join(GENERATORS)}): '
            f'its {len(state_dict)} tensors are {_names(list(state_dict))}'
        )
    return best


def match_family(warp_network: str, generator_network: str) -> str:
    """Return the family of a warp network and a generator, by their names in the registry.

    It takes both: `afwm` goes with `res_unet` (pf_afn) and with `rmgn`. Raises `CheckpointError` where no family pairs
    the two.
    """
    for name, family in FAMILIES.items():
        if (family.warp, family.generator) == (warp_network, generator_network):
            return name
    pairs = ', '.join(f'{family.warp} + {family.generator} ({name})' for name, family in FAMILIES.items())
    raise CheckpointError(
        f'the warp network {warp_network} and the generator {generator_network} make no family; there is {pairs}'
    )


# ---- Files: what is in them


def _read_start(path: Path) -> bytes:
    try:
        mode, start = os.stat(path).st_mode, b''
        if stat.S_ISREG(mode):  # opening a pipe would wait for somebody to write to it
            with open(path, 'rb') as file:
                start = file.read(1024)
    except FileNotFoundError:
        raise MissingFileError(f'{path}: there is no such file; check the path or download the weights first') from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f'{path} cannot be read: {_reason(error)}; check its permissions and the disk') from error
    if stat.S_ISDIR(mode):
        raise CheckpointError(f'{path} is a folder, expected a checkpoint file; give the file itself')
    if not stat.S_ISREG(mode):
        raise CheckpointError(f'{path} is a pipe or a device, expected a checkpoint file; give the file itself')
    if not start:
        raise CheckpointError(f'{path} is empty (0 bytes); download or copy it again')
    return start


def _refuse_foreign(path: Path, start: bytes) -> None:
    text = start.removeprefix(b'\xef\xbb\xbf').lstrip().lower()
    if text.startswith((b'<!doctype', b'<html', b'<head', b'<?xml')):
        raise CheckpointError(
            f'{path} is a web page, not weights: Google Drive and others send one when a download is over its quota or '
            'wants a confirmation; delete the file, download it in a browser or later, and check that it has megabytes'
        )
    for foreign_start, kind in FOREIGN_STARTS:
        if start.startswith(foreign_start):
            raise CheckpointError(f'{path} is not a checkpoint but {kind}; give a .pt, .pth or .safetensors file')


def _looks_like_safetensors(start: bytes) -> bool:
    return start[8:9] == b'{' and int.from_bytes(start[:8], 'little') <= LONGEST_SAFETENSORS_HEADER


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safetensors.safe_open(path, framework='pt', device='cpu') as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}
    except (safetensors.SafetensorError, OSError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise CheckpointError(
            f'{path} is no whole safetensors file ({_reason(error)}): its header is wrong or it was cut short; '
            'download or copy it again'
        ) from error
    # A shared tensor is stored once; the metadata has the name kept under each name left out, as `save_model` has it.
    for name, kept in metadata.items():
        if kept in state and name not in state:
            state[name] = state[kept]
    return state, metadata


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise CheckpointError(f'{path} is cut short or damaged ({_reason(error)}); download it again') from error
    if any(name.endswith('/constants.pkl') for name in names):
        raise CheckpointError(f'{path} is a TorchScript archive, expected a state dict; give the file it was made from')
    if not any(name.endswith('data.pkl') for name in names):
        raise CheckpointError(f'{path} is a zip archive that torch did not write; unpack it and give the file in it')


def _allowed_globals() -> list:
    """What a training checkpoint may name beside tensors: NumPy scalars (`best_fid`), under NumPy 1's and 2's names."""
    make_scalar = np.float64(0).__reduce__()[0]
    dtypes = {type(np.dtype(code)) for code in '?bBhHiIlLqQefd'}
    names = [(make_scalar, f'numpy.{package}.multiarray.scalar') for package in ('core', '_core')]
    return [*names, np.dtype, *dtypes]


def _reason(error: BaseException) -> str:
    text = getattr(error, 'strerror', None) or str(error).strip() or type(error).__name__
    return _shown(text.splitlines()[0], 120)


def _read_torch(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(_allowed_globals()):
            return torch.load(path, map_location='cpu', weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle may raise anything at all
        named = re.search(r'GLOBAL ([\w.]+)', str(error))
        if named:
            raise CheckpointError(
                f'{path} was refused: it names {_shown(named[1])}, and what is no tensor could run code when loaded; ask for a '
                'file made by torch.save(network.state_dict(), path)'
            ) from error
        reason = 'an unreadable pickle' if str(error).startswith('Weights only load failed') else _reason(error)
        raise CheckpointError(
            f'{path} is damaged, cut short or not written by torch.save ({reason}); download or copy it again'
        ) from error


def _read_file(path: Path) -> tuple[Any, dict[str, str], str]:
    """The content of a file, safetensors' metadata and the kind of container."""
    start = _read_start(path)
    _refuse_foreign(path, start)
    if start.startswith(ZIP_START):
        _check_archive(path)
        return _read_torch(path), {}, 'torch zip'
    if start.startswith(TORCH_PICKLE_START):
        return _read_torch(path), {}, 'torch pickle'
    if _looks_like_safetensors(start) or path.suffix == '.safetensors':
        return *_read_safetensors(path), 'safetensors'
    if start.startswith(PICKLE_START):
        raise CheckpointError(
            f'{path} is a pickle that torch.save did not write; it was not read, since it could run code: ask for a '
            'file made by torch.save(network.state_dict(), path)'
        )
    kind = 'text' if start.isascii() else f'a file that begins with the bytes {start[:4].hex(" ")}'
    raise CheckpointError(f'{path} is not a checkpoint but {kind}; give a .pt, .pth or .safetensors file')


def _unwrap(path: Path, content: Any) -> tuple[dict[str, Tensor], dict[str, Any], str]:
    """The bare state dict, what stands beside it, and the format."""
    rest, format_name = {}, 'plain state dict'
    if isinstance(content, Mapping):
        for key in ('model', 'state_dict'):
            if isinstance(content.get(key), Mapping):
                rest = {name: value for name, value in content.items() if name != key}
                content, format_name = content[key], 'training checkpoint'
                break
    if not isinstance(content, Mapping):
        raise CheckpointError(f'{path} holds a {type(content).__name__}, expected a state dict: names and tensors')
    if not content or not all(isinstance(name, str) and isinstance(x, Tensor) for name, x in content.items()):
        names = _names(list(content)) or 'nothing'
        raise CheckpointError(
            f'{path} holds no state dict (found {names}), expected tensors by name, bare or under model or state_dict'
        )
    state = {name: x.detach() for name, x in content.items()}
    _check_storage(path, state)
    return _bare(state), rest, format_name


def _check_storage(path: Path, state: Mapping[str, Tensor]) -> None:
    """Refuse what no network here computes with: tensors without numbers, sparse ones, 8-bit floats and the like."""
    for name, x in state.items():
        if x.is_nested or x.layout != torch.strided:
            found = 'nested' if x.is_nested else _name(x.layout)
        elif x.device.type != 'cpu':
            found = f'on the device {x.device}, which keeps no numbers'
        elif x.dtype not in FLOATS + WHOLE_NUMBERS:
            found = f'of type {_name(x.dtype)}'
        else:
            continue
        raise CheckpointError(
            f'{path}: {_shown(name)} is {found}, expected dense tensors of {", ".join(map(_name, FLOATS))} or whole '
            'numbers; save the weights as float32'
        )


def _bare(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take off what data parallel and torch.compile put before every name, and the filters that are no weights."""
    while state:
        prefix = next((prefix for prefix in WRAPPER_PREFIXES if all(name.startswith(prefix) for name in state)), None)
        if prefix is None:
            break
        state = {name.removeprefix(prefix): x for name, x in state.items()}
    filters = state.get(FILTERS_NAME)
    if filters is not None and tuple(filters.shape) == FILTERS_SHAPE:
        state = {name: x for name, x in state.items() if name != FILTERS_NAME}
    return state


def _description(
    path: Path, rest: Mapping[str, Any], metadata: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a file says of itself (empty where it says nothing) and what else stands beside the weights."""
    description, extra = rest.get('description'), rest
    if 'description' in metadata:
        try:
            description, extra = json.loads(metadata['description']), json.loads(metadata.get('extra', '{}'))
        except json.JSONDecodeError:  # somebody else's metadata: a description in words
            description = None
        except (ValueError, RecursionError) as error:
            raise CheckpointError(
                f'{path}: its metadata cannot be read ({_reason(error)}); the file was altered, download or copy it again'
            ) from error
    extra = dict(extra) if isinstance(extra, Mapping) else {}
    if not isinstance(description, dict) or not {'part', 'network', 'role'} <= description.keys():
        return {}, extra
    return description, {name: x for name, x in extra.items() if name != 'description'}


# ---- Checks


def _check_fits(source: str | Path, state: Mapping[str, Tensor], layout: _Layout, what: str) -> None:
    faults = []
    missing = [name for name in layout.tensors if name not in state]
    unexpected = [name for name in state if name not in layout.tensors]
    for kind, names in (('missing', missing), ('unexpected', unexpected)):
        if names:
            faults.append(f'{len(names)} {kind} ({_names(names)})')
    wrong = [
        f'{name} {list(state[name].shape)} {_name(state[name].dtype)}, expected {list(expected.shape)}'
        for name, expected in layout.tensors.items()
        if name in state
        and (state[name].shape != expected.shape or state[name].is_floating_point() != expected.is_floating_point())
    ]
    if wrong:
        faults.append(f'{len(wrong)} of a wrong shape or type ({_first_three(wrong)})')
    if faults:
        raise CheckpointError(
            f'{source} is not a whole {what} of {len(layout.tensors)} tensors: {"; ".join(faults)}; it is damaged or '
            'of another version'
        )


def _check_finite(source: str | Path, state: Mapping[str, Tensor], cause: str) -> None:
    # The extremes carry NaN along and need no memory, unlike a mask of what is finite.
    floats = {name: x for name, x in state.items() if x.is_floating_point()}
    broken = [name for name, x in floats.items() if not torch.isfinite(torch.stack(torch.aminmax(x))).all()]
    if broken:
        raise CheckpointError(f'{source}: {len(broken)} tensors are not finite, the first is {broken[0]}; {cause}')


def _check_tied(source: str | Path, state: Mapping[str, Tensor], layout: _Layout) -> None:
    pairs = [(name, first) for name, first in layout.tied.items() if state[name].data_ptr() != state[first].data_ptr()]
    differing = [name for name, first in pairs if not torch.equal(state[name], state[first])]
    if differing:
        first = layout.tied[differing[0]]
        raise CheckpointError(
            f'{source}: {differing[0]} differs from {first}, though they are one tensor under several names '
            f'({len(differing)} differ); the file was altered or its network does not share them'
        )


def _cast(state: Mapping[str, Tensor], layout: _Layout, dtype: torch.dtype | None) -> dict[str, Tensor]:
    """The state dict on the CPU, in the network's order, shared tensors shared, floating-point ones as `dtype`."""
    result = {}
    for name in layout.tensors:
        if name in layout.tied:
            result[name] = result[layout.tied[name]]
        else:
            x = state[name].detach().cpu()
            result[name] = (x.to(dtype) if dtype is not None and x.is_floating_point() else x).contiguous()
    return result


# ---- Reading


def _info(identity: tuple[str, str, str], said: Mapping[str, Any], extra: dict, kind: tuple[str, str]) -> CheckpointInfo:
    extra = {name: value.item() if isinstance(value, np.generic) else value for name, value in extra.items()}
    size, align_corners, family = said.get('size'), said.get('align_corners'), said.get('family')
    epoch = extra.get('epoch')
    return CheckpointInfo(
        *identity,
        align_corners=align_corners if isinstance(align_corners, bool) else None,
        size=tuple(size) if isinstance(size, list | tuple) and list(map(type, size)) == [int, int] else None,
        family=family if isinstance(family, str) else None,
        epoch=epoch if isinstance(epoch, int) and not isinstance(epoch, bool) else None,
        format=kind[0],
        container=kind[1],
        extra=extra,
    )


def read_checkpoint(path: str | Path, *, dtype: torch.dtype | None = torch.float32) -> tuple[dict[str, Tensor], CheckpointInfo]:
    """Read a checkpoint of any known format: its complete, checked state dict on the CPU, and what it is.

    Prefixes of data parallel and the filters of unfinished training are taken off. Floating-point tensors come as
    `dtype`, so weights stored in 16 bits are usable everywhere; None keeps them as stored. Raises `MissingFileError` or
    `CheckpointError` in one line: not a checkpoint, none of the networks, incomplete, not finite.
    """
    path = expand(path)
    content, metadata, container = _read_file(path)
    state, rest, format_name = _unwrap(path, content)
    description, extra = _description(path, rest, metadata)
    identity = identify(state, source=path)
    part, network, role = identity
    said = tuple(description.get(key) for key in ('part', 'network', 'role'))
    if description and said != identity:
        raise CheckpointError(
            f'{path} calls itself {" ".join(map(_shown, said))}, but its tensors are those of {" ".join(identity)}; it '
            'was altered or is of another version'
        )
    layout = _layout(*identity)
    _check_fits(path, state, layout, f'{network} ({PARTS[part]}, {role})')
    _check_finite(path, state, 'the training diverged or the file is damaged')
    _check_tied(path, state, layout)
    result = _cast(state, layout, dtype)
    changed = {name: x for name, x in result.items() if x.dtype != state[name].dtype}
    _check_finite(path, changed, f'they leave the range of {dtype and _name(dtype)}; the file is damaged or of another kind')
    kind = 'self-describing' if description else format_name
    return result, _info(identity, description, extra, (kind, container))


def _check_asked(path: Path, info: CheckpointInfo, part: str, network: str | None, role: str) -> None:
    if info.part != part:
        raise CheckpointError(
            f'{path} holds the {PARTS[info.part]} {info.network} where a {PARTS[part]} is needed; are the two files swapped?'
        )
    if network is not None and info.network != network:
        found, asked = (' or '.join(_families(part, name, role)) or 'no family' for name in (info.network, network))
        raise CheckpointError(
            f'{path} holds the {PARTS[part]} {info.network} ({found}), asked was {network} ({asked}); name the family '
            'of the file or give the file of the family'
        )
    if info.role != role:
        raise CheckpointError(
            f"{path} holds a {info.role}'s {info.network} where a {role}'s is needed; give the {role}'s file "
            '(parser-based weights, pb, are the teacher; parser-free weights, pf, the student)'
        )


def load_network(
    path: str | Path,
    *,
    part: str,
    family: str | None = None,
    network: str | None = None,
    role: str = 'student',
    align_corners: bool | None = None,
    device: str | torch.device = 'cpu',
) -> tuple[nn.Module, CheckpointInfo]:
    """Make the network that a checkpoint holds, load it strictly, and return it in eval mode on `device` in float32.

    `part` is 'warp' or 'generator'; `family` or `network` (names in the registry) say what is expected, neither takes
    what the file has. `align_corners` is a warp network's: the argument, else what the file says, else True, which
    published weights want; the info returned says what was chosen. Raises what `read_checkpoint` raises,
    `CheckpointError` where the file is of another part, family or role, and ValueError for an unknown name.
    """
    choose('part', part, PARTS)
    choose('role', role, ROLES)
    if family is not None:
        expected = getattr(FAMILIES[choose('family', family, FAMILIES)], part)
        if network not in (None, expected):
            raise ValueError(f'the {PARTS[part]} of {family} is {expected}, asked was {network}; leave one of them out')
        network = expected
    if network is not None:
        choose(PARTS[part], network, WARPS if part == 'warp' else GENERATORS)
    state, info = read_checkpoint(path)
    _check_asked(expand(path), info, part, network, role)
    if part == 'warp':
        said = info.align_corners is None or info.align_corners
        info = info._replace(align_corners=said if align_corners is None else align_corners)
    module = _create_blank(part, info.network, role, info.align_corners)
    module.load_state_dict(state, strict=True)
    return module.eval().to(device), info


# ---- Writing


def _plain(value: Any, name: str) -> Any:
    """The same without NumPy scalars; everything in it can be read back with `weights_only`."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: _plain(x, f'{name}.{key}') for key, x in value.items()}
    if isinstance(value, list | tuple):
        return (tuple if isinstance(value, tuple) else list)(_plain(x, name) for x in value)
    if value is None or isinstance(value, Tensor) or type(value) in (bool, int, float, str):
        return value
    raise TypeError(f'{name} is a {type(value).__name__}; a checkpoint keeps tensors, numbers, words, lists and dicts')


def _write(path: Path, state: dict[str, Tensor], layout: _Layout, description: dict, extra: dict) -> None:
    metadata = {}
    if path.suffix == '.safetensors':
        try:
            metadata = {'format': 'pt', 'description': json.dumps(description), 'extra': json.dumps(extra)}
        except (TypeError, ValueError, RecursionError) as error:
            raise CheckpointError(
                f'{path}: safetensors keeps only numbers and words beside the weights (asked to keep '
                f'{_names(list(extra))}); save as .pt'
            ) from error
    try:
        with atomic_write(path) as temporary:
            with open(temporary, 'wb') as file:
                if metadata:  # through memory, since `save_file` makes files that nobody but their owner may read
                    stored = {name: x for name, x in state.items() if name not in layout.tied}
                    file.write(safetensors.torch.save(stored, metadata | layout.tied))
                else:
                    torch.save({'model': state, 'description': description, **extra}, file)
    except UserError:
        raise
    except (OSError, RuntimeError, ValueError, safetensors.SafetensorError) as error:
        # When a write fails, torch's writer goes on and complains of positions; the disk's own words are underneath.
        cause = error.__context__ if isinstance(error.__context__, OSError) else error
        raise CheckpointError(f'{path} cannot be written ({_reason(cause)}); what was there before is untouched') from error


def save_checkpoint(
    path: str | Path,
    weights: nn.Module | Mapping[str, Tensor],
    *,
    part: str,
    network: str,
    role: str,
    align_corners: bool | None = None,
    size: tuple[int, int] | None = None,
    family: str | None = None,
    extra: Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write a network or its state dict as a checkpoint that describes itself, whole or not at all.

    `.pt` and `.pth` become a dict with `model`, `description` and the entries of `extra` (epoch, optimizer, best_fid,
    ...); `.safetensors` has the description in its metadata, takes only numbers and words as `extra` and stores shared
    tensors once. `size` is (height, width) in pixels; `dtype` casts floating-point weights, None keeps them. Raises
    `CheckpointError` for another suffix, for weights that do not fit or are not finite (after the cast too), and for a
    failed write: the old file stays.
    """
    path = expand(path)
    if path.suffix not in SUFFIXES:
        raise CheckpointError(f'{path}: unknown suffix {path.suffix!r}; choose from {", ".join(SUFFIXES)}')
    state = _bare(dict(weights.state_dict() if isinstance(weights, nn.Module) else weights))
    extra = _plain(extra or {}, 'extra')
    taken = {'model', 'state_dict', 'description'} & extra.keys()
    if taken:
        raise ValueError(f'extra may not contain {", ".join(sorted(taken))}: the checkpoint itself uses the name')
    layout = _layout(part, network, role)
    _check_fits(f'{path} was not written: what was given', state, layout, f'{network} ({PARTS[part]}, {role})')
    _check_tied(f'{path} was not written', state, layout)
    state = _cast(state, layout, dtype)
    cause = 'the training diverged; try a lower learning rate'
    if dtype == torch.float16:
        cause = 'they leave the range of float16, try bfloat16, or the training diverged'
    _check_finite(f'{path} was not written', state, cause)
    description = {
        'version': 1,
        'part': part,
        'network': network,
        'role': role,
        'align_corners': align_corners,
        'size': None if size is None else [int(side) for side in size],
        'family': family,
    }
    _write(path, state, layout, description, extra)


# ---- Command line


def _said(value: Any, text: str | None = None) -> str:
    return 'not said' if value is None else text or _shown(value)


def _table(path: Path) -> list[tuple[str, str]]:
    state, info = read_checkpoint(path, dtype=None)
    layout = _layout(*info[:3])
    once = {name: x for name, x in state.items() if name not in layout.tied}
    count = sum(x.numel() for name, x in once.items() if name in layout.parameters)
    megabytes = sum(x.numel() * x.element_size() for x in once.values()) / 1e6
    dtypes = sorted({_name(x.dtype) for x in once.values() if x.is_floating_point()})
    candidates = ' or '.join(_families(*info[:3]))
    extra = [
        f'{_shown(name)} = {_shown(value)}'
        if isinstance(value, bool | int | float | str)
        else f'{_shown(name)} ({type(value).__name__})'
        for name, value in info.extra.items()
        if name != 'epoch'
    ]
    return [
        ('network', f'{info.network} ({PARTS[info.part]})'),
        ('role', info.role),
        ('family', _shown(info.family) if info.family else f'not said; fits {candidates}'),
        ('parameters', f'{count:,}'),
        ('memory', f'{megabytes:.1f} MB with buffers, shared tensors once'),
        ('dtype', ', '.join(dtypes)),
        ('format', f'{info.format} ({info.container}, {path.stat().st_size / 1e6:.1f} MB on disk)'),
        ('align_corners', _said(info.align_corners) if info.part == 'warp' else 'of warp networks only'),
        ('size', _said(info.size, info.size and f'{info.size[0]} x {info.size[1]} (H x W)')),
        ('epoch', _said(info.epoch)),
        ('beside it', ', '.join(extra) or 'nothing'),
    ]


def _inspect(options: argparse.Namespace) -> None:
    for number, path in enumerate(options.files):
        rows = _table(path)
        print(f'{"" if number == 0 else chr(10)}{path}')
        for name, value in rows:
            print(f'  {name:<14} {value}')


def _convert(options: argparse.Namespace) -> None:
    source, target = options.source, options.target
    if os.path.exists(target) and os.path.exists(source) and os.path.samefile(target, source):
        raise CheckpointError(f'{target} is the file to convert; give another name for the result')
    if target.suffix not in SUFFIXES:
        raise CheckpointError(f'{target}: unknown suffix {target.suffix!r}; choose from {", ".join(SUFFIXES)}')
    state, info = read_checkpoint(source, dtype=None)
    candidates = _families(*info[:3])
    family = options.family or info.family or (candidates[0] if len(candidates) == 1 else None)
    if options.family and options.family not in candidates:
        raise CheckpointError(
            f"{source} holds the {info.role}'s {info.network} ({' or '.join(candidates)}), asked was {options.family}"
        )
    kept = {name: value for name, value in info.extra.items() if isinstance(value, bool | int | float | str)}
    left_out = [_shown(name) for name in info.extra if name not in kept]
    save_checkpoint(
        target,
        state,
        part=info.part,
        network=info.network,
        role=info.role,
        align_corners=info.align_corners,
        size=info.size,
        family=family,
        extra=kept,
        dtype=DTYPES.get(options.dtype),
    )
    print(f'{target}: {info.network} ({PARTS[info.part]}, {info.role}), {target.stat().st_size / 1e6:.1f} MB')
    if left_out:
        print(f'left out, since only training needs it: {", ".join(left_out)}')


def from_teacher(weights: Mapping[str, Tensor], teacher: Mapping[str, Tensor], *, part: str) -> dict[str, Tensor]:
    """A student's state dict `weights` with all that fits from the same network in a teacher's role.

    Roles differ in the first convolution of what sees the person. A generator's takes the channels that both roles have,
    picture, warped cloth and warped edge; a warp network's condition has nothing in common and stays as it is.
    """
    result = {}
    for name, own in weights.items():
        other = teacher[name]
        if other.shape != own.shape:
            other = other[:, : own.shape[1]] if part == 'generator' else own
        result[name] = other.clone()
    return result


def _teachers(options: argparse.Namespace) -> dict[str, dict[str, Tensor]]:
    """The state dicts of the teacher's files by part."""
    if options.teacher and options.role != 'student':
        raise CheckpointError('--teacher: only a student begins with what a teacher has learnt; leave --role out')
    states = {}
    for path in options.teacher or ():
        state, info = read_checkpoint(path)
        _check_asked(path, info, info.part, getattr(FAMILIES[options.family], info.part), 'teacher')
        if info.part in states:
            raise CheckpointError(f'{path}: a second {PARTS[info.part]}; give one of each')
        states[info.part] = state
    return states


def _init(options: argparse.Namespace) -> None:
    family = FAMILIES[options.family]
    if options.role not in family.roles:
        raise CheckpointError(f'{family.name} has no {options.role}; it was published as {" and ".join(family.roles)}')
    names = {part: f'{family.name}_{options.role}_{end}.pt' for part, end in (('warp', 'warp'), ('generator', 'gen'))}
    for name in names.values():
        if os.path.exists(options.out / name):
            raise CheckpointError(f'{options.out / name} exists already; delete it or give another --out')
    teachers = _teachers(options)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f'{options.out} cannot be created ({_reason(error)}); give another --out') from error
    for part, name in names.items():
        network = getattr(family, part)
        torch.manual_seed(options.seed)
        weights = _create(part, network, options.role).state_dict()
        if part in teachers:
            weights = from_teacher(weights, teachers[part], part=part)
        save_checkpoint(
            options.out / name,
            weights,
            part=part,
            network=network,
            role=options.role,
            align_corners=True if part == 'warp' else None,
            size=(256, 192),
            family=family.name,
            extra={'epoch': 0, 'untrained': True},
        )
        print(options.out / name)
    print('These weights are as initialised, UNTRAINED: right in names and shapes, their pictures mean nothing.')


def _seed(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value <= LARGEST_SEED:
        raise argparse.ArgumentTypeError(f'{_shown(text)!r} is not a whole number from 0 to {LARGEST_SEED}')
    return value


def _parser() -> OptionParser:
    parser = OptionParser('Inspect and convert checkpoints.', prog='python -m utils.checkpoint')
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    inspect = commands.add_parser('inspect', help='say what a file holds; an error where it cannot be used')
    inspect.add_argument('files', type=expand, nargs='+', metavar='FILE')
    inspect.set_defaults(run=_inspect)
    convert = commands.add_parser('convert', help='rewrite any known file so that it describes itself')
    convert.add_argument('source', type=expand, metavar='IN')
    convert.add_argument('target', type=expand, metavar='OUT', help=f'the suffix decides: {", ".join(SUFFIXES)}')
    convert.add_argument('--family', choices=FAMILIES, help='what the file says, where its network fits several')
    convert.add_argument('--dtype', choices=DTYPES, help='store floating-point weights as this; default: as they are')
    convert.set_defaults(run=_convert)
    init = commands.add_parser('init', help='write untrained weights of both networks, for trying things out')
    init.add_argument('--family', choices=FAMILIES, required=True)
    init.add_argument('--role', choices=ROLES, default='student', help='whose networks')
    init.add_argument(
        '--teacher',
        type=expand,
        nargs='+',
        metavar='FILE',
        help="a trained teacher's files: a student of the same family begins with all of their weights that fit it",
    )
    init.add_argument('--seed', type=_seed, default=0, help='another seed draws other weights')
    init.add_argument('--out', type=expand, required=True, metavar='DIR')
    init.set_defaults(run=_init)
    return parser


@exit_cleanly
def main(arguments: list[str] | None = None) -> None:
    """Run the command line; `arguments` default to those of the process. A user's mistake exits with 2 and one line."""
    options = _parser().parse_args(arguments)
    options.run(options)


if __name__ == '__main__':
    main()
