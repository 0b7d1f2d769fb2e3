"""The files of a compared method, loaded strictly into one network."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from models.baselines import BASELINES, PARTS, BaselineNetwork, create_baseline
from models.checkpoint.files import CheckpointInfo, read_checkpoint
from models.checkpoint.identity import without_draws
from models.registry import choose
from utils.errors import CheckpointError, UserError
from utils.paths import expand

WHERE = 'bash scripts/download.sh baselines names the published files'


def load_baseline(
    name: str,
    files: Sequence[str | Path],
    *,
    align_corners: bool | None = None,
    device: str | torch.device = 'cpu',
) -> tuple[BaselineNetwork, tuple[CheckpointInfo, ...]]:
    """Make a compared method of its checkpoint files, in any order, in eval mode on `device` in float32.

    `name` is a key of `models.baselines.BASELINES`. ACGPN has four files; C-VTON one (`best_EMA.pth`) or one
    a network; SDAFN one. `align_corners` is ACGPN's, None as published. Raises as `read_checkpoint`, and
    `CheckpointError` for a file of another method, one that comes twice and one that is missing.
    """
    complete = BASELINES[choose('compared method', name, BASELINES)].files
    longest = max(map(len, complete))
    if len(files) > longest:
        raise UserError(
            f'{len(files)} checkpoints: {name} has {longest} at most ({_listed(complete)}); {WHERE}'
        )
    states: dict[str, dict[str, Tensor]] = {}
    first: dict[str, Path] = {}
    infos = []
    for path in map(expand, files):
        state, info = read_checkpoint(path)
        if not any(info.network in names for names in complete):
            raise CheckpointError(
                f'{path} holds the {_described(info)}, asked was {name}; {_advice(info, name)}'
            )
        if info.network in states:
            raise CheckpointError(
                f'{first[info.network]} and {path} both hold {info.network}; '
                f'{name} needs one file each of {_listed(complete)} ({WHERE})'
            )
        states[info.network], first[info.network] = state, path
        infos.append(info)
    if not any(states.keys() == set(names) for names in complete):
        raise CheckpointError(
            f'--checkpoint: the files hold {" + ".join(states) or "nothing"}, but {name} needs '
            f'{_listed(complete)}; {WHERE}'
        )
    with without_draws():
        network = create_baseline(name, align_corners=align_corners)
    whole = {
        PARTS[part].prefix + key: value for part, state in states.items() for key, value in state.items()
    }
    network.load_state_dict(whole, strict=True)
    return network.eval().to(device), tuple(infos)


def _listed(complete: Sequence[Sequence[str]]) -> str:
    return ', or '.join(' + '.join(names) for names in complete)


def _described(info: CheckpointInfo) -> str:
    return f'network {info.network}' if info.part == 'baseline' else f"{info.role}'s {info.network}"


def _advice(info: CheckpointInfo, name: str) -> str:
    if info.part != 'baseline':
        return (
            "a family's two files go to --pf_warp_checkpoint and --pf_gen_checkpoint, "
            f'without --checkpoint and --family {name}'
        )
    return f'give the files of {name} ({WHERE}), or --family {info.network.partition(".")[0]}'
