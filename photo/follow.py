"""The windows of a clip: the same framing throughout, following the person slowly.

Not part of any paper. The person is looked for a few times a second; boxes are evened out forward and
backward in time, so that the window neither shakes nor lags, and a window that would hardly move does not
move at all.
"""

from collections.abc import Sequence
from math import ceil

import numpy as np
from PIL import Image

from photo.framing import Box, Window, close_window, frame_person
from photo.person import find_person, person_box
from utils.errors import UserError

LOOKS = 2  # a second, at most
AROUND = 5  # looks of which the middle one counts: a single wrong box is none
SLOWNESS = 1.0  # seconds: standard deviation of the averaging in time
LEAST_SPREAD = 0.05  # square seconds: fewer looks than that give no direction
STILL = 0.08  # of the window's height: a person who moves less is not followed


def look_for(frame: np.ndarray, *, background: str, name: str) -> Box | None:
    """Bounding box of the person in a frame uint8 [H, W, 3]; None if it cannot be found."""
    try:
        mask, _, _ = find_person(Image.fromarray(frame), mask=None, background=background, name=name)
    except UserError:  # a frame without a person is no reason to end a clip
        return None
    return None if mask is None else person_box(mask)


def windows(
    boxes: Sequence[Box | None],
    seconds: Sequence[float],
    times: Sequence[float],
    *,
    frame: tuple[int, int],
    size: tuple[int, int],
) -> list[Window]:
    """A window (height : width as in `size`) for each of `times`, of frames of (width, height) `frame`.

    `boxes` tell where the person was at `seconds`, in order. Where the person fills most of the frame, or was
    never found, the window stands still, as that of a photograph.
    """
    known = [(second, box) for second, box in zip(seconds, boxes, strict=True) if box is not None]
    if not known:
        return [frame_person(frame, size)] * len(times)
    at, found = (
        np.array([second for second, _ in known]),
        np.array([box for _, box in known], float),
    )  # [K], [K, 4]
    usual = Box(*np.rint(np.median(found, axis=0)).astype(int).tolist())
    still = frame_person(frame, size, usual)
    if still != close_window(frame, size, usual):
        return [still] * len(times)
    reach = AROUND // 2
    middle = np.stack(
        [np.median(found[max(0, k - reach) : k + reach + 1], axis=0) for k in range(len(found))]
    )
    smooth = _even_out(at, middle, np.asarray(times, float))  # [T, 4]
    if np.ptp(smooth, axis=0).max() < STILL * still.height:
        return [still] * len(times)
    return [close_window(frame, size, Box(*np.rint(box).astype(int).tolist())) for box in smooth]


def _even_out(at: np.ndarray, values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Values [K, C] at moments `at` [K], evened out at `times` [T]: a straight line fitted around each, [T,
    C].

    Unlike an average a line does not fall behind somebody who walks, where there is nothing further on to
    average with.
    """
    distance = times[:, None] - at  # [T, K]
    weights = np.exp(-((distance / SLOWNESS) ** 2) / 2) + 1e-9 / (1 + distance**2)
    weights /= weights.sum(axis=1, keepdims=True)
    centre, level = weights @ at, weights @ values  # [T], [T, C]
    spread = weights @ at**2 - centre**2
    slope = (weights @ (at[:, None] * values) - centre[:, None] * level) / (spread + LEAST_SPREAD)[:, None]
    return level + slope * (times - centre)[:, None]


def looking_step(rate: float) -> int:
    """Number of frames between two detections, for a clip of `rate` frames a second."""
    return max(1, ceil(rate / LOOKS))
