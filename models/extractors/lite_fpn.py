"""The narrow feature pyramid of the small model: four levels, 1/32 to 1/4, 64 channels each.

Own design, of MobileNetV2's blocks (Sandler et al., CVPR 2018) and a top-down chain as in DM-VTON
(Nguyen-Ngoc et al., ISMAR 2023), section 3.2. Nothing is computed at a level finer than 1/4 but the stem, and
coarse levels, where a channel is cheap, are the wide ones.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from models.extractors.mobile_fpn import InvertedResidual, conv_norm_relu6

PYRAMID_CHANNELS = 64
STEM_CHANNELS = 16
# channels, blocks and expansion of a stage; each begins with a stride of 2: 1/4, 1/8, 1/16, 1/32
STAGES = ((24, 2, 3), (40, 2, 4), (88, 3, 4), (136, 3, 4))


def lite_stage(in_channels: int, out_channels: int, blocks: int, expansion: int) -> nn.Sequential:
    """Inverted residuals, the first of which halves the map: [N, in, h, w] -> [N, out, h / 2, w / 2]."""
    first = InvertedResidual(in_channels, out_channels, expansion=expansion, stride=2)
    return nn.Sequential(
        first, *(InvertedResidual(out_channels, out_channels, expansion=expansion) for _ in range(blocks - 1))
    )


def separable(in_channels: int, out_channels: int) -> nn.Sequential:
    """A depthwise 3x3 conv and a 1x1 conv with nothing between."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
        nn.Conv2d(in_channels, out_channels, 1),
    )


class LiteFPN(nn.Module):
    """[N, C, H, W] -> four maps of 64 channels, coarse to fine, 1/32 to 1/4; sides multiples of 32."""

    def __init__(self, in_channels: int):
        super().__init__()
        self.stem = nn.Sequential(*conv_norm_relu6(in_channels, STEM_CHANNELS, 3, stride=2))
        stages, channels = [], STEM_CHANNELS
        for out_channels, blocks, expansion in STAGES:
            stages.append(lite_stage(channels, out_channels, blocks, expansion))
            channels = out_channels
        self.stages = nn.ModuleList(stages)
        self.top = nn.Conv2d(channels, PYRAMID_CHANNELS, 1)
        self.laterals = nn.ModuleList(
            nn.Conv2d(out_channels, PYRAMID_CHANNELS, 1) for out_channels, *_ in STAGES[::-1]
        )
        self.smooths = nn.ModuleList(separable(PYRAMID_CHANNELS, PYRAMID_CHANNELS) for _ in STAGES)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x, maps = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        chain = self.top(x.mean(dim=(2, 3), keepdim=True))  # [N, 64, 1, 1]
        features = []
        for lateral, smooth, encoded in zip(self.laterals, self.smooths, maps[::-1], strict=True):
            upsampled = F.interpolate(chain, size=encoded.shape[2:], mode='bilinear', align_corners=False)
            chain = upsampled + lateral(encoded)
            features.append(smooth(chain))
        return tuple(features)
