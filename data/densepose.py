"""A map of body parts drawn from OpenPose key points, for data sets that come without DensePose.

A stand-in, not DensePose: limbs are capsules, torso and head polygons, with DensePose's ids and widths from
the distance of the shoulders. It depends on the pose alone, so the worn garment does not reach the teacher.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy.spatial import cKDTree

from data.labels import DensePosePart as Part
from data.labels import KeyPoint

# Lengths in units of the shoulders' distance, chosen by eye on frontal photographs.
_UPPER_ARM, _LOWER_ARM, _WRIST = 0.17, 0.14, 0.11
_HAND_LENGTH, _HAND = 0.30, 0.14
_THIGH, _KNEE, _ANKLE = 0.30, 0.21, 0.14
_FOOT_LENGTH, _FOOT = 0.35, 0.14
_SHOULDER_RIM, _HIP_RIM, _CROTCH = 0.08, 0.24, 0.18
_TORSO = 1.35
_HEAD_WIDTH, _HEAD_HEIGHT, _NECK, _NECK_FOOT = 0.33, 0.46, 0.17, 0.05
_TORSO_TO_SHOULDERS, _NOSE_TO_SHOULDERS = 0.6, 0.9
_ELLIPSE_CORNERS = 32


class Limb(NamedTuple):
    """A capsule between two key points: its ids from the front and from behind, its radius at both ends."""

    first: KeyPoint
    second: KeyPoint
    front: Part
    back: Part
    radii: tuple[float, float]


def _limbs(first: str, second: str, part: str, radii: tuple[float, float]) -> Iterator[Limb]:
    """The right and the left limb between two joints; of DensePose's parts _2 is the front, _1 the back."""
    for side in ('RIGHT', 'LEFT'):
        ends = KeyPoint[f'{side}_{first}'], KeyPoint[f'{side}_{second}']
        yield Limb(*ends, Part[f'{side}_{part}_2'], Part[f'{side}_{part}_1'], radii)


_LEGS = (
    *_limbs('HIP', 'KNEE', 'UPPER_LEG', (_THIGH, _KNEE)),
    *_limbs('KNEE', 'ANKLE', 'LOWER_LEG', (_KNEE, _ANKLE)),
)
_ARMS = (
    *_limbs('SHOULDER', 'ELBOW', 'UPPER_ARM', (_UPPER_ARM, _LOWER_ARM)),
    *_limbs('ELBOW', 'WRIST', 'LOWER_ARM', (_LOWER_ARM, _WRIST)),
)
# The joint before the end, the end, the part beyond it, its length and radius.
_FEET = (
    (KeyPoint.RIGHT_KNEE, KeyPoint.RIGHT_ANKLE, Part.RIGHT_FOOT, _FOOT_LENGTH, _FOOT),
    (KeyPoint.LEFT_KNEE, KeyPoint.LEFT_ANKLE, Part.LEFT_FOOT, _FOOT_LENGTH, _FOOT),
)
_HANDS = (
    (KeyPoint.RIGHT_ELBOW, KeyPoint.RIGHT_WRIST, Part.RIGHT_HAND, _HAND_LENGTH, _HAND),
    (KeyPoint.LEFT_ELBOW, KeyPoint.LEFT_WRIST, Part.LEFT_HAND, _HAND_LENGTH, _HAND),
)


def draw_body_parts(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Draw the body parts of one person, part ids uint8 [H, W] of `DensePosePart`, 0 where there is none.

    points [18, 2] holds x, y in pixels of a picture of (height, width) `size`, in the order of `KeyPoint`; a
    point at (0, 0) was not found, and its limbs are left out. Legs lie below the torso, arms and hands above.
    """
    canvas = Image.new('L', (size[1], size[0]))
    _Body(points, ImageDraw.Draw(canvas)).draw()
    return np.array(canvas)


def parts_of_colours(pixels: np.ndarray, *, lossy: bool = False) -> tuple[np.ndarray, float]:
    """Return part ids, uint8 [H, W], from the colours of DensePose's own tool, and how far they lie off.

    pixels [H, W, 3] is RGB, 0 to 255: OpenCV's Parula map at id * 255 / 24 (`dp_segm` of detectron2's
    DensePose), whole or at the tool's default of 70 % on black. Each pixel gets the id of the nearest colour;
    `lossy` takes the commonest id of each 3 x 3 pixels, since JPEG smears outlines. The second result is the
    mean distance of the colours, in levels.
    """
    levels = np.floor(np.arange(len(Part)) * (255 / max(Part))).astype(np.uint8)
    colours = cv2.applyColorMap(levels[:, None], cv2.COLORMAP_PARULA)[:, 0, ::-1].astype(np.float64)  # RGB
    colours[Part.BACKGROUND] = 0
    fits = [cKDTree(colours * strength).query(pixels.astype(np.float64)) for strength in (1.0, 0.7)]
    distances, parts = min(fits, key=lambda fit: fit[0].mean())  # [H, W] both
    parts = parts.astype(np.uint8)
    if lossy:
        parts = np.array(Image.fromarray(parts).filter(ImageFilter.ModeFilter(3)))
    return parts, float(distances.mean())


class _Body:
    """Key points that were found, the unit of length they give, and the canvas."""

    def __init__(self, points: np.ndarray, canvas: ImageDraw.ImageDraw):
        self.canvas = canvas
        named = zip(KeyPoint, points, strict=True)
        self.at = {point: np.array(xy, float) for point, xy in named if min(xy) > 0}
        self.unit = self._unit()
        right, left = self.at.get(KeyPoint.RIGHT_SHOULDER), self.at.get(KeyPoint.LEFT_SHOULDER)
        self.from_behind = right is not None and left is not None and right[0] > left[0]

    def draw(self) -> None:
        if not self.unit:
            return
        self._limbs(_LEGS)
        self._ends(_FEET)
        self._torso()
        self._head()
        self._limbs(_ARMS)
        self._ends(_HANDS)

    def _distance(self, first: KeyPoint, second: KeyPoint) -> float:
        if first in self.at and second in self.at:
            return float(np.linalg.norm(self.at[first] - self.at[second]))
        return 0.0

    def _unit(self) -> float:
        """Distance of the shoulders; for a person in profile or cut off, estimated from other distances."""
        shoulders, hips = (
            [KeyPoint[f'{side}_{joint}'] for side in ('RIGHT', 'LEFT')] for joint in ('SHOULDER', 'HIP')
        )
        return max(
            self._distance(*shoulders),
            *(2 * self._distance(KeyPoint.NECK, shoulder) for shoulder in shoulders),
            *(_TORSO_TO_SHOULDERS * self._distance(KeyPoint.NECK, hip) for hip in hips),
            _NOSE_TO_SHOULDERS * self._distance(KeyPoint.NECK, KeyPoint.NOSE),
        )

    def _polygon(self, corners: list[np.ndarray], part: Part) -> None:
        self.canvas.polygon([tuple(corner) for corner in corners], fill=int(part))

    def _capsule(self, first: np.ndarray, second: np.ndarray, radii: tuple[float, float], part: Part) -> None:
        for (x, y), radius in zip((first, second), radii, strict=True):
            self.canvas.ellipse([x - radius, y - radius, x + radius, y + radius], fill=int(part))
        along = second - first
        across = np.array([-along[1], along[0]]) / (np.linalg.norm(along) or 1)
        start, end = across * radii[0], across * radii[1]
        self._polygon([first + start, second + end, second - end, first - start], part)

    def _limbs(self, limbs: tuple[Limb, ...]) -> None:
        for limb in limbs:
            if limb.first in self.at and limb.second in self.at:
                part = limb.back if self.from_behind else limb.front
                radii = (limb.radii[0] * self.unit, limb.radii[1] * self.unit)
                self._capsule(self.at[limb.first], self.at[limb.second], radii, part)

    def _ends(self, ends: tuple) -> None:
        for before, end, part, length, radius in ends:
            if before in self.at and end in self.at:
                along = self.at[end] - self.at[before]
                tip = self.at[end] + along / (np.linalg.norm(along) or 1) * (length - radius) * self.unit
                self._capsule(self.at[end], tip, (radius * self.unit,) * 2, part)

    def _torso(self) -> None:
        shoulders = self._sides(KeyPoint.RIGHT_SHOULDER, KeyPoint.LEFT_SHOULDER, KeyPoint.NECK, self.unit / 2)
        if shoulders is None:
            return
        right, left = shoulders
        across = left - right
        down = np.array([-across[1], across[0]]) / (np.linalg.norm(across) or 1)
        down = down if down[1] > 0 else -down
        hips = self._sides(KeyPoint.RIGHT_HIP, KeyPoint.LEFT_HIP, None, 0) or (
            right + down * _TORSO * self.unit + 0.15 * across,
            left + down * _TORSO * self.unit - 0.15 * across,
        )
        step = across / (np.linalg.norm(across) or 1) * self.unit
        corners = [
            right - step * _SHOULDER_RIM,
            (right + left) / 2 - down * 0.12 * self.unit,
            left + step * _SHOULDER_RIM,
            hips[1] + step * _HIP_RIM,
            (hips[0] + hips[1]) / 2 + down * _CROTCH * self.unit,
            hips[0] - step * _HIP_RIM,
        ]
        self._polygon(corners, Part.TORSO_1 if self.from_behind else Part.TORSO_2)

    def _sides(
        self, right: KeyPoint, left: KeyPoint, middle: KeyPoint | None, half: float
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Both points of a pair; a missing one mirrored at `middle`, or level with it `half` away."""
        if right in self.at and left in self.at:
            return self.at[right], self.at[left]
        if middle not in self.at:
            return None
        centre = self.at[middle]
        if right in self.at:
            return self.at[right], 2 * centre - self.at[right]
        if left in self.at:
            return 2 * centre - self.at[left], self.at[left]
        return centre - (half, 0), centre + (half, 0)

    def _head(self) -> None:
        face = [KeyPoint.NOSE, KeyPoint.RIGHT_EYE, KeyPoint.LEFT_EYE, KeyPoint.RIGHT_EAR, KeyPoint.LEFT_EAR]
        seen = [self.at[point] for point in face if point in self.at]
        if not seen:
            return
        centre = np.mean(seen, axis=0)
        neck = self.at.get(KeyPoint.NECK)
        up = centre - neck if neck is not None else np.array([0.0, -1.0])
        up = up / (np.linalg.norm(up) or 1)
        right = np.array([up[1], -up[0]])  # the person's right-hand side as the camera sees it
        right = -right if self.from_behind else right
        width, height = _HEAD_WIDTH * self.unit, _HEAD_HEIGHT * self.unit
        for side, part in ((right, Part.HEAD_1), (-right, Part.HEAD_2)):
            corners = []
            for step in range(_ELLIPSE_CORNERS // 2 + 1):
                angle = 2 * math.pi * step / _ELLIPSE_CORNERS
                corners.append(centre + up * height * math.cos(angle) + side * width * math.sin(angle))
            if neck is not None:
                foot = neck - up * _NECK_FOOT * self.unit
                beside = side * _NECK * self.unit
                self._polygon([foot, foot + beside, centre + beside, centre], part)
            self._polygon(corners, part)
