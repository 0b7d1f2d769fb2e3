"""RMGN, the regional mask guided generator (Lin et al., "RMGN: A Regional Mask Guided Network for Parser-free
Virtual Try-on", IJCAI 2022): two attribute encoders, and a decoder that picks person or cloth attributes by a
learned mask, place by place.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

PERSON_CHANNELS = 3  # the rest of the input is cloth and edge


def double(x: Tensor) -> Tensor:
    """Upsample [N, C, h, w] x2 bilinearly, corners aligned."""
    return F.interpolate(x, scale_factor=2.0, mode='bilinear', align_corners=True)


def strided_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    """Halve: 4x4 conv of stride 2 without bias, InstanceNorm, LeakyReLU 0.1."""
    conv = nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, nn.InstanceNorm2d(out_channels), nn.LeakyReLU(0.1))


class StridedDeconv(nn.Module):
    """Double, normalise, and append the skip: cat[up, skip]. Published weights fix the name `deconv`."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.deconv = nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False)
        self.norm = nn.InstanceNorm2d(out_channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        up = F.leaky_relu(self.norm(self.deconv(x)), 0.1)
        return torch.cat([up, skip], dim=1)


class AttributeEncoder(nn.Module):
    """[N, C, H, W] -> five attribute maps of 512, 256, 128, 64, 64 channels at 1/16, 1/8, 1/4, 1/2, 1.

    Published weights fix the attribute names.
    """

    def __init__(self, in_channels: int, *, base: int = 64):
        super().__init__()
        self.conv1 = strided_conv(in_channels, base // 2)
        self.conv2 = strided_conv(base // 2, base)
        self.conv3 = strided_conv(base, 2 * base)
        self.conv4 = strided_conv(2 * base, 4 * base)
        self.conv5 = strided_conv(4 * base, 8 * base)
        self.deconv1 = StridedDeconv(8 * base, 4 * base)
        self.deconv2 = StridedDeconv(8 * base, 2 * base)
        self.deconv3 = StridedDeconv(4 * base, base)
        self.deconv4 = StridedDeconv(2 * base, base // 2)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        half = self.conv1(x)
        quarter = self.conv2(half)
        eighth = self.conv3(quarter)
        sixteenth = self.conv4(eighth)
        first = self.deconv1(self.conv5(sixteenth), sixteenth)
        second = self.deconv2(first, eighth)
        third = self.deconv3(second, quarter)
        fourth = self.deconv4(third, half)
        return first, second, third, fourth, double(fourth)


class AAD(nn.Module):
    """Attribute-adaptive denormalisation: person and cloth modulate the normalised input, a mask M chooses.

    Published weights fix the attribute names: a1 is the person, a2 the cloth.
    """

    def __init__(self, channels: int, attribute_channels: int):
        super().__init__()
        self.conv_a1_gamma = nn.Conv2d(attribute_channels, channels, 1)
        self.conv_a1_beta = nn.Conv2d(attribute_channels, channels, 1)
        self.conv_a2_gamma = nn.Conv2d(attribute_channels, channels, 1)
        self.conv_a2_beta = nn.Conv2d(attribute_channels, channels, 1)
        self.conv_h = nn.Conv2d(channels, 1, 1)
        self.norm = nn.InstanceNorm2d(channels)

    def forward(self, x: Tensor, person: Tensor, cloth: Tensor) -> Tensor:
        h = self.norm(x)
        by_person = (1 + self.conv_a1_gamma(person)) * h + self.conv_a1_beta(person)
        by_cloth = (1 + self.conv_a2_gamma(cloth)) * h + self.conv_a2_beta(cloth)
        mask = torch.sigmoid(self.conv_h(h))  # [N, 1, h, w], 1 where the cloth decides
        return (1 - mask) * by_person + mask * by_cloth


class AADResBlock(nn.Module):
    """(AAD, ReLU, spectral-norm 3x3 conv) twice, plus the input, by a path of its own if channels change.

    Published weights fix the attribute names.
    """

    def __init__(self, in_channels: int, out_channels: int, attribute_channels: int):
        super().__init__()
        middle = min(in_channels, out_channels)
        self.AAD_1 = AAD(in_channels, attribute_channels)
        self.conv_1 = spectral_norm(nn.Conv2d(in_channels, middle, 3, padding=1))
        self.AAD_2 = AAD(middle, attribute_channels)
        self.conv_2 = spectral_norm(nn.Conv2d(middle, out_channels, 3, padding=1))
        self.changes_channels = in_channels != out_channels
        if self.changes_channels:
            self.AAD_s = AAD(in_channels, attribute_channels)
            self.conv_s = spectral_norm(nn.Conv2d(in_channels, out_channels, 3, padding=1))

    def forward(self, x: Tensor, person: Tensor, cloth: Tensor) -> Tensor:
        h = self.conv_1(F.relu(self.AAD_1(x, person, cloth)))
        h = self.conv_2(F.relu(self.AAD_2(h, person, cloth)))
        shortcut = self.conv_s(F.relu(self.AAD_s(x, person, cloth))) if self.changes_channels else x
        return h + shortcut


class AADGenerator(nn.Module):
    """Person and cloth attribute maps -> [N, 4, H, W]. Published weights fix the attribute names."""

    def __init__(self, *, base: int = 64):
        super().__init__()
        self.conv_head = nn.Conv2d(16 * base, 16 * base, 3, padding=1)
        self.AADResBlk_mid_0 = AADResBlock(16 * base, 16 * base, 8 * base)
        self.AADResBlk_mid_1 = AADResBlock(4 * base, 4 * base, 2 * base)
        self.AADResBlk_mid_2 = AADResBlock(base, base, base)
        self.AADResBlk_up_0 = AADResBlock(16 * base, 8 * base, 8 * base)
        self.AADResBlk_up_1 = AADResBlock(8 * base, 4 * base, 4 * base)
        self.AADResBlk_up_2 = AADResBlock(4 * base, 2 * base, 2 * base)
        self.AADResBlk_up_3 = AADResBlock(2 * base, base, base)
        self.conv_final = nn.Conv2d(base, 4, 3, padding=1)

    def forward(self, person: tuple[Tensor, ...], cloth: tuple[Tensor, ...]) -> Tensor:
        pairs = list(zip(person, cloth, strict=True))
        x = self.conv_head(torch.cat(pairs[0], dim=1))
        x = self.AADResBlk_mid_0(x, *pairs[0])
        x = double(self.AADResBlk_up_0(x, *pairs[0]))
        x = double(self.AADResBlk_up_1(x, *pairs[1]))
        x = self.AADResBlk_mid_1(x, *pairs[2])
        x = double(self.AADResBlk_up_2(x, *pairs[2]))
        x = double(self.AADResBlk_up_3(x, *pairs[3]))
        x = self.AADResBlk_mid_2(x, *pairs[4])
        return self.conv_final(x)


class RMGN(nn.Module):
    """[N, 7, H, W] (person 3, cloth and edge 4) -> [N, 4, H, W]: picture before tanh, mask before sigmoid.

    Published weights fix the attribute names.
    """

    def __init__(self, in_channels: int):
        super().__init__()
        self.inp_encoder = AttributeEncoder(PERSON_CHANNELS)
        self.ref_encoder = AttributeEncoder(in_channels - PERSON_CHANNELS)
        self.generator = AADGenerator()

    def forward(self, x: Tensor) -> Tensor:
        person, cloth = x[:, :PERSON_CHANNELS], x[:, PERSON_CHANNELS:]
        return self.generator(self.inp_encoder(person), self.ref_encoder(cloth))
