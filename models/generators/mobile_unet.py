"""The MobileNetV2 U-Net generator of DM-VTON (Nguyen-Ngoc et al., ISMAR 2023), section 3.2."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.extractors.mobile_fpn import InvertedResidual, conv_norm_relu6, initialise_mobile

STEM_CHANNELS = 32
# Expansion, channels, stride.
BLOCKS = ((1, 16, 1), (6, 24, 2), (6, 32, 2), (6, 64, 2), (6, 96, 1), (6, 160, 2), (6, 320, 1))
HEAD_CHANNELS = 512
SKIPS = (1, 2, 3, 5)  # the features that the decoder sees again, fine to coarse


class Backbone(nn.Module):
    """The encoder's layers by index. Published weights fix the name `features`."""

    def __init__(self, in_channels: int):
        super().__init__()
        layers: list[nn.Module] = [nn.Sequential(*conv_norm_relu6(in_channels, STEM_CHANNELS, 3, stride=2))]
        channels = STEM_CHANNELS
        for expansion, out_channels, stride in BLOCKS:
            layers.append(InvertedResidual(channels, out_channels, expansion=expansion, stride=stride))
            channels = out_channels
        layers.append(nn.Sequential(*conv_norm_relu6(channels, HEAD_CHANNELS, 1)))
        self.features = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """[N, C, H, W] -> [N, 512, H/32, W/32] and the skips, fine to coarse."""
        skips = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in SKIPS:
                skips.append(x)
        return x, skips


class MobileUnet(nn.Module):
    """[N, 8 or 7, H, W] -> [N, 4, H, W]: rendered picture before tanh, composite mask before sigmoid.

    Published weights fix the attribute names.
    """

    def __init__(self, in_channels: int):
        super().__init__()
        self.backbone = Backbone(in_channels)
        self.dconv1, self.invres1 = self.up(HEAD_CHANNELS, 96)
        self.dconv2, self.invres2 = self.up(96, 32)
        self.dconv3, self.invres3 = self.up(32, 24)
        self.dconv4, self.invres4 = self.up(24, 16)
        self.conv_last = nn.Conv2d(16, 4, 3, padding=1, bias=False)
        initialise_mobile(self)

    @staticmethod
    def up(in_channels: int, out_channels: int) -> tuple[nn.ConvTranspose2d, InvertedResidual]:
        """A doubling and the block that merges it with a skip of as many channels."""
        double = nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1)
        return double, InvertedResidual(2 * out_channels, out_channels, expansion=6)

    def forward(self, x: Tensor) -> Tensor:
        x, skips = self.backbone(x)
        stages = (
            (self.dconv1, self.invres1),
            (self.dconv2, self.invres2),
            (self.dconv3, self.invres3),
            (self.dconv4, self.invres4),
        )
        for (double, merge), skip in zip(stages, reversed(skips), strict=True):
            x = merge(torch.cat([skip, double(x)], dim=1))
        x = F.interpolate(x, scale_factor=2.0, mode='nearest')
        return self.conv_last(x)
