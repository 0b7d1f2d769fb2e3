"""Compare ways to compute the cost volume: time forward and with gradients, and memory, at the five levels of the warp.

    python -m benchmarks.correlation [--device cuda] [--dtype float16] [--batch 4] [--threads 1]

All ways are timed in turn, so that whatever else the machine does hits all of them, and medians are printed.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F

from engine.profiling import MEGA, peak_memory
from models.ops.correlation import correlation, cost_volume

LEVELS = ((128, 96), (64, 48), (32, 24), (16, 12), (8, 6))


def shifts(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The definition: 49 shifted products, each averaged over the channels."""
    height, width = first.shape[2:]
    padded = F.pad(second, (3, 3, 3, 3))
    near = [padded[:, :, dy : dy + height, dx : dx + width] for dy in range(7) for dx in range(7)]
    return torch.stack([(first * shifted).mean(1) for shifted in near], 1)


def row_shifts(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Seven vertical shifts; the horizontal ones are an unfolded dimension."""
    height = first.shape[2]
    padded = F.pad(second, (3, 3, 3, 3))
    rows = [padded[:, :, dy : dy + height].unfold(3, 7, 1) for dy in range(7)]  # [N, C, H, W, 7]
    return torch.cat([(first.unsqueeze(4) * row).mean(1).permute(0, 3, 1, 2) for row in rows], 1)


def tiles(first: torch.Tensor, second: torch.Tensor, *, size: int) -> torch.Tensor:
    """Square tiles and a copy of each with its surroundings; one matrix product for all; the 49 a pixel by an index."""
    count, channels, height, width = first.shape
    down, across, window = -(-height // size), -(-width // size), size + 6
    below, right = down * size - height, across * size - width
    tile = F.pad(first, (0, right, 0, below)).view(count, channels, down, size, across, size)
    tile = tile.permute(0, 2, 4, 3, 5, 1).reshape(-1, size**2, channels)
    near = F.pad(second, (3, 3 + right, 3, 3 + below)).unfold(2, window, size).unfold(3, window, size)
    near = near.permute(0, 2, 3, 1, 4, 5).reshape(-1, channels, window**2)
    y, x, dy, dx = torch.meshgrid(*(torch.arange(n, device=first.device) for n in (size, size, 7, 7)), indexing='ij')
    index = ((y * size + x) * window + y + dy) * window + x + dx
    volume = torch.bmm(tile, near).flatten(1)[:, index.flatten()] / channels
    volume = volume.view(count, down, across, size, size, 49).permute(0, 5, 1, 3, 2, 4)
    return volume.reshape(count, 49, down * size, across * size)[:, :, :height, :width]


def row_bands(first: torch.Tensor, second: torch.Tensor, *, size: int) -> torch.Tensor:
    """Runs of pixels in a row; for each vertical shift a matrix product with the run's surroundings, which are a view."""
    count, channels, height, width = first.shape
    across = -(-(width + 6) // size)
    pitch = across * size
    runs = F.pad(first, (0, pitch - width)).permute(0, 2, 3, 1).reshape(count, height * across, size, channels)
    flat = F.pad(second, (3, pitch - width - 3, 3, 4)).permute(0, 2, 3, 1).reshape(count, -1, channels)
    volumes = []
    for run, places in zip(runs, flat, strict=True):
        near = [places[dy * pitch :][: height * pitch + 6].unfold(0, size + 6, size) for dy in range(7)]
        products = torch.stack([torch.bmm(run, row) for row in near], 1).flatten(2)  # [H * across, 7, size * (size + 6)]
        # Rows one longer than they are: each starts one later, and the diagonal stands upright.
        upright = F.pad(products, (0, size)).view(height, across, 7, size, size + 7)[..., :7]
        volumes.append(upright.permute(2, 4, 0, 1, 3).reshape(49, height, pitch)[:, :, :width])
    return torch.stack(volumes) / channels


def ways(device: torch.device) -> dict[str, Callable]:
    """Name what is compared; `product` is what the networks use."""
    compared = {
        '49 shifts': shifts,
        '7 row shifts': row_shifts,
        'tiles 4x4': partial(tiles, size=4),
        'tiles 8x8': partial(tiles, size=8),
        'row bands 16': partial(row_bands, size=16),
        'product': partial(correlation, impl='torch'),
        'product, gradient by autograd': cost_volume,
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


def median_times(compared: dict, inputs: tuple, gradients: bool, calls: int) -> dict[str, float]:
    """Time every way `calls` times, one after the other, and give the medians in milliseconds."""
    wait = torch.cuda.synchronize if inputs[0].is_cuda else lambda: None
    times = {name: [] for name in compared}
    for turn in range(calls + 2):
        for name, way in compared.items():
            wait()
            start = time.perf_counter()
            run(way, inputs, gradients)
            wait()
            if turn >= 2:  # the first turns warm up
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def print_table(title: str, rows: dict[str, list[float]]) -> None:
    """Print one row a way and one column a level."""
    print(f'\n{title:32s}' + ''.join(f'{f"{height}x{width}":>10s}' for height, width in LEVELS))
    for name, values in rows.items():
        print(f'{name:32s}' + ''.join(f'{value:10.2f}' for value in values))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--dtype', default='float32', choices=['float32', 'float64', 'float16', 'bfloat16'])
    parser.add_argument('--batch', type=int, default=1)
    parser.add_argument('--channels', type=int, default=256)
    parser.add_argument('--calls', type=int, default=15)
    parser.add_argument('--threads', type=int, default=torch.get_num_threads(), help='of the CPU')
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device, dtype = torch.device(options.device), getattr(torch, options.dtype)
    compared = ways(device)
    times = {gradients: {name: [] for name in compared} for gradients in (False, True)}
    memory = {gradients: {name: [] for name in compared} for gradients in (False, True)}
    for height, width in LEVELS:
        shape = (options.batch, options.channels, height, width)
        first, second = (torch.randn(shape, device=device, dtype=dtype, requires_grad=True) for _ in range(2))
        inputs = first, second, torch.randn(options.batch, 49, height, width, device=device, dtype=dtype)
        for gradients in (False, True):
            for name, value in median_times(compared, inputs, gradients, options.calls).items():
                times[gradients][name].append(value)
            for name, way in compared.items():
                memory[gradients][name].append(peak_memory(partial(run, way, inputs, gradients), device=device) / MEGA)
    print(f'{options.batch} x {options.channels} channels, {options.dtype}, {device}, {torch.get_num_threads()} threads')
    for gradients, title in ((False, 'forward'), (True, 'forward and backward')):
        print_table(f'{title}, ms', times[gradients])
        print_table(f'{title}, peak MB', memory[gradients])


if __name__ == '__main__':
    main()
