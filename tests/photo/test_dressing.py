"""From two photographs to a third, with a pipeline that knows the answer, and with real networks."""

import numpy as np
import pytest
from PIL import Image

import photo
import runtime
from models import TryOnPipeline
from photo.dressing import dress, prepare_garment, prepare_person, try_on
from utils.errors import UserError


def resized(array: np.ndarray, width: int, height: int) -> Image.Image:
    return Image.fromarray(array).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize(
    'size', [(400, 400), (400, 711), (1000, 750), (750, 1000), (1333, 2000), (2250, 4000)]
)
def test_the_result_has_the_photographs_size_and_its_pixels_but_for_the_clothes(size, pipeline, drawn):
    person, garment, _ = drawn
    picture = resized(person, *size)
    somebody, shirt = prepare_person(pipeline, picture), prepare_garment(pipeline, garment)
    dressed = dress(pipeline, somebody, shirt)
    kept = np.asarray(dressed.region) == 0
    assert dressed.picture.size == size and dressed.picture.mode == 'RGB'
    assert (np.asarray(dressed.picture)[kept] == np.asarray(picture)[kept]).all()
    assert 0.03 < (~kept).mean() < 0.5 and (np.asarray(dressed.picture) != np.asarray(picture)).any()


@pytest.mark.parametrize('height', [533, 4000])
def test_sample_photographs_keep_their_pixels_but_for_the_clothes(height, pipeline, samples):
    pairs = [line.split() for line in (samples / 'test_pairs.txt').read_text().splitlines()]
    for person, garment in pairs[:: 3 if height > 1000 else 1]:
        with Image.open(samples / 'test_img' / person) as file:
            picture = file.convert('RGB').resize((height * 3 // 4, height), Image.Resampling.BICUBIC)
        shirt = prepare_garment(pipeline, samples / 'test_color' / garment)
        dressed = dress(pipeline, prepare_person(pipeline, picture), shirt)
        kept = np.asarray(dressed.region) == 0
        assert dressed.picture.size == picture.size and 0.03 < (~kept).mean() < 0.5
        assert (np.asarray(dressed.picture)[kept] == np.asarray(picture)[kept]).all()


def test_the_garment_keeps_the_detail_of_its_photograph(pipeline, drawn):
    person, garment, edge = drawn
    fine = np.array(resized(garment, 1536, 2048))
    fine[(np.arange(2048) // 8 % 2 == 0), :] //= 2  # stripes that the networks' picture is too small for
    mask = resized(edge, 1536, 2048)
    somebody = prepare_person(pipeline, resized(person, 1536, 2048))
    picture = np.asarray(
        dress(pipeline, somebody, prepare_garment(pipeline, fine, mask=mask)).picture
    ).astype(int)
    column = picture[900:1100, 768, 1]
    assert np.abs(np.diff(column)).max() > 25


def test_each_person_and_garment_is_encoded_once(pipeline, drawn):
    person, garment, _ = drawn
    people = [prepare_person(pipeline, picture) for picture in (person, person[:, ::-1])]
    garments = [prepare_garment(pipeline, picture) for picture in (garment, garment[:, ::-1], garment)]
    for somebody in people:
        for shirt in garments:
            dress(pipeline, somebody, shirt)
    assert pipeline.calls == {'person': 2, 'garment': 3, 'dress': 6}


def test_the_networks_see_the_whole_garment_with_its_shape_kept(pipeline, drawn):
    _, garment, _ = drawn
    shirt = prepare_garment(pipeline, resized(garment, 600, 800))
    other = prepare_garment(
        pipeline, np.pad(np.asarray(resized(garment, 600, 800)), ((0, 500), (900, 0), (0, 0)), mode='edge')
    )
    for code in (shirt.code, other.code):
        rows, columns = code.edge[0, 0].any(dim=1).nonzero(), code.edge[0, 0].any(dim=0).nonzero()
        assert min(rows[0], 127 - rows[-1], columns[0], 95 - columns[-1]) >= 3
    assert (shirt.code.edge != other.code.edge).float().mean() < 0.01


def test_a_transparent_person_stays_transparent_where_no_clothes_are(pipeline, drawn):
    person, garment, _ = drawn
    alpha = np.zeros(person.shape[:2], np.uint8)
    alpha[20:, 100:290] = 255
    picture = np.dstack([person, alpha])
    somebody = prepare_person(pipeline, picture)
    dressed = dress(pipeline, somebody, prepare_garment(pipeline, garment))
    result, region = np.asarray(dressed.picture), np.asarray(dressed.region)
    assert dressed.picture.mode == 'RGBA' and (result[region == 0] == picture[region == 0]).all()
    assert (np.asarray(somebody.view)[:15, :50] == np.asarray(somebody.view)[0, 0]).all()


def test_the_networks_see_a_plain_wall_and_the_result_the_old_one(pipeline, drawn):
    person, garment, _ = drawn
    mask = np.zeros(person.shape[:2], np.uint8)
    mask[20:, 80:310] = 255
    somebody = prepare_person(pipeline, person, mask=mask)
    assert (np.asarray(somebody.view)[:10] == 237).all()
    result = np.asarray(dress(pipeline, somebody, prepare_garment(pipeline, garment)).picture)
    assert (result[:15] == person[:15]).all()


def test_nothing_changed_is_said_so(pipeline, drawn, monkeypatch):
    person, garment, _ = drawn
    monkeypatch.setattr('photo.dressing.change_weight', lambda *_: np.zeros((128, 96), np.float32))
    assert (
        'nothing changed'
        in dress(pipeline, prepare_person(pipeline, person), prepare_garment(pipeline, garment)).notes[0]
    )


def test_try_on_takes_and_returns_pictures(pipeline, drawn):
    person, garment, edge = drawn
    picture = try_on(
        pipeline, Image.fromarray(person), Image.fromarray(garment), garment_mask=edge, background='keep'
    )
    assert picture.size == (384, 512) and photo.try_on is try_on


def test_real_networks_take_the_codes(drawn):
    person, garment, _ = drawn
    picture = try_on(TryOnPipeline.untrained('dm_vton'), person, garment, size=(64, 64))
    assert picture.size == (384, 512)


def test_the_pipeline_has_try_on_as_a_method(drawn):
    person, garment, edge = drawn
    networks = TryOnPipeline.untrained('dm_vton')
    options = {'garment_mask': edge, 'background': 'keep', 'size': (64, 64)}
    picture = try_on(networks, Image.fromarray(person), garment, **options)
    assert picture.tobytes() == try_on(networks, person, garment, **options).tobytes()
    assert try_on(runtime.optimize(networks, 'fused'), person, garment, **options).size == picture.size


def test_a_size_that_no_network_takes_is_refused(drawn):
    person, garment, _ = drawn
    with pytest.raises(UserError, match='multiples of 32'):
        try_on(TryOnPipeline.untrained('dm_vton'), person, garment, size=(100, 75))


def strip(drawn):
    return {'person': np.tile(drawn[0], (1, 4, 1))[:200]}


BAD = {
    'a strip as the person': (strip, 'too narrow a strip'),
    'a wall without anybody': (
        lambda drawn: {'person': np.full((400, 300, 3), 200, np.uint8)},
        'the person: a picture of one',
    ),
    'a garment on nothing plain': (
        lambda drawn: {'garment': np.random.default_rng(0).integers(0, 255, (300, 200, 3)).astype(np.uint8)},
        'the garment: the background is not plain',
    ),
    'a belt as the garment': (
        lambda drawn: {
            'garment': np.pad(
                np.zeros((30, 300, 3), np.uint8), ((90, 80), (50, 50), (0, 0)), constant_values=255
            )
        },
        'no top',
    ),
    'a mask of another shape': (
        lambda drawn: {'garment_mask': np.full((100, 300), 255, np.uint8)},
        'the mask of the garment',
    ),
    'a black mask': (
        lambda drawn: {'person_mask': np.zeros((512, 384), np.uint8)},
        'the mask of the person: a mask that is black',
    ),
    'a mask of one dot': (
        lambda drawn: {'garment_mask': np.pad(np.uint8([[255]]), ((0, 511), (0, 383)))},
        'no garment',
    ),
    'a mask of everything': (
        lambda drawn: {'garment_mask': np.full((512, 384), 255, np.uint8)},
        'fills everything',
    ),
    'an unknown background': (lambda drawn: {'background': 'beach'}, 'choose from auto'),
    'a number as the person': (lambda drawn: {'person': 3}, 'the person is a int'),
}


@pytest.mark.parametrize('kind', BAD)
def test_a_bad_input_is_refused_with_one_line_before_any_dressing(kind, pipeline, drawn):
    make, words = BAD[kind]
    inputs = {'person': drawn[0], 'garment': drawn[1]} | make(drawn)
    with pytest.raises(UserError, match=words) as refusal:
        try_on(pipeline, **inputs)
    assert '\n' not in str(refusal.value) and pipeline.calls['dress'] == 0
