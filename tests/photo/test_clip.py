"""Video files in and out: what is written is read again, turned films are upright, and what is no film is
refused.
"""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from photo.clip import create_clip, open_clip
from photo.clip_types import ClipInfo, Frame
from utils.errors import MissingFileError, UserError

RATE = Fraction(25)


def picture(number: int, size: tuple[int, int]) -> np.ndarray:
    """A smooth picture of (width, height) that a codec keeps, brighter from frame to frame."""
    x, y = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    return np.stack([200 * x, 200 * y, np.full_like(x, 20 + 10 * number)], axis=2).astype(np.uint8)


def write(path, *, size=(96, 128), count=8, library=None, times=None, rate=RATE):
    info = ClipInfo(path, *size, rate=rate, count=count, has_sound=False)
    writer = create_clip(path, info, library=library)
    for number in range(count):
        time = number / rate if times is None else times[number]
        writer.write(Frame(picture(number, size), time))
    writer.close()
    return path


def read(path, library=None):
    clip = open_clip(path, library=library)
    frames = list(clip.frames())
    clip.close()
    return clip, frames


@pytest.fixture(params=['pyav', 'opencv'])
def library(request):
    if request.param == 'pyav':
        pytest.importorskip('av', reason='PyAV is not installed')
    return request.param


@pytest.mark.parametrize('suffix', ['.mp4', '.mkv', '.avi', '.webm'])
def test_what_is_written_is_read_again(suffix, library, tmp_path):
    path = write(tmp_path / f'film{suffix}', library=library)
    clip, frames = read(path, library)
    assert (clip.info.width, clip.info.height, clip.info.rate) == (96, 128, RATE)
    assert len(frames) == 8 and [float(frame.time) for frame in frames] == pytest.approx(
        [n / 25 for n in range(8)], abs=0.002
    )
    for number, frame in enumerate(frames):
        difference = np.abs(frame.pixels.astype(int) - picture(number, (96, 128))).mean()
        assert difference < 5  # colours of half the resolution; encoders differ between releases


@pytest.mark.parametrize('size', [(97, 128), (96, 129), (97, 129)])
def test_odd_sizes_are_kept(size, tmp_path):
    pytest.importorskip('av', reason='PyAV is not installed')
    for suffix in ('.mp4', '.webm'):
        clip, frames = read(write(tmp_path / f'odd{suffix}', size=size))
        assert (clip.info.width, clip.info.height) == size == frames[-1].pixels.shape[1::-1]


def test_opencv_says_that_it_cuts_odd_sizes(tmp_path):
    info = ClipInfo(tmp_path / 'odd.mp4', 97, 129, rate=RATE, count=2, has_sound=False)
    writer = create_clip(tmp_path / 'odd.mp4', info, library='opencv')
    writer.write(Frame(picture(0, (97, 129)), Fraction(0)))
    writer.write(Frame(picture(1, (97, 129)), 1 / RATE))
    writer.close()
    assert any('96 x 128 pixels' in note and 'pip install av' in note for note in writer.notes)
    assert read(tmp_path / 'odd.mp4', 'opencv')[1][0].pixels.shape == (128, 96, 3)


def test_uneven_times_are_kept(tmp_path):
    pytest.importorskip('av', reason='PyAV is not installed')
    times = [Fraction(0), Fraction(1, 30), Fraction(1, 10), Fraction(1, 5), Fraction(1, 2)]
    _, frames = read(write(tmp_path / 'phone.mp4', count=5, times=times))
    assert [float(frame.time) for frame in frames] == pytest.approx([float(time) for time in times], abs=1e-3)


def turned(path, source):
    """A copy of a film with the flag that says: show it turned by a quarter."""
    av = pytest.importorskip('av', reason='PyAV is not installed')
    from av.video.frame import VideoFrame  # noqa: F401

    with av.open(str(source)) as before, av.open(str(path), 'w') as after:
        stream = after.add_stream_from_template(before.streams.video[0])
        for packet in before.demux(before.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                after.mux(packet)
    data = path.read_bytes()
    place = data.index(b'tkhd') + 4 + 40  # version and flags 4, times 20, reserved 8, layer to volume 8
    matrix = data[place : place + 36]
    assert matrix[:4] == b'\0\1\0\0' and matrix[16:20] == b'\0\1\0\0'
    quarter = b'\0\0\0\0' + b'\0\1\0\0' + b'\0' * 4 + b'\xff\xff\0\0' + b'\0' * 16 + matrix[32:]
    path.write_bytes(data[:place] + quarter + data[place + 36 :])
    return path


def test_a_turned_film_is_upright(library, tmp_path):
    path = turned(tmp_path / 'turned.mp4', write(tmp_path / 'film.mp4'))
    clip, frames = read(path, library)
    assert (clip.info.width, clip.info.height) == (128, 96)
    expected = np.rot90(picture(3, (96, 128)), -1)  # the matrix turns clockwise
    assert np.abs(frames[3].pixels.astype(int) - expected).mean() < 4


def add_sound(path, source):
    av = pytest.importorskip('av', reason='PyAV is not installed')
    with av.open(str(source)) as before, av.open(str(path), 'w') as after:
        stream = after.add_stream_from_template(before.streams.video[0])
        sound = after.add_stream('aac', rate=44100, layout='mono')
        for packet in before.demux(before.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                after.mux(packet)
        for number in range(12):
            tone = np.sin(np.arange(1024) / 20 + number).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(tone, format='fltp', layout='mono')
            frame.rate, frame.pts = 44100, number * 1024
            for packet in sound.encode(frame):
                after.mux(packet)
        for packet in sound.encode():
            after.mux(packet)
    return path


def test_sound_is_copied_as_it_is(tmp_path):
    av = pytest.importorskip('av', reason='PyAV is not installed')
    source = add_sound(tmp_path / 'sound.mp4', write(tmp_path / 'film.mp4'))
    clip, frames = read(source)
    assert clip.info.has_sound
    writer = create_clip(tmp_path / 'copy.mp4', clip.info)
    for frame in frames:
        writer.write(frame)
    writer.close()

    def packets(path):
        with av.open(str(path)) as container:
            return [
                bytes(packet)
                for packet in container.demux(container.streams.audio[0])
                if packet.dts is not None
            ]

    assert packets(tmp_path / 'copy.mp4') == packets(source) != []
    assert writer.notes == []
    writer = create_clip(tmp_path / 'copy.webm', clip.info)
    writer.write(frames[0])
    writer.close()
    assert any('the sound (aac) is left out' in note for note in writer.notes)


def test_a_film_that_is_damaged_further_on_ends_there(library, tmp_path):
    data = write(tmp_path / 'film.avi', count=40, library=library).read_bytes()
    (tmp_path / 'cut.avi').write_bytes(data[: len(data) * 2 // 3])
    _, frames = read(tmp_path / 'cut.avi', library)
    assert 3 < len(frames) < 40


BAD = {
    'nothing.mp4': (None, 'no such file'),
    'empty.mp4': (b'', 'an empty file'),
    'text.mp4': (b'hello, world\n' * 40, 'not a video that can be read'),
    'head.mp4': (b'\0\0\0\x18ftypisom' + b'\0' * 60, 'not a video that can be read'),
}


@pytest.mark.parametrize('name', BAD)
def test_what_is_no_video_gets_one_line(name, library, tmp_path):
    content, words = BAD[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(MissingFileError if content is None else UserError, match=words) as error_info:
        open_clip(tmp_path / name, library=library)
    assert '\n' not in str(error_info.value)


def test_pictures_folders_and_tiny_frames_are_refused(library, tmp_path):
    Image.fromarray(picture(0, (96, 128))).save(tmp_path / 'me.jpg')
    with pytest.raises(UserError, match='a JPEG picture, expected a video'):
        open_clip(tmp_path / 'me.jpg', library=library)
    with pytest.raises(UserError, match='a folder, expected a video'):
        open_clip(tmp_path, library=library)
    with pytest.raises(UserError, match='frames of 48 x 48 pixels'):
        open_clip(write(tmp_path / 'small.mp4', size=(48, 48), library=library), library=library)


def test_a_file_of_sound_alone_is_no_video(tmp_path):
    av = pytest.importorskip('av', reason='PyAV is not installed')
    with av.open(str(tmp_path / 'song.mp4'), 'w') as after:
        sound = after.add_stream('aac', rate=44100, layout='mono')
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format='fltp', layout='mono')
        frame.rate = 44100
        for packet in (*sound.encode(frame), *sound.encode()):
            after.mux(packet)
    with pytest.raises(UserError, match='no picture in it'):
        open_clip(tmp_path / 'song.mp4')
