"""What the page's buttons do, without a page."""

import os
import shutil
import time

import pytest
from PIL import Image

from utils.errors import UserError
from webapp.limits import check_pixels
from webapp.retention import Keeper
from webapp.wardrobe import KEPT, Encoder, fill_wardrobe


@pytest.fixture
def counted(pipeline, monkeypatch):
    """The pipeline, and how often it encoded a garment."""
    encode, counts = pipeline.encode_garment, []
    monkeypatch.setattr(pipeline, 'encode_garment', lambda *arguments: counts.append(1) or encode(*arguments))
    return counts


@pytest.fixture
def studio(pipeline, tmp_path):
    pytest.importorskip('gradio', reason='gradio is not installed')
    from webapp.studio import Studio

    return Studio(pipeline, tmp_path, megapixels=2)


def test_a_result_lies_in_the_studios_folder_and_has_the_photographs_size(studio, drawn, tmp_path):
    picture, download, about = studio.try_on(
        str(drawn / 'person0.png'), str(drawn / 'garments' / 'shirt0.png')
    )
    assert picture == download and Image.open(picture).size == (192, 256)
    assert tmp_path in type(tmp_path)(picture).parents and '192 x 256 pixels in' in about


def test_what_is_shown_is_kept_and_what_is_not_goes(studio):
    own = studio.folder / 'garments' / 'shirt.png'
    own.parent.mkdir(exist_ok=True)
    own.write_bytes(b'the page began with it')
    studio.keeper.protect()
    shown, left = studio.new_result(), studio.new_result()
    hours_ago = time.time() - 2 * studio.keeper.seconds
    for path in (own, shown, left):
        path.write_bytes(b'a picture')
        os.utime(path, (hours_ago, hours_ago))
    assert studio.keeper.touch([str(shown), None, str(own)]) == [True, True, True]
    os.utime(own, (hours_ago, hours_ago))
    studio.new_result()
    assert shown.exists() and own.exists() and not left.parent.exists()
    assert studio.keeper.touch([str(left)]) == [False]


def test_what_a_cut_upload_left_goes_and_the_folder_stays(tmp_path):
    keeper = Keeper(tmp_path)
    cut, coming = tmp_path / 'tmpabc', tmp_path / 'tmpdef'
    cut.write_bytes(b'half a picture')
    hours_ago = time.time() - 2 * keeper.seconds
    os.utime(cut, (hours_ago, hours_ago))
    coming.write_bytes(b'being written')
    keeper.sweep()
    assert not cut.exists() and coming.exists()
    os.utime(coming, (hours_ago, hours_ago))
    keeper.sweep()
    assert tmp_path.is_dir() and not any(tmp_path.iterdir())


def test_a_picture_that_is_gone_is_answered_in_a_visitors_words(studio, drawn):
    gr = pytest.importorskip('gradio')
    gone = studio.folder / 'abc' / 'me.png'
    with pytest.raises(gr.Error, match='no longer here.*choose it again'):
        studio.try_on(str(gone), str(gone))


def test_errors_are_shown_without_the_servers_folders(studio, drawn, tmp_path):
    import gradio as gr

    person, garment = str(drawn / 'person0.png'), str(drawn / 'garments' / 'shirt0.png')
    (tmp_path / 'text.jpg').write_text('text')
    Image.new('L', (2000, 1500)).save(tmp_path / 'large.png')
    for arguments, message in (
        ((None, garment), 'a photograph of a person first'),
        ((person, None), 'a garment first'),
        ((str(tmp_path / 'text.jpg'), garment), 'text.jpg: not a picture'),
        ((person, str(tmp_path / 'large.png')), 'large.png: 3 megapixels, at most 2 are taken here'),
    ):
        with pytest.raises(gr.Error) as error:
            studio.try_on(*arguments)
        assert message in error.value.message and str(tmp_path) not in error.value.message


def test_too_many_pixels_are_refused_before_they_are_unpacked(tmp_path):
    Image.new('1', (6000, 6000)).save(tmp_path / 'bomb.png')
    with pytest.raises(UserError, match='bomb.png: 36 megapixels, at most 25 are taken'):
        check_pixels(tmp_path / 'bomb.png', 25)
    Image.new('L', (100, 100)).save(tmp_path / 'small.png')
    check_pixels(tmp_path / 'small.png', 0.01)
    (tmp_path / 'text.png').write_text('no picture')
    check_pixels(tmp_path / 'text.png', 25)


def test_the_wardrobe_is_drawn_or_copied(drawn, tmp_path, monkeypatch):
    monkeypatch.setattr('webapp.wardrobe.DRAWN_GARMENTS', (0, 1))
    monkeypatch.setattr('webapp.wardrobe.DRAWN_PEOPLE', (0,))
    monkeypatch.setattr('webapp.wardrobe.DRAWN_SIZE', (128, 96))
    choice = fill_wardrobe(tmp_path / 'drawn')
    assert len(choice.garments) == 2 and len(choice.people) == 1
    choice = fill_wardrobe(tmp_path / 'own', drawn / 'garments')
    assert [path.name for path in choice.garments] == ['000_shirt0.png', '001_shirt9.png']
    assert all(tmp_path in path.parents for path in choice.garments)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='no picture in this folder'):
        fill_wardrobe(tmp_path / 'other', tmp_path / 'empty')


def test_old_garments_are_forgotten_and_shown_ones_are_not_encoded_again(
    pipeline, drawn, tmp_path, counted, monkeypatch
):
    monkeypatch.setattr('webapp.wardrobe.KEPT', 1)
    assert KEPT > 8
    encoder = Encoder(pipeline, megapixels=2)
    first, second = (str(drawn / 'garments' / name) for name in ('shirt0.png', 'shirt9.png'))
    assert encoder(first) is encoder(first) and len(counted) == 1
    os.utime(first)  # as where a page says that it still shows it
    encoder(first)
    assert len(counted) == 1
    encoder(second), encoder(first)
    assert len(counted) == 3
    assert max(encoder(first, longest=100).garment.picture.size) == 100


def test_large_garments_are_not_kept_by_the_dozen(pipeline, drawn, monkeypatch, tmp_path):
    monkeypatch.setattr('webapp.wardrobe.KEPT_PIXELS', 3 * 256 * 192)
    encoder, paths = Encoder(pipeline, megapixels=2), []
    for number in range(4):
        paths.append(str(tmp_path / f'{number}.png'))
        shutil.copyfile(drawn / 'garments' / 'shirt0.png', paths[-1])
    kept = [encoder(path) for path in paths]
    assert [encoder(path) is before for path, before in zip(paths[1:], kept[1:], strict=True)] == [True] * 3
    assert encoder(paths[0]) is not kept[0]
