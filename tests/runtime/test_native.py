"""The kernels in C++ against plain operations. `ATEN_CPU_CAPABILITY=default` in the environment tests their
narrow vectors.
"""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.extractors.mobile_fpn import InvertedResidual, MobileFPN
from models.extractors.res_fpn import Residual
from models.generators.lite_unet import lite_head
from models.generators.res_unet import ResidualBlock, UnetLevel
from models.generators.rmgn import AAD, AADResBlock
from models.ops import correlation
from models.ops.flow import sample
from runtime.cpu import channels_last
from runtime.fold import folded, merge_neighbours, replace
from runtime.lite_head import SplitHead
from runtime.native import binding
from runtime.native.layers import (
    DoublingConv,
    NativeAAD,
    NativeAADResBlock,
    NativeConv,
    NativeHead,
    NativeInstanceNorm,
    NativeInvertedResidual,
    NativeResidual,
    NativeTaps,
    convolve,
    merge_doubling,
    upsampling_terms,
)
from runtime.native.winograd import fits_winograd
from runtime.smooth import SmoothedPyramid, Taps, shifted_upsampling
from utils.errors import UserError

ROUNDING = {'rtol': 0, 'atol': 2e-5}


@pytest.fixture(scope='module')
def kernels():
    """The operations, built if need be."""
    if problem := binding.find_problem():
        pytest.skip(problem)
    binding.load_kernels()
    return torch.ops.dm_vton_cpu


@pytest.fixture(autouse=True)
def still():
    torch.manual_seed(0)
    with torch.no_grad():
        yield


@pytest.mark.parametrize('size', [(1, 1), (3, 5), (8, 12), (9, 10), (33, 25)])
@pytest.mark.parametrize('channels', [(7, 5), (40, 64), (57, 33)])
def test_a_convolution_equals_the_plain_one_borders_included(kernels, channels, size):
    conv, x = nn.Conv2d(*channels, 3, padding=1), torch.randn(2, channels[0], *size)
    got = NativeConv(conv)(x)
    torch.testing.assert_close(got, conv(x), **ROUNDING)
    assert got.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('activation', [nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.1), nn.LeakyReLU(0.2)])
def test_an_activation_may_follow_and_a_bias_be_missing(kernels, activation):
    conv, x = nn.Conv2d(9, 20, 3, padding=1, bias=False), 20 * torch.randn(1, 9, 12, 9)
    torch.testing.assert_close(NativeConv(conv, activation)(x), activation(conv(x)), rtol=0, atol=2e-4)


def test_infinity_below_zero_becomes_zero(kernels):
    conv, x = nn.Conv2d(16, 16, 3, padding=1), torch.randn(1, 16, 8, 6)
    conv.bias[3] = -torch.inf
    for activation in (nn.ReLU(), nn.ReLU6()):
        assert (NativeConv(conv, activation)(x)[:, 3] == 0).all()


def test_several_maps_are_one_with_all_their_channels(kernels):
    conv, x = nn.Conv2d(30, 16, 3, padding=1), torch.randn(2, 30, 10, 9)
    torch.testing.assert_close(NativeConv(conv)(x[:, :11], x[:, 11:]), conv(x), **ROUNDING)


@pytest.mark.parametrize('size', [(1, 1), (7, 6), (33, 25)])
@pytest.mark.parametrize('out', [20, 64])
def test_an_addend_comes_before_the_activation(kernels, out, size):
    conv, x, addend = nn.Conv2d(24, out, 3, padding=1), torch.randn(2, 24, *size), torch.randn(2, out, *size)
    got = NativeConv(conv, nn.ReLU())(x, addend=addend)
    torch.testing.assert_close(got, F.relu(conv(x) + addend), **ROUNDING)
    with pytest.raises(RuntimeError, match='expected an addend of shape'):
        NativeConv(conv)(x, addend=addend[:1])


@pytest.mark.parametrize('size', [(1, 1), (3, 5), (8, 6), (21, 14)])
@pytest.mark.parametrize('channels', [(33, 20), (64, 4), (64, 2), (40, 64)])
def test_a_doubled_map_is_convolved_without_being_made(kernels, channels, size):
    conv, x = nn.Conv2d(*channels, 3, padding=1), torch.randn(2, channels[0], *size)
    expected = F.leaky_relu(conv(F.interpolate(x, scale_factor=2.0, mode='nearest')), 0.1)
    doubling = DoublingConv(conv)
    torch.testing.assert_close(F.leaky_relu(doubling(x), 0.1), expected)
    torch.testing.assert_close(convolve(doubling, nn.LeakyReLU(0.1))(x), expected, **ROUNDING)


def test_a_doubling_and_the_convolution_after_it_become_one(kernels):
    level = folded(UnetLevel(16, 32, inside=UnetLevel(32, 32, inside=None)))
    x, layers = torch.randn(1, 16, 24, 20), level.model
    expected, before = layers(x), len(layers)
    merge_neighbours(layers, merge_doubling)
    assert len(layers) == before - 1 and any(isinstance(layer, DoublingConv) for layer in layers)
    torch.testing.assert_close(layers(x), expected)
    other = nn.Sequential(nn.Upsample(scale_factor=2, mode='bilinear'), nn.Conv2d(64, 64, 3, padding=1))
    merge_neighbours(other, merge_doubling)
    assert len(other) == 2


@pytest.mark.parametrize('kind', [Residual, ResidualBlock])
def test_a_residual_equals_the_plain_one(kernels, kind):
    block, x = folded(kind(48)), torch.randn(2, 48, 13, 9)
    native_block = NativeResidual(block.block, getattr(block, 'relu', None))
    torch.testing.assert_close(native_block(x), block(x), **ROUNDING)


@pytest.mark.parametrize('size', [(4, 3), (9, 7), (40, 31)])
@pytest.mark.parametrize('channels', [1, 20, 64])
def test_an_instance_norm_equals_the_plain_one_also_far_from_zero(kernels, channels, size):
    x = torch.randn(2, channels, *size) * torch.linspace(0.1, 3, channels).view(-1, 1, 1) + 100
    norm = nn.InstanceNorm2d(channels)
    expected = norm(x.double()).float()
    got = NativeInstanceNorm(norm)(x)
    torch.testing.assert_close(
        got, expected, rtol=0, atol=2e-4
    )  # float32 has 8e-6 at 100, a tenth of which is the deviation
    torch.testing.assert_close(NativeInstanceNorm(norm)(x - 100), norm(x - 100), rtol=0, atol=2e-5)
    assert got.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('size', [(2, 3), (8, 6), (37, 20)])
@pytest.mark.parametrize('channels', [(64, 32), (20, 9), (33, 16)])
def test_a_denormalisation_equals_the_plain_one_and_a_relu(kernels, channels, size):
    aad, x = AAD(*channels), 3 * torch.randn(2, channels[0], *size) + 1
    person, cloth = torch.randn(2, 2, channels[1], *size)
    got = NativeAAD(aad)(x, person, cloth)
    expected = F.relu(aad(x, person, cloth))
    assert expected.std() > 0.1
    torch.testing.assert_close(got, expected, **ROUNDING)
    with pytest.raises(RuntimeError, match='attributes of the size of the map'):
        NativeAAD(aad)(x, person, cloth[:1])


@pytest.mark.parametrize('channels', [(32, 32), (32, 16)])
def test_a_block_of_denormalisations_equals_the_plain_one(kernels, channels):
    block = folded(nn.Sequential(AADResBlock(*channels, 24)))[0]
    x, person, cloth = torch.randn(2, channels[0], 11, 10), *torch.randn(2, 2, 24, 11, 10)
    expected = block(x, person, cloth)  # spectral norms that have not converged: large numbers
    scale = expected.abs().max()
    torch.testing.assert_close(
        NativeAADResBlock(block)(x, person, cloth) / scale, expected / scale, **ROUNDING
    )


def test_no_picture_is_no_result(kernels):
    assert NativeConv(nn.Conv2d(16, 8, 3, padding=1))(torch.zeros(0, 16, 9, 7)).shape == (0, 8, 9, 7)
    assert NativeConv(nn.Conv2d(16, 8, 3, padding=1))(torch.zeros(1, 16, 0, 7)).shape == (1, 8, 0, 7)
    for maps in (torch.zeros(3, 0, 16, 5, 4), torch.zeros(3, 1, 16, 0, 4)):
        assert NativeAAD(AAD(16, 16))(*maps).shape == maps[0].shape
        assert NativeInstanceNorm(nn.InstanceNorm2d(16))(maps[0]).shape == maps[0].shape


def test_what_is_not_a_number_stays_so_and_stays_where_it_is(kernels):
    conv, x = nn.Conv2d(16, 16, 3, padding=1), torch.randn(1, 16, 16, 16)
    x[0, 3, 8, 8] = torch.nan
    got = NativeConv(conv, nn.ReLU6())(x)
    assert got[..., 7:10, 7:10].isnan().all() and not got[..., :4].isnan().any()


@pytest.mark.parametrize(
    'settings',
    [
        {'expansion': 6},
        {'expansion': 6, 'stride': 2},
        {'expansion': 1},
        {'expansion': 1, 'always_expand': True},
    ],
)
@pytest.mark.parametrize('channels', [(24, 24), (12, 20)])
@pytest.mark.parametrize('size', [(1, 1), (8, 6), (9, 7), (31, 20)])
def test_an_inverted_residual_equals_the_plain_one(kernels, settings, channels, size):
    block = InvertedResidual(*channels, **settings)
    for norm in block.modules():
        if isinstance(norm, nn.BatchNorm2d):
            (
                norm.running_mean.normal_(),
                norm.running_var.uniform_(0.5, 2),
                norm.weight.uniform_(1, 2),
                norm.bias.normal_(),
            )
    block, x = folded(block), 3 * torch.randn(2, channels[0], *size)
    got = NativeInvertedResidual(block.conv, has_shortcut=block.has_shortcut)(x)
    torch.testing.assert_close(got, block(x), **ROUNDING)
    assert got.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('align_corners', [True, False])
@pytest.mark.parametrize('size', [(8, 6), (1, 6), (5, 1), (1, 1), (37, 53)])
def test_sampling_equals_the_plain_one_far_outside_too(kernels, align_corners, size):
    picture, flow = torch.randn(2, 19, *size), 1.5 * torch.randn(2, 2, 7, 9)
    flow[0, :, 0, 0], flow[0, :, 0, 1], flow[1, :, 0, 0], flow[1, :, 0, 1] = 1, -1, 1e6, torch.nan
    got = kernels.sample(channels_last(picture), flow, align_corners)
    torch.testing.assert_close(got, sample(picture, flow, align_corners=align_corners), rtol=0, atol=1e-5)


@pytest.mark.parametrize('padding_mode', ['border', 'zeros'])
@pytest.mark.parametrize('align_corners', [True, False])
@pytest.mark.parametrize('size', [(8, 6), (1, 6), (5, 1), (1, 1), (37, 53)])
def test_sampling_of_planes_equals_the_plain_one_far_outside_too(kernels, align_corners, size, padding_mode):
    picture, flow = torch.randn(2, 3, *size), 1.5 * torch.randn(2, 2, 7, 9)
    flow[0, :, 0, 0], flow[0, :, 0, 1], flow[1, :, 0, 0], flow[1, :, 0, 1] = 1, -1, 1e6, torch.nan
    flow[0, :, 0, 2] = 1 + 0.5 / max(size)  # half a pixel or less outside
    got = kernels.sample_planes(channels_last(picture), flow, align_corners, padding_mode == 'zeros')
    wanted = sample(picture, flow, align_corners=align_corners, padding_mode=padding_mode)
    if padding_mode == 'zeros':
        wanted[1, :, 0, 1] = 0  # NaN is nowhere; PyTorch makes NaN of it
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize('channels', [7, 8])
@pytest.mark.parametrize('size', [(2, 2), (16, 12), (38, 26)])
def test_the_end_of_the_small_generator_equals_the_plain_one(kernels, channels, size):
    head = lite_head(channels)
    for layer in head:
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
    nn.init.normal_(head[-1].weight)  # else all pixels of a block are equal
    head = folded(nn.Sequential(head))[0]
    features, x = torch.randn(2, 16, size[0] // 2, size[1] // 2), torch.randn(2, channels, *size)
    split = SplitHead(head)
    wanted = head(features, x)
    torch.testing.assert_close(split(features, x), wanted, **ROUNDING)
    got = NativeHead(split)(channels_last(features), x)
    torch.testing.assert_close(got, wanted, **ROUNDING)
    assert got.is_contiguous()


@pytest.mark.parametrize('size', [(1, 1), (2, 3), (8, 6), (13, 9)])
def test_a_cost_volume_equals_the_plain_one_and_a_leaky_relu(kernels, size):
    first, second = torch.randn(2, 2, 48, *size)
    got = kernels.cost_volume(channels_last(first), channels_last(second), 0.1)
    torch.testing.assert_close(got, F.leaky_relu(correlation(first, second, impl='torch'), 0.1), **ROUNDING)


@pytest.mark.parametrize('size', [(64, 96), (32, 32)])
def test_the_rearranged_pyramid_stays_what_it_was(kernels, size, weights):
    pyramid = MobileFPN(3).eval()
    filled = weights.fill({f'mobile.{key}': value for key, value in pyramid.state_dict().items()}, 11)
    pyramid.load_state_dict({key.removeprefix('mobile.'): value for key, value in filled.items()})
    smoothed = SmoothedPyramid(folded(pyramid))
    x = torch.cat([weights.image(seed, 3, size=size) for seed in (1, 2)])
    expected = smoothed(x)
    replace(smoothed, Taps, NativeTaps)
    for got, wanted in zip(smoothed(channels_last(x)), expected, strict=True):
        assert wanted.std() > 0.01
        torch.testing.assert_close(got, wanted, **ROUNDING)


def test_the_terms_are_the_matrix():
    index, weight = upsampling_terms(6, 2)
    dense = torch.zeros(24, 18).scatter_add(1, index, weight)
    assert index.shape[1] < 10 and torch.equal(
        dense, shifted_upsampling(6, 2, torch.float32, torch.device('cpu'))
    )


@pytest.mark.parametrize(
    'size', [(40, 30), (16, 16)]
)  # tiles in groups; 16 tiles, which two threads do together, one in groups
def test_one_thread_and_two_give_the_same_numbers(kernels, size):
    conv, aad, x = (
        NativeConv(nn.Conv2d(64, 64, 3, padding=1)),
        NativeAAD(AAD(64, 64)),
        torch.randn(1, 64, *size),
    )
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(torch.stack([conv(x), aad(x, x, x)]))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*results)


def test_maps_that_are_laid_out_otherwise_are_refused(kernels):
    x, flow = torch.randn(1, 16, 8, 6), torch.zeros(1, 2, 8, 6)
    for wrong in (x, channels_last(x).double()):
        with pytest.raises(RuntimeError, match='expected a float32 map on the CPU with its channels last'):
            kernels.sample(wrong, flow, True)
    block = folded(InvertedResidual(16, 16, expansion=1))
    residual = NativeInvertedResidual(block.conv, has_shortcut=True)
    for module in (NativeConv(nn.Conv2d(16, 16, 3, padding=1)), residual):
        with pytest.raises(RuntimeError, match='expected 16 channels, got 8'):
            module(x[:, :8])
    with pytest.raises(RuntimeError, match='a picture with at least one pixel'):
        kernels.sample(channels_last(x[:, :, :0]), flow, True)
    with pytest.raises(RuntimeError, match='a picture with at least one pixel'):
        kernels.sample_planes(x[:, :, :0], flow, True, True)
    with pytest.raises(RuntimeError, match='expected a float32 picture'):
        kernels.sample_planes(x.double(), flow, True, True)


def test_a_gradient_is_refused_rather_than_lost(kernels):
    with torch.enable_grad(), pytest.raises(RuntimeError, match='no backward pass'):
        NativeConv(nn.Conv2d(16, 16, 3, padding=1))(torch.randn(1, 16, 8, 6, requires_grad=True))


def test_what_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(binding, 'library_path', lambda: tmp_path / 'not_built.so')
    monkeypatch.delenv('CXX', raising=False)
    monkeypatch.setattr(binding.sys, 'platform', 'win32')
    assert binding.find_problem() == 'its kernels are built on Linux only, not on win32'
    monkeypatch.setattr(binding.sys, 'platform', 'linux')
    monkeypatch.setattr(binding.shutil, 'which', {'ninja': '/usr/bin/ninja'}.get)
    assert (
        binding.find_problem()
        == f'there is no program {binding.COMPILER!r}, which builds its kernels; install g++ and ninja'
    )
    monkeypatch.setenv('CXX', binding.COMPILER)
    assert binding.find_problem().endswith('install g++ and ninja, or correct CXX')


def test_kernels_that_do_not_compile_are_one_line_and_leave_nothing(kernels, monkeypatch, tmp_path):
    source = tmp_path / 'broken.cpp'
    source.write_text('#error of no use\n')
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'home'))
    monkeypatch.setattr(binding, 'SOURCE', source)
    if binding.find_problem():
        pytest.skip('the kernels were built before, and there is no compiler')
    with pytest.raises(UserError, match='the kernels of mode native could not be built: .*error.*of no use'):
        binding._build(binding.library_path())
    assert not (tmp_path / 'home').exists()


def test_a_folder_that_takes_no_file_is_named(monkeypatch, tmp_path):
    def run(line, **options):
        (Path(line[2].partition("'build_directory': '")[2].partition("'")[0]) / 'dm_vton_cpu.so').touch()
        return subprocess.CompletedProcess(line, 0)

    monkeypatch.setattr(binding.subprocess, 'run', run)
    (tmp_path / 'file').touch()
    with pytest.raises(
        UserError,
        match='the kernels of mode native cannot be kept: .*file.*; TORCH_HOME names another folder',
    ):
        binding._build(tmp_path / 'file' / 'kernels.so')


def test_built_kernels_need_no_compiler(kernels):
    code = 'from runtime.native import binding; print(binding.find_problem()); binding.load_kernels()'
    environment = os.environ | {'PATH': '/nonexistent', 'CXX': '/nonexistent'}
    done = subprocess.run([sys.executable, '-c', code], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, 'None'), done.stderr


def test_threads_that_want_the_kernels_at_once_build_them_once(monkeypatch, tmp_path):
    built = []
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    monkeypatch.setattr(binding, '_build', lambda path: time.sleep(0.2))
    monkeypatch.setattr(binding, '_load', built.append)
    monkeypatch.setattr(binding, '_is_loaded', lambda: bool(built))
    threads = [threading.Thread(target=binding.load_kernels) for _ in range(4)]
    for action in (threading.Thread.start, threading.Thread.join):
        for thread in threads:
            action(thread)
    assert len(built) == 1


def test_a_damaged_file_is_named(kernels, tmp_path):
    damaged = tmp_path / 'kernels.so'
    damaged.write_bytes(b'nothing that a loader knows')
    with pytest.raises(
        UserError, match='cannot be read: .*(short|header).*; delete .*kernels.so, and they are built anew'
    ):
        binding._load(damaged)


OTHERS = [
    {'stride': 2},
    {'groups': 2},
    {'dilation': 2, 'padding': 2},
    {'padding': 0},
    {'padding_mode': 'reflect'},
]
OTHERS += [{'out_channels': 2}]


@pytest.mark.parametrize('settings', OTHERS)
def test_other_convolutions_are_left_alone(settings):
    usual = {'in_channels': 128, 'out_channels': 64, 'kernel_size': 3, 'padding': 1}
    assert fits_winograd(nn.Conv2d(**usual), 1000)
    assert not fits_winograd(nn.Conv2d(**usual | settings), 1000)
