"""The two pictures of a person that SDAFN sees: without the old garment and arms, and as a drawn skeleton.

SDAFN (Bai et al., ECCV 2022) as published, for pictures of 256 x 192: brush sizes are pixels of that size.
"""

import io

import cv2
import numpy as np
from PIL import Image, ImageDraw

from data.labels import KeyPoint as P

AGNOSTIC_QUALITY, SKELETON_QUALITY = 75, 95  # of the JPEG files that the published inputs were
ARM_WIDTH, SHOULDER_WIDTH, SIDE_WIDTH, HIP_WIDTH, RADIUS = 100, 70, 60, 120, 40
LEAST_SCORE = 0.01
DOT_RADIUS, LIMB_SHARE = 4, 0.6

ARM_CHAINS = ((P.RIGHT_SHOULDER, P.RIGHT_ELBOW, P.RIGHT_WRIST), (P.LEFT_SHOULDER, P.LEFT_ELBOW, P.LEFT_WRIST))
LIMBS = (
    (P.NECK, P.RIGHT_SHOULDER), (P.NECK, P.LEFT_SHOULDER), (P.RIGHT_SHOULDER, P.RIGHT_ELBOW),
    (P.RIGHT_ELBOW, P.RIGHT_WRIST), (P.LEFT_SHOULDER, P.LEFT_ELBOW), (P.LEFT_ELBOW, P.LEFT_WRIST),
    (P.NECK, P.RIGHT_HIP), (P.RIGHT_HIP, P.RIGHT_KNEE), (P.RIGHT_KNEE, P.RIGHT_ANKLE), (P.NECK, P.LEFT_HIP),
    (P.LEFT_HIP, P.LEFT_KNEE), (P.LEFT_KNEE, P.LEFT_ANKLE), (P.NECK, P.NOSE), (P.NOSE, P.RIGHT_EYE),
    (P.RIGHT_EYE, P.RIGHT_EAR), (P.NOSE, P.LEFT_EYE), (P.LEFT_EYE, P.LEFT_EAR),
)  # fmt: skip
# One a point and limb, red last: the published pictures were written with channels in that order.
COLOURS_BGR = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0),
    (0, 255, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255),
    (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85),
)  # fmt: skip


def draw_agnostic(
    picture: np.ndarray, clothes: np.ndarray, kept: np.ndarray, points: np.ndarray
) -> np.ndarray:
    """Black out a person's garment and arms with their surroundings, hands included: uint8 RGB [256, 192, 3].

    `picture` is uint8 RGB, `clothes` and `kept` bool [256, 192]: what is black in any case, and what is put
    back afterwards (hair, face, the other clothes). `points` [18, 3] holds x, y, score of OpenPose's key
    points, zeros where not found.
    """
    undressed = np.where(clothes[..., None], 0, picture).astype(np.uint8)
    canvas = Image.fromarray(undressed.copy())
    points = points[:, :2].copy()
    _fit_hips(points)
    draw = ImageDraw.Draw(canvas)
    _cover_arms(draw, points)
    _cover_torso(draw, points)
    _disc(draw, points[P.NECK], RADIUS, RADIUS, square=True)
    return np.where(kept[..., None], undressed, np.asarray(canvas))


def _fit_hips(points: np.ndarray) -> None:
    """Move both hips along their line until they are as far apart as the shoulders."""
    shoulders = np.linalg.norm(points[P.LEFT_SHOULDER] - points[P.RIGHT_SHOULDER] + 1e-8)
    hips = np.linalg.norm(points[P.LEFT_HIP] - points[P.RIGHT_HIP] + 1e-8)
    middle = (points[P.RIGHT_HIP] + points[P.LEFT_HIP]) / 2
    for hip in (P.RIGHT_HIP, P.LEFT_HIP):
        points[hip] = middle + (points[hip] - middle) * shoulders / hips


def _disc(
    draw: ImageDraw.ImageDraw, point: np.ndarray, across: float, down: float, *, square: bool = False
) -> None:
    x, y = point
    box = (x - across, y - down, x + across, y + down)
    (draw.rectangle if square else draw.ellipse)(box, fill='black', outline='black')


def _line(draw: ImageDraw.ImageDraw, first: np.ndarray, second: np.ndarray, width: int) -> None:
    draw.line([tuple(first), tuple(second)], fill='black', width=width)


def _cover_arms(draw: ImageDraw.ImageDraw, points: np.ndarray) -> None:
    shoulders = points[P.RIGHT_SHOULDER], points[P.LEFT_SHOULDER]
    _line(draw, *shoulders, SHOULDER_WIDTH)
    for x, y in shoulders:  # as published, wider to the right
        draw.ellipse((x - RADIUS, y - RADIUS, x + RADIUS + 10, y + RADIUS), fill='black', outline='black')
    for shoulder, elbow, wrist in ARM_CHAINS:
        for first, second in ((shoulder, elbow), (elbow, wrist)):
            if points[first].any() and points[second].any():
                _line(draw, points[first], points[second], ARM_WIDTH)
                if second == elbow:
                    _disc(draw, points[elbow], RADIUS, RADIUS)


def _cover_torso(draw: ImageDraw.ImageDraw, points: np.ndarray) -> None:
    def found(*names: P) -> list[np.ndarray]:
        return [points[name] for name in names if (points[name] >= 1).any()]

    for hip in found(P.RIGHT_HIP, P.LEFT_HIP):
        _disc(draw, hip, 30, 60)
    sides = ((P.RIGHT_SHOULDER, P.RIGHT_HIP), (P.LEFT_SHOULDER, P.LEFT_HIP), (P.RIGHT_HIP, P.LEFT_HIP))
    for ends, width in zip(sides, (SIDE_WIDTH, SIDE_WIDTH, HIP_WIDTH), strict=True):
        if len(both := found(*ends)) == 2:
            _line(draw, both[0], both[1], width)
    outline = found(P.RIGHT_SHOULDER, P.LEFT_SHOULDER, P.LEFT_HIP, P.RIGHT_HIP)
    if len(outline) > 1:
        draw.polygon([tuple(point) for point in outline], fill='black', outline='black')


def draw_skeleton(points: np.ndarray, size: tuple[int, int] = (256, 192)) -> np.ndarray:
    """Draw OpenPose's key points [18, 3] (x, y, score) and limbs on black, in SDAFN's colours: uint8 RGB."""
    picture = np.zeros((*size, 3), np.uint8)
    for (x, y, score), colour in zip(points, COLOURS_BGR, strict=True):
        if score > LEAST_SCORE:
            cv2.circle(picture, (int(x), int(y)), DOT_RADIUS, colour, thickness=-1)
    for (first, second), colour in zip(LIMBS, COLOURS_BGR, strict=False):
        (x0, y0, score0), (x1, y1, score1) = points[first], points[second]
        if min(score0, score1) < LEAST_SCORE:
            continue
        centre = int(np.mean([x0, x1])), int(np.mean([y0, y1]))
        axes = int(np.hypot(x0 - x1, y0 - y1) / 2), DOT_RADIUS
        angle = int(np.degrees(np.arctan2(y0 - y1, x0 - x1)))
        limb = picture.copy()
        cv2.fillConvexPoly(limb, np.array(cv2.ellipse2Poly(centre, axes, angle, 0, 360, 1)), colour)
        picture = np.asarray(cv2.addWeighted(picture, 1 - LIMB_SHARE, limb, LIMB_SHARE, 0))
    return np.ascontiguousarray(picture[..., ::-1])


def through_jpeg(picture: np.ndarray, quality: int) -> Image.Image:
    """A picture uint8 RGB [H, W, 3] after JPEG compression."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, 'JPEG', quality=quality)
    return Image.open(file)
