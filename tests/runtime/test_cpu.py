"""The fast operations on a CPU against the plain ones."""

import pytest
import torch
from torch import nn

from models.ops.flow import sample
from runtime.cpu import ChannelsLastInstanceNorm, FusedConv, channels_last, has_fused_convs, sample_rows

fused = pytest.mark.skipif(not has_fused_convs(), reason='this PyTorch has no fused convolutions of oneDNN')


@fused
@pytest.mark.parametrize('activation', [None, nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.1), nn.LeakyReLU(0.2)])
@pytest.mark.parametrize(
    'settings', [{'kernel_size': 1}, {'kernel_size': 3, 'padding': 1, 'stride': 2, 'groups': 8}]
)
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


def test_an_instance_norm_keeps_channels_last():
    torch.manual_seed(0)
    norm, x = nn.InstanceNorm2d(6), channels_last(3 + 10 * torch.randn(2, 6, 9, 7))
    got = ChannelsLastInstanceNorm(norm)(x)
    torch.testing.assert_close(got, norm(x), rtol=0, atol=1e-5)
    assert got.is_contiguous(memory_format=torch.channels_last)
