"""Command line for checkpoints: inspect, convert, average, initialise.

python -m models.checkpoint inspect weights.pt
python -m models.checkpoint convert weights.pt weights.safetensors --dtype float16
python -m models.checkpoint average after.pt before.pt averaged.safetensors --share 0.6
python -m models.checkpoint init --family dm_vton --out untrained/
python -m models.checkpoint init --family dm_vton --teacher pb_warp.pt pb_gen.pt --out begin/
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.baselines import BASELINES
from models.checkpoint.baselines import load_baseline
from models.checkpoint.files import CheckpointInfo, check_asked, read_checkpoint, save_checkpoint
from models.checkpoint.formats import SUFFIXES, check_suffix
from models.checkpoint.identity import BASELINE_ROLE, PARTS, create_network, families_of, layout_of
from models.checkpoint.messages import name_of, reason_of, shown
from models.registry import FAMILIES, ROLES
from utils.cli import OptionParser
from utils.errors import CheckpointError, exit_cleanly
from utils.paths import expand

DTYPES = {'float32': torch.float32, 'float16': torch.float16, 'bfloat16': torch.bfloat16}
LARGEST_SEED = 2**63 - 1


def _said(value: Any, text: str | None = None) -> str:
    return 'not said' if value is None else text or shown(value)


def _table(path: Path) -> list[tuple[str, str]]:
    state, info = read_checkpoint(path, dtype=None)
    layout = layout_of(*info[:3])
    once = {name: x for name, x in state.items() if name not in layout.tied}
    count = sum(x.numel() for name, x in once.items() if name in layout.parameters)
    megabytes = sum(x.numel() * x.element_size() for x in once.values()) / 1e6
    dtypes = sorted({name_of(x.dtype) for x in once.values() if x.is_floating_point()})
    candidates = ' or '.join(families_of(*info[:3]))
    extra = []
    for name, value in info.extra.items():
        plain = isinstance(value, bool | int | float | str)
        if name != 'epoch':
            extra.append(shown(name) + (f' = {shown(value)}' if plain else f' ({type(value).__name__})'))
    return [
        ('network', f'{info.network} ({PARTS[info.part]})'),
        ('role', info.role),
        ('family', shown(info.family) if info.family else f'not said; fits {candidates}'),
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
    if options.family:
        load_baseline(options.family, options.files)
    for number, path in enumerate(options.files):
        rows = [f'  {name:<14} {value}' for name, value in _table(path)]
        print('\n'.join(([''] if number else []) + [str(path), *rows]))


def _check_target(target: Path, sources: Sequence[Path], *, task: str) -> None:
    """Refuse a result in the place of a file that it comes from, or of an unknown suffix."""
    for source in sources:
        if os.path.exists(target) and os.path.exists(source) and os.path.samefile(target, source):
            raise CheckpointError(f'{target} is the file to {task}; give another name for the result')
    check_suffix(target)


def _write(
    target: Path, state: Mapping[str, Tensor], info: CheckpointInfo, *, dtype: str | None, **extra: Any
) -> None:
    """Write weights that are of the kind of a file's, with its plain remarks, and say so."""
    kept = {name: value for name, value in info.extra.items() if isinstance(value, bool | int | float | str)}
    left_out = [shown(name) for name in info.extra if name not in kept]
    save_checkpoint(
        target,
        state,
        part=info.part,
        network=info.network,
        role=info.role,
        align_corners=info.align_corners,
        size=info.size,
        family=info.family,
        extra=kept | extra,
        dtype=DTYPES.get(dtype or ''),
    )
    print(f'{target}: {info.network} ({PARTS[info.part]}, {info.role}), {target.stat().st_size / 1e6:.1f} MB')
    if left_out:
        print(f'left out, since only training needs it: {", ".join(left_out)}')


def _convert(options: argparse.Namespace) -> None:
    source, target = options.source, options.target
    _check_target(target, [source], task='convert')
    state, info = read_checkpoint(source, dtype=None)
    candidates = families_of(*info[:3])
    family = options.family or info.family or (candidates[0] if len(candidates) == 1 else None)
    if options.family and options.family not in candidates:
        raise CheckpointError(
            f"{source} holds the {info.role}'s {info.network} ({' or '.join(candidates)}), "
            f'asked was {options.family}'
        )
    _write(target, state, info._replace(family=family), dtype=options.dtype)


def _average(options: argparse.Namespace) -> None:
    """Write the weighted mean of two files of one kind, what is no floating-point number from the first."""
    paths, share = (options.first, options.second), options.share
    _check_target(options.target, paths, task='average')
    (first, info), (second, other) = (read_checkpoint(path) for path in paths)
    kinds = [(*one[:3], one.align_corners) for one in (info, other)]
    if kinds[0] != kinds[1]:
        shown_kinds = [
            f"{path}: the {one.role}'s {one.network}, align_corners {_said(one.align_corners)}"
            for path, one in zip(paths, (info, other), strict=True)
        ]
        raise CheckpointError(f'{"; ".join(shown_kinds)}; give two files of one kind')
    state = {
        name: torch.lerp(second[name], x, share) if x.is_floating_point() else x for name, x in first.items()
    }
    averaged = f'{share:g} of {paths[0].name}, {1 - share:g} of {paths[1].name}'
    _write(options.target, state, info, dtype=options.dtype, averaged=averaged)


def from_teacher(
    weights: Mapping[str, Tensor], teacher: Mapping[str, Tensor], *, part: str
) -> dict[str, Tensor]:
    """A student's state dict `weights` with all that fits from the same network in a teacher's role.

    Roles differ in the first convolution of what sees the person. A generator's takes the channels that both
    roles have (picture, warped cloth, warped edge); a warp network's stays as it is, for nothing is common.
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
        raise CheckpointError(
            '--teacher: only a student begins with what a teacher has learnt; leave --role out'
        )
    states = {}
    for path in options.teacher or ():
        state, info = read_checkpoint(path)
        check_asked(path, info, info.part, getattr(FAMILIES[options.family], info.part), 'teacher')
        if info.part in states:
            raise CheckpointError(f'{path}: a second {PARTS[info.part]}; give one of each')
        states[info.part] = state
    return states


def _files_of(options: argparse.Namespace) -> dict[str, tuple[str, str, str]]:
    """Networks that `init` writes: part, network and role by file name."""
    if baseline := BASELINES.get(options.family):
        if options.teacher:
            raise CheckpointError(f'--teacher: {baseline.name} is not trained here; leave it out')
        networks = {f'{name.replace(".", "_")}.pt': name for name in baseline.files[0]}
        return {file: ('baseline', name, BASELINE_ROLE) for file, name in networks.items()}
    family = FAMILIES[options.family]
    role = options.role
    if role not in family.roles:
        raise CheckpointError(
            f'{family.name} has no {role}; it was published as {" and ".join(family.roles)}'
        )
    stem = f'{family.name}_{role}'
    return {
        f'{stem}_warp.pt': ('warp', family.warp, role),
        f'{stem}_gen.pt': ('generator', family.generator, role),
    }


def _init(options: argparse.Namespace) -> None:
    files = _files_of(options)
    for name in files:
        if os.path.exists(options.out / name):
            raise CheckpointError(f'{options.out / name} exists already; delete it or give another --out')
    teachers = _teachers(options)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(
            f'{options.out} cannot be created ({reason_of(error)}); give another --out'
        ) from error
    for name, (part, network, role) in files.items():
        torch.manual_seed(options.seed)
        weights = create_network(part, network, role).state_dict()
        if part in teachers:
            weights = from_teacher(weights, teachers[part], part=part)
        save_checkpoint(
            options.out / name,
            weights,
            part=part,
            network=network,
            role=role,
            align_corners=True if part == 'warp' else None,
            size=(256, 192),
            family=options.family,
            extra={'epoch': 0, 'untrained': True},
        )
        print(options.out / name)
    print(
        'These weights are as initialised, UNTRAINED: right in names and shapes, their pictures mean nothing.'
    )


def _seed(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value <= LARGEST_SEED:
        raise argparse.ArgumentTypeError(f'{shown(text)!r} is not a whole number from 0 to {LARGEST_SEED}')
    return value


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f'{shown(text)!r} is not a number between 0 and 1')
    return value


def _parser() -> OptionParser:
    parser = OptionParser('Inspect, convert and average checkpoints.', prog='python -m models.checkpoint')
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    inspect = commands.add_parser('inspect', help='say what a file holds; an error where it cannot be used')
    inspect.add_argument('files', type=expand, nargs='+', metavar='FILE')
    inspect.add_argument('--family', choices=BASELINES, help='expect files of this compared method')
    inspect.set_defaults(run=_inspect)
    convert = commands.add_parser('convert', help='rewrite any known file so that it describes itself')
    convert.add_argument('source', type=expand, metavar='IN')
    convert.add_argument(
        'target', type=expand, metavar='OUT', help=f'the suffix decides: {", ".join(SUFFIXES)}'
    )
    convert.add_argument(
        '--family', choices=(*FAMILIES, *BASELINES), help='what the file says, where its network fits several'
    )
    convert.add_argument(
        '--dtype', choices=DTYPES, help='type of floating-point weights; default: as they are'
    )
    convert.set_defaults(run=_convert)
    mean = 'write the mean of two weights of one training: often better than either'
    average = commands.add_parser('average', help=mean)
    average.add_argument('first', type=expand, metavar='A')
    average.add_argument('second', type=expand, metavar='B', help='weights that A began from, say')
    average.add_argument('target', type=expand, metavar='OUT')
    average.add_argument('--share', type=_share, default=0.5, help='of A in the mean, between 0 and 1')
    average.add_argument('--dtype', choices=DTYPES, help='type of floating-point weights; default: float32')
    average.set_defaults(run=_average)
    init = commands.add_parser('init', help='write untrained weights of both networks, for trying things out')
    init.add_argument('--family', choices=(*FAMILIES, *BASELINES), required=True)
    init.add_argument('--role', choices=ROLES, default='student', help='whose networks')
    init.add_argument(
        '--teacher',
        type=expand,
        nargs='+',
        metavar='FILE',
        help="a trained teacher's files: a student of its family begins with those of their weights that fit",
    )
    init.add_argument('--seed', type=_seed, default=0, help='another seed draws other weights')
    init.add_argument('--out', type=expand, required=True, metavar='DIR')
    init.set_defaults(run=_init)
    return parser


@exit_cleanly
def main(arguments: list[str] | None = None) -> None:
    """Run the command line (None: of the process). A user's mistake exits with 2 and one line."""
    options = _parser().parse_args(arguments)
    options.run(options)
