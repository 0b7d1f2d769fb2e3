"""Ranges, shapes and resizing of the tensors of a record; pose maps against a version that asks each
pixel.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data.transforms import edge_tensor, ids_tensor, picture_tensor, pose_maps

coordinate = st.floats(-20, 90, allow_nan=False)


def slow_pose_map(x: float, y: float, height: int, width: int) -> np.ndarray:
    expected = -np.ones((height, width), np.float32)
    for row in range(height):
        for column in range(width):
            if x > 1 and y > 1 and abs(column - int(x)) <= 5 and abs(row - int(y)) <= 5:
                expected[row, column] = 1
    return expected


def test_a_picture_spans_minus_one_to_one_with_channels_first():
    pixels = np.zeros((64, 32, 3), np.uint8)
    pixels[0, 1] = (255, 0, 51)
    tensor = picture_tensor(Image.fromarray(pixels), (64, 32))
    assert tensor.shape == (3, 64, 32) and tensor.dtype == torch.float32 and tensor.is_contiguous()
    torch.testing.assert_close(tensor[:, 0, 1], torch.tensor([1.0, -1.0, 51 / 127.5 - 1]))
    assert tensor.min() == -1


def test_an_edge_spans_zero_to_one():
    tensor = edge_tensor(Image.fromarray(np.array([[0, 255], [51, 102]], np.uint8)), (2, 2))
    torch.testing.assert_close(tensor, torch.tensor([[[0.0, 1.0], [0.2, 0.4]]]))


def test_ids_stay_what_they_are_as_floats():
    ids = np.arange(300).reshape(20, 15)
    tensor = ids_tensor(ids, (20, 15))
    assert tensor.dtype == torch.float32 and tensor.shape == (1, 20, 15)
    assert tensor[0].numpy().tolist() == ids.tolist()


def test_pictures_are_resized_smoothly_and_maps_by_their_nearest_pixel():
    rng = np.random.default_rng(0)
    colours, ids = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8), rng.integers(0, 25, (64, 64))
    picture, edge = Image.fromarray(colours), Image.fromarray(colours[..., 0].copy())

    expected = np.asarray(picture.resize((16, 32), Image.Resampling.BICUBIC)) / 127.5 - 1
    np.testing.assert_allclose(picture_tensor(picture, (32, 16)).permute(1, 2, 0), expected, atol=1e-6)
    # Nearest takes the pixel under the centre of each new one: row 2 i + 1, column 4 j + 2.
    np.testing.assert_allclose(edge_tensor(edge, (32, 16))[0] * 255, colours[1::2, 2::4, 0], atol=1e-4)
    np.testing.assert_array_equal(ids_tensor(ids, (32, 16))[0], ids[1::2, 2::4])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=3))
def test_pose_maps_are_the_squares_that_a_test_of_each_pixel_gives(points):
    maps = pose_maps(np.array(points), (64, 32), (64, 32))
    expected = np.stack([slow_pose_map(x, y, 64, 32) for x, y in points])
    np.testing.assert_array_equal(maps, expected)


@pytest.mark.parametrize(
    ('point', 'drawn'),
    [((0, 0), False), ((1, 30), False), ((30, 1), False), ((1.01, 1.01), True), ((-3, 20), False)],
)
def test_a_key_point_is_drawn_only_beyond_the_first_pixel(point, drawn):
    assert bool((pose_maps(np.array([point], dtype=float), (64, 32), (64, 32)) == 1).any()) is drawn


def test_key_points_are_scaled_before_they_are_cut():
    # 10.9 doubles to 21.8 and is cut to 21; cut first, it would be 20. Halved, 31.6 gives 15.8 and so 15.
    maps = pose_maps(np.array([[10.9, 31.6]]), (64, 32), (32, 64))
    rows, columns = np.nonzero(maps[0].numpy() == 1)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (16, 26, 10, 20)
