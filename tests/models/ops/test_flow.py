"""Sampling and flows against slow obvious versions."""

import cv2
import numpy as np
import pytest
import torch

from models.ops.flow import advance, offset_to_flow, prefilter, rescale, sample, second_differences


def slow_sample(picture, flow, *, align_corners, padding_mode):
    """Bilinear sampling, pixel by pixel, as its definition says."""
    n, channels, height, width = picture.shape
    out = np.zeros((n, channels, *flow.shape[2:]))
    for b, y, x in np.ndindex(n, *flow.shape[2:]):
        u, v = flow[b, :, y, x]
        if align_corners:
            column, row = (u + 1) / 2 * (width - 1), (v + 1) / 2 * (height - 1)
        else:
            column, row = ((u + 1) * width - 1) / 2, ((v + 1) * height - 1) / 2
        if padding_mode == 'border':
            column, row = np.clip(column, 0, width - 1), np.clip(row, 0, height - 1)
        left, top = int(np.floor(column)), int(np.floor(row))
        for i in (top, top + 1):
            for j in (left, left + 1):
                if 0 <= i < height and 0 <= j < width:
                    out[b, :, y, x] += picture[b, :, i, j] * (1 - abs(row - i)) * (1 - abs(column - j))
    return out


@pytest.mark.parametrize('align_corners', [True, False])
@pytest.mark.parametrize('padding_mode', ['border', 'zeros'])
def test_sampling_equals_the_definition(align_corners, padding_mode):
    rng = np.random.default_rng(0)
    picture, flow = rng.normal(size=(2, 3, 5, 7)), rng.uniform(-1.5, 1.5, size=(2, 2, 4, 6))
    options = {'align_corners': align_corners, 'padding_mode': padding_mode}
    fast = sample(torch.from_numpy(picture), torch.from_numpy(flow), **options)
    np.testing.assert_allclose(fast.numpy(), slow_sample(picture, flow, **options), atol=1e-12)


def test_gradients_of_sampling_are_those_of_its_values():
    torch.manual_seed(0)
    picture = torch.randn(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    flow = (torch.rand(1, 2, 3, 3, dtype=torch.float64) * 1.6 - 0.8).requires_grad_()
    assert torch.autograd.gradcheck(lambda p, f: sample(p, f, align_corners=True), (picture, flow))


def test_a_16_bit_picture_is_sampled_at_full_precision_coordinates():
    ramp = torch.linspace(0, 1, 192, dtype=torch.float64).expand(1, 1, 2, 192)
    flow = torch.stack([torch.linspace(-1, 1, 777), torch.zeros(777)])[None, :, None]  # [1, 2, 1, 777]
    exact = sample(ramp, flow.double(), align_corners=True)
    half = sample(ramp.half(), flow, align_corners=True)
    assert half.dtype is torch.float16
    # Rounding of the ramp's own 16-bit values, 2^-12; a 16-bit coordinate would be off by a twentieth of a
    # pixel, 2.5e-4 more.
    torch.testing.assert_close(half.double(), exact, rtol=0, atol=2**-11)


def test_a_flow_that_is_not_finite_has_finite_gradients_and_a_finite_one_is_not_changed():
    """PyTorch's own backward pass writes outside the picture for NaN, which ends in SIGSEGV."""
    torch.manual_seed(0)
    picture, flow = torch.randn(1, 2, 4, 5), torch.rand(1, 2, 3, 3) * 4 - 2
    with torch.no_grad():
        expected = sample(picture, flow, align_corners=True)
    picture.requires_grad_(), flow.requires_grad_()
    assert torch.equal(sample(picture, flow, align_corners=True), expected)
    broken = flow.detach().clone()
    broken[0, 0, 0], broken[0, 1, 1] = torch.nan, torch.inf
    broken.requires_grad_()
    result = sample(picture, broken, align_corners=True)
    result.sum().backward()
    assert result.isfinite().all() and picture.grad.isfinite().all() and broken.grad.isfinite().all()
    assert (broken.grad[0, 0, 0] == 0).all(), 'a coordinate that is no number has no gradient'


def test_no_offset_is_the_identity_with_aligned_corners():
    picture = torch.randn(1, 3, 6, 8, dtype=torch.float64)
    flow = offset_to_flow(torch.zeros(1, 2, 6, 8, dtype=torch.float64))
    torch.testing.assert_close(sample(picture, flow, align_corners=True), picture)


def test_an_offset_is_in_pixels():
    picture = torch.randn(1, 1, 6, 8)
    offset = torch.zeros(1, 2, 6, 8)
    offset[:, 0], offset[:, 1] = 2, -1
    shifted = sample(picture, offset_to_flow(offset), align_corners=True)
    torch.testing.assert_close(shifted[..., 1:, :-2], picture[..., :-1, 2:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_flow_is_float32_or_wider_whatever_the_offset_is(dtype):
    flow = offset_to_flow(torch.zeros(1, 2, 3, 4, dtype=dtype))
    assert flow.dtype == (torch.float64 if dtype is torch.float64 else torch.float32)


def test_a_side_of_one_pixel_gives_finite_flow():
    assert offset_to_flow(torch.ones(1, 2, 1, 1)).isfinite().all()


def test_advancing_samples_the_flow_so_far_at_the_step():
    torch.manual_seed(0)
    flow, offset = torch.rand(1, 2, 4, 6), torch.randn(1, 2, 4, 6)
    expected = slow_sample(
        flow.numpy(), offset_to_flow(offset).numpy(), align_corners=True, padding_mode='border'
    )
    np.testing.assert_allclose(advance(flow, offset, align_corners=True).numpy(), expected, atol=1e-5)
    torch.testing.assert_close(advance(None, offset, align_corners=True), offset_to_flow(offset))


def test_second_differences_are_those_of_the_four_directions():
    flow = torch.randn(1, 2, 5, 6, dtype=torch.float64)
    fast = second_differences(flow)
    assert fast.shape == (1, 2, 4, 3, 4)
    for direction, (dy, dx) in enumerate([(0, 1), (1, 0), (1, 1), (1, -1)]):
        for c, y, x in np.ndindex(2, 3, 4):
            line = [flow[0, c, y + 1 + step * dy, x + 1 + step * dx] for step in (-1, 0, 1)]
            torch.testing.assert_close(fast[0, c, direction, y, x], line[0] - 2 * line[1] + line[2])


def test_scaling_down_does_not_antialias():
    stripes = torch.tensor([0.0, 0.0, 0.0, 1.0] * 2).expand(1, 1, 8, 8)
    quarter = rescale(stripes, 0.25)
    torch.testing.assert_close(
        quarter, torch.zeros(1, 1, 2, 2)
    )  # the middle two of four columns; an average would give 0.25


def test_a_prefilter_is_a_gaussian_blur_inside_the_mask():
    rng = np.random.default_rng(0)
    picture, mask = rng.uniform(-1, 1, (12, 9, 3)), np.zeros((12, 9, 1))
    mask[2:9, 3:] = 1  # up to a border of the picture
    picture[:2] = 1e6  # the ground must not be seen

    def blurred(maps):
        return cv2.GaussianBlur(maps, (5, 5), 0.65, borderType=cv2.BORDER_CONSTANT).reshape(maps.shape)

    share = blurred(mask)
    expected = np.where(share > 0.02, blurred(picture * mask) / share.clip(1e-9), 0)
    got = prefilter(*(torch.from_numpy(x).permute(2, 0, 1)[None] for x in (picture, mask)), 0.65)
    # opencv computes its taps in float32
    np.testing.assert_allclose(got[0].permute(1, 2, 0).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_a_prefilter_keeps_a_plain_colour_up_to_the_rim(dtype):
    mask = (torch.rand(2, 1, 32, 24) > 0.5).to(dtype)
    colour = torch.tensor([0.5, -0.25, 0.75], dtype=dtype)[:, None, None]
    smooth = prefilter(mask * colour, mask, 0.65)
    assert smooth.dtype == dtype
    tolerance = 8 * torch.finfo(dtype).eps
    inside = mask.bool().expand_as(smooth)
    torch.testing.assert_close(smooth[inside], colour.expand_as(smooth)[inside], rtol=0, atol=tolerance)
    nowhere = prefilter(torch.zeros_like(smooth), torch.zeros_like(mask), 0.65)
    assert not nowhere.any()


def test_a_prefilter_without_a_mask_takes_all_of_the_picture():
    picture = torch.randn(1, 3, 8, 6)
    everything = torch.ones(1, 1, 8, 6)
    torch.testing.assert_close(prefilter(picture, None, 0.65), prefilter(picture, everything, 0.65))
