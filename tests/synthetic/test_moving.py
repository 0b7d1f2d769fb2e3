"""A drawn person moves evenly and comes back to where the movement began."""

import numpy as np

from synthetic.moving import moving_person
from synthetic.records import render_record

SIZE = (128, 96)


def test_the_movement_begins_with_the_record_and_is_even():
    frames = [frame.astype(int) for frame in moving_person(7, 23, 16, size=SIZE)]
    assert len(frames) == 16 and frames[0].shape == (*SIZE, 3)
    assert (frames[0] == render_record(7, 'test', 23, size=SIZE).person).all()
    steps = [np.abs(new - old).mean() for old, new in zip(frames, [*frames[1:], frames[0]], strict=True)]
    assert min(steps) > 0.3 and max(steps) < 4 * np.median(steps)
