"""Windows: of the networks' shape, never stretched, with VITON's margins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from photo.framing import Box, Window, border_colour, bounding_box, cut, frame_garment, frame_person
from utils.errors import UserError

SIZE = (256, 192)
few = settings(max_examples=40, deadline=None)
SIDES = st.integers(64, 5000)


@few
@given(SIDES, SIDES, st.sampled_from([(256, 192), (128, 96), (512, 384), (288, 192), (64, 64)]))
def test_a_window_has_exactly_the_shape_of_the_networks_picture(width, height, size):
    for window in (frame_garment(Box(0, 0, width, height), size), frame_person((width, height), size)):
        assert window.height * size[1] == window.width * size[0]


@few
@given(SIDES, SIDES)
def test_a_garment_lies_in_the_middle_and_one_pair_of_margins_is_that_of_viton(width, height):
    box = Box(30, 40, 30 + width, 40 + height)
    window = frame_garment(box, SIZE)
    left, top = box.left - window.left, box.top - window.top
    assert abs(left - (window.width - width - left)) <= 1 and abs(top - (window.height - height - top)) <= 1
    shares = (
        (window.height - height) / window.height - 14 / 256,
        (window.width - width) / window.width - 14 / 192,
    )
    assert 0 <= min(shares) + 1e-9 and min(shares) < 4 / min(window.width, window.height)


def test_margins_of_real_garments_are_those_that_are_used(samples):
    for path in (samples / 'test_edge').iterdir():
        box = bounding_box(np.asarray(Image.open(path).convert('L')) >= 128)
        margins = min((box.top + 256 - box.bottom) / 2, (box.left + 192 - box.right) / 2)
        assert 4 <= margins <= 7.5, (path.name, margins)


def test_a_photograph_of_the_networks_shape_is_shown_as_it_is():
    assert frame_person((1536, 2048), SIZE) == Window(0, 0, 1536, 2048)
    assert frame_person((1536, 2048), SIZE, Box(200, 20, 1300, 2048)) == Window(0, 0, 1536, 2048)


def test_a_narrow_photograph_is_padded_at_both_sides_and_a_square_one_above():
    assert frame_person((1080, 1920), SIZE) == Window(-180, 0, 1440, 1920)
    window = frame_person((1200, 1200), SIZE)
    assert (window.left, window.top, window.width, window.height) == (0, -400, 1200, 1600)


def test_a_wide_photograph_is_cropped_to_the_person_or_to_its_middle():
    assert frame_person((4000, 3000), SIZE) == Window(875, 0, 2250, 3000)
    window = frame_person((4000, 3000), SIZE, Box(2200, 300, 3200, 3000))
    assert window.top + window.height == 3000 and window.height < 3000
    assert abs(window.left + window.width / 2 - 2700) <= 1


def test_somebody_seen_to_the_feet_is_shown_to_the_thighs():
    window = frame_person((1080, 1920), SIZE, Box(350, 200, 730, 1800))
    assert 0 < window.top <= 200 and 200 + 0.5 * 1600 < window.top + window.height < 200 + 0.7 * 1600


def test_nobody_is_cropped_who_is_only_a_little_smaller_than_in_viton():
    assert frame_person((1500, 2000), SIZE, Box(300, 200, 1200, 2000)) == Window(0, 0, 1500, 2000)


@few
@given(SIDES, SIDES, st.data())
def test_a_person_is_in_the_window_up_to_the_thigh_wherever_they_stand(width, height, data):
    left, top = data.draw(st.integers(0, width - 20)), data.draw(st.integers(0, height - 20))
    box = Box(left, top, data.draw(st.integers(left + 10, width)), data.draw(st.integers(top + 10, height)))
    window = frame_person((width, height), SIZE, box)
    assert window.left <= box.left and window.left + window.width >= box.right
    assert window.top <= box.top and window.top + window.height >= box.top + 0.6 * (box.bottom - box.top) - 1


def test_cutting_shows_the_pixels_of_the_window_and_the_ground_beyond():
    picture = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    view = np.asarray(cut(Image.fromarray(picture), Window(-2, 1, 6, 8), (9, 8, 7)))
    assert view.shape == (8, 6, 3) and (view[:3, 2:6] == picture[1:, :4]).all()
    assert (view[3:] == (9, 8, 7)).all() and (view[:, :2] == (9, 8, 7)).all()


def test_a_window_beside_the_photograph_shows_the_ground_alone():
    assert (np.asarray(cut(Image.new('L', (5, 5), 3), Window(9, 9, 3, 4), 200)) == 200).all()


def test_the_border_colour_is_that_of_the_wall_not_of_the_legs():
    picture = Image.new('RGB', (300, 400), (220, 222, 224))
    picture.paste((10, 20, 30), (50, 100, 250, 400))
    picture.paste((10, 20, 30), (0, 300, 300, 400))
    assert border_colour(picture) == (220, 222, 224)


@pytest.mark.parametrize('size', [(4000, 300), (300, 4000)])
def test_a_strip_is_no_photograph_of_a_person(size):
    from photo.framing import check_aspect

    with pytest.raises(UserError, match='too narrow a strip'):
        check_aspect(size, 'me.jpg')


def test_a_belt_is_no_top():
    from photo.framing import check_garment_box

    with pytest.raises(UserError, match='no top'):
        check_garment_box(Box(0, 0, 900, 100), 'belt.jpg')


@pytest.mark.parametrize(
    ('window', 'is_within'),
    [
        (Window(140, 0, 360, 480), True),
        (Window(0, 0, 640, 480), True),
        (Window(-1, 0, 360, 480), False),
        (Window(281, 0, 360, 480), False),
        (Window(0, -1, 360, 480), False),
        (Window(0, 1, 360, 480), False),
    ],
)
def test_a_window_knows_whether_anything_beyond_the_photograph_is_seen(window, is_within):
    assert window.is_within((640, 480)) is is_within
