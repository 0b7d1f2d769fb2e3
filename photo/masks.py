"""What a mask may look like, and the sentences about one that cannot be meant.

A mask is white (255) where the garment or the person is. The rules hold for masks that somebody gives.
"""

import numpy as np
from PIL import Image

from photo.backdrop import border, find_backdrop, stand_out, to_lab
from utils.errors import UserError

INSIDE = 128  # level from which a pixel is inside
LOOKED_AT = 256  # pixels of the longer side at which a mask is judged
# Of VITON's test set, 395 masks of garments and 208 of people, the upper and side borders are inside by at
# most 0.21 where the mask is not everything, and where they are (by 0.79) the middle is by more. Of the same
# masks inverted the borders are inside by at least 0.79, and the middle by at least 0.014 less.
INVERTED_BORDER, LEAST_DIFFERENCE = 0.6, 0.01
# Of a mask, what may lie on a plain background, and of what stands out from it, what may be left out. VITON's
# masks of 395 garments and 208 people all keep within one of them; of masks of other garments 297 in 395 do
# not, of other people 127 in 208, of people on garments 348 in 395, of garments on people 204 in 208.
MOST_BESIDE, MOST_LEFT_OUT = 0.08, 0.02


def full_scale(mask: Image.Image) -> Image.Image:
    """A mask (L) that is written as 0 and 1 as one of 0 and 255; any other as it is."""
    return mask.point(lambda level: 255 * level) if mask.getextrema()[1] == 1 else mask


def check_mask(mask: Image.Image, name: str, *, what: str = 'the garment or the person') -> None:
    """Raise `UserError` for a mask (L) with nothing inside, one of labels, and one that is black where it
    should be white.
    """
    brightest = int(np.asarray(mask).max())
    if brightest == 0:
        raise UserError(f'{name}: a mask that is black everywhere; paint {what} white (255)')
    if brightest < INSIDE:
        raise UserError(
            f'{name}: a mask whose brightest level is {brightest}, so nothing is inside; make {what} 255, '
            'the rest 0'
        )
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


def fit_notes(mask: Image.Image, picture: Image.Image, name: str, *, bottom: bool) -> tuple[str, ...]:
    """A note where a mask (L) seems to belong to another picture than `picture` (RGB, of its size).

    Before a plain background it must be about what stands out; before another nobody can tell. `bottom` says
    whether the background reaches the lower border, as it does around garments.
    """
    small, inside = picture.copy(), mask.copy()
    small.thumbnail((LOOKED_AT, LOOKED_AT), Image.Resampling.BOX)
    lab = to_lab(np.asarray(small))
    backdrop = find_backdrop(lab, bottom=bottom)
    if not backdrop.is_plain or min(small.size) < 8:
        return ()
    seen = stand_out(lab, backdrop, bottom=bottom).mask
    given = np.asarray(inside.resize(small.size, Image.Resampling.BOX)) >= INSIDE
    beside = float((given & ~seen).sum() / max(1, given.sum()))
    left_out = float((seen & ~given).sum() / max(1, seen.sum()))
    if beside <= MOST_BESIDE or left_out <= MOST_LEFT_OUT:
        return ()
    return (
        f'{name}: {beside:.0%} of its mask lies on the plain background, and {left_out:.0%} of what stands '
        'out is left out; the mask may be that of another picture',
    )
