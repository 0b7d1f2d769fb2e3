"""The mobile warp network of DM-VTON (Nguyen-Ngoc et al., ISMAR 2023): MobileNetV2 pyramids, correlation."""

from torch import Tensor, nn

from models.extractors.mobile_fpn import MobileFPN
from models.warp_modules.afwm import CorrelationFlow
from models.warp_modules.coarse_to_fine import WarpNetwork


class MobileAFWM(WarpNetwork):
    """Published weights fix the attribute names; "image" is the cloth there, "cond" the condition."""

    def __init__(self, condition_channels: int, *, align_corners: bool = True):
        super().__init__()
        self.image_mobile = MobileFPN(3)
        self.cond_mobile = MobileFPN(condition_channels)
        self.aflow_net = CorrelationFlow(align_corners=align_corners)

    def encode_condition(self, condition: Tensor) -> tuple[Tensor, ...]:
        return self.cond_mobile(condition)

    def encode_cloth(self, cloth: Tensor) -> tuple[Tensor, ...]:
        return self.image_mobile(cloth)

    def condition_encoder(self) -> nn.Sequential:
        return nn.Sequential(self.cond_mobile)

    def cloth_encoder(self) -> nn.Sequential:
        return nn.Sequential(self.image_mobile)
