"""The rearranged mobile pyramid."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from models.extractors.mobile_fpn import MobileFPN
from runtime.fold import folded, replace
from runtime.smooth import ChannelsLastTaps, SmoothedPyramid, Taps, shifted_upsampling


@pytest.fixture(scope='module')
def pyramid(weights):
    pyramid = MobileFPN(3).eval()
    pyramid.load_state_dict(
        {
            key.removeprefix('mobile.'): value
            for key, value in weights.fill(
                {f'mobile.{key}': value for key, value in pyramid.state_dict().items()}, 11
            ).items()
        }
    )
    return folded(pyramid).double()


@pytest.mark.parametrize('last', [False, True])
@pytest.mark.parametrize('size', [(64, 96), (32, 32), (128, 64)])
def test_all_levels_equal_those_of_the_pyramid_borders_included(pyramid, size, last, weights):
    x = torch.cat([weights.image(seed, 3, size=size) for seed in (1, 2)]).double()
    smoothed = SmoothedPyramid(pyramid)
    if last:
        replace(smoothed, Taps, ChannelsLastTaps)
        x = x.to(memory_format=torch.channels_last)
    with torch.no_grad():
        for got, expected in zip(smoothed(x), pyramid(x), strict=True):
            assert expected.std() > 0.01
            torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-11)


def test_it_needs_less_than_half_of_the_arithmetic(pyramid):
    x = torch.zeros(1, 3, 256, 192, dtype=torch.float64)
    counts = []
    for network in (pyramid, SmoothedPyramid(pyramid)):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(x)
        counts.append(counter.get_total_flops())
    assert counts[1] < 0.45 * counts[0]


def test_the_matrix_shifts_upsamples_and_sums():
    matrix = shifted_upsampling(2, 1, torch.float64, torch.device('cpu'))
    up = torch.tensor([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]], dtype=torch.float64)
    zero = torch.zeros(1, 2, dtype=torch.float64)
    expected = torch.cat([torch.cat([zero, up[:-1]]), up, torch.cat([up[1:], zero])], dim=1)
    assert torch.equal(matrix, expected)


def test_what_a_tracer_sees_is_not_kept_for_later_calls():
    class Matrix(nn.Module):
        def forward(self, x):
            return shifted_upsampling(3, 1, x.dtype, x.device) @ x

    x = torch.ones(9, 1)
    torch.export.export(Matrix(), (x,))
    assert torch.equal(Matrix()(x), torch.tensor([[2.0], [3], [3], [3], [3], [2]]))
