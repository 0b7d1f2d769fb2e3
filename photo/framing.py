"""Windows of a photograph in the networks' aspect ratio, so that nothing is stretched.

Not part of any paper; the numbers are measured on VITON's pictures (Han et al., CVPR 2018).
"""

from math import ceil, gcd
from typing import NamedTuple

import numpy as np
from PIL import Image

from utils.errors import UserError

# VITON's garments fill the picture but for 7 of 256 rows or 7 of 192 columns on either side, whichever binds:
# four samples have left and right margins of 7+7, 7+7, 11+12, 4+4 columns and upper and lower ones of 7+49,
# 8+27, 7+7, 13+21 rows.
GARMENT_MARGINS = (7 / 256, 7 / 192)
# VITON's people reach from 0 to 8 rows below the upper rim down to the lower one.
HEAD_MARGIN = 0.02
FULL_LENGTH_SHARE = (
    0.6  # of a body with feet: from the crown to the middle of the thigh, where VITON's pictures end
)
SIDE_MARGIN = 1.1  # times the person's width
CROP_FROM = 1.35  # a window this many times as high as the person would need is clearly too large
WIDE = 1.0  # a photograph wider than high whose person is not known is cropped at both sides
LARGEST_ASPECT = 3.0  # of a photograph's sides
LARGEST_GARMENT_ASPECT = 4.0  # of a garment's


class Box(NamedTuple):
    """Bounding box in a photograph: pixels from `left` up to `right`, exclusive."""

    left: int
    top: int
    right: int
    bottom: int


class Window(NamedTuple):
    """The part of a photograph that a network's picture shows, in its pixels. It may reach beyond the
    photograph.

    A point (x, y) of the network's picture, 0..1 from border to border, is (left + x * width, top + y *
    height) here.
    """

    left: int
    top: int
    width: int
    height: int

    def part(self, size: tuple[int, int]) -> Box:
        """The part of the window inside a photograph of `size` (width, height)."""
        right, bottom = min(self.left + self.width, size[0]), min(self.top + self.height, size[1])
        return Box(max(self.left, 0), max(self.top, 0), right, bottom)

    def is_within(self, size: tuple[int, int]) -> bool:
        """Whether the whole window lies in a photograph of `size` (width, height)."""
        return self.part(size) == (self.left, self.top, self.left + self.width, self.top + self.height)


def bounding_box(mask: np.ndarray) -> Box | None:
    """The box around what is set in a mask, bool [H, W]; None where nothing is."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def box_of(mask: np.ndarray) -> Box:
    """The bounding box of a mask, bool [H, W], that has something inside."""
    box = bounding_box(mask)
    assert box is not None, 'an empty mask is refused before'
    return box


def _shape(least: tuple[float, float], size: tuple[int, int]) -> tuple[int, int]:
    """The smallest (height, width) of exactly the shape of `size` (H, W) that is not below `least` (height,
    width).
    """
    unit = gcd(*size)
    high, wide = size[0] // unit, size[1] // unit
    count = max(1, ceil(max(least[0] / high, least[1] / wide) - 1e-9))
    return count * high, count * wide


def frame_garment(box: Box, size: tuple[int, int]) -> Window:
    """The window (height : width as in `size`) that shows a garment in the middle, with the margins of
    VITON.
    """
    high, wide = GARMENT_MARGINS
    with_margins = (box.bottom - box.top) / (1 - 2 * high), (box.right - box.left) / (1 - 2 * wide)
    height, width = _shape(with_margins, size)
    return Window((box.left + box.right - width) // 2, (box.top + box.bottom - height) // 2, width, height)


def frame_person(photo: tuple[int, int], size: tuple[int, int], box: Box | None = None) -> Window:
    """The window (height : width as in `size`) that shows a person as VITON does: upright, from the head to
    the hips.

    `photo` is the photograph's (width, height), `box` where the person is in it, if that is known. The whole
    photograph is shown, padded above or at both sides, unless the person would be clearly smaller than in
    VITON: then the window is the person's, down to the thigh of somebody who is seen to the feet. Where the
    person is not known, a photograph that is wider than high is cropped at both sides, since its middle is
    the best guess.
    """
    width, height = photo
    whole_height, whole_width = _shape((height, width), size)
    whole = Window((width - whole_width) // 2, height - whole_height, whole_width, whole_height)
    if box is None:
        if width <= WIDE * height:
            return whole
        high, wide = _shape((height, 1), size)
        return Window((width - wide) // 2, height - high, wide, high)
    close = close_window(photo, size, box)
    return whole if whole_height < CROP_FROM * close.height else close


def close_window(photo: tuple[int, int], size: tuple[int, int], box: Box) -> Window:
    """The window of `frame_person` for a person who is small in the photograph, however large the person
    is.
    """
    width, height = photo
    reaches_down = box.bottom >= 0.98 * height
    shown = height - box.top if reaches_down else (box.bottom - box.top) * FULL_LENGTH_SHARE
    high, wide = _shape((shown * (1 + HEAD_MARGIN), (box.right - box.left) * SIDE_MARGIN), size)
    left = _inside((box.left + box.right - wide) // 2, wide, width)
    # whoever is cut by the photograph's lower rim stays cut by the picture's
    top = height - high if reaches_down else max(0, box.top - round(HEAD_MARGIN * high))
    return Window(left, top, wide, high)


def _inside(start: int, length: int, whole: int) -> int:
    """Move a stretch into 0..whole where it fits."""
    return start if length > whole else min(max(start, 0), whole - length)


def cut(picture: Image.Image, window: Window, ground: int | tuple[int, int, int]) -> Image.Image:
    """Crop of the window, with the colour `ground` beyond the picture's borders."""
    view = Image.new(picture.mode, (window.width, window.height), ground)
    part = window.part(picture.size)
    if part.left < part.right and part.top < part.bottom:
        view.paste(picture.crop(part), (part.left - window.left, part.top - window.top))
    return view


def border_colour(picture: Image.Image) -> tuple[int, int, int]:
    """The middle colour of an RGB picture's upper and side borders: what a person stands before."""
    pixels = np.asarray(picture)
    width = max(1, round(0.02 * min(picture.size)))
    high = max(1, 2 * picture.height // 3)
    parts = [pixels[:width], pixels[:high, :width], pixels[:high, -width:]]
    middle = np.median(np.concatenate([part.reshape(-1, 3) for part in parts]), axis=0)
    red, green, blue = (round(float(value)) for value in middle)
    return red, green, blue


def check_aspect(size: tuple[int, int], name: str) -> None:
    """Raise `UserError` for a photograph of (width, height) that no person stands or sits in."""
    if max(size) > LARGEST_ASPECT * min(size):
        raise UserError(
            f'{name}: {size[0]} x {size[1]} pixels (width x height) are too narrow a strip for a person; '
            'crop it to the person, about 3 wide to 4 high'
        )


def check_garment_box(box: Box, name: str) -> None:
    """Raise `UserError` for a garment that is much too long or too wide for a top."""
    sides = box.right - box.left, box.bottom - box.top
    if max(sides) > LARGEST_GARMENT_ASPECT * min(sides):
        raise UserError(
            f'{name}: what stands out is {sides[0]} x {sides[1]} pixels (width x height), which is no top; '
            'give one garment that lies flat, or a mask'
        )
