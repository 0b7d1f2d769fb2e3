"""Continues runs of the published training code: weights, optimiser, epoch and best FID of its checkpoints.

The published code writes a file a network, `weights/<network>_last.pt`: a dict of `model`, `epoch` (the last
complete one), `optimizer`, and `best_fid` where it validates.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from engine.base_stage import Stage
from engine.settings import TrainSettings
from models.checkpoint.files import read_checkpoint
from models.checkpoint.formats import FILTERS_NAME, WRAPPER_PREFIXES, read_file
from models.checkpoint.identity import layout_of
from utils.errors import CheckpointError

MOMENTS = {'exp_avg': ('Adam', 'AdamW'), 'momentum_buffer': ('SGD',)}


def is_published(file: Path) -> bool:
    """Return True for a training checkpoint of the published code: weights, optimiser and epoch."""
    if not file.is_file():
        return False
    content = read_file(file)[0]
    return isinstance(content, dict) and {'model', 'optimizer', 'epoch'} <= content.keys()


def published_files(run: Path, names: Iterable[str]) -> dict[str, Path]:
    """The last checkpoints of the networks `names` in a published run; empty unless all can be continued."""
    files = {name: run / 'weights' / f'{name}_last.pt' for name in names}
    return files if all(map(is_published, files.values())) else {}


def published_state(files: Mapping[str, Path], stage: Stage, settings: TrainSettings) -> dict[str, Any]:
    """The state of a run of the published code, of its networks' `files`, in the form of our own.

    Raises `CheckpointError` for damaged files, for different epochs, and for an optimiser of other networks.
    """
    networks, infos = {}, {}
    moments: dict[int, Mapping[str, Any]] = {}
    groups: list[dict[str, Any]] = []
    for name, file in files.items():
        networks[name], infos[name] = read_checkpoint(file)
        optimizer = infos[name].extra['optimizer']
        order = _parameter_order(file, infos[name], optimizer)
        positions = {parameter: place for place, parameter in enumerate(order)}
        first = len(_numbers(groups))
        own = [parameter for parameter, _ in stage.networks[name].named_parameters()]
        for number, parameter in enumerate(own):
            entry = optimizer['state'].get(positions[parameter])
            if entry is not None:
                moments[first + number] = entry
                _check_moments(file, parameter, entry, networks[name][parameter])
        groups.append({'params': list(range(first, first + len(own)))})
    epochs = {info.epoch for info in infos.values()}
    if len(epochs) > 1 or None in epochs:
        found = ', '.join(f'{file}: {infos[name].epoch}' for name, file in files.items())
        raise CheckpointError(f'the networks are of different epochs ({found}); give files of one epoch')
    scores = (info.extra.get('best_fid') for info in infos.values())
    best = [score for score in scores if isinstance(score, int | float)]
    epoch = epochs.pop()
    return {
        'step': max((int(entry['step']) for entry in moments.values() if 'step' in entry), default=0),
        'epoch': epoch,
        'records': 0,
        'validated': epoch if best else 0,
        'best': min(best) if best else None,
        'networks': networks,
        'optimizer_name': _optimizer_name(moments, settings),
        'optimizer': {'state': moments, 'param_groups': groups},
        'scaler': {},
        'random': [],
    }


def _numbers(groups: list[dict[str, Any]]) -> list[int]:
    """The numbers of all parameters in some groups of an optimiser's state dict."""
    return [number for group in groups for number in group['params']]


def _parameter_order(file: Path, info: Any, optimizer: Mapping[str, Any]) -> list[str]:
    """Names of the parameters in the optimiser's order: as in the file, shared ones once."""
    layout = layout_of(*info[:3])
    order: list[str] = []
    for name in read_file(file)[0]['model']:
        for prefix in WRAPPER_PREFIXES:
            name = name.removeprefix(prefix)
        name = layout.tied.get(name, name)
        if (name in layout.parameters or name == FILTERS_NAME) and name not in order:
            order.append(name)
    numbers = sorted(_numbers(optimizer['param_groups']))
    if len(numbers) != len(order):
        # The constant filters are no parameter in some releases.
        order = [name for name in order if name != FILTERS_NAME]
    if numbers != list(range(len(order))):
        raise CheckpointError(
            f'{file}: its optimiser has {len(numbers)} parameters, not {len(order)}; start from its weights'
        )
    return order


def _check_moments(file: Path, name: str, entry: Mapping[str, Any], weights: Tensor) -> None:
    for key, value in entry.items():
        if isinstance(value, Tensor) and value.ndim and value.shape != weights.shape:
            raise CheckpointError(
                f'{file}: its optimiser has {key} {list(value.shape)} for {name} {list(weights.shape)}; '
                'start from the weights alone'
            )


def _optimizer_name(moments: Mapping[int, Mapping[str, Any]], settings: TrainSettings) -> str:
    """The optimiser that these moments belong to: the one asked for, if its moments are of this kind."""
    kept = {key for entry in moments.values() for key in entry}
    for key, names in MOMENTS.items():
        if key in kept:
            return settings.optimizer if settings.optimizer in names else names[0]
    return settings.optimizer
