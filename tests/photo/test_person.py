"""Finding the person, and the background that the networks see."""

import sys
import types

import numpy as np
import pytest
from PIL import Image

from photo.person import (
    GROUND,
    find_person,
    grabcut,
    person_box,
    plain_person,
    replace_background,
    silhouette,
)
from utils.errors import UserError


def figure(ground: np.ndarray) -> tuple[Image.Image, np.ndarray]:
    """Somebody in red before a ground [400, 300, 3], and where they are."""
    inside = np.zeros((400, 300), bool)
    inside[60:130, 120:180] = inside[130:, 85:215] = True
    picture = ground.copy()
    picture[inside] = (170, 40, 50)
    return Image.fromarray(picture), inside


def wall() -> np.ndarray:
    return np.full((400, 300, 3), 235, np.uint8)


def forest() -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (50, 38, 1)).repeat(8, 0).repeat(8, 1)[:400, :300]
    return (coarse * np.array([0.3, 0.9, 0.4])).astype(np.uint8)


def overlap(mask: Image.Image, inside: np.ndarray) -> float:
    found = np.asarray(mask) >= 128
    return (found & inside).sum() / (found | inside).sum()


def find(picture, mask=None, background='auto'):
    return find_person(picture, mask=mask, background=background, name='me.jpg')


def test_a_plain_background_tells_the_person_and_stays():
    picture, inside = figure(wall())
    mask, replaced, notes = find(picture)
    assert overlap(mask, inside) > 0.97 and not replaced and notes == ()
    assert person_box(mask)[1] in range(57, 64) and person_box(mask)[3] == 400


def test_another_background_is_replaced_by_grabcut_and_said_so():
    picture, inside = figure(forest())
    assert plain_person(picture, 'me.jpg') is None
    mask, replaced, notes = find(picture)
    assert overlap(mask, inside) > 0.85 and replaced and 'GrabCut' in notes[0]


def test_grabcut_gives_the_same_twice():
    picture, _ = figure(forest())
    assert grabcut(picture).tobytes() == grabcut(picture).tobytes()


def test_keep_keeps_any_background():
    picture, _ = figure(forest())
    assert find(picture, background='keep') == (None, False, ())


def test_a_mask_that_is_given_wins_and_replaces_unless_asked_to_keep():
    picture, inside = figure(wall())
    mask = Image.fromarray(inside.astype(np.uint8) * 255)
    assert find(picture, mask)[:2] == (mask, True)
    assert find(picture, mask, 'keep')[:2] == (mask, False)
    replaced = np.asarray(replace_background(figure(forest())[0], mask))
    assert (replaced[:40, :50] == GROUND).all() and (replaced[200:300, 120:180] == (170, 40, 50)).all()


@pytest.mark.parametrize(
    ('picture', 'words'),
    [
        (np.full((400, 300, 3), 90, np.uint8), 'one colour'),
        (
            np.pad(np.zeros((20, 20, 3), np.uint8), ((100, 280), (100, 180), (0, 0)), constant_values=200),
            'no person found',
        ),
    ],
)
def test_nobody_is_said_so_where_that_can_be_told(picture, words):
    with pytest.raises(UserError, match=words):
        find(Image.fromarray(picture))


def test_noise_without_anybody_is_left_to_the_networks():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (400, 300, 3)).astype(np.uint8))
    mask, replaced, notes = find(picture)
    assert replaced == (mask is not None) and len(notes) == 1


def test_a_silhouette_is_a_little_wider_than_the_mask_and_keeps_only_large_holes():
    _, inside = figure(wall())
    inside[200:206, 140:150] = False  # a print that was taken for the wall
    inside[300:380, 100:130] = False
    soft = np.asarray(silhouette(Image.fromarray(inside.astype(np.uint8) * 255)))
    outline = soft > 0
    assert 1.02 < outline.sum() / inside.sum() < 1.2
    assert outline[inside].all() and outline[202, 145] and not outline[340, 115] and not outline[:50].any()
    assert soft[250, 83] >= 128 > soft[250, 78]


def test_a_segmenter_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr('photo.segmenter.find_spec', lambda name: None)
    with pytest.raises(UserError, match='is not installed'):
        find(figure(wall())[0], background='rembg')


def test_an_unknown_background_is_refused():
    with pytest.raises(UserError, match='choose from auto, keep, grabcut'):
        find(figure(wall())[0], background='beach')


def test_rembg_is_asked_with_a_model_that_is_there_and_nothing_is_downloaded(monkeypatch, tmp_path):
    picture, inside = figure(forest())
    asked = []
    module = types.ModuleType('rembg')
    module.new_session = lambda name: name

    def remove(picture, *, session, only_mask):
        asked.append(session)
        return Image.fromarray(inside.astype(np.uint8) * 255)

    module.remove = remove
    monkeypatch.setitem(sys.modules, 'rembg', module)
    monkeypatch.setattr('photo.segmenter.find_spec', lambda name: module)
    monkeypatch.setenv('U2NET_HOME', str(tmp_path))
    with pytest.raises(UserError, match='has no model'):
        find(picture, background='rembg')
    (tmp_path / 'u2net.onnx').touch()
    mask, replaced, notes = find(picture, background='rembg')
    assert asked == ['u2net'] and replaced and overlap(mask, inside) == 1 and 'rembg' in notes[0]
    mask, replaced, notes = find(picture)  # where it can be used, it is what 'auto' means
    assert len(asked) == 2 and replaced and overlap(mask, inside) == 1 and 'rembg' in notes[0]
    find(figure(wall())[0])
    assert len(asked) == 2  # a plain wall tells the person by itself
