"""ACGPN (Yang et al., "Towards Photo-Realistic Virtual Try-On by Adaptively Generating and Preserving Image
Content", CVPR 2020), inference: semantic layout (section 3.1), thin-plate warp (3.2), content fusion (3.3).

Departure from the published code: each sample of a batch is treated alone, and the noise planes are inputs.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.baselines.base import FIXED_SIZE, BaselineNetwork, BaselineTryOn
from models.baselines.spline import WideConstants, control_grid, spline_inverse, spline_rows
from models.ops.flow import sample
from utils.errors import UserError

# Channels of the semantic layout that the method treats apart; the published weights fix their order.
LAYOUT_CHANNELS = 14
UPPER_CLOTHES, DRESS, LEFT_ARM, RIGHT_ARM = 4, 7, 11, 13
POSE_CHANNELS = 18
OCCLUSION_RADIUS = 10  # pixels around an arm that came out from under the old garment
LEAST_SKIN = 10  # pixels without which there is no skin colour
CONTROL_STEPS = (-0.9, -0.45, 0.0, 0.45, 0.9)
SPLINE_SCALE = 0.5  # the kernel is r^2 ln r


def conv_norm_relu(in_channels: int, out_channels: int) -> list[nn.Module]:
    """3x3 conv, InstanceNorm, ReLU."""
    return [nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.InstanceNorm2d(out_channels), nn.ReLU()]


class Trunk(nn.Module):
    """U-Net of five scales: [N, C, H, W] -> [N, out, H, W], sides multiples of 16. Published names."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        channels = (in_channels, 64, 128, 256, 512, 1024)
        for level, (before, after) in enumerate(zip(channels[:-1], channels[1:], strict=True), 1):
            self.add_module(
                f'conv{level}', nn.Sequential(*conv_norm_relu(before, after), *conv_norm_relu(after, after))
            )
        for level, (before, after) in enumerate(zip(channels[:1:-1], channels[-2:0:-1], strict=True), 6):
            self.add_module(
                f'up{level}', nn.Sequential(nn.Upsample(scale_factor=2.0), *conv_norm_relu(before, after))
            )
            merge = nn.Sequential(*conv_norm_relu(before, after), *conv_norm_relu(after, after))
            self.add_module(f'conv{level}', merge)
        self.conv9.append(nn.Conv2d(64, out_channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        skips = [self.conv1(x)]
        for block in (self.conv2, self.conv3, self.conv4, self.conv5):
            skips.append(block(F.max_pool2d(skips[-1], 2)))
        x = skips.pop()
        for up, merge in (
            (self.up6, self.conv6),
            (self.up7, self.conv7),
            (self.up8, self.conv8),
            (self.up9, self.conv9),
        ):
            x = merge(torch.cat([skips.pop(), up(x)], dim=1))
        return x


class PointRegression(nn.Module):
    """[N, 5, 256, 192] -> control points [N, 25, 2] in (-1, 1) as (x, y). Published weights fix the names."""

    def __init__(self, controls: Tensor):
        super().__init__()
        # The first pair alone is ReLU before InstanceNorm.
        layers: list[nn.Module] = [nn.Conv2d(5, 8, 4, stride=2, padding=1), nn.ReLU(), nn.InstanceNorm2d(8)]
        for channels in (8, 16, 32, 64, 128):
            layers += [
                nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1),
                nn.InstanceNorm2d(2 * channels),
                nn.ReLU(),
            ]
        layers += conv_norm_relu(256, 256) + conv_norm_relu(256, 256)
        self.model = nn.Sequential(*layers)
        self.fc1 = nn.Linear(512, 128)
        self.fc2 = nn.Linear(128, controls.numel())
        with torch.no_grad():  # untrained, the predicted points are the control points
            self.fc2.weight.zero_()
            self.fc2.bias.copy_(torch.atanh(controls).flatten())

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.model(x), 2)  # [N, 256, 2, 1]: the third column is dropped
        return torch.tanh(self.fc2(F.relu(self.fc1(x.flatten(1))))).unflatten(1, (-1, 2))


class ThinPlateGrid(WideConstants):
    """Control points [N, 25, 2] -> flow [N, 2, H, W], float32 or wider. Published buffers."""

    def __init__(self, size: tuple[int, int], controls: Tensor):
        super().__init__()
        self.size = size
        self.register_buffer('inverse_kernel', spline_inverse(controls, scale=SPLINE_SCALE).float())
        self.register_buffer('padding_matrix', torch.zeros(3, 2))
        self.register_buffer(
            'target_coordinate_repr', spline_rows(size, controls, scale=SPLINE_SCALE).float()
        )

    def forward(self, points: Tensor) -> Tensor:
        padding = self.padding_matrix.expand(len(points), 3, 2)
        mapping = self.inverse_kernel @ torch.cat([points.to(padding.dtype), padding], dim=1)  # [N, 28, 2]
        grid = self.target_coordinate_repr @ mapping  # [N, H * W, 2]
        return grid.transpose(1, 2).unflatten(2, self.size)


class SpatialTransformer(nn.Module):
    """Garment mask, target region and garment, [N, 5, 256, 192] -> flow [N, 2, 256, 192]. Published names."""

    def __init__(self):
        super().__init__()
        controls = control_grid(torch.tensor(CONTROL_STEPS, dtype=torch.float64))
        self.loc_net = nn.ModuleDict({'cnn': PointRegression(controls)})
        self.tps = ThinPlateGrid(FIXED_SIZE, controls)

    def forward(self, x: Tensor) -> Tensor:
        return self.tps(self.loc_net['cnn'](x))


class WarpedGarment(NamedTuple):
    """Result of the garment's network."""

    raw: Tensor  # [N, 4, H, W]: refined garment before tanh, its share of the warped one before sigmoid
    cloth: Tensor  # [N, 3, H, W] in [-1, 1], as it was warped
    flow: Tensor  # [N, 2, H, W], sampling grid in normalised (x, y), float32 or wider


class GarmentWarp(Trunk):
    """The thin-plate warp and the garment's refinement. Published weights fix the name `stn`."""

    def __init__(self):
        super().__init__(4, 4)
        self.stn = SpatialTransformer()
        self.align_corners = False

    def warp(self, x: Tensor, flow: Tensor) -> Tensor:
        """Sample `x` [N, C, H, W] at `flow`, times a sampled plane of ones, which darkens the rim twice."""
        x = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
        sampled = sample(x, flow, align_corners=self.align_corners, padding_mode='zeros')
        return sampled[:, :-1] * sampled[:, -1:]

    def forward(self, mask: Tensor, region: Tensor, cloth: Tensor) -> WarpedGarment:
        """Warp a garment, already times its mask, into its region, and refine it."""
        flow = self.stn(torch.cat([mask, region, cloth], dim=1))
        warped = self.warp(cloth, flow)
        return WarpedGarment(super().forward(torch.cat([region, warped], dim=1)), warped, flow)


def first_largest(scores: Tensor) -> Tensor:
    """Number of the largest channel of `scores` [N, C, H, W], of equal ones the first: [N, 1, H, W] int64."""
    channels = torch.arange(scores.shape[1], device=scores.device)[:, None, None]
    is_largest = scores == scores.amax(1, keepdim=True)
    return torch.where(is_largest, channels, scores.shape[1]).amin(1, keepdim=True)


def dilate(mask: Tensor, distance: int) -> Tensor:
    """1 within `distance` pixels, along rows and columns, of a 1 of `mask` [N, 1, H, W]."""
    for _ in range(distance):
        across, down = F.max_pool2d(mask, (1, 3), 1, (0, 1)), F.max_pool2d(mask, (3, 1), 1, (1, 0))
        mask = torch.maximum(across, down)
    return mask


def one_hot(ids: Tensor, dtype: torch.dtype) -> Tensor:
    """One plane a channel of the layout, of ids [N, 1, H, W]: [N, 14, H, W]."""
    channels = torch.arange(LAYOUT_CHANNELS, device=ids.device)[:, None, None]
    return (ids == channels).to(dtype)


def scores_of(logits: Tensor) -> Tensor:
    """Sigmoid in float32 or wider: where it saturates decides ties."""
    return torch.sigmoid(logits.to(torch.promote_types(logits.dtype, torch.float32)))


LAYOUT_INPUTS = 1 + 3 + LAYOUT_CHANNELS + POSE_CHANNELS + 1  # garment mask, garment, ids, pose, noise
FUSION_INPUTS = 3 + LAYOUT_CHANNELS + 3 + 3 + 1  # what is kept, ids, garment, skin, noise
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    'G1': partial(Trunk, LAYOUT_INPUTS, LAYOUT_CHANNELS),
    'G2': partial(Trunk, LAYOUT_INPUTS, 1),
    'U': GarmentWarp,
    'G': partial(Trunk, FUSION_INPUTS, 3),
}
"""Semantic layout, target region, warp and content fusion, by the names of their files."""


class ACGPN(BaselineNetwork):
    """The four networks and what the method does between them. Published files fix the names G1, G2, U and G.

    `align_corners` of the sampling: off as PyTorch's default since 1.3, and as in the DM-VTON benchmark.
    """

    inputs = {'person': 3, 'cloth': 3, 'edge': 1, 'parsing': 1, 'pose': POSE_CHANNELS, 'noise': 3}
    parts = tuple(NETWORKS)
    fixed_size = FIXED_SIZE

    def __init__(self, *, align_corners: bool = False):
        super().__init__()
        for name, create in NETWORKS.items():
            self.add_module(name, create())
        self.U.align_corners = align_corners

    @property
    def align_corners(self) -> bool:
        """Convention of the warp's sampling."""
        return self.U.align_corners

    def made_up(self, batch: int, size: tuple[int, int] = FIXED_SIZE, *, seed: int = 0) -> dict[str, Tensor]:
        """As that of all methods, but with whole ids, and a noise and an edge of zeros and ones."""
        made = super().made_up(batch, size, seed=seed)
        made['parsing'] = ((made['parsing'] + 1) / 2 * LAYOUT_CHANNELS).floor().clamp(max=LAYOUT_CHANNELS - 1)
        return made | {name: (made[name] > 0).to(made[name].dtype) for name in ('edge', 'noise')}

    @torch.no_grad()
    def forward(
        self, *, person: Tensor, cloth: Tensor, edge: Tensor, parsing: Tensor, pose: Tensor, noise: Tensor
    ) -> BaselineTryOn:
        """Dress `person` [N, 3, 256, 192] in `cloth`, both in [-1, 1]; mask `edge` [N, 1, ...] in [0, 1].

        `parsing` [N, 1, ...] holds ids 0..13, `pose` [N, 18, ...] is 1 in a square at each key point and -1
        elsewhere, `noise` [N, 3, ...] is of zeros and ones. Raises `UserError` where something does not fit.
        """
        self.check_inputs(person=person, cloth=cloth, edge=edge, parsing=parsing, pose=pose, noise=noise)
        if parsing.max() >= LAYOUT_CHANNELS or parsing.min() < 0:
            raise UserError(
                f'parsing holds the id {parsing.max():.0f}, expected 0 to {LAYOUT_CHANNELS - 1}; map it first'
            )
        mask = (edge > 0.5).to(cloth.dtype)
        cloth = cloth * mask
        garment = torch.cat([mask, cloth], dim=1)
        layout = self.predict_layout(garment, parsing, pose, noise[:, :1])
        region = self.predict_region(garment, layout, parsing, pose, noise[:, 1:2])
        refined, warped = self.dress_region(mask, region, cloth)
        kept, final_layout = self.preserve(person, parsing, layout, region)
        skin = self.skin_colour(person, parsing).expand_as(person)
        content = [kept, one_hot(final_layout, kept.dtype), refined, skin, noise[:, 2:]]  # 24 channels
        return BaselineTryOn(torch.tanh(self.G(torch.cat(content, dim=1))), warped.cloth, warped.flow)

    def predict_layout(self, garment: Tensor, parsing: Tensor, pose: Tensor, noise: Tensor) -> Tensor:
        """Layout after the try-on: ids [N, 1, H, W]; arms, dress and upper clothes were one."""
        merged = (parsing == DRESS) | (parsing == LEFT_ARM) | (parsing == RIGHT_ARM)
        fused = torch.where(merged, UPPER_CLOTHES, parsing)
        logits = self.G1(torch.cat([garment, one_hot(fused, garment.dtype), pose, noise], dim=1))
        return first_largest(scores_of(logits))

    def predict_region(
        self, garment: Tensor, layout: Tensor, parsing: Tensor, pose: Tensor, noise: Tensor
    ) -> Tensor:
        """Region of the garment, [N, 1, H, W] in {0, 1}: on the person, but not on the arms of the layout."""
        logits = self.G2(torch.cat([garment, one_hot(layout, garment.dtype), pose, noise], dim=1))
        region = dilate((scores_of(logits) > 0.5).to(garment.dtype), 1)
        return region * ((layout != LEFT_ARM) & (layout != RIGHT_ARM) & (parsing > 0))

    def dress_region(self, mask: Tensor, region: Tensor, cloth: Tensor) -> tuple[Tensor, WarpedGarment]:
        """The garment refined for its region, [N, 3, H, W], not zero outside of it, and how it was warped."""
        warped = self.U(mask, region, cloth)
        share = torch.sigmoid(warped.raw[:, 3:]) * region
        return torch.tanh(warped.raw[:, :3]) * (1 - share) + warped.cloth * share, warped

    def preserve(
        self, person: Tensor, parsing: Tensor, layout: Tensor, region: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The kept part of the person [N, 3, H, W], 0 elsewhere, and the layout without the garment."""
        clothes = parsing == UPPER_CLOTHES
        arms = {arm: parsing == arm for arm in (LEFT_ARM, RIGHT_ARM)}
        kept = person * (parsing > 0) * ~clothes * (1 - region)
        final_layout = torch.where((layout == LEFT_ARM) | (layout == RIGHT_ARM), 0, layout)
        upper_body = clothes | arms[LEFT_ARM] | arms[RIGHT_ARM]
        for arm, old in arms.items():
            uncovered = clothes & (layout == arm)
            kept = kept * (1 - dilate(uncovered.to(person.dtype), OCCLUSION_RADIUS) * upper_body)
            final_layout = torch.where(uncovered | old, arm, final_layout)
        return kept, torch.where(region > 0, 0, final_layout)

    @staticmethod
    def skin_colour(person: Tensor, parsing: Tensor) -> Tensor:
        """The mean colour of the arms [N, 3, 1, 1], 0 where there are too few pixels of them."""
        arms = (parsing == LEFT_ARM) | (parsing == RIGHT_ARM)
        # A sum over the picture is too large for 16 bits.
        wide = person.to(torch.promote_types(person.dtype, torch.float32))
        count = arms.sum(dim=(2, 3), keepdim=True)
        mean = (wide * arms).sum(dim=(2, 3), keepdim=True) / count.clamp(min=1)
        return torch.where(count < LEAST_SKIN, 0, mean).to(person.dtype)
