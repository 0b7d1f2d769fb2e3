"""The MobileNetV2 feature pyramid of DM-VTON: five levels, 256 channels each.

DM-VTON (Nguyen-Ngoc et al., ISMAR 2023), section 3.2; blocks after MobileNetV2 (Sandler et al., CVPR 2018).
"""

import math

import torch.nn.functional as F
from torch import Tensor, nn

PYRAMID_CHANNELS = 256
STEM_CHANNELS = 32
# Expansion, channels, stride.
BLOCKS = ((1, 16, 1), (6, 24, 2), (6, 32, 2), (6, 64, 2), (6, 96, 2), (6, 160, 2), (6, 320, 1))


def conv_norm_relu6(
    in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> list:
    """The three layers that MobileNetV2 is made of: a conv without bias, BN, ReLU6."""
    conv = nn.Conv2d(
        in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
    )
    return [conv, nn.BatchNorm2d(out_channels), nn.ReLU6()]


class InvertedResidual(nn.Module):
    """1x1 expansion, 3x3 depthwise, 1x1 projection; identity shortcut where nothing changes in shape.

    `always_expand` keeps the first 1x1 even at expansion 1 (the pyramid has it, the generator has not).
    Published weights fix the name `conv`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        expansion: int,
        stride: int = 1,
        always_expand: bool = False,
    ):
        super().__init__()
        hidden = in_channels * expansion
        layers = conv_norm_relu6(in_channels, hidden, 1) if always_expand or expansion != 1 else []
        layers += conv_norm_relu6(hidden, hidden, 3, stride=stride, groups=hidden)
        layers += [nn.Conv2d(hidden, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)]
        self.conv = nn.Sequential(*layers)
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.has_shortcut else self.conv(x)


def initialise_mobile(module: nn.Module) -> None:
    """Initialise in place: convs normal, std sqrt(2 / (kh * kw * out_channels)), biases 0, BN 1 and 0."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(
                layer.weight, std=math.sqrt(2 / (math.prod(layer.kernel_size) * layer.out_channels))
            )
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.ones_(layer.weight)
        if isinstance(bias := getattr(layer, 'bias', None), Tensor):
            nn.init.zeros_(bias)


class MobileFPN(nn.Module):
    """[N, C, H, W] -> five maps of 256 channels, coarse to fine, 1/32 to 1/2.

    Published weights fix the attribute names. The five `smooth_layers` are one and the same conv under five
    names: the sharing is part of the 37.8 MB. The chain itself stays unsmoothed, unlike the residual
    pyramid's.
    """

    def __init__(self, in_channels: int):
        super().__init__()
        self.first_layer = nn.Sequential(*conv_norm_relu6(in_channels, STEM_CHANNELS, 3))
        blocks, channels = [], STEM_CHANNELS
        for expansion, out_channels, stride in BLOCKS:
            block = InvertedResidual(
                channels, out_channels, expansion=expansion, stride=stride, always_expand=True
            )
            blocks.append(nn.Sequential(block))
            channels = out_channels
        self.inverted_residual_blocks = nn.ModuleList(blocks)
        self.top_layer = nn.Conv2d(channels, PYRAMID_CHANNELS, 1)
        self.lateral_layers = nn.ModuleList(
            nn.Conv2d(out_channels, PYRAMID_CHANNELS, 1) for _, out_channels, stride in BLOCKS if stride == 2
        )
        smooth = nn.Conv2d(PYRAMID_CHANNELS, PYRAMID_CHANNELS, 3, padding=1)
        self.smooth_layers = nn.ModuleList(smooth for _ in self.lateral_layers)
        initialise_mobile(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x, maps = self.first_layer(x), []
        for block, (_, _, stride) in zip(self.inverted_residual_blocks, BLOCKS, strict=True):
            x = block(x)
            if stride == 2:
                maps.append(x)
        chain = self.top_layer(x.mean(dim=(2, 3), keepdim=True))  # [N, 256, 1, 1]
        features = []
        for lateral, smooth, encoded in zip(
            self.lateral_layers[::-1], self.smooth_layers, maps[::-1], strict=True
        ):
            upsampled = F.interpolate(chain, size=encoded.shape[2:], mode='bilinear', align_corners=False)
            chain = upsampled + lateral(encoded)
            features.append(smooth(chain))
        return tuple(features)
