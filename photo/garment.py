"""The mask of a garment that lies, or hangs, before a plain background.

Not part of any paper; VITON's own masks are the model: the inside of the back, seen through the neck opening,
belongs to the garment, and so does a white print.
"""

import cv2
import numpy as np
from PIL import Image

from photo.backdrop import Backdrop, border, disk, find_backdrop, stand_out, to_lab
from photo.loading import Photo
from photo.segmenter import GARMENT_MODELS, cut_out, find_model
from utils.errors import UserError

WORK_SIDE = (
    1024  # a longer picture is looked at at this size; finer detail of an outline is in the rim's alpha
)
OPAQUE = 128  # alpha from which a pixel belongs to the garment
LEAST_FILL, MOST_FILL = 0.02, 0.97  # share of the picture that a garment takes
LEAST_PART = 0.02  # of the largest part: what is smaller is a speck, a label or a hook
LEAST_HOLE = 0.003  # of the picture: what is smaller is a print
HOLE_SHARE = 0.5  # of the tolerance: a white print differs more from the background
RIM_CONTRAST = 10.0  # distance of the garment around a hole from the background
NECK_SHARE = 0.12  # of the garment's height: a hole in its middle is one only if it begins above


def garment_mask(photo: Photo, *, name: str = 'the garment') -> Image.Image:
    """Return the garment's mask, grey [0, 255] of the photograph's size, soft at its rim; 128 and more is
    inside.

    Taken from the alpha channel if there is one, else by a flood from the border: everything that the
    background's colour does not reach, so that white prints stay, and white garments as far as an outline of
    shade holds. Holes through which the background is seen are holes. Where the background is not plain,
    rembg cuts the garment out, if it is installed with a model. Raises `UserError` with the reason where
    nothing can, and where the garment fills nothing or everything.
    """
    if photo.alpha is not None:
        check_fill(np.asarray(photo.alpha) >= OPAQUE, name)
        return photo.alpha
    size = photo.picture.size
    scale = min(1.0, WORK_SIDE / max(size))
    small = photo.picture
    if scale < 1:
        small = small.resize([max(1, round(side * scale)) for side in size], Image.Resampling.BOX)
    lab = to_lab(np.asarray(small))
    backdrop = find_backdrop(lab)
    if not backdrop.is_plain and find_model(GARMENT_MODELS):
        cut = cut_out(photo.picture, GARMENT_MODELS)
        check_fill(np.asarray(cut) >= OPAQUE, name)
        return cut
    if not backdrop.is_plain:
        raise UserError(
            f'{name}: the background is not plain ({backdrop.share:.0%} of the border agrees, noise '
            f'{backdrop.noise:.1f}); '
            'photograph the garment on one colour, give a mask, or install rembg with a model'
        )
    seen = stand_out(lab, backdrop)
    mask = _parts(seen.mask)
    check_fill(mask, name)
    if not seen.has_pale:  # else nothing tells a hole from the cloth
        mask = _pierce(mask, backdrop.distance, seen.tolerance)
    alpha = rim_alpha(lab, backdrop, mask)
    solid = _parts(alpha >= 0.5)
    check_fill(solid, name)
    alpha = np.where(cv2.dilate(solid.astype(np.uint8), disk(1)) > 0, alpha, 0)
    grey = Image.fromarray(np.rint(alpha * 255).astype(np.uint8))
    return grey if scale == 1 else grey.resize(size, Image.Resampling.BICUBIC)


def check_fill(mask: np.ndarray, name: str) -> None:
    """Raise `UserError` where a garment's mask, bool [H, W], fills nothing or everything."""
    fill = float(mask.mean())
    if fill < LEAST_FILL:
        raise UserError(
            f'{name}: no garment stands out from the background ({fill:.1%} of the picture); '
            'photograph it larger or on another colour, or give a mask'
        )
    if fill > MOST_FILL:
        raise UserError(
            f'{name}: the garment fills everything ({fill:.0%} of the picture); leave background around it'
        )


def rim_alpha(lab: np.ndarray, backdrop: Backdrop, mask: np.ndarray) -> np.ndarray:
    """Garment's share of each pixel: float32 [H, W] in [0, 1], fractional only near the outline of `mask` [H,
    W].

    At the outline a pixel is a mixture of the garment's colour just inside and the background's; the share is
    the projection of its colour onto the line between the two. Where those are alike, white on white, the
    mask is left as it is.
    """
    width = max(1, round(min(mask.shape) / 192))
    solid = mask.astype(np.uint8)
    inner = cv2.erode(solid, disk(width + 1), borderValue=1)
    near = cv2.dilate(solid, disk(1)) - inner > 0
    side = 2 * (3 * width + 1) + 1
    weight = cv2.blur(inner.astype(np.float32), (side, side))
    cloth = cv2.blur(lab * inner[..., None], (side, side)) / np.maximum(weight, 1e-4)[..., None]
    line = cloth - backdrop.colour
    length = (line * line).sum(axis=2)
    share = ((lab - backdrop.colour) * line).sum(axis=2) / np.maximum(length, 1e-6)
    usable = near & (weight > 1e-3) & (length > (4 + 4 * backdrop.noise) ** 2)
    return np.where(usable, np.clip(share, 0, 1), mask).astype(np.float32)


def _parts(mask: np.ndarray) -> np.ndarray:
    """Without specks, bool [H, W]."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    return (
        np.isin(labels, np.flatnonzero(areas >= max(1.0, LEAST_PART * areas.max()))) & mask
        if count > 1
        else mask
    )


def _pierce(mask: np.ndarray, distance: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    """Open the holes through which the background is seen: between a sleeve and the body, or under a strap.

    White prints and lights on white cloth look like it; a hole lies aside or at the neck, is no speck, has
    the background's very colour, and all around it the garment's colour begins at once.
    """
    height, width = mask.shape
    brush = disk(max(1, round(min(mask.shape) / 192)))
    pale = ((distance < tolerance) & mask & ~border(mask.shape)).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(pale, connectivity=4)
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    middle, neck = (columns[0] + columns[-1]) / 2, rows[0] + NECK_SHARE * (rows[-1] - rows[0])
    mask = mask.copy()
    for label, (left, top, wide, _tall, area) in enumerate(stats):
        is_aside = left > middle or left + wide < middle
        if label == 0 or area < LEAST_HOLE * height * width or not (is_aside or top < neck):
            continue
        hole = labels == label
        around = (
            cv2.dilate(hole.astype(np.uint8), brush, iterations=3) - cv2.dilate(hole.astype(np.uint8), brush)
            > 0
        )
        begins = np.percentile(distance[around], 15) > RIM_CONTRAST
        if begins and np.median(distance[hole]) <= HOLE_SHARE * np.median(tolerance[hole]):
            mask &= ~hole
    return mask
