"""Video files: upright RGB frames with their times in, a file of the same size, pace and sound out.

Not part of any paper. PyAV does it where it is installed (`pip install av`), OpenCV otherwise, which keeps no sound, writes
even sizes only, and gives every frame the same duration.
"""

import os
import stat
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from photo.clip_types import INSTALL, ClipInfo, ClipReader, ClipWriter
from utils.errors import MissingFileError, UserError
from utils.paths import expand

WRITABLE = ('.mp4', '.mov', '.m4v', '.mkv', '.webm', '.avi')
SMALLEST_SIDE = 64  # pixels, as for photographs
MOST_PIXELS = 36_000_000  # of a frame: 8K video
LIBRARIES = ('pyav', 'opencv')


def choose_library(library: str | None = None) -> str:
    """'pyav' where it is installed, else 'opencv'; a `library` that is named is checked."""
    if library is None:
        return 'pyav' if find_spec('av') else 'opencv'
    if library not in LIBRARIES:
        raise UserError(f'there is no video library {library!r}; choose from {", ".join(LIBRARIES)}')
    if library == 'pyav' and not find_spec('av'):
        raise UserError(f'PyAV is not installed; {INSTALL}')
    return library


def open_clip(path: str | Path, *, library: str | None = None) -> ClipReader:
    """Open a video file of any container that PyAV or OpenCV reads; its first frame is decoded at once.

    Raises `MissingFileError` or `UserError` with one line: no such file, no video, a picture, no frames, a size that no person
    can be seen in.
    """
    path = expand(path)
    _check_file(path)
    _check_moving(path)
    if choose_library(library) == 'pyav':
        from photo.clip_pyav import PyavReader

        reader: ClipReader = PyavReader(path)
    else:
        from photo.clip_opencv import OpencvReader

        reader = OpencvReader(path)
    info = reader.info
    if min(info.width, info.height) < SMALLEST_SIDE or info.width * info.height > MOST_PIXELS:
        reader.close()
        raise UserError(
            f'{path}: frames of {info.width} x {info.height} pixels (width x height); expected at least {SMALLEST_SIDE} a side '
            f'and at most {MOST_PIXELS // 10**6} million'
        )
    return reader


def create_clip(path: Path, info: ClipInfo, *, sound: bool = True, library: str | None = None) -> ClipWriter:
    """Begin a video file whose format the suffix of `path` says, with the size and pace of `info`.

    With `sound` that of the file `info.path` is copied as it is, where PyAV is installed and the container takes it.
    """
    if choose_library(library) == 'pyav':
        from photo.clip_pyav import PyavWriter

        return PyavWriter(path, info, sound=sound)
    from photo.clip_opencv import OpencvWriter

    return OpencvWriter(path, info)


def _check_moving(path: Path) -> None:
    """Raise `UserError` for a picture that stands still; an animation is a video."""
    try:
        with Image.open(path) as picture:
            kind, frames = picture.format, getattr(picture, 'n_frames', 1)
    except Exception:  # on what is no picture Pillow raises nearly anything
        return
    if frames == 1 or kind == 'MPO':
        raise UserError(f'{path}: a {kind} picture, expected a video; dress pictures with --person')


def _check_file(path: Path) -> None:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise MissingFileError(f'{path}: no such file; give the path of a video') from None
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or str(error)
        raise UserError(f'{str(path)[:120]!r}: cannot be read ({reason}); give the path of a video') from error
    if stat.S_ISDIR(mode):
        raise UserError(f'{path}: a folder, expected a video; give one of its files')
    if not stat.S_ISREG(mode):
        raise UserError(f'{path}: a pipe or device, expected a video file')
    if os.path.getsize(path) == 0:
        raise UserError(f'{path}: an empty file; replace it')
