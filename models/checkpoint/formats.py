"""Checkpoint files of all published formats: containers, wrappers, descriptions, read without running code.

A format is recognised by content, never by file name: plain state dicts (PF-AFN, FS-VTON, RMGN releases),
dicts with `model` and the training state (DM-VTON release), torch's zip and older pickle container,
safetensors.
"""

import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from torch import Tensor

from models.checkpoint.messages import listed, name_of, reason_of, shown
from utils.errors import CheckpointError, MissingFileError
from utils.paths import kind_of

SUFFIXES = ('.pt', '.pth', '.safetensors')
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
WHOLE_NUMBERS = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
# Data parallel and torch.compile put these before every name.
WRAPPER_PREFIXES = ('module.', '_orig_mod.')
# The constant second-difference filters, present in a warp network saved in the middle of its training.
FILTERS_NAME, FILTERS_SHAPE = 'aflow_net.weight', (4, 1, 3, 3)
GIVE_ANOTHER = 'give a .pt, .pth or .safetensors file'
LONGEST_SAFETENSORS_HEADER = 100_000_000
ZIP_START, PICKLE_START = b'PK\x03\x04', b'\x80'
TORCH_PICKLE_START = b'\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'
# What safetensors raises for damaged bytes.
DAMAGE = safetensors.SafetensorError, OSError, ValueError, TypeError, AttributeError, RuntimeError
FOREIGN_STARTS = (
    (b'\xff\xd8\xff', 'a JPEG picture'),
    (b'\x89PNG', 'a PNG picture'),
    (b'\x1f\x8b', 'a gzip archive; unpack it'),
    (b'version https://git-lfs', 'a Git LFS pointer; run git lfs pull'),
)


def check_suffix(path: Path) -> None:
    """Raise `CheckpointError` unless a file to be written has one of `SUFFIXES`."""
    if path.suffix not in SUFFIXES:
        raise CheckpointError(f'{path}: unknown suffix {path.suffix!r}; choose from {", ".join(SUFFIXES)}')


def _read_start(path: Path) -> bytes:
    try:
        kind, start = kind_of(path), b''
        if kind == 'file':
            with open(path, 'rb') as file:
                start = file.read(1024)
    except FileNotFoundError:
        hint = 'check the path or download the weights first'
        raise MissingFileError(f'{path}: there is no such file; {hint}') from None
    except (OSError, ValueError) as error:
        hint = 'check its permissions and the disk'
        raise CheckpointError(f'{path} cannot be read: {reason_of(error)}; {hint}') from error
    if kind != 'file':
        raise CheckpointError(f'{path} is a {kind}, expected a checkpoint file; give the file itself')
    if not start:
        raise CheckpointError(f'{path} is empty (0 bytes); download or copy it again')
    return start


def _refuse_foreign(path: Path, start: bytes) -> None:
    text = start.removeprefix(b'\xef\xbb\xbf').lstrip().lower()
    if text.startswith((b'<!doctype', b'<html', b'<head', b'<?xml')):
        raise CheckpointError(
            f'{path} is a web page, not weights: Google Drive sends one for a download over its quota or '
            'to be confirmed; delete the file, download it in a browser, and check that it has megabytes'
        )
    for foreign_start, kind in FOREIGN_STARTS:
        if start.startswith(foreign_start):
            raise CheckpointError(f'{path} is not a checkpoint but {kind}; {GIVE_ANOTHER}')


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safetensors.safe_open(path, framework='pt', device='cpu') as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}
    except DAMAGE as error:
        raise CheckpointError(
            f'{path} is no whole safetensors file ({reason_of(error)}): '
            'its header is wrong or it was cut short; download or copy it again'
        ) from error
    # A shared tensor is stored once; the metadata has the name kept under each name left out, as `save_model`
    # has it.
    for name, kept in metadata.items():
        if kept in state and name not in state:
            state[name] = state[kept]
    return state, metadata


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        damage = f'{path} is cut short or damaged ({reason_of(error)})'
        raise CheckpointError(f'{damage}; download it again') from error
    if any(name.endswith('/constants.pkl') for name in names):
        raise CheckpointError(
            f'{path} is a TorchScript archive, expected a state dict; give the file it was made from'
        )
    if not any(name.endswith('data.pkl') for name in names):
        raise CheckpointError(
            f'{path} is a zip archive that torch did not write; unpack it and give the file in it'
        )


def _allowed_globals() -> list:
    """Globals a training checkpoint may use: NumPy scalars (`best_fid`), by NumPy 1's and 2's names."""
    make_scalar = np.float64(0).__reduce__()[0]
    dtypes = {type(np.dtype(code)) for code in '?bBhHiIlLqQefd'}
    names = [(make_scalar, f'numpy.{package}.multiarray.scalar') for package in ('core', '_core')]
    return [*names, np.dtype, *dtypes]


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
                f'{path} was refused: it names {shown(named[1])}, which could run code when loaded; '
                'ask for a file made by torch.save(network.state_dict(), path)'
            ) from error
        refused = str(error).startswith('Weights only load failed')
        reason = 'an unreadable pickle' if refused else reason_of(error)
        raise CheckpointError(
            f'{path} is damaged, cut short or not written by torch.save ({reason}); download or copy it again'
        ) from error


def read_file(path: Path) -> tuple[Any, dict[str, str], str]:
    """The content of a file, safetensors' metadata and the kind of container."""
    start = _read_start(path)
    _refuse_foreign(path, start)
    if start.startswith(ZIP_START):
        _check_archive(path)
        return _read_torch(path), {}, 'torch zip'
    if start.startswith(TORCH_PICKLE_START):
        return _read_torch(path), {}, 'torch pickle'
    has_header = start[8:9] == b'{' and int.from_bytes(start[:8], 'little') <= LONGEST_SAFETENSORS_HEADER
    if has_header or path.suffix == '.safetensors':
        return *_read_safetensors(path), 'safetensors'
    if start.startswith(PICKLE_START):
        raise CheckpointError(
            f'{path} is a pickle that torch.save did not write; it was not read, since it could run code: '
            'ask for a file made by torch.save(network.state_dict(), path)'
        )
    kind = 'text' if start.isascii() else f'a file that begins with the bytes {start[:4].hex(" ")}'
    raise CheckpointError(f'{path} is not a checkpoint but {kind}; {GIVE_ANOTHER}')


def unwrap(path: Path, content: Any) -> tuple[dict[str, Tensor], dict[str, Any], str]:
    """The bare state dict, what stands beside it, and the format."""
    rest, format_name = {}, 'plain state dict'
    if isinstance(content, Mapping):
        for key in ('model', 'state_dict'):
            if isinstance(content.get(key), Mapping):
                rest = {name: value for name, value in content.items() if name != key}
                content, format_name = content[key], 'training checkpoint'
                break
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f'{path} holds a {type(content).__name__}, expected a state dict: names and tensors'
        )
    if not content or not all(isinstance(name, str) and isinstance(x, Tensor) for name, x in content.items()):
        names = listed(list(content)) or 'nothing'
        raise CheckpointError(
            f'{path} holds no state dict (found {names}), expected tensors by name, under model or state_dict'
        )
    state = {name: x.detach() for name, x in content.items()}
    _check_storage(path, state)
    return bare(state), rest, format_name


def _check_storage(path: Path, state: Mapping[str, Tensor]) -> None:
    """Refuse tensors that no network computes with: without numbers, sparse, 8-bit floats and the like."""
    for name, x in state.items():
        if x.is_nested or x.layout != torch.strided:
            found = 'nested' if x.is_nested else name_of(x.layout)
        elif x.device.type != 'cpu':
            found = f'on the device {x.device}, which keeps no numbers'
        elif x.dtype not in FLOATS + WHOLE_NUMBERS:
            found = f'of type {name_of(x.dtype)}'
        else:
            continue
        raise CheckpointError(
            f'{path}: {shown(name)} is {found}, expected dense tensors of {", ".join(map(name_of, FLOATS))} '
            'or whole numbers; save the weights as float32'
        )


def bare(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Strip the prefixes of data parallel and torch.compile, and the filters that are no weights."""
    while state:
        prefix = next(
            (prefix for prefix in WRAPPER_PREFIXES if all(name.startswith(prefix) for name in state)), None
        )
        if prefix is None:
            break
        state = {name.removeprefix(prefix): x for name, x in state.items()}
    filters = state.get(FILTERS_NAME)
    if filters is not None and tuple(filters.shape) == FILTERS_SHAPE:
        state = {name: x for name, x in state.items() if name != FILTERS_NAME}
    return state


def read_description(
    path: Path, rest: Mapping[str, Any], metadata: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The description in a file (empty if there is none) and the other entries beside the weights."""
    description, extra = rest.get('description'), rest
    if 'description' in metadata:
        try:
            description, extra = json.loads(metadata['description']), json.loads(metadata.get('extra', '{}'))
        except json.JSONDecodeError:  # somebody else's metadata: a description in words
            description = None
        except (ValueError, RecursionError) as error:
            raise CheckpointError(
                f'{path}: its metadata cannot be read ({reason_of(error)}); altered? download it again'
            ) from error
    extra = dict(extra) if isinstance(extra, Mapping) else {}
    if not isinstance(description, dict) or not {'part', 'network', 'role'} <= description.keys():
        return {}, extra
    return description, {name: x for name, x in extra.items() if name != 'description'}
