"""Thin-plate splines with fixed control points, for the warps of ACGPN and C-VTON: constants in float64.

Bookstein, "Principal warps" (TPAMI 1989). Points are (x, y); -1 and 1 are centres of the outermost pixels.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def control_grid(steps: Tensor) -> Tensor:
    """The square grid of control points at `steps` [n] each way: [n * n, 2] as (x, y), y slowest."""
    y, x = torch.meshgrid(steps, steps, indexing='ij')
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def radial(points: Tensor, centres: Tensor) -> Tensor:
    """r^2 ln r^2 between points [P, 2] and centres [n, 2], 0 where they meet: [P, n]."""
    square = (points[:, None] - centres[None]).square().sum(2)
    return torch.special.xlogy(square, square)


def spline_inverse(controls: Tensor, *, scale: float) -> Tensor:
    """Inverse [n + 3, n + 3] of the spline's system at points [n, 2] with the kernel `scale` r^2 ln r^2.

    Rows and columns are those of the n points, then 1, x, y.
    """
    count = len(controls)
    system = controls.new_zeros(count + 3, count + 3)
    system[:count, :count] = scale * radial(controls, controls)
    system[:count, count] = system[count, :count] = 1
    system[:count, count + 1 :] = controls
    system[count + 1 :, :count] = controls.T
    return torch.linalg.inv(system)


def spline_rows(size: tuple[int, int], controls: Tensor, *, scale: float) -> Tensor:
    """For every pixel, row by row, its kernel to each control point, then 1, x, y: [H * W, n + 3]."""
    height, width = size
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, height, dtype=controls.dtype),
        torch.linspace(-1, 1, width, dtype=controls.dtype),
        indexing='ij',
    )
    pixels = torch.stack([x.flatten(), y.flatten()], dim=1)
    return torch.cat([scale * radial(pixels, controls), torch.ones_like(pixels[:, :1]), pixels], dim=1)


class WideConstants(nn.Module):
    """A module whose buffers stay float32 or wider in 16 bits: sampling coordinates need them."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True):
        def keep_wide(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            narrow = moved.is_floating_point() and moved.element_size() < 4
            return tensor.to(moved.device) if narrow else moved

        return super()._apply(keep_wide, recurse)
