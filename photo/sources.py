"""What a photograph or a mask may be given as besides a file: bytes, an open file, an array or a tensor."""

import io
import os
from typing import BinaryIO

import numpy as np
from PIL import Image
from torch import Tensor

from utils.errors import UserError

Source = str | os.PathLike | bytes | bytearray | memoryview | BinaryIO | Image.Image | np.ndarray | Tensor
EXPECTED = 'a file, bytes, a file object opened with "rb", a Pillow picture, an array [H, W, 3] or a tensor [3, H, W]'


def is_path(source: Source) -> bool:
    """Whether a source is the path of a file."""
    return isinstance(source, str | os.PathLike)


def encoded_bytes(source: Source, name: str) -> io.BytesIO:
    """An encoded picture that came as bytes or as an open file. Raises `UserError` for anything else, and for no bytes."""
    data: bytes | str
    if isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
    elif hasattr(source, 'read'):
        try:
            data = source.read()
        except UnicodeDecodeError:
            data = ''  # text, which is refused below
        except (OSError, ValueError) as error:  # closed, or opened for writing
            raise UserError(f'{name}: a file object that cannot be read ({error}); open it with "rb"') from error
        if not isinstance(data, bytes):
            raise UserError(f'{name}: a file object that was opened as text; open it with "rb"')
    else:
        raise UserError(f'{name} is a {type(source).__name__}; expected {EXPECTED}')
    if not data:
        where = ' (a file object is read from where it stands)' if hasattr(source, 'read') else ''
        raise UserError(f'{name}: no bytes{where}; give those of a JPEG or PNG file')
    return io.BytesIO(data)


def array_picture(source: np.ndarray | Tensor, name: str) -> Image.Image:
    """The picture of an array [H, W], [H, W, 1, 3 or 4], or of a tensor [1, 3 or 4, H, W] or [H, W], a batch of one included.

    Values are whole numbers from 0 to 255, floating-point numbers from 0 to 1, or bool. Raises `UserError` with what came.
    """
    kind = 'tensor' if isinstance(source, Tensor) else 'array'
    channels = 'a tensor [3, H, W]' if kind == 'tensor' else 'an array [H, W, 3]'
    array = source.detach().cpu() if isinstance(source, Tensor) else source
    if isinstance(array, Tensor):
        array = (array.float() if array.is_floating_point() else array).numpy()  # NumPy knows no bfloat16
    came = f'{name} is {array.dtype} {list(array.shape)}'
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if kind == 'tensor' and array.ndim == 3:
        array = np.moveaxis(array, 0, 2)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)) or 0 in array.shape:
        raise UserError(f'{came}; expected {channels} RGB, one with 4 channels or 1, or [H, W]')
    values = np.ascontiguousarray(_levels(array, came))
    return Image.fromarray(values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values)


def _levels(array: np.ndarray, came: str) -> np.ndarray:
    """An array's values as uint8."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * 255
    if not np.issubdtype(array.dtype, np.integer) and not np.issubdtype(array.dtype, np.floating):
        raise UserError(f'{came}; expected whole numbers from 0 to 255, floating-point numbers from 0 to 1, or bool')
    low, high, limit = float(array.min()), float(array.max()), 1 if np.issubdtype(array.dtype, np.floating) else 255
    if not (low >= 0 and high <= limit):  # NaN, too
        fix = 'divide by 255 first' if limit == 1 and 0 <= low and 1 < high <= 255 else f'bring them to 0..{limit} first'
        raise UserError(f'{came} with values from {low:g} to {high:g}; expected 0 to {limit}; {fix}')
    return np.rint(array * (255 / limit)).astype(np.uint8)
