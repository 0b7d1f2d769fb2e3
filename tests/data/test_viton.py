"""Records, their random garments and their loaders, on a tiny set."""

import pickle
import random
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import get_worker_info

from data.viton import VITONDataset, create_loader
from utils.errors import DataError, MissingFileError, UserError

SIZE = (64, 32)
MANY = [(f'{number:06}_0.jpg', f'{number % 5:06}_1.jpg') for number in range(20)]


class Seeds(VITONDataset):
    """Says which random numbers a worker draws."""

    def __getitem__(self, index):
        return get_worker_info().id, np.random.random(), random.random(), torch.rand(()).item()


def draws(dataset) -> list[str]:
    return [dataset.unpaired_garment(index) for index in range(len(dataset))]


def loaded_draws(dataset, workers: int, **options) -> list[str]:
    loader = create_loader(dataset, batch_size=3, workers=workers, **options)
    return [name for batch in loader for name in batch['unpaired_name']]


def test_a_training_record_has_all_entries_in_their_shapes_and_ranges(make_set):
    record = VITONDataset(make_set(), 'train', size=SIZE)[1]
    shapes = {
        'image': 3,
        'color': 3,
        'edge': 1,
        'color_un': 3,
        'edge_un': 1,
        'label': 1,
        'densepose': 1,
        'pose': 18,
    }
    assert set(record) == {*shapes, 'person_name', 'garment_name', 'unpaired_name'}
    for name, channels in shapes.items():
        assert record[name].shape == (channels, *SIZE) and record[name].dtype == torch.float32, name
    assert record['image'].min() < -0.9 and record['image'].max() > 0.9
    assert set(record['pose'].unique().tolist()) == {-1.0, 1.0} and (record['pose'] == 1).sum() == 121
    assert (record['person_name'], record['garment_name']) == ('000001_0.jpg', '000001_1.jpg')


def test_a_test_record_has_pictures_and_names_alone(make_set):
    dataset = VITONDataset(make_set('test'), 'test', size=SIZE)
    assert set(dataset[0]) == {'image', 'color', 'edge', 'person_name', 'garment_name'}
    assert len(dataset) == 4 and dataset.folder('img').name == 'test_img'
    with pytest.raises(IndexError):
        dataset[4]


def test_the_maps_hold_the_ids_of_the_files(make_set):
    root = make_set()
    record = VITONDataset(root, 'train', size=SIZE)[2]
    np.testing.assert_array_equal(record['label'][0], np.array(Image.open(root / 'train_label/000002_0.png')))
    np.testing.assert_array_equal(record['densepose'][0], np.load(root / 'train_densepose/000002_0.npy'))


def test_records_of_another_size_come_in_the_size_asked_for(make_set):
    record = VITONDataset(make_set(size=(96, 80)), 'train', size=SIZE)[0]
    assert {value.shape[1:] for value in record.values() if isinstance(value, torch.Tensor)} == {
        torch.Size(SIZE)
    }
    # The key point (10.5, 20.5) goes to (4.2, 13.67): columns 0..9 of 32, rows 8..18 of 64.
    rows, columns = np.nonzero(record['pose'][0].numpy() == 1)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (0, 9, 8, 18)
    assert set((record['edge'] * 255).unique().tolist()) <= {float(value) for value in range(256)}


@pytest.mark.parametrize('size', [(60, 32), (64,), (0, 32), (-64, 32), (8224, 32), (2**70, 32)])
def test_a_size_that_no_network_takes_is_refused(make_set, size):
    with pytest.raises(UserError, match='multiples of 32'):
        VITONDataset(make_set(), 'train', size=size)


def test_of_a_jpeg_and_a_png_label_map_the_jpeg_is_read_as_published(make_set):
    root = make_set()
    Image.new('L', SIZE[::-1], 4).save(root / 'train_label' / '000000_0.jpg')
    assert VITONDataset(root, 'train', size=SIZE)[0]['label'].unique().tolist() == [4.0]
    (root / 'train_label' / '000000_0.jpg').unlink()
    assert VITONDataset(root, 'train', size=SIZE)[0]['label'].unique().numel() > 1


def test_another_list_can_be_chosen(make_set, tmp_path):
    (tmp_path / 'own.txt').write_text('000002_0.jpg 000002_1.jpg\n')
    dataset = VITONDataset(make_set('test'), 'test', size=SIZE, pairs=tmp_path / 'own.txt')
    assert dataset.pairs == [('000002_0.jpg', '000002_1.jpg')] and dataset[0]['person_name'] == '000002_0.jpg'


def test_a_palette_label_map_gives_indices_and_not_colours(make_set):
    root = make_set()
    ids = Image.fromarray(np.full(SIZE, 4, np.uint8))
    ids.putpalette([200, 100, 50] * 256)
    ids.save(root / 'train_label' / '000000_0.png')
    assert VITONDataset(root, 'train', size=SIZE)[0]['label'].unique().tolist() == [4.0]


@pytest.mark.parametrize('key', ['pose_keypoints', 'pose_keypoints_2d'])
def test_both_names_of_the_key_points_are_read(make_set, openpose, key):
    root = make_set()
    content = openpose([(10, 40)])
    content['people'][0] = {key: content['people'][0]['pose_keypoints']}
    (root / 'train_pose' / '000000_0.json').write_text(str(content).replace("'", '"'))
    pose = VITONDataset(root, 'train', size=SIZE)[0]['pose']
    assert pose[0, 35:46, 5:16].eq(1).all() and pose.eq(1).sum() == 121


def test_a_pose_without_people_has_empty_maps(make_set):
    root = make_set()
    (root / 'train_pose' / '000000_0.json').write_text('{"people": []}')
    assert (VITONDataset(root, 'train', size=SIZE)[0]['pose'] == -1).all()


@pytest.mark.parametrize('mode', ['L', 'P', 'CMYK', '1', 'RGBA', 'LA'])
def test_pictures_of_every_common_mode_become_rgb(make_set, mode):
    root = make_set('test', pairs=[('000000_0.tif', '000000_1.tif')])
    grey = Image.new('RGB', SIZE[::-1], (255, 255, 255)).convert(mode)
    grey.save(root / 'test_color' / '000000_1.tif')
    assert (VITONDataset(root, 'test', size=SIZE)[0]['color'] == 1).all()


def test_what_is_transparent_is_white_in_a_garment_and_none_in_its_edge(make_set):
    root = make_set('test', pairs=[('000000_0.png', '000000_1.png')])
    transparent = Image.new('RGBA', SIZE[::-1], (255, 0, 0, 0))
    transparent.paste((255, 255, 255, 255), (0, 0, 8, 8))
    for kind in ('color', 'edge'):
        transparent.save(root / f'test_{kind}' / '000000_1.png')
    record = VITONDataset(root, 'test', size=SIZE)[0]
    assert (record['color'] == 1).all()
    assert record['edge'].sum() == 64 and record['edge'][0, :8, :8].all()


def test_a_picture_that_is_stored_turned_is_set_upright(make_set):
    root = make_set('test', pairs=[('000000_0.png', '000000_1.png')])
    upright = Image.open(root / 'test_img' / '000000_0.png').copy()
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(root / 'test_img' / '000000_0.png', exif=exif)
    image = VITONDataset(root, 'test', size=SIZE)[0]['image']
    np.testing.assert_allclose(image.permute(1, 2, 0), np.asarray(upright) / 127.5 - 1, atol=1e-6)


def test_the_loader_never_draws_the_persons_own_garment(make_set):
    # Five garments in twenty pairs, and a person that the list gives two of them.
    pairs = [*MANY, ('000000_0.jpg', '000001_1.jpg')]
    dataset = VITONDataset(make_set(pairs=pairs), 'train', size=SIZE)
    seen = set()
    for epoch in range(40):
        dataset.set_epoch(epoch)
        for (person, garment), drawn in zip(dataset.pairs, draws(dataset), strict=True):
            assert drawn != garment and (person, drawn) not in pairs
            seen.add(drawn)
        assert dataset.unpaired_garment(0) == draws(dataset)[0]
    assert len(seen) == 5


def test_every_other_garment_is_drawn_about_equally_often(make_set):
    dataset = VITONDataset(make_set(), 'train', size=SIZE)
    counts = dict.fromkeys((garment for _, garment in dataset.pairs), 0)
    for epoch in range(600):
        dataset.set_epoch(epoch)
        counts[dataset.unpaired_garment(2)] += 1
    # 600 draws of three: 200 +- 11.5 each; five deviations.
    assert counts.pop('000002_1.jpg') == 0 and all(abs(count - 200) < 58 for count in counts.values())


def test_the_record_shows_the_garment_that_was_drawn(make_set):
    dataset = VITONDataset(make_set(), 'train', size=SIZE)
    record = dataset[0]
    drawn = next(index for index, pair in enumerate(dataset.pairs) if pair.garment == record['unpaired_name'])
    assert torch.equal(record['color_un'], dataset[drawn]['color'])
    assert not torch.equal(record['color_un'], record['color'])


def test_draws_are_the_same_with_any_number_of_workers(make_set):
    root = make_set(pairs=MANY)
    expected = draws(VITONDataset(root, 'train', size=SIZE, seed=3))
    for workers in (0, 1, 2):
        assert loaded_draws(VITONDataset(root, 'train', size=SIZE, seed=3, check=False), workers) == expected


def test_another_seed_and_another_epoch_draw_other_garments(make_set):
    root = make_set(pairs=MANY)
    dataset = VITONDataset(root, 'train', size=SIZE, seed=3)
    first = draws(dataset)
    assert draws(VITONDataset(root, 'train', size=SIZE, seed=4)) != first
    dataset.set_epoch(1)
    assert draws(dataset) != first
    dataset.set_epoch(0)
    assert draws(dataset) == first


@pytest.mark.parametrize('start', ['default', 'spawn'])
def test_persistent_workers_see_the_epoch_change(make_set, start):
    dataset = VITONDataset(make_set(pairs=MANY), 'train', size=SIZE)
    loader = create_loader(dataset, batch_size=10, workers=1, shuffle=True)
    if start == 'spawn':
        loader.multiprocessing_context = 'spawn'
    seen = []
    for epoch in (1, 2):
        dataset.set_epoch(epoch)
        rows = [
            row for batch in loader for row in zip(batch['person_name'], batch['unpaired_name'], strict=True)
        ]
        assert dict(rows) == dict(zip((person for person, _ in dataset.pairs), draws(dataset), strict=True))
        seen.append(rows)
    assert [person for person, _ in seen[0]] != [person for person, _ in seen[1]]
    assert dict(seen[0]) != dict(seen[1])


def test_a_resumed_shuffle_goes_on_where_the_uninterrupted_one_would(make_set):
    root = make_set(pairs=MANY)
    orders = []
    for epochs in ((1, 2, 3), (3,)):
        dataset = VITONDataset(root, 'train', size=SIZE)
        loader = create_loader(dataset, batch_size=4, workers=0, shuffle=True, seed=7)
        for epoch in epochs:
            dataset.set_epoch(epoch)
            order = [name for batch in loader for name in batch['person_name']]
        orders.append(order)
    assert orders[0] == orders[1] != [person for person, _ in MANY] and sorted(orders[0]) == sorted(
        dict(MANY)
    )


def test_each_worker_has_random_numbers_of_its_own_that_the_seed_decides(make_set):
    dataset = Seeds(make_set(pairs=MANY), 'train', size=SIZE, check=False)

    def numbers(seed):
        loader = create_loader(dataset, batch_size=10, workers=2, seed=seed)
        return [tuple(values[0].item() for values in batch) for batch in loader]

    first, again, other = numbers(0), numbers(0), numbers(1)
    assert first == again and first != other
    assert [worker for worker, *_ in first] == [0, 1]
    assert all(one != two for one, two in zip(*first, strict=True))


def test_a_sampler_orders_the_records_and_excludes_shuffling(make_set):
    dataset = VITONDataset(make_set(), 'train', size=SIZE)
    loader = create_loader(dataset, batch_size=2, workers=0, sampler=[3, 1, 2], drop_last=True)
    assert [batch['person_name'] for batch in loader] == [['000003_0.jpg', '000001_0.jpg']]
    with pytest.raises(ValueError, match='exclude'):
        create_loader(dataset, batch_size=2, workers=0, sampler=[0], shuffle=True)


def test_a_batch_larger_than_the_set_is_refused_where_the_last_one_is_dropped(make_set):
    dataset = VITONDataset(make_set(), 'train', size=SIZE)
    with pytest.raises(UserError, match='batch_size 5: more than the 4 records'):
        create_loader(dataset, batch_size=5, workers=0, drop_last=True)
    assert len(create_loader(dataset, batch_size=5, workers=0)) == 1


def test_a_data_set_survives_pickling(make_set):
    dataset = VITONDataset(make_set(), 'train', size=SIZE)
    dataset.set_epoch(5)
    assert draws(pickle.loads(pickle.dumps(dataset))) == draws(dataset)


@pytest.mark.parametrize('workers', [0, 1])
def test_a_picture_that_breaks_during_training_ends_in_one_line_that_names_it(make_set, workers):
    root = make_set()
    dataset = VITONDataset(root, 'train', size=SIZE)
    path = root / 'train_img' / '000003_0.jpg'
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError) as caught:
        list(create_loader(dataset, batch_size=1, workers=workers))
    assert str(caught.value).startswith(f'{path}: cannot be read') and '\n' not in str(caught.value)


@pytest.mark.parametrize('kind', ['color', 'edge', 'label', 'densepose', 'pose'])
def test_a_file_that_vanishes_is_named_when_its_record_is_read(make_set, kind):
    root = make_set()
    dataset = VITONDataset(root, 'train', size=SIZE, check=False)
    shutil.rmtree(root / f'train_{kind}')
    with pytest.raises(DataError, match=rf'train_{kind}.000000_[01]\.\w+: no such file') as caught:
        dataset[0]
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('kind', ['label', 'densepose', 'edge'])
def test_a_map_of_another_size_is_refused_without_a_check_too(make_set, kind):
    root = make_set()
    if kind == 'densepose':
        np.save(root / 'train_densepose' / '000000_0.npy', np.zeros((32, 64), np.uint8))
    else:
        name = '000000_1.jpg' if kind == 'edge' else '000000_0.png'
        Image.new('L', (64, 32)).save(root / f'train_{kind}' / name)
    with pytest.raises(DataError, match=f'train_{kind}.*32 x 64 pixels.*expected 64 x 32'):
        VITONDataset(root, 'train', size=SIZE, check=False)[0]


@pytest.mark.parametrize('check', [True, False])
@pytest.mark.parametrize(
    'pairs',
    [
        [('a_0.jpg', 'a_1.jpg')],
        [('a_0.jpg', 'a_1.jpg'), ('b_0.jpg', 'a_1.jpg')],
        [('a_0.jpg', 'a_1.jpg'), ('a_0.jpg', 'b_1.jpg')],
    ],
)
def test_a_training_set_without_another_garment_is_refused(make_set, pairs, check):
    with pytest.raises(DataError, match=r'train_pairs\.txt.*needs another one'):
        VITONDataset(make_set(pairs=pairs), 'train', size=SIZE, check=check)


def test_a_test_set_needs_no_other_garment(make_set):
    assert len(VITONDataset(make_set('test', pairs=[('a_0.jpg', 'a_1.jpg')]), 'test', size=SIZE)) == 1


@pytest.mark.parametrize(
    ('pairs', 'kind'),
    [
        ([('000066_0.jpg', '000066_1.jpg'), ('000067_0.jpg', '000067_1.jpg')], 'paired'),
        ([('00006_00.jpg', '00006_00.jpg')], 'paired'),
        ([('000066_0.jpg', '000067_1.jpg'), ('000067_0.jpg', '000066_1.jpg')], 'unpaired'),
        ([('model_2.jpg', 'model_3.jpg')], 'unpaired'),
        ([('_0.jpg', '_1.jpg')], 'unpaired'),
        ([('000066_0.jpg', '000066_1.jpg'), ('000067_0.jpg', '000066_1.jpg')], 'mixed'),
    ],
)
def test_the_file_names_tell_a_paired_list_from_an_unpaired_one(make_set, pairs, kind):
    assert VITONDataset(make_set('test', pairs=pairs), 'test', size=SIZE).list_kind == kind


def test_a_missing_root_is_a_missing_file_and_a_bad_seed_a_mistake(make_set, tmp_path):
    for check in (True, False):
        with pytest.raises(MissingFileError, match='no such folder'):
            VITONDataset(tmp_path / 'nowhere', 'train', check=check)
    with pytest.raises(UserError, match='seed -1'):
        VITONDataset(make_set(), 'train', seed=-1)
    with pytest.raises(UserError, match="phase 'val'"):
        VITONDataset(make_set(), 'val')


def test_real_photographs_load(samples):
    root = next(path.parent for path in samples.rglob('test_pairs.txt'))
    dataset = VITONDataset(root, 'test')
    batch = next(iter(create_loader(dataset, batch_size=len(dataset), workers=0)))
    assert batch['image'].shape == (len(dataset), 3, 256, 192)
    assert batch['edge'].mean() > 0.05
