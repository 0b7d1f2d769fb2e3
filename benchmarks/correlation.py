"""Ways to compute the cost volume: time forward and with gradients, and memory, at the warp's five levels.

python -m benchmarks.correlation [--device cuda] [--dtype float16] [--batch 4] [--threads 1]
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch.utils.benchmark import Compare

from benchmarks.report import create_parser, machine, measure, prepare
from engine.profiling import MEGA, peak_memory
from models.ops.correlation import correlation
from models.ops.correlation_torch import cost_volume
from utils.errors import exit_cleanly
from utils.log import format_table

LEVELS = ((128, 96), (64, 48), (32, 24), (16, 12), (8, 6))
CHANNELS = 256


def shifts(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The definition: 49 shifted products, each averaged over the channels."""
    height, width = first.shape[2:]
    padded = F.pad(second, (3, 3, 3, 3))
    near = [padded[:, :, dy : dy + height, dx : dx + width] for dy in range(7) for dx in range(7)]
    return torch.stack([(first * shifted).mean(1) for shifted in near], 1)


def ways(device: torch.device) -> dict[str, Callable]:
    """Implementations by name; `matrix product` is the one that the networks use on a CPU."""
    compared: dict[str, Callable] = {
        '49 shifts': shifts,
        'matrix product': partial(correlation, impl='torch'),
        'matrix product, gradient by autograd': cost_volume,
    }
    if device.type == 'cuda':
        compared['CUDA kernel'] = partial(correlation, impl='cuda')
    return compared


def run(way: Callable, inputs: tuple[torch.Tensor, ...], gradients: bool) -> torch.Tensor:
    """Call one way, forward or with both gradients."""
    first, second, cotangent = inputs
    if not gradients:
        with torch.no_grad():
            return way(first, second)
    return torch.autograd.grad(way(first, second), (first, second), cotangent)[0]


@exit_cleanly
def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table of times and one of peak memory."""
    parser = create_parser(__doc__.splitlines()[0])
    parser.add_argument('--dtype', default='float32', choices=['float32', 'float64', 'float16', 'bfloat16'])
    options = parser.parse_args(arguments)
    device, dtype, count = prepare(options), getattr(torch, options.dtype), options.batch[0]
    compared, measured = ways(device), []
    memory: list[list[str]] = []
    for gradients, label in ((False, 'forward'), (True, 'forward and backward')):
        rows = {name: [f'{name}, {label}'] for name in compared}
        for height, width in LEVELS:
            inputs = tuple(
                torch.randn(count, channels, height, width, device=device, dtype=dtype, requires_grad=True)
                for channels in (CHANNELS, CHANNELS, 49)
            )
            calls = {name: partial(run, way, inputs, gradients) for name, way in compared.items()}
            settings = {'device': device, 'repeats': options.repeats, 'warm_up': options.warm_up}
            measured += measure(calls, label=label, column=f'{height} x {width}', **settings)
            for name, call in calls.items():
                rows[name].append(f'{peak_memory(call, device=device) / MEGA:.1f}')
        memory += rows.values()
    print(', '.join(f'{key} {value}' for key, value in machine(device).items()))
    print(f'batch {count}, {CHANNELS} channels, {options.dtype}')
    print(Compare(measured))
    print(format_table(['peak MB', *(f'{height} x {width}' for height, width in LEVELS)], memory))


if __name__ == '__main__':
    main(sys.argv[1:])
