"""Devices: selection by name, synchronisation, description."""

import torch

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
            raise UserError(
                'device mps is not available: it needs a Mac with Apple silicon; try --device cpu'
            )
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
        raise UserError(
            f'device {name} was asked for, but there are only {torch.cuda.device_count()} CUDA GPUs (from 0)'
        )
    return numbers


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
