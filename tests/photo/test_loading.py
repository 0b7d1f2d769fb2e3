"""Photographs of every format, and one line for what is none."""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from photo.loading import MOST_PIXELS, load_mask, load_photo
from utils.errors import MissingFileError, UserError

RAMP = np.tile(np.linspace(0, 255, 96).astype(np.uint8)[None, :, None], (80, 1, 3))


def pixels(photo) -> np.ndarray:
    return np.asarray(photo.picture).astype(int)


def test_rgb_comes_bit_by_bit_from_a_file_a_picture_and_an_array(save):
    for source in (save(RAMP, 'a.png'), str(save(RAMP, 'b.png')), Image.fromarray(RAMP), RAMP):
        photo = load_photo(source)
        assert (pixels(photo) == RAMP).all() and photo.alpha is None and photo.notes == ()


@pytest.mark.parametrize(
    'name', ['a.bmp', 'a.gif', 'a.jpg', 'a.png', 'a.ppm', 'a.tga', 'a.tiff', 'a.webp', 'a.jp2', 'a.ico']
)
def test_formats_are_read_by_content(name, save):
    photo = load_photo(save(RAMP[:64, :64], name))
    assert photo.picture.mode == 'RGB' and np.abs(pixels(photo) - RAMP[:64, :64]).mean() < 6


def test_a_wrong_suffix_does_not_matter(save, tmp_path):
    save(RAMP, 'a.png').rename(tmp_path / 'a.jpg')
    assert (pixels(load_photo(tmp_path / 'a.jpg')) == RAMP).all()


def test_exif_orientation_turns_the_picture(save):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned a quarter to the left
    photo = load_photo(save(RAMP, 'turned.png', exif=exif))
    assert photo.picture.size == (80, 96) and (pixels(photo) == np.rot90(RAMP, -1)).all()


def test_alpha_is_kept_beside_the_colours(save):
    alpha = np.full((80, 96, 1), 255, np.uint8)
    opaque = save(np.concatenate([RAMP, alpha], axis=2), 'opaque.png')
    assert load_photo(opaque).alpha is None
    alpha[:40] = 0
    photo = load_photo(save(np.concatenate([RAMP, alpha], axis=2), 'half.png'))
    assert (pixels(photo) == RAMP).all() and (np.asarray(photo.alpha) == alpha[..., 0]).all()


def test_a_palette_with_a_transparent_colour_has_alpha(save):
    picture = Image.fromarray(RAMP).convert('P', palette=Image.Palette.ADAPTIVE, colors=8)
    photo = load_photo(save(picture, 'palette.png', transparency=int(np.asarray(picture)[0, 0])))
    assert set(np.unique(np.asarray(photo.alpha))) == {0, 255}


def test_cmyk_becomes_rgb(save):
    photo = load_photo(save(Image.fromarray(RAMP).convert('CMYK'), 'cmyk.tiff'))
    assert np.abs(pixels(photo) - RAMP).max() <= 1


@pytest.mark.parametrize('kind', ['uint16', 'int32', 'float32'])
def test_more_than_eight_bits_are_scaled_not_cut(kind, save):
    values = {'uint16': RAMP[..., 0].astype(np.uint16) * 257, 'int32': RAMP[..., 0].astype(np.int32) * 257}
    values['float32'] = RAMP[..., 0].astype(np.float32) / 255
    photo = load_photo(save(Image.fromarray(values[kind]), 'deep.tiff'))
    assert (pixels(photo) == RAMP).all()


def test_the_first_frame_of_an_animation_is_taken_and_said_so(save):
    frames = [Image.new('RGB', (70, 70), colour) for colour in ('red', 'green', 'blue')]
    photo = load_photo(save(frames[0], 'moving.gif', save_all=True, append_images=frames[1:]))
    assert photo.picture.getpixel((5, 5)) == (255, 0, 0)
    assert len(photo.notes) == 1 and 'the first of 3 frames' in photo.notes[0]


def test_a_picture_that_is_open_stays_as_it_is_and_gives_the_frame_that_it_shows(save):
    frames = [Image.new('RGB', (70, 70), colour) for colour in ('red', 'green', 'blue')]
    with Image.open(save(frames[0], 'moving.gif', save_all=True, append_images=frames[1:])) as picture:
        picture.seek(2)
        photo = load_photo(picture)
        assert picture.tell() == 2 and photo.picture.getpixel((5, 5)) == (0, 0, 255) and photo.notes == ()


def test_an_open_picture_that_turns_out_damaged_is_refused(save):
    with (
        Image.open(half(save(RAMP, 'a.png'))) as picture,
        pytest.raises(UserError, match='the person: cannot be read'),
    ):
        load_photo(picture, name='the person')


def test_a_colour_profile_stays_with_an_rgb_picture(save):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    assert load_photo(save(RAMP, 'profile.png', icc_profile=profile)).picture.info == {'icc_profile': profile}


def bomb(path, side: int):
    """A PNG of side x side pixels whose header is all there is."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    header = struct.pack('>IIBBBBB', side, side, 1, 0, 0, 0, 0)
    data = zlib.compress(b'\0' * 1000)
    path.write_bytes(
        b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', data) + chunk(b'IEND', b'')
    )
    return path


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def written(path, content: bytes):
    path.write_bytes(content)
    return path


BAD_PICTURES = {
    'no file': (lambda save, folder: folder / 'nowhere.jpg', 'no such file'),
    'a folder': (lambda save, folder: folder, 'a folder, expected a picture'),
    'zero bytes': (lambda save, folder: written(folder / 'a.jpg', b''), 'an empty file'),
    'text': (lambda save, folder: written(folder / 'a.jpg', b'hello'), 'not a picture that can be read'),
    'EPS, for which a program would run': (
        lambda save, folder: save(RAMP, 'a.eps'),
        'not a picture that can be read',
    ),
    'HEIC without its reader': (
        lambda save, folder: written(folder / 'a.heic', b'\0\0\0\x18ftypheic' + b'\0' * 99),
        'HEIC|read',
    ),
    'half a JPEG': (lambda save, folder: half(save(RAMP, 'a.jpg')), 'cannot be read'),
    'half a PNG': (lambda save, folder: half(save(RAMP, 'a.png')), 'cannot be read'),
    'one pixel': (lambda save, folder: save(RAMP[:1, :1], 'a.png'), 'too small'),
    'a low strip': (lambda save, folder: save(RAMP[:20], 'a.png'), 'too small'),
    'a bomb of 100 megapixels': (lambda save, folder: bomb(folder / 'a.png', 10_000), 'at most 64 million'),
    'a bomb of 10 gigapixels': (lambda save, folder: bomb(folder / 'a.png', 100_000), 'at most 64 million'),
    'transparent everywhere': (
        lambda save, folder: save(np.zeros((80, 80, 4), np.uint8), 'a.png'),
        'transparent everywhere',
    ),
    'heights in metres': (
        lambda save, folder: save(RAMP[..., 0].astype(np.float32) - 9000, 'a.tiff'),
        'no brightnesses',
    ),
    'a pipe': (lambda save, folder: os.mkfifo(folder / 'pipe') or folder / 'pipe', 'a pipe or device'),
    'a name of nothing': (lambda save, folder: 'a\0b', 'cannot be read'),
    'a name that no disk takes': (lambda save, folder: 'x' * 5000, 'cannot be read'),
    'a number': (lambda save, folder: 7, 'a int'),
    'an array of floats beyond 1': (
        lambda save, folder: RAMP * 1.0,
        'float64 [80, 96, 3] with values from 0 to 255',
    ),
    'an array of two channels': (lambda save, folder: RAMP[..., :2], 'uint8 [80, 96, 2]'),
    'an array of nothing': (lambda save, folder: RAMP[:0], 'uint8 [0, 96, 3]'),
}


@pytest.mark.parametrize('kind', BAD_PICTURES)
def test_what_is_no_photograph_gets_one_line(kind, save, tmp_path):
    make, words = BAD_PICTURES[kind]
    with pytest.raises(UserError) as refusal:
        load_photo(make(save, tmp_path))
    message = str(refusal.value)
    assert any(word in message for word in words.split('|')) and '\n' not in message and len(message) < 400, (
        message
    )
    assert isinstance(refusal.value, MissingFileError) == (kind == 'no file')


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(Image.Image, 'load', lambda self: pytest.fail('unpacked'))
    with pytest.raises(UserError, match='at most'):
        load_photo(bomb(tmp_path / 'a.png', 9000))
    assert 9000**2 > MOST_PIXELS


def test_a_mask_is_read_from_brightness_or_from_alpha(save):
    grey = np.zeros((80, 96), np.uint8)
    grey[20:60] = 255
    white = np.concatenate([np.full((80, 96, 3), 255, np.uint8), grey[..., None]], axis=2)
    for source in (
        save(grey, 'l.png'),
        save(grey > 0, '1.png'),
        save(white, 'alpha.png'),
        save(grey, 'small.png'),
    ):
        assert (np.asarray(load_mask(source, (96, 80))) == grey).all()
    assert load_mask(save(grey, 'l.png'), (192, 160)).size == (192, 160)


@pytest.mark.parametrize(
    ('mask', 'size', 'words'), [(255, (200, 80), 'as large as the picture'), (0, (96, 80), 'black every')]
)
def test_a_mask_of_another_shape_or_of_nothing_is_refused(mask, size, words):
    with pytest.raises(UserError, match=words):
        load_mask(np.full((80, 96), mask, np.uint8), size)
