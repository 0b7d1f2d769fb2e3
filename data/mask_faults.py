"""Faults of a garment's mask as a whole: inverted, black, white."""

import numpy as np
from PIL import Image

INVERTED = 'edges that are inverted (white around the garment; white must be the garment: invert them)'
BLACK = 'edges without a garment (nothing above half of white; draw the garment white)'
WHITE = 'edges that are white all over (no outline; draw what is not garment black)'

_FULL = 0.99
_MARGIN = 4  # the middle begins at a fourth of each side


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
