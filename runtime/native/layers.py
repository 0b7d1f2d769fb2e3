"""Modules that call the kernels of `kernels.cpp`, each in the place of a network's; float32 on a CPU."""

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.extractors.mobile_fpn import InvertedResidual
from models.extractors.res_fpn import Residual
from models.generators.lite_unet import BLOCK
from models.generators.res_unet import ResidualBlock
from models.generators.rmgn import AAD, AADResBlock
from models.outputs import WarpOutput
from runtime import cpu
from runtime.cpu import RowSamplingFlow, channels_last, fuse
from runtime.fold import bias_of, conv_of, merge_neighbours, replace
from runtime.lite_head import SplitHead
from runtime.native.binding import load_kernels
from runtime.native.winograd import fits_winograd, transform_kernels
from runtime.parts import Parts
from runtime.smooth import PYRAMID_CHANNELS, ChannelsLastTaps, shifted_upsampling

# Input channels times output channels; below, oneDNN is as fast, measured on two AVX2 cores.
SMALLEST_KERNEL = 1000
SLOPES = {type(None): 1.0, nn.ReLU: 0.0, nn.ReLU6: 0.0}  # of activations, below zero


def panels(matrix: Tensor) -> Tensor:
    """[..., in, out] -> [..., panels, in, columns], as the kernels read it; the last panel padded with 0."""
    load_kernels()
    columns = torch.ops.dm_vton_cpu.panel_columns()
    padded = F.pad(matrix, (0, -matrix.shape[-1] % columns))
    return padded.unflatten(-1, (-1, columns)).transpose(-3, -2).contiguous()


def wide(values: Tensor, width: int) -> Tensor:
    """[..., C] -> [..., width], zeros at the end."""
    return F.pad(values, (0, width - values.shape[-1])).contiguous()


class DoublingConv(nn.Conv2d):
    """A 3x3 convolution, with the weights of `conv`, of a map doubled first by repeating pixels."""

    def __init__(self, conv: nn.Conv2d):
        nn.Module.__init__(self)
        self.__dict__.update(conv.__dict__)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.interpolate(x, scale_factor=2.0))


class NativeConv(nn.Module):
    """A 3x3 convolution with stride 1 and padding 1, and an activation after it.

    Off by 1.3e-5 at 512 input channels and outputs up to 2.7, where oneDNN is off by 7e-6.
    """

    def __init__(self, conv: nn.Conv2d, activation: nn.Module | None = None):
        super().__init__()
        kernels = panels(transform_kernels(conv.weight.detach()))  # [36, panels, in, columns]
        # Of three dimensions: `to(memory_format=...)` would reorder four.
        self.register_buffer('kernels', kernels.flatten(0, 1))
        self.register_buffer('bias', wide(bias_of(conv), kernels.shape[1] * kernels.shape[3]))
        slope = (
            activation.negative_slope if isinstance(activation, nn.LeakyReLU) else SLOPES[type(activation)]
        )
        top = 6.0 if isinstance(activation, nn.ReLU6) else math.inf
        self.settings = conv.out_channels, slope, top, isinstance(conv, DoublingConv)

    def forward(self, *maps: Tensor, addend: Tensor | None = None) -> Tensor:
        """One map [N, C, H, W], or several to concatenate; `addend` is added before the activation."""
        arranged = [channels_last(x) for x in maps]
        addend = None if addend is None else channels_last(addend)
        return torch.ops.dm_vton_cpu.winograd(arranged, self.kernels, self.bias, addend, *self.settings)


def split_pixels(conv: DoublingConv) -> nn.Conv2d:
    """The convolution of the undoubled map with four outputs a channel, ready for `nn.PixelShuffle(2)`."""
    low = nn.Conv2d(conv.in_channels, 4 * conv.out_channels, 3, padding=1).requires_grad_(False)
    low.bias = nn.Parameter(bias_of(conv).repeat_interleave(4), requires_grad=False)
    # [parity of the output, tap of the undoubled map, tap of the doubled map]: 1 where both taps read the
    # same pixel.
    fall = [[[1, 0, 0], [0, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 0], [0, 0, 1]]]
    taps = conv.weight.new_tensor(fall)
    weight = torch.einsum('oiyx,avy,bwx->oabivw', conv.weight.detach(), taps, taps)
    low.weight.data = weight.flatten(0, 2).contiguous()
    return low


class NativeResidual(nn.Module):
    """input + block(input), and an activation after the sum; the block ends in a 3x3 convolution."""

    def __init__(self, block: nn.Sequential, activation: nn.Module | None = None):
        super().__init__()
        *first, last = block
        self.first = nn.Sequential(*first)
        self.last = NativeConv(conv_of(last), activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x), addend=x)


class NativeInstanceNorm(nn.Module):
    """`nn.InstanceNorm2d` without weights or running statistics."""

    def __init__(self, norm: nn.InstanceNorm2d):
        super().__init__()
        self.eps = norm.eps

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.dm_vton_cpu.instance_norm(channels_last(x), self.eps)


class NativeAAD(nn.Module):
    """`AAD` and a ReLU: map [N, C, H, W], attributes [N, A, H, W] of person and cloth -> [N, C, H, W]."""

    def __init__(self, aad: AAD):
        super().__init__()
        convs = {'person': (aad.conv_a1_gamma, aad.conv_a1_beta)}
        convs['cloth'] = (aad.conv_a2_gamma, aad.conv_a2_beta)
        for name, (gamma, beta) in convs.items():
            # [panels, A, columns] each.
            weights = [panels(conv.weight.detach().flatten(1).t()) for conv in (gamma, beta)]
            width = weights[0].shape[0] * weights[0].shape[2]
            biases = [wide(bias, width) for bias in (1 + bias_of(gamma), bias_of(beta))]
            self.register_buffer(f'{name}_weights', torch.cat(weights))
            self.register_buffer(f'{name}_biases', torch.cat(biases))
        self.register_buffer('mask', torch.cat([aad.conv_h.weight.detach().flatten(), bias_of(aad.conv_h)]))
        self.eps = aad.norm.eps

    def forward(self, x: Tensor, person: Tensor, cloth: Tensor) -> Tensor:
        maps = (channels_last(each) for each in (x, person, cloth))
        weights = self.person_weights, self.person_biases, self.cloth_weights, self.cloth_biases, self.mask
        return torch.ops.dm_vton_cpu.aad(*maps, *weights, self.eps)


class NativeAADResBlock(nn.Module):
    """`AADResBlock`: its convolutions, and the denormalisation and ReLU before each of them."""

    def __init__(self, block: AADResBlock):
        super().__init__()
        self.denormalise_1, self.conv_1 = NativeAAD(block.AAD_1), NativeConv(block.conv_1)
        self.denormalise_2, self.conv_2 = NativeAAD(block.AAD_2), NativeConv(block.conv_2)
        self.changes_channels = block.changes_channels
        if self.changes_channels:
            self.denormalise_s, self.conv_s = NativeAAD(block.AAD_s), NativeConv(block.conv_s)

    def forward(self, x: Tensor, person: Tensor, cloth: Tensor) -> Tensor:
        h = self.conv_1(self.denormalise_1(x, person, cloth))
        shortcut = self.conv_s(self.denormalise_s(x, person, cloth)) if self.changes_channels else x
        return self.conv_2(self.denormalise_2(h, person, cloth), addend=shortcut)


class NativeInvertedResidual(nn.Module):
    """The layers of an `InvertedResidual`, folded, in one call.

    [N, C, H, W] -> [N, C', H / stride, W / stride].
    """

    def __init__(self, layers: nn.Sequential, *, has_shortcut: bool):
        super().__init__()
        *expansion, depthwise, projection = (layer for layer in layers if isinstance(layer, nn.Conv2d))
        # [panels, in, columns]
        first = panels(expansion[0].weight.detach().flatten(1).t()) if expansion else None
        hidden = panels(torch.zeros(1, depthwise.in_channels)).numel()
        last = panels(wide(projection.weight.detach().flatten(1), hidden).t())
        self.register_buffer('expansion', first)
        self.register_buffer('expansion_bias', wide(bias_of(expansion[0]), hidden) if expansion else None)
        self.register_buffer('depthwise', wide(depthwise.weight.detach().flatten(1).t(), hidden))
        self.register_buffer('depthwise_bias', wide(bias_of(depthwise), hidden))
        self.register_buffer('projection', last)
        self.register_buffer('projection_bias', wide(bias_of(projection), last.shape[0] * last.shape[2]))
        in_channels = conv_of(layers[0]).in_channels
        self.shape = in_channels, projection.out_channels, depthwise.stride[0], has_shortcut

    def forward(self, x: Tensor) -> Tensor:
        first = self.expansion, self.expansion_bias, self.depthwise, self.depthwise_bias
        weights = *first, self.projection, self.projection_bias
        return torch.ops.dm_vton_cpu.inverted_residual(channels_last(x), *weights, *self.shape)


class NativeHead(nn.Module):
    """`SplitHead`, which is an inverted residual of features and blocks of the picture, in one call."""

    def __init__(self, head: SplitHead):
        super().__init__()
        self.block = NativeInvertedResidual(head.by_pixels(), has_shortcut=False)

    def forward(self, features: Tensor, x: Tensor) -> Tensor:
        rows = (
            channels_last(x)
            .permute(0, 2, 3, 1)
            .unflatten(1, (-1, BLOCK))
            .unflatten(3, (-1, BLOCK))
            .flatten(4)
        )
        pixels = rows.movedim(2, 0)  # [2, N, H / 2, W / 2, 2 * C]
        seen = torch.cat([features.permute(0, 2, 3, 1), *pixels], dim=3).permute(0, 3, 1, 2)
        blocks = self.block(seen).unflatten(1, (-1, BLOCK, BLOCK))  # [N, 5, 2, 2, H / 2, W / 2]
        # A pixel shuffle, to planes at once.
        return blocks.permute(0, 1, 4, 2, 5, 3).flatten(4).flatten(2, 3).contiguous()


@functools.lru_cache(maxsize=64)
def upsampling_terms(size: int, doublings: int) -> tuple[Tensor, Tensor]:
    """The rows of `shifted_upsampling` as sums of few terms: indices and weights, [large, terms] each."""
    matrix = shifted_upsampling(size, doublings, torch.float32, torch.device('cpu'))
    terms = int((matrix != 0).sum(dim=1).max())
    index = matrix.abs().topk(terms, dim=1).indices
    return index.contiguous(), matrix.gather(1, index).contiguous()


class NativeTaps(ChannelsLastTaps):
    """`runtime.smooth.Taps` whose products are summed by the kernels."""

    def products(self, chain: Tensor) -> Tensor:
        """[N, 256, h, w] -> [N, h, w, 3, 3, 256], nine taps a pixel."""
        return (chain.permute(0, 2, 3, 1) @ self.weight).unflatten(3, (3, 3, PYRAMID_CHANNELS)).contiguous()

    def place(self, products: Tensor, lateral: Tensor | None, doublings: int) -> Tensor:
        """Upsample the products, shift them to their taps' places, add to `lateral`, in place if it can."""
        count, height, width = products.shape[:3]
        rows, columns = upsampling_terms(height, doublings), upsampling_terms(width, doublings)
        if lateral is None:
            lateral = self.bias.view(1, -1, 1, 1).expand(count, -1, len(rows[0]), len(columns[0]))
            lateral = lateral.clone(memory_format=torch.channels_last)
        base = channels_last(lateral)
        torch.ops.dm_vton_cpu.add_taps(products, *rows, *columns, base)
        return base


def compare_natively(aligned: Tensor, condition_feature: Tensor) -> Tensor:
    """`models.warp_modules.afwm.compare` by the kernels."""
    return torch.ops.dm_vton_cpu.cost_volume(channels_last(aligned), channels_last(condition_feature), 0.1)


class NativeFlow(RowSamplingFlow):
    """A flow network that samples and compares by the kernels."""

    compare = staticmethod(compare_natively)

    def forward(
        self, condition_features: tuple[Tensor, ...], cloth_features: tuple[Tensor, ...], *args, **kwargs
    ) -> WarpOutput:
        # A code expanded to a batch is a view with stride 0, which the kernels do not take.
        person, garment = (tuple(map(channels_last, maps)) for maps in (condition_features, cloth_features))
        return super().forward(person, garment, *args, **kwargs)

    def refine_offset(self, level: int, aligned: Tensor, condition_feature: Tensor) -> Tensor:
        layers = self.netRefine[level]
        if not isinstance(layers, nn.Sequential) or not isinstance(layers[0], NativeConv):
            return super().refine_offset(level, aligned, condition_feature)
        first, *others = layers
        x = first(aligned, condition_feature)  # both maps as they are: no concatenation
        for layer in others:
            x = layer(x)
        return x

    def align(self, cloth_feature: Tensor, flow: Tensor) -> Tensor:
        return torch.ops.dm_vton_cpu.sample(cloth_feature, flow, self.align_corners)

    def sample_level(self, cloth: Tensor, edge: Tensor | None, flow: Tensor) -> tuple[Tensor, Tensor | None]:
        if flow.shape[2] != cloth.shape[2]:
            return super().sample_level(cloth, edge, flow)
        sample = torch.ops.dm_vton_cpu.sample_planes
        warped_cloth = sample(cloth, flow, self.align_corners, False)
        return warped_cloth, None if edge is None else sample(edge, flow, self.align_corners, True)


def convolve(conv: nn.Conv2d, activation: nn.Module | None) -> nn.Module | None:
    """Replace a convolution by a kernel if that is faster, else by oneDNN's."""
    if isinstance(conv, DoublingConv):
        if 4 * conv.out_channels <= torch.ops.dm_vton_cpu.panel_columns():
            return nn.Sequential(NativeConv(split_pixels(conv), activation), nn.PixelShuffle(2))
        return NativeConv(conv, activation)
    return NativeConv(conv, activation) if fits_winograd(conv, SMALLEST_KERNEL) else fuse(conv, activation)


def merge_doubling(first: nn.Module, second: nn.Module) -> DoublingConv | None:
    """One convolution for a doubling and the convolution after it; None for other layers."""
    doubles = isinstance(first, nn.Upsample) and (first.scale_factor, first.mode) == (2, 'nearest')
    if doubles and isinstance(second, nn.Conv2d) and fits_winograd(second, SMALLEST_KERNEL // 4):
        return DoublingConv(second)
    return None


def accelerate(parts: Parts) -> Parts:
    """Put the kernels into `parts` and return them. Raises `UserError` where they cannot be built."""
    load_kernels()
    replace(
        parts,
        InvertedResidual,
        lambda block: NativeInvertedResidual(block.conv, has_shortcut=block.has_shortcut),
    )
    replace(parts, SplitHead, NativeHead)
    replace(parts, Residual, lambda residual: NativeResidual(residual.block))
    replace(parts, ResidualBlock, lambda residual: NativeResidual(residual.block, residual.relu))
    replace(parts, AADResBlock, NativeAADResBlock)
    replace(parts, nn.InstanceNorm2d, NativeInstanceNorm)
    for layers in list(parts.modules()):
        if isinstance(layers, nn.Sequential):
            merge_neighbours(layers, merge_doubling)
    return cpu.accelerate(parts, cpu.Operations(convolve, NativeTaps, NativeFlow))
