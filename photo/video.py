"""From a clip to clips: the person of a video file, wearing one garment or several."""

import contextlib
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from models.interface import TryOnModel
from photo.clip import create_clip, open_clip
from photo.clip_types import ClipInfo, ClipReader, ClipWriter, Frame
from photo.dressing import PreparedGarment, prepare_garment
from photo.follow import look_for, looking_step, windows
from photo.frames import FrameDresser
from photo.framing import Window, check_aspect
from photo.person import BACKGROUNDS, find_person, replace_background
from utils.errors import UserError
from utils.paths import atomic_write

SHEET_HEIGHT = 480  # of a cell of the side-by-side, at most
SHEET_COLUMNS = 4
SEGMENTERS = tuple(name for name in BACKGROUNDS if name not in ('auto', 'keep'))


class ClipTask(NamedTuple):
    """A clip, garments with a mask or None for each, a file for each, and one that shows all side by side."""

    clip: Path
    garments: Sequence[Path]
    garment_masks: Sequence[Path | None]
    results: Sequence[Path]
    side_by_side: Path | None

    @property
    def files(self) -> list[Path]:
        """All files that are written."""
        return [*self.results, *([] if self.side_by_side is None else [self.side_by_side])]


@torch.no_grad()
def dress_clip(
    pipeline: TryOnModel, task: ClipTask, *, size: tuple[int, int], background: str = 'auto', library: str | None = None
) -> list[str]:
    """Write every result; returns notes for the user, each once. Garments and the clip's beginning are looked at first.

    Each frame keeps its size and its time. `background` says what the networks see behind the person: that of the clip, unless a
    segmenter is named, which then cuts the person out of every frame. Interrupted, what was dressed so far stays as files that
    play, and whatever else goes wrong leaves none. Raises `UserError`.
    """
    pairs = zip(task.garments, task.garment_masks, strict=True)
    garments = [prepare_garment(pipeline, path, mask=mask, size=size) for path, mask in pairs]
    notes = [note for garment in garments for note in garment.notes]
    seen = _find_windows(task.clip, size=size, background=background, library=library)
    reader = open_clip(task.clip, library=library)
    with contextlib.closing(reader), contextlib.ExitStack() as files:
        outputs = _Outputs(reader.info, task, files, library)
        for frame, dressed in _dressed(pipeline, reader, garments, seen, size=size, background=background):
            outputs.write(frame, dressed)
    notes += [*reader.notes, *outputs.notes]
    return list(dict.fromkeys(notes))


def _find_windows(path: Path, *, size: tuple[int, int], background: str, library: str | None) -> list[Window]:
    """Read a clip through and look for the person in it; returns the window of every frame."""
    reader = open_clip(path, library=library)
    info, boxes, seconds, times = reader.info, [], [], []
    with contextlib.closing(reader):
        check_aspect((info.width, info.height), str(path))
        step = looking_step(float(info.rate))
        for number, frame in enumerate(tqdm(reader.frames(), 'looking', total=info.count, unit='frame', leave=False)):
            times.append(float(frame.time))
            if number % step == 0:
                boxes.append(look_for(frame.pixels, background=background, name=str(path)))
                seconds.append(float(frame.time))
    return windows(boxes, seconds, times, frame=(info.width, info.height), size=size)


def _dressed(
    pipeline: TryOnModel,
    reader: ClipReader,
    garments: Sequence[PreparedGarment],
    seen: Sequence[Window],
    *,
    size: tuple[int, int],
    background: str,
) -> Iterator[tuple[Frame, list[np.ndarray]]]:
    """Every frame of a clip, and the person in each garment; a person is encoded once a frame."""
    dressers = [FrameDresser(pipeline, size=size) for _ in garments]
    frames = zip(reader.frames(), seen, strict=False)  # a damaged file may end otherwise when it is read again
    for frame, window in tqdm(frames, 'dressing', total=len(seen), unit='frame'):
        picture = _cut_out(frame.pixels, background, str(reader.info.path)) if background in SEGMENTERS else None
        view = dressers[0].look(frame.pixels, window, picture=picture)
        pairs = zip(dressers, garments, strict=True)
        yield frame, [dresser.dress(frame.pixels, view, garment) for dresser, garment in pairs]


def _cut_out(frame: np.ndarray, background: str, name: str) -> Image.Image:
    """The person of a frame before a plain background; the frame itself where nobody is found."""
    picture = Image.fromarray(frame)
    try:
        mask, _, _ = find_person(picture, mask=None, background=background, name=name)
    except UserError:  # the person may be out of the picture for a moment
        return picture
    return picture if mask is None else replace_background(picture, mask)


class _Outputs:
    """The files that a clip becomes; they are finished, and get their names, when the stack of `files` is left."""

    def __init__(self, info: ClipInfo, task: ClipTask, files: contextlib.ExitStack, library: str | None):
        self._writers = [files.enter_context(clip_file(path, info, library=library)) for path in task.results]
        self._sheet: ClipWriter | None = None
        if task.side_by_side is not None:
            scale = min(1.0, SHEET_HEIGHT / info.height)
            self._cell = tuple(2 * max(1, round(side * scale / 2)) for side in (info.width, info.height))
            columns = min(SHEET_COLUMNS, len(task.results) + 1)
            rows = ceil((len(task.results) + 1) / columns)
            self._grid = rows, columns
            sheet = info._replace(width=columns * self._cell[0], height=rows * self._cell[1])
            self._sheet = files.enter_context(clip_file(task.side_by_side, sheet, library=library))

    @property
    def notes(self) -> list[str]:
        writers = self._writers if self._sheet is None else [*self._writers, self._sheet]
        return [note for writer in writers for note in writer.notes]

    def write(self, frame: Frame, dressed: Sequence[np.ndarray]) -> None:
        for writer, pixels in zip(self._writers, dressed, strict=True):
            writer.write(Frame(pixels, frame.time))
        if self._sheet is not None:
            self._sheet.write(Frame(self._side_by_side([frame.pixels, *dressed]), frame.time))

    def _side_by_side(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        (rows, columns), (width, height) = self._grid, self._cell
        sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
        for number, pixels in enumerate(pictures):
            top, left = number // columns * height, number % columns * width
            small = cv2.resize(pixels, self._cell, interpolation=cv2.INTER_AREA)
            sheet[top : top + height, left : left + width] = small
        return sheet


@contextlib.contextmanager
def clip_file(path: Path, info: ClipInfo, *, library: str | None = None) -> Iterator[ClipWriter]:
    """Yield a writer whose file gets the name `path` when it is finished: at the end, or on Ctrl-C or SIGTERM.

    After any other error, and before the first frame, there is no file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    interruption: BaseException | None = None
    with atomic_write(path) as temporary:
        writer = create_clip(temporary, info, library=library)
        try:
            yield writer
        except (KeyboardInterrupt, SystemExit) as error:
            if not writer.count:
                raise
            interruption = error
        finally:
            writer.close()
    if interruption is not None:
        raise interruption
