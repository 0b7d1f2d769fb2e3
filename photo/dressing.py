"""From two photographs to a third: the person, wearing the garment, at the photograph's own size.

What is computed of a person or a garment alone is kept, so that several of each cost little more than one.
"""

from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageChops
from torch import Tensor

from data.transforms import edge_tensor, picture_tensor
from models.interface import TryOnModel
from models.outputs import GarmentCode, PersonCode, TryOn
from photo.composition import Composition, GarmentPhoto
from photo.framing import (
    Window,
    border_colour,
    bounding_box,
    check_aspect,
    check_garment_box,
    cut,
    frame_garment,
    frame_person,
)
from photo.garment import OPAQUE, check_fill, garment_mask
from photo.loading import Photo, Source, flatten, load_mask, load_photo
from photo.paste import change_weight, paste
from photo.person import GROUND, find_person, person_box, replace_background, silhouette
from utils.errors import UserError

WHITE = (255, 255, 255)


class PreparedPerson(NamedTuple):
    """A person, ready for any garment."""

    photo: Photo
    window: Window
    view: Image.Image  # RGB, what the networks see, before it is made small
    tensor: Tensor  # [1, 3, H, W] in [-1, 1], the same
    silhouette: Image.Image | None  # L, of the photograph's size: where skin and wall may be drawn; None: anywhere
    code: PersonCode
    notes: tuple[str, ...]


class PreparedGarment(NamedTuple):
    """A garment, ready for any person."""

    garment: GarmentPhoto
    code: GarmentCode
    notes: tuple[str, ...]


class DressedPhoto(NamedTuple):
    """A person wearing a garment."""

    picture: Image.Image  # of the photograph's size, RGB, or RGBA where the photograph is transparent in places
    region: Image.Image  # L, 0 where the picture is the photograph's own
    result: TryOn  # what the networks made
    notes: tuple[str, ...]


def prepare_person(
    pipeline: TryOnModel,
    person: Source,
    *,
    mask: Source | None = None,
    background: str = 'auto',
    size: tuple[int, int] | None = None,
    name: str = 'the person',
) -> PreparedPerson:
    """Read, check, frame and encode a person. The options are those of `try_on`."""
    photo, size = load_photo(person, name=name), _size(pipeline, size)
    name = _name(person, name)
    check_aspect(photo.picture.size, name)
    given = photo.alpha if mask is None else load_mask(mask, photo.picture.size, name='the mask of the person')
    looked_at = flatten(photo, GROUND)
    found, replaced, notes = find_person(looked_at, mask=given, background=background, name=name)
    box = None if found is None else person_box(found)
    if found is not None and box is None:
        raise UserError(f'{name}: its mask marks no person; white is the person')
    if replaced and found is not None:
        looked_at = replace_background(looked_at, found)
    window = frame_person(photo.picture.size, size, box)
    view = cut(looked_at, window, border_colour(looked_at))
    tensor = picture_tensor(view, size)[None]
    outline = None if found is None else silhouette(found)
    return PreparedPerson(photo, window, view, tensor, outline, pipeline.encode_person(tensor), (*photo.notes, *notes))


def prepare_garment(
    pipeline: TryOnModel,
    garment: Source,
    *,
    mask: Source | None = None,
    size: tuple[int, int] | None = None,
    name: str = 'the garment',
) -> PreparedGarment:
    """Read, check, mask, frame and encode a garment. The options are those of `try_on`."""
    photo, size = load_photo(garment, name=name), _size(pipeline, size)
    name = _name(garment, name)
    if mask is None:
        shape = garment_mask(photo, name=name)
    else:
        shape = load_mask(mask, photo.picture.size, name='the mask of the garment')
        check_fill(np.asarray(shape) >= OPAQUE, name)
    box = bounding_box(np.asarray(shape) >= OPAQUE)
    check_garment_box(box, name)
    window = frame_garment(box, size)
    cloth = picture_tensor(cut(flatten(photo, WHITE), window, WHITE), size)[None]
    height, width = size
    edge = edge_tensor(cut(shape, window, 0).resize((width, height), Image.Resampling.BOX), size)[None]
    return PreparedGarment(GarmentPhoto(photo.picture, shape, window), pipeline.encode_garment(cloth, edge), photo.notes)


def dress(pipeline: TryOnModel, person: PreparedPerson, garment: PreparedGarment) -> DressedPhoto:
    """Dress a prepared person in a prepared garment; both were prepared with this pipeline and one size."""
    result = pipeline(person.code, garment.code)
    weight = change_weight(person.tensor, result)
    composition = Composition(
        result, garment.garment, person.window, align_corners=pipeline.align_corners, person=person.tensor
    )
    picture, region = paste(person.photo.picture, composition, weight, silhouette=person.silhouette)
    notes = (*person.notes, *garment.notes)
    if region.getextrema()[1] == 0:
        notes += ('nothing changed: the networks found no place for the garment on this picture',)
    if person.photo.alpha is not None:
        picture.putalpha(ImageChops.lighter(person.photo.alpha, region))
    return DressedPhoto(picture, region, result, notes)


@torch.no_grad()
def try_on(
    pipeline: TryOnModel,
    person: Source,
    garment: Source,
    *,
    person_mask: Source | None = None,
    garment_mask: Source | None = None,
    background: str = 'auto',
    size: tuple[int, int] | None = None,
) -> Image.Image:
    """Return the photograph of `person` with `garment` on, of the photograph's size; where nothing changed it is the same.

    `person` and `garment` are files, Pillow pictures or arrays uint8 [H, W, 3]; of a garment that lies on a plain background or
    is transparent around it no mask is needed. `background` is what the networks see behind the person: 'auto' replaces one that
    is not plain (GrabCut), 'keep' none, 'grabcut', 'mediapipe' and 'rembg' any, each by that segmenter. `size` (H, W) is that of
    the networks' pictures, `pipeline.size` by default. Raises `UserError`, a ValueError, with one line.
    """
    prepared = prepare_garment(pipeline, garment, mask=garment_mask, size=size)
    somebody = prepare_person(pipeline, person, mask=person_mask, background=background, size=size)
    return dress(pipeline, somebody, prepared).picture


def _size(pipeline: TryOnModel, size: tuple[int, int] | None) -> tuple[int, int]:
    height, width = size or pipeline.size
    return int(height), int(width)


def _name(source: Source, name: str) -> str:
    return name if isinstance(source, Image.Image | np.ndarray) else str(source)
