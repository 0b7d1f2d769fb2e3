"""A frame of a camera is dressed as a photograph is, only faster."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from data.transforms import picture_tensor
from photo.changes import change_weight
from photo.composition import Composition
from photo.dressing import prepare_garment
from photo.frames import FrameDresser, TileSizes, frame_tensor, paste_frame
from photo.framing import Window
from photo.paste import paste


@pytest.fixture
def garment(pipeline, drawn):
    _, picture, edge = drawn
    return prepare_garment(pipeline, picture, mask=edge)


@pytest.fixture
def frame(drawn):
    """A person in the middle of a wide frame of even grey."""
    picture = np.full((480, 640, 3), 200, np.uint8)
    picture[:, 140:500] = np.asarray(Image.fromarray(drawn[0]).resize((360, 480)))
    return picture


@pytest.mark.parametrize('kept', [False, True])
@pytest.mark.parametrize(
    'window', [Window(140, 0, 360, 480), Window(200, 60, 240, 320), Window(-40, -20, 480, 640)]
)
def test_a_frame_is_pasted_as_a_photograph_is(window, kept, pipeline, garment, frame):
    dresser = FrameDresser(pipeline, steady=False)
    view = dresser.look(frame, window)
    result = pipeline(view.code, garment.code)
    if kept:
        result = result._replace(keep=torch.linspace(0, 1, 96).expand(1, 1, 128, 96))
    weight = change_weight(view.tensor, result)
    fast = paste_frame(frame, view, result, weight, garment.garment, align_corners=True, tiles=TileSizes())
    composition = Composition(result, garment.garment, window, align_corners=True, person=view.tensor)
    slow, region = paste(Image.fromarray(frame), composition, weight)
    difference = np.abs(fast.astype(int) - np.asarray(slow))
    assert np.asarray(region).mean() > 5  # something is worn
    # Sizes of the garment come in steps, places in a frame are sampled to 1/32 of a pixel: print is a little
    # softer or sharper.
    assert difference.mean() < 0.5 and (difference > 32).mean() < 2e-3
    outside = np.asarray(region) == 0
    assert (fast[outside] == frame[outside]).mean() > 0.9999


@pytest.mark.parametrize('side', [(480, 360), (255, 200), (90, 70), (128, 96)])
def test_the_networks_see_what_they_see_of_a_photograph(side):
    pixels = np.random.default_rng(0).integers(0, 256, (*side, 3), dtype=np.uint8)
    picture = Image.fromarray(cv2.GaussianBlur(pixels, (0, 0), 1.5))
    fast, slow = frame_tensor(picture, (128, 96)), picture_tensor(picture, (128, 96))
    assert fast.shape == (1, 3, 128, 96)
    assert (fast[0] - slow).abs().max() <= 1.01 * 2 / 255  # a level


def test_kept_pixels_are_the_frames_own(pipeline, garment, frame):
    dresser = FrameDresser(pipeline, steady=False)
    view = dresser.look(frame)
    result = pipeline(view.code, garment.code)
    weight = np.ones(view.tensor.shape[2:], np.float32)

    def pasted(keep: float) -> np.ndarray:
        mask = torch.full_like(result.mask, keep)
        kept = result._replace(keep=mask, rendered=result.rendered + mask * (view.tensor - result.rendered))
        return paste_frame(frame, view, kept, weight, garment.garment, align_corners=True, tiles=TileSizes())

    worn = cv2.resize((result.mask[0, 0].numpy() > 0).astype(np.uint8), (360, 480))
    away = cv2.dilate(worn, np.ones((15, 15), np.uint8)) == 0
    inner = (slice(0, 480), slice(140, 500))
    assert (pasted(1.0)[inner][away] == frame[inner][away]).all()
    assert (
        pasted(0.0)[inner][away] != frame[inner][away]
    ).mean() > 0.3  # a generator is a little off everywhere


def test_a_frame_without_a_change_is_a_copy(pipeline, garment, frame):
    dresser = FrameDresser(pipeline, steady=False)
    view = dresser.look(frame)
    nothing = np.zeros(view.tensor.shape[2:], np.float32)
    result = pipeline(view.code, garment.code)
    same = paste_frame(frame, view, result, nothing, garment.garment, align_corners=True, tiles=TileSizes())
    assert (same == frame).all() and same is not frame


def test_the_garments_size_stays_while_it_nearly_fits(garment):
    tiles = TileSizes()
    first = tiles(garment.garment, 0.5)
    assert tiles(garment.garment, 0.5 * 2**0.05) is first and tiles(garment.garment, 0.5 / 2**0.05) is first
    smaller = tiles(garment.garment, 0.25)
    assert smaller.shape[0] < first.shape[0] and tiles(garment.garment, 0.5) is first


def test_a_size_that_stays_is_hardly_another_than_that_of_a_fresh_start(garment):
    for wanted in np.geomspace(0.3, 0.9, 40):
        tiles = TileSizes()
        tiles(garment.garment, wanted * 1.06)
        stays, fresh = tiles(garment.garment, wanted), TileSizes()(garment.garment, wanted)
        assert abs(np.log2(stays.shape[0] / fresh.shape[0])) < 0.12  # of an octave


def test_only_the_latest_sizes_are_kept(garment, monkeypatch):
    monkeypatch.setattr('photo.frames.SIZES_KEPT', 2)
    tiles = TileSizes()
    first = tiles(garment.garment, 0.5)
    for factor in (0.3, 0.2):
        tiles(garment.garment, factor)
    assert tiles(garment.garment, 0.5) is not first


def test_a_person_is_encoded_once_for_several_garments(pipeline, garment, frame):
    dressers = [FrameDresser(pipeline) for _ in range(3)]
    view = dressers[0].look(frame)
    for dresser in dressers:
        dresser.dress(frame, view, garment)
    assert pipeline.calls['person'] == 1 and pipeline.calls['dress'] == 3
