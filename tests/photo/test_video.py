"""Clips in, dressed clips out: size, pace and length stay, several garments give several files, nothing half is left."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from photo import video
from photo.clip import create_clip, open_clip
from photo.clip_types import ClipInfo, Frame
from photo.video import ClipTask, dress_clip
from utils.errors import UserError

RATE, COUNT, SIZE = Fraction(25), 6, (128, 96)


@pytest.fixture
def clip(drawn, tmp_path):
    """A drawn person who moves to the right, before a wide wall."""
    person = np.asarray(Image.fromarray(drawn[0]).resize((192, 256)))
    info = ClipInfo(tmp_path / 'clip.mp4', 320, 256, rate=RATE, count=COUNT, has_sound=False)
    writer = create_clip(info.path, info)
    for number in range(COUNT):
        picture = np.full((256, 320, 3), person[0, 0], np.uint8)
        picture[:, 60 + 2 * number : 252 + 2 * number] = person
        writer.write(Frame(picture, number / RATE))
    writer.close()
    return info.path


def task(clip, garments, folder, sheet=None) -> ClipTask:
    results = [folder / f'out{number}.mp4' for number in range(len(garments))]
    return ClipTask(clip, garments, [None] * len(garments), results, sheet)


@pytest.fixture
def garments(drawn, save):
    return [save(drawn[1], 'shirt.png'), save(255 - drawn[1] // 2, 'other.png')]


def frames(path) -> list[np.ndarray]:
    clip = open_clip(path)
    assert clip.info.rate == RATE
    pictures = [frame.pixels for frame in clip.frames()]
    clip.close()
    return pictures


def test_each_garment_gets_a_clip_and_all_stand_side_by_side(pipeline, clip, garments, tmp_path):
    work = task(clip, garments, tmp_path, tmp_path / 'sheet.mp4')
    dress_clip(pipeline, work, size=SIZE)
    before, *dressed = frames(clip), *(frames(path) for path in work.results)
    for pictures in dressed:
        assert len(pictures) == COUNT and pictures[0].shape == before[0].shape
        assert all(np.abs(new.astype(int) - old).mean() > 3 for new, old in zip(pictures, before, strict=True))
    sheet = frames(tmp_path / 'sheet.mp4')
    assert len(sheet) == COUNT and sheet[0].shape == (256, 3 * 320, 3)
    assert np.abs(sheet[2][:, 320:640].astype(int) - dressed[0][2]).mean() < 4
    assert pipeline.calls == {'person': COUNT, 'garment': 2, 'dress': 2 * COUNT}


@pytest.mark.parametrize('error', [KeyboardInterrupt, SystemExit, MemoryError])
def test_an_interrupted_clip_plays_and_a_failed_one_leaves_nothing(error, pipeline, clip, garments, tmp_path, monkeypatch):
    class Stopping(video.FrameDresser):
        count = 0

        def dress(self, *arguments):
            Stopping.count += 1
            if Stopping.count == 4:
                raise error
            return super().dress(*arguments)

    monkeypatch.setattr(video, 'FrameDresser', Stopping)
    work = task(clip, garments[:1], tmp_path)
    there = set(tmp_path.iterdir())
    with pytest.raises(error):
        dress_clip(pipeline, work, size=SIZE)
    if error is MemoryError:
        assert set(tmp_path.iterdir()) == there
    else:
        assert len(frames(work.results[0])) == 3 and set(tmp_path.iterdir()) == there | set(work.results)


def test_interrupted_before_the_first_frame_there_is_no_file(pipeline, clip, garments, tmp_path, monkeypatch):
    def interrupt(*_arguments, **_settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(video.FrameDresser, 'look', interrupt)
    there = set(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        dress_clip(pipeline, task(clip, garments[:1], tmp_path), size=SIZE)
    assert set(tmp_path.iterdir()) == there


def test_a_bad_garment_ends_the_work_before_it_begins(pipeline, clip, save, tmp_path):
    noise = save(np.random.default_rng(0).integers(0, 255, (200, 150, 3), dtype=np.uint8), 'noise.png')
    with pytest.raises(UserError, match='not plain'):
        dress_clip(pipeline, task(clip, [noise], tmp_path), size=SIZE)
    assert not (tmp_path / 'out0.mp4').exists() and pipeline.calls['person'] == 0


def test_the_clip_is_read_without_pyav_too(pipeline, clip, garments, tmp_path):
    notes = dress_clip(pipeline, task(clip, garments[:1], tmp_path), size=SIZE, library='opencv')
    assert len(frames(tmp_path / 'out0.mp4')) == COUNT and any('PyAV is not installed' in note for note in notes)
