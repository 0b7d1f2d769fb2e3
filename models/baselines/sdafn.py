"""SDAFN (Bai et al., "Single Stage Virtual Try-on via Deformable Attention Flows", ECCV 2022), inference.

From garment and masked person two pyramids; from those, coarse to fine, six flows into the garment ("cross")
and six into the masked person ("self"), each with an attention map; the picture is decoded from the weighted
sum of what all twelve fetch.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.baselines.base import BaselineNetwork, BaselineTryOn
from models.extractors.res_fpn import PYRAMID_CHANNELS, ResEncoder, ResFPN
from models.ops.flow import advance, rescale, sample

FLOWS = 6
LEVELS = 5
# The weights were trained with it, though an offset of zero is then not quite the identity.
ALIGN_CORNERS = False


class Flows(NamedTuple):
    """Several flows into one picture, and how much each counts where."""

    flow: Tensor  # [N, 6, 2, h, w], sampling grids in normalised (x, y), float32 or wider
    attention: Tensor  # [N, 6, h, w] in [0, 1]


class FlowLevel(NamedTuple):
    """One level of the coarse-to-fine loop, for inspection; feature size (h, w), level 0 the coarsest."""

    cross: Flows  # into the garment, (2h, 2w)
    own: Flows  # into the masked person, (2h, 2w)
    cross_middle: Flows  # before the refinement, (h, w)
    own_middle: Flows  # before the refinement, (h, w)


def warp(features: Tensor, flows: Flows) -> Tensor:
    """Sum of what each flow fetches from `features` [N, C, h, w], weighted by its attention: [N, C, h, w]."""
    fetched = torch.zeros_like(features)
    for flow, attention in zip(flows.flow.unbind(1), flows.attention.unbind(1), strict=True):
        fetched = fetched + attention[:, None].to(features.dtype) * sample(
            features, flow, align_corners=ALIGN_CORNERS
        )
    return fetched


def advance_all(flows: Flows | None, offsets: Tensor) -> Tensor:
    """Follow each of the offsets [N, 12, h, w] (x, y of each flow), then the old flow: [N, 6, 2, h, w]."""
    offset = offsets.unflatten(1, (FLOWS, 2)).flatten(0, 1)  # [N * 6, 2, h, w]
    old = None if flows is None else flows.flow.flatten(0, 1)
    return advance(old, offset, align_corners=ALIGN_CORNERS).unflatten(0, (-1, FLOWS))


def double(flows: Flows) -> Flows:
    """The same flows at twice the size; neither flow nor attention is normalised again."""
    return Flows(
        rescale(flows.flow.flatten(1, 2), 2.0).unflatten(1, (FLOWS, 2)), rescale(flows.attention, 2.0)
    )


class FlowEstimator(nn.Module):
    """Two feature maps, [N, 512, h, w] -> offsets and logits [N, out, h, w]. Published name: `layers`."""

    def __init__(self, out_channels: int, *, kernel: int = 3):
        super().__init__()
        layers: list[nn.Module] = []
        channels = (2 * PYRAMID_CHANNELS, 128, 64, 32, out_channels)
        for number, (before, after) in enumerate(zip(channels[:-1], channels[1:], strict=True)):
            size = kernel if number else 3  # the first convolution is 3 x 3 in all of them
            layers += [nn.Conv2d(before, after, size, padding=size // 2), nn.LeakyReLU(0.1)]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return self.layers(torch.cat([first, second], dim=1))


class DeformableAttentionFlow(nn.Module):
    """The flow network. Published weights fix the attribute names."""

    def __init__(self):
        super().__init__()
        self.Cross_MFEs = nn.ModuleList(FlowEstimator(3 * FLOWS) for _ in range(LEVELS))
        self.Self_MFEs = nn.ModuleList(FlowEstimator(3 * FLOWS, kernel=7) for _ in range(LEVELS))
        self.Refine_MFEs = nn.ModuleList(FlowEstimator(6 * FLOWS) for _ in range(LEVELS))
        self.lights_encoder = nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1), nn.LeakyReLU(0.1), nn.Conv2d(32, 64, 1)
        )
        self.lights_decoder = nn.Sequential(
            nn.Conv2d(64, 32, 1), nn.LeakyReLU(0.1), nn.Conv2d(32, 3, 3, padding=1)
        )

    def find_flows(self, source: tuple[Tensor, ...], reference: tuple[Tensor, ...]) -> tuple[FlowLevel, ...]:
        """All levels, coarse to fine, from the pyramids of garment and person; the last has the result."""
        levels: list[FlowLevel] = []
        for estimators, f, c in zip(self._estimators(), source, reference, strict=True):
            last = levels[-1] if levels else None
            levels.append(self._level(estimators, f, c, *((last.cross, last.own) if last else (None, None))))
        return tuple(levels)

    def _estimators(self):
        return zip(self.Cross_MFEs, self.Self_MFEs, self.Refine_MFEs, strict=True)

    @staticmethod
    def _level(
        estimators: tuple, garment: Tensor, person: Tensor, cross: Flows | None, own: Flows | None
    ) -> FlowLevel:
        estimate_cross, estimate_own, refine = estimators
        garment_before = garment if cross is None else warp(garment, cross)
        person_before = person if own is None else warp(person, own)

        raw = estimate_cross(garment_before, person)
        cross_middle = Flows(advance_all(cross, raw[:, : 2 * FLOWS]), raw[:, 2 * FLOWS :].softmax(1))
        garment_warped = warp(garment, cross_middle)
        raw = estimate_own(garment_warped, person_before)
        own_middle = Flows(advance_all(own, raw[:, : 2 * FLOWS]), raw[:, 2 * FLOWS :].softmax(1))
        person_warped = warp(person, own_middle)

        raw = refine(garment_warped, person_warped)
        cross_offsets, own_offsets, logits = raw.split([2 * FLOWS, 2 * FLOWS, 2 * FLOWS], dim=1)
        # From here on all twelve sum to one.
        own_attention, cross_attention = logits.softmax(1).chunk(2, dim=1)
        cross = double(Flows(advance_all(cross_middle, cross_offsets), cross_attention))
        own = double(Flows(advance_all(own_middle, own_offsets), own_attention))
        return FlowLevel(cross, own, cross_middle, own_middle)

    def render(self, garment: Tensor, agnostic: Tensor, level: FlowLevel) -> Tensor:
        """A level's picture [N, 3, 2h, 2w], not clipped, of garment and masked person [N, 3, H, W]."""
        size = level.cross.attention.shape[2:]
        if garment.shape[2:] != size:
            garment, agnostic = (
                F.interpolate(x, size, mode='bilinear', align_corners=False) for x in (garment, agnostic)
            )
        of_garment = warp(self.lights_encoder(garment), level.cross)
        of_person = warp(self.lights_encoder(agnostic), level.own)
        return self.lights_decoder(of_garment + of_person)


class SDAFN(BaselineNetwork):
    """The whole method. Published weights fix the attribute names."""

    inputs = {'pose_picture': 3, 'agnostic': 3, 'cloth': 3}

    def __init__(self):
        super().__init__()
        self.source_features, self.reference_features = ResEncoder(3), ResEncoder(6)
        self.source_FPN, self.reference_FPN = ResFPN(), ResFPN()
        self.dafnet = DeformableAttentionFlow()

    @torch.no_grad()
    def forward(self, *, pose_picture: Tensor, agnostic: Tensor, cloth: Tensor) -> BaselineTryOn:
        """Dress the person of `agnostic` (no garment) and `pose_picture` (a skeleton) in `cloth`.

        All are [N, 3, H, W] in [-1, 1]; the cloth is the plain product photograph. Raises `UserError`.
        """
        self.check_inputs(pose_picture=pose_picture, agnostic=agnostic, cloth=cloth)
        finest = self.find_flows(pose_picture, agnostic, cloth)[-1]
        shown = warp(cloth, finest.cross) / finest.cross.attention.sum(1, keepdim=True).clamp(min=1e-6).to(
            cloth.dtype
        )
        return BaselineTryOn(
            self.dafnet.render(cloth, agnostic, finest).clamp(-1, 1), shown.clamp(-1, 1), None
        )

    def find_flows(self, pose_picture: Tensor, agnostic: Tensor, cloth: Tensor) -> tuple[FlowLevel, ...]:
        """The levels of the flow network, coarse to fine."""
        source = self.source_FPN(self.source_features(cloth))
        reference = self.reference_FPN(self.reference_features(torch.cat([pose_picture, agnostic], dim=1)))
        return self.dafnet.find_flows(source, reference)
