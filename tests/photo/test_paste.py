"""Paste-back: only the clothes and newly visible skin change."""

import numpy as np
import torch
from PIL import Image

from models.ops.flow import offset_to_flow
from models.outputs import TryOn
from photo.changes import change_weight
from photo.composition import Composition, GarmentPhoto
from photo.framing import Window
from photo.paste import paste

HEIGHT, WIDTH = 128, 96
FACE, TORSO, ARM = (
    (slice(10, 30), slice(40, 56)),
    (slice(50, 90), slice(30, 66)),
    (slice(60, 110), slice(66, 76)),
)


def scene(*, arm_changes: bool = True, mask: float = 1.0) -> tuple[torch.Tensor, TryOn]:
    """A person, and a try-on that is off by noise everywhere and shows a garment on the torso and a bare arm
    beside it.
    """
    person = torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0)) - 0.5
    rendered = person + 0.06 * torch.randn(person.shape, generator=torch.Generator().manual_seed(1))
    rendered[:, :, FACE[0].start + 8, 42:54] += 0.5  # a mouth that is drawn a little otherwise
    if arm_changes:
        rendered[(..., *ARM)] += 0.7
    shown = torch.zeros(1, 1, HEIGHT, WIDTH)
    shown[(..., *TORSO)] = mask
    cloth = torch.full_like(person, 0.9)
    flow = offset_to_flow(torch.zeros(1, 2, HEIGHT, WIDTH))
    return person, TryOn(
        cloth * shown + rendered * (1 - shown), rendered, shown, cloth, torch.ones_like(shown), flow
    )


def test_garment_and_new_skin_are_taken_the_face_and_the_wall_are_not():
    weight = change_weight(*scene())
    assert weight.shape == (HEIGHT, WIDTH) and weight.min() == 0 and weight.max() <= 1 + 1e-6
    assert (weight[TORSO] > 0.99).all() and weight[ARM].mean() > 0.95
    assert (weight[FACE] == 0).all() and (weight[:, :24] == 0).all()


def test_without_new_skin_only_the_garment_is_taken():
    weight = change_weight(*scene(arm_changes=False))
    assert (weight[:, 72:] == 0).all() and (weight[TORSO] > 0.99).all()


def test_a_generator_that_is_off_everywhere_does_not_change_the_arms_that_stay():
    person, result = scene(arm_changes=False)
    noise = 0.5 * torch.rand(person.shape, generator=torch.Generator().manual_seed(2)) ** 2 + 0.1
    image = torch.where(result.mask > 0, result.image, person + noise)
    weight = change_weight(person, result._replace(image=image))
    assert (
        (weight[TORSO] > 0.99).all() and (weight[ARM][4:, 5:] == 0).mean() > 0.9 and (weight[FACE] == 0).all()
    )


def test_a_result_that_is_the_person_changes_nothing():
    person, result = scene(arm_changes=False)
    nothing = torch.zeros_like(result.mask)
    assert change_weight(person, result._replace(image=person, rendered=person, mask=nothing)).max() == 0


def test_a_garment_that_was_rendered_without_a_mask_is_found_by_its_change():
    person, result = scene(mask=0.0)
    assert change_weight(person, result)[ARM].mean() > 0.9


def composition(window: Window) -> Composition:
    _, result = scene()
    garment = GarmentPhoto(
        Image.new('RGB', (90, 120), 'red'), Image.new('L', (90, 120), 255), Window(0, 0, 90, 120)
    )
    return Composition(result, garment, window, align_corners=True)


def test_every_other_pixel_is_the_photographs_own():
    rng, weight = np.random.default_rng(0), change_weight(*scene())
    for size, window in (
        ((300, 400), Window(0, 0, 300, 400)),
        ((417, 903), Window(-130, -1, 678, 904)),
        ((900, 500), Window(200, -3, 375, 500)),
        ((40, 33), Window(3, -7, 30, 40)),
    ):
        photo = rng.integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)
        picture, region = paste(Image.fromarray(photo), composition(window), weight)
        kept = np.asarray(region) == 0
        assert picture.size == size == region.size
        assert (np.asarray(picture)[kept] == photo[kept]).all() and 0.05 < (~kept).mean() < 0.6
        assert (np.asarray(picture)[~kept] != photo[~kept]).any()


def test_nothing_is_rendered_beyond_the_person_but_the_garment_may_reach_there():
    """The silhouette ends in the middle of the garment and of the bare arm."""
    photo = np.full((128, 96, 3), 90, np.uint8)
    silhouette = np.zeros((128, 96), np.uint8)
    silhouette[:75] = 255
    window, weight = Window(0, 0, 96, 128), change_weight(*scene())
    picture, region = paste(
        Image.fromarray(photo), composition(window), weight, silhouette=Image.fromarray(silhouette)
    )
    changed, free = (
        np.asarray(region) > 0,
        np.asarray(paste(Image.fromarray(photo), composition(window), weight)[1]) > 0,
    )
    below = slice(78, 90)
    assert free[below, 70:74].all() and not changed[below, 70:74].any() and changed[60:70, 70:74].all()
    assert changed[below, 34:62].all() and (np.asarray(picture)[below, 34:62] == (255, 0, 0)).all()


def test_strips_do_not_show(monkeypatch):
    photo = Image.new('RGB', (300, 400), (10, 200, 90))
    weight, window = change_weight(*scene()), Window(0, 0, 300, 400)
    whole = np.asarray(paste(photo, composition(window), weight)[0])
    monkeypatch.setattr('photo.composition.STRIP_PIXELS', 2000)
    strips = np.asarray(paste(photo, composition(window), weight)[0])
    assert np.abs(strips.astype(int) - whole).max() <= 1  # sums of another order round otherwise


def test_no_weight_leaves_the_photograph_as_it_is():
    photo = Image.new('RGB', (300, 400), (10, 200, 90))
    photo.info['icc_profile'] = b'profile'
    picture, region = paste(photo, composition(Window(0, 0, 300, 400)), np.zeros((HEIGHT, WIDTH), np.float32))
    assert picture.tobytes() == photo.tobytes() and not region.getbbox() and picture.info == photo.info
