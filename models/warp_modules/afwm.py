"""AFWM, the warp network of PF-AFN (Ge et al., CVPR 2021): residual pyramids, offsets by correlation."""

import torch.nn.functional as F
from torch import Tensor, nn

from models.extractors.res_fpn import ResEncoder, ResFPN
from models.ops.correlation import correlation
from models.warp_modules.coarse_to_fine import LEVELS, FlowNetwork, WarpNetwork, offset_convs

COST_CHANNELS = 49  # displacements of -3 .. 3 pixels in both directions


def compare(aligned: Tensor, condition_feature: Tensor) -> Tensor:
    """The cost volume of two features [N, C, h, w] and a LeakyReLU: [N, 49, h, w]."""
    return F.leaky_relu(correlation(aligned, condition_feature), 0.1)


class CorrelationFlow(FlowNetwork):
    """The coarse offset comes from the cost volume of both features. Published name: `netMain`."""

    compare = staticmethod(compare)  # a runtime may put its own in the place of this

    def __init__(self, *, align_corners: bool):
        super().__init__(align_corners=align_corners)
        self.netMain = nn.ModuleList(offset_convs(COST_CHANNELS) for _ in range(LEVELS))

    def coarse_offset(
        self, level: int, aligned: Tensor, condition_feature: Tensor, context: Tensor | None
    ) -> Tensor:
        return self.netMain[level](self.compare(aligned, condition_feature))


class AFWM(WarpNetwork):
    """Published weights fix the attribute names; "image" is the cloth there, "cond" the condition."""

    def __init__(self, condition_channels: int, *, align_corners: bool = True, flow_network=CorrelationFlow):
        super().__init__()
        self.image_features = ResEncoder(3)
        self.cond_features = ResEncoder(condition_channels)
        self.image_FPN = ResFPN()
        self.cond_FPN = ResFPN()
        self.aflow_net = flow_network(align_corners=align_corners)

    def encode_condition(self, condition: Tensor) -> tuple[Tensor, ...]:
        return self.cond_FPN(self.cond_features(condition))

    def encode_cloth(self, cloth: Tensor) -> tuple[Tensor, ...]:
        return self.image_FPN(self.image_features(cloth))

    def condition_encoder(self) -> nn.Sequential:
        return nn.Sequential(self.cond_features, self.cond_FPN)

    def cloth_encoder(self) -> nn.Sequential:
        return nn.Sequential(self.image_features, self.image_FPN)
