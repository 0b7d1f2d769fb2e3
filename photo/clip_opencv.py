"""Video files by OpenCV, where PyAV is not installed: pictures only, at an even pace and in even sizes."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from photo.clip_types import INSTALL, ClipInfo, Frame, refuse
from utils.errors import UserError

CODECS = {'.mp4': 'mp4v', '.mov': 'mp4v', '.m4v': 'mp4v', '.mkv': 'mp4v', '.avi': 'MJPG', '.webm': 'VP80'}
USUAL_RATE = Fraction(30)
FASTEST = 1000  # frames a second; a container that says more says nothing


class OpencvReader:
    """An open video file, turned upright by OpenCV itself."""

    def __init__(self, path: Path):
        self.notes: list[str] = []
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise refuse(path)
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        is_there, self._first = self._capture.read()
        rate, count = self._capture.get(cv2.CAP_PROP_FPS), int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if not is_there:
            self.close()
            raise UserError(f'{path}: a video without frames; give another file')
        known = Fraction(rate).limit_denominator(1001) if 0 < rate < FASTEST else USUAL_RATE
        height, width = self._first.shape[:2]
        self.info = ClipInfo(path, width, height, rate=known, count=count if count > 0 else None, has_sound=None)

    def frames(self) -> Iterator[Frame]:
        """All frames, evenly in time."""
        number, pixels = 0, self._first
        while pixels is not None:
            yield Frame(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), number / self.info.rate)
            is_there, read = self._capture.read()
            number, pixels = number + 1, read if is_there else None

    def close(self) -> None:
        self._capture.release()


class OpencvWriter:
    """A video file that is being written."""

    def __init__(self, path: Path, info: ClipInfo):
        self.notes = [f'sound, if there is any, is left out, since PyAV is not installed; {INSTALL}']
        self.count = 0
        self._size = info.width & ~1, info.height & ~1
        if self._size != (info.width, info.height):
            size = f'{self._size[0]} x {self._size[1]}'
            self.notes.append(f'the result has {size} pixels, since OpenCV writes even sizes only; {INSTALL}')
        code = cv2.VideoWriter.fourcc(*CODECS[path.suffix.lower()])
        self._writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, float(info.rate), self._size)
        if not self._writer.isOpened():
            raise UserError(f'--out: OpenCV writes no {path.suffix} here; choose .mp4 or .avi, or {INSTALL}')

    def write(self, frame: Frame) -> None:
        width, height = self._size
        self.count += 1
        self._writer.write(np.ascontiguousarray(frame.pixels[:height, :width, ::-1]))

    def close(self) -> None:
        self._writer.release()
