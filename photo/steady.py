"""Steady pictures of a moving person: what was said of the last frame is carried along with the person and
mixed in.

Not part of any paper; the means are those of temporal anti-aliasing in rendering (Karis, SIGGRAPH 2014
courses): reprojection along the motion, a history clamped near the new frame, an exponential average. The
motion is DIS optical flow (Kroeger et al., ECCV 2016) between the pictures of the person that the networks
see. The average is slow only while the networks disagree with themselves: once two frames say the same, the
history follows at once, so that nothing lags behind a person who stands still. Flow and masks are averaged,
never the try-on itself: the garment is sampled anew, so print and texture stay sharp.
"""

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from models.composition import blend
from models.interface import TryOnModel, TryOnWrapper
from models.ops.flow import sample
from models.outputs import GarmentCode, PersonCode, TryOn
from models.pipeline import given
from photo.composition import drawn_alone

LEAST_SHARE = 0.04  # of the new frame, where the networks disagree with what they said of the last one
AGREED_SHARE = 0.8  # where they agree
AGREES_BY = (
    0.3,
    0.03,
)  # pixels of the garment's picture, and of the mask: nothing of the agreement is left beyond
TURNS = (0.12, 0.3)  # change of a mask: noise up to the first, another thing from the second
CALM = 9  # pixels a side over which disagreement is averaged
NOISE, MOVED = (
    6.0,
    30.0,
)  # difference of a pixel to where it came from, levels: known again up to the first, new from the second
AROUND = 5  # pixels a side over which the difference is averaged
CUT = 40.0  # mean difference, levels: another scene, with nothing to keep of the last
# Largest distance of the history from the new frame: pixels of the garment's picture, masks and colours of
# [0, 1].
PLACE_LIMIT, MASK_LIMIT, COLOUR_LIMIT = 12.0, 0.2, 0.1
# The history's shift of the garment stays within LOCAL_LIMIT (pixels of its picture) of the mean over WIDE
# pixels a side of what shows garment: a hand before a plain shirt carries along what it passes, and prints
# were pinched behind it. The rest is averaged over EVEN pixels a side: left to every pixel alone, whose share
# of the new frame is its own, stripes and letters got ragged edges.
WIDE, LOCAL_LIMIT, EVEN = 31, 1.0, 5


class History(NamedTuple):
    """State kept of the last frame. Maps are float32 [2, H, W, 4], see `_maps`."""

    grey: np.ndarray  # uint8 [H, W], the person's picture
    garment: GarmentCode
    said: np.ndarray  # [1, H, W, 4], the first half of the networks' maps
    mixed: np.ndarray  # maps that were shown


class SteadyPipeline(TryOnWrapper):
    """A try-on model for the frames of one camera or clip, each tied to the one before.

    `mode`, `size`, encoders and the like are those of the model that it wraps. Codes of one person at a time.
    """

    def __init__(self, model: TryOnModel):
        super().__init__(model)
        self._history: History | None = None
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def __call__(
        self, person: Tensor | PersonCode, cloth: Tensor | GarmentCode, edge: Tensor | None = None
    ) -> TryOn:
        """Dress one person, tied to the last frame where that showed the same `GarmentCode`."""
        person = person if isinstance(person, PersonCode) else self.encode_person(person)
        garment = cloth if isinstance(cloth, GarmentCode) else self.encode_garment(cloth, given(edge))
        return self.tie(person, garment, self.model(person, garment))

    def tie(self, person: PersonCode, garment: GarmentCode, result: TryOn) -> TryOn:
        """The result of a frame (batch of one), blended with the history."""
        grey, said = grey_picture(person.person), _maps(result, person.person)
        last, self._history = self._history, History(grey, garment, said[:1], said)
        if last is None or last.garment is not garment or last.grey.shape != grey.shape:
            return result
        came_from, newness = follow(last.grey, grey, self._flow)
        if newness is None:
            return result
        pixel = np.array([2 / grey.shape[1], 2 / grey.shape[0], 1, 1], np.float32)
        share = share_of_new(newness, np.abs(_carry(last.said, came_from)[0] - said[0]) / pixel)
        mixed = _carry(last.mixed, came_from)
        mixed -= said
        _limit(mixed, _limits(grey.shape))
        mixed *= 1 - share
        mixed[0, ..., :2] = even_shift(mixed[0, ..., :2], said[0, ..., 2], pixel[:2])
        mixed += said
        self._history = History(grey, garment, said[:1], mixed)
        return self._compose(person, garment, result, mixed)

    def _compose(self, person: PersonCode, garment: GarmentCode, result: TryOn, mixed: np.ndarray) -> TryOn:
        maps = torch.from_numpy(mixed).permute(0, 3, 1, 2).flatten(0, 1)[None]  # [1, 8, H, W]
        flow, mask, keep, edge, drawn = maps.to(result.image.device).split((2, 1, 1, 1, 3), dim=1)
        cloth = sample(garment.cloth.float(), flow, align_corners=self.align_corners)
        rendered = 2 * drawn + keep * (person.person.to(drawn) + 1) - 1
        return TryOn(blend(cloth, rendered, mask), rendered, mask, cloth, edge, flow, keep)


def grey_picture(person: Tensor) -> np.ndarray:
    """[1, 3, H, W] in [-1, 1] -> uint8 [H, W]."""
    levels = (person[0].detach().float().mean(dim=0) + 1) * 127.5
    return levels.clamp(0, 255).byte().cpu().numpy()


def follow(
    last: np.ndarray, new: np.ndarray, flow: cv2.DISOpticalFlow
) -> tuple[np.ndarray, np.ndarray | None]:
    """Positions in the last picture of each pixel of a new one, float32 [H, W, 2] (x, y), and how new it is,
    [H, W] in [0, 1].

    Both pictures are uint8 [H, W]. Nothing is said of newness where the scene is another one.
    """
    height, width = new.shape
    motion = flow.calc(new, last, None)  # [H, W, 2] in pixels
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    came_from = motion + np.dstack([x, y])
    carried = cv2.remap(last, came_from, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    difference = cv2.absdiff(new, carried).astype(np.float32)
    if difference.mean() > CUT:
        return came_from, None
    difference = cv2.blur(difference, (AROUND, AROUND))
    newness = np.clip((difference - NOISE) / (MOVED - NOISE), 0, 1)
    came_in = (came_from < -1).any(axis=2) | (came_from[..., 0] > width) | (came_from[..., 1] > height)
    newness[came_in] = 1
    return came_from, newness


def share_of_new(newness: np.ndarray, disagreement: np.ndarray) -> np.ndarray:
    """How much of the new frame counts, [H, W, 1], by how new a pixel is [H, W] and how much the networks
    changed their mind.

    `disagreement` [H, W, 4] is that of the maps' first half, places in pixels. Masks that turn over are no
    noise: an arm moved on.
    """
    place = np.hypot(disagreement[..., 0], disagreement[..., 1]) / AGREES_BY[0]
    worst = cv2.blur(np.maximum(place, disagreement[..., 2] / AGREES_BY[1]), (CALM, CALM))
    known = AGREED_SHARE - (AGREED_SHARE - LEAST_SHARE) * np.minimum(worst, 1)
    turned = cv2.blur(np.maximum(disagreement[..., 2], disagreement[..., 3]), (3, 3))
    newness = np.maximum(newness, np.clip((turned - TURNS[0]) / (TURNS[1] - TURNS[0]), 0, 1))
    return (known + (1 - known) * newness)[..., None].astype(np.float32)


def even_shift(shift: np.ndarray, shown: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """What the history shifts the garment by, [H, W, 2], near that of the garment around.

    `shown` [H, W] is the composite mask, `pixel` [2] the unit of a place.
    """
    weight = shown + 1e-3
    around = cv2.blur(shift * weight[..., None], (WIDE, WIDE))
    around /= cv2.blur(weight, (WIDE, WIDE))[..., None]
    alone = shift - around
    _limit(alone, np.broadcast_to(LOCAL_LIMIT * pixel, shift.shape))
    return around + cv2.blur(alone, (EVEN, EVEN))


def _limit(values: np.ndarray, largest: np.ndarray) -> None:
    """Cut values to -largest .. largest, in their place: for arrays of equal shape faster than `np.clip`."""
    np.maximum(np.minimum(values, largest, out=values), -largest, out=values)


@lru_cache(maxsize=4)
def _limits(size: tuple[int, int]) -> np.ndarray:
    """The largest distance of the history for each value of `_maps`, of pictures of `size` (H, W)."""
    height, width = size
    first = [2 * PLACE_LIMIT / width, 2 * PLACE_LIMIT / height, MASK_LIMIT, MASK_LIMIT]
    limits = np.array([first, [MASK_LIMIT, *3 * [COLOUR_LIMIT]]], np.float32)
    return np.tile(limits[:, None, None], (1, height, width, 1))


def _carry(maps: np.ndarray, came_from: np.ndarray) -> np.ndarray:
    """Maps [N, H, W, 4] of the last frame at the places [H, W, 2] where the pixels of the new one were."""
    carried = np.empty_like(maps)
    for source, target in zip(maps, carried, strict=True):  # OpenCV samples four at once
        cv2.remap(source, came_from, None, cv2.INTER_LINEAR, dst=target, borderMode=cv2.BORDER_REPLICATE)
    return carried


def _maps(result: TryOn, person: Tensor) -> np.ndarray:
    """float32 [2, H, W, 4]: flow x, y, composite mask and keep mask; warped edge and drawn picture, three
    channels.
    """
    drawn, keep = drawn_alone(result, person)
    parts = (result.flow, result.mask, keep, result.warped_edge, drawn)
    maps = torch.cat([part[0].detach().float().cpu() for part in parts])
    return np.ascontiguousarray(maps.unflatten(0, (2, 4)).permute(0, 2, 3, 1).numpy())
