"""Inputs of the compared methods, made from parsing, key points and DensePose parts of a test set.

ACGPN (Yang et al., CVPR 2020), C-VTON (Fele et al., WACV 2022), SDAFN (Bai et al., ECCV 2022), each as
published for 256 x 192.
"""

import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from data import records
from data.labels import (
    ARMS,
    CLOTH,
    DENSEPOSE_HANDS,
    DENSEPOSE_TORSO,
    FACE,
    OTHERS,
    DensePosePart,
    Parsing,
    is_one_of,
)
from data.phases import find_phases
from data.sdafn_pictures import AGNOSTIC_QUALITY, SKELETON_QUALITY, draw_agnostic, draw_skeleton, through_jpeg
from data.transforms import ids_tensor, picture_tensor, pose_maps
from data.viton import VITONDataset
from utils.errors import MissingFileError, UserError
from utils.paths import expand

SIZE = (256, 192)  # (H, W) that the published inputs are made for
KINDS = {'label': 'the parsing maps', 'pose': 'the key points', 'densepose': 'the DensePose parts'}
TRANSLATION = '; of another parsing? python -m data.convert translates them'
NOISE_SEED = 0
NOISE_PLANES, NOISE_SHARE = 3, 0.1591  # ACGPN's noise: planes of zeros and ones, and the share of ones
PART_PLANES = 26  # C-VTON's weights take one plane more than there are parts; it is always zero


class Person(NamedTuple):
    """A person and a garment with the annotations that a method needs; None for the others."""

    image: Tensor  # [3, H, W] in [-1, 1]
    cloth: Tensor  # [3, H, W] in [-1, 1]
    edge: Tensor  # [1, H, W] in [0, 1]
    names: tuple[str, str]  # file names of person and garment
    label: Any  # Tensor [1, H, W], parsing ids
    densepose: Any  # Tensor [1, H, W], part ids
    points: Any  # array [18, 3]: x, y in pixels, score


def acgpn_inputs(person: Person) -> dict[str, Tensor]:
    """Picture, garment, edge, parsing ids, pose maps and noise; ids are those of `data.labels` already."""
    return {
        'person': person.image,
        'cloth': person.cloth,
        'edge': person.edge,
        'parsing': person.label,
        'pose': pose_maps(person.points[:, :2], SIZE, SIZE),
        'noise': noise_planes(*person.names),
    }


def noise_planes(person: str, garment: str, *, seed: int = NOISE_SEED) -> Tensor:
    """Three planes of zeros and ones, [3, 256, 192], that depend on the names and the seed alone."""
    stream = np.random.default_rng([seed, zlib.crc32(person.encode()), zlib.crc32(garment.encode())])
    return torch.from_numpy((stream.random((NOISE_PLANES, *SIZE)) < NOISE_SHARE).astype(np.float32))


def cvton_inputs(person: Person) -> dict[str, Tensor]:
    """The person with upper clothes, arms and neck black, the garment, and one plane a body part.

    Hands stay. The parsing has no neck: what it calls face and DensePose torso stands for it.
    """
    label, parts = person.label, person.densepose
    arms = is_one_of(label, ARMS) & ~is_one_of(parts, DENSEPOSE_HANDS)
    neck = (label == Parsing.FACE) & is_one_of(parts, DENSEPOSE_TORSO)
    covered = is_one_of(label, CLOTH) | arms | neck
    planes = torch.arange(PART_PLANES, dtype=parts.dtype)[:, None, None] == parts
    return {
        'agnostic': person.image.masked_fill(covered, -1),
        'cloth': person.cloth,
        'parts': planes.to(person.image.dtype),
    }


def sdafn_inputs(person: Person) -> dict[str, Tensor]:
    """The drawn skeleton, the person without garment and arms, and the garment."""
    label = person.label[0]
    picture = ((person.image + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy()
    clothes, kept = (is_one_of(label, wanted).numpy() for wanted in (CLOTH, FACE + OTHERS))
    agnostic = through_jpeg(draw_agnostic(picture, clothes, kept, person.points), AGNOSTIC_QUALITY)
    skeleton = through_jpeg(draw_skeleton(person.points, SIZE), SKELETON_QUALITY)
    return {
        'pose_picture': picture_tensor(skeleton, SIZE),
        'agnostic': picture_tensor(agnostic, SIZE),
        'cloth': person.cloth,
    }


PREPARE: dict[str, Callable[[Person], dict[str, Tensor]]] = {
    'acgpn': acgpn_inputs,
    'cvton': cvton_inputs,
    'sdafn': sdafn_inputs,
}
"""From a person to the inputs of a compared method, by the method's name."""


class AnnotatedDataset(VITONDataset):
    """A test set for a compared method: each record also has `inputs`, the tensors [C, H, W] it takes.

    `method` is a key of `PREPARE`, `needs` the kinds of annotations it rests on ('label', 'pose',
    'densepose'). All of them are looked at before the first record is made; raises `UserError`
    (`MissingFileError`, `DataError`) in one line for what is wrong.
    """

    def __init__(
        self,
        root: str | Path,
        method: str,
        needs: tuple[str, ...],
        *,
        size: tuple[int, int] = SIZE,
        check: bool = True,
        pairs: str | Path | None = None,
    ):
        if tuple(size) != SIZE:
            taken = f'{method} takes {SIZE[0]} x {SIZE[1]} only'
            raise UserError(f'size {size[0]} x {size[1]}: {taken}; leave --size out')
        super().__init__(root, 'test', size=SIZE, check=check, pairs=pairs)
        self.method, self.needs = method, needs
        require_folders(self.root, needs, method)
        if check:
            for person in dict.fromkeys(pair.person for pair in self.pairs):
                self._annotations(person)

    def __getitem__(self, index: int) -> dict[str, Any]:
        record = super().__getitem__(index)
        person, garment = record['person_name'], record['garment_name']
        pictures = record['image'], record['color'], record['edge']
        given = Person(*pictures, (person, garment), **self._annotations(person))
        return record | {'inputs': PREPARE[self.method](given)}

    def _annotations(self, person: str) -> dict[str, Any]:
        picture_path = self._file('img', person)
        picture = records.read_picture(picture_path)
        source = picture.height, picture.width
        found: dict[str, Any] = {'label': None, 'densepose': None, 'points': None}
        readers = ('label', records.read_label, Parsing), ('densepose', records.read_densepose, DensePosePart)
        for kind, read, known in readers:
            if kind in self.needs:
                path = self._file(kind, person)
                ids = read(path)
                records.match_size(path, ids.shape, source, picture_path)
                records.require_known_ids(path, ids, known, TRANSLATION)
                found[kind] = ids_tensor(ids, SIZE)
        if 'pose' in self.needs:
            points = records.read_key_points(self._file('pose', person))
            found['points'] = points * [SIZE[1] / source[1], SIZE[0] / source[0], 1]
        return found


def require_folders(root: str | Path, kinds: tuple[str, ...], method: str) -> None:
    """Raise `MissingFileError` unless the test set `root` has `test_<kind>` of all kinds."""
    root = expand(root)
    if not os.path.isdir(root / 'test_img'):
        find_phases(root, 'test')  # which says what is wrong with it, or which folder is meant
    missing = [kind for kind in kinds if not os.path.isdir(root / f'test_{kind}')]
    if missing:
        folders, what = (
            ' and '.join(f'test_{kind}' for kind in missing),
            ' and '.join(KINDS[kind] for kind in missing),
        )
        raise MissingFileError(
            f'{root}: no {folders}, but {method} needs {what} of the persons; '
            'python -m data.convert or python -m synthetic makes them'
        )
