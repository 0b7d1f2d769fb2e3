"""The narrow warp network of the small model: the published loop on four levels, separable estimators.

Own design after PF-AFN (Ge et al., CVPR 2021) and DM-VTON (Nguyen-Ngoc et al., ISMAR 2023). The coarse offset
comes from the cost volume, as in both, and sees the person's feature and a global style vector (as in
FS-VTON, He et al., CVPR 2022) beside it, so that a far displacement needs no search window.

Pictures are looked at when 128 to 255 pixels high: larger ones are halved first. A garment's flow is smooth,
so it is found on the small picture, at a quarter of the cost, and enlarged.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.extractors.lite_fpn import PYRAMID_CHANNELS, LiteFPN, separable
from models.ops.flow import prefilter
from models.warp_modules.afwm import COST_CHANNELS, compare
from models.warp_modules.coarse_to_fine import STRIDE, FlowNetwork, WarpNetwork

WIDTHS = (128, 112, 80, 48)  # of the estimators, coarse to fine: a coarse channel costs little
STYLE_CHANNELS = 64
LOOKED_AT = 128  # height of the pictures that are not halved any more
# Pixels of the garment's picture. On drawings as on photographs it is shown at 1 / 1.3 of its size, so that
# this is half a pixel of the person's.
SPREAD = 0.65
SMALL_WEIGHT = 1e-3  # of the last conv of an estimator, so that training begins at the identity


def shrink(picture: Tensor) -> Tensor:
    """Halve a picture [N, C, H, W] while the half is 128 or more high with sides the pyramid can take."""
    while picture.shape[2] >= 2 * LOOKED_AT and not any(side % (2 * STRIDE) for side in picture.shape[2:]):
        picture = F.avg_pool2d(picture, 2)
    return picture


def smoothed(cloth: Tensor, edge: Tensor | None) -> Tensor:
    """The cloth [N, 3, H, W] without what its pixels on the person cannot show."""
    return prefilter(cloth, edge, SPREAD)


class Shrink(nn.Module):
    """`shrink` as a module."""

    def forward(self, picture: Tensor) -> Tensor:
        return shrink(picture)


class Estimator(nn.Module):
    """Maps [N, C, h, w], and for some a style [N, 64], to an offset [N, 2, h, w] in pixels."""

    def __init__(self, in_channels: int, width: int, *, styled: bool):
        super().__init__()
        self.first = nn.Conv2d(in_channels, width, 1)
        # A conv of a map that holds the style everywhere, without the map.
        self.style = nn.Linear(STYLE_CHANNELS, width, bias=False) if styled else None
        layers = [
            nn.LeakyReLU(0.1),
            *separable(width, width),
            nn.LeakyReLU(0.1),
            *separable(width, width * 2 // 3),
            nn.LeakyReLU(0.1),
        ]
        last = nn.Conv2d(width * 2 // 3, 2, 3, padding=1)
        self.body = nn.Sequential(*layers, last)
        nn.init.normal_(last.weight, std=SMALL_WEIGHT)
        assert last.bias is not None
        nn.init.zeros_(last.bias)

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        x = self.first(x)
        if self.style is not None:
            x = x + self.style(style)[:, :, None, None]
        return self.body(x)


class LiteFlow(FlowNetwork):
    """The coarse offset comes from the cost volume, the condition feature and the style of both pyramids."""

    compare = staticmethod(compare)  # a runtime may put its own in the place of this

    def __init__(self, *, align_corners: bool):
        refine = (Estimator(2 * PYRAMID_CHANNELS, width, styled=False) for width in WIDTHS)
        super().__init__(align_corners=align_corners, refine=refine)
        coarse = (Estimator(COST_CHANNELS + PYRAMID_CHANNELS, width, styled=True) for width in WIDTHS)
        self.netMain = nn.ModuleList(coarse)
        self.style = nn.Sequential(
            nn.Linear(2 * PYRAMID_CHANNELS, 2 * STYLE_CHANNELS),
            nn.LeakyReLU(0.1),
            nn.Linear(2 * STYLE_CHANNELS, STYLE_CHANNELS),
        )

    def context(self, condition_features: tuple[Tensor, ...], cloth_features: tuple[Tensor, ...]) -> Tensor:
        """The style [N, 64]: what the coarsest maps hold on average."""
        averages = condition_features[0].mean(dim=(2, 3)), cloth_features[0].mean(dim=(2, 3))
        return self.style(torch.cat(averages, dim=1))

    def coarse_offset(
        self, level: int, aligned: Tensor, condition_feature: Tensor, context: Tensor | None
    ) -> Tensor:
        cost = self.compare(aligned, condition_feature)  # [N, 49, h, w]
        return self.netMain[level](torch.cat([cost, condition_feature], dim=1), context)


class LiteAFWM(WarpNetwork):
    """Narrow pyramids with the narrow flow network; nothing is tied to a size."""

    levels = len(WIDTHS)
    prefilter = staticmethod(smoothed)

    def __init__(self, condition_channels: int, *, align_corners: bool = True):
        super().__init__()
        self.image_lite = LiteFPN(3)
        self.cond_lite = LiteFPN(condition_channels)
        self.aflow_net = LiteFlow(align_corners=align_corners)

    def encode_condition(self, condition: Tensor) -> tuple[Tensor, ...]:
        return self.cond_lite(shrink(condition))

    def encode_cloth(self, cloth: Tensor) -> tuple[Tensor, ...]:
        return self.image_lite(shrink(cloth))

    def condition_encoder(self) -> nn.Sequential:
        return nn.Sequential(Shrink(), self.cond_lite)

    def cloth_encoder(self) -> nn.Sequential:
        return nn.Sequential(Shrink(), self.image_lite)
