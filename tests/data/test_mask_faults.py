"""Masks with holes: damaged ones are filled, openings stay."""

import numpy as np
import pytest

from data.mask_faults import mend_holes

BODY = (slice(8, 56), slice(8, 40))


@pytest.fixture
def cloth():
    """A garment's mask, and its picture on white: light above, coloured below."""
    edge, pixels = np.zeros((64, 48), bool), np.full((64, 48, 3), 255, np.uint8)
    edge[BODY] = True
    pixels[BODY] = (246, 244, 240)
    pixels[32:56, 8:40] = (240, 120, 130)
    return edge, pixels


def test_a_whole_mask_is_left_alone(cloth):
    assert mend_holes(*cloth) is None


def test_an_opening_between_straps_stays_open(cloth):
    edge, pixels = cloth
    for opening in ((slice(10, 20), slice(14, 22)), (slice(10, 20), slice(26, 34))):
        edge[opening], pixels[opening] = False, 255
    assert mend_holes(edge, pixels) is None


def test_specks_in_light_cloth_are_filled(cloth):
    edge, pixels = cloth
    damaged = edge.copy()
    damaged[10:30:3, 10:38:3] = False
    np.testing.assert_array_equal(mend_holes(damaged, pixels), edge)


def test_coloured_cloth_comes_back_even_where_the_outline_is_lost(cloth):
    edge, pixels = cloth
    damaged = edge.copy()
    damaged[40:, :30] = False
    np.testing.assert_array_equal(mend_holes(damaged, pixels), edge)


def test_compression_noise_beside_a_garment_is_none(cloth):
    edge, pixels = cloth
    damaged = edge.copy()
    damaged[40:50, 10:30] = False
    pixels[8:56, 40] = 225
    np.testing.assert_array_equal(mend_holes(damaged, pixels), edge)
