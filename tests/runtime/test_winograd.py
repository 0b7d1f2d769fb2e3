"""Winograd's algorithm against direct convolution."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from runtime import winograd
from runtime.winograd import WinogradConv


def conv_and_map(channels=(7, 5), size=(10, 9), count=2, dtype=torch.float64, **settings):
    torch.manual_seed(0)
    conv = nn.Conv2d(*channels, 3, padding=1, dtype=dtype, **settings).requires_grad_(False)
    return conv, torch.randn(count, channels[0], *size, dtype=dtype)


@pytest.mark.parametrize('chunk', [1, 10_000, winograd.CHUNK])
@pytest.mark.parametrize('size', [(1, 1), (3, 5), (8, 12), (9, 10), (11, 7)])
def test_it_computes_what_the_convolution_computes(size, chunk, monkeypatch):
    monkeypatch.setattr(winograd, 'CHUNK', chunk)
    conv, x = conv_and_map(size=size)
    for given in (x, x.to(memory_format=torch.channels_last), x.expand(2, *x.shape).flatten(0, 1)[::2]):
        got = WinogradConv(conv)(given)
        torch.testing.assert_close(got, conv(given), rtol=1e-11, atol=1e-11)
        assert got.permute(0, 2, 3, 1).stride(3) == 1


def test_several_maps_are_one_with_all_their_channels():
    conv, x = conv_and_map()
    torch.testing.assert_close(WinogradConv(conv)(x[:, :2], x[:, 2:]), conv(x), rtol=1e-11, atol=1e-11)


def test_a_bias_may_be_missing_and_an_activation_may_follow():
    conv, x = conv_and_map(bias=False)
    got = WinogradConv(conv, nn.LeakyReLU(0.1, inplace=True))(x)
    torch.testing.assert_close(got, F.leaky_relu(conv(x), 0.1), rtol=1e-11, atol=1e-11)


def test_float32_rounds_little_with_many_channels():
    conv, x = conv_and_map((512, 64), (32, 24), 1, torch.float32)
    exact = F.conv2d(x.double(), conv.weight.double(), conv.bias.double(), padding=1)
    assert 0.5 < exact.std() < 2
    error = (WinogradConv(conv)(x) - exact).abs().max().item()
    assert error < 1.5e-5  # 6.1e-6 measured; 2.6e-5 if one interpolates at 0, 1, -1, 2 and -2
