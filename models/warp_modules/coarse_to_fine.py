"""The coarse-to-fine loop that all warp networks share.

PF-AFN (Ge et al., CVPR 2021), section 3.2: at each level of two feature pyramids a coarse and a refining
offset bring the cloth closer to the person; FS-VTON and DM-VTON change the pyramids and the estimator of the
coarse offset, not the loop.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from models.ops.flow import advance, rescale, sample
from models.outputs import WarpLevel, WarpOutput
from utils.errors import UserError

LEVELS = 5
FEATURE_CHANNELS = 256
STRIDE = 32  # the coarsest level is 1/32 of the picture


def offset_convs(in_channels: int) -> nn.Sequential:
    """3x3 convs C -> 128 -> 64 -> 32 -> 2, LeakyReLU 0.1 between: [N, C, h, w] to an offset [N, 2, h, w]."""
    layers, channels = [], in_channels
    for out_channels in (128, 64, 32):
        layers += [nn.Conv2d(channels, out_channels, 3, padding=1), nn.LeakyReLU(0.1)]
        channels = out_channels
    return nn.Sequential(*layers, nn.Conv2d(channels, 2, 3, padding=1))


class FlowNetwork(nn.Module):
    """Two pyramids of features -> the flow that brings the cloth onto the person.

    A subclass says how the coarse offset of a level is estimated; everything else is this loop. `refine` are
    the estimators of the refining offset, one a level, coarse to fine (None: those of the published networks,
    five levels of 256 channels). A level's flow is doubled for the next one, and the last one enlarged to the
    picture's size, a power of two: twice, as published, or more. Published weights fix the name `netRefine`.
    """

    def __init__(self, *, align_corners: bool, refine: Iterable[nn.Module] | None = None):
        super().__init__()
        self.align_corners = align_corners
        self.netRefine = nn.ModuleList(refine or (offset_convs(2 * FEATURE_CHANNELS) for _ in range(LEVELS)))

    def context(
        self, condition_features: tuple[Tensor, ...], cloth_features: tuple[Tensor, ...]
    ) -> Tensor | None:
        """Input of `coarse_offset` from the whole pyramids, computed once before the loop."""
        return None

    def coarse_offset(
        self, level: int, aligned: Tensor, condition_feature: Tensor, context: Tensor | None
    ) -> Tensor:
        """Estimate [N, 2, h, w] pixels from the aligned cloth feature and the condition's, [N, 256, h, w]."""
        raise NotImplementedError

    def refine_offset(self, level: int, aligned: Tensor, condition_feature: Tensor) -> Tensor:
        """Estimate [N, 2, h, w] pixels from the coarsely aligned cloth feature and the condition's."""
        return self.netRefine[level](torch.cat([aligned, condition_feature], dim=1))

    def align(self, cloth_feature: Tensor, flow: Tensor) -> Tensor:
        """Sample the cloth feature [N, 256, h, w] at the flow so far."""
        return sample(cloth_feature, flow, align_corners=self.align_corners)

    def forward(
        self,
        condition_features: tuple[Tensor, ...],
        cloth_features: tuple[Tensor, ...],
        cloth: Tensor,
        edge: Tensor | None = None,
        keep_levels: bool = False,
    ) -> WarpOutput:
        options = {'align_corners': self.align_corners}
        context = self.context(condition_features, cloth_features)
        flow: Tensor | None = None
        levels: list[WarpLevel] = []
        for n, (condition_feature, cloth_feature) in enumerate(
            zip(condition_features, cloth_features, strict=True)
        ):
            # The only detach: gradients of this level must not reach the flow of the level before.
            aligned = cloth_feature if flow is None else self.align(cloth_feature, flow.detach())
            coarse = self.coarse_offset(n, aligned, condition_feature, context)
            flow = advance(flow, coarse, **options)
            refine = self.refine_offset(n, self.align(cloth_feature, flow), condition_feature)
            flow = advance(flow, refine, **options)
            is_last = n == len(self.netRefine) - 1
            # To [N, 2, 2h, 2w], at last to [N, 2, H, W].
            flow = rescale(flow, cloth.shape[2] / flow.shape[2] if is_last else 2.0)
            if keep_levels:
                cloth_n, edge_n = self.sample_level(cloth, edge, flow)
                levels.append(
                    WarpLevel(cloth_n, edge_n, flow, coarse, refine, condition_feature, cloth_feature)
                )
        assert flow is not None, 'a pyramid has levels'
        warped_cloth, warped_edge = levels[-1][:2] if levels else self.sample_level(cloth, edge, flow)
        return WarpOutput(warped_cloth, warped_edge, flow, tuple(levels))

    def sample_level(self, cloth: Tensor, edge: Tensor | None, flow: Tensor) -> tuple[Tensor, Tensor | None]:
        """Cloth (border padding) and edge (zeros), scaled to a level's flow and sampled at it."""
        factor = flow.shape[2] / cloth.shape[2]
        if factor != 1:
            cloth, edge = rescale(cloth, factor), None if edge is None else rescale(edge, factor)
        warped_cloth = sample(cloth, flow, align_corners=self.align_corners)
        if edge is None:
            return warped_cloth, None
        return warped_cloth, sample(edge, flow, align_corners=self.align_corners, padding_mode='zeros')


def unfiltered(cloth: Tensor, edge: Tensor | None) -> Tensor:
    """The cloth as it is, as the published networks sample it."""
    return cloth


class WarpNetwork(nn.Module):
    """Two encoders and a flow network: condition and cloth in, the warped cloth out.

    Published weights fix the name `aflow_net` and those of the encoders, which a subclass makes.
    """

    fixed_size: tuple[int, int] | None = None  # (H, W) where the network is tied to one
    levels = LEVELS  # of its pyramids
    aflow_net: FlowNetwork
    # (cloth [N, 3, H, W], edge [N, 1, H, W] or None) -> what is sampled in the cloth's place
    prefilter: Callable[[Tensor, Tensor | None], Tensor] = staticmethod(unfiltered)

    def encode_condition(self, condition: Tensor) -> tuple[Tensor, ...]:
        """[N, C, H, W] -> five maps [N, 256, h, w], coarse to fine."""
        raise NotImplementedError

    def encode_cloth(self, cloth: Tensor) -> tuple[Tensor, ...]:
        """[N, 3, H, W] in [-1, 1] -> five maps [N, 256, h, w], coarse to fine."""
        raise NotImplementedError

    def condition_encoder(self) -> nn.Sequential:
        """`encode_condition` as a module that shares the weights."""
        raise NotImplementedError

    def cloth_encoder(self) -> nn.Sequential:
        """`encode_cloth` as a module that shares the weights."""
        raise NotImplementedError

    def check_size(self, name: str, picture: Tensor) -> None:
        """Raise `UserError`, a ValueError, unless `picture` has sides that the network can take."""
        height, width = picture.shape[-2:]
        if self.fixed_size and (height, width) != self.fixed_size:
            expected = ' x '.join(map(str, self.fixed_size))
            raise UserError(
                f'{name} is {height} x {width} (H x W), but {type(self).__name__} is tied to {expected}; '
                'resize the picture, or take a family without global style'
            )
        if height % STRIDE or width % STRIDE or not height or not width:
            raise UserError(
                f'{name} is {height} x {width} (H x W); both must be multiples of {STRIDE}, like 256 x 192'
            )

    def forward(
        self, condition: Tensor, cloth: Tensor, edge: Tensor | None = None, keep_levels: bool = False
    ) -> WarpOutput:
        """Warp `cloth` [N, 3, H, W] and `edge` [N, 1, H, W] onto the person of `condition` [N, C, H, W].

        Without an edge, all of the picture is garment. Raises ValueError for sides that do not fit the
        network, or a condition that does not fit the cloth.
        """
        self.check_size('condition', condition)
        if condition.shape[0] != cloth.shape[0] or condition.shape[2:] != cloth.shape[2:]:
            raise ValueError(
                f'condition is {list(condition.shape)} and cloth {list(cloth.shape)}; '
                'batch, height and width must agree'
            )
        return self.warp_onto(self.encode_condition(condition), cloth, edge, keep_levels)

    def warp_onto(
        self,
        condition_features: tuple[Tensor, ...],
        cloth: Tensor,
        edge: Tensor | None = None,
        keep_levels: bool = False,
    ) -> WarpOutput:
        """Warp as `forward` does, onto a person that `encode_condition` has seen."""
        shown = self.prefilter(cloth, edge)
        return self.aflow_net(condition_features, self.encode_cloth(cloth), shown, edge, keep_levels)
