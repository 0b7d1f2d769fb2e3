"""The fast operations on a CPU against the plain ones."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.ops.flow import sample
from runtime.cpu import (
    SMALLEST_MAP,
    FusedConv,
    WinogradConv,
    channels_first,
    channels_last,
    fits_winograd,
    has_fused_convs,
    has_winograd,
    sample_rows,
)

winograd = pytest.mark.skipif(not has_winograd(), reason='this PyTorch has no NNPACK for this processor')
fused = pytest.mark.skipif(not has_fused_convs(), reason='this PyTorch has no fused convolutions of oneDNN')


@winograd
@pytest.mark.parametrize('size', [(50, 41), (64, 48)])
@pytest.mark.parametrize('channels', [(49, 128), (64, 32)])
@pytest.mark.parametrize('count', [1, 2])
def test_winograds_algorithm_equals_the_convolution(size, channels, count):
    torch.manual_seed(0)
    conv = nn.Conv2d(*channels, 3, padding=1)
    x = torch.randn(count, channels[0], *size)
    assert size[0] * size[1] >= SMALLEST_MAP
    with torch.no_grad():
        for last in (False, True):
            given = x.to(memory_format=torch.channels_last) if last else x
            # transforming 8 x 8 values rounds: 2.5e-5 measured
            torch.testing.assert_close(WinogradConv(conv)(given), conv(x), rtol=0, atol=1e-4)
        got = WinogradConv(conv, nn.LeakyReLU(0.1, inplace=True))(x)
        torch.testing.assert_close(got, F.leaky_relu(conv(x), 0.1), rtol=0, atol=1e-4)


@winograd
def test_small_maps_are_convolved_directly():
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 64, 3, padding=1)
    x = torch.randn(1, 64, 16, 12)
    with torch.no_grad():
        torch.testing.assert_close(WinogradConv(conv, nn.ReLU())(x), F.relu(conv(x)), rtol=0, atol=1e-5)


OTHERS = [{'stride': 2}, {'groups': 2}, {'dilation': 2, 'padding': 2}, {'padding': 0}, {'padding_mode': 'reflect'}]
OTHERS += [{'out_channels': 2}]


@pytest.mark.parametrize('settings', OTHERS)
def test_other_convolutions_are_left_alone(settings):
    usual = {'in_channels': 64, 'out_channels': 64, 'kernel_size': 3, 'padding': 1}
    assert fits_winograd(nn.Conv2d(**usual))
    assert not fits_winograd(nn.Conv2d(**usual | settings))


@fused
@pytest.mark.parametrize('activation', [None, nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.1), nn.LeakyReLU(0.2)])
@pytest.mark.parametrize('settings', [{'kernel_size': 1}, {'kernel_size': 3, 'padding': 1, 'stride': 2, 'groups': 8}])
def test_a_fused_convolution_equals_convolution_and_activation(activation, settings):
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 16, **settings)
    x = 10 * torch.randn(2, 8, 9, 7)
    with torch.no_grad():
        expected = conv(x) if activation is None else activation(conv(x))
        for last in (False, True):
            given = x.to(memory_format=torch.channels_last) if last else x
            torch.testing.assert_close(FusedConv(conv, activation)(given), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('align_corners', [True, False])
@pytest.mark.parametrize('size', [(8, 6), (1, 6), (5, 1), (1, 1), (37, 53)])
def test_sampling_rows_equals_sampling_far_outside_too(align_corners, size):
    torch.manual_seed(0)
    picture = torch.randn(2, 5, *size)
    flow = 1.5 * torch.randn(2, 2, 7, 9)
    flow[0, :, 0, 0], flow[0, :, 0, 1], flow[1, :, 0, 0] = 1, -1, 1e6
    got = sample_rows(channels_last(picture), flow, align_corners=align_corners)
    torch.testing.assert_close(got, sample(picture, flow, align_corners=align_corners), rtol=0, atol=1e-5)
    assert got.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('count', [1, 3])
def test_memory_formats_change_no_number(count):
    x = torch.randn(count, 4, 5, 6)
    last = channels_last(x)
    assert torch.equal(last, x) and last.is_contiguous(memory_format=torch.channels_last)
    first = channels_first(last)
    assert torch.equal(first, x) and first.is_contiguous()
    expanded = x[:1].expand(count, 4, 5, 6)
    assert torch.equal(channels_first(expanded), expanded) and torch.equal(channels_last(expanded), expanded)
