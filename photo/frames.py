"""One frame of a camera or a clip dressed at the frame's own resolution, fast enough for thirty a second.

The formulas are those of `photo.composition` and `photo.paste`, which are written for single large
photographs; here OpenCV's own loops enlarge and sample, all of a frame at once. The tests compare the two.
"""

from collections import OrderedDict
from collections.abc import Callable
from math import log2
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from models.interface import TryOnModel
from models.ops.flow import sampled_pixels
from models.outputs import PersonCode, TryOn
from photo.changes import change_weight
from photo.composition import GarmentPhoto, drawn_alone, magnification, tile_of
from photo.dressing import PreparedGarment
from photo.framing import Box, Window, border_colour, cut, frame_person
from photo.paste import reach
from photo.steady import SteadyPipeline

# Sizes of a garment an octave: with 4, a person who stood still in a new place kept a visibly softer or
# sharper garment than in a fresh start.
STEPS = 16
REMAINS = 1.0  # of a step: so far may the wanted size be from the one in use before another is taken
SIZES_KEPT = 16  # of one garment


class View(NamedTuple):
    """A frame as the networks see it."""

    window: Window
    tensor: torch.Tensor  # [1, 3, H, W] in [-1, 1]
    code: PersonCode


class FrameDresser:
    """Dresses the frames of one camera or clip, each tied to the one before unless `steady` is False.

    `size` (H, W) is that of the networks' pictures.
    """

    def __init__(self, pipeline: TryOnModel, *, size: tuple[int, int] | None = None, steady: bool = True):
        self.pipeline = pipeline
        self.size: tuple[int, int] = size or pipeline.size
        self.steady = SteadyPipeline(pipeline) if steady else None
        self._tiles = TileSizes()

    def look(
        self, frame: np.ndarray, window: Window | None = None, *, picture: Image.Image | None = None
    ) -> View:
        """A frame uint8 [H, W, 3] RGB, seen through `window`; None: that of an unknown person, which never
        moves.

        `picture` is what the networks see in the frame's place, such as the person before another background.
        """
        picture = Image.fromarray(frame) if picture is None else picture
        window = window or frame_person(picture.size, self.size)
        # The colour takes as long as all the rest: it is found only where something of it is seen.
        ground = (0, 0, 0) if window.is_within(picture.size) else border_colour(picture)
        tensor = frame_tensor(cut(picture, window, ground), self.size)
        return View(window, tensor, self.pipeline.encode_person(tensor))

    def __call__(
        self, frame: np.ndarray, garment: PreparedGarment, window: Window | None = None
    ) -> np.ndarray:
        """Return a frame uint8 [H, W, 3] RGB with the garment on; where nothing changed, the pixels are the
        same.
        """
        return self.dress(frame, self.look(frame, window), garment)

    def dress(self, frame: np.ndarray, view: View, garment: PreparedGarment) -> np.ndarray:
        """As calling the dresser, for a frame that was looked at before."""
        return self.finish(frame, view, self.predict(view, garment), garment)

    @torch.no_grad()
    def predict(self, view: View, garment: PreparedGarment) -> TryOn:
        """What the networks say of a frame alone. Nothing of the dresser changes, so that one thread may do
        this while another finishes the frame before.
        """
        return self.pipeline(view.code, garment.code)

    @torch.no_grad()
    def finish(self, frame: np.ndarray, view: View, result: TryOn, garment: PreparedGarment) -> np.ndarray:
        """Tie what the networks said of a frame to the frame before, and put it into the frame."""
        if self.steady is not None:
            result = self.steady.tie(view.code, garment.code, result)
        return self.paste(frame, view, result, garment)

    def paste(self, frame: np.ndarray, view: View, result: TryOn, garment: PreparedGarment) -> np.ndarray:
        """Put what is shown of a frame into it."""
        weight = change_weight(view.tensor, result)
        return paste_frame(
            frame,
            view,
            result,
            weight,
            garment.garment,
            align_corners=self.pipeline.align_corners,
            tiles=self._tiles,
        )


def frame_tensor(picture: Image.Image, size: tuple[int, int]) -> torch.Tensor:
    """An RGB picture as [1, 3, H, W] in [-1, 1], resized to (height, width).

    Within a level of 255 of `data.transforms.picture_tensor`; PyTorch's loop over bytes takes a tenth of the
    time of Pillow's.
    """
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]
    if pixels.shape[2:] != size:
        pixels = F.interpolate(pixels, size=size, mode='bicubic', antialias=True, align_corners=False)
    return pixels.float() / 127.5 - 1


class TileSizes:
    """A garment at the few sizes that frames need, each made once; the size stays while it nearly fits, or it
    would flicker.
    """

    def __init__(self):
        self._garment: GarmentPhoto | None = None
        self._tiles: OrderedDict[int, np.ndarray] = OrderedDict()
        self._step = 0

    def __call__(self, garment: GarmentPhoto, factor: float) -> np.ndarray:
        """float32 [h, w, 4] in [0, 1], colours times alpha, and alpha; about `factor` times as large as the
        picture.
        """
        wanted = min(0.0, STEPS * log2(factor))
        if garment is not self._garment:
            self._garment, self._step = garment, round(wanted)
            self._tiles.clear()
        if abs(wanted - self._step) > REMAINS:
            self._step = round(wanted)
        if self._step not in self._tiles:
            made = tile_of(garment, 2 ** (self._step / STEPS))
            self._tiles[self._step] = np.ascontiguousarray(made[0].permute(1, 2, 0).numpy())
        self._tiles.move_to_end(self._step)
        if len(self._tiles) > SIZES_KEPT:
            self._tiles.popitem(last=False)
        return self._tiles[self._step]


def paste_frame(
    frame: np.ndarray,
    view: View,
    result: TryOn,
    weight: np.ndarray,
    garment: GarmentPhoto,
    *,
    align_corners: bool,
    tiles: TileSizes,
) -> np.ndarray:
    """Put a try-on into a frame uint8 [H, W, 3] by `weight` [h, w], as `photo.paste.paste` puts it into a
    photograph.
    """
    window = view.window
    box = reach(weight, window, frame.shape[1::-1])
    if box is None:
        return frame.copy()
    shape = (window.height, window.width)
    inner = (slice(box.top, box.bottom), slice(box.left, box.right))

    def enlarged(part: np.ndarray, how: int = cv2.INTER_LINEAR) -> np.ndarray:
        return cv2.resize(part, shape[::-1], interpolation=how)[inner]

    flow, mask, edge = (
        part[0].detach().float().cpu() for part in (result.flow, result.mask, result.warped_edge)
    )
    drawn, keep = (part[0].detach().float().cpu() for part in drawn_alone(result, view.tensor))
    places = sampled_pixels(flow, align_corners=align_corners)
    step = magnification(places, mask[0] > 0.5) * garment.window.height / window.height
    cloth = tiles(garment, min(1.0, 1 / step))
    sampled = cv2.remap(
        cloth, _places_of_frame(places.numpy(), cloth, shape, box, enlarged), None, cv2.INTER_LINEAR
    )
    small = torch.cat([mask, edge.clamp(min=0.05), keep, torch.from_numpy(weight)[None]])
    # Planes and pictures of equal shape throughout: to stretch one over the other each time is slower.
    shown, least, kept, share = cv2.split(enlarged(small.permute(1, 2, 0).numpy()))
    shown = np.clip(shown / least, 0, 1) * share
    place = (
        slice(box.top + window.top, box.bottom + window.top),
        slice(box.left + window.left, box.right + window.left),
    )
    picture = frame.copy()
    new = picture[place].astype(np.float32)
    new *= _thrice(1 - share * (1 - kept))
    anew = np.clip(enlarged(drawn.permute(1, 2, 0).numpy(), cv2.INTER_CUBIC), 0, 1)
    anew *= _thrice(255 * share)
    new += anew
    # beyond the garment's picture colours and cover are 0
    new *= _thrice(1 - shown * cv2.extractChannel(sampled, 3))
    garment_alone = cv2.cvtColor(sampled, cv2.COLOR_RGBA2RGB)
    garment_alone *= _thrice(255 * shown)
    new += garment_alone
    rounded = cv2.convertScaleAbs(new)  # to 0..255
    cv2.copyTo(rounded, (share > 1 / 510).astype(np.uint8), picture[place])
    return picture


def _thrice(plane: np.ndarray) -> np.ndarray:
    """A plane [H, W] for each of three colours: [H, W, 3]."""
    return cv2.merge([plane, plane, plane])


def _places_of_frame(
    places: np.ndarray,
    cloth: np.ndarray,
    shape: tuple[int, int],
    box: Box,
    enlarged: Callable[..., np.ndarray],
) -> np.ndarray:
    """Positions in `cloth` [h, w, 4] of the pixels of `box`, float32 [H, W, 2]; `places` [2, h, w] are the
    networks'.
    """
    height, width = places.shape[1:]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    offset = enlarged(
        np.dstack([places[0] - x, places[1] - y]), cv2.INTER_CUBIC
    )  # without a slope to lose at the border
    column = (np.arange(box.left, box.right, dtype=np.float32) + 0.5) * (width / shape[1])
    row = (np.arange(box.top, box.bottom, dtype=np.float32) + 0.5) * (height / shape[0])
    offset[..., 0] = (offset[..., 0] + column) * (cloth.shape[1] / width) - 0.5
    offset[..., 1] = (offset[..., 1] + row[:, None]) * (cloth.shape[0] / height) - 0.5
    return offset
