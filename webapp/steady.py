"""Steadier pictures from a camera: each try-on is mixed with the one before, less where the person moves.

Not part of any paper. What a network says of one frame and of the next differs a little even where nothing moved, which is seen
as flicker. The mixture is that of the flow, the mask and the rendered picture; the garment is sampled anew, so it stays sharp.
"""

import statistics
from collections import deque

import torch.nn.functional as F
from torch import Tensor

from models.interface import TryOnModel
from models.ops.flow import sample
from models.outputs import GarmentCode, PersonCode, TryOn
from models.pipeline import blend

LEAST_SHARE = 0.35  # of the new frame where nothing moves
MOVED = 0.12  # change of a pixel, of 1, from which the new frame counts alone
CUT = 0.25  # mean change of the picture, of 1: another scene, with nothing to keep of the last
REMEMBERED = 9  # intervals between frames that tell the pace
AROUND = 9  # pixels a side over which changes are averaged, so that noise of the camera is none


class SteadyPipeline:
    """A try-on model for the frames of one camera; it mixes each frame with the one before.

    `mode`, `size`, encoders and the like are those of the model that it wraps. Codes of one person at a time.
    """

    def __init__(self, model: TryOnModel):
        self.model = model
        self.family, self.is_trained, self.mode = model.family, model.is_trained, model.mode
        self.size, self.align_corners = model.size, model.align_corners
        self.encode_person, self.encode_garment = model.encode_person, model.encode_garment
        self.previous: tuple[Tensor, GarmentCode, TryOn] | None = None

    def __call__(self, person: Tensor | PersonCode, cloth: Tensor | GarmentCode, edge: Tensor | None = None) -> TryOn:
        """Dress one person, mixed with the last frame where that showed the same `GarmentCode`."""
        person = person if isinstance(person, PersonCode) else self.encode_person(person)
        garment = cloth if isinstance(cloth, GarmentCode) else self.encode_garment(cloth, edge)
        result = self.model(person, garment)
        picture = person.person.float()
        if self.previous is not None:
            last_picture, last_garment, last = self.previous
            if last_garment is garment and last_picture.shape == picture.shape:
                change = (picture - last_picture).abs().amax(dim=1, keepdim=True) / 2  # [1, 1, H, W]
                if change.mean() < CUT:
                    result = self.mix(last, result, person, garment, share_of_new(change))
        self.previous = picture, garment, result
        return result

    def mix(self, last: TryOn, new: TryOn, person: PersonCode, garment: GarmentCode, share: Tensor) -> TryOn:
        """`share` [1, 1, H, W] of the new try-on and the rest of the last one, composed anew."""
        mixed = {
            name: getattr(last, name) + share.to(getattr(new, name).dtype) * (getattr(new, name) - getattr(last, name))
            for name in ('rendered', 'mask', 'warped_edge', 'flow')
        }
        cloth = sample(garment.cloth.to(new.image.dtype), mixed['flow'], align_corners=self.align_corners)
        image = blend(cloth, mixed['rendered'], mixed['mask'], new.keep, person.person)
        return TryOn(image=image, warped_cloth=cloth, keep=new.keep, **mixed)


def share_of_new(change: Tensor) -> Tensor:
    """How much of the new frame counts, [1, 1, H, W] in [LEAST_SHARE, 1], by how much the person's picture changed there."""
    change = F.avg_pool2d(change, AROUND, stride=1, padding=AROUND // 2, count_include_pad=False)
    return (LEAST_SHARE + (1 - LEAST_SHARE) * change / MOVED).clamp(max=1.0)


class Pace:
    """How many frames a second pass: the middle one of the last intervals, so that a pause does not count."""

    def __init__(self):
        self.last: float | None = None
        self.intervals: deque[float] = deque(maxlen=REMEMBERED)

    def tick(self, now: float) -> float:
        """Note a frame at `now` seconds; returns frames a second, 0 for the first."""
        if self.last is not None and now > self.last:
            self.intervals.append(now - self.last)
        self.last = now
        return 1 / statistics.median(self.intervals) if self.intervals else 0.0
