"""The end of the small generator without its concatenation: a convolution of both is a sum of two.

The first convolution of `LiteHead` sees features and the picture's blocks of 2 x 2 pixels. That of the blocks
is a convolution of the picture itself with a stride of 2, so that no blocks are gathered.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.generators.lite_unet import BLOCK, STEM_CHANNELS, LiteHead
from runtime.fold import bias_of, conv_of


class SplitHead(nn.Module):
    """A folded `LiteHead`; the same call."""

    def __init__(self, head: LiteHead):
        super().__init__()
        convolution, self.activation, *others = head
        first = conv_of(convolution)
        features, blocks = first.weight.detach().tensor_split([STEM_CHANNELS], dim=1)
        picture = blocks.flatten(1).unflatten(1, (-1, BLOCK, BLOCK))  # [out, C, 2, 2]
        self.features = nn.Conv2d(STEM_CHANNELS, first.out_channels, 1)
        self.picture = nn.Conv2d(picture.shape[1], first.out_channels, BLOCK, stride=BLOCK, bias=False)
        self.others = nn.Sequential(*others)
        self.requires_grad_(False)
        self.features.weight.data, self.picture.weight.data = features.clone(), picture.clone()
        self.features.bias = nn.Parameter(bias_of(first).clone(), requires_grad=False)

    def forward(self, features: Tensor, x: Tensor) -> Tensor:
        first = self.activation(self.features(features) + self.picture(x))
        return F.pixel_shuffle(self.others(first), BLOCK)

    def by_pixels(self) -> nn.Sequential:
        """All layers as those of `LiteHead`, but for the order of the blocks' channels.

        They are those of the block's first pixel, then those of the second, and so on: the order in which
        they lie in memory where channels are last.
        """
        blocks = self.picture.weight.detach().permute(0, 2, 3, 1).flatten(1)[:, :, None, None]
        weight = torch.cat([self.features.weight.detach(), blocks], dim=1)
        first = nn.Conv2d(weight.shape[1], len(weight), 1).requires_grad_(False)
        first.weight.data, first.bias = weight, self.features.bias
        return nn.Sequential(first, self.activation, *self.others)
