"""One drawn record: a person in their own garment with every annotation, and the truth in another garment.

Record i depends on (seed, split, i) alone.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from data.labels import CHANGED, GARMENT, KEPT, Parsing
from synthetic.brushes import Frame
from synthetic.drawing import Scene
from synthetic.garments import Garment, draw_garment
from synthetic.random_people import sample_person
from synthetic.varied_people import sample_varied_person

SPLITS = {'train': ('VITON_traindata', 0), 'test': ('VITON_test', 1)}
"""Folder of a split and its number in the random streams."""

MALE_SHARE = 0.2


@dataclass(frozen=True)
class DrawnTruth:
    """Ground truth for an unpaired garment.

    `image` uint8 [H, W, 3] RGB, `flow` float32 [2, H, W] (normalised sampling grid, NaN where no garment is
    seen), `mask` and `parsing` uint8 [H, W] are what `synthetic.dataset` describes.
    """

    image: np.ndarray
    flow: np.ndarray
    mask: np.ndarray
    parsing: np.ndarray


@dataclass(frozen=True)
class Record:
    """One person in their own garment, with every annotation.

    `person` and `cloth` uint8 [H, W, 3] RGB; `edge` uint8 [H, W], 0 or 255; `parsing` and `densepose` uint8
    [H, W], ids of `data.labels`; `pose` float64 [18, 3], OpenPose's points (x, y in pixels, score; zeros
    where hidden or out of the picture); `flow` float32 [2, H, W] as in `DrawnTruth`; `truth` the same person
    in another garment, where one was asked for.
    """

    person: np.ndarray
    cloth: np.ndarray
    edge: np.ndarray
    parsing: np.ndarray
    densepose: np.ndarray
    pose: np.ndarray
    flow: np.ndarray
    truth: DrawnTruth | None


def stream(seed: int, split: str, index: int, purpose: int) -> np.random.Generator:
    """Random numbers of a record for one purpose: 1 its garment, 2 its person, 3 what is worn."""
    return np.random.default_rng([seed, SPLITS[split][1], index, purpose])


def is_male(seed: int, split: str, index: int) -> bool:
    """Sex of a record's person, and cut of the garment."""
    # neighbours swap garments in the test set, so they are drawn alike
    return bool(stream(seed, split, index // 2, 0).uniform() < MALE_SHARE)


@lru_cache(maxsize=4)
def flat_garment(seed: int, split: str, index: int, size: tuple[int, int], varied: bool = False) -> Garment:
    """The flat garment of a record; cached."""
    male = is_male(seed, split, index)
    return draw_garment(stream(seed, split, index, 1), Frame(*size), male=male, varied=varied)


def normalised_flow(pixels: np.ndarray) -> np.ndarray:
    """Pixel (x, y) [H, W, 2] -> sampling grid [2, H, W], -1 and 1 at the centres of the outermost pixels."""
    height, width = pixels.shape[:2]
    return np.stack([pixels[..., 0] / ((width - 1) / 2) - 1, pixels[..., 1] / ((height - 1) / 2) - 1])


def render_record(
    seed: int,
    split: str,
    index: int,
    *,
    size: tuple[int, int] = (256, 192),
    other: int | None = None,
    shade: bool = True,
    varied: bool = False,
) -> Record:
    """Draw record `index` of a split ('train' or 'test'), and its truth in the garment of record `other`.

    Without `shade` worn garments lack folds and shadow: each of their pixels is the flat garment at the
    record's flow. `varied` draws people and garments with the variety of photographs.
    """
    frame, sample = Frame(*size), sample_varied_person if varied else sample_person
    scene = Scene(sample(stream(seed, split, index, 2), male=is_male(seed, split, index)), frame)
    own = flat_garment(seed, split, index, size, varied)
    person, parsing, flow = scene.dress(own, stream(seed, split, index, 3), shade=shade)
    densepose = scene.densepose()
    truth = None
    if other is not None:
        garment = flat_garment(seed, split, other, size, varied)
        image, new_parsing, new_flow = scene.dress(garment, stream(seed, split, index, 3), shade=shade)
        changed = (image != person).any(-1) | (parsing == Parsing.UPPER_CLOTHES)
        mask = np.where(changed, CHANGED, KEPT).astype(np.uint8)
        mask[new_parsing == Parsing.UPPER_CLOTHES] = GARMENT
        truth = DrawnTruth(image, normalised_flow(new_flow), mask, new_parsing)
    points, own_flow = scene.key_points(densepose), normalised_flow(flow)
    return Record(person, own.picture, own.edge, parsing, densepose, points, own_flow, truth)


def partner(index: int, count: int) -> int:
    """Whose garment a person of a test set tries on: neighbours swap; the last three of an odd count pass
    theirs on in a ring.
    """
    if count % 2 and index >= count - 3:
        return count - 3 + (index - count + 4) % 3
    return index ^ 1
