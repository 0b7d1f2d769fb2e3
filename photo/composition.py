"""The composition at the photograph's resolution: the garment itself is warped once more, by the upsampled
flow.

The networks work on small pictures. Their flow and composite mask vary smoothly, so they survive being
enlarged; print and texture do not, but the garment's photograph still has them. The formula is that of
`models.composition.compose` (PF-AFN, Ge et al., CVPR 2021, section 3.3).
"""

from typing import NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from models.ops.flow import sample, sampled_pixels
from models.outputs import TryOn
from photo.framing import Box, Window, cut

STRIP_PIXELS = 2_000_000  # composed at a time, which bounds the memory
RIM, OPAQUE = 1 / 128, 0.98  # width of a garment's rim, of its picture; alpha of what is no rim
CUBIC = -0.5  # Catmull-Rom: through the points, and straight where they are


class GarmentPhoto(NamedTuple):
    """A garment at its own resolution."""

    picture: Image.Image  # RGB
    mask: Image.Image  # L, soft at the rim
    window: Window  # the part that the networks see


def enlarging(count: int, scale: float, start: int, stop: int, *, cubic: bool = True) -> Tensor:
    """Weights [stop - start, count] that interpolate `count` values at the pixels start..stop of a line
    `scale` times as long.

    Both lines begin and end at the same borders, as where pictures are resized. Catmull-Rom's curve if
    `cubic`, else linear, which never leaves the range of the values; beyond the outermost values they are
    repeated.
    """
    place = (torch.arange(start, stop, dtype=torch.float64) + 0.5) / scale - 0.5
    first = place.floor()
    weights = torch.zeros(stop - start, count, dtype=torch.float64)
    for tap in (-1, 0, 1, 2) if cubic else (0, 1):
        distance = (place - first - tap).abs()
        if cubic:
            near = (CUBIC + 2) * distance**3 - (CUBIC + 3) * distance**2 + 1
            far = CUBIC * (distance**3 - 5 * distance**2 + 8 * distance - 4)
            weight = torch.where(distance <= 1, near, far)
        else:
            weight = 1 - distance
        weights.scatter_add_(1, (first + tap).long().clamp(0, count - 1)[:, None], weight[:, None])
    return weights.float()


def enlarge(maps: Tensor, window: Window, box: Box, *, cubic: bool = True) -> Tensor:
    """Maps [C, h, w] of the networks' picture at the pixels of `box`, which counts from the window's corner:
    [C, H, W].
    """
    height, width = maps.shape[1:]
    rows = enlarging(height, window.height / height, box.top, box.bottom, cubic=cubic)
    columns = enlarging(width, window.width / width, box.left, box.right, cubic=cubic)
    return rows @ maps.float() @ columns.T


def magnification(places: Tensor, shown: Tensor) -> float:
    """Garment pixels per person's pixel along a line: the median of places [2, h, w] where `shown`, [h, w].

    1 where next to nothing is shown.
    """
    down, across = places[:, 1:, :-1] - places[:, :-1, :-1], places[:, :-1, 1:] - places[:, :-1, :-1]
    area = (across[0] * down[1] - across[1] * down[0]).abs()[shown[:-1, :-1]]
    return float(area.median().sqrt().clamp(0.1, 10)) if area.numel() > 8 else 1.0


class Layers(NamedTuple):
    """A part of a try-on as what lies on what: float32, [0, 1]."""

    garment: np.ndarray  # [H, W, 3], colours times cover
    cover: np.ndarray  # [H, W, 1], how much of the pixel the garment takes
    drawn: (
        np.ndarray
    )  # [H, W, 3], what the generator drew (skin, hair, wall) times the share of it that is seen
    keep: np.ndarray  # [H, W, 1], the rest of that share: the photograph itself

    def over(self, ground: np.ndarray, share: np.ndarray | float = 1.0) -> np.ndarray:
        """The garment, as far as `share` [H, W, 1] goes, over any ground: [H, W, 3] in [0, 1]."""
        return np.clip(share * self.garment + (1 - share * self.cover) * ground, 0, 1)


class Composition:
    """The try-on of one person and garment, at any part of the window that the person was seen through.

    `result` is what the pipeline returned, of a batch of one; `align_corners` says how its flow is sampled.
    `person` [1, 3, h, w] is what the networks saw; without it, nothing of the photograph itself is kept
    within the try-on.
    """

    def __init__(
        self,
        result: TryOn,
        garment: GarmentPhoto,
        window: Window,
        *,
        align_corners: bool,
        person: Tensor | None = None,
    ):
        self.mask, self.edge, flow = (
            part[0].detach().float().cpu() for part in (result.mask, result.warped_edge, result.flow)
        )
        self.drawn, self.keep = (part[0].detach().float().cpu() for part in drawn_alone(result, person))
        self.window = window
        height, width = flow.shape[1:]
        places = sampled_pixels(flow, align_corners=align_corners)
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
        self.offset = places - torch.stack(
            [x, y]
        )  # [2, h, w] in pixels; unlike the flow it has no slope to lose at the border
        step = magnification(places, self.mask[0] > 0.5) * garment.window.height / window.height
        self.tile = tile_of(garment, min(1.0, 1 / step))

    def __call__(self, box: Box) -> Layers:
        """The layers at `box`, which counts from the window's corner."""
        scale = self.window.height / self.mask.shape[1]
        x = (torch.arange(box.left, box.right) + 0.5) / scale
        y = (torch.arange(box.top, box.bottom) + 0.5) / scale
        grid = torch.stack(
            [x.expand(len(y), -1), y[:, None].expand(-1, len(x))]
        )  # [2, H, W], pixels from the border
        grid = grid + enlarge(self.offset, self.window, box)
        sides = torch.tensor([self.mask.shape[2], self.mask.shape[1]])[:, None, None]
        flow = (2 * grid / sides - 1)[None]
        warped = sample(self.tile, flow, align_corners=False, padding_mode='zeros')[0]  # [4, H, W]
        mask, edge, drawn = (enlarge(part, self.window, box) for part in (self.mask, self.edge, self.drawn))
        keep = enlarge(self.keep, self.window, box).clamp(0, 1)
        # The mask is that of the network times the small edge; here the sharp edge takes the small one's
        # place.
        shown = (mask / edge.clamp(min=0.05)).clamp(0, 1)
        parts = warped[:3] * shown, warped[3:] * shown, drawn.clamp(0, 1), keep
        return Layers(*(part.permute(1, 2, 0).numpy() for part in parts))


def drawn_alone(result: TryOn, person: Tensor | None) -> tuple[Tensor, Tensor]:
    """The rendered picture [N, 3, H, W] in [0, 1] times its visible share, and the keep mask [N, 1, H, W].

    The rendered picture holds the pixels of `person` [N, 3, H, W] that are kept, too; at full resolution the
    photograph has them.
    """
    if result.keep is None or person is None:
        return (result.rendered + 1) / 2, torch.zeros_like(result.mask)
    return (result.rendered + 1 - result.keep * (person.to(result.rendered) + 1)) / 2, result.keep


def tile_of(garment: GarmentPhoto, factor: float) -> Tensor:
    """The garment in its window as [1, 4, h, w] in [0, 1]: colours times alpha, and alpha; made smaller by
    `factor`.

    A garment with more pixels than the person's photograph can show is made smaller first, or its texture
    would flicker.
    """
    picture = cut(garment.picture, garment.window, (0, 0, 0))
    picture.putalpha(cut(garment.mask, garment.window, 0))
    if factor < 1:
        size = [max(1, round(side * factor)) for side in picture.size]
        picture = picture.resize(size, Image.Resampling.BICUBIC)  # which weighs colours by alpha
    tile = np.asarray(picture, np.float32) / 255
    tile = _clean_rim(tile)
    tile[..., :3] *= tile[..., 3:]
    return torch.from_numpy(tile).permute(2, 0, 1)[None].contiguous()


def _clean_rim(tile: np.ndarray) -> np.ndarray:
    """Give the soft rim of a tile [h, w, 4] the colour just inside it: its own is half that of the
    background.
    """
    side = 2 * max(2, round(RIM * min(tile.shape[:2]))) + 1
    inner = (tile[..., 3] > OPAQUE).astype(np.float32)
    weight = cv2.blur(inner, (side, side))
    spread = cv2.blur(tile[..., :3] * inner[..., None], (side, side)) / np.maximum(weight, 1e-4)[..., None]
    rim = (inner == 0) & (weight > 1e-3)
    return np.dstack([np.where(rim[..., None], spread, tile[..., :3]), tile[..., 3]])


def strips(box: Box) -> list[Box]:
    """A box as strips of at most STRIP_PIXELS, from top to bottom."""
    rows = max(1, STRIP_PIXELS // max(1, box.right - box.left))
    return [
        box._replace(top=top, bottom=min(top + rows, box.bottom)) for top in range(box.top, box.bottom, rows)
    ]
