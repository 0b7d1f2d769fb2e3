"""Faster operations for float32 on a CPU, put into folded networks: the libraries that PyTorch brings, asked for by name.

- oneDNN convolves and applies the activation in one pass, in channels_last, which spares it to reorder its inputs.
- NNPACK convolves by the algorithm of Winograd (Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016): 64
  products where a 3x3 convolution of 6x6 pixels takes 324. It rounds coarser than oneDNN: 7e-5 against 2e-5 on outputs near 1.
- Sampling a map at a flow is a weighted sum of four rows of a table, which is what an embedding bag does.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.extractors.mobile_fpn import InvertedResidual
from models.generators.mobile_unet import MobileUnet
from models.warp_modules.afwm import CorrelationFlow
from runtime.fold import replace
from runtime.parts import Parts, WrappedFlow
from runtime.smooth import SmoothedPyramid

# Winograd's algorithm transforms the weights in every call: it pays where there are many pixels and enough channels. Measured on
# two AVX2 cores: at 32 x 24 pixels both take the same time, at 64 x 48 it is up to 2 times faster, at 128 x 96 up to 3 times.
SMALLEST_MAP = 2000  # pixels
SMALLEST_KERNEL = 2000  # input channels times output channels
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


@functools.cache
def has_winograd() -> bool:
    """Whether this PyTorch and processor have NNPACK."""
    if not hasattr(torch, '_nnpack_spatial_convolution') or not torch._nnpack_available():
        return False
    x = torch.zeros(1, 1, 8, 8)
    try:
        torch._nnpack_spatial_convolution(x, x[:, :, :3, :3], None, padding=1)
    except RuntimeError:
        return False
    return True


def transposed(x: Tensor) -> Tensor:
    """[N, C, h, w] in the other memory format: channels last from contiguous, and back.

    PyTorch copies a transposed matrix twice as fast as it copies the same numbers as four-dimensional tensors.
    """
    count, channels, height, width = x.shape
    if x.is_contiguous():
        pixels = [one.flatten(1).t().contiguous() for one in x]  # [h * w, C] each
        return _stack(pixels).view(count, height, width, channels).permute(0, 3, 1, 2)
    maps = [one.permute(1, 2, 0).reshape(-1, channels).t().contiguous() for one in x]  # [C, h * w] each
    return _stack(maps).view(x.shape)


def _stack(tensors: list[Tensor]) -> Tensor:
    return torch.stack(tensors) if len(tensors) > 1 else tensors[0]


def channels_last(x: Tensor) -> Tensor:
    """The same tensor with its channels last in memory."""
    return x if x.is_contiguous(memory_format=torch.channels_last) else transposed(x.contiguous())


def channels_first(x: Tensor) -> Tensor:
    """The same tensor, contiguous."""
    if x.is_contiguous():
        return x
    return transposed(x) if x.is_contiguous(memory_format=torch.channels_last) else x.contiguous()


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


class WinogradConv(nn.Module):
    """A 3x3 convolution that takes Winograd's algorithm where the map is large enough, and an activation after it.

    The result is contiguous where the algorithm is used.
    """

    def __init__(self, conv: nn.Conv2d, activation: nn.Module | None = None):
        super().__init__()
        self.conv = conv
        self.activation = activation
        if has_fused_convs():
            self.direct = FusedConv(conv, activation)
        else:
            self.direct = conv if activation is None else nn.Sequential(conv, activation)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] * x.shape[3] < SMALLEST_MAP:
            return self.direct(x)
        conv = self.conv
        x = torch._nnpack_spatial_convolution(channels_first(x), conv.weight, conv.bias, padding=1)
        return x if self.activation is None else self.activation(x)


class RowSamplingFlow(WrappedFlow):
    """A flow network whose cloth features have their channels last, so that they are sampled and compared row by row."""

    def coarse_offset(self, level: int, aligned: Tensor, condition_feature: Tensor, context: Tensor | None) -> Tensor:
        if isinstance(self.network, CorrelationFlow):  # global style does not look at the condition feature
            condition_feature = channels_last(condition_feature)
        return self.network.coarse_offset(level, aligned, condition_feature, context)

    def refine_offset(self, level: int, aligned: Tensor, condition_feature: Tensor) -> Tensor:
        count, channels, height, width = aligned.shape
        both = aligned.new_empty(count, 2 * channels, height, width)
        for one, place in zip(aligned, both, strict=True):  # as matrices, for the reason that `transposed` gives
            place[:channels].view(channels, -1).copy_(one.permute(1, 2, 0).reshape(-1, channels).t())
        both[:, channels:].copy_(condition_feature)
        return self.netRefine[level](both)

    def align(self, cloth_feature: Tensor, flow: Tensor) -> Tensor:
        return sample_rows(channels_last(cloth_feature), flow, align_corners=self.align_corners)


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
                kept[-1] = WinogradConv(before, layer)
                continue
            if has_fused_convs():
                kept[-1] = FusedConv(before, layer)
                continue
        kept.append(layer)
    del layers[:]
    layers.extend(kept)


def accelerate(parts: Parts, *, winograd: bool = True) -> Parts:
    """Put the fast operations into `parts`, in place, and return them; `winograd` False leaves NNPACK out."""
    winograd = winograd and has_winograd()
    for module in list(parts.modules()):
        if isinstance(module, nn.Sequential):
            fuse_activations(module, winograd=winograd)
    merged = {module.conv for module in parts.modules() if isinstance(module, (FusedConv, WinogradConv))}

    def choose(conv: nn.Conv2d) -> nn.Module:
        if conv in merged or conv.padding_mode != 'zeros':
            return conv
        if winograd and fits_winograd(conv):
            return WinogradConv(conv)
        return FusedConv(conv) if has_fused_convs() else conv

    replace(parts, nn.Conv2d, choose)
    if has_fused_convs():
        for module in parts.modules():
            if isinstance(module, (InvertedResidual, MobileUnet)):
                module.to(memory_format=torch.channels_last)
            elif isinstance(module, SmoothedPyramid):
                module.first_layer.to(memory_format=torch.channels_last)
    parts.dress.flow = RowSamplingFlow(parts.dress.flow)
    parts.garment.encoder.append(ChannelsLastMaps())
    return parts
