"""Photographs and masks from Python: bytes, open files, arrays, tensors."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from photo.dressing import try_on
from photo.loading import load_mask, load_photo
from utils.errors import UserError

PICTURE = np.random.default_rng(0).integers(0, 256, (80, 96, 3)).astype(np.uint8)
MASK = np.zeros((80, 96), bool)
MASK[20:70, 30:60] = True


def encoded(picture=PICTURE) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, 'PNG')
    return stream.getvalue()


def as_tensor(dtype=torch.uint8) -> torch.Tensor:
    return torch.from_numpy(PICTURE).permute(2, 0, 1).to(dtype)


SAME = {
    'bytes': encoded,
    'a bytearray': lambda: bytearray(encoded()),
    'an open file': lambda: io.BytesIO(encoded()),
    'a tensor': as_tensor,
    'a batch of one': lambda: as_tensor()[None],
    'a float tensor': lambda: as_tensor(torch.float32) / 255,
    'a double tensor that is being learnt': lambda: (as_tensor(torch.float64) / 255).requires_grad_(),
    'an array of doubles': lambda: PICTURE / 255.0,
    'an array of int64': lambda: PICTURE.astype(np.int64),
    'a view with negative strides': lambda: PICTURE[::-1, ::-1].copy()[::-1, ::-1],
}


@pytest.mark.parametrize('kind', SAME)
def test_whatever_holds_a_picture_gives_its_pixels(kind):
    assert (np.asarray(load_photo(SAME[kind]()).picture) == PICTURE).all()


def test_a_tensor_of_bfloat16_is_read():
    assert (
        np.abs(
            np.asarray(load_photo(as_tensor(torch.float32).div(255).bfloat16()).picture).astype(int) - PICTURE
        ).max()
        <= 1
    )


MASKS = {
    'bool': MASK,
    'whole numbers of 0 and 1': MASK.astype(np.int64),
    'bytes of 0 and 1': MASK.astype(np.uint8),
    'bytes of 0 and 255': MASK.astype(np.uint8) * 255,
    'floating-point numbers': MASK.astype(np.float32),
    'a bool tensor': torch.from_numpy(MASK),
    'a float tensor with a channel and a batch': torch.from_numpy(MASK).double()[None, None],
    'with a channel': MASK[..., None],
    'a picture of 1 bit': Image.fromarray(MASK),
}


@pytest.mark.parametrize('kind', MASKS)
def test_masks_of_every_kind_are_the_same_mask(kind):
    assert (np.asarray(load_mask(MASKS[kind], (96, 80))) == MASK * 255).all()


BAD = {
    'no bytes': (lambda: b'', 'the person: no bytes'),
    'bytes of something else': (lambda: b'%PDF-1.4 ...', 'the person: not a picture'),
    'half a picture': (lambda: encoded()[:3000], 'the person: cannot be read'),
    'an open file of text': (lambda: io.StringIO('text'), 'opened as text; open it with "rb"'),
    'a closed file': (lambda: closed(), 'cannot be read .*open it with "rb"'),
    'a file at its end': (lambda: at_end(), 'no bytes .*from where it stands'),
    'channels first in an array': (
        lambda: PICTURE.transpose(2, 0, 1),
        r'uint8 \[3, 80, 96\]; expected an array \[H, W, 3\]',
    ),
    'channels last in a tensor': (
        lambda: torch.from_numpy(PICTURE),
        r'uint8 \[80, 96, 3\]; expected a tensor \[3, H, W\]',
    ),
    'a batch of two': (lambda: np.stack([PICTURE] * 2), r'\[2, 80, 96, 3\]'),
    'the range of the networks': (
        lambda: as_tensor(torch.float32) / 127.5 - 1,
        'values from -1 to 1; expected 0 to 1',
    ),
    'floats up to 255': (lambda: PICTURE.astype(np.float32), 'divide by 255 first'),
    'nan': (lambda: np.full((80, 96, 3), np.nan), 'values from nan'),
    'large whole numbers': (lambda: PICTURE.astype(np.int32) * 9, 'expected 0 to 255'),
    'complex numbers': (lambda: PICTURE * 1j, 'complex128'),
    'words': (lambda: np.full((80, 96), 'x'), 'expected whole numbers'),
    'nothing': (lambda: None, 'the person is a NoneType; expected a file, bytes'),
    'an empty array': (lambda: np.zeros((0, 9, 3), np.uint8), r'\[0, 9, 3\]'),
    'a list': (lambda: PICTURE.tolist(), 'the person is a list'),
}


def closed() -> io.BytesIO:
    stream = io.BytesIO(encoded())
    stream.close()
    return stream


def at_end() -> io.BytesIO:
    stream = io.BytesIO(encoded())
    stream.seek(0, 2)
    return stream


@pytest.mark.parametrize('kind', BAD)
def test_what_is_no_picture_is_refused_with_one_line(kind):
    make, words = BAD[kind]
    with pytest.raises(UserError, match=words) as refusal:
        load_photo(make(), name='the person')
    assert '\n' not in str(refusal.value)


def test_try_on_takes_all_of_them(pipeline, drawn):
    person, garment, edge = drawn
    first = np.asarray(try_on(pipeline, person, garment, garment_mask=edge, background='keep'))
    stream = io.BytesIO(encoded(garment))
    tensor = torch.from_numpy(person).permute(2, 0, 1)
    second = try_on(pipeline, tensor, stream, garment_mask=torch.from_numpy(edge > 0), background='keep')
    assert (np.asarray(second) == first).all()


@pytest.mark.parametrize('size', [(100, 75), (256,), 'large', 256, (256.5, 192), (0, 0)])
def test_a_size_that_is_none_is_refused_with_one_line(size, pipeline, drawn):
    with pytest.raises(UserError, match='expected height and width') as refusal:
        try_on(pipeline, drawn[0], drawn[1], size=size)
    assert '\n' not in str(refusal.value) and pipeline.calls['garment'] == 0
