"""The optimiser and its learning rates over the epochs, as in PF-AFN (Ge et al., CVPR 2021, section 4.2)."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from utils.errors import UserError

OPTIMIZERS = ('Adam', 'AdamW', 'SGD')
SCHEDULES = ('linear', 'cosine')
BETA2 = 0.999


def decay_factor(finished: int, *, niter: int, niter_decay: int) -> float:
    """Factor of every learning rate after `finished` epochs.

    1 for the first `niter` epochs and the one after them, then down in equal steps; the next `niter_decay`
    epochs would end at 0.
    """
    late = max(0, finished - niter)
    return max(0.0, 1 - late / niter_decay) if niter_decay else float(late == 0)


def cosine_factor(finished: float, *, niter: int, niter_decay: int) -> float:
    """Factor of every learning rate after `finished` epochs, which need not be whole ones.

    1 for the first `niter` epochs, then half a cosine down to 0 at the end of `niter_decay` more (SGDR,
    Loshchilov & Hutter, ICLR 2017, without restarts).
    """
    share = min(max(0.0, finished - niter) / niter_decay, 1.0) if niter_decay else 0.0
    return 0.5 * (1 + math.cos(math.pi * share))


def warm_up_factor(step: int, warm_up: int) -> float:
    """Factor of the learning rate at a step, counted from 0: a linear rise over `warm_up` steps."""
    return min(1.0, (step + 1) / warm_up) if warm_up else 1.0


def rate_factor(
    epoch: int, share: float, step: int, *, schedule: str, warm_up: int, niter: int, niter_decay: int
) -> float:
    """Factor of all learning rates after `epoch` epochs, a `share` of the next one, `step` steps in all."""
    epochs = {'niter': niter, 'niter_decay': niter_decay}
    factor = cosine_factor(epoch + share, **epochs) if schedule == 'cosine' else decay_factor(epoch, **epochs)
    return factor * warm_up_factor(step, warm_up)


def create_optimizer(
    name: str, networks: Mapping[str, nn.Module], *, lr: float, momentum: float, lr_scale: Mapping[str, float]
) -> Optimizer:
    """Make an optimiser with one group of parameters a network, which learns with `lr` times its `lr_scale`.

    `name` is one of `OPTIMIZERS`: Adam (beta1 = `momentum`, beta2 0.999), AdamW (the same, without weight
    decay) or SGD (Nesterov's `momentum`). Raises `UserError` for another name, and for SGD without momentum.
    """
    groups: list[dict[str, Any]] = []
    for key, network in networks.items():
        rate = lr * lr_scale[key]
        groups.append({'params': list(network.parameters()), 'lr': rate, 'full_lr': rate, 'name': key})
    if name == 'Adam':
        return torch.optim.Adam(groups, betas=(momentum, BETA2))
    if name == 'AdamW':
        return torch.optim.AdamW(groups, betas=(momentum, BETA2), weight_decay=0.0)
    if name != 'SGD':
        raise UserError(f'there is no optimizer {name!r}; choose from {", ".join(OPTIMIZERS)}')
    if not momentum > 0:
        raise UserError(f"--momentum {momentum}: SGD is Nesterov's and needs a momentum above 0")
    return torch.optim.SGD(groups, momentum=momentum, nesterov=True)


def set_learning_rates(optimizer: Optimizer, factor: float) -> dict[str, float]:
    """Give each group `factor` times its full learning rate; return the rates by network name."""
    for group in optimizer.param_groups:
        group['lr'] = group['full_lr'] * factor
    return {group['name']: group['lr'] for group in optimizer.param_groups}


def load_optimizer(optimizer: Optimizer, state: dict) -> None:
    """Continue from an optimiser's `state_dict()` with the settings (rate, ...) of `optimizer` now."""
    settings = [
        {key: value for key, value in group.items() if key != 'params'} for group in optimizer.param_groups
    ]
    optimizer.load_state_dict(state)
    for group, values in zip(optimizer.param_groups, settings, strict=True):
        group.update(values)


def parameters_of(optimizer: Optimizer) -> Iterable[nn.Parameter]:
    """All parameters that an optimiser changes."""
    return [parameter for group in optimizer.param_groups for parameter in group['params']]
