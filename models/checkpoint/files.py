"""Checkpoints read, loaded strictly and written: any known format in, one self-describing format out."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from models.checkpoint.formats import bare, check_suffix, read_description, read_file, unwrap
from models.checkpoint.identity import PARTS, Layout, create_blank, families_of, identify, layout_of
from models.checkpoint.messages import first_three, listed, name_of, reason_of, shown
from models.registry import GENERATORS, ROLES, WARPS, choose, find_family
from utils.errors import CheckpointError, UserError
from utils.paths import atomic_write, expand


class CheckpointInfo(NamedTuple):
    """Description of a checkpoint: part, network, role from its tensors; None for entries it lacks."""

    part: str  # 'warp' | 'generator' | 'baseline'
    network: str  # name in the registry
    role: str  # 'teacher' | 'student'; 'parser-based' of a baseline
    align_corners: bool | None
    size: tuple[int, int] | None  # height and width in pixels
    family: str | None
    epoch: int | None
    format: str  # 'plain state dict' | 'training checkpoint' | 'self-describing'
    container: str  # 'torch zip' | 'torch pickle' | 'safetensors'
    extra: dict[str, Any]  # what stands beside the weights: epoch, optimizer, best_fid, ...
    notes: tuple[str, ...] = ()  # what a user may want to know of the file, a line each


def _check_fits(source: str | Path, state: Mapping[str, Tensor], layout: Layout, what: str) -> None:
    faults = []
    missing = [name for name in layout.tensors if name not in state]
    unexpected = [name for name in state if name not in layout.tensors]
    for kind, names in (('missing', missing), ('unexpected', unexpected)):
        if names:
            faults.append(f'{len(names)} {kind} ({listed(names)})')
    wrong = []
    for name, expected in layout.tensors.items():
        found = state.get(name, expected)
        if (found.shape, found.is_floating_point()) != (expected.shape, expected.is_floating_point()):
            shapes = f'{list(found.shape)} {name_of(found.dtype)}, expected {list(expected.shape)}'
            wrong.append(f'{name} {shapes}')
    if wrong:
        faults.append(f'{len(wrong)} of a wrong shape or type ({first_three(wrong)})')
    if faults:
        whole = f'{source} is not a whole {what} of {len(layout.tensors)} tensors'
        raise CheckpointError(f'{whole}: {"; ".join(faults)}; it is damaged or of another version')


def _check_finite(source: str | Path, state: Mapping[str, Tensor], cause: str) -> None:
    # The extremes carry NaN along and need no memory, unlike a mask of what is finite.
    floats = {name: x for name, x in state.items() if x.is_floating_point()}
    broken = [name for name, x in floats.items() if not torch.isfinite(torch.stack(torch.aminmax(x))).all()]
    if broken:
        problem = f'{len(broken)} tensors are not finite, the first is {broken[0]}'
        raise CheckpointError(f'{source}: {problem}; {cause}')


def _check_tied(source: str | Path, state: Mapping[str, Tensor], layout: Layout) -> None:
    pairs = [(name, state[name], state[first]) for name, first in layout.tied.items()]
    # Tensors in one place of memory need no comparison.
    differing = [name for name, x, y in pairs if x.data_ptr() != y.data_ptr() and not torch.equal(x, y)]
    if differing:
        first = layout.tied[differing[0]]
        raise CheckpointError(
            f'{source}: {differing[0]} differs from {first}, but the two names share one tensor '
            f'({len(differing)} differ); the file was altered or its network does not share them'
        )


def _fill_tied(state: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """The state dict with both names of shared tensors; `safetensors.load_file` leaves one."""
    names: dict[str, list[str]] = {}
    for name, first in layout.tied.items():
        names.setdefault(first, [first]).append(name)
    filled = dict(state)
    for group in names.values():
        stored = next((state[name] for name in group if name in state), None)
        if stored is not None:
            filled |= {name: stored for name in group if name not in state}
    return filled


def _cast(state: Mapping[str, Tensor], layout: Layout, dtype: torch.dtype | None) -> dict[str, Tensor]:
    """The state dict on the CPU, in the network's order, shared tensors shared, floats as `dtype`."""
    result: dict[str, Tensor] = {}
    for name in layout.tensors:
        if name in layout.tied:
            result[name] = result[layout.tied[name]]
        else:
            x = state[name].detach().cpu()
            result[name] = (x.to(dtype) if dtype is not None and x.is_floating_point() else x).contiguous()
    return result


def _info(
    identity: tuple[str, str, str], said: Mapping[str, Any], extra: dict, kind: tuple[str, str]
) -> CheckpointInfo:
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


def read_checkpoint(
    path: str | Path, *, dtype: torch.dtype | None = torch.float32
) -> tuple[dict[str, Tensor], CheckpointInfo]:
    """Read a checkpoint of any known format: its complete, checked state dict on the CPU, and what it is.

    Prefixes of data parallel and the filters of unfinished training are taken off. Floating-point tensors
    come as `dtype`, so weights stored in 16 bits are usable everywhere; None keeps them as stored. Tensors
    that the network does not have are an error in a file that describes itself, and a note where it does not.
    Raises `MissingFileError` or `CheckpointError` in one line: not a checkpoint, none of the networks,
    incomplete, not finite.
    """
    path = expand(path)
    content, metadata, container = read_file(path)
    state, rest, format_name = unwrap(path, content)
    description, extra = read_description(path, rest, metadata)
    identity = identify(state, source=path)
    part, network, role = identity
    said = tuple(description.get(key) for key in ('part', 'network', 'role'))
    if description and said != identity:
        raise CheckpointError(
            f'{path} calls itself {" ".join(map(shown, said))}, but has the tensors of {" ".join(identity)}; '
            'it was altered or is of another version'
        )
    layout = layout_of(*identity)
    notes: tuple[str, ...] = ()
    state = _fill_tied(state, layout)
    unknown = [name for name in state if name not in layout.tensors]
    if unknown and not description:
        state = {name: x for name, x in state.items() if name in layout.tensors}
        left_out = f'{len(unknown)} tensors that {network} does not have were left out'
        notes = (f'{path}: {left_out} ({listed(unknown)})',)
    _check_fits(path, state, layout, f'{network} ({PARTS[part]}, {role})')
    _check_finite(path, state, 'the training diverged or the file is damaged')
    _check_tied(path, state, layout)
    result = _cast(state, layout, dtype)
    changed = {name: x for name, x in result.items() if x.dtype != state[name].dtype}
    beyond = f'they leave the range of {dtype and name_of(dtype)}; the file is damaged or of another kind'
    _check_finite(path, changed, beyond)
    kind = 'self-describing' if description else format_name
    return result, _info(identity, description, extra, (kind, container))._replace(notes=notes)


def check_asked(path: Path, info: CheckpointInfo, part: str, network: str | None, role: str) -> None:
    """Raise `CheckpointError` unless a checkpoint holds the part, network (None: any) and role asked for."""
    if info.part != part:
        advice = 'are the two files swapped?'
        if info.part == 'baseline':
            method = info.network.partition('.')[0]
            advice = f'a compared method is run by test.py --family {method} --checkpoint'
        raise CheckpointError(
            f'{path} holds the {PARTS[info.part]} {info.network} where a {PARTS[part]} is needed; {advice}'
        )
    if network is not None and info.network != network:
        families = [families_of(part, name, role) for name in (info.network, network)]
        found, asked = (' or '.join(names) or 'no family' for names in families)
        raise CheckpointError(
            f'{path} holds the {PARTS[part]} {info.network} ({found}), asked was {network} ({asked}); '
            'name the family of the file or give the file of the family'
        )
    if info.role != role:
        raise CheckpointError(
            f"{path} holds a {info.role}'s {info.network} where a {role}'s is needed; give the {role}'s file "
            '(parser-based weights, pb, are the teacher; parser-free weights, pf, the student)'
        )


def load_state(
    path: str | Path, *, part: str, network: str | None, role: str, align_corners: bool | None = None
) -> tuple[dict[str, Tensor], CheckpointInfo]:
    """Return a checkpoint's state dict, in float32; it must hold `network` (None: any) as `part` and `role`.

    `align_corners` is what a warp network will be used with: its info has a note where the file says
    otherwise. Raises as `load_network`.
    """
    path = expand(path)
    state, info = read_checkpoint(path)
    check_asked(path, info, part, network, role)
    flags = info.align_corners, align_corners
    if part == 'warp' and None not in flags and flags[0] != flags[1]:
        said, asked = ('on' if flag else 'off' for flag in flags)
        note = f'{path} was trained with align_corners {said}, this run has it {asked}: is that meant?'
        info = info._replace(notes=(*info.notes, note))
    return state, info


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
    """Make a checkpoint's network, load it strictly, and return it in eval mode on `device` in float32.

    `part` is 'warp' or 'generator'; `family` or `network` (names in the registry) say what is expected,
    neither takes what the file has. `align_corners` is a warp network's: the argument, else what the file
    says, else True, which published weights want; the info returned says what was chosen. Raises what
    `read_checkpoint` raises, `CheckpointError` where the file is of another part, family or role, and
    ValueError for an unknown name.
    """
    choose('part', part, PARTS)
    choose('role', role, ROLES)
    if family is not None:
        expected = getattr(find_family(family), part)
        if network not in (None, expected):
            problem = f'the {PARTS[part]} of {family} is {expected}, asked was {network}'
            raise ValueError(f'{problem}; leave one of them out')
        network = expected
    if network is not None:
        choose(PARTS[part], network, WARPS if part == 'warp' else GENERATORS)
    state, info = load_state(path, part=part, network=network, role=role, align_corners=align_corners)
    if part == 'warp':
        said = info.align_corners is None or info.align_corners
        info = info._replace(align_corners=said if align_corners is None else align_corners)
    module = create_blank(part, info.network, role, info.align_corners is not False)
    module.load_state_dict(state, strict=True)
    return module.eval().to(device), info


def _plain(value: Any, name: str) -> Any:
    """The value without NumPy scalars, readable with `weights_only`. Raises TypeError for other types."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: _plain(x, f'{name}.{key}') for key, x in value.items()}
    if isinstance(value, list | tuple):
        return (tuple if isinstance(value, tuple) else list)(_plain(x, name) for x in value)
    if value is None or isinstance(value, Tensor) or type(value) in (bool, int, float, str):
        return value
    raise TypeError(
        f'{name} is a {type(value).__name__}; a checkpoint keeps tensors, numbers, words, lists and dicts'
    )


def _write(path: Path, state: dict[str, Tensor], layout: Layout, description: dict, extra: dict) -> None:
    metadata = {}
    if path.suffix == '.safetensors':
        try:
            metadata = {'format': 'pt', 'description': json.dumps(description), 'extra': json.dumps(extra)}
        except (TypeError, ValueError, RecursionError) as error:
            raise CheckpointError(
                f'{path}: safetensors keeps only numbers and words beside the weights '
                f'(asked to keep {listed(list(extra))}); save as .pt'
            ) from error
    try:
        with atomic_write(path) as temporary:
            with open(temporary, 'wb') as file:
                if metadata:  # through memory: `save_file` makes files that only their owner may read
                    stored = {name: x for name, x in state.items() if name not in layout.tied}
                    file.write(safetensors.torch.save(stored, metadata | layout.tied))
                else:
                    torch.save({'model': state, 'description': description, **extra}, file)
    except UserError:
        raise
    except (OSError, RuntimeError, ValueError, safetensors.SafetensorError) as error:
        # After a failed write torch's writer raises an error about positions; the OSError is its context.
        cause = error.__context__ if isinstance(error.__context__, OSError) else error
        raise CheckpointError(
            f'{path} cannot be written ({reason_of(cause)}); what was there before is untouched'
        ) from error


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

    `.pt` and `.pth` become a dict with `model`, `description` and the entries of `extra` (epoch, optimizer,
    best_fid, ...); `.safetensors` has the description in its metadata, takes only numbers and words as
    `extra` and stores shared tensors once. `size` is (height, width) in pixels; `dtype` casts floating-point
    weights, None keeps them. Raises `CheckpointError` for another suffix, for weights that do not fit or are
    not finite (after the cast too), and for a failed write: the old file stays.
    """
    path = expand(path)
    check_suffix(path)
    state = bare(dict(weights.state_dict() if isinstance(weights, nn.Module) else weights))
    beside: dict[str, Any] = _plain(extra or {}, 'extra')
    if taken := sorted({'model', 'state_dict', 'description'} & beside.keys()):
        raise ValueError(f'extra may not contain {", ".join(taken)}: the checkpoint itself uses the name')
    layout, refused = layout_of(part, network, role), f'{path} was not written'
    _check_fits(f'{refused}: what was given', state, layout, f'{network} ({PARTS[part]}, {role})')
    _check_tied(refused, state, layout)
    state = _cast(state, layout, dtype)
    cause = 'the training diverged; try a lower learning rate'
    if dtype == torch.float16:
        cause = 'they leave the range of float16, try bfloat16, or the training diverged'
    _check_finite(refused, state, cause)
    description = {
        'version': 1,
        'part': part,
        'network': network,
        'role': role,
        'align_corners': align_corners,
        'size': None if size is None else [int(side) for side in size],
        'family': family,
    }
    _write(path, state, layout, description, beside)
