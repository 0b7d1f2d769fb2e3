"""Three layouts become ours: files, ids, lists, masks; one record for each content; runs that were
interrupted.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.check import check_dataset
from data.convert import main
from data.convert_files import draw_edge
from data.densepose import parts_of_colours
from data.duplicates import distinct
from data.labels import ATR_PARSING, CIHP_PARSING, CLOTH, LIP_PARSING
from data.records import read_pose
from data.viton import VITONDataset
from tests.data import sources

SIZE = sources.SIZE
TRAIN, TEST = 'VITON_traindata', 'VITON_test'


@pytest.fixture
def cp_vton(tmp_path) -> Path:
    return sources.write_cp_vton(tmp_path / 'source', {1: 1, 2: 2}, {3: 3, 4: 4}, [(3, 4), (4, 3)])


def convert(source: Path, target: Path, layout: str, *options: str) -> Path:
    assert main([str(source), str(target), '--layout', layout, *options]) == 0
    return target


def refusal(capsys, *arguments) -> str:
    with pytest.raises(SystemExit):
        main([str(argument) for argument in arguments])
    message = capsys.readouterr().err
    assert message.startswith('error: ') and message.count('\n') == 1
    return message


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_a_cp_vton_set_becomes_one_that_trains(cp_vton, tmp_path, capsys):
    target = convert(cp_vton, tmp_path / 'target', 'cp_vton')
    assert lines(target / TRAIN / 'train_pairs.txt') == [
        '000001_0.jpg 000001_1.jpg',
        '000002_0.jpg 000002_1.jpg',
    ]
    assert lines(target / TEST / 'test_pairs.txt') == [
        '000003_0.jpg 000004_1.jpg',
        '000004_0.jpg 000003_1.jpg',
    ]
    assert lines(target / TEST / 'test_pairs_own.txt') == [
        '000003_0.jpg 000003_1.jpg',
        '000004_0.jpg 000004_1.jpg',
    ]
    record = VITONDataset(target / TRAIN, 'train', size=(64, 32))[0]
    assert sorted(record['label'].unique().tolist()) == [0, 1, 4, 8], 'background, hair, coat and top, pants'
    assert (record['pose'] == 1).any(dim=(1, 2)).sum() == 16 and record['densepose'].max() > 0
    annotated = VITONDataset(target / TEST, 'test', size=(64, 32), annotated=True)[0]
    assert {'label', 'densepose', 'pose'} <= set(annotated)
    out = capsys.readouterr().out
    assert (
        'train  2      0          ' in out and 'test   2      2          ' in out and out.count(': good') == 2
    )
    manifest = json.loads((target / TRAIN / 'conversion.json').read_text())
    assert manifest['finished'] and 'stand-in' in next(iter(manifest['densepose']))


def test_pictures_are_linked_or_copied(cp_vton, tmp_path):
    linked, copied = (
        convert(cp_vton, tmp_path / name, 'cp_vton', *options)
        for name, options in (('a', []), ('b', ['--copy']))
    )
    name = Path(TRAIN, 'train_img', '000001_0.jpg')
    original = cp_vton / 'train/image/000001_0.jpg'
    assert os.path.samefile(linked / name, original) and not os.path.samefile(copied / name, original)
    assert (copied / name).read_bytes() == original.read_bytes()


def test_a_viton_hd_set_pairs_training_persons_with_what_they_wear(tmp_path):
    target = convert(sources.write_viton_hd(tmp_path / 'hd'), tmp_path / 'target', 'viton_hd')
    assert lines(target / TRAIN / 'train_pairs.txt') == [f'0000{n}_00.jpg 0000{n}_00.jpg' for n in (1, 2, 3)]
    assert lines(target / TEST / 'test_pairs.txt') == [
        '00004_00.jpg 00005_00.jpg',
        '00005_00.jpg 00004_00.jpg',
    ]
    notes = json.loads((target / TRAIN / 'conversion.json').read_text())
    assert notes['notes'] == {'lines whose garment was replaced by the one that the person wears': 3}
    assert notes['densepose'] == {'taken from the source': 3}
    label = np.array(Image.open(target / TRAIN / 'train_label/00001_00.png'))
    assert np.unique(label).tolist() == [0, 2, 4], 'the neck of the torso is no jumpsuit'
    parts = np.load(target / TRAIN / 'train_densepose/00001_00.npy')
    assert (parts == sources.coloured_parts(tmp_path / 'again.png')).mean() > 0.9
    points = read_pose(target / TRAIN / 'train_pose/00001_00.json')
    np.testing.assert_array_equal(points, sources.POINTS)


def test_a_dresscode_set_gets_masks_and_key_points_of_its_pictures(tmp_path):
    target = convert(sources.write_dresscode(tmp_path / 'dc'), tmp_path / 'target', 'dresscode')
    assert lines(target / TEST / 'test_pairs.txt') == ['013565_0.jpg 013563_1.jpg']
    assert lines(target / TEST / 'test_pairs_own.txt') == ['013565_0.jpg 013565_1.jpg']
    label = np.array(Image.open(target / TRAIN / 'train_label/013563_0.png'))
    assert np.unique(label).tolist() == [0, 3, 4]
    np.testing.assert_allclose(
        read_pose(target / TRAIN / 'train_pose/013563_0.json'), sources.POINTS, atol=0.01
    )
    assert np.unique(np.load(target / TRAIN / 'train_densepose/013563_0.npy')).tolist() == [15]
    edge = np.array(Image.open(target / TRAIN / 'train_edge/013563_1.jpg')) > 127
    assert edge[18:46, 14:34].all() and not edge[:14].any() and edge.mean() == pytest.approx(0.25, abs=0.02)


def test_a_white_garment_hole_is_garment_and_dust_is_not(tmp_path):
    sources.garment(tmp_path / 'garment.png', 1)
    draw_edge(tmp_path / 'garment.png', tmp_path / 'edge.png')
    sources.mask(tmp_path / 'expected.png')
    np.testing.assert_array_equal(Image.open(tmp_path / 'edge.png'), Image.open(tmp_path / 'expected.png'))


def test_a_mask_with_holes_is_mended_if_asked_for_and_a_whole_one_is_linked(cp_vton, tmp_path, capsys):
    damaged, whole = (f'cloth-mask/00000{number}_1.jpg' for number in (1, 2))
    edge = np.array(Image.open(cp_vton / 'train' / damaged))
    edge[30:, :26] = 0  # a quarter of the square
    Image.fromarray(edge).save(cp_vton / 'train' / damaged, quality=100)
    target = convert(cp_vton, tmp_path / 'target', 'cp_vton', '--mend_masks')
    folder = target / TRAIN / 'train_edge'
    mended = np.array(Image.open(folder / '000001_1.jpg')) > 127
    assert mended[16:48, 12:36].mean() > 0.97 and mended.mean() == pytest.approx(0.25, abs=0.01)
    assert os.path.samefile(folder / '000002_1.jpg', cp_vton / 'train' / whole)
    assert (np.array(Image.open(cp_vton / 'train' / damaged)) == 0)[34:, 14:22].all(), 'the source stays'
    assert json.loads((target / TRAIN / 'conversion.json').read_text())['masks'] == {'holes filled': 1}
    again = refusal(capsys, cp_vton, tmp_path / 'target', '--layout', 'cp_vton')
    assert 'holds a conversion with mend_masks True' in again


def test_clean_keeps_one_record_for_each_content_and_no_test_record_of_training(tmp_path):
    train = {1: 1, 2: 2, 3: 1, 4: 4}
    test = {5: 5, 6: 2, 7: 5, 8: 8}
    pairs = [(5, 8), (6, 5), (7, 8), (8, 6)]
    source = sources.write_cp_vton(tmp_path / 'source', train, test, pairs)
    target = convert(source, tmp_path / 'target', 'cp_vton', '--clean')
    assert [line[:6] for line in lines(target / TRAIN / 'train_pairs.txt')] == ['000001', '000002', '000004']
    assert lines(target / TEST / 'test_pairs.txt') == [
        '000005_0.jpg 000008_1.jpg',
        '000008_0.jpg 000006_1.jpg',
    ]
    assert {path.name for path in (target / TEST / 'test_img').iterdir()} == {'000005_0.jpg', '000008_0.jpg'}
    whole = convert(source, tmp_path / 'whole', 'cp_vton')
    assert len(lines(whole / TRAIN / 'train_pairs.txt')) == len(lines(whole / TEST / 'test_pairs.txt')) == 4


def test_the_rule_gives_the_counts_of_viton_clean():
    # Row by row the number of each picture's content and of its garment's, of the 16,253 ids as VITON is
    # published.
    with np.load(Path(__file__).parent / 'viton_contents.npz') as file:
        train, test = (dict(enumerate(map(tuple, file[part].tolist()))) for part in ('train', 'test'))
    assert (len(train), len(test)) == (14221, 2032)
    assert (len(distinct(train)), len(distinct(test, train.values()))) == (6824, 416)


def test_a_list_may_be_given(cp_vton, tmp_path):
    (tmp_path / 'mine.txt').write_text('./000003_0.jpg 000004_1.jpg\n')
    target = convert(cp_vton, tmp_path / 'target', 'cp_vton', '--pairs', str(tmp_path / 'mine.txt'))
    assert lines(target / TEST / 'test_pairs.txt') == ['000003_0.jpg 000004_1.jpg']
    assert lines(target / TEST / 'test_pairs_own.txt') == ['000003_0.jpg 000003_1.jpg']


def test_an_interrupted_conversion_goes_on_with_what_is_missing_or_changed(cp_vton, tmp_path, monkeypatch):
    target = tmp_path / 'target'
    with monkeypatch.context() as patch:
        patch.setattr('data.convert._write_list', lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(SystemExit):
            main([str(cp_vton), str(target), '--layout', 'cp_vton'])
    assert not json.loads((target / TRAIN / 'conversion.json').read_text())['finished']
    kept, changed = (target / TRAIN / 'train_label' / f'00000{number}_0.png' for number in (1, 2))
    lost = target / TRAIN / 'train_densepose' / '000001_0.npy'
    before = kept.stat().st_mtime_ns
    lost.unlink()
    sources.ids(cp_vton / 'train/image-parse/000002_0.png', 6)
    convert(cp_vton, target, 'cp_vton')
    assert kept.stat().st_mtime_ns == before and lost.exists()
    assert np.unique(Image.open(changed)).tolist() == [7]


def test_a_folder_with_something_else_is_left_alone(cp_vton, tmp_path, capsys):
    target = convert(cp_vton, tmp_path / 'target', 'cp_vton')
    assert 'holds a conversion with clean False' in refusal(
        capsys, cp_vton, target, '--layout', 'cp_vton', '--clean'
    )
    (tmp_path / 'other' / TEST).mkdir(parents=True)
    (tmp_path / 'other' / TEST / 'precious.txt').touch()
    assert 'not empty' in refusal(capsys, cp_vton, tmp_path / 'other', '--layout', 'cp_vton')
    assert not (tmp_path / 'other' / TRAIN).exists()


def break_nothing(root: Path) -> None:
    pass


@pytest.mark.parametrize(
    ('break_set', 'arguments', 'text'),
    [
        (break_nothing, ['nowhere', 'target', '--layout', 'cp_vton'], 'no such folder'),
        (break_nothing, ['source', 'target', '--layout', 'dresscode'], '--layout cp_vton'),
        (break_nothing, ['source', 'target', '--layout', 'viton_hd'], 'give source with --layout cp_vton'),
        (
            break_nothing,
            ['source/test_pairs.txt', 'target', '--layout', 'cp_vton'],
            'a file, expected the folder of a data set',
        ),
        (
            break_nothing,
            ['source/train', 'target', '--layout', 'cp_vton'],
            'a part of the CP-VTON data set; give the whole, source',
        ),
        (
            break_nothing,
            ['source', 'source/test_pairs.txt', '--layout', 'cp_vton'],
            'no folder can be made there (Not a directory); choose another TARGET',
        ),
        (
            lambda root: (root / 'train/pose/000001_0_keypoints.json').write_text(''),
            None,
            'source/train/pose/000001_0_keypoints.json: cannot be read',
        ),
        (
            break_nothing,
            ['source', 'target', '--layout', 'cp_vton', '--pairs', 'none.txt'],
            'none.txt: no such file',
        ),
        (
            lambda root: (root / 'train/pose/000001_0_keypoints.json').unlink(),
            None,
            'train/pose/000001_0_keypoints.json',
        ),
        (lambda root: (root / 'test/cloth-mask/000004_1.jpg').unlink(), None, 'test/cloth-mask/000004_1.jpg'),
        (lambda root: sources.ids(root / 'train/image-parse/000001_0.png', 5, 20), None, 'parsing id 20'),
        (lambda root: (root / 'train_pairs.txt').write_text('a.jpg\n'), None, 'line 1: 1 name(s)'),
    ],
)
def test_what_cannot_be_converted_is_one_line(
    cp_vton, tmp_path, monkeypatch, capsys, break_set, arguments, text
):
    monkeypatch.chdir(tmp_path)
    break_set(cp_vton)
    assert text in refusal(capsys, *(arguments or ['source', 'target', '--layout', 'cp_vton']))


def test_a_folder_of_trousers_is_refused(tmp_path, capsys):
    root = sources.write_dresscode(tmp_path / 'dc')
    (root / 'upper_body').rename(root / 'lower_body')
    assert 'give upper_body' in refusal(
        capsys, root / 'lower_body', tmp_path / 'target', '--layout', 'dresscode'
    )


@pytest.mark.parametrize('table', [LIP_PARSING, CIHP_PARSING, ATR_PARSING])
def test_the_tables_name_every_id_and_clothes(table):
    assert list(table) == list(range(len(table))) and len(table) in (18, 20)
    assert {number for number, ours in table.items() if ours in CLOTH} == (
        {4, 7} if table is ATR_PARSING else {5, 6, 7, 10} if table is LIP_PARSING else {5, 6, 7}
    )


@pytest.mark.parametrize(
    ('suffix', 'strength', 'least'), [('png', 1.0, 1.0), ('png', 0.7, 1.0), ('jpg', 1.0, 0.9)]
)
def test_the_colours_of_densepose_give_its_ids(tmp_path, suffix, strength, least):
    parts = sources.coloured_parts(tmp_path / f'parts.{suffix}', strength=strength)
    pixels = np.array(Image.open(tmp_path / f'parts.{suffix}').convert('RGB'))
    found, error = parts_of_colours(pixels, lossy=suffix == 'jpg')
    assert (found == parts).mean() >= least and error < 10


def test_colours_of_anything_else_are_refused(cp_vton, tmp_path, capsys):
    root = sources.write_viton_hd(tmp_path / 'hd')
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    Image.fromarray(noise).save(root / 'train/image-densepose/00001_00.jpg')
    assert "DensePose's drawing" in refusal(capsys, root, tmp_path / 'target', '--layout', 'viton_hd')


@pytest.mark.parametrize('layout', ['cp_vton', 'viton_hd', 'dresscode'])
def test_a_folder_of_another_layout_as_data_root_is_answered_with_the_command(tmp_path, layout):
    write = {
        'cp_vton': lambda root: sources.write_cp_vton(root, {1: 1}, {2: 2}, [(2, 2)]),
        'viton_hd': sources.write_viton_hd,
        'dresscode': sources.write_dresscode,
    }[layout]
    root = write(tmp_path / 'my set')
    source = root / 'upper_body' if layout == 'dresscode' else root
    for given in (root, source / 'images' if layout == 'dresscode' else root / 'train'):
        error = str(check_dataset(given).error)
        assert f"python -m data.convert '{source}' TARGET --layout {layout}" in error and '\n' not in error
