"""Faults of a garment's mask: inverted, black or white as a whole, or with holes, which can be mended."""

import numpy as np
from PIL import Image
from scipy import ndimage

INVERTED = 'edges that are inverted (white around the garment; white must be the garment: invert them)'
BLACK = 'edges without a garment (nothing above half of white; draw the garment white)'
WHITE = 'edges that are white all over (no outline; draw what is not garment black)'

_FULL = 0.99
_MARGIN = 4  # the middle begins at a fourth of each side
_COLOURED = 40  # levels that the darkest channel is below white: no compression noise beside a garment
_BITE, _HOLES = 0.02, 12  # a mask with so much coloured cloth outside it, or so many holes, is damaged
_WINDOW = np.ones((3, 3), bool)


def judge_edge(edge: Image.Image) -> str | None:
    """Return what is wrong with a mask of mode L, one of the texts above, or None.

    Inverted: most of the border is inside the mask, and more of it than of the picture's middle. Judged by
    the values above half.
    """
    inside = np.asarray(edge) > 127
    if not inside.any():
        return BLACK
    if inside.mean() > _FULL:
        return WHITE
    border = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]]).mean()
    height, width = inside.shape
    rows, columns = height // _MARGIN, width // _MARGIN
    middle = inside[rows : height - rows, columns : width - columns].mean()
    return INVERTED if border > max(0.5, middle) else None


def mend_holes(edge: np.ndarray, pixels: np.ndarray) -> np.ndarray | None:
    """Return a mask, bool [H, W], with its holes filled; None where it is not damaged.

    `edge` bool [H, W] is the mask, `pixels` uint8 [H, W, 3] the garment on white. Masks that were cut out by
    a threshold lose light cloth and whole colours, in specks. Damaged is what leaves out coloured cloth, or
    has many holes: a strap or a sleeve that touches the hem encloses one or two, and those stay open. What a
    light garment lost at its rim stays lost.
    """
    coloured = ndimage.binary_opening(pixels.min(axis=2) <= 255 - _COLOURED, _WINDOW)
    _, holes = ndimage.label(ndimage.binary_fill_holes(edge) & ~edge)
    bite = (coloured & ~edge).sum() / max(coloured.sum(), 1)
    if bite < _BITE and holes < _HOLES:
        return None
    margin = 2  # so that closing does not stop at the picture's border
    closed = ndimage.binary_closing(np.pad(edge | coloured, margin), _WINDOW)
    filled = ndimage.binary_fill_holes(closed)[margin:-margin, margin:-margin]
    return edge | ndimage.binary_opening(filled, _WINDOW)
