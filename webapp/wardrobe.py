"""The garments and people that the page begins with, and every garment encoded once."""

import os
import shutil
import threading
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from models.interface import TryOnModel
from photo.dressing import PreparedGarment, prepare_garment
from photo.files import find_pictures
from photo.loading import load_photo
from synthetic.records import render_record
from webapp.limits import check_pixels

SEED, SPLIT = 7, 'test'
DRAWN_SIZE = (512, 384)
DRAWN_GARMENTS = (9, 3, 5, 2, 11, 19, 14, 23)  # records whose garments differ much
DRAWN_PEOPLE = (7, 10, 23, 6)  # and whose people stand with their arms down
KEPT, KEPT_PIXELS = 32, 50_000_000  # encoded garments, and the pixels of their photographs


class Choice(NamedTuple):
    """Pictures on the disk to choose from."""

    garments: list[Path]
    people: list[Path]


def fill_wardrobe(folder: Path, garments: str | Path | None = None) -> Choice:
    """Put garments and drawn people into `folder`: copies of those in the folder `garments`, else drawn ones.

    Raises `UserError` for a folder without pictures, and for a garment that is no picture.
    """
    for name in ('garments', 'people'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    people = [_draw(folder / 'people' / f'person_{index}.png', index, 'person') for index in DRAWN_PEOPLE]
    if garments is None:
        return Choice(
            [_draw(folder / 'garments' / f'garment_{i}.png', i, 'cloth') for i in DRAWN_GARMENTS], people
        )
    chosen = []
    for number, path in enumerate(find_pictures([garments], '--garments')):
        load_photo(path)
        target = folder / 'garments' / f'{number:03d}_{path.name}'
        shutil.copyfile(path, target)
        chosen.append(target)
    return Choice(chosen, people)


def _draw(path: Path, index: int, part: str) -> Path:
    Image.fromarray(getattr(render_record(SEED, SPLIT, index, size=DRAWN_SIZE), part)).save(path)
    return path


class Encoder:
    """Garments that were encoded, the latest KEPT of them or fewer large ones; one at a time, since the
    networks fill the machine anyway.
    """

    def __init__(self, pipeline: TryOnModel, *, megapixels: float):
        self.pipeline = pipeline
        self.megapixels = megapixels
        self._kept: OrderedDict[tuple, PreparedGarment] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, path: str, *, longest: int | None = None) -> PreparedGarment:
        """The garment in a file, made smaller if it is longer than `longest` pixels. Raises `UserError` with
        one line.
        """
        status = os.stat(path)
        # Not by its time, which an open page renews; see webapp.retention.
        key = path, status.st_ino, status.st_size, longest
        with self._lock:
            if key not in self._kept:
                check_pixels(path, self.megapixels)
                self._kept[key] = prepare_garment(
                    self.pipeline, path if longest is None else _smaller(path, longest)
                )
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT or (len(self._kept) > 1 and self._pixels() > KEPT_PIXELS):
                self._kept.popitem(last=False)
            return self._kept[key]

    def _pixels(self) -> int:
        sizes = [prepared.garment.picture.size for prepared in self._kept.values()]
        return sum(width * height for width, height in sizes)


def _smaller(path: str, longest: int) -> Image.Image:
    photo = load_photo(path)
    picture = photo.picture.copy()
    if photo.alpha is not None:
        picture.putalpha(photo.alpha)
    picture.thumbnail((longest, longest))
    return picture
