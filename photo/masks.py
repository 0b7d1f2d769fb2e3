"""What a mask may look like, and the sentences about one that cannot be meant.

A mask is white (255) where the garment or the person is. The rules hold for masks that somebody gives.
"""

import numpy as np
from PIL import Image

from photo.backdrop import border
from utils.errors import UserError

INSIDE = 128  # level from which a pixel is inside
LOOKED_AT = 256  # pixels of the longer side at which a mask is judged
# Of VITON's test set, 395 masks of garments and 208 of people, the upper and side borders are inside by at most 0.21 where the
# mask is not everything, and where they are (by 0.79) the middle is by more. Of the same masks inverted the borders are inside by
# at least 0.79, and the middle by at least 0.014 less.
INVERTED_BORDER, LEAST_DIFFERENCE = 0.6, 0.01


def full_scale(mask: Image.Image) -> Image.Image:
    """A mask (L) that is written as 0 and 1 as one of 0 and 255; any other as it is."""
    return mask.point(lambda level: 255 * level) if mask.getextrema()[1] == 1 else mask


def check_mask(mask: Image.Image, name: str, *, what: str = 'the garment or the person') -> None:
    """Raise `UserError` for a mask (L) with nothing inside, one of labels, and one that is black where it should be white."""
    brightest = int(np.asarray(mask).max())
    if brightest == 0:
        raise UserError(f'{name}: a mask that is black everywhere; paint {what} white (255)')
    if brightest < INSIDE:
        raise UserError(f'{name}: a mask whose brightest level is {brightest}, so nothing is inside; make {what} 255, the rest 0')
    if is_inverted(mask):
        raise UserError(f'{name}: an inverted mask, white around {what}; invert it, so that {what} is white')


def is_inverted(mask: Image.Image) -> bool:
    """Whether most of the upper and side borders of a mask (L) is inside, and less of its middle."""
    small = mask.copy()
    small.thumbnail((LOOKED_AT, LOOKED_AT), Image.Resampling.NEAREST)
    inside = np.asarray(small) >= INSIDE
    if min(inside.shape) < 8:
        return False
    high, wide = inside.shape
    middle = inside[high // 4 : -(high // 4), wide // 4 : -(wide // 4)]
    rim = inside[border(inside.shape, bottom=False)]
    return bool(rim.mean() > INVERTED_BORDER and middle.mean() < rim.mean() - LEAST_DIFFERENCE)
