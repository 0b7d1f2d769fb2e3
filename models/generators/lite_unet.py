"""The narrow generator of the small model, with a fifth output: a mask of the pixels that stay as they are.

Own design, of MobileNetV2's blocks (Sandler et al., CVPR 2018). No conv runs at full size: the end works on
blocks of 2 x 2 pixels (pixel shuffle, Shi et al., CVPR 2016), which it also sees of the input, so that masks
follow the picture's edges.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.extractors.lite_fpn import lite_stage
from models.extractors.mobile_fpn import InvertedResidual, conv_norm_relu6

STEM_CHANNELS = 16
# channels, blocks and expansion of an encoder's stage, each of which begins with a stride of 2: 1/4, 1/8,
# 1/16, 1/32
STAGES = ((24, 2, 4), (40, 2, 4), (80, 3, 4), (128, 2, 4))
MERGES = (2, 3, 2, 2)  # expansion of the block that merges a skip: 1/2, 1/4, 1/8, 1/16
HEAD_CHANNELS = 48
OUT_CHANNELS = 5
BLOCK = 2  # pixels a side that the end predicts together


class LiteHead(nn.Sequential):
    """The end of the generator: blocks of 2 x 2 pixels from features [N, 16, H / 2, W / 2] and the input."""

    def forward(self, features: Tensor, x: Tensor) -> Tensor:  # type: ignore[override]
        blocks = F.pixel_unshuffle(x, BLOCK)  # [N, 4 C, H / 2, W / 2]
        return F.pixel_shuffle(super().forward(torch.cat([features, blocks], dim=1)), BLOCK)


def lite_head(in_channels: int) -> LiteHead:
    """A `LiteHead` for an input of so many channels."""
    last = nn.Conv2d(HEAD_CHANNELS, BLOCK**2 * OUT_CHANNELS, 1)
    with torch.no_grad():  # the pixels of a block begin equal, so no pattern of blocks shows
        last.weight.copy_(last.weight[:: BLOCK**2].repeat_interleave(BLOCK**2, dim=0))
        assert last.bias is not None
        last.bias.zero_()
    return LiteHead(
        *conv_norm_relu6(STEM_CHANNELS + BLOCK**2 * in_channels, HEAD_CHANNELS, 1),
        *conv_norm_relu6(HEAD_CHANNELS, HEAD_CHANNELS, 3, groups=HEAD_CHANNELS),
        last,
    )


class LiteUnet(nn.Module):
    """[N, 8 or 7, H, W] -> [N, 5, H, W]: rendered picture, composite mask and keep mask, all unbounded."""

    def __init__(self, in_channels: int):
        super().__init__()
        self.stem = nn.Sequential(*conv_norm_relu6(in_channels, STEM_CHANNELS, 3, stride=2))
        stages, channels, ups, merges = [], STEM_CHANNELS, [], []
        for (out_channels, blocks, expansion), merge in zip(STAGES, MERGES, strict=True):
            stages.append(lite_stage(channels, out_channels, blocks, expansion))
            ups.append(
                nn.Sequential(nn.Conv2d(out_channels, channels, 1, bias=False), nn.BatchNorm2d(channels))
            )
            merges.append(InvertedResidual(2 * channels, channels, expansion=merge))
            channels = out_channels
        self.stages = nn.ModuleList(stages)
        self.ups = nn.ModuleList(ups[::-1])
        self.merges = nn.ModuleList(merges[::-1])
        self.head = lite_head(in_channels)

    def forward(self, x: Tensor) -> Tensor:
        features = self.stem(x)
        skips = []
        for stage in self.stages:
            skips.append(features)
            features = stage(features)
        for up, merge, skip in zip(self.ups, self.merges, skips[::-1], strict=True):
            doubled = F.interpolate(up(features), scale_factor=2.0, mode='bilinear', align_corners=False)
            features = merge(torch.cat([skip, doubled], dim=1))
        return self.head(features, x)
