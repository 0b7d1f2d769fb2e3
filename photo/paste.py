"""Paste-back: the try-on goes into the photograph only where the clothes or newly visible skin are.

Not part of any paper: a generator renders face, hair and background anew, a little off everywhere; the
photograph has them right.
"""

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from models.outputs import TryOn
from photo.backdrop import disk
from photo.composition import Composition, enlarge, strips
from photo.framing import Box, Window, bounding_box

SHOWN = 0.5  # composite mask from which the garment certainly is there
TOUCHED = 0.05  # composite mask from which there may be some of it
CHANGE, MOST_CHANGE = (
    0.07,
    0.25,
)  # difference of the try-on to the person, of 1: what may, and what must be a change
HEAD_PERCENTILE = (
    95  # of the differences above the garment, where nothing changes: those are the generator's errors
)
LEAST_HEAD = 0.03  # of the rows: fewer above the garment tell nothing
LEAST_PART = 0.05  # of the largest part, where no garment is shown at all


def change_weight(person: Tensor, result: TryOn) -> np.ndarray:
    """Weight of the try-on at each pixel of the networks' picture: float32 [h, w] in [0, 1], soft at the rim.

    `person` [1, 3, h, w] in [-1, 1] is what the pipeline saw, `result` what it returned. 1 where the garment
    is shown and where the picture changed in one piece with it: old clothes that went, skin that came; 0
    elsewhere. What counts as a change is told by the head, which a generator renders anew but nothing
    changes.
    """
    mask = result.mask[0, 0].detach().float().cpu().numpy()
    difference = (result.image.detach().float().cpu() - person.detach().float().cpu())[0].abs().amax(dim=0)
    change = cv2.blur(difference.numpy() / 2, (3, 3))  # one pixel of noise is no change
    wide = max(1, round(min(mask.shape) / 192))
    seeds = mask > SHOWN
    if not seeds.any():
        seeds = change > MOST_CHANGE
    top = int(np.argmax(seeds.any(axis=1)))
    error = np.percentile(change[:top], HEAD_PERCENTILE) if top >= LEAST_HEAD * len(change) else 0.0
    # Thin bridges, such as the outline of a chin, lead to places that did not change.
    changed = cv2.morphologyEx(
        (change > np.clip(error, CHANGE, MOST_CHANGE)).astype(np.uint8), cv2.MORPH_OPEN, disk(wide)
    )
    changed = _parts(changed | (mask > TOUCHED).astype(np.uint8), seeds)
    changed = cv2.morphologyEx(changed, cv2.MORPH_CLOSE, disk(2 * wide))
    changed = cv2.dilate(changed, disk(wide)).astype(np.float32)
    side = 2 * wide + 1
    return cv2.blur(changed, (side, side), borderType=cv2.BORDER_REPLICATE)


def _parts(changed: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """The connected parts of `changed` that hold a seed, but for specks: uint8 [h, w]."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(changed, connectivity=8)
    wanted = np.unique(labels[seeds & (changed > 0)])
    wanted = wanted[wanted > 0]
    if len(wanted):
        areas = stats[wanted, cv2.CC_STAT_AREA]
        wanted = wanted[areas >= LEAST_PART * areas.max()]
    return np.isin(labels, wanted).astype(np.uint8)


def paste(
    photo: Image.Image, composition: Composition, weight: np.ndarray, *, silhouette: Image.Image | None = None
) -> tuple[Image.Image, Image.Image]:
    """Put a composition into a photograph (RGB) by `weight` [h, w]; returns the picture and the region that
    changed (L).

    What is rendered stays within `silhouette` (L, of the photograph's size), where that is known: new skin,
    and the wall behind old clothes, are where the person was. What the network keeps is not drawn anew. The
    garment may reach beyond. Every pixel where the region is 0 is the photograph's own, bit by bit.
    """
    window, weights = composition.window, torch.from_numpy(weight)[None]
    pixels, taken = np.array(photo), np.zeros((photo.height, photo.width), np.uint8)
    allowed = None if silhouette is None else np.asarray(silhouette)
    box = reach(weight, window, photo.size)
    for strip in strips(box) if box else []:
        share = enlarge(weights, window, strip, cubic=False)[
            0, ..., None
        ].numpy()  # [H, W, 1], exactly 0 away from the change
        place = (
            slice(strip.top + window.top, strip.bottom + window.top),
            slice(strip.left + window.left, strip.right + window.left),
        )
        free = share if allowed is None else share * (allowed[place][..., None] / np.float32(255))
        layers, old = composition(strip), pixels[place] / np.float32(255)
        new = layers.over(old + free * (layers.drawn - (1 - layers.keep) * old), share)
        level = np.rint(255 * np.maximum(free * (1 - layers.keep), share * layers.cover)).astype(np.uint8)
        pixels[place] = np.where(level > 0, np.rint(255 * new), pixels[place]).astype(np.uint8)
        taken[place] = level[..., 0]
    picture = Image.fromarray(pixels)
    picture.info = dict(photo.info)
    return picture, Image.fromarray(taken)


def reach(weight: np.ndarray, window: Window, size: tuple[int, int]) -> Box | None:
    """The box of the photograph that a weight reaches, counted from the window's corner; None where it
    reaches nothing.
    """
    box = bounding_box(weight > 0)
    if box is None:
        return None
    scale, part = window.height / weight.shape[0], window.part(size)
    reach = Box(
        max(int((box.left - 1) * scale), part.left - window.left),
        max(int((box.top - 1) * scale), part.top - window.top),
        min(int((box.right + 1) * scale) + 1, part.right - window.left),
        min(int((box.bottom + 1) * scale) + 1, part.bottom - window.top),
    )
    return reach if reach.left < reach.right and reach.top < reach.bottom else None
