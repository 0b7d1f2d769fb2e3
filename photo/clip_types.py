"""Frames, descriptions and the interface of clips, as the readers and writers of both libraries have them."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from utils.errors import UserError

INSTALL = 'pip install av'


class Frame(NamedTuple):
    """One picture of a clip."""

    pixels: np.ndarray  # uint8 [H, W, 3] RGB, upright
    time: Fraction  # seconds


class ClipInfo(NamedTuple):
    """Properties of a clip that are known before reading it."""

    path: Path
    width: int  # of the upright picture
    height: int
    rate: Fraction  # frames a second, on average
    # frames, as the container says, which may be a few off; None: it says nothing. A tuple has a method of this name.
    count: int | None  # type: ignore[assignment]
    has_sound: bool | None  # None: the library cannot tell
    aspect: Fraction = Fraction(1)  # of a pixel, width to height, before it is turned upright


class ClipReader(Protocol):
    """An open clip."""

    info: ClipInfo
    notes: list[str]  # for the user; complete after the last frame

    def frames(self) -> Iterator[Frame]:
        """All frames from the first, once."""

    def close(self) -> None:
        """Close the file."""


class ClipWriter(Protocol):
    """A clip that is being written."""

    notes: list[str]
    count: int  # frames that were written

    def write(self, frame: Frame) -> None:
        """Append a frame, of the size that was announced."""

    def close(self) -> None:
        """Finish the file, so that players take it."""


def refuse(path: Path, reason: str = '') -> UserError:
    """The error for a file that no library reads."""
    detail = f' ({reason})' if reason else ''
    return UserError(f'{path}: not a video that can be read{detail}; give an MP4, MOV, MKV, WebM or AVI file')
