"""The composition at the photograph's size: closer to the truth than the small result enlarged, and exact
where it can be.
"""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from data.labels import GARMENT
from data.transforms import picture_tensor
from engine.metrics import ssim
from models.ops.flow import offset_to_flow, sample, sampled_pixels
from models.outputs import TryOn
from photo.composition import Composition, GarmentPhoto, enlarge, magnification, strips
from photo.framing import Box, Window, bounding_box
from synthetic.records import flat_garment, render_record

SMALL, LARGE = (128, 96), (384, 288)
WHOLE = Box(0, 0, LARGE[1], LARGE[0])


def tensor(array: np.ndarray) -> torch.Tensor:
    return picture_tensor(Image.fromarray(array), array.shape[:2])[None]


def without_gaps(flow: np.ndarray) -> torch.Tensor:
    """A true flow [2, H, W] with the nearest garment pixel's place where no garment is seen."""
    gaps = np.isnan(flow[0])
    _, labels = cv2.distanceTransformWithLabels(
        gaps.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest = np.zeros(labels.max() + 1, int)
    nearest[labels[~gaps]] = np.flatnonzero(~gaps)
    return torch.from_numpy(flow.reshape(2, -1)[:, nearest[labels.ravel()]].reshape(flow.shape))[None].float()


def perfect_result(index: int, shade: bool) -> TryOn:
    """What perfect networks would return at the small size for a test record and its neighbour's garment."""
    record, garment = (
        render_record(5, 'test', index, size=SMALL, other=index ^ 1, shade=shade),
        flat_garment(5, 'test', index ^ 1, SMALL),
    )
    flow, edge = without_gaps(record.truth.flow), torch.from_numpy(garment.edge / 255).float()[None, None]
    cloth = sample(tensor(garment.picture) * edge, flow, align_corners=True)
    edge = sample(edge, flow, align_corners=True, padding_mode='zeros')
    mask = torch.from_numpy(record.truth.mask == GARMENT)[None, None].float() * edge
    rendered = tensor(record.truth.image)
    return TryOn(cloth * mask + rendered * (1 - mask), rendered, mask, cloth, edge, flow)


def composed_at(composition: Composition, box: Box) -> np.ndarray:
    layers = composition(box)
    return layers.over(layers.drawn)


@pytest.mark.parametrize(('index', 'shade'), [(2, False), (2, True), (5, True)])
def test_the_garment_is_closer_to_the_truth_than_in_the_small_result_enlarged(index, shade):
    result = perfect_result(index, shade)
    truth = render_record(5, 'test', index, size=LARGE, other=index ^ 1, shade=shade).truth
    garment = flat_garment(5, 'test', index ^ 1, LARGE)
    window = Window(0, 0, LARGE[1], LARGE[0])
    fine = GarmentPhoto(Image.fromarray(garment.picture), Image.fromarray(garment.edge), window)
    composed = composed_at(Composition(result, fine, window, align_corners=True), WHOLE)
    composed = torch.from_numpy(composed).permute(2, 0, 1)[None] * 2 - 1
    enlarged = F.interpolate(result.image, size=LARGE, mode='bicubic', align_corners=False).clamp(-1, 1)
    box = bounding_box(truth.mask == GARMENT)  # SSIM takes its time
    true, composed, enlarged, region = (
        part[..., box.top : box.bottom, box.left : box.right]
        for part in (
            tensor(truth.image),
            composed,
            enlarged,
            torch.from_numpy(truth.mask == GARMENT)[None, None],
        )
    )
    ours, plain = (ssim(true, picture, region) for picture in (composed, enlarged))
    assert ours > plain + 0.02, (ours, plain)
    if not shade:
        assert ours > 0.9, ours


@pytest.mark.parametrize('cubic', [True, False])
def test_enlarging_is_what_interpolation_does(cubic):
    maps = torch.randn(3, 16, 12, generator=torch.Generator().manual_seed(0))
    window = Window(0, 0, 60, 80)
    ours = enlarge(maps, window, Box(0, 0, 60, 80), cubic=cubic)
    # With antialias PyTorch's cubic is Catmull-Rom's, too; at the border it drops the taps that are repeated
    # here.
    mode = {'mode': 'bicubic', 'antialias': True} if cubic else {'mode': 'bilinear'}
    theirs = F.interpolate(maps[None], size=(80, 60), align_corners=False, **mode)[0]
    inner = (slice(None), slice(8, -8), slice(8, -8)) if cubic else slice(None)
    assert (ours - theirs)[inner].abs().max() < 1e-5
    assert (enlarge(maps, window, Box(7, 11, 40, 33), cubic=cubic) - ours[:, 11:33, 7:40]).abs().max() < 1e-6


@pytest.mark.parametrize('cubic', [True, False])
def test_enlarging_a_slope_keeps_it_straight_away_from_the_border(cubic):
    slope = torch.arange(12.0).expand(1, 16, 12)
    large = enlarge(slope, Window(0, 0, 48, 64), Box(0, 0, 48, 64), cubic=cubic)
    expected = (torch.arange(48) + 0.5) / 4 - 0.5
    assert (large[0, :, 8:-8] - expected[8:-8]).abs().max() < 1e-4


@pytest.mark.parametrize('align_corners', [True, False])
def test_places_are_where_the_flow_samples(align_corners):
    ramp = torch.stack(torch.meshgrid(torch.arange(16.0), torch.arange(12.0), indexing='ij')[::-1])[
        None
    ]  # x and y themselves
    flow = torch.rand(1, 2, 16, 12) * 1.6 - 0.8
    sampled = sample(ramp, flow, align_corners=align_corners)[0]
    assert (sampled_pixels(flow[0], align_corners=align_corners) - sampled).abs().max() < 1e-4


@pytest.mark.parametrize('align_corners', [True, False])
@pytest.mark.parametrize('factor', [1, 3])
def test_an_unmoved_garment_arrives_pixel_by_pixel(align_corners, factor):
    height, width = 32 * factor, 24 * factor
    picture = np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype(np.uint8)
    flow = offset_to_flow(torch.zeros(1, 2, 32, 24))
    if not align_corners:  # the same places, said in the other way
        places, sides = sampled_pixels(flow[0], align_corners=True), torch.tensor([24, 32])[:, None, None]
        flow = ((2 * places + 1) / sides - 1)[None]
    ones, small = torch.ones(1, 1, 32, 24), torch.zeros(1, 3, 32, 24)
    window = Window(0, 0, width, height)
    garment = GarmentPhoto(Image.fromarray(picture), Image.new('L', (width, height), 255), window)
    composition = Composition(
        TryOn(small, small, ones, small, ones, flow), garment, window, align_corners=align_corners
    )
    composed = composed_at(composition, Box(0, 0, width, height))
    inner = np.abs(composed * 255 - picture)[factor:-factor, factor:-factor]
    assert inner.max() < 0.6


def test_what_is_not_garment_is_the_rendered_picture():
    small = torch.full((1, 3, 32, 24), 0.5)
    nothing, flow = torch.zeros(1, 1, 32, 24), offset_to_flow(torch.zeros(1, 2, 32, 24))
    window = Window(0, 0, 96, 128)
    garment = GarmentPhoto(Image.new('RGB', (96, 128), 'red'), Image.new('L', (96, 128), 255), window)
    composition = Composition(
        TryOn(small, small, nothing, small, nothing, flow), garment, window, align_corners=True
    )
    assert np.abs(composed_at(composition, Box(0, 0, 96, 128)) - 0.75).max() < 1e-5


def test_magnification_is_the_scale_of_the_flow():
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(24.0), indexing='ij')
    shown = torch.ones(32, 24, dtype=torch.bool)
    assert magnification(torch.stack([2 * x + 3, 2 * y - 1]), shown) == pytest.approx(2)
    assert magnification(torch.stack([x, y]), torch.zeros_like(shown)) == 1


def test_a_garment_with_too_many_pixels_is_made_smaller_before_it_is_sampled():
    stripes = np.tile((np.arange(480) // 2 % 2 * 255).astype(np.uint8)[None, :, None], (640, 1, 3))
    flow, ones, small = (
        offset_to_flow(torch.zeros(1, 2, 32, 24)),
        torch.ones(1, 1, 32, 24),
        torch.zeros(1, 3, 32, 24),
    )
    garment = GarmentPhoto(Image.fromarray(stripes), Image.new('L', (480, 640), 255), Window(0, 0, 480, 640))
    result = TryOn(small, small, ones, small, ones, flow)
    composed = composed_at(
        Composition(result, garment, Window(0, 0, 48, 64), align_corners=True), Box(4, 4, 44, 60)
    )
    assert np.abs(composed - 0.5).max() < 0.1  # ten to one: grey, not whichever stripe was hit


def test_the_rim_of_a_garment_does_not_show_the_wall_it_hung_before():
    alpha = cv2.GaussianBlur(np.pad(np.full((320, 240), 255, np.uint8), 80), (0, 0), 2)
    cloth, share = np.float32([20, 40, 90]), alpha[..., None] / 255
    picture = Image.fromarray(
        np.rint(255 + share * (cloth - 255)).astype(np.uint8)
    )  # half white where it is half cloth
    window, dark = Window(0, 0, 400, 480), torch.full((1, 3, 32, 24), -0.9)
    flow, ones = offset_to_flow(torch.zeros(1, 2, 32, 24)), torch.ones(1, 1, 32, 24)
    result = TryOn(dark, dark, ones, dark, ones, flow)
    composition = Composition(
        result, GarmentPhoto(picture, Image.fromarray(alpha), window), window, align_corners=True
    )
    assert composed_at(composition, Box(0, 0, 400, 480)).max() < 100 / 255  # blue at most, before dark grey


def test_strips_cover_a_box_without_gaps(monkeypatch):
    monkeypatch.setattr('photo.composition.STRIP_PIXELS', 1000)
    parts = strips(Box(3, 5, 103, 98))
    assert [part.top for part in parts[1:]] == [part.bottom for part in parts[:-1]]
    assert (
        parts[0].top == 5 and parts[-1].bottom == 98 and max(part.bottom - part.top for part in parts) == 10
    )
