"""Devices: selection by name, moving batches there, synchronisation, description."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from utils.errors import UserError


def select_device(name: str = '') -> torch.device:
    """Return the device that a `--device` value names.

    '' is the first GPU if there is one (CUDA, else MPS), else the CPU; '0' or '0,1' are CUDA devices by
    number, of which the first is taken; 'cpu', 'mps', 'cuda' and 'cuda:1' are PyTorch's own names. Raises
    `UserError` for a missing device.
    """
    name = name.strip().lower()
    if name == '':
        if torch.cuda.is_available():
            return torch.device('cuda:0')
        return torch.device('mps' if torch.backends.mps.is_available() else 'cpu')
    if name == 'cpu':
        return torch.device('cpu')
    if name == 'mps':
        if not torch.backends.mps.is_available():
            raise UserError('device mps is not available: it needs Apple silicon; try --device cpu')
        return torch.device('mps')
    return torch.device('cuda', _cuda_numbers(name)[0])


def _cuda_numbers(name: str) -> list[int]:
    text = name.removeprefix('cuda').removeprefix(':') or '0'
    numbers = [int(number) if number.strip().isdecimal() else -1 for number in text.split(',')]
    if min(numbers) < 0:
        raise UserError(f"device {name!r} is not understood; give '' (choose for me), cpu, mps, 0 or 0,1")
    if not torch.cuda.is_available():
        raise UserError(f'device {name} was asked for, but PyTorch finds no CUDA GPU here; try --device cpu')
    if max(numbers) >= torch.cuda.device_count():
        raise UserError(f'device {name} was asked for, but there are only {torch.cuda.device_count()} GPUs')
    return numbers


def move_batch(
    batch: Mapping[str, Any], device: torch.device, memory_format: torch.memory_format = torch.preserve_format
) -> dict[str, Any]:
    """Return a loader's batch with its tensors on `device`, maps [N, C, H, W] in `memory_format`."""
    moved = dict(batch)
    for name, value in batch.items():
        if isinstance(value, Tensor):
            layout = memory_format if value.ndim == 4 else torch.preserve_format
            moved[name] = value.to(device, non_blocking=True, memory_format=layout)
    return moved


def synchronise(device: torch.device) -> None:
    """Wait for all work queued on `device`."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
    elif device.type == 'mps':
        torch.mps.synchronize()


def describe_device(device: torch.device) -> str:
    """Return a name for reports: the GPU's own, or the CPU with the number of threads in use."""
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    if device.type == 'mps':
        return 'Apple GPU (MPS)'
    threads = torch.get_num_threads()
    return f'CPU, {threads} thread{"s" if threads > 1 else ""}'
