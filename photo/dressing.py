"""From two photographs to a third: the person, wearing the garment, at the photograph's own size.

What is computed of a person or a garment alone is kept, so that several of each cost little more than one.
"""

from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageChops
from torch import Tensor

from data.records import valid_size
from data.transforms import edge_tensor, picture_tensor
from models.interface import TryOnModel
from models.outputs import GarmentCode, PersonCode, TryOn
from photo.changes import change_weight
from photo.colour import to_own
from photo.composition import Composition, GarmentPhoto
from photo.framing import Window, cut
from photo.inspection import SeenGarment, SeenPerson, look_at_garment, look_at_person
from photo.loading import Photo, flatten
from photo.masks import INSIDE
from photo.paste import paste
from photo.plausibility import check_result
from photo.sources import Source
from utils.errors import UserError

WHITE = (255, 255, 255)


class PreparedPerson(NamedTuple):
    """A person, ready for any garment."""

    photo: Photo
    window: Window
    view: Image.Image  # RGB, what the networks see, before it is made small
    tensor: Tensor  # [1, 3, H, W] in [-1, 1], the same
    silhouette: (
        Image.Image | None
    )  # L, of the photograph's size: where skin and wall may be drawn; None: anywhere
    code: PersonCode
    notes: tuple[str, ...]


class PreparedGarment(NamedTuple):
    """A garment, ready for any person."""

    garment: GarmentPhoto
    code: GarmentCode
    notes: tuple[str, ...]


class DressedPhoto(NamedTuple):
    """A person wearing a garment."""

    picture: (
        Image.Image
    )  # of the photograph's size and in its colours, RGB, or RGBA where it is transparent in places
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
    size = _size(pipeline, size)
    return encode_person(
        pipeline, look_at_person(person, size=size, mask=mask, background=background, name=name), size
    )


def encode_person(pipeline: TryOnModel, seen: SeenPerson, size: tuple[int, int]) -> PreparedPerson:
    """What the networks make of a person who was looked at for `size` (H, W)."""
    tensor = picture_tensor(seen.view, size)[None]
    return PreparedPerson(
        seen.photo,
        seen.window,
        seen.view,
        tensor,
        seen.silhouette,
        pipeline.encode_person(tensor),
        seen.notes,
    )


def prepare_garment(
    pipeline: TryOnModel,
    garment: Source,
    *,
    mask: Source | None = None,
    size: tuple[int, int] | None = None,
    name: str = 'the garment',
) -> PreparedGarment:
    """Read, check, mask, frame and encode a garment. The options are those of `try_on`."""
    size = _size(pipeline, size)
    return encode_garment(pipeline, look_at_garment(garment, size=size, mask=mask, name=name), size)


def encode_garment(pipeline: TryOnModel, seen: SeenGarment, size: tuple[int, int]) -> PreparedGarment:
    """What the networks make of a garment that was looked at for `size` (H, W)."""
    cloth = picture_tensor(cut(flatten(seen.photo, WHITE), seen.window, WHITE), size)[None]
    edge = edge_tensor(cut(seen.mask, seen.window, 0).resize(size[::-1], Image.Resampling.BOX), size)[None]
    garment = GarmentPhoto(seen.photo.picture, seen.mask, seen.window)
    return PreparedGarment(garment, pipeline.encode_garment(cloth, edge), seen.notes)


def dress(pipeline: TryOnModel, person: PreparedPerson, garment: PreparedGarment) -> DressedPhoto:
    """Dress a prepared person in a prepared garment; both were prepared with this pipeline and one size."""
    result = pipeline(person.code, garment.code)
    weight = change_weight(person.tensor, result)
    composition = Composition(
        result, garment.garment, person.window, align_corners=pipeline.align_corners, person=person.tensor
    )
    picture, region = paste(person.photo.picture, composition, weight, silhouette=person.silhouette)
    doubts = _doubts(person, result)
    if region.getextrema()[1] == 0:
        doubts = ('nothing changed: the networks found no place for the garment on this picture',)
    notes = (*person.notes, *garment.notes, *doubts)
    if person.photo.own is not None:
        picture = to_own(picture, person.photo.own, region)
    if person.photo.alpha is not None:
        picture.putalpha(ImageChops.lighter(person.photo.alpha, region))
    return DressedPhoto(picture, region, result, notes)


def _doubts(person: PreparedPerson, result: TryOn) -> tuple[str, ...]:
    cover, body = result.mask[0, 0].detach().float().cpu().numpy(), None
    if person.silhouette is not None:
        seen = cut(person.silhouette, person.window, 0).resize(cover.shape[::-1], Image.Resampling.BOX)
        body = np.asarray(seen) >= INSIDE
    return check_result(cover, body)


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
    """Return the photograph of `person` with `garment` on, of the photograph's size; where nothing changed it
    is the same.

    `person` and `garment` are files, their bytes, open files, Pillow pictures, arrays [H, W, 3] or tensors
    [3, H, W] (see `photo.sources.array_picture`), masks also arrays of bool or floating-point numbers [H, W].
    Of a garment that lies on a plain background, or is transparent around it, no mask is needed. `background`
    is what the networks see behind the person: 'auto' replaces one that is not plain, by rembg if it is
    installed with a model and else by GrabCut; 'keep' replaces none, 'grabcut' and 'rembg' any. `size` (H, W)
    is that of the networks' pictures, `pipeline.size` by default. Raises `UserError`, a ValueError, with one
    line.
    """
    prepared = prepare_garment(pipeline, garment, mask=garment_mask, size=size)
    somebody = prepare_person(pipeline, person, mask=person_mask, background=background, size=size)
    return dress(pipeline, somebody, prepared).picture


def _size(pipeline: TryOnModel, size: tuple[int, int] | None) -> tuple[int, int]:
    try:
        height, width = pipeline.size if size is None else size
    except (TypeError, ValueError):
        raise UserError(f'size {size!r}: expected height and width, such as (256, 192)') from None
    return valid_size((height, width))
