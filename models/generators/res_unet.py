"""The residual U-Net of PF-AFN (Ge et al., CVPR 2021) and FS-VTON: 256 x 192 in, five halvings."""

import torch
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """ReLU(input + conv, BN, ReLU, conv, BN), convs without bias."""

    def __init__(self, channels: int):
        super().__init__()
        self.relu = nn.ReLU()
        self.block = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(x + self.block(x))


def conv3x3(in_channels: int, out_channels: int, *, stride: int = 1) -> nn.Conv2d:
    """A 3x3 conv without bias, padded by one zero."""
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)


def residual_pair(channels: int) -> list[nn.Module]:
    """Two residual blocks, which follow every halving and every doubling."""
    return [ResidualBlock(channels), ResidualBlock(channels)]


class UnetLevel(nn.Module):
    """One level around the next inner one: cat[input, result]. Published weights fix the name `model`.

    The innermost level has no BN after its strided conv (published so); the outer one returns no input.
    """

    def __init__(self, outer: int, inner: int, *, inside: nn.Module | None):
        super().__init__()
        norm = [nn.BatchNorm2d(inner)] if inside is not None else []
        down = [conv3x3(outer, inner, stride=2), *norm, nn.ReLU(), *residual_pair(inner)]
        up = [nn.Upsample(scale_factor=2), conv3x3(2 * inner if inside is not None else inner, outer)]
        up += [nn.BatchNorm2d(outer), nn.ReLU(), *residual_pair(outer)]
        self.model = nn.Sequential(*down, *([inside] if inside is not None else []), *up)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.model(x)], dim=1)


class OuterLevel(nn.Module):
    """The outer level: no BN after its strided conv, nothing after the last conv, no skip."""

    def __init__(self, in_channels: int, out_channels: int, inner: int, *, inside: nn.Module):
        super().__init__()
        down = [conv3x3(in_channels, inner, stride=2), nn.ReLU(), *residual_pair(inner)]
        self.model = nn.Sequential(
            *down, inside, nn.Upsample(scale_factor=2), conv3x3(2 * inner, out_channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class ResUnet(nn.Module):
    """[N, 8 or 7, H, W] -> [N, 4, H, W]: rendered picture before tanh, composite mask before sigmoid.

    Published weights fix the name `model`.
    """

    def __init__(self, in_channels: int, *, base: int = 64):
        super().__init__()
        level = UnetLevel(8 * base, 8 * base, inside=None)
        for outer in (4, 2, 1):
            level = UnetLevel(outer * base, 2 * outer * base, inside=level)
        self.model = OuterLevel(in_channels, 4, base, inside=level)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)
