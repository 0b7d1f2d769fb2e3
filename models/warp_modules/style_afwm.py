"""The global-style warp network of FS-VTON (He et al., "Style-Based Global Appearance Flow", CVPR 2022).

A style vector of both pictures modulates the convs that estimate the coarse offset (modulated convs after
StyleGAN2, Karras et al., CVPR 2020), so that a far displacement needs no search window.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.warp_modules.afwm import AFWM
from models.warp_modules.coarse_to_fine import FEATURE_CHANNELS, LEVELS, FlowNetwork

SIZE = (256, 192)  # (H, W): the style convs span the whole coarsest map of this size
COARSEST = (SIZE[0] // 32, SIZE[1] // 32)
STYLE_CHANNELS = 256


class EqualLinear(nn.Module):
    """A linear layer with its weight scaled by sqrt(2 / in) when run. Published name: `weight_orig`."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.weight_orig = nn.Parameter(torch.randn(out_channels, in_channels))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.scale = math.sqrt(2 / in_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_orig * self.scale, self.bias)


class StyleScale(nn.Module):
    """Style [N, 256] -> a scale for each input channel [N, C]. Published weights fix the name `linear`."""

    def __init__(self, out_channels: int):
        super().__init__()
        self.linear = EqualLinear(STYLE_CHANNELS, out_channels)

    def forward(self, style: Tensor) -> Tensor:
        return self.linear(style)


class ModulatedConv(nn.Module):
    """3x3 conv whose weight is scaled by the style and demodulated, sample by sample.

    Scaling the input and the output gives the same as a weight for each sample, without a grouped conv.
    Published weights fix the names and the bias's shape.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(1, out_channels, 1, 1))
        self.mlp_class_std = StyleScale(in_channels)
        self.scale = math.sqrt(2 / (in_channels * 9))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        weight = self.weight * self.scale  # [out, in, 3, 3]
        scale = self.mlp_class_std(style)  # [N, in]
        wide = torch.promote_types(scale.dtype, torch.float32)  # squares of 16-bit numbers overflow
        energy = weight.to(wide).square().sum(dim=(2, 3)) * scale.to(wide).square()[:, None]  # [N, out, in]
        demodulation = torch.rsqrt(1e-5 + energy.sum(dim=2)).to(x.dtype)  # [N, out]
        scaled = x * scale.to(x.dtype)[:, :, None, None]
        return F.conv2d(scaled, weight, padding=1) * demodulation[:, :, None, None] + self.bias


class StyledConvs(nn.Module):
    """Two modulated convs, LeakyReLU between, and after both unless `is_last`. Published names."""

    def __init__(self, in_channels: int, hidden: int, out_channels: int, *, is_last: bool = False):
        super().__init__()
        self.conv0 = ModulatedConv(in_channels, hidden)
        self.conv1 = ModulatedConv(hidden, out_channels)
        self.is_last = is_last

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        x = self.activate(self.conv0(x, style))
        x = self.conv1(x, style)
        return x if self.is_last else self.activate(x)

    @staticmethod
    def activate(x: Tensor) -> Tensor:
        return F.leaky_relu(x, 0.2) * math.sqrt(2)


class StyleFlow(FlowNetwork):
    """The coarse offset comes from the aligned cloth feature alone, by convs that the style modulates.

    Published weights fix the attribute names; "image" is the cloth there.
    """

    def __init__(self, *, align_corners: bool):
        super().__init__(align_corners=align_corners)
        self.netStyle = nn.ModuleList(StyledConvs(FEATURE_CHANNELS, 49, 49) for _ in range(LEVELS))
        self.netF = nn.ModuleList(StyledConvs(49, 128, 2, is_last=True) for _ in range(LEVELS))
        self.cond_style = self.style_conv()
        self.image_style = self.style_conv()

    @staticmethod
    def style_conv() -> nn.Sequential:
        """[N, 256, 8, 6] -> half of the style, [N, 128, 1, 1]."""
        return nn.Sequential(nn.Conv2d(FEATURE_CHANNELS, STYLE_CHANNELS // 2, COARSEST), nn.LeakyReLU(0.1))

    def context(self, condition_features: tuple[Tensor, ...], cloth_features: tuple[Tensor, ...]) -> Tensor:
        """The style [N, 256] of both coarsest maps."""
        halves = self.cond_style(condition_features[0]), self.image_style(cloth_features[0])
        return torch.cat(halves, dim=1).flatten(1)

    def coarse_offset(
        self, level: int, aligned: Tensor, condition_feature: Tensor, context: Tensor | None
    ) -> Tensor:
        return self.netF[level](self.netStyle[level](aligned, context), context)


class StyleAFWM(AFWM):
    """AFWM's pyramids with the global-style flow network: tied to 256 x 192."""

    fixed_size = SIZE

    def __init__(self, condition_channels: int, *, align_corners: bool = True):
        super().__init__(condition_channels, align_corners=align_corners, flow_network=StyleFlow)
