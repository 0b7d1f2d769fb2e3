"""Drawn clips and animations of clips."""

import pytest
from PIL import Image

from photo.clip import open_clip
from scripts import draw_clip


def test_a_drawn_clip_and_its_animation(tmp_path, monkeypatch):

    monkeypatch.setattr(draw_clip.draw, '__kwdefaults__', {'size': (128, 96)})
    draw_clip.main(['--out', str(tmp_path / 'person.mp4'), '--frames', '4'])
    clip = open_clip(tmp_path / 'person.mp4')
    assert (clip.info.width, clip.info.height, len(list(clip.frames()))) == (96, 128, 4)
    draw_clip.main(['--out', str(tmp_path / 'live.webp'), '--dressed', *[str(tmp_path / 'person.mp4')] * 2])
    with Image.open(tmp_path / 'live.webp') as animation:
        assert animation.n_frames == 2 and animation.size == (2 * 240 + draw_clip.GAP, 320)


def test_a_wrong_suffix_is_refused(tmp_path, capsys):
    for arguments in (['--out', 'a.webp'], ['--out', 'a.mp4', '--dressed', 'b.mp4']):
        with pytest.raises(SystemExit):
            draw_clip.main(arguments)
        assert 'unknown suffix' in capsys.readouterr().err
