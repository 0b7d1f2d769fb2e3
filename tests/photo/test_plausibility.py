"""What is no top, and nobody to dress: refused where that is sure, noted where it is not."""

import numpy as np
import pytest
from PIL import Image

from photo import plausibility
from photo.dressing import prepare_garment, prepare_person, try_on
from photo.faces import Face, can_find_faces, find_faces
from photo.plausibility import check_garment, check_person, check_result, check_stands, legs_height
from utils.errors import UserError

finds_faces = pytest.mark.skipif(
    not can_find_faces(), reason='this OpenCV ships no cascades: 4 does, 5 does not'
)
SIZE = (300, 400)


def shape(*boxes, size=(400, 300)) -> np.ndarray:
    """A mask of boxes (left, top, right, bottom)."""
    mask = np.zeros(size, bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


def picture(mask: np.ndarray) -> np.ndarray:
    return np.where(mask[..., None], np.uint8([40, 60, 120]), np.uint8([250, 250, 250]))


SHIRT = shape((80, 60, 220, 330), (40, 60, 260, 160))
HANGING = shape(
    (90, 60, 210, 230), (40, 60, 80, 330), (220, 60, 260, 330), (40, 60, 260, 90)
)  # sleeves longer than the body
TROUSERS = shape((80, 20, 220, 140), (80, 20, 145, 380), (155, 20, 220, 380))


@pytest.fixture
def faces(monkeypatch):
    """Sets which faces are found: in the upright picture, and in the one turned by a number of quarters."""

    def place(*upright: Face, turned: dict[int, Face] | None = None, profiles=()) -> None:
        def found(_picture, *, quarter_turns=0):
            return (
                tuple(upright)
                if quarter_turns == 0
                else tuple(filter(None, [(turned or {}).get(quarter_turns)]))
            )

        monkeypatch.setattr(plausibility, 'find_faces', found)
        monkeypatch.setattr(plausibility, 'find_profiles', lambda _picture: profiles)
        monkeypatch.setattr(plausibility, 'can_find_faces', lambda: True)

    return place


def test_trousers_are_told_by_their_legs_and_sleeves_that_hang_are_no_legs():
    assert legs_height(TROUSERS) > 0.6 and legs_height(HANGING) < 0.4 and legs_height(SHIRT) == 0
    with pytest.raises(UserError, match='two legs, so these are trousers'):
        prepare_garment_of(TROUSERS)
    assert check_garment(HANGING, Image.new('RGB', SIZE), 'it') == ()


def prepare_garment_of(mask: np.ndarray):
    return try_on(None_pipeline(), Image.new('RGB', SIZE), picture(mask))


class None_pipeline:
    """A pipeline whose work nobody gets to."""

    size = (128, 96)
    encode_person = encode_garment = __call__ = lambda *_: pytest.fail('work began')


def test_several_garments_are_refused_and_a_label_beside_one_is_not():
    two = shape((20, 60, 130, 330), (170, 60, 280, 330))
    with pytest.raises(UserError, match='2 things lie apart'):
        prepare_garment_of(two)
    check_garment(SHIRT | shape((265, 300, 290, 330)), Image.new('RGB', SIZE), 'it')


def test_what_may_be_a_dress_or_is_cut_is_noted():
    long = shape((110, 20, 190, 390))
    assert 'perhaps a dress' in check_garment(long, Image.new('RGB', SIZE), 'it')[0]
    cut = shape((80, 0, 220, 300))
    assert 'may be cut, or worn' in check_garment(cut, Image.new('RGB', SIZE), 'it')[0]
    assert check_garment(SHIRT, Image.new('RGB', SIZE), 'it') == ()


def test_a_garment_under_a_head_is_worn_and_a_face_printed_on_it_is_not(faces):
    worn = shape((120, 10, 180, 110), (60, 110, 240, 390))
    faces(Face(125, 20, 50, 57.0))
    with pytest.raises(UserError, match='it: somebody wears this garment'):
        check_garment(worn, Image.new('RGB', SIZE), 'it')
    faces(Face(125, 90, 50, 57.0))
    assert check_garment(SHIRT, Image.new('RGB', SIZE), 'it') == ()


def test_a_head_by_its_shape_above_the_lower_border_is_somebody(faces):
    faces()  # from the side, from behind, bent
    it = Image.new('RGB', SIZE)
    with pytest.raises(UserError, match='it: narrow above, as a head.*somebody wears this garment'):
        check_garment(shape((120, 10, 180, 110), (60, 110, 240, 400)), it, 'it')
    wide_above = shape((80, 10, 220, 110), (60, 110, 240, 400))
    assert 'reaches the lower border, so it may be cut' in check_garment(wide_above, it, 'it')[0]
    spread = shape((110, 150, 190, 200), (10, 200, 290, 400))  # its sleeves lie aside, its hem is cut
    assert 'reaches the lower border' in check_garment(spread, it, 'it')[0]
    assert check_garment(shape((120, 10, 180, 110), (60, 110, 240, 390)), it, 'it') == ()  # a halter top
    both = check_garment(shape((60, 0, 240, 400)), it, 'it')
    assert 'reaches the upper and the lower border' in both[0]


def test_a_mask_that_is_given_says_what_is_meant(pipeline):
    prepare_garment(pipeline, picture(TROUSERS), mask=TROUSERS)


def test_a_face_alone_is_refused_and_shoulders_are_noted(faces):
    person = Image.new('RGB', SIZE)
    faces(Face(50, 100, 200, 57.0))
    with pytest.raises(UserError, match='nothing below it to dress'):
        check_person(person, 'me')
    faces(Face(80, 60, 140, 57.0))
    assert 'only the shoulders' in check_person(person, 'me').notes[0]
    faces(Face(120, 20, 60, 57.0))
    assert check_person(person, 'me').notes == ()


@pytest.mark.parametrize(
    ('turns', 'words'), [(2, 'upside down'), (1, 'turned to the right'), (3, 'turned to the left')]
)
def test_somebody_who_is_not_upright_is_refused_where_the_face_is_sure(turns, words, faces):
    faces(turned={turns: Face(120, 20, 60, 57.0)})
    with pytest.raises(UserError, match=f'the person is {words}; turn the picture'):
        check_person(Image.new('RGB', SIZE), 'me')
    faces(turned={turns: Face(120, 20, 60, 55.4)})
    assert 'no face was found' in check_person(Image.new('RGB', SIZE), 'me').notes[0]
    faces(profiles=(Face(120, 20, 60, 3.0),))
    assert check_person(Image.new('RGB', SIZE), 'me').notes == ()


def test_of_several_people_the_one_with_the_largest_face_is_dressed(faces, pipeline):
    wall = np.full((400, 600, 3), 240, np.uint8)
    for left in (60, 340):
        wall[60:400, left : left + 200] = (30, 60, 90)
        wall[20:100, left + 60 : left + 140] = (190, 140, 110)
    faces(Face(405, 25, 70, 57.0), Face(130, 30, 60, 57.0))
    prepared = prepare_person(pipeline, wall)
    assert any('2 people' in note for note in prepared.notes)
    shown = np.asarray(prepared.silhouette) >= 128
    assert shown[:, 340:540].mean() > 0.7 and shown[:, :260].mean() == 0
    assert prepared.window.left > 100
    faces(Face(405, 25, 70, 57.0), Face(130, 30, 30, 57.0), Face(420, 90, 50, 57.0), Face(130, 30, 60, 55.0))
    assert not any(
        'people' in note for note in prepare_person(pipeline, wall).notes
    )  # far, below, and not sure


def test_a_face_from_the_side_does_not_make_somebody_of_a_thing_that_lies_free(faces, pipeline):
    faces(profiles=(Face(120, 20, 60, 3.0),))
    assert any('may be no person' in note for note in prepare_person(pipeline, picture(SHIRT)).notes)
    standing = picture(shape((120, 20, 180, 110), (60, 100, 240, 400)))
    assert prepare_person(pipeline, standing).notes == ()
    faces(profiles=(Face(120, 200, 60, 3.0),))  # where nobody has a face
    assert 'no face was found' in prepare_person(pipeline, standing).notes[0]


def test_a_thing_that_lies_free_is_nobody():
    with pytest.raises(UserError, match='something that lies free'):
        check_stands(SHIRT, 'me', has_face=False)
    assert 'may be no person' in check_stands(SHIRT, 'me', has_face=None)[0]
    assert check_stands(SHIRT, 'me', has_face=True) == ()
    assert check_stands(shape((120, 20, 180, 390)), 'me', has_face=False) == ()  # somebody from head to feet
    assert check_stands(shape((80, 60, 220, 400)), 'me', has_face=False) == ()  # and down to the border


@pytest.mark.parametrize(
    ('box', 'words'),
    [
        ((0, 0, 0, 0), 'no place'),
        ((40, 40, 50, 50), 'only 0.8%'),
        ((0, 20, 40, 100), 'of the garment lies on'),
    ],
)
def test_what_the_networks_say_is_noted(box, words):
    body = shape((30, 10, 70, 128), size=(128, 96))
    assert words in check_result(shape(box, size=(128, 96)).astype(float), body)[0]
    assert check_result(shape((32, 40, 68, 100), size=(128, 96)).astype(float), body) == ()


@finds_faces
def test_faces_of_drawn_people_are_found_where_they_are(drawn):
    person, garment, _ = drawn
    (face,) = find_faces(Image.fromarray(person))
    assert 0 < face.top < face.chin < 0.4 * person.shape[0] and 0.2 < face.middle / person.shape[1] < 0.8
    assert find_faces(Image.fromarray(garment)) == ()


@finds_faces
def test_a_drawn_person_is_no_garment_and_a_drawn_garment_is_no_person(drawn, pipeline):
    person, garment, _ = drawn
    with pytest.raises(UserError, match='lies free, as garments do'):
        prepare_person(pipeline, garment)
    with pytest.raises(UserError, match='upside down'):
        prepare_person(pipeline, person[::-1, ::-1].copy())
    with pytest.raises(UserError, match='somebody wears this garment'):
        prepare_garment(pipeline, person)


def wall(bricks: bool, size=(400, 300)) -> np.ndarray:
    """A wall, lit from one side, plain or of bricks."""
    draw = np.random.default_rng(3)
    y, x = np.mgrid[: size[0], : size[1]]
    light = 0.85 + 0.15 * x / size[1]
    colour = np.full((*size, 3), (225.0, 222.0, 215.0))
    if bricks:
        row, place = y // 24, (x + 30 * ((y // 24) % 2)) // 60
        shade = draw.uniform(0.7, 1.2, (40, 40))[row, place]
        colour = np.float64([150, 75, 60]) * shade[..., None]
        colour[(y % 24 < 3) | ((x + 30 * (row % 2)) % 60 < 3)] = (190, 185, 180)
    return np.clip(colour * light[..., None] + draw.normal(0, 2, (*size, 1)), 0, 255).astype(np.uint8)


def test_a_wall_is_nobody_and_no_garment(pipeline):
    with pytest.raises(UserError, match='no person found'):
        prepare_person(pipeline, wall(bricks=False))
    with pytest.raises(UserError, match='no garment stands out'):
        prepare_garment(pipeline, wall(bricks=False))
    with pytest.raises(UserError, match='the background is not plain'):
        prepare_garment(pipeline, wall(bricks=True))


@finds_faces
def test_a_wall_of_bricks_is_noted_to_be_nobody(pipeline):
    assert 'no face was found' in prepare_person(pipeline, wall(bricks=True)).notes[0]
