"""Files of a training run: weights loaded into a stage's networks, and checkpoints replaced together."""

import contextlib
import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from engine.base_stage import NETWORKS, SMALLEST_SIDE, Stage
from engine.settings import TrainSettings
from models.checkpoint import load_state, save_checkpoint
from models.registry import find_family
from models.warp_modules.coarse_to_fine import WarpNetwork
from utils.errors import CheckpointError, MissingFileError, UserError
from utils.paths import atomic_write

STATE_FILE = 'state_last.pt'  # everything that continuing needs, the trained networks included
STATE_VERSION = 1

Writer = Callable[[Path], None]


class Identity(NamedTuple):
    """Part, registry name, role and family of a stage's network."""

    part: str  # 'warp' | 'generator'
    network: str  # name in the registry
    role: str  # 'teacher' | 'student'
    family: str  # or a pair `warp+generator`


def describe_network(name: str, families: Mapping[str, str]) -> Identity:
    """Tell what the network `name` of a stage is; `families` are those of 'teacher' and 'student'."""
    role, part = NETWORKS[name]
    family = find_family(families[role], role)
    return Identity(part, getattr(family, part), role, family.name)


def _check_size(stage: Stage, size: tuple[int, int]) -> None:
    """Raise `UserError` unless all networks and losses of a stage can take pictures of `size` (H, W)."""
    if min(size) < SMALLEST_SIDE:
        raise UserError(f'--size {size[0]} {size[1]}: too small to train on; take {SMALLEST_SIDE} or more')
    for name, network in stage.networks.items():
        if isinstance(network, WarpNetwork):
            try:
                network.check_size('--size', torch.empty(1, 3, *size, device='meta'))
            except ValueError as error:
                raise UserError(f'{error} ({name})') from error


def load_weights(stage: Stage, settings: TrainSettings) -> list[str]:
    """Load the checkpoints of the settings into a stage's networks; returns remarks to be shown.

    A frozen network must have one. A trained one starts fresh without, which is worth a remark where the
    stage before should have trained it; in a run that is continued, the run's state brings it. Raises
    `UserError` for a missing file and for a size that the networks do not take, and what `load_network`
    raises for a file of another part, family or role.
    """
    _check_size(stage, settings.size)
    remarks: list[str] = []
    for name in stage.networks:
        path, trained = settings.checkpoint(name), name in stage.lr_scale
        if settings.continues and trained:
            continue
        if path:
            part, network, role, _ = describe_network(name, settings.families)
            asked = settings.align_corners
            state, info = load_state(path, part=part, network=network, role=role, align_corners=asked)
            stage.networks[name].load_state_dict(state)
            remarks += info.notes
        elif not trained:
            raise UserError(
                f"--{name}_checkpoint is needed: {name} is the trained teacher's, "
                'which this stage learns from'
            )
        elif stage.lr_scale[name] < 1:
            remarks.append(
                f'no --{name}_checkpoint: {name} starts untrained; the recipe takes that of the stage before'
            )
    return remarks


def network_writer(stage: Stage, settings: TrainSettings) -> Callable[[Path, str, Mapping[str, Any]], None]:
    """Return a function (path, network's name, what to keep beside it) that writes a checkpoint."""

    def write(path: Path, name: str, extra: Mapping[str, Any]) -> None:
        about = describe_network(name, settings.families)
        save_checkpoint(
            path,
            stage.networks[name],
            part=about.part,
            network=about.network,
            role=about.role,
            family=about.family,
            align_corners=settings.align_corners if about.part == 'warp' else None,
            size=settings.size,
            extra=extra,
        )

    return write


def write_together(writers: Mapping[Path, Writer]) -> None:
    """Write several files, each whole, and put all of them in their places, or none if one cannot be written.

    Until all are on the disk the old ones stay. Raises `CheckpointError` where the disk is full or refuses.
    """
    path = temporary = None
    try:
        with contextlib.ExitStack() as places:
            for path, write in writers.items():
                temporary = places.enter_context(atomic_write(path))
                write(temporary)
    except CheckpointError as error:
        raise CheckpointError(str(error).replace(str(temporary), str(path))) from error
    except UserError:
        raise
    except OSError as error:
        raise CheckpointError(
            f'{path} cannot be written ({error.strerror}); what was there before is untouched'
        ) from error


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write the state of a run: tensors, numbers, words, and lists and dicts of them. Raises OSError."""
    try:
        with open(path, 'wb') as file:
            torch.save({'state_version': STATE_VERSION, **state}, file)
            file.flush()
            os.fsync(file.fileno())
    except RuntimeError as error:
        # After a failed write torch's writer raises an error about positions; the OSError is its context.
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def has_state(folder: Path) -> bool:
    """Return True if the run in `folder` has a state to continue from."""
    return (folder / 'weights' / STATE_FILE).is_file()


def read_state(folder: Path) -> dict[str, Any]:
    """Read the state of the run in `folder` onto the CPU. Raises `MissingFileError` or `CheckpointError`."""
    path = folder / 'weights' / STATE_FILE
    if not path.is_file():
        raise MissingFileError(
            f'{path}: there is no such file, so {folder} cannot be continued; start it anew'
        )
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # a damaged pickle may raise anything at all
        raise CheckpointError(
            f'{path} is damaged or was not written by training; start from the weights beside it'
        ) from error
    if not isinstance(state, dict) or state.get('state_version') != STATE_VERSION:
        raise CheckpointError(
            f'{path} is no state that this version can continue from; start from the weights beside it'
        )
    return state


def remove_leftovers(folder: Path) -> None:
    """Delete the unfinished files that a killed process has left in `folder`."""
    for file in folder.glob('.*.tmp*'):
        file.unlink(missing_ok=True)


def is_disk_full(error: OSError) -> bool:
    """Return True for an error of a full disk or an exhausted quota."""
    return error.errno in (errno.ENOSPC, getattr(errno, 'EDQUOT', errno.ENOSPC))
