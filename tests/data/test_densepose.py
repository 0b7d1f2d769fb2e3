"""The body parts drawn from a pose: where they lie, what they depend on, what a missing point leaves out."""

import numpy as np
import pytest

from data.densepose import draw_body_parts
from data.labels import DENSEPOSE_ARMS, DensePosePart, KeyPoint
from tests.data.sources import POINTS

SIZE = (256, 192)
WHOLE = np.array(POINTS, float) * 4


def at(parts: np.ndarray, point) -> int:
    return int(parts[int(point[1]), int(point[0])])


def test_each_part_lies_between_its_key_points():
    parts = draw_body_parts(WHOLE, SIZE)
    point = dict(zip(KeyPoint, WHOLE, strict=True))
    middle = {
        DensePosePart.RIGHT_UPPER_ARM_2: (KeyPoint.RIGHT_SHOULDER, KeyPoint.RIGHT_ELBOW),
        DensePosePart.LEFT_LOWER_ARM_2: (KeyPoint.LEFT_ELBOW, KeyPoint.LEFT_WRIST),
        DensePosePart.RIGHT_UPPER_LEG_2: (KeyPoint.RIGHT_HIP, KeyPoint.RIGHT_KNEE),
        DensePosePart.TORSO_2: (KeyPoint.NECK, KeyPoint.RIGHT_HIP),
    }
    for part, (first, second) in middle.items():
        share = 0.75 if 'LEG' in part.name else 0.5
        assert at(parts, point[first] * (1 - share) + point[second] * share) == part, part.name
    assert at(parts, point[KeyPoint.RIGHT_WRIST] + (0, 6)) == DensePosePart.RIGHT_HAND
    assert at(parts, (90, 30)) == DensePosePart.HEAD_1 and at(parts, (102, 30)) == DensePosePart.HEAD_2
    assert parts.dtype == np.uint8 and parts[0, 0] == 0


def test_from_behind_the_backs_are_drawn():
    mirrored = WHOLE.copy()
    found = mirrored.max(axis=1) > 0
    mirrored[found, 0] = 191 - mirrored[found, 0]
    parts = set(np.unique(draw_body_parts(mirrored, SIZE)).tolist())
    assert DensePosePart.TORSO_1 in parts and DensePosePart.LEFT_UPPER_ARM_1 in parts
    assert not parts & {DensePosePart.TORSO_2, DensePosePart.LEFT_UPPER_ARM_2}


def test_a_point_that_was_not_found_leaves_out_what_hangs_on_it():
    points = WHOLE.copy()
    points[KeyPoint.RIGHT_WRIST] = 0
    parts = draw_body_parts(points, SIZE)
    assert not np.isin(parts, [DensePosePart.RIGHT_LOWER_ARM_2, DensePosePart.RIGHT_HAND]).any()
    assert (parts == DensePosePart.RIGHT_UPPER_ARM_2).any() and (parts == DensePosePart.LEFT_HAND).any()
    assert not draw_body_parts(np.zeros((18, 2)), SIZE).any()


@pytest.mark.parametrize(
    'lost', [[KeyPoint.RIGHT_SHOULDER], [KeyPoint.RIGHT_HIP, KeyPoint.LEFT_HIP], [KeyPoint.NECK]]
)
def test_the_torso_survives_a_missing_shoulder_neck_or_hips(lost):
    points = WHOLE.copy()
    points[lost] = 0
    parts = draw_body_parts(points, SIZE)
    assert (parts == DensePosePart.TORSO_2).mean() > 0.04 and at(parts, (96, 100)) == DensePosePart.TORSO_2


def test_widths_grow_with_the_distance_of_the_shoulders():
    small, large = (draw_body_parts(WHOLE * scale, SIZE) for scale in (0.5, 1.0))
    areas = [np.isin(parts, DENSEPOSE_ARMS).sum() for parts in (small, large)]
    assert areas[1] / areas[0] == pytest.approx(4, rel=0.15)
