"""Faster operations for float32 on a CPU, put into folded networks, which have their channels last throughout.

- oneDNN convolves and applies the activation in one pass.
- Large 3x3 convolutions take the algorithm of Winograd (`runtime.winograd`).
- Sampling a map at a flow is a weighted sum of four rows of a table, which is what an embedding bag does.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runtime.fold import replace
from runtime.parts import Parts, WrappedFlow
from runtime.smooth import ChannelsLastTaps, Taps
from runtime.winograd import WinogradConv

# Where Winograd's algorithm is as fast as oneDNN or faster, measured on two AVX2 cores: 1.5 times for 512 to 128 channels at
# 16 x 12 pixels, no more than equal for 49 to 128 at 128 x 96, slower for 64 to 32.
SMALLEST_MAP = 150  # pixels
SMALLEST_KERNEL = 6000  # input channels times output channels
ACTIVATIONS = {nn.ReLU: 'relu', nn.ReLU6: 'hardtanh', nn.LeakyReLU: 'leaky_relu'}  # as oneDNN calls them


@functools.cache
def has_fused_convs() -> bool:
    """Whether this PyTorch can convolve and activate in one oneDNN call."""
    if not torch.backends.mkldnn.is_available():
        return False
    x = torch.zeros(1, 1, 1, 1)
    try:
        torch.ops.mkldnn._convolution_pointwise(x, x, None, [0, 0], [1, 1], [1, 1], 1, 'relu', [], '')
    except (AttributeError, RuntimeError):  # another build, another name
        return False
    return True


def channels_last(x: Tensor) -> Tensor:
    """The same tensor with its channels last in memory."""
    return x.contiguous(memory_format=torch.channels_last)


def sample_rows(picture: Tensor, flow: Tensor, *, align_corners: bool) -> Tensor:
    """`models.ops.flow.sample` with border padding for a map [N, C, H, W] with its channels last: [N, C, h, w], channels last."""
    count, channels, height, width = picture.shape
    x, y = flow[:, 0], flow[:, 1]
    if align_corners:
        x, y = (x + 1) * ((width - 1) / 2), (y + 1) * ((height - 1) / 2)
    else:
        x, y = ((x + 1) * width - 1) / 2, ((y + 1) * height - 1) / 2
    # NaN has no pixel: the comparison's order sends it to the first one, as the sampling of PyTorch does.
    x, y = (torch.where(at > 0, at, 0).clamp(max=side - 1) for at, side in ((x, width), (y, height)))
    left, top = x.floor().clamp(max=max(width - 2, 0)), y.floor().clamp(max=max(height - 2, 0))
    right, below = x - left, y - top
    first = (top * width + left).long() + height * width * torch.arange(count, device=flow.device)[:, None, None]
    step = 1 if width > 1 else 0
    down = width if height > 1 else 0
    rows = torch.stack([first, first + step, first + down, first + down + step], dim=3).view(-1, 4)
    weights = torch.stack([(1 - right) * (1 - below), right * (1 - below), (1 - right) * below, right * below], dim=3)
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
        return torch.ops.mkldnn._convolution_pointwise(x, conv.weight, conv.bias, *where, self.activation, self.scalars, '')


def fits_winograd(conv: nn.Conv2d) -> bool:
    """Whether the algorithm can and may pay for `conv`: 3x3, stride 1, dense, many channels."""
    shape = conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups, conv.padding_mode
    return shape == ((3, 3), (1, 1), (1, 1), (1, 1), 1, 'zeros') and conv.in_channels * conv.out_channels >= SMALLEST_KERNEL


class LargeConv(nn.Module):
    """A convolution that takes Winograd's algorithm where the map is large enough, and an activation after it."""

    def __init__(self, conv: nn.Conv2d, activation: nn.Module | None = None):
        super().__init__()
        self.winograd = WinogradConv(conv, activation)
        if has_fused_convs():
            self.direct = FusedConv(conv, activation)
        else:
            self.direct = conv if activation is None else nn.Sequential(conv, activation)

    def forward(self, *maps: Tensor) -> Tensor:
        """One map [N, C, H, W], or several whose channels follow one another."""
        if maps[0].shape[2] * maps[0].shape[3] >= SMALLEST_MAP:
            return self.winograd(*maps)
        return self.direct(maps[0] if len(maps) == 1 else torch.cat(maps, dim=1))


class RowSamplingFlow(WrappedFlow):
    """A flow network whose cloth features are sampled row by row."""

    def refine_offset(self, level: int, aligned: Tensor, condition_feature: Tensor) -> Tensor:
        first, *others = self.netRefine[level]
        if not isinstance(first, LargeConv):
            return super().refine_offset(level, aligned, condition_feature)
        x = first(aligned, condition_feature)
        for layer in others:
            x = layer(x)
        return x

    def align(self, cloth_feature: Tensor, flow: Tensor) -> Tensor:
        return sample_rows(cloth_feature, flow, align_corners=self.align_corners)


class ChannelsLastMaps(nn.Module):
    """Hands on five maps with their channels last."""

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(channels_last(x) for x in maps)


def fuse_activations(layers: nn.Sequential, *, winograd: bool) -> None:
    """Merge each convolution of `layers` with the activation after it, in place."""
    kept: list[nn.Module] = []
    for layer in layers:
        before = kept[-1] if kept else None
        if type(layer) in ACTIVATIONS and isinstance(before, nn.Conv2d) and before.padding_mode == 'zeros':
            if winograd and fits_winograd(before):
                layer.inplace = True
                kept[-1] = LargeConv(before, layer)
                continue
            if has_fused_convs():
                kept[-1] = FusedConv(before, layer)
                continue
        kept.append(layer)
    del layers[:]
    layers.extend(kept)


def accelerate(parts: Parts, *, winograd: bool = True) -> Parts:
    """Put the fast operations into `parts`, in place, and return them; `winograd` False leaves that algorithm out."""
    for module in list(parts.modules()):
        if isinstance(module, nn.Sequential):
            fuse_activations(module, winograd=winograd)
    merged = {inner for module in parts.modules() if isinstance(module, (FusedConv, LargeConv)) for inner in module.modules()}

    def choose(conv: nn.Conv2d) -> nn.Module:
        if conv in merged or conv.padding_mode != 'zeros':
            return conv
        if winograd and fits_winograd(conv):
            return LargeConv(conv)
        return FusedConv(conv) if has_fused_convs() else conv

    replace(parts, nn.Conv2d, choose)
    replace(parts, Taps, ChannelsLastTaps)
    parts.to(memory_format=torch.channels_last)
    parts.dress.flow = RowSamplingFlow(parts.dress.flow)
    parts.garment.encoder.append(ChannelsLastMaps())
    return parts
