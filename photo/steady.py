"""Steady pictures of a moving person: what was said of the last frame is carried along with the person and mixed in.

Not part of any paper; the means are those of temporal anti-aliasing in rendering (Karis, SIGGRAPH 2014 courses): reprojection
along the motion, a history clamped to what the new frame says, an exponential average. The motion is DIS optical flow
(Kroeger et al., ECCV 2016) between the pictures of the person that the networks see. Flow and masks are averaged, never the
try-on itself: the garment is sampled anew, so print and texture stay sharp.
"""

from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from models.ops.flow import sample
from models.outputs import GarmentCode, PersonCode, TryOn

LEAST_SHARE = 0.3  # of the new frame, where the carried picture of the person agrees with the new one
NOISE, MOVED = 3.0, 14.0  # difference of the two, levels of 255: up to the first they agree, from the second the new counts alone
AROUND = 5  # pixels a side over which the difference is averaged
CUT = 40.0  # mean difference, levels: another scene, with nothing to keep of the last
# How far the carried maps may be from the new ones: whatever the networks change for good is there at once but for this.
PLACE_LIMIT = 1.5  # pixels of the garment's picture
MASK_LIMIT = 0.25
COLOUR_LIMIT = 0.15  # of [-1, 1]


class History(NamedTuple):
    """What is kept of the last frame."""

    grey: np.ndarray  # uint8 [H, W], the person's picture
    garment: GarmentCode
    places: np.ndarray  # float32 [H, W, 4]: flow x, y; composite mask; warped edge
    looks: np.ndarray  # float32 [H, W, 4]: rendered picture; keep mask, 0 where there is none


class SteadyPipeline:
    """A pipeline for the frames of one camera or clip: its calls, with a history from frame to frame."""

    def __init__(self, pipeline: Any):
        self.pipeline = pipeline
        self.align_corners = pipeline.align_corners
        self._history: History | None = None
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def __call__(self, person: PersonCode, garment: GarmentCode) -> TryOn:
        """Dress one person, `PersonCode` of a batch of one, tied to the last frame if that showed the same garment."""
        return self.tie(person, garment, self.pipeline(person, garment))

    def tie(self, person: PersonCode, garment: GarmentCode, result: TryOn) -> TryOn:
        """What the pipeline said of a frame, `result` of a batch of one, tied to what was said before."""
        grey = grey_picture(person.person)
        new = History(grey, garment, *_maps(result))
        last, self._history = self._history, new
        if last is None or last.garment is not garment or last.grey.shape != grey.shape:
            return result
        came_from, share = follow(last.grey, grey, self._flow)
        if share is None:
            return result
        height, width = grey.shape
        limits = (2 * PLACE_LIMIT / width, 2 * PLACE_LIMIT / height, MASK_LIMIT, MASK_LIMIT)
        places = mix(last.places, new.places, came_from, share, limits)
        looks = mix(last.looks, new.looks, came_from, share, (*[COLOUR_LIMIT] * 3, MASK_LIMIT))
        self._history = History(grey, garment, places, looks)
        return self._compose(person, garment, result, places, looks)

    def _compose(
        self, person: PersonCode, garment: GarmentCode, result: TryOn, places: np.ndarray, looks: np.ndarray
    ) -> TryOn:
        """The try-on of averaged maps, composed as `models.pipeline.compose` does."""
        places, looks = (torch.from_numpy(x).permute(2, 0, 1)[None].to(result.image.device) for x in (places, looks))
        flow, mask, edge = places[:, :2].contiguous(), places[:, 2:3], places[:, 3:4]
        rendered, keep = looks[:, :3], looks[:, 3:4]
        cloth = sample(garment.cloth.float(), flow, align_corners=self.align_corners)
        changes = {'rendered': rendered, 'mask': mask, 'warped_cloth': cloth, 'warped_edge': edge, 'flow': flow}
        behind = rendered
        if getattr(result, 'keep', None) is not None:
            changes['keep'] = keep
            behind = rendered + keep * (person.person.float() - rendered)
        return result._replace(image=cloth * mask + behind * (1 - mask), **changes)


def grey_picture(person: Tensor) -> np.ndarray:
    """[1, 3, H, W] in [-1, 1] -> uint8 [H, W]."""
    levels = (person[0].detach().float().mean(dim=0) + 1) * 127.5
    return levels.clamp(0, 255).byte().cpu().numpy()


def follow(last: np.ndarray, new: np.ndarray, flow: cv2.DISOpticalFlow) -> tuple[np.ndarray, np.ndarray | None]:
    """Where each pixel of a new picture was in the last one, and how much of what is said of the new one counts.

    Both pictures are uint8 [H, W]. Returns places float32 [H, W, 2] (x, y) and shares float32 [H, W, 1] in [LEAST_SHARE, 1];
    no shares where the scene is another one.
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
    share = LEAST_SHARE + (1 - LEAST_SHARE) * np.clip((difference - NOISE) / (MOVED - NOISE), 0, 1)
    came_in = (came_from < 0).any(axis=2) | (came_from[..., 0] > width - 1) | (came_from[..., 1] > height - 1)
    share[came_in] = 1
    return came_from, share[..., None].astype(np.float32)


def mix(
    last: np.ndarray, new: np.ndarray, came_from: np.ndarray, share: np.ndarray, limits: tuple[float, ...]
) -> np.ndarray:
    """`share` [H, W, 1] of the new maps [H, W, 4] and the rest of the last ones, carried along and clamped near the new ones."""
    mixed = cv2.remap(last, came_from, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mixed -= new
    limits = np.asarray(limits, np.float32)
    np.clip(mixed, -limits, limits, out=mixed)
    mixed *= 1 - share
    mixed += new
    return mixed


def _maps(result: TryOn) -> tuple[np.ndarray, np.ndarray]:
    keep = getattr(result, 'keep', None)
    keep = torch.zeros_like(result.mask) if keep is None else keep
    groups = (result.flow, result.mask, result.warped_edge), (result.rendered, keep)
    maps = (torch.cat([part[0].detach().float().cpu() for part in group]) for group in groups)
    return tuple(np.ascontiguousarray(group.permute(1, 2, 0).numpy()) for group in maps)
