"""Which files are meant, where results go, and which weights are taken."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.checkpoint.defaults import DEFAULTS, choose_weights
from photo.files import build_sheet, cell, check_results, find_pictures, match_masks, name_results, save_result, sheet_path
from utils.errors import MissingFileError, UserError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'in').mkdir()
    for name in ('b.jpg', 'a.PNG', '.hidden.png', 'notes.txt', 'c.webp'):
        (tmp_path / 'in' / name).touch()
    return tmp_path / 'in'


def test_a_folder_means_its_pictures_in_order_and_each_file_counts_once(folder):
    found = find_pictures([folder / 'c.webp', folder, folder / 'b.jpg'], '--person')
    assert [path.name for path in found] == ['c.webp', 'a.PNG', 'b.jpg']


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(UserError, match='--garment .*no picture'):
        find_pictures([tmp_path], '--garment')


def test_masks_go_by_order_or_by_name(folder, tmp_path):
    pictures = [tmp_path / 'c.jpg', tmp_path / 'b.jpg']
    assert match_masks(pictures, None, '--person_mask') == [None, None]
    assert [path.name for path in match_masks(pictures, [folder], '--person_mask')] == ['c.webp', 'b.jpg']
    assert match_masks(pictures, ['1.png', '2.png'], '--person_mask')[1].name == '2.png'
    with pytest.raises(UserError, match=r'1 mask\(s\) for 2'):
        match_masks(pictures, ['1.png'], '--person_mask')
    with pytest.raises(MissingFileError, match='no mask named me'):
        match_masks([tmp_path / 'me.jpg'], [folder], '--person_mask')


def test_results_are_named_by_person_and_garment_and_none_is_overwritten(folder, tmp_path):
    persons, garments = [folder / 'b.jpg', tmp_path / 'B.png'], [folder / 'c.webp']
    names = name_results(tmp_path / 'out', persons, garments)
    assert [[path.name for path in row] for row in names] == [['b__c.png'], ['B__c-2.png']]
    assert sheet_path(names, tmp_path / 'out') == tmp_path / 'out' / 'sheet.jpg'
    single = name_results(tmp_path / 'me.webp', persons[:1], garments)
    assert single == [[tmp_path / 'me.webp']] and sheet_path(single, tmp_path / 'me.webp') == tmp_path / 'me_sheet.jpg'


@pytest.mark.parametrize(
    ('out', 'people', 'words'),
    [
        ('out.gif', 1, "unknown suffix '.gif'"),
        ('out.png', 2, 'one file for 2 results'),
        ('nowhere/out.png', 1, 'no folder'),
        ('in/b.jpg/results', 2, 'b.jpg is no folder'),
        ('file', 2, 'a file without a suffix'),
    ],
)
def test_a_place_where_results_cannot_go_is_refused(out, people, words, folder, tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match=words):
        name_results(tmp_path / out, [folder / 'b.jpg', folder / 'a.PNG'][:people], [folder / 'c.webp'])


def test_a_result_on_top_of_what_was_given_is_refused_also_through_a_link(folder, tmp_path):
    (tmp_path / 'link.png').symlink_to(folder / 'b.jpg')
    check_results([tmp_path / 'new.png'], [folder / 'b.jpg', None])
    for name in (folder / 'b.jpg', folder / '..' / 'in' / 'b.jpg', tmp_path / 'link.png'):
        with pytest.raises(UserError, match='would replace a picture that was given'):
            check_results([name], [folder / 'b.jpg', None])


def test_a_folder_without_permission_is_refused_before_any_work(folder, monkeypatch):
    monkeypatch.setattr('os.access', lambda path, mode: False)
    with pytest.raises(UserError, match='no permission to write'):
        name_results(folder / 'new', [folder / 'b.jpg'], [folder / 'c.webp'])


@pytest.mark.parametrize('suffix', ['.png', '.webp', '.tiff', '.bmp', '.jpg'])
def test_pictures_are_written_as_they_are(suffix, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 30, 3)).astype(np.uint8)
    save_result(Image.fromarray(pixels), tmp_path / f'a{suffix}')
    back = np.asarray(Image.open(tmp_path / f'a{suffix}').convert('RGB')).astype(int)
    assert np.abs(back - pixels).max() <= (40 if suffix == '.jpg' else 0)


def test_what_is_transparent_is_white_in_a_jpeg_and_kept_in_a_png(tmp_path):
    clear = Image.new('RGBA', (30, 30), (200, 0, 0, 0))
    save_result(clear, tmp_path / 'a.jpg')
    save_result(clear, tmp_path / 'a.png')
    assert Image.open(tmp_path / 'a.jpg').getpixel((9, 9)) == (255, 255, 255)
    assert Image.open(tmp_path / 'a.png').getpixel((9, 9)) == (200, 0, 0, 0)


def test_the_sheet_shows_people_below_garments():
    red, blue = (cell(Image.new('RGB', (60, 80), colour)) for colour in ('red', 'blue'))
    one = build_sheet([blue], [[red, blue]], note='dm_vton')
    many = build_sheet([blue, blue], [[red, blue, blue], [red, blue, blue]], note='dm_vton')
    assert one.width == many.width == 3 * 288 + 2 * 4 and many.height > 3 * 384 > one.height > 384
    assert many.getpixel((140, 300)) == (255, 255, 255) and many.getpixel((140, 700)) == (255, 0, 0)


def touch(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def test_weights_are_taken_by_name_and_it_is_said_what_they_are(tmp_path):
    with pytest.raises(MissingFileError, match=f'{DEFAULTS["viton"][0]}.*download.sh checkpoints'):
        choose_weights(folder=tmp_path)
    for name, words in (('viton', '--weights drawn'), ('drawn', 'drawings alone'), ('published', 'published weights')):
        touch(tmp_path, *DEFAULTS[name])
        weights = choose_weights(weights=name, folder=tmp_path)
        assert (weights.warp.name, weights.gen.name) == DEFAULTS[name] and words in weights.about
    assert choose_weights(folder=tmp_path).warp.name == DEFAULTS['viton'][0]
    assert 'non-commercial' in choose_weights(folder=tmp_path).about
    with pytest.raises(ValueError, match='choose from viton, drawn, published'):
        choose_weights(weights='mine', folder=tmp_path)


def test_a_folder_of_weights_means_its_one_student(tmp_path):
    touch(tmp_path, 'pb_warp_last.pt', 'pb_gen_last.pt', 'pf_warp_last.pt', 'pf_gen_last.pt', 'pf_warp_old.pt', 'state_last.pt')
    weights = choose_weights([tmp_path])
    assert (weights.warp.name, weights.gen.name) == ('pf_warp_last.pt', 'pf_gen_last.pt')
    touch(tmp_path, 'pf_gen_old.pt')
    with pytest.raises(UserError, match='2 pairs'):
        choose_weights([tmp_path])


@pytest.mark.parametrize(
    ('given', 'words'),
    [(['nowhere'], 'no such folder'), (['a.pt'], 'needs two'), (['empty'], 'no pair'), (['1', '2', '3'], '3 checkpoints')],
)
def test_weights_that_are_no_pair_are_refused(given, words, tmp_path):
    touch(tmp_path, 'a.pt')
    touch(tmp_path / 'empty')
    with pytest.raises(UserError, match=words):
        choose_weights([tmp_path / name for name in given])


@pytest.mark.skipif(not Path('/proc/self').is_dir(), reason='only Linux has such a folder')
def test_a_folder_that_only_seems_writable_is_refused_before_work():
    with pytest.raises(UserError, match='cannot write in /proc|no permission to write in /proc'):
        name_results('/proc/out.png', [Path('a.png')], [Path('b.png')])
