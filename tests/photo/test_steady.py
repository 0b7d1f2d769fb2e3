"""Steady pictures: noise is evened out along the motion, and nothing lags where the networks change their
mind.
"""

import cv2
import numpy as np
import pytest
import torch

from models.ops.flow import offset_to_flow, sample
from models.outputs import GarmentCode, PersonCode, TryOn
from photo.steady import LEAST_SHARE, SteadyPipeline, even_shift

SIZE = (128, 96)


class Flickering:
    """Warps and renders the same again and again, with noise in everything, `level` at most in the mask."""

    family, is_trained, mode, size = 'flicker', True, 'test', SIZE
    align_corners = True

    def encode_person(self, person):
        return PersonCode(person, ())

    def encode_garment(self, cloth, edge):
        return GarmentCode(cloth, edge, ())

    def __init__(self, level: float = 0.1):
        self.noise, self.level, self.mask = torch.Generator().manual_seed(0), level, 0.5

    def __call__(self, person, garment, edge=None):
        def noisy(x, scale):
            return x + scale * (2 * torch.rand(x.shape, generator=self.noise) - 1)

        flow = offset_to_flow(noisy(torch.zeros(1, 2, *SIZE), 6 * self.level))
        cloth = sample(garment.cloth, flow, align_corners=True)
        mask, rendered = (
            noisy(torch.full((1, 1, *SIZE), self.mask), self.level),
            noisy(person.person * 0.9, self.level),
        )
        return TryOn(cloth * mask + rendered * (1 - mask), rendered, mask, cloth, mask, flow)


@pytest.fixture
def garment():
    return GarmentCode(
        torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(1)), torch.ones(1, 1, *SIZE), ()
    )


def person(shift: int = 0, seed: int = 0) -> PersonCode:
    """A picture with something to see everywhere, moved by `shift` pixels to the right."""
    noise = np.random.default_rng(seed).random((SIZE[0], SIZE[1] + 80)).astype(np.float32)
    picture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, -0.9, 0.9, cv2.NORM_MINMAX)
    part = picture[:, 40 - shift : 40 - shift + SIZE[1]]
    return PersonCode(torch.from_numpy(np.ascontiguousarray(part))[None, None].expand(1, 3, -1, -1), ())


def flicker(network, garment, step: int = 0) -> float:
    frames = [network(person(step * number), garment).mask for number in range(12)]
    inner = (..., slice(8, -8), slice(40, -8))
    pairs = zip(frames[4:], frames[5:], strict=False)
    shifted = [
        (new[..., step:] if step else new, old[..., : SIZE[1] - step] if step else old) for old, new in pairs
    ]
    return torch.stack([(new - old)[inner].abs().mean() for new, old in shifted]).mean().item()


@pytest.mark.parametrize('step', [0, 2])
def test_a_scene_flickers_less_whether_it_stands_or_moves(step, garment):
    steady, alone = flicker(SteadyPipeline(Flickering()), garment, step), flicker(Flickering(), garment, step)
    assert steady < 0.45 * alone


def test_a_frame_is_composed_of_what_was_mixed(garment):
    steady = SteadyPipeline(Flickering())
    steady(person(), garment)
    result = steady(person(), garment)
    torch.testing.assert_close(
        result.image, result.warped_cloth * result.mask + result.rendered * (1 - result.mask)
    )
    torch.testing.assert_close(result.warped_cloth, sample(garment.cloth, result.flow, align_corners=True))


def test_where_the_networks_disagree_with_themselves_little_of_the_new_frame_counts(garment):
    steady, alone = SteadyPipeline(Flickering()), Flickering()
    first, _ = steady(person(), garment).rendered, alone(person(), garment)
    expected = alone(person(), garment).rendered
    mixed = steady(person(), garment).rendered
    torch.testing.assert_close(mixed, (1 - LEAST_SHARE) * first + LEAST_SHARE * expected, atol=0.02, rtol=0)


def test_the_kept_pixels_are_those_of_the_frame_itself(garment):
    class Keeping(Flickering):
        def __call__(self, person, garment, edge=None):
            result = super().__call__(person, garment)
            return result._replace(keep=torch.ones_like(result.mask), rendered=person.person)

    steady = SteadyPipeline(Keeping())
    steady(person(), garment)
    torch.testing.assert_close(steady(person(3), garment).rendered, person(3).person, atol=1e-5, rtol=0)


def test_another_scene_another_garment_and_another_size_begin_anew(garment):
    other = garment._replace(cloth=1 - garment.cloth)
    for frame, worn in ((PersonCode(-1.9 * person(seed=5).person.sign(), ()), garment), (person(), other)):
        steady, alone = SteadyPipeline(Flickering()), Flickering()
        steady(person(), garment), alone(person(), garment)
        torch.testing.assert_close(steady(frame, worn).image, alone(frame, worn).image)


def test_a_mask_that_turns_over_is_the_new_frames_at_once(garment):
    network = Flickering(0.0)
    steady = SteadyPipeline(network)
    steady(person(), garment)
    network.mask = 1.0
    for _ in range(3):
        torch.testing.assert_close(
            steady(person(), garment).mask, torch.ones_like(network(person(), garment).mask)
        )


def test_what_changes_in_the_picture_is_the_new_frame_alone(garment):
    steady, alone = SteadyPipeline(Flickering()), Flickering()
    steady(person(), garment), alone(person(), garment)
    picture = person().person.clone()
    picture[..., 40:80, 30:60] = 0.95
    frame = PersonCode(picture, ())
    expected, tied = alone(frame, garment).mask, steady(frame, garment).mask
    difference = (tied - expected).abs()[0, 0]
    assert difference[50:70, 38:52].mean() < 0.3 * difference[:, :20].mean()


class Jumping(Flickering):
    """Moves the garment to and fro as a whole, while the mask turns over in one part of the picture."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __call__(self, person, garment, edge=None):
        self.count += 1
        side = 1 if self.count % 2 else -1
        flow = offset_to_flow(torch.tensor([1.5 * side, 0.0])[None, :, None, None].expand(1, 2, *SIZE))
        cloth, mask = sample(garment.cloth, flow, align_corners=True), torch.full((1, 1, *SIZE), 0.5)
        mask[..., 40:80, 30:60] += 0.4 * side
        rendered = person.person
        return TryOn(cloth * mask + rendered * (1 - mask), rendered, mask, cloth, mask, flow)


def test_a_garment_has_no_ragged_edge_where_one_part_is_new_and_another_is_not(garment):
    steady = SteadyPipeline(Jumping())
    for _ in range(4):
        result = steady(person(), garment)
    places = result.flow[0, 0] * (SIZE[1] - 1) / 2  # pixels
    shift = places - torch.arange(SIZE[1])
    assert float(shift.max() - shift.min()) > 1  # the new part has moved, the rest has not
    assert float(shift.diff(dim=0).abs().max()) < 0.4 and float(shift.diff(dim=1).abs().max()) < 0.4


def test_a_garment_is_shifted_as_a_whole_and_pinched_nowhere():
    pixel, shown = np.array([0.5, 0.25], np.float32), np.zeros(SIZE, np.float32)
    shown[20:, 10:-10] = 1
    shift = np.full((*SIZE, 2), 8, np.float32) * pixel
    shift[shown == 0] = 100  # where no garment is shown, its place may be anything
    np.testing.assert_allclose(even_shift(shift, shown, pixel)[64, 48] / pixel, 8, atol=0.3)
    shift[60:70, 40:50] = -4 * pixel  # what a hand left behind
    assert np.abs(even_shift(shift, shown, pixel)[50:80, 30:60] / pixel - 8).max() < 2.5
