"""What can be told of a photograph before any network sees it: who or what is on it, whether that can be
dressed, the window.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image

from photo.framing import (
    Window,
    border_colour,
    box_of,
    check_aspect,
    check_garment_box,
    cut,
    frame_garment,
    frame_person,
)
from photo.garment import OPAQUE, check_fill, garment_mask
from photo.loading import Photo, flatten, load_mask, load_photo
from photo.masks import fit_notes
from photo.person import GROUND, check_somebody, find_person, person_box, replace_background, silhouette
from photo.plausibility import check_garment, check_person, check_stands
from photo.sources import Source, is_path
from utils.errors import UserError

JUDGED_SIDE = 512  # pixels of the longer side at which a mask is judged


class SeenPerson(NamedTuple):
    """A photograph of somebody, looked at."""

    photo: Photo
    window: Window
    view: Image.Image  # RGB, what the networks see, before it is made small
    silhouette: (
        Image.Image | None
    )  # L, of the photograph's size: where skin and wall may be drawn; None: anywhere
    notes: tuple[str, ...]


class SeenGarment(NamedTuple):
    """A photograph of a garment, looked at."""

    photo: Photo
    mask: Image.Image  # L, of the photograph's size
    window: Window
    notes: tuple[str, ...]


def look_at_person(
    person: Source, *, size: tuple[int, int], mask: Source | None, background: str, name: str = 'the person'
) -> SeenPerson:
    """Read, check and frame a person for networks that see `size` (H, W); the rest is as for `photo.try_on`.

    A mask, or transparency, says who is meant: then nothing is checked but the picture. Raises `UserError`
    with one line.
    """
    photo, name = load_photo(person, name=name), name_of(person, name)
    check_aspect(photo.picture.size, name)
    given = (
        photo.alpha if mask is None else load_mask(mask, photo.picture.size, name='the mask of the person')
    )
    looked_at = flatten(photo, GROUND)
    if given is None:
        found, replaced, box, notes = _find_one(looked_at, background=background, name=name)
    else:
        found, replaced, notes = find_person(looked_at, mask=given, background=background, name=name)
        assert found is not None, 'a mask was given'
        box = person_box(found)
        if box is None:
            raise UserError(f'{name}: its mask marks no person; white is the person')
        if mask is not None:
            notes += fit_notes(given, flatten(photo, GROUND), name, bottom=False)
    if replaced and found is not None:
        looked_at = replace_background(looked_at, found)
    window = frame_person(photo.picture.size, size, box)
    view = cut(looked_at, window, border_colour(looked_at))
    outline = None if found is None else silhouette(found)
    return SeenPerson(photo, window, view, outline, (*photo.notes, *notes))


def _find_one(picture: Image.Image, *, background: str, name: str):
    """The one to be dressed: mask (L) or None, whether to replace the background, box or None, and notes."""
    check_somebody(picture, name)
    somebody = check_person(picture, name)
    left, right = somebody.columns or (0, picture.width)
    part = picture if somebody.columns is None else picture.crop((left, 0, right, picture.height))
    found, replaced, notes = find_person(part, mask=None, background=background, name=name)
    if found is None:
        return None, replaced, somebody.box, (*somebody.notes, *notes)
    if not replaced:
        notes += check_stands(_small(found) >= OPAQUE, name, has_face=somebody.has_face)
    whole = Image.new('L', picture.size)
    whole.paste(found, (left, 0))
    return whole, replaced, person_box(whole) or somebody.box, (*somebody.notes, *notes)


def look_at_garment(
    garment: Source, *, size: tuple[int, int], mask: Source | None, name: str = 'the garment'
) -> SeenGarment:
    """Read, check, mask and frame a garment; as `look_at_person`. A mask says what is meant: then its place
    alone is checked.
    """
    photo, name = load_photo(garment, name=name), name_of(garment, name)
    notes = photo.notes
    if mask is None:
        shape = garment_mask(photo, name=name)
        small = _small(shape) >= OPAQUE
        notes += check_garment(small, flatten(photo, (255, 255, 255)).resize(small.shape[::-1]), name)
    else:
        shape = load_mask(mask, photo.picture.size, name='the mask of the garment')
        check_fill(np.asarray(shape) >= OPAQUE, name)
        notes += fit_notes(shape, flatten(photo, (255, 255, 255)), name, bottom=True)
    box = box_of(np.asarray(shape) >= OPAQUE)
    check_garment_box(box, name)
    return SeenGarment(photo, shape, frame_garment(box, size), notes)


def name_of(source: Source, name: str) -> str:
    """What messages call a source: the path of a file, else `name`."""
    return str(source) if is_path(source) else name


def _small(mask: Image.Image) -> np.ndarray:
    """A mask (L) with its longer side at most JUDGED_SIDE."""
    small = mask.copy()
    small.thumbnail((JUDGED_SIDE, JUDGED_SIDE), Image.Resampling.BILINEAR)
    return np.asarray(small)
