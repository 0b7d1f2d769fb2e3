"""The windows of a clip follow a person slowly, and stand still where nothing is to be followed."""

import numpy as np
import pytest

from photo.follow import windows
from photo.framing import Box, close_window, frame_person

FRAME, SIZE = (640, 360), (256, 192)
TIMES = np.arange(120) / 30
LOOKS = np.arange(0, 4, 0.5)


def track(boxes):
    return windows(boxes, LOOKS, TIMES, frame=FRAME, size=SIZE)


def small(left: float) -> Box:
    return Box(int(left), 120, int(left) + 60, 300)


def test_somebody_who_is_never_found_gets_the_photographs_window():
    assert set(track([None] * 8)) == {frame_person(FRAME, SIZE)}


def test_somebody_who_stands_still_is_not_followed_and_noise_moves_nothing():
    noise = np.random.default_rng(0).integers(-4, 5, 8)
    seen = track([small(300 + wobble) for wobble in noise])
    assert set(seen) == {seen[0]} and abs(seen[0].left + seen[0].width / 2 - 330) < 6


def test_a_single_wrong_box_moves_nothing():
    boxes = [small(300)] * 8
    boxes[4] = small(20)
    assert len(set(track(boxes))) == 1


def test_somebody_who_walks_stays_in_the_middle_and_the_window_does_not_jump():
    seen = track([small(100 + 100 * second) for second in LOOKS])
    lefts = np.array([window.left for window in seen])
    assert np.abs(np.diff(lefts)).max() <= 6 and (np.diff(lefts) >= 0).all()
    for time, window in list(zip(TIMES, seen, strict=True))[30:90]:
        # the middle look of a few is late at the ends
        assert window.left + window.width / 2 == pytest.approx(130 + 100 * time, abs=30)
        assert window.height / window.width == pytest.approx(SIZE[0] / SIZE[1])


def test_somebody_who_fills_the_frame_gets_the_whole_frame():
    frame, box = (360, 480), Box(60, 100, 280, 480)
    assert frame_person(frame, SIZE, box) != close_window(frame, SIZE, box)
    boxes = [box, box._replace(left=100, right=320)] * 4
    assert set(windows(boxes, LOOKS, TIMES, frame=frame, size=SIZE)) == {frame_person(frame, SIZE, box)}
