"""DM-VTON's mobile pyramid with a third of its arithmetic: the smoothing convolution sees small maps.

At each level of `MobileFPN` a 3x3 convolution S smooths the chain, which is the coarser chain upsampled plus
a 1x1 lateral convolution of few channels. All of it is linear, so S can be split and applied before the
upsampling:

- S of a lateral convolution is one 3x3 convolution of 24 or 32 channels in place of 256.
- S of an upsampled chain: each of the nine taps of S is a 1x1 convolution, which commutes with the
upsampling. The nine products are computed at the level `BASE`, once for all finer levels. Upsampling them,
shifting each to its tap's place and summing is a matrix product along the rows and one along the columns.

The result differs by rounding only, borders included: the shifts are zero-padded as S is, and the lateral
convolution's bias is the weight of an additional channel of ones.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.extractors.mobile_fpn import BLOCKS, PYRAMID_CHANNELS, MobileFPN
from models.ops.flow import rescale
from runtime.fold import bias_of, conv_of

BASE = 2  # the level (0 is the coarsest) whose chain is multiplied by the nine taps


def shifted_upsampling(size: int, doublings: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Matrix [size * 2^doublings, 3 * size]: upsamples three rows, shifts them by -1, 0 and 1, and sums."""
    # Tensors made while a compiler or an exporter traces hold no numbers and must not be cached.
    make = _shifted_upsampling if torch.compiler.is_compiling() else _kept_shifted_upsampling
    return make(size, doublings, dtype, device)


def _shifted_upsampling(size: int, doublings: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    # [1, size, size]: the upsampled unit vectors are its rows.
    matrix = torch.eye(size, dtype=dtype, device=device)[None]
    for _ in range(doublings):
        matrix = F.interpolate(matrix, scale_factor=2.0, mode='linear', align_corners=False)
    padded = F.pad(matrix[0].t(), (0, 0, 1, 1))  # [large + 2, size]
    large = size * 2**doublings
    return torch.cat([padded[tap : tap + large] for tap in range(3)], dim=1)


_kept_shifted_upsampling = functools.lru_cache(maxsize=64)(_shifted_upsampling)


class Taps(nn.Module):
    """The convolution S of a chain that is upsampled first, from its nine taps."""

    bias: Tensor
    weight: Tensor

    def __init__(self, smooth: nn.Conv2d):
        super().__init__()
        self.register_buffer('bias', bias_of(smooth).clone())
        taps = smooth.weight.detach().permute(0, 2, 3, 1).flatten(0, 2)  # [256 * 3 * 3, 256]
        self.register_buffer('weight', taps.contiguous())

    def products(self, chain: Tensor) -> Tensor:
        """The taps of S on [N, 256, h, w]: [N, 256, 3 * h, 3 * w], a row and column of blocks a tap."""
        count, _, height, width = chain.shape
        products = self.weight @ chain.flatten(2)  # [N, 256 * 3 * 3, h * w]
        blocks = products.view(count, PYRAMID_CHANNELS, 3, 3, height, width).transpose(3, 4)
        return blocks.reshape(count, PYRAMID_CHANNELS, 3 * height, 3 * width)

    def place(self, products: Tensor, lateral: Tensor | None, doublings: int) -> Tensor:
        """Upsample the products, shift them to their taps' places and sum, plus `lateral` if given."""
        count, channels, rows, columns = products.shape
        down, across = (
            shifted_upsampling(n // 3, doublings, products.dtype, products.device) for n in (rows, columns)
        )
        wide = (products.flatten(0, 2) @ across.t()).view(count * channels, rows, -1)  # [N * 256, 3 * h, w']
        down = down.expand(count * channels, -1, -1)
        if lateral is None:
            placed = torch.bmm(down, wide).view(count, channels, down.shape[1], -1)
            return placed + self.bias[:, None, None]
        lateral = lateral.contiguous()
        return torch.baddbmm(lateral.flatten(0, 1), down, wide).view(lateral.shape)


class ChannelsLastTaps(Taps):
    """The same for channels-last maps: sums over rows and columns are of whole pixels."""

    def __init__(self, taps: Taps):
        nn.Module.__init__(self)
        self.register_buffer('bias', taps.bias)
        last = taps.weight.view(PYRAMID_CHANNELS, 9, -1).permute(2, 1, 0).flatten(1)  # [256, 3 * 3 * 256]
        self.register_buffer('weight', last.contiguous())

    def products(self, chain: Tensor) -> Tensor:
        """[N, 256, h, w] -> [N, 3 * h, 3 * w, 256], a row and a column of blocks a tap."""
        count, channels, height, width = chain.shape
        pixels = chain.permute(0, 2, 3, 1).reshape(-1, channels)
        products = (pixels @ self.weight).view(count, height, width, 3, 3, PYRAMID_CHANNELS)
        return products.permute(0, 3, 1, 4, 2, 5).reshape(count, 3 * height, 3 * width, PYRAMID_CHANNELS)

    def place(self, products: Tensor, lateral: Tensor | None, doublings: int) -> Tensor:
        """As that of `Taps`, but for the layout of `products`."""
        count, rows, columns, channels = products.shape
        down, across = (
            shifted_upsampling(n // 3, doublings, products.dtype, products.device) for n in (rows, columns)
        )
        wide = across.expand(count * rows, -1, -1).bmm(products.flatten(0, 1))  # [N * 3 * h, w', 256]
        wide = wide.view(count, rows, -1)
        if lateral is None:
            base = self.bias.repeat(wide.shape[2] // channels).expand(count, down.shape[0], -1)
        else:
            base = lateral.permute(0, 2, 3, 1).reshape(count, down.shape[0], -1)
        placed = torch.stack([torch.addmm(under, down, over) for under, over in zip(base, wide, strict=True)])
        return placed.view(count, down.shape[0], -1, channels).permute(0, 3, 1, 2)


class SmoothedPyramid(nn.Module):
    """`MobileFPN`, folded, with the same call: [N, C, H, W] -> five maps of 256 channels, coarse to fine."""

    def __init__(self, pyramid: MobileFPN):
        super().__init__()
        self.first_layer = pyramid.first_layer
        self.inverted_residual_blocks = pyramid.inverted_residual_blocks
        self.top_layer = pyramid.top_layer
        laterals = [conv_of(layer) for layer in pyramid.lateral_layers][::-1]  # coarse to fine
        self.lateral_layers = nn.ModuleList(laterals[: BASE + 1])
        self.smooth = conv_of(pyramid.smooth_layers[0])
        self.taps = Taps(self.smooth)
        self.merged = nn.ModuleList(
            self.merge(laterals[BASE + 1 : level + 1]) for level in range(BASE + 1, len(laterals))
        )

    def merge(self, laterals: list[nn.Conv2d]) -> nn.Conv2d:
        """S after a sum of lateral convolutions: a 3x3 convolution of their inputs and a plane of ones."""
        kernel = self.smooth.weight.double()
        inputs = [lateral.weight.double().flatten(1) for lateral in laterals]
        weights = [torch.einsum('ocyx,cd->odyx', kernel, weight) for weight in inputs]
        bias = torch.stack([bias_of(lateral).double() for lateral in laterals]).sum(dim=0)
        weights.append(torch.einsum('ocyx,c->oyx', kernel, bias)[:, None])
        weight = torch.cat(weights, dim=1)
        conv = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1).requires_grad_(False)
        conv.weight.data = weight.to(self.smooth.weight.dtype)
        conv.bias = nn.Parameter(bias_of(self.smooth).clone(), requires_grad=False)
        return conv

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x, maps = self.first_layer(x), []
        for block, (_, _, stride) in zip(self.inverted_residual_blocks, BLOCKS, strict=True):
            x = block(x)
            if stride == 2:
                maps.append(x)
        maps = maps[::-1]  # coarse to fine
        features: list[Tensor] = []
        chain = self.top_layer(x.mean(dim=(2, 3), keepdim=True))
        for lateral, encoded in zip(self.lateral_layers, maps, strict=False):
            upsampled = F.interpolate(chain, size=encoded.shape[2:], mode='bilinear', align_corners=False)
            chain = upsampled + lateral(encoded)
            features.append(self.smooth(chain) if len(features) < BASE else chain)
        products = self.taps.products(features.pop())
        features.append(self.taps.place(products, None, 0))
        inputs: list[Tensor] = []
        levels = zip(self.merged, maps[BASE + 1 :], strict=True)
        for doublings, (merged, encoded) in enumerate(levels, start=1):
            inputs = [*(rescale(coarser, 2.0) for coarser in inputs), encoded]
            lateral = merged(torch.cat([*inputs, torch.ones_like(encoded[:, :1])], dim=1))
            features.append(self.taps.place(products, lateral, doublings))
        return tuple(features)
