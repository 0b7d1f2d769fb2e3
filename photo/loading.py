"""From whatever holds a picture to an upright sRGB photograph and its alpha, or one line that says why not.

Not part of any paper.
"""

import errno
import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms, ImageOps
from torch import Tensor

from photo.colour import to_srgb
from photo.masks import check_mask, full_scale
from photo.sources import Source, array_picture, encoded_bytes, is_path
from utils.errors import MissingFileError, UserError, first_line
from utils.paths import expand, kind_of

SMALLEST_SIDE = 64  # pixels; less than half of what the networks see is no photograph
MOST_PIXELS = 64_000_000  # a 50-megapixel phone's, and no bomb that unpacks to gigabytes
LONGEST_REASON = 120
# Formats for which Pillow runs another program, or has no decoder of its own.
FOREIGN_FORMATS = {'EPS', 'WMF', 'BUFR', 'GRIB', 'HDF5', 'MPEG', 'PDF'}
HEIF_BRANDS = (b'heic', b'heix', b'heim', b'hevc', b'mif1', b'msf1')
ALPHA_MODES = ('RGBA', 'RGBa', 'LA', 'La', 'PA')


class Photo(NamedTuple):
    """A photograph as a viewer shows it."""

    picture: Image.Image  # RGB, sRGB, 8 bits, upright; `info` holds at most `icc_profile`
    alpha: Image.Image | None  # L, 255 where the picture is opaque; None where it is so everywhere
    notes: tuple[str, ...]  # what was done to it that its owner may want to know
    own: Image.Image | None = None  # the same in the colours of its file, whose `icc_profile` is in `info`; None: as `picture`


def load_photo(source: Source, *, name: str = 'the picture') -> Photo:
    """Read a photograph of any format that Pillow decodes itself: EXIF turned, sRGB, alpha kept beside, 16 bits scaled to 8.

    `source` is a file, its bytes or an open one, a Pillow picture, an array [H, W, 3 or 4] RGB or [H, W] grey, or a tensor
    [3, H, W]; see `photo.sources.array_picture` for their values. `name` is what messages call a picture that is no file. Of a
    file with several frames the first is taken, and a note says so. Raises `MissingFileError` or `UserError` with one line: not
    a picture, damaged, smaller than SMALLEST_SIDE, more than MOST_PIXELS, all transparent.
    """
    photo = _load(source, name)
    picture, name = photo.picture, _name(source, name)
    if min(picture.size) < SMALLEST_SIDE:
        raise UserError(
            f'{name}: {picture.width} x {picture.height} pixels (width x height) are too small; '
            f'give a picture of at least {SMALLEST_SIDE} pixels a side'
        )
    if photo.alpha is not None and not photo.alpha.getbbox():
        raise UserError(f'{name}: transparent everywhere, so there is nothing to see; give a picture with something in it')
    return photo


def load_mask(source: Source, size: tuple[int, int], *, name: str = 'the mask') -> Image.Image:
    """Read a mask, grey [0, 255] of `size` (width, height): its alpha if it has one that says something, else its brightness.

    A mask of another size but the same shape is resized; one of 0 and 1 is read as 0 and 255. `source` is as for `load_photo`.
    Raises as that, and for a mask of another shape, an inverted one and one with nothing inside.
    """
    photo, name = _load(source, name, as_mask=True), _name(source, name)
    grey = photo.picture.convert('L')
    low, high = grey.getextrema()
    mask = photo.alpha if photo.alpha is not None and low == high else grey
    if photo.alpha is not None and low != high:
        mask = Image.composite(grey, Image.new('L', grey.size), photo.alpha)
    if mask.size != size:
        if abs(mask.width * size[1] - mask.height * size[0]) > 0.02 * mask.width * size[1]:
            raise UserError(
                f'{name}: {mask.width} x {mask.height} pixels (width x height), but its picture is {size[0]} x {size[1]}; '
                'give a mask as large as the picture'
            )
        mask = full_scale(mask).resize(size, Image.Resampling.BILINEAR)
    mask = full_scale(mask)
    check_mask(mask, name)
    return mask


def flatten(photo: Photo, colour: tuple[int, int, int]) -> Image.Image:
    """The photograph on a ground of one colour: RGB."""
    if photo.alpha is None:
        return photo.picture
    return Image.composite(photo.picture, Image.new('RGB', photo.picture.size, colour), photo.alpha)


def _name(source: Source, name: str) -> str:
    return str(source) if is_path(source) else name


def _load(source: Source, name: str, *, as_mask: bool = False) -> Photo:
    if isinstance(source, np.ndarray | Tensor):
        source = array_picture(source, name)
    if isinstance(source, Image.Image):
        with _reading(name):  # a picture from a file is unpacked only now
            return _decode(source, name, as_mask=as_mask)
    if isinstance(source, str | os.PathLike):
        path = expand(os.fspath(source))
        name, source = str(path), path
        _check_file(path)
    else:
        source = encoded_bytes(source, name)
    with _reading(name), warnings.catch_warnings():
        warnings.simplefilter('ignore', Image.DecompressionBombWarning)  # the limit here is lower, and an error
        try:
            picture = Image.open(source, formats=_formats())
        except Image.UnidentifiedImageError:
            raise UserError(f'{name}: {_what_else(source)}') from None
        with picture:
            photo, frames = _decode(picture, name, as_mask=as_mask), getattr(picture, 'n_frames', 1)
            # MPO files hold a photograph and its previews: not an animation.
            if frames > 1 and picture.format != 'MPO':
                photo = photo._replace(notes=(*photo.notes, f'{name}: the first of {frames} frames is used'))
            return photo


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Turn whatever a reader trips over into a `UserError` that names the picture."""
    try:
        yield
    except UserError:
        raise
    except Image.DecompressionBombError:
        raise UserError(_too_many(name, 'far more')) from None
    except Exception as error:  # on damaged bytes Pillow raises nearly anything
        reason = first_line(error)[:LONGEST_REASON]
        raise UserError(f'{name}: cannot be read ({reason}); replace the file, or save it anew') from error


def _check_file(path: Path) -> None:
    try:
        kind = kind_of(path)
    except FileNotFoundError:
        raise MissingFileError(f'{path}: no such file; give the path of a picture') from None
    except (OSError, ValueError) as error:
        too_long = isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG
        shown = f'{str(path)[:LONGEST_REASON]}...' if too_long else repr(str(path))
        raise UserError(f'{shown}: cannot be read ({first_line(error)}); give the path of a picture') from error
    if kind == 'folder':
        raise UserError(f'{path}: a folder, expected a picture; give one of its files')
    if kind != 'file':
        raise UserError(f'{path}: a pipe or device, expected a picture')
    if os.path.getsize(path) == 0:
        raise UserError(f'{path}: an empty file; replace it')


def _formats() -> list[str]:
    """Formats that Pillow decodes itself, and HEIF if pillow-heif is installed."""
    try:
        from pillow_heif import register_heif_opener

        register_heif_opener()
    except ImportError:  # phones can save JPEG instead, and the refusal says so
        pass
    Image.init()
    return [name for name in Image.ID if name not in FOREIGN_FORMATS]


def _what_else(source: Path | io.BytesIO) -> str:
    start = source.getvalue()[:16] if isinstance(source, io.BytesIO) else _first_bytes(source)
    if start[4:8] == b'ftyp' and start[8:12] in HEIF_BRANDS:
        return 'an HEIC picture, which needs the package pillow-heif; install it, or save the picture as JPEG'
    return 'not a picture that can be read; give a JPEG, PNG, WebP, TIFF, BMP or GIF file'


def _first_bytes(path: Path) -> bytes:
    with open(path, 'rb') as file:
        return file.read(16)


def _too_many(name: str | Path, count: str) -> str:
    return f'{name}: {count} pixels, at most {MOST_PIXELS // 10**6} million are taken; make the picture smaller'


def _decode(picture: Image.Image, name: str, *, as_mask: bool) -> Photo:
    """The frame that is open, upright, as sRGB and alpha; levels of a mask stay as they are. `picture` is not changed."""
    if 0 in picture.size:
        raise UserError(f'{name}: {picture.width} x {picture.height} pixels; there is nothing to see')
    if picture.width * picture.height > MOST_PIXELS:  # known before a pixel is unpacked
        raise UserError(_too_many(name, f'{picture.width} x {picture.height}'))
    profile = None if as_mask else picture.info.get('icc_profile')
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith(('I', 'F')):
        picture = _eight_bits(picture, name)
    opaque, alpha = _split_alpha(picture)
    coloured = to_srgb(opaque, profile)
    notes = (f'{name}: {coloured.note}',) if coloured.note else ()
    return Photo(coloured.picture, alpha, notes, coloured.own)


def _split_alpha(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """A picture as one of mode RGB, L or CMYK, and its alpha (L), None where it is opaque everywhere."""
    is_grey, alpha = picture.mode in ('1', 'L', 'LA', 'La'), None
    if picture.mode in ALPHA_MODES or 'transparency' in picture.info:
        picture = picture.convert('RGBA')
        alpha = picture.getchannel('A')
        alpha = None if alpha.getextrema()[0] == 255 else alpha
    if is_grey:
        return picture.convert('L') if picture.mode != 'RGBA' else picture.getchannel('R'), alpha
    if picture.mode == 'LAB':
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile('LAB'))
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB'))
        converted = ImageCms.profileToProfile(picture, lab, srgb, outputMode='RGB')
        assert converted is not None, 'a picture comes back where none is changed in place'
        return converted, alpha
    return picture if picture.mode == 'CMYK' else picture.convert('RGB'), alpha


def _eight_bits(picture: Image.Image, name: str) -> Image.Image:
    """Grey of 16 or 32 bits or of floating point -> 8 bits. Pillow itself would clip such values to white."""
    values = np.asarray(picture).astype(np.float64)
    low, high = float(values.min()), float(values.max())
    limit = next((limit for limit in (1.0, 255.0, 65535.0) if high <= limit), None)
    if picture.mode.startswith('I'):
        limit = 65535.0 if picture.mode != 'I' or high > 255 else 255.0
    if limit is None or not low >= 0 or high > limit:
        raise UserError(f'{name}: values from {low:g} to {high:g} are no brightnesses; save the picture with 8 bits a channel')
    return Image.fromarray(np.rint(values * (255 / limit)).astype(np.uint8))
