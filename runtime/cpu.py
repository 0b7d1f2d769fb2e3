"""Faster operations for float32 on a CPU, put into folded networks with channels last throughout.

- oneDNN convolves and applies the activation in one pass.
- Sampling a map at a flow is a weighted sum of four rows of a table, which is what an embedding bag does.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.warp_modules.coarse_to_fine import FlowNetwork
from runtime.fold import merge_neighbours, replace
from runtime.parts import Dresser, GarmentEncoder, Parts, WrappedFlow
from runtime.smooth import ChannelsLastTaps, Taps

ACTIVATIONS = {nn.ReLU: 'relu', nn.ReLU6: 'hardtanh', nn.LeakyReLU: 'leaky_relu'}  # as oneDNN calls them


@functools.cache
def has_fused_convs() -> bool:
    """Return True if this PyTorch build has oneDNN's fused convolution and activation."""
    if not torch.backends.mkldnn.is_available():
        return False
    x = torch.zeros(1, 1, 1, 1)
    try:
        torch.ops.mkldnn._convolution_pointwise(x, x, None, [0, 0], [1, 1], [1, 1], 1, 'relu', [], '')
    except (AttributeError, RuntimeError):  # another build, another name
        return False
    return True


def channels_last(x: Tensor) -> Tensor:
    """The tensor in channels-last memory format."""
    return x.contiguous(memory_format=torch.channels_last)


def sample_rows(picture: Tensor, flow: Tensor, *, align_corners: bool) -> Tensor:
    """`models.ops.flow.sample` with border padding for a map [N, C, H, W] with its channels last."""
    count, channels, height, width = picture.shape
    x, y = flow[:, 0], flow[:, 1]
    if align_corners:
        x, y = (x + 1) * ((width - 1) / 2), (y + 1) * ((height - 1) / 2)
    else:
        x, y = ((x + 1) * width - 1) / 2, ((y + 1) * height - 1) / 2
    # NaN is sent to pixel 0 by the order of the comparison, as in PyTorch's sampling.
    x, y = (torch.where(at > 0, at, 0).clamp(max=side - 1) for at, side in ((x, width), (y, height)))
    left, top = x.floor().clamp(max=max(width - 2, 0)), y.floor().clamp(max=max(height - 2, 0))
    right, below = x - left, y - top
    sample_start = height * width * torch.arange(count, device=flow.device)[:, None, None]
    first = (top * width + left).long() + sample_start
    step = 1 if width > 1 else 0
    down = width if height > 1 else 0
    rows = torch.stack([first, first + step, first + down, first + down + step], dim=3).view(-1, 4)
    corners = (1 - right) * (1 - below), right * (1 - below), (1 - right) * below, right * below
    weights = torch.stack(corners, dim=3)
    table = picture.permute(0, 2, 3, 1).reshape(-1, channels)
    mixed = F.embedding_bag(rows, table, mode='sum', per_sample_weights=weights.view(-1, 4).to(table.dtype))
    return mixed.view(count, *flow.shape[2:], channels).permute(0, 3, 1, 2)


class FusedConv(nn.Module):
    """A convolution and the activation after it, if there is one, in one call of oneDNN."""

    def __init__(self, conv: nn.Conv2d, activation: nn.Module | None = None):
        super().__init__()
        self.conv = conv
        self.activation = ACTIVATIONS[type(activation)] if activation else 'none'
        scalars = {'hardtanh': [0.0, 6.0], 'leaky_relu': [getattr(activation, 'negative_slope', None)]}
        self.scalars = scalars.get(self.activation, [])

    def forward(self, x: Tensor) -> Tensor:
        conv = self.conv
        where = conv.padding, conv.stride, conv.dilation, conv.groups
        return torch.ops.mkldnn._convolution_pointwise(
            x, conv.weight, conv.bias, *where, self.activation, self.scalars, ''
        )


class ChannelsLastInstanceNorm(nn.Module):
    """`nn.InstanceNorm2d` without weights or running statistics, which keeps channels last where they are."""

    def __init__(self, norm: nn.InstanceNorm2d):
        super().__init__()
        self.eps = norm.eps

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, dim=(2, 3), correction=0, keepdim=True)
        return (x - mean) * torch.rsqrt(variance + self.eps)


class RowSamplingFlow(WrappedFlow):
    """A flow network whose cloth features are sampled row by row."""

    def align(self, cloth_feature: Tensor, flow: Tensor) -> Tensor:
        return sample_rows(cloth_feature, flow, align_corners=self.align_corners)


class ChannelsLastMaps(nn.Module):
    """Converts five maps to channels last."""

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(channels_last(x) for x in maps)


class Operations(NamedTuple):
    """Replacements for the usual modules. `convolve(conv, activation)` returns None to keep a convolution."""

    convolve: Callable[[nn.Conv2d, nn.Module | None], nn.Module | None]
    taps: Callable[[Taps], nn.Module]
    flow: Callable[[FlowNetwork], nn.Module]


def fuse(conv: nn.Conv2d, activation: nn.Module | None) -> nn.Module | None:
    """One call of oneDNN for both, where this PyTorch has it."""
    return FusedConv(conv, activation) if has_fused_convs() else None


ONEDNN = Operations(fuse, ChannelsLastTaps, RowSamplingFlow)


def accelerate(parts: Parts, operations: Operations = ONEDNN) -> Parts:
    """Put fast operations into `parts`, in place, and return them."""
    made = set()

    def merge_activation(conv: nn.Module, activation: nn.Module) -> nn.Module | None:
        if not isinstance(conv, nn.Conv2d) or conv.padding_mode != 'zeros':
            return None
        if type(activation) not in ACTIVATIONS:
            return None
        merged = operations.convolve(conv, activation)
        if merged is not None:
            made.add(merged)
        return merged

    for module in list(parts.modules()):
        if isinstance(module, nn.Sequential):
            merge_neighbours(module, merge_activation)
    inside = {inner for module in made for inner in module.modules()}

    def choose(conv: nn.Conv2d) -> nn.Module:
        if conv in inside or conv.padding_mode != 'zeros':
            return conv
        return operations.convolve(conv, None) or conv

    replace(parts, nn.Conv2d, choose)
    replace(parts, nn.InstanceNorm2d, ChannelsLastInstanceNorm)
    replace(parts, Taps, operations.taps)
    parts.to(memory_format=torch.channels_last)
    dress, garment = parts.dress, parts.garment
    assert isinstance(dress, Dresser) and isinstance(garment, GarmentEncoder)
    dress.flow = cast(FlowNetwork, operations.flow(dress.flow))
    garment.encoder.append(ChannelsLastMaps())
    return parts
