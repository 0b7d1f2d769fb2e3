"""The residual feature pyramid of PF-AFN and FS-VTON: five levels, 256 channels each.

PF-AFN (Ge et al., CVPR 2021), section 3.2: "pyramid feature extraction network".
"""

import torch.nn.functional as F
from torch import Tensor, nn

LEVEL_CHANNELS = (64, 128, 256, 256, 256)  # fine to coarse, 1/2 to 1/32
PYRAMID_CHANNELS = 256


class Residual(nn.Module):
    """Pre-activation residual: input + (BN, ReLU, 3x3 conv) twice; nothing after the sum."""

    def __init__(self, channels: int):
        super().__init__()
        self.block = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


class Down(nn.Module):
    """BN, ReLU, 3x3 conv of stride 2."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.block = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            nn.ReLU(),
            nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


class ResEncoder(nn.Module):
    """[N, C, H, W] -> five maps, fine to coarse, 1/2 to 1/32. Published weights fix the name `encoders`."""

    def __init__(self, in_channels: int):
        super().__init__()
        channels = (in_channels, *LEVEL_CHANNELS)
        self.encoders = nn.ModuleList(
            nn.Sequential(Down(before, after), Residual(after), Residual(after))
            for before, after in zip(channels[:-1], channels[1:], strict=True)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = []
        for encoder in self.encoders:
            x = encoder(x)
            maps.append(x)
        return tuple(maps)


class ResFPN(nn.Module):
    """Five encoder maps, fine to coarse -> five maps of 256 channels, coarse to fine.

    Published weights fix the names `adaptive` and `smooth`; index 0 is the coarsest. The chain hands on the
    *smoothed* map.
    """

    def __init__(self):
        super().__init__()
        coarse_to_fine = LEVEL_CHANNELS[::-1]
        self.adaptive = nn.ModuleList(nn.Conv2d(channels, PYRAMID_CHANNELS, 1) for channels in coarse_to_fine)
        self.smooth = nn.ModuleList(
            nn.Conv2d(PYRAMID_CHANNELS, PYRAMID_CHANNELS, 3, padding=1) for _ in coarse_to_fine
        )

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        features: list[Tensor] = []
        for adaptive, smooth, encoded in zip(self.adaptive, self.smooth, maps[::-1], strict=True):
            lateral = adaptive(encoded)
            if features:
                lateral = lateral + F.interpolate(features[-1], scale_factor=2.0, mode='nearest')
            features.append(smooth(lateral))
        return tuple(features)
