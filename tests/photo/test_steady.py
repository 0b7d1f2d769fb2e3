"""Steadier pictures: noise is evened out where nothing moves, and nothing lags where something does."""

import pytest
import torch

from models.ops.flow import offset_to_flow, sample
from models.outputs import GarmentCode, PersonCode, TryOn
from webapp.steady import Pace, SteadyPipeline

SIZE = (32, 24)


class Flickering:
    """Warps and renders the same again and again, with noise in everything."""

    align_corners = True

    def __init__(self):
        self.noise = torch.Generator().manual_seed(0)

    def __call__(self, person, garment):
        def noisy(x, scale):
            return x + scale * torch.randn(x.shape, generator=self.noise)

        flow = offset_to_flow(noisy(torch.zeros(1, 2, *SIZE), 0.3))
        cloth = sample(garment.cloth, flow, align_corners=True)
        mask, rendered = noisy(torch.full((1, 1, *SIZE), 0.5), 0.1), noisy(person.person * 0.9, 0.1)
        return TryOn(cloth * mask + rendered * (1 - mask), rendered, mask, cloth, mask, flow)


@pytest.fixture
def garment():
    return GarmentCode(torch.rand(1, 3, *SIZE), torch.ones(1, 1, *SIZE), ())


def person(value: float = 0.0) -> PersonCode:
    return PersonCode(torch.full((1, 3, *SIZE), value), ())


def flicker(network, garment) -> float:
    frames = [network(person(), garment).image for _ in range(12)]
    return torch.stack([(new - old).abs().mean() for old, new in zip(frames[4:], frames[5:], strict=False)]).mean().item()


def test_a_still_scene_flickers_less(garment):
    assert flicker(SteadyPipeline(Flickering()), garment) < 0.5 * flicker(Flickering(), garment)


def test_a_frame_is_composed_of_what_was_mixed(garment):
    steady = SteadyPipeline(Flickering())
    steady(person(), garment)
    result = steady(person(), garment)
    torch.testing.assert_close(result.image, result.warped_cloth * result.mask + result.rendered * (1 - result.mask))
    torch.testing.assert_close(result.warped_cloth, sample(garment.cloth, result.flow, align_corners=True))


@pytest.mark.parametrize('moved', [0.4, 1.5])
def test_what_moves_is_the_new_frame_at_once(moved, garment):
    steady, alone = SteadyPipeline(Flickering()), Flickering()
    steady(person(), garment), alone(person(), garment)
    expected = alone(person(moved), garment)
    torch.testing.assert_close(steady(person(moved), garment).image, expected.image)


def test_only_what_moves_is_new(garment):
    steady, alone = SteadyPipeline(Flickering()), Flickering()
    first = steady(person(), garment).rendered
    alone(person(), garment)
    picture = torch.zeros(1, 3, *SIZE)
    picture[..., :8, :] = 0.6
    expected = alone(PersonCode(picture, ()), garment).rendered
    mixed = steady(PersonCode(picture, ()), garment).rendered
    torch.testing.assert_close(mixed[..., :4, :], expected[..., :4, :])
    torch.testing.assert_close(mixed[..., 14:, :], (0.65 * first + 0.35 * expected)[..., 14:, :])


def test_another_garment_begins_anew(garment):
    steady, alone = SteadyPipeline(Flickering()), Flickering()
    steady(person(), garment), alone(person(), garment)
    other = garment._replace(cloth=1 - garment.cloth)
    torch.testing.assert_close(steady(person(), other).image, alone(person(), other).image)


def test_the_pace_is_frames_a_second_and_a_pause_does_not_count():
    pace = Pace()
    assert pace.tick(10.0) == 0
    values = [pace.tick(10.0 + 0.1 * frame) for frame in range(1, 20)]
    assert values == pytest.approx([10.0] * 19)
    assert pace.tick(100.0) == pytest.approx(10.0)
    for frame in range(1, 10):
        last = pace.tick(100.0 + 0.5 * frame)
    assert last == pytest.approx(2.0)
