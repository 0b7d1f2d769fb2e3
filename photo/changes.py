"""The pixels that a try-on changes: the garment, old clothes that went, skin that came.

Not part of any paper: a generator renders face, hair and background anew, a little off everywhere; the
photograph has them right.
"""

import cv2
import numpy as np
from torch import Tensor

from models.outputs import TryOn
from photo.backdrop import disk

SHOWN = 0.5  # composite mask from which the garment certainly is there
TOUCHED = 0.05  # composite mask from which there may be some of it
CHANGE, MOST_CHANGE = 0.07, 0.25  # difference of the try-on to the person, of 1: may, and must be a change
# Of the differences above the garment, where nothing changes: those are the generator's errors.
HEAD_PERCENTILE = 95
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
    changed = (change > np.clip(error, CHANGE, MOST_CHANGE)).astype(np.uint8)
    changed = cv2.morphologyEx(changed, cv2.MORPH_OPEN, disk(wide))
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
