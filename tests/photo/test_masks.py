"""Masks that cannot be meant."""

import numpy as np
import pytest
from PIL import Image

from photo.dressing import prepare_garment, prepare_person
from photo.loading import load_mask
from photo.masks import fit_notes, is_inverted
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


def test_a_mask_of_another_picture_is_noted_and_its_own_is_not(pipeline, drawn):
    person, garment, edge = drawn
    somebody = np.asarray(prepare_person(pipeline, person).silhouette)
    beside = 'of its mask lies on the plain background'
    own = prepare_person(pipeline, person, mask=somebody), prepare_garment(pipeline, garment, mask=edge)
    assert not any(beside in note for prepared in own for note in prepared.notes)
    swapped = prepare_person(pipeline, person, mask=edge), prepare_garment(pipeline, garment, mask=somebody)
    assert all(any(beside in note for note in prepared.notes) for prepared in swapped)


def test_a_part_of_what_stands_out_and_a_pale_thing_have_masks_of_their_own():
    wall = np.full((160, 120, 3), 240, np.uint8)
    wall[40:140, 30:90] = (30, 60, 90)
    shown, part, pale = Image.fromarray(wall), np.zeros((160, 120), np.uint8), np.zeros((160, 120), np.uint8)
    part[40:90, 30:90] = 255  # the blouse, without the skirt
    pale[20:140, 30:90] = 255  # a white collar that does not stand out from the wall
    other = np.roll(part, 40, axis=1)
    for mask, is_doubted in ((part, False), (pale, False), (other, True)):
        assert bool(fit_notes(Image.fromarray(mask), shown, 'it', bottom=True)) == is_doubted
    noise = np.random.default_rng(0).integers(0, 256, (160, 120, 3), np.uint8)
    assert fit_notes(Image.fromarray(other), Image.fromarray(noise), 'it', bottom=True) == ()
