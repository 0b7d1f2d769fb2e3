"""A plain background: what colour it has behind every pixel, and what stands out from it.

Not part of any paper. Colours are CIE Lab, distances are Euclidean in it: 1 is about the least difference
that an eye sees.
"""

from typing import NamedTuple

import cv2
import numpy as np

RING = 0.025  # of the shorter side: the border from which the background is told
AGREES = 10.0  # a pixel of the border this near to the middle one may be background
LEAST_SHARE = 0.6  # of the border that a plain background takes; the garment may touch the rest
MOST_NOISE = (
    3.5  # distance of the typical pixel from the fitted colour: cloth, wood or a wall of bricks have more
)
LEAST_TOLERANCE, MOST_TOLERANCE = 1.3, 8.0
NOISE_FACTOR = 3.5  # a tolerance this many times the noise is hardly ever passed by chance
CONTRAST_SHARE = 0.07  # of the contrast nearby that shadows and the halos of JPEG may have
PALE, PALE_SHARE, PALE_TOLERANCE = (
    (1.5, 12.0),
    0.06,
    3.0,
)  # distances of pale cloth; share of it that counts; tolerance then
# A shadow beside the garment: only photographs are large enough to tell its soft rim from an edge of cloth.
# Lab, and Lab a pixel.
SHADOW_SIDE, SHADOW_BLUR, SHADOW_SLOPE, DARKEST_SHADOW = 384, 2.0, 0.8, 30.0
LARGEST_CORNER = 0.002  # of the picture
CUT_OUT = 99.5  # a brighter background was made white by hand, without shadows
MOST_SHADOW = 0.25  # of what stands out: where more would go, it is cloth


class Backdrop(NamedTuple):
    """The background of a picture, as its border tells."""

    distance: np.ndarray  # float32 [H, W], of every pixel from the background's colour there
    colour: np.ndarray  # float32 [H, W, 3], Lab
    noise: float  # distance of the typical pixel of the border
    share: float  # of the border that agrees

    @property
    def is_plain(self) -> bool:
        return self.share >= LEAST_SHARE and self.noise <= MOST_NOISE


class Foreground(NamedTuple):
    """Foreground of a picture with a plain background."""

    mask: np.ndarray  # bool [H, W]
    tolerance: np.ndarray  # float32 [H, W], the distance up to which a pixel passes for background
    has_pale: bool  # a good part of it is nearly of the background's colour


def to_lab(picture: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] RGB -> float32 [H, W, 3], L 0..100."""
    return cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def border(shape: tuple[int, int], *, bottom: bool = True) -> np.ndarray:
    """Mask of the border: bool [H, W]. Without `bottom` the lower third is left out, since people reach down
    to it.
    """
    width = max(2, round(RING * min(shape)))
    ring = np.ones(shape, bool)
    ring[width:-width, width:-width] = False
    if not bottom:
        ring[-(shape[0] // 3) :] = False
    return ring


def find_backdrop(lab: np.ndarray, *, bottom: bool = True) -> Backdrop:
    """Fit a colour that changes evenly over the picture (a plane in each channel) to the border of `lab` [H,
    W, 3].

    Whatever lies on the border but is of another colour is left out of the fit.
    """
    height, width = lab.shape[:2]
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing='ij')
    terms = np.stack([np.ones_like(x), x, y], axis=-1).astype(np.float32)  # [H, W, 3]
    ring = border((height, width), bottom=bottom)
    known, values = terms[ring], lab[ring]
    residual, limit = np.linalg.norm(values - np.median(values, axis=0), axis=1), AGREES
    plane = np.zeros((3, 3), np.float32)
    plane[0] = np.median(values, axis=0)
    for _ in range(4):
        inside = residual < limit
        if inside.mean() < 0.1:
            break
        plane = np.linalg.lstsq(known[inside], values[inside], rcond=None)[0]
        residual = np.linalg.norm(values - known @ plane, axis=1)
        limit = max(4.0, 4 * float(np.median(residual[inside])))
    inside = residual < max(limit, LEAST_TOLERANCE)
    noise = float(np.median(residual[inside])) if inside.any() else float('inf')
    colour = (terms @ plane).astype(np.float32)
    return Backdrop(np.linalg.norm(lab - colour, axis=2), colour, noise, float(inside.mean()))


def disk(radius: int) -> np.ndarray:
    """A round brush of a morphology."""
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def flood(free: np.ndarray, start: np.ndarray, radius: int) -> np.ndarray:
    """Flood fill of `free` from `start`, bool [H, W], with a disk brush of `radius` pixels: narrower gaps
    block it.

    It does not pass through gaps narrower than itself, so an outline that is broken here and there still
    holds.
    """
    brush = disk(radius)
    # beyond the picture there is background, too
    wide = cv2.copyMakeBorder(free.astype(np.uint8), radius, radius, radius, radius, cv2.BORDER_REPLICATE)
    passable = cv2.erode(wide, brush, borderValue=1)[radius:-radius, radius:-radius]
    _, labels = cv2.connectedComponents(passable, connectivity=4)
    reached = np.unique(labels[start & (passable > 0)])
    around = np.isin(labels, reached[reached > 0]).astype(np.uint8)
    return (cv2.dilate(around, brush) > 0) & free


def _into_corners(free: np.ndarray, around: np.ndarray) -> np.ndarray:
    """`around` and the small parts of `free` beside it, all bool [H, W]: corners too narrow for the flood."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((free & ~around).astype(np.uint8), connectivity=4)
    beside = np.unique(labels[cv2.dilate(around.astype(np.uint8), disk(1)) > 0])
    beside = beside[beside > 0]
    return around | np.isin(labels, beside[stats[beside, cv2.CC_STAT_AREA] < LARGEST_CORNER * free.size])


def stand_out(lab: np.ndarray, backdrop: Backdrop, *, bottom: bool = True) -> Foreground:
    """Complement of the flood fill from the border. Its outline has a rim of pixels that are half background.

    The tolerance is what the background's noise asks for, and more near things that differ much from it:
    beside dark cloth a faint shadow or the halo of JPEG is background; where much of the cloth is pale
    itself, it may well be cloth.
    """
    distance = backdrop.distance
    scale = min(distance.shape) / 192
    radius, start = max(1, round(scale)), border(distance.shape, bottom=bottom)
    least = float(np.clip(NOISE_FACTOR * backdrop.noise, LEAST_TOLERANCE, MOST_TOLERANCE))
    first = ~flood(distance < least, start, radius)
    has_pale = _pale_share(lab, backdrop, first, scale) > PALE_SHARE
    most = max(least, PALE_TOLERANCE if has_pale else MOST_TOLERANCE)
    strong, side = distance * first, 2 * round(16 * scale) + 1
    contrast = cv2.blur(strong * strong, (side, side)) / np.maximum(cv2.blur(strong, (side, side)), 1e-3)
    tolerance = np.clip(CONTRAST_SHARE * contrast, least, most)
    free = distance < tolerance
    around = flood(free, start, radius)
    mask = ~(around if has_pale else _into_corners(free, around))
    if min(mask.shape) >= SHADOW_SIDE and backdrop.colour[..., 0].max() < CUT_OUT:
        lit = ~flood((distance < tolerance) | _may_be_shadow(lab, backdrop, tolerance), start, radius)
        if lit.sum() > (1 - MOST_SHADOW) * mask.sum():
            mask = lit
    return Foreground(mask, tolerance, has_pale)


def _may_be_shadow(lab: np.ndarray, backdrop: Backdrop, tolerance: np.ndarray) -> np.ndarray:
    """Mask of shadowed background, bool [H, W]: darker, of the same hue, without edges."""
    even = cv2.GaussianBlur(lab, (0, 0), SHADOW_BLUR)
    slope = np.hypot(
        cv2.Sobel(even[..., 0], -1, 1, 0, scale=1 / 8), cv2.Sobel(even[..., 0], -1, 0, 1, scale=1 / 8)
    )
    darker, hue = (backdrop.colour - even)[..., 0], np.linalg.norm((backdrop.colour - even)[..., 1:], axis=2)
    return (
        (darker > 0)
        & (darker < DARKEST_SHADOW)
        & (hue < np.maximum(tolerance, 0.3 * darker))
        & (slope < SHADOW_SLOPE)
    )


def _pale_share(lab: np.ndarray, backdrop: Backdrop, mask: np.ndarray, scale: float) -> float:
    """Share of a mask [H, W] whose colour is near the background's but not it. The halos of JPEG, up and
    down, average out.
    """
    side = 2 * round(2 * scale) + 1
    evened = np.linalg.norm(cv2.blur(lab - backdrop.colour, (side, side)), axis=2)
    low, high = PALE
    pale = mask & (evened > low) & (evened < high)
    beside = (
        cv2.dilate((backdrop.distance > 1.25 * high).astype(np.uint8), disk(max(1, round(3 * scale)))) > 0
    )
    return float((pale & ~beside).sum() / max(1, mask.sum()))
