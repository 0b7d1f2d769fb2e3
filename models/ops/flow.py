"""Flows and sampling: the only place that samples a picture at a grid.

A *flow* is a sampling grid in normalised (x, y), kept as [N, 2, h, w]; an *offset* is in pixels of its level.
Appearance flow follows PF-AFN (Ge et al., CVPR 2021, section 3.2), as does DM-VTON (ISMAR 2023).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

FARTHEST = 1e4  # in place of an infinite coordinate; a picture ends at 1
TOUCHING = 0.02  # share of a pixel's neighbourhood that a mask covers where it touches the pixel


def sample(picture: Tensor, flow: Tensor, *, align_corners: bool, padding_mode: str = 'border') -> Tensor:
    """Sample `picture` [N, C, H, W] bilinearly at `flow` [N, 2, h, w]: [N, C, h, w] in the picture's dtype.

    The arithmetic runs in the wider of the two dtypes: a 16-bit coordinate could not tell neighbouring pixels
    apart. Where a backward pass may follow, coordinates that are not finite are replaced by `FARTHEST` and
    NaN by the centre: PyTorch's backward pass on a CPU writes outside the picture for them.
    """
    dtype = torch.promote_types(picture.dtype, flow.dtype)
    if torch.is_grad_enabled() and (picture.requires_grad or flow.requires_grad):
        flow = flow.nan_to_num(nan=0.0, posinf=FARTHEST, neginf=-FARTHEST)
    grid = flow.to(dtype).permute(0, 2, 3, 1)  # [N, h, w, 2]
    sampled = F.grid_sample(
        picture.to(dtype), grid, mode='bilinear', padding_mode=padding_mode, align_corners=align_corners
    )
    return sampled.to(picture.dtype)


def offset_to_flow(offset: Tensor) -> Tensor:
    """Turn an offset [N, 2, h, w] in pixels into the flow that samples there, float32 or wider.

    The published networks normalise with (size - 1) / 2 whatever `align_corners` says, so the weights expect
    it. A side of one pixel has only one place to sample; it is treated as if it were two pixels long.
    """
    offset = offset.to(torch.promote_types(offset.dtype, torch.float32))
    height, width = offset.shape[2:]
    x = torch.arange(width, device=offset.device, dtype=offset.dtype)
    y = torch.arange(height, device=offset.device, dtype=offset.dtype)
    flow_x = (x + offset[:, 0]) / (max(width - 1, 1) / 2) - 1  # [N, h, w]
    flow_y = (y[:, None] + offset[:, 1]) / (max(height - 1, 1) / 2) - 1  # [N, h, w]
    return torch.stack([flow_x, flow_y], dim=1)  # [N, 2, h, w]


def advance(flow: Tensor | None, offset: Tensor, *, align_corners: bool) -> Tensor:
    """Follow `offset` [N, 2, h, w] first and `flow` [N, 2, h, w] after it; no flow yet means the identity."""
    step = offset_to_flow(offset)
    return step if flow is None else sample(flow, step, align_corners=align_corners)


def rescale(maps: Tensor, factor: float) -> Tensor:
    """Scale maps [N, C, h, w] bilinearly by a power of two, not antialiased: [N, C, factor * h, factor * w].

    `align_corners` is off here whatever the networks' option says: that is about sampling at a flow only.
    """
    return F.interpolate(maps, scale_factor=factor, mode='bilinear', align_corners=False)


def prefilter(picture: Tensor, mask: Tensor | None, spread: float) -> Tensor:
    """Smooth `picture` [N, C, H, W] before it is sampled, by a Gaussian of `spread` pixels: the same shape.

    `sample` picks four pixels, which shimmer where the picture is shown smaller than it is; what is finer
    than a shown pixel has to go first (Heckbert, "Fundamentals of Texture Mapping and Image Warping", 1989).
    Only pixels inside `mask` [N, 1, H, W] in {0, 1} are mixed, and those that touch it from outside get
    colours of the inside, so that a rim does not take on the ground. The rest outside is 0.
    """
    reach = math.ceil(3 * spread)
    places = torch.arange(-reach, reach + 1, device=picture.device, dtype=torch.float32)
    taps = torch.softmax(-places.square() / (2 * spread**2), dim=0).to(picture.dtype)

    def blur(maps: Tensor) -> Tensor:
        channels = maps.shape[1]
        for shape, padding in (((1, 1, 1, -1), (0, reach)), ((1, 1, -1, 1), (reach, 0))):
            maps = F.conv2d(
                maps, taps.view(shape).expand(channels, *[-1] * 3), padding=padding, groups=channels
            )
        return maps

    inside = torch.ones_like(picture[:, :1]) if mask is None else mask
    share = blur(inside)
    return torch.where(share > TOUCHING, blur(picture * inside) / share.clamp(min=TOUCHING), 0)


def second_differences(flow: Tensor) -> Tensor:
    """Second differences (1 -2 1) of a flow [N, 2, h, w] along four directions: [N, 2, 4, h - 2, w - 2].

    Directions: horizontal, vertical, two diagonals, all on the same interior, so that a border pixel has
    none. This curvature is what the second-order smoothness term of PF-AFN (equation 4) punishes.
    """
    centre = flow[:, :, 1:-1, 1:-1]
    pairs = (
        flow[:, :, 1:-1, :-2] + flow[:, :, 1:-1, 2:],
        flow[:, :, :-2, 1:-1] + flow[:, :, 2:, 1:-1],
        flow[:, :, :-2, :-2] + flow[:, :, 2:, 2:],
        flow[:, :, :-2, 2:] + flow[:, :, 2:, :-2],
    )
    return torch.stack([pair - 2 * centre for pair in pairs], dim=2)  # [N, 2, 4, h - 2, w - 2]


def sampled_pixels(flow: Tensor, *, align_corners: bool) -> Tensor:
    """Pixels (x, y) [2, H, W] that a flow [2, H, W] samples in a picture of its size; the first is 0, 0."""
    sides = flow.new_tensor(flow.shape[:0:-1])[:, None, None]  # width, height
    return (flow + 1) / 2 * (sides - 1) if align_corners else ((flow + 1) * sides - 1) / 2
