"""C-VTON (Fele et al., "C-VTON: Context-Driven Image-Based Virtual Try-On Network", WACV 2022), inference.

`bpgm`, the body-part geometric matcher (section 3.1), warps the garment by a thin-plate spline; `oasis`, the
context-aware generator (section 3.2), paints the picture.
"""

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from models.baselines.base import FIXED_SIZE, BaselineNetwork, BaselineTryOn
from models.baselines.spline import control_grid, spline_inverse, spline_rows
from models.ops.flow import sample

PART_CHANNELS = 26  # background and 24 body parts, and one more plane that is always zero
PICTURE_CHANNELS = 9  # masked person, garment, warped garment
COARSEST = 32  # scale at which the generator begins
CONTROL_STEPS = (-1.0, 0.0, 1.0)


def conv_relu_norm(in_channels: int, out_channels: int, *, kernel: int) -> list[nn.Module]:
    """4x4 conv of stride 2 or 3x3 conv, ReLU, BatchNorm, in this order."""
    return [_conv(in_channels, out_channels, kernel), nn.ReLU(), nn.BatchNorm2d(out_channels)]


def conv_norm_relu(in_channels: int, out_channels: int, *, kernel: int) -> list[nn.Module]:
    """4x4 conv of stride 2 or 3x3 conv, BatchNorm, ReLU, in this order."""
    return [_conv(in_channels, out_channels, kernel), nn.BatchNorm2d(out_channels), nn.ReLU()]


def _conv(in_channels: int, out_channels: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel, stride=2 if kernel == 4 else 1, padding=1)


class FeatureExtraction(nn.Module):
    """[N, C, 256, 192] -> unit vectors [N, 512, 16, 12]. Published weights fix the name `model`."""

    def __init__(self, in_channels: int):
        super().__init__()
        layers = conv_relu_norm(in_channels, 64, kernel=4)
        for channels in (64, 128, 256):
            layers += conv_relu_norm(channels, 2 * channels, kernel=4)
        layers += conv_relu_norm(512, 512, kernel=3) + conv_relu_norm(512, 512, kernel=3)[:-1]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        features = self.model(x)
        return features / (features.square().sum(1, keepdim=True) + 1e-6).sqrt()


def correlate(first: Tensor, second: Tensor) -> Tensor:
    """Product of every place of `first` with every place of `second`, both [N, C, h, w]: [N, w * h, h, w].

    The channel is the place in `first`, down its columns; the pixel is the place in `second`.
    """
    products = first.transpose(2, 3).flatten(2).transpose(1, 2) @ second.flatten(2)  # [N, w * h, h * w]
    return products.unflatten(2, second.shape[2:])


class OffsetRegression(nn.Module):
    """Correlation [N, 192, 16, 12] -> theta [N, 18] in (-1, 1). Published weights fix the names."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            *conv_norm_relu(192, 512, kernel=4),
            *conv_norm_relu(512, 256, kernel=4),
            *conv_norm_relu(256, 128, kernel=3),
            *conv_norm_relu(128, 64, kernel=3),
        )
        self.linear = nn.Linear(64 * 4 * 3, 2 * len(CONTROL_STEPS) ** 2)

    def forward(self, correlation: Tensor) -> Tensor:
        return torch.tanh(self.linear(self.conv(correlation).flatten(1)))


@functools.cache
def spline_constants() -> tuple[Tensor, Tensor]:
    """Control points [9, 2] (x, y), y fastest, and the matrix [H * W, 9] to the grid, in float64."""
    controls = control_grid(torch.tensor(CONTROL_STEPS, dtype=torch.float64)).flip(1)
    inverse = spline_inverse(controls, scale=1.0)[:, : len(controls)]
    return controls, spline_rows(FIXED_SIZE, controls, scale=1.0) @ inverse


class ThinPlateGrid(nn.Module):
    """Moves of control points [N, 18], all x and then all y -> flow [N, 2, 256, 192], float32 or wider.

    The constants are not in published weights; they are rounded anew from float64 at each cast or move.
    """

    def __init__(self):
        super().__init__()
        for name, constant in zip(('controls', 'matrix'), spline_constants(), strict=True):
            self.register_buffer(name, constant.float(), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True):
        super()._apply(fn, recurse)
        for name, constant in zip(('controls', 'matrix'), spline_constants(), strict=True):
            like = self.get_buffer(name)
            setattr(self, name, constant.to(torch.promote_types(like.dtype, torch.float32)).to(like.device))
        return self

    def forward(self, theta: Tensor) -> Tensor:
        moves = theta.to(self.matrix.dtype).unflatten(1, (2, -1)).transpose(1, 2)  # [N, 9, 2]
        grid = self.matrix @ (self.controls + moves)  # [N, H * W, 2]
        return grid.transpose(1, 2).unflatten(2, FIXED_SIZE)


class BodyPartMatcher(nn.Module):
    """Body parts [N, 26, 256, 192], garment [N, 3, 256, 192] -> flow [N, 2, 256, 192]. Published names."""

    def __init__(self):
        super().__init__()
        self.extractionA = FeatureExtraction(PART_CHANNELS)
        self.extractionB = FeatureExtraction(3)
        self.regression = OffsetRegression()
        self.grid = ThinPlateGrid()

    def forward(self, parts: Tensor, cloth: Tensor) -> Tensor:
        return self.grid(self.regression(correlate(self.extractionA(parts), self.extractionB(cloth))))


class SpatialNorm(nn.Module):
    """SPADE (Park et al., CVPR 2019): normalise, then scale and shift by maps made of the context.

    Published weights fix the attribute names.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.first_norm = nn.BatchNorm2d(channels, affine=False)
        self.mlp_shared = nn.Sequential(
            nn.Conv2d(PART_CHANNELS + PICTURE_CHANNELS, 128, 3, padding=1), nn.ReLU()
        )
        self.mlp_gamma = nn.Conv2d(128, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(128, channels, 3, padding=1)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        shared = self.mlp_shared(context)
        return self.first_norm(x) * (1 + self.mlp_gamma(shared)) + self.mlp_beta(shared)


class ContextBlock(nn.Module):
    """(SPADE, LeakyReLU 0.2, spectral-norm 3x3 conv) twice, plus the input, by a conv if channels change.

    Published weights fix the attribute names.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.changes_channels = in_channels != out_channels
        self.conv_0 = spectral_norm(nn.Conv2d(in_channels, out_channels, 3, padding=1))
        self.conv_1 = spectral_norm(nn.Conv2d(out_channels, out_channels, 3, padding=1))
        self.norm_0, self.norm_1 = SpatialNorm(in_channels), SpatialNorm(out_channels)
        if self.changes_channels:
            self.conv_s = spectral_norm(nn.Conv2d(in_channels, out_channels, 1, bias=False))
            self.norm_s = SpatialNorm(in_channels)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        shortcut = self.conv_s(self.norm_s(x, context)) if self.changes_channels else x
        x = self.conv_0(F.leaky_relu(self.norm_0(x, context), 0.2))
        x = self.conv_1(F.leaky_relu(self.norm_1(x, context), 0.2))
        return shortcut + x


class ContextGenerator(nn.Module):
    """Body parts [N, 26, H, W] and pictures [N, 9, H, W] -> [N, 3, H, W] in (-1, 1). Published names."""

    def __init__(self):
        super().__init__()
        channels = (512, 512, 512, 256, 128, 64, 32)
        self.fc = nn.Conv2d(PART_CHANNELS + PICTURE_CHANNELS, channels[0], 3, padding=1)
        self.body = nn.ModuleList(
            ContextBlock(before, after) for before, after in zip(channels[:-1], channels[1:], strict=True)
        )
        self.conv_img = nn.Conv2d(channels[-1] + PICTURE_CHANNELS, 3, 3, padding=1)

    def forward(self, parts: Tensor, pictures: Tensor) -> Tensor:
        pictures_first = torch.cat([pictures, parts], dim=1)  # here alone
        x = self.fc(pictures_first[:, :, ::COARSEST, ::COARSEST])
        context = torch.cat([parts, pictures], dim=1)
        for number, block in enumerate(self.body):
            scale = COARSEST >> number
            if number:
                x = F.interpolate(x, scale_factor=2.0, mode='nearest')
            x = block(x, context[:, :, ::scale, ::scale])  # the upper left pixel of each cell
        return torch.tanh(self.conv_img(F.leaky_relu(torch.cat([x, pictures], dim=1), 0.2)))


class CVTON(BaselineNetwork):
    """The whole method, for 256 x 192. Published weights fix the attribute names."""

    inputs = {'agnostic': 3, 'cloth': 3, 'parts': PART_CHANNELS}
    fixed_size = FIXED_SIZE
    align_corners = True

    def __init__(self):
        super().__init__()
        self.oasis = ContextGenerator()
        self.bpgm = BodyPartMatcher()

    @torch.no_grad()
    def forward(self, *, agnostic: Tensor, cloth: Tensor, parts: Tensor) -> BaselineTryOn:
        """Dress the person of `agnostic` [N, 3, 256, 192] (garment, arms and neck blacked out) in `cloth`.

        The cloth is the plain product photograph; `parts` [N, 26, 256, 192] has one plane a DensePose part
        and an empty one. Raises `UserError` where something does not fit.
        """
        self.check_inputs(agnostic=agnostic, cloth=cloth, parts=parts)
        flow = self.bpgm(parts, cloth)
        warped = sample(cloth, flow, align_corners=self.align_corners)
        return BaselineTryOn(self.oasis(parts, torch.cat([agnostic, cloth, warped], dim=1)), warped, flow)
