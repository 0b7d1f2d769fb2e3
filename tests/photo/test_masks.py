"""Masks that cannot be meant."""

import numpy as np
import pytest
from PIL import Image

from photo.dressing import prepare_garment, prepare_person
from photo.loading import load_mask
from photo.masks import is_inverted
from utils.errors import UserError


def body(shape=(160, 120)) -> np.ndarray:
    """Somebody who reaches down to the border."""
    mask = np.zeros(shape, np.uint8)
    mask[10:60, 45:75], mask[55:, 25:95] = 255, 255
    return mask


@pytest.mark.parametrize('part', ['person', 'garment'])
def test_an_inverted_mask_is_refused_with_the_fix(part, pipeline, drawn, save):
    person, garment, edge = drawn
    mask = save(255 - edge, 'mask.png')
    prepare = {'person': prepare_person, 'garment': prepare_garment}[part]
    with pytest.raises(UserError, match=r'mask\.png: an inverted mask.*invert it'):
        prepare(pipeline, person if part == 'person' else garment, mask=mask)
    assert pipeline.calls == {'person': 0, 'garment': 0, 'dress': 0}


def test_right_masks_are_not_inverted(drawn):
    close = np.full((160, 120), 255, np.uint8)  # a face that fills the picture
    close[:4] = 0
    for mask in (drawn[2], body(), close, np.full((160, 120), 255, np.uint8)):
        assert not is_inverted(Image.fromarray(mask))
    for mask in (drawn[2], body()):
        assert is_inverted(Image.fromarray(255 - mask))


def test_a_mask_of_zeros_and_ones_is_read_also_at_another_size(save):
    mask = load_mask(save(body() // 255, 'ones.png'), (240, 320))
    assert (
        mask.getextrema() == (0, 255) and abs((np.asarray(mask) >= 128).mean() - (body() > 0).mean()) < 0.01
    )


@pytest.mark.parametrize(
    ('levels', 'words'),
    [
        (np.zeros((160, 120), np.uint8), 'black everywhere; paint'),
        (body() // 255 * 13, 'brightest level is 13'),
    ],
)
def test_a_mask_with_nothing_inside_is_refused(levels, words, save):
    with pytest.raises(UserError, match=rf'odd\.png: .*{words}'):
        load_mask(save(levels, 'odd.png'), (120, 160))
