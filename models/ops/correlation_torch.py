"""The cost volume and its gradient in plain PyTorch: matrix products of tiles with their surroundings."""

import contextlib
from collections.abc import Callable

import torch
import torch.nn.functional as F

RADIUS = 3
SIDE = 2 * RADIUS + 1

# Pixels that one matrix product handles together. Larger tiles waste arithmetic on pairs that are more than
# RADIUS apart (a 4 x 8 tile computes 140 products a pixel for the 49 that count), smaller ones leave the
# matrix product too little to do. `python -m benchmarks.correlation` compares them.
TILE_HEIGHT = 4
TILE_WIDTH = 8

# The torch twin. An image is cut into bands of TILE_WIDTH columns and their margin. Within a band, the
# surroundings of a tile of TILE_HEIGHT rows are one contiguous run a channel, so that a matrix product reads
# them in place: [window, C] x [C, tile] holds all products of a tile with its surroundings, and a diagonal
# view of it the 49 a pixel.


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
            near = _neighbours(products, count, tile_height, tile_width)
            bands.append(near.reshape(count, SIDE * SIDE, -1, tile_width))
        volume = torch.cat(bands, dim=3)[:, :, :height, :width]
        return (volume / channels).to(first.dtype)


def correlation_gradient(cotangent: torch.Tensor, other: torch.Tensor, reflected: bool) -> torch.Tensor:
    """Compute the gradient of one input of the cost volume from the other input, in plain PyTorch operations.

    cotangent: [N, 49, H, W]; other: [N, C, H, W]. Returns [N, C, H, W]. The gradient of `first` sums the 7 x
    7 pixels of `second` around a pixel, weighted by the pixel's own 49 channels of the cotangent. That of
    `second` is the reflected sum: the 7 x 7 pixels of `first` around a pixel, each weighted by its channel
    that looked at this pixel.
    """
    if reflected:
        cotangent = _reflect(cotangent)
    with _full_precision(other):
        count, channels, height, width = other.shape
        tile_height, tile_width = _tile_size(height, width)
        rows = -(-height // tile_height)
        result = torch.empty_like(other, memory_format=torch.contiguous_format)
        window_size = (tile_height + 2 * RADIUS) * (tile_width + 2 * RADIUS)
        spread = cotangent.new_zeros(
            count * rows, window_size, tile_height * tile_width, dtype=_wide(cotangent)
        )
        near = _neighbours(spread, count, tile_height, tile_width)
        # The same view in one step, since torch.compile refuses to write through a view whose intermediate
        # steps overlap. All other entries of `spread` stay zero.
        near = spread.as_strided(near.shape, near.stride())  # [N, 7, 7, rows, tile_height, tile_width]
        for left in range(0, width, tile_width):
            band = _band(cotangent, left, tile_width, rows * tile_height, margin=0)
            near.copy_(band.reshape(near.shape))
            window = _windows(other, left, tile_height, tile_width)
            sums = torch.bmm(window, spread).view(count, rows, channels, tile_height, tile_width)
            sums = sums.transpose(1, 2).flatten(2, 3)  # [N, C, rows * tile_height, tile_width]
            result[..., left : left + tile_width] = sums[:, :, :height, : width - left] / channels
        return result


def _reflect(cotangent: torch.Tensor) -> torch.Tensor:
    """Turn weights given to neighbours into weights received from them: [N, 49, H, W] -> the same."""
    height, width = cotangent.shape[2:]
    padded = F.pad(cotangent.flip(1), (RADIUS,) * 4).unflatten(1, (SIDE, SIDE))  # [N, -dy, -dx, H + 6, W + 6]
    # Seen from all 7 x 7 places: [N, -dy, -dx, y, x, H, W].
    moved = padded.unfold(3, height, 1).unfold(4, width, 1)
    return moved.diagonal(0, 1, 3).diagonal(0, 1, 2).permute(0, 3, 4, 1, 2).flatten(1, 2)


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
    """Cut a band's tiles with surroundings: [N, C, H, W] -> [N * rows, C, window], a view if N is 1."""
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
    """View the neighbours in [N * rows, window, tile]: [N, 7, 7, rows, tile_height, tile_width]."""
    rows = products.shape[0] // count
    window = (tile_height + 2 * RADIUS, tile_width + 2 * RADIUS)
    places = products.view(count, rows, *window, tile_height, tile_width)
    moved = places.unfold(2, SIDE, 1).unfold(3, SIDE, 1)  # [N, rows, y, x, tile_height, tile_width, 7, 7]
    return moved.diagonal(0, 2, 4).diagonal(0, 2, 3).permute(0, 2, 3, 1, 4, 5)


def _wide(tensor: torch.Tensor) -> torch.dtype:
    """The dtype to accumulate in."""
    return torch.float32 if tensor.dtype.itemsize == 2 else tensor.dtype


def _full_precision(tensor: torch.Tensor) -> contextlib.AbstractContextManager:
    """Keep autocast from narrowing the matrix products; where it is off, add nothing to an exported graph."""
    kind = tensor.device.type
    enabled = kind != 'meta' and torch.is_autocast_enabled(kind)  # 'meta' knows no autocast
    return torch.autocast(kind, enabled=False) if enabled else contextlib.nullcontext()


# The cost volume and `correlation_gradient` are each other's gradients, so two rules serve every order of
# differentiation, and both twins: `volume` and `gradient` are the operations of the twin. Only the inputs are
# kept.


def save_inputs(ctx, inputs: tuple, output: torch.Tensor) -> None:
    """Keep two tensors, and the flag of `correlation_gradient`, for the rules below."""
    ctx.save_for_backward(*inputs[:2])
    ctx.reflected = inputs[2:] == (True,)


def volume_rule(gradient: Callable, ctx, cotangent: torch.Tensor) -> tuple:
    """Differentiate the cost volume: gradients of `first` and `second`, None where not needed."""
    first, second = ctx.saved_tensors
    of_first, of_second = ctx.needs_input_grad
    return (
        gradient(cotangent, second, False) if of_first else None,
        gradient(cotangent, first, True) if of_second else None,
    )


def gradient_rule(volume: Callable, gradient: Callable, ctx, of_result: torch.Tensor) -> tuple:
    """Gradients of `correlation_gradient` for the cotangent and `other`, None where not needed."""
    cotangent, other = ctx.saved_tensors
    of_cotangent, of_other, _ = ctx.needs_input_grad
    pair = (other, of_result) if ctx.reflected else (of_result, other)
    return (
        volume(*pair) if of_cotangent else None,
        gradient(cotangent, of_result, not ctx.reflected) if of_other else None,
        None,
    )


class CostVolume(torch.autograd.Function):
    """The cost volume with its own gradient; `apply(first, second)` as `cost_volume`."""

    forward = staticmethod(cost_volume)
    setup_context = staticmethod(save_inputs)

    @staticmethod
    def backward(ctx, cotangent):
        return volume_rule(_CorrelationGradient.apply, ctx, cotangent)


class _CorrelationGradient(torch.autograd.Function):
    forward = staticmethod(correlation_gradient)
    setup_context = staticmethod(save_inputs)

    @staticmethod
    def backward(ctx, of_result):
        return gradient_rule(CostVolume.apply, _CorrelationGradient.apply, ctx, of_result)
