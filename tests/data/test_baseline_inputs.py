"""What the compared methods see of a person: SDAFN's drawings against reference pictures, masks, noise, and
bad input.
"""

import importlib.util
import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data.baseline_inputs import (
    PREPARE,
    AnnotatedDataset,
    Person,
    acgpn_inputs,
    cvton_inputs,
    noise_planes,
    require_folders,
    sdafn_inputs,
)
from data.labels import LIP_PARSING, DensePosePart, KeyPoint, Parsing
from data.sdafn_pictures import draw_agnostic, draw_skeleton
from data.transforms import picture_tensor
from models.baselines import BASELINES
from models.baselines.acgpn import DRESS, LAYOUT_CHANNELS, LEFT_ARM, POSE_CHANNELS, RIGHT_ARM, UPPER_CLOTHES
from utils.errors import DataError, MissingFileError, UserError

PARITY = Path(__file__).parents[1] / 'parity'
SIZE = (256, 192)
# Parsing ids of the reference person: those of the Look into Person set, which the published script reads.
LIP_CLOTHES, LIP_KEPT = (5, 6, 7), (2, 4, 13, 9, 12, 16, 17, 18, 19)
# A hat, socks, a jumpsuit: ids here have none of their own, so they count as hair, shoes and dress.
LIP_OTHERWISE = (1, 8, 10)


@pytest.fixture(scope='module')
def reference(weights):
    """The reference person, and what the published script draws of it."""
    spec = importlib.util.spec_from_file_location('sdafn_weights', PARITY / 'baselines' / 'sdafn_weights.py')
    rules = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, 'weights', weights)
        spec.loader.exec_module(rules)
    with np.load(PARITY / 'baselines' / 'sdafn_prepare.npz') as file:
        return rules.person_inputs(11), dict(file)


def test_the_reference_person_is_the_one_that_was_drawn(reference):
    person, numbers = reference
    np.testing.assert_array_equal(person['points'], numbers['points'])
    np.testing.assert_array_equal(person['parsing'], numbers['parsing'])
    np.testing.assert_array_equal(person['picture'][::32, ::32], numbers['picture_canary'])


def test_the_masked_person_equals_the_published_one_in_every_pixel(reference):
    person, numbers = reference
    clothes, kept = (np.isin(person['parsing'], ids) for ids in (LIP_CLOTHES, LIP_KEPT))
    drawn = draw_agnostic(person['picture'], clothes, kept, person['points'])
    np.testing.assert_array_equal(drawn, numbers['agnostic'])


def test_the_skeleton_equals_the_published_one_in_every_pixel(reference):
    person, numbers = reference
    np.testing.assert_array_equal(draw_skeleton(person['points']), numbers['pose'])


def after_jpeg(picture, quality):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, 'JPEG', quality=quality)
    return picture_tensor(Image.open(file), SIZE)


def test_sdafn_sees_the_published_drawings_as_the_published_files_held_them(reference):
    person, numbers = reference
    lip = np.where(np.isin(person['parsing'], LIP_OTHERWISE), 0, person['parsing'])
    label = torch.from_numpy(np.vectorize(LIP_PARSING.get)(lip).astype(np.int64))[None]
    image, cloth = picture_tensor(Image.fromarray(person['picture']), SIZE), torch.rand(3, *SIZE)
    inputs = sdafn_inputs(
        Person(image, cloth, torch.ones(1, *SIZE), ('a', 'b'), label, None, person['points'])
    )
    clothes, kept = (np.isin(lip, ids) for ids in (LIP_CLOTHES, LIP_KEPT))
    drawn = draw_agnostic(person['picture'], clothes, kept, person['points'])
    assert torch.equal(inputs['agnostic'], after_jpeg(drawn, 75))
    assert torch.equal(inputs['pose_picture'], after_jpeg(numbers['pose'], 95))
    assert torch.equal(inputs['cloth'], cloth)


def test_acgpn_sees_pictures_ids_and_key_points_as_they_are():
    image, cloth, edge = torch.rand(3, *SIZE), torch.rand(3, *SIZE), torch.rand(1, *SIZE)
    label = torch.arange(SIZE[1]).remainder(len(Parsing)).expand(1, *SIZE)
    points = np.zeros((len(KeyPoint), 3))
    points[KeyPoint.LEFT_WRIST] = 40, 200, 0.9
    inputs = acgpn_inputs(Person(image, cloth, edge, ('a', 'b'), label, None, points))
    for name, expected in {'person': image, 'cloth': cloth, 'edge': edge, 'parsing': label}.items():
        assert torch.equal(inputs[name], expected), name
    assert torch.equal(inputs['noise'], noise_planes('a', 'b'))
    planes, rows, columns = (inputs['pose'] == 1).nonzero(as_tuple=True)
    assert planes.unique().tolist() == [KeyPoint.LEFT_WRIST]
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (195, 205, 35, 45)


def test_a_person_that_openpose_has_not_found_is_drawn_all_the_same():
    nobody = np.zeros((len(KeyPoint), 3))
    nothing = np.zeros(SIZE, bool)
    assert not draw_skeleton(nobody).any()
    drawn = draw_agnostic(np.full((*SIZE, 3), 200, np.uint8), nothing, nothing, nobody)
    assert drawn[-1, -1].tolist() == [200] * 3 and drawn[0, 0].tolist() == [0] * 3


def test_ids_of_the_networks_are_those_of_the_parsing():
    assert (UPPER_CLOTHES, DRESS) == (Parsing.UPPER_CLOTHES, Parsing.DRESS)
    assert (LEFT_ARM, RIGHT_ARM) == (Parsing.ARM_11, Parsing.ARM_13)
    assert (LAYOUT_CHANNELS, POSE_CHANNELS) == (len(Parsing), len(KeyPoint))


def test_noise_depends_on_the_names_and_the_seed_alone():
    first = noise_planes('a.jpg', 'b.jpg')
    assert torch.equal(first, noise_planes('a.jpg', 'b.jpg'))
    assert first.shape == (3, *SIZE) and set(first.unique().tolist()) == {0.0, 1.0}
    assert abs(first.mean().item() - 0.1591) < 0.003
    others = (
        noise_planes('b.jpg', 'a.jpg'),
        noise_planes('a.jpg', 'c.jpg'),
        noise_planes('a.jpg', 'b.jpg', seed=1),
    )
    assert not any(torch.equal(first, other) for other in others)
    assert not torch.equal(first[0], first[1])


def test_cvton_sees_no_garment_arm_or_neck_but_the_hands():
    label, parts = torch.zeros(1, *SIZE), torch.zeros(1, *SIZE)
    rows = {
        0: (Parsing.UPPER_CLOTHES, DensePosePart.TORSO_2, True),
        1: (Parsing.DRESS, DensePosePart.BACKGROUND, True),
        2: (Parsing.ARM_11, DensePosePart.LEFT_LOWER_ARM_1, True),
        3: (Parsing.ARM_13, DensePosePart.RIGHT_HAND, False),
        4: (Parsing.FACE, DensePosePart.TORSO_2, True),
        5: (Parsing.FACE, DensePosePart.HEAD_1, False),
        6: (Parsing.HAIR, DensePosePart.TORSO_1, False),
        7: (Parsing.OTHER_CLOTHES_8, DensePosePart.BACKGROUND, False),
    }
    for row, (kind, part, _) in rows.items():
        label[:, row], parts[:, row] = kind, part
    image, cloth = torch.ones(3, *SIZE), torch.rand(3, *SIZE)
    inputs = cvton_inputs(Person(image, cloth, torch.ones(1, *SIZE), ('a', 'b'), label, parts, None))
    assert torch.equal(inputs['cloth'], cloth)
    for row, (kind, part, covered) in rows.items():
        assert inputs['agnostic'][0, row, 0].item() == (-1 if covered else 1), (kind, part)
        assert inputs['parts'][:, row, 0].argmax() == part
    assert inputs['parts'].sum(0).eq(1).all() and not inputs['parts'][-1].any()


# ---- A test set with annotations


@pytest.fixture(scope='module')
def drawn(tmp_path_factory):
    """A drawn test set of two pairs."""
    from synthetic.dataset import write_dataset

    return (
        write_dataset(tmp_path_factory.mktemp('drawn') / 'set', train=0, test=2, seed=0, progress=False)
        / 'VITON_test'
    )


@pytest.fixture
def copy(drawn, tmp_path):
    return Path(shutil.copytree(drawn, tmp_path / 'VITON_test'))


@pytest.mark.parametrize('method', BASELINES)
def test_a_record_has_exactly_what_the_network_takes(method, drawn):
    baseline = BASELINES[method]
    dataset = AnnotatedDataset(drawn, method, baseline.needs)
    inputs = dataset[1]['inputs']
    expected = {name: (channels, *SIZE) for name, channels in baseline.network().inputs.items()}
    assert {name: tuple(x.shape) for name, x in inputs.items()} == expected
    assert all(
        x.dtype is torch.float32 and x.isfinite().all() and x.abs().max() <= 13 for x in inputs.values()
    )
    if 'agnostic' in inputs:
        black = inputs['agnostic'].amax(0) < -0.9
        assert 0.05 < black.float().mean() < 0.8  # the garment at least, and not everybody
    assert PREPARE.keys() == BASELINES.keys()


@pytest.mark.parametrize(
    'method, kind', [(name, kind) for name in BASELINES for kind in BASELINES[name].needs]
)
def test_missing_annotations_are_one_line_that_says_how_to_get_them(method, kind, copy):
    shutil.rmtree(copy / f'test_{kind}')
    with pytest.raises(
        MissingFileError, match=f'no test_{kind}, but {method} needs .* python -m data.convert'
    ) as caught:
        AnnotatedDataset(copy, method, BASELINES[method].needs)
    assert '\n' not in str(caught.value)


def test_a_folder_that_is_not_there_is_said_first(tmp_path):
    with pytest.raises(MissingFileError, match='no such folder; give the folder that holds test_pairs.txt'):
        require_folders(tmp_path / 'nowhere', ('label',), 'sdafn')


def test_a_folder_around_the_test_set_is_said_first(drawn):
    with pytest.raises(DataError, match=f'lies one level deeper; give {drawn}'):
        require_folders(drawn.parent, ('label',), 'sdafn')


def test_another_size_is_refused(drawn):
    with pytest.raises(UserError, match='size 512 x 384: sdafn takes 256 x 192 only'):
        AnnotatedDataset(drawn, 'sdafn', BASELINES['sdafn'].needs, size=(512, 384))


def test_bad_annotations_are_found_before_the_first_record(copy):
    label = next((copy / 'test_label').iterdir())
    ids = np.asarray(Image.open(label)).copy()
    ids[0, 0] = 19
    Image.fromarray(ids).save(label)
    with pytest.raises(DataError, match=f'{label.name}: ids 19, expected 0 to 13; of another parsing'):
        AnnotatedDataset(copy, 'acgpn', BASELINES['acgpn'].needs)
    label.unlink()
    with pytest.raises(DataError, match=f'{label.stem}.*: no such file'):
        AnnotatedDataset(copy, 'acgpn', BASELINES['acgpn'].needs)


def test_records_of_another_size_are_brought_to_that_of_the_network(copy):
    pose = next((copy / 'test_pose').iterdir())
    person = copy / 'test_img' / f'{pose.stem}.jpg'
    before = AnnotatedDataset(copy, 'sdafn', BASELINES['sdafn'].needs)
    index = [pair.person for pair in before.pairs].index(person.name)
    small = before[index]['inputs']['pose_picture']
    for path in (person, copy / 'test_label' / f'{pose.stem}.png'):
        picture = Image.open(path)
        how = Image.Resampling.NEAREST if path.suffix == '.png' else Image.Resampling.BICUBIC
        picture.resize((2 * picture.width, 3 * picture.height), how).save(path)
    content = json.loads(pose.read_text())
    points = np.array(content['people'][0]['pose_keypoints']).reshape(-1, 3) * [2, 3, 1]
    content['people'][0]['pose_keypoints'] = points.flatten().tolist()
    pose.write_text(json.dumps(content))
    after = AnnotatedDataset(copy, 'sdafn', BASELINES['sdafn'].needs)
    assert torch.equal(after[index]['inputs']['pose_picture'], small)
