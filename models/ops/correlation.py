"""The cost volume of the coarse-to-fine warp (correlation layer of FlowNet and PWC-Net, 7 x 7 displacements, mean over channels).

`correlation` chooses between two twins that compute the same numbers: plain PyTorch, below, and a CUDA kernel in `correlation_cuda.py`.
"""

import contextlib
from collections.abc import Callable

import torch
import torch.nn.functional as F

RADIUS = 3
SIDE = 2 * RADIUS + 1
IMPLEMENTATIONS = ('auto', 'cuda', 'torch')

# Pixels that one matrix product handles together. Larger tiles waste arithmetic on pairs that are more than RADIUS apart
# (a 4 x 8 tile computes 140 products a pixel for the 49 that count), smaller ones leave the matrix product too little to do.
TILE_HEIGHT = 4
TILE_WIDTH = 8


def correlation(first: torch.Tensor, second: torch.Tensor, impl: str = 'auto') -> torch.Tensor:
    """Compare every pixel of `first` with the 7 x 7 pixels of `second` around the same place.

    first, second: [N, C, H, W], equal in shape, floating dtype and device. Returns [N, 49, H, W] in that dtype; channel
    7 * (dy + 3) + (dx + 3), dy and dx in -3..3, is the mean over channels of first(y, x) * second(y + dy, x + dx), where `second`
    is zero outside. 16-bit inputs are accumulated in float32, and autocast leaves the inputs as they come.

    impl: 'torch' runs everywhere and can be exported; 'cuda' needs CUDA tensors and cupy; 'auto' takes 'cuda' where it works.
    Raises ValueError for inputs that do not fit together or an unknown `impl`, RuntimeError where 'cuda' cannot run.
    """
    _check(first, second, impl)
    if impl == 'cuda' or (impl == 'auto' and first.is_cuda):
        # Imported here, so that programs that stay on the CPU never load the kernel's machinery.
        from models.ops import correlation_cuda

        problem = correlation_cuda.find_problem(str(first.device), first.dtype, falling_back=impl == 'auto')
        if problem is None:
            return torch.ops.dm_vton.correlation(first, second)
        if impl == 'cuda':
            raise RuntimeError(f"correlation(impl='cuda') cannot run: {problem}; impl='torch' runs everywhere")
    if torch.compiler.is_exporting():
        return cost_volume(first, second)
    return _CostVolume.apply(first, second)


def _check(first: torch.Tensor, second: torch.Tensor, impl: str) -> None:
    if impl not in IMPLEMENTATIONS:
        raise ValueError(f'unknown implementation {impl!r} of the correlation: expected one of {", ".join(IMPLEMENTATIONS)}')
    if first.dim() != 4:
        raise ValueError(f'correlation expected [N, C, H, W] tensors, got shape {list(first.shape)}')
    for name in ('shape', 'dtype', 'device'):
        expected, got = getattr(first, name), getattr(second, name)
        if expected != got:
            if name == 'shape':
                expected, got = list(expected), list(got)
            raise ValueError(f'correlation expected two tensors of one {name}: first has {expected}, second has {got}')
    if not first.is_floating_point():
        raise ValueError(f'correlation expected a floating dtype, got {first.dtype}')
    if 0 in first.shape:
        raise ValueError(f'correlation expected at least one sample, channel, row and column, got shape {list(first.shape)}')


# The torch twin. An image is cut into bands of TILE_WIDTH columns. Within a band, rows are contiguous, so the 7 x 7 surroundings of a
# tile of TILE_HEIGHT rows are one contiguous run, which a matrix product reads in place: [window, C] x [C, tile] holds every product of
# a tile, and of those the 49 a pixel are a diagonal view. All operations are plain, differentiable and exportable.


def cost_volume(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Compute `correlation` from plain PyTorch operations: [N, C, H, W] twice -> [N, 49, H, W]."""
    with _full_precision(first):
        count, channels, height, width = first.shape
        tile_height, tile_width = _tile_size(height, width)
        bands = []
        for left in range(0, width, tile_width):
            window = _windows(second, left, tile_height, tile_width)  # [N * rows, C, window]
            tile = _tiles(first, left, tile_height, tile_width)  # [N * rows, C, tile]
            products = torch.bmm(window.transpose(1, 2), tile)  # [N * rows, window, tile]
            near = _neighbours(products, count, tile_height, tile_width)  # [N, 7, 7, rows, tile_height, tile_width]
            bands.append(near.reshape(count, SIDE * SIDE, -1, tile_width))
        volume = torch.cat(bands, dim=3)[:, :, :height, :width]
        return (volume / channels).to(first.dtype)


def weighted_window(weights: torch.Tensor, other: torch.Tensor, reflected: bool) -> torch.Tensor:
    """Sum the 7 x 7 pixels of `other` around each pixel with 49 weights, divided by the number of channels.

    weights: [N, 49, H, W]; other: [N, C, H, W]. Returns [N, C, H, W]. A pixel's weights are those of its own 49 channels or, if
    `reflected`, those with which the 49 pixels around it weigh that pixel. With the cotangent of the cost volume as weights the gradient of
    `first` is the plain sum over `second`, that of `second` the reflected sum over `first`.
    """
    if reflected:
        weights = _reflect(weights)
    with _full_precision(other):
        count, channels, height, width = other.shape
        tile_height, tile_width = _tile_size(height, width)
        rows = -(-height // tile_height)
        result = torch.empty_like(other, memory_format=torch.contiguous_format)
        spread = weights.new_zeros(
            count * rows, (tile_height + 2 * RADIUS) * (tile_width + 2 * RADIUS), tile_height * tile_width, dtype=_wide(weights)
        )
        near = _neighbours(spread, count, tile_height, tile_width)  # a view: all other entries stay zero
        for left in range(0, width, tile_width):
            band = _band(weights, left, tile_width, rows * tile_height, margin=0)
            near.copy_(band.reshape(near.shape))
            window = _windows(other, left, tile_height, tile_width)
            sums = torch.bmm(window, spread).view(count, rows, channels, tile_height, tile_width)
            sums = sums.transpose(1, 2).flatten(2, 3)  # [N, C, rows * tile_height, tile_width]
            result[..., left : left + tile_width] = sums[:, :, :height, : width - left] / channels
        return result


def _reflect(weights: torch.Tensor) -> torch.Tensor:
    """Turn weights that pixels give to their neighbours into weights that they receive from them: [N, 49, H, W] -> the same."""
    height, width = weights.shape[2:]
    padded = F.pad(weights, (RADIUS,) * 4)
    received = [
        padded[:, -1 - (SIDE * y + x), y : y + height, x : x + width] for y in range(SIDE) for x in range(SIDE)
    ]
    return torch.stack(received, dim=1)


def _tile_size(height: int, width: int) -> tuple[int, int]:
    """Shrink the tile so that as many tiles as before cover the image with the least excess."""
    down, across = -(-height // TILE_HEIGHT), -(-width // TILE_WIDTH)
    return -(-height // down), -(-width // across)


def _band(image: torch.Tensor, left: int, width: int, height: int, *, margin: int) -> torch.Tensor:
    """Cut `width` columns and `height` rows out of [N, C, H, W], with a margin on all sides, zero outside."""
    start, end = left - margin, left + width + margin
    inside = image[..., max(start, 0) : end].to(_wide(image))
    padding = (max(-start, 0), max(end - image.shape[3], 0), margin, height - image.shape[2] + margin)
    return F.pad(inside, padding)


def _windows(image: torch.Tensor, left: int, tile_height: int, tile_width: int) -> torch.Tensor:
    """Cut the tiles of one band with their surroundings: [N, C, H, W] -> [N * rows, C, window]; a view of the band where N is 1."""
    rows = -(-image.shape[2] // tile_height)
    pitch = tile_width + 2 * RADIUS
    band = _band(image, left, tile_width, rows * tile_height, margin=RADIUS).flatten(2)
    windows = band.unfold(2, (tile_height + 2 * RADIUS) * pitch, tile_height * pitch)  # [N, C, rows, window]
    return windows.transpose(1, 2).flatten(0, 1)


def _tiles(image: torch.Tensor, left: int, tile_height: int, tile_width: int) -> torch.Tensor:
    """Cut the tiles of one band: [N, C, H, W] -> [N * rows, C, tile]."""
    rows = -(-image.shape[2] // tile_height)
    band = _band(image, left, tile_width, rows * tile_height, margin=0)
    return band.unflatten(2, (rows, tile_height)).transpose(1, 2).flatten(0, 1).flatten(2)


def _neighbours(products: torch.Tensor, count: int, tile_height: int, tile_width: int) -> torch.Tensor:
    """View the entries of [N * rows, window, tile] within RADIUS: [N, 7, 7, rows, tile_height, tile_width], dy and dx first."""
    rows = products.shape[0] // count
    window = (tile_height + 2 * RADIUS, tile_width + 2 * RADIUS)
    places = products.view(count, rows, *window, tile_height, tile_width)
    moved = places.unfold(2, SIDE, 1).unfold(3, SIDE, 1)  # [N, rows, y, x, tile_height, tile_width, 7, 7]
    return moved.diagonal(0, 2, 4).diagonal(0, 2, 3).permute(0, 2, 3, 1, 4, 5)


def _wide(tensor: torch.Tensor) -> torch.dtype:
    """The dtype to accumulate in."""
    return torch.float32 if tensor.dtype.itemsize == 2 else tensor.dtype


def _full_precision(tensor: torch.Tensor) -> contextlib.AbstractContextManager:
    """Keep autocast from narrowing the matrix products; no context at all where autocast is off, which exports more simply."""
    kind = tensor.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else contextlib.nullcontext()


# The gradients. The cost volume and the weighted sum are each other's gradients, so two rules serve every order of differentiation, for
# both twins; `volume` and `window` are the operations of the twin. Only the two inputs are kept for the backward pass.


def save_inputs(ctx, inputs: tuple, output: torch.Tensor) -> None:
    """Keep the two tensors, and the flag of `weighted_window`, for the gradient rules below."""
    ctx.save_for_backward(*inputs[:2])
    ctx.reflected = inputs[2:] == (True,)


def volume_gradients(window: Callable, ctx, cotangent: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    """Gradients of the cost volume: of `first` and of `second`, None where it is not needed."""
    first, second = ctx.saved_tensors
    of_first, of_second = ctx.needs_input_grad
    return window(cotangent, second, False) if of_first else None, window(cotangent, first, True) if of_second else None


def window_gradients(volume: Callable, window: Callable, ctx, cotangent: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    """Gradients of the weighted sum: of the weights and of `other`, None where it is not needed and for the flag."""
    weights, other = ctx.saved_tensors
    first, second = (other, cotangent) if ctx.reflected else (cotangent, other)
    of_weights, of_other, _ = ctx.needs_input_grad
    return (
        volume(first, second) if of_weights else None,
        window(weights, cotangent, not ctx.reflected) if of_other else None,
        None,
    )


class _CostVolume(torch.autograd.Function):
    forward = staticmethod(cost_volume)
    setup_context = staticmethod(save_inputs)

    @staticmethod
    def backward(ctx, cotangent):
        return volume_gradients(_WeightedWindow.apply, ctx, cotangent)


class _WeightedWindow(torch.autograd.Function):
    forward = staticmethod(weighted_window)
    setup_context = staticmethod(save_inputs)

    @staticmethod
    def backward(ctx, cotangent):
        return window_gradients(_CostVolume.apply, _WeightedWindow.apply, ctx, cotangent)
