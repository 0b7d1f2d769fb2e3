"""Colour profiles: what a viewer would show is what the networks see, and what the result shows."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from photo.colour import shown, to_own, to_srgb
from photo.dressing import dress, prepare_garment, prepare_person
from photo.files import cell, save_picture
from photo.loading import load_mask, load_photo

_spec = importlib.util.spec_from_file_location('profiles', Path(__file__).with_name('profiles.py'))
profiles = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(profiles)

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
SKIN = (200, 120, 90)


def plain(mode: str, colour) -> Image.Image:
    return Image.new(mode, (70, 80), colour)


def test_a_phones_wide_colours_become_srgb_and_are_kept_beside(save):
    photo = load_photo(save(plain('RGB', SKIN), 'phone.png', icc_profile=profiles.screen_profile()))
    # Display P3 (200, 120, 90) by its primaries and gamma 2.2, in linear light: more red than sRGB's numbers
    # say
    assert photo.picture.getpixel((9, 9)) == pytest.approx((214, 116, 82), abs=1)
    assert photo.picture.info == {} and photo.own.getpixel((9, 9)) == SKIN and photo.notes == ()
    assert photo.own.info == {'icc_profile': profiles.screen_profile()}


def test_srgb_by_whatever_profile_is_not_touched():
    coloured = to_srgb(plain('RGB', SKIN), SRGB)
    assert (
        coloured.picture.getpixel((9, 9)) == SKIN
        and coloured.own is None
        and coloured.picture.info == {'icc_profile': SRGB}
    )


@pytest.mark.parametrize(('gamma', 'level'), [(1.0, 188), (2.2, 129)])
def test_grey_is_read_by_its_profile(gamma, level, save):
    photo = load_photo(save(plain('L', 128), 'grey.png', icc_profile=profiles.grey_profile(gamma)))
    assert photo.picture.getpixel((9, 9)) == (level,) * 3 and photo.own is None


def test_grey_with_the_profile_of_a_screen_is_read_as_colours(save):
    photo = load_photo(save(plain('L', 128), 'grey.png', icc_profile=SRGB))
    assert photo.picture.getpixel((9, 9)) == (128,) * 3 and photo.notes == ()


def test_inks_are_read_by_their_profile(save):
    cyan = plain('CMYK', (255, 0, 0, 0))
    assert load_photo(save(cyan, 'plain.tiff')).picture.getpixel((9, 9)) == (0, 255, 255)
    photo = load_photo(
        save(cyan, 'print.tiff', icc_profile=profiles.ink_profile())
    )  # whose cyan is an orange
    assert photo.picture.getpixel((9, 9)) == pytest.approx((255, 129, 61), abs=2) and photo.picture.info == {}


@pytest.mark.parametrize(
    'profile', [b'no profile', profiles.screen_profile()[:200], profiles.grey_profile(2.2)]
)
def test_a_profile_that_cannot_be_used_is_noted(profile, save):
    photo = load_photo(save(plain('RGB', SKIN), 'odd.png', icc_profile=profile))
    assert photo.picture.getpixel((9, 9)) == SKIN and len(photo.notes) == 1
    assert 'odd.png: its colour profile' in photo.notes[0] and 'taken as sRGB' in photo.notes[0]


def test_levels_of_a_mask_are_no_colours(save):
    mask = load_mask(save(plain('L', 140), 'mask.png', icc_profile=profiles.grey_profile(1.0)), (70, 80))
    assert mask.getpixel((9, 9)) == 140


def test_the_way_to_srgb_and_back_is_short_and_only_taken_where_something_changed():
    levels = np.random.default_rng(3).integers(40, 200, (64, 64, 3)).astype(np.uint8)
    coloured = to_srgb(Image.fromarray(levels), profiles.screen_profile())
    region = np.zeros((64, 64), np.uint8)
    region[:, 32:] = 255
    back = np.asarray(to_own(coloured.picture, coloured.own, Image.fromarray(region))).astype(int)
    assert (back[:, :32] == levels[:, :32]).all()
    inside = (np.asarray(coloured.picture) > 0).all(axis=2) & (np.asarray(coloured.picture) < 255).all(axis=2)
    assert np.abs(back - levels)[inside].max() <= 2 and (np.asarray(coloured.picture) != levels).any()


def test_the_result_has_the_persons_colours_and_the_garment_looks_the_same_in_them(
    pipeline, drawn, save, tmp_path
):
    person, garment, edge = drawn
    phone, shirt = (
        save(person, 'me.png', icc_profile=profiles.screen_profile()),
        prepare_garment(pipeline, garment, mask=edge),
    )
    dressed = dress(pipeline, prepare_person(pipeline, phone), shirt)
    save_picture(dressed.picture, tmp_path / 'out.png')
    with Image.open(tmp_path / 'out.png') as written:
        assert written.info['icc_profile'] == profiles.screen_profile()
        pixels = np.asarray(written)
    kept = np.asarray(dressed.region) == 0
    assert (pixels[kept] == person[kept]).all() and not kept.all()
    as_seen = dress(pipeline, prepare_person(pipeline, load_photo(phone).picture), shirt)
    worn = np.asarray(dressed.region) == 255
    difference = np.abs(np.asarray(shown(dressed.picture)).astype(int) - np.asarray(as_seen.picture))[worn]
    assert (
        difference.max()
        <= 3
        < np.abs(np.asarray(dressed.picture).astype(int) - np.asarray(as_seen.picture))[worn].max()
    )


def test_the_sheet_shows_what_a_viewer_shows():
    own = plain('RGB', SKIN)
    own.info = {'icc_profile': profiles.screen_profile()}
    assert cell(own).getpixel((144, 192)) == pytest.approx((214, 116, 82), abs=1)
