"""Weights of a 3x3 convolution for Winograd's algorithm, F(4x4, 3x3), transformed once in preparation.

Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016: 4 x 4 outputs take 36 products
for each pair of an input and an output channel where a direct convolution takes 144. Their matrices B, G and
A interpolate at 0, 1, -1, 2 and -2; those here and in `kernels.cpp`, at 0 and plus and minus the roots of 1/2
and 2, make a quarter of the largest error.
"""

import torch
from torch import Tensor, nn

_A, _B = 0.5**0.5, 2**0.5
KERNEL_TRANSFORM = [  # G; the input and output transforms stand in kernels.cpp
    [1, 0, 0],
    [-2 / 3, -2 / 3 * _A, -1 / 3],
    [-2 / 3, 2 / 3 * _A, -1 / 3],
    [1 / 6, 1 / 6 * _B, 1 / 3],
    [1 / 6, -1 / 6 * _B, 1 / 3],
    [0, 0, 1],
]


def transform_kernels(weight: Tensor) -> Tensor:
    """[out, in, 3, 3] -> [36, in, out] of the same dtype."""
    transform = torch.tensor(KERNEL_TRANSFORM, dtype=torch.float64, device=weight.device)
    across = torch.kron(transform, transform)  # of rows and columns at once, [36, 9]
    return torch.einsum('ak,oik->aio', across, weight.double().flatten(2)).to(weight.dtype).contiguous()


def fits_winograd(conv: nn.Conv2d, smallest: int) -> bool:
    """True for a dense zero-padded 3x3 `conv` of stride 1 with at least `smallest` pairs of channels."""
    shape = conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups, conv.padding_mode
    fits = shape == ((3, 3), (1, 1), (1, 1), (1, 1), 1, 'zeros')
    return fits and conv.in_channels * conv.out_channels >= smallest
