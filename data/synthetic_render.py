"""Draws people in garments for `data.synthetic`: a flat garment, a person, and the warp that takes the one onto the other.

Not part of any paper. Lengths are in body units: the frame is 256 units high and shows a person of scale 1 as VITON's
photographs do. The torso frame has its origin at the pit of the neck, x to the right of the picture, y down the spine;
side -1 is the left of the picture, the person's right. Everything is drawn SUPERSAMPLE times as large as it is stored and
averaged down; maps that vary smoothly are computed at the stored size and enlarged. Colours are RGB, 0..255.
"""

import copy
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from data.labels import DensePosePart, Parsing

SUPERSAMPLE = 2
FRAME_HEIGHT, FRAME_WIDTH = 256, 192

BARE_TORSO = Parsing.UNUSED_2
"""Bare chest and belly: in no mask of the method, as the generator has to invent them. The neck counts as face."""

UPPER_ARM, FOREARM, HAND = 60.0, 50.0, 25.0
REACH = UPPER_ARM + FOREARM
"""Lengths of the parts of an arm that is not foreshortened; wrist and fingers lie beyond REACH."""

WARM = (0.78, 1.05, 1.15)
"""How strongly red, green and blue of skin answer to shade: shadows on skin are warm."""

Window = tuple[slice, slice]
"""Rows and columns of the stored picture."""


# ---------------------------------------------------------------------------------------------- curves, brushes, layers


def ramp(value: np.ndarray) -> np.ndarray:
    """Smooth step from 0 at 0 to 1 at 1."""
    value = np.minimum(np.maximum(value, 0), 1)
    return value * value * (3 - 2 * value)


@lru_cache(maxsize=8)
def _spline_basis(steps: int) -> np.ndarray:
    t = np.linspace(0, 1, steps, endpoint=False)
    basis = 0.5 * np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3], -1)
    return basis.astype(np.float32)


@lru_cache(maxsize=256)
def _spline_spans(count: int, closed: bool) -> np.ndarray:
    """Which four points [spans, 4] each piece of a curve rests on; the ends of an open one count twice."""
    places = np.arange(count if closed else count - 1)[:, None] + np.arange(-1, 3)
    return places % count if closed else np.clip(places, 0, count - 1)


def spline(points: list | np.ndarray, *, closed: bool = False, steps: int = 5) -> np.ndarray:
    """Catmull-Rom curve through points [N, 2] as a polyline [M, 2] with `steps` pieces between neighbours."""
    points = np.asarray(points, np.float32)
    curve = (_spline_basis(steps) @ points[_spline_spans(len(points), closed)]).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, points[-1:]])


def mirrored(points: np.ndarray) -> np.ndarray:
    """Closed outline from its right half, given from top to bottom."""
    points = np.asarray(points, np.float32)
    return np.concatenate([points, points[::-1] * np.float32((-1, 1))])


class Profile:
    """Smooth function of one variable through knots, tabulated in steps of 1/8; constant beyond its ends."""

    def __init__(self, knots: list[tuple[float, float]]):
        curve = spline(knots, steps=12)
        self.low = knots[0][0]
        places = np.arange(self.low, knots[-1][0] + 0.125, 0.125)
        self.table = np.interp(places, curve[:, 0], curve[:, 1]).astype(np.float32)

    def __call__(self, value):
        """The function at a number or an array."""
        last = len(self.table) - 1
        if isinstance(value, float | int):
            return float(self.table[min(max(int((value - self.low) * 8), 0), last)])
        index = np.minimum(np.maximum((value - np.float32(self.low)) * 8, 0), last)
        return self.table.take(index.astype(np.int32))


@lru_cache(maxsize=1)
def _noise_tile() -> np.ndarray:
    rng = np.random.default_rng(20)
    tile = np.zeros((768, 768), np.float32)
    for cells, weight in ((6, 1.0), (12, 0.6), (24, 0.35), (48, 0.2), (96, 0.12)):
        coarse = rng.standard_normal((cells, cells)).astype(np.float32)
        tile += weight * cv2.resize(coarse, (768, 768), interpolation=cv2.INTER_CUBIC)
    return tile / np.abs(tile).max()


def noise(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Cloudy noise [h, w] in -1..1, cut from a tile that is the same in every process."""
    size = [min(side, 640) for side in shape]
    y, x = (int(rng.integers(0, 768 - side)) for side in size)
    cut = _noise_tile()[y : y + size[0], x : x + size[1]]
    return cut if cut.shape == tuple(shape) else cv2.resize(cut, tuple(shape)[::-1])


def tint(color: np.ndarray, shade: np.ndarray, response: tuple = (1.0, 1.0, 1.0)) -> np.ndarray:
    """A colour (3,) under a shade [h, w] around 1 -> [h, w, 3]; `response` per channel."""
    return cv2.merge([(shade - 1) * np.float32(c * k) + np.float32(c) for c, k in zip(color, response, strict=True)])


def grow(image: np.ndarray) -> np.ndarray:
    """Bring a map at the stored size to the drawing size."""
    size = (image.shape[1] * SUPERSAMPLE, image.shape[0] * SUPERSAMPLE)
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)


def shrink(image: np.ndarray) -> np.ndarray:
    """Average a map at the drawing size down to the stored size."""
    size = (image.shape[1] // SUPERSAMPLE, image.shape[0] // SUPERSAMPLE)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


class Frame(NamedTuple):
    """Size of the stored picture in pixels."""

    height: int
    width: int

    @property
    def unit(self) -> float:
        """Stored pixels per body unit."""
        return self.height / FRAME_HEIGHT

    @property
    def margin(self) -> float:
        """Stored pixels left of the frame of body units (negative where the picture is narrower)."""
        return (self.width - FRAME_WIDTH * self.unit) / 2

    def window(self, points: np.ndarray | None = None, pad: float = 0.0) -> Window | None:
        """The window that holds points [N, 2] in frame units, widened by `pad` units; None where that is out of the picture."""
        if points is None:
            return slice(0, self.height), slice(0, self.width)
        x0, y0 = ((np.min(points, 0) - pad) * self.unit + (self.margin, 0)).astype(int).tolist()
        x1, y1 = ((np.max(points, 0) + pad) * self.unit + (self.margin + 1, 1)).astype(int).tolist()
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, self.width), min(y1, self.height)
        return (slice(y0, y1), slice(x0, x1)) if x1 - x0 > 1 and y1 - y0 > 1 else None


class Brush:
    """Draws anti-aliased shapes, given in units, into a window at the drawing size."""

    def __init__(self, frame: Frame, window: Window, *, zoom: float = 1.0, origin: tuple = (0.0, 0.0)):
        """With `zoom` and `origin`, shapes are given in units of which `zoom` make a frame unit, from `origin` on."""
        self.frame, self.window, self.zoom, self.origin = frame, window, zoom, np.float32(origin)
        self.shape = tuple((s.stop - s.start) * SUPERSAMPLE for s in window)
        self.scale = frame.unit * SUPERSAMPLE * zoom
        corner = np.float32((frame.margin - window[1].start, -window[0].start))
        self.shift = (corner + self.origin * np.float32(frame.unit)) * SUPERSAMPLE - np.float32(0.5)

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Units -> sixteenths of a drawing pixel, as OpenCV's drawing functions take them with shift=4."""
        return np.rint((np.asarray(points, np.float32) * np.float32(self.scale) + self.shift) * 16).astype(np.int32)

    def blank(self, value: int = 0) -> np.ndarray:
        """An empty 8-bit drawing."""
        return np.full(self.shape, value, np.uint8)

    def cover(self, *outlines: np.ndarray) -> np.ndarray:
        """Cover [h, w] in 0..1 of closed outlines."""
        mask = self.blank()
        for outline in outlines:
            cv2.fillPoly(mask, [self.pixels(outline)], 255, cv2.LINE_AA, 4)
        return mask * np.float32(1 / 255)

    def lines(self, lines: list[np.ndarray], width: float, soft: float = 0.0) -> np.ndarray:
        """Cover [h, w] in 0..1 of polylines of a width, blurred by `soft` (both in units)."""
        mask = self.blank()
        thickness = max(1, round(width * self.scale))
        cv2.polylines(mask, [self.pixels(line) for line in lines], False, 255, thickness, cv2.LINE_AA, 4)
        if soft:
            mask = cv2.blur(cv2.blur(mask, (self.odd(soft), self.odd(soft))), (self.odd(soft), self.odd(soft)))
        return mask * np.float32(1 / 255)

    def odd(self, soft: float) -> int:
        """Width in drawing pixels of a box that, used twice, blurs about as a Gaussian of `soft` units."""
        return 2 * max(1, round(soft * self.scale * 1.2)) + 1

    def axes(self, factor: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Units x [w] and y [h, 1] of the pixel centres, `factor` to a stored pixel."""
        rows, columns = self.window
        x = (np.arange(columns.start * factor, columns.stop * factor) + 0.5) / factor - self.frame.margin
        y = (np.arange(rows.start * factor, rows.stop * factor) + 0.5) / factor
        x, y = ((v / self.frame.unit - o) / self.zoom for v, o in ((x, self.origin[0]), (y, self.origin[1])))
        return x.astype(np.float32), y.astype(np.float32)[:, None]

    def relief(self, lines: list[np.ndarray], soft: float, strength: float, light: np.ndarray) -> np.ndarray:
        """Light and shade [h, w] around 0, at the stored size, of soft folds along lines."""
        unit = self.frame.unit
        height = np.zeros([s.stop - s.start for s in self.window], np.uint8)
        for index, item in enumerate(lines):
            points = np.rint((np.asarray(item) * self.scale + self.shift) * (16 / SUPERSAMPLE)).astype(np.int32)
            cv2.polylines(height, [points], False, 150 + 105 * (index % 2), max(1, round(2.4 * unit)), cv2.LINE_AA, 4)
        side = 2 * max(1, round(soft * unit * 1.2)) + 1
        height = cv2.blur(cv2.blur(height.astype(np.float32), (side, side)), (side, side))
        lx, ly = (float(v) * strength * unit / 100 for v in light[:2])
        kernel = np.float32([[lx + ly, 2 * ly, ly - lx], [2 * lx, 0, -2 * lx], [lx - ly, -2 * ly, -lx - ly]])
        slopes = cv2.filter2D(height, -1, kernel)
        # cloth is dull: folds darken it more than they brighten it
        return slopes - 0.45 * np.maximum(slopes, 0)


class Layer(NamedTuple):
    """A patch of paint: `rgb` [h, w, 3] and `alpha` [h, w] float32 at the drawing size.

    `label` is the parsing id wherever the patch covers at least half of a stored pixel (None: paint only); `flow` [h, w, 2], for
    layers of the garment, is the pixel (x, y) of the flat garment that is seen at each stored pixel. Without rgb a layer with a
    label only renames what is there, and one without darkens it by alpha.
    """

    window: Window
    rgb: np.ndarray | None
    alpha: np.ndarray
    label: int | None = None
    flow: np.ndarray | None = None

    def is_shadow(self) -> bool:
        """Whether the layer darkens what lies below and is nothing itself."""
        return self.rgb is None and self.label is None


def paint(layer: Layer, canvas: np.ndarray, parsing: np.ndarray, flow: np.ndarray) -> None:
    """Paint a layer onto canvas [2h, 2w, 3], parsing [h, w] and flow [h, w, 2] (NaN where no garment is seen), in place."""
    rows, columns = (slice(s.start * SUPERSAMPLE, s.stop * SUPERSAMPLE) for s in layer.window)
    patch = canvas[rows, columns]
    if layer.rgb is not None:
        fresh = cv2.subtract(layer.rgb, patch)
        cv2.multiply(fresh, cv2.merge([layer.alpha, layer.alpha, layer.alpha]), fresh)
        cv2.add(patch, fresh, patch)
    elif layer.is_shadow():
        keep = 1 - layer.alpha
        cv2.multiply(patch, cv2.merge([keep, keep, keep]), patch)
    if layer.label is not None:
        covered = shrink(layer.alpha) >= 0.5
        parsing[layer.window][covered] = layer.label
        flow[layer.window][covered] = np.nan if layer.flow is None else layer.flow[covered]


def overlap(first: Window, second: Window | None) -> Window | None:
    """What two windows share; None where they do not meet."""
    if second is None:
        return None
    both = tuple(slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(first, second, strict=True))
    return both if all(s.stop > s.start for s in both) else None


def crop(layer: Layer, window: Window | None) -> Layer | None:
    """The part of a layer inside a window; None where they do not meet."""
    both = overlap(layer.window, window)
    if both is None:
        return None
    cut = tuple(slice(b.start - a.start, b.stop - a.start) for a, b in zip(layer.window, both, strict=True))
    fine = tuple(slice(s.start * SUPERSAMPLE, s.stop * SUPERSAMPLE) for s in cut)
    flow = None if layer.flow is None else layer.flow[cut]
    return Layer(both, None if layer.rgb is None else layer.rgb[fine], layer.alpha[fine], layer.label, flow)


def limb_shade(across: np.ndarray, normal_x, normal_y, light: np.ndarray) -> np.ndarray:
    """Shade of a round limb, 1 where it faces us; `across` is -1..1 from rim to rim, `light` [3] leads to the lamp."""
    facing = np.sqrt(np.maximum(1 - across * across, 0.03))
    lit = facing + across * (normal_x * np.float32(light[0] / light[2]) + normal_y * np.float32(light[1] / light[2]))
    return 0.6 + 0.4 * np.minimum(np.maximum(lit, 0), 1.3)


def capsule(x: np.ndarray, y: np.ndarray, start, end, start_radius: float, end_radius: float) -> np.ndarray:
    """Signed distance to a tapered capsule, negative inside."""
    ax, ay = float(end[0] - start[0]), float(end[1] - start[1])
    x, y = x - float(start[0]), y - float(start[1])
    place = np.minimum(np.maximum((x * ax + y * ay) / max(ax * ax + ay * ay, 1e-6), 0), 1)
    dx, dy = x - place * ax, y - place * ay
    return np.sqrt(dx * dx + dy * dy) - (start_radius + place * (end_radius - start_radius))


def join(first: np.ndarray, second: np.ndarray, soft: float) -> np.ndarray:
    """Union of two signed distances with the corner between them filled over `soft` units."""
    near = np.maximum(soft - np.abs(first - second), 0)
    return np.minimum(first, second) - near * near / (4 * soft)


# ---------------------------------------------------------------------------------------------- what a person is like

SKINS = (
    (246, 217, 196), (240, 203, 178), (231, 188, 158), (214, 164, 130), (190, 138, 102), (152, 104, 74), (116, 78, 56),
    (88, 60, 45),
)  # fmt: skip
HAIRS = (
    (28, 24, 24), (46, 34, 28), (72, 48, 34), (104, 70, 44), (146, 104, 62), (196, 158, 104), (222, 192, 142),
    (132, 58, 34), (150, 148, 146),
)  # fmt: skip
TROUSERS = (
    (38, 48, 76), (62, 84, 124), (110, 136, 170), (24, 25, 29), (40, 40, 44), (232, 231, 228), (150, 150, 152),
    (176, 156, 126), (92, 78, 62), (74, 82, 62), (92, 36, 44),
)  # fmt: skip
STUDIOS = ((243, 243, 242), (236, 236, 236), (228, 228, 229), (245, 242, 237), (231, 234, 238), (219, 220, 222))
WALLS = ((196, 186, 172), (172, 186, 198), (204, 176, 166), (160, 172, 158), (188, 190, 196), (214, 204, 180))
LIPSTICKS = ((176, 52, 62), (190, 84, 88), (150, 44, 60), (204, 104, 100))
IRISES = ((58, 40, 28), (70, 52, 34), (84, 98, 110), (72, 92, 70))


def pick(rng: np.random.Generator, choices: tuple, weights: tuple | None = None):
    """One of the choices; weights need not sum to 1."""
    share = np.cumsum(weights if weights is not None else np.ones(len(choices)))
    return choices[min(int(np.searchsorted(share, rng.uniform() * share[-1], side='right')), len(choices) - 1)]


@dataclass
class Arm:
    """One arm in the torso frame. `place` says when it is painted: 'behind' the torso, in 'front' of it, on 'top' of the head."""

    side: int
    joint: np.ndarray
    elbow: np.ndarray
    wrist: np.ndarray
    hand_angle: float
    hand: str
    place: str
    girth: float

    def __post_init__(self):
        self.joint, self.elbow, self.wrist = (np.asarray(p, np.float32) for p in (self.joint, self.elbow, self.wrist))
        bones = self.elbow - self.joint, self.wrist - self.elbow
        self.lengths = tuple(float(np.hypot(*bone)) for bone in bones)
        self.along = tuple(bone / np.float32(length) for bone, length in zip(bones, self.lengths, strict=True))
        # the normals point outwards when the arm hangs
        self.normal = tuple(np.float32((d[1], -d[0])) * self.side for d in self.along)
        self.upper = (9.4 * self.girth, 7.0 * self.girth)
        self.lower = (7.4 * self.girth, 4.6 * self.girth**0.5)

    def tip(self) -> np.ndarray:
        """Where the fingers end."""
        return self.wrist + HAND * np.float32((self.side * np.sin(self.hand_angle), np.cos(self.hand_angle)))

    def fields(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Place along the arm, in units of one that is not foreshortened, and signed distance across it, both smooth."""
        (d1, d2), (n1, n2) = self.along, self.normal
        ex, ey = x - self.elbow[0], y - self.elbow[1]
        half = (d1 + d2) / max(float(np.hypot(*(d1 + d2))), 1e-3)
        weight = ramp((ex * half[0] + ey * half[1]) / 14 + 0.5)
        t1 = UPPER_ARM + (ex * d1[0] + ey * d1[1]) * (UPPER_ARM / self.lengths[0])
        t2 = UPPER_ARM + (ex * d2[0] + ey * d2[1]) * (FOREARM / self.lengths[1])
        r1, r2 = ex * n1[0] + ey * n1[1], ex * n2[0] + ey * n2[1]
        return t1 + weight * (t2 - t1), r1 + weight * (r2 - r1)

    def radius(self, place: np.ndarray, extra: float = 0.0) -> np.ndarray:
        """Half the width of the arm at places along it."""
        share = np.minimum(np.maximum(place / UPPER_ARM, 0), 1)
        rest = np.minimum(np.maximum((place - UPPER_ARM) / FOREARM, 0), 1)
        return self.upper[0] + extra + share * (self.upper[1] - self.upper[0]) + rest * (self.lower[1] - self.upper[1])

    def distance(self, x: np.ndarray, y: np.ndarray, extra: float = 0.0) -> np.ndarray:
        """Signed distance to the arm without its hand."""
        first = capsule(x, y, self.joint, self.elbow, *(r + extra for r in self.upper))
        return join(first, capsule(x, y, self.elbow, self.wrist, *(r + extra for r in self.lower)), 4)


@dataclass
class Person:
    """Everything about a person but the garment: lengths in body units, points in the torso frame."""

    male: bool
    scale: float
    origin: np.ndarray
    lean: float
    turn: float
    bend: float
    tips: tuple[np.ndarray, np.ndarray]
    neck: float
    widths: Profile
    waist: float
    arms: list[Arm]
    head: dict
    lower: dict
    skin: np.ndarray
    light: np.ndarray
    backdrop: dict
    tucked: bool
    rng: np.random.Generator = field(repr=False)
    pit: float = 36.0

    def __post_init__(self):
        cos, sin = float(np.cos(self.lean)), float(np.sin(self.lean))
        self.rotation = np.float32([[cos, sin], [-sin, cos]]) * np.float32(self.scale)
        self.slopes = self.shoulder_table()

    def to_frame(self, points: np.ndarray | list) -> np.ndarray:
        """Torso frame [..., 2] -> frame units."""
        points = np.array(points, np.float32)
        points[..., 0] += self.spine(points[..., 1])
        return points @ self.rotation + self.origin

    def grid(self, brush: Brush, factor: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Torso-frame x and y of the pixels of a window."""
        x, y = brush.axes(factor)
        back = self.rotation / np.float32(self.scale**2)
        x, y = x - self.origin[0], y - self.origin[1]
        x, y = x * back[0, 0] + y * back[0, 1], x * back[1, 0] + y * back[1, 1]
        return x - self.spine(y), y

    def spine(self, y: np.ndarray) -> np.ndarray:
        """Sideways bend of the spine: none above the arms, most at the hips."""
        return self.bend * ramp((y - 20) / 100)

    def shoulder(self, x: np.ndarray) -> np.ndarray:
        """Height of the upper surface of neck and shoulders over x, a hollow curve down to the tips."""
        index = np.minimum(np.maximum(x * 4 + 360, 0), 720)
        return self.slopes.take(index.astype(np.int32))

    def shoulder_table(self) -> np.ndarray:
        """`shoulder` for x = -90 .. 90 in steps of a quarter."""
        x = np.linspace(-90, 90, 721)
        tip_x = np.where(x < 0, -self.tips[0][0], self.tips[1][0])
        tip_y = np.where(x < 0, self.tips[0][1], self.tips[1][1])
        # softplus keeps the curve smooth where the neck rises from it
        a = self.neck + 5 * np.log1p(np.exp(np.clip((np.abs(x) - self.neck) / 5, -8, 8)))
        rest = np.minimum((tip_x - a) / (tip_x - self.neck), 1)
        height = tip_y - (tip_y + 9) * np.where(rest > 0, np.abs(rest) ** 1.5, rest * 0.5)
        return (height + 3 * ramp((np.abs(x) - tip_x + 9) / 12)).astype(np.float32)

    def seam(self, arm: Arm) -> tuple[float, float]:
        """Places along the arm where the armhole's seam crosses its outer rim (shoulder) and its inner rim (armpit)."""
        tip = self.tips[(arm.side + 1) // 2] - arm.joint
        pit = np.float32((arm.side * self.widths(self.pit), self.pit)) - arm.joint
        return float(np.clip(tip @ arm.along[0], -12, 6)), float(np.clip(pit @ arm.along[0], 3, 26))


def reach_for(joint: np.ndarray, wrist: tuple, upper: float, lower: float) -> tuple[np.ndarray, np.ndarray]:
    """Elbow and wrist of an arm whose hand goes for a point, elbow outside; x grows outwards."""
    joint, wrist = np.asarray(joint, float), np.asarray(wrist, float)
    far, limit = float(np.hypot(*(wrist - joint))), 0.98 * (upper + lower)
    if far > limit:
        wrist, far = joint + (wrist - joint) * (limit / far), limit
    axis, along = (wrist - joint) / far, (upper**2 - lower**2 + far**2) / (2 * far)
    height = np.sqrt(max(upper**2 - along**2, 4.0))
    return joint + along * axis + height * np.array((axis[1], -axis[0])), wrist


def sample_arm(rng: np.random.Generator, pose: str, side: int, joint: np.ndarray, hips: float, waist: float, girth: float) -> Arm:
    """An arm in a named pose: 'side', 'out', 'akimbo', 'pocket', 'belly', 'over' or 'under' the other, 'raised', 'behind'."""
    joint, spread = np.asarray(joint, np.float32) * (side, 1), rng.uniform  # x outwards
    hand, place = 'relaxed', 'front'
    if pose in ('side', 'out', 'raised'):
        first = np.radians({'side': spread(5, 17), 'out': spread(28, 55), 'raised': spread(122, 140)}[pose])
        short = spread(0.74, 0.86) if pose == 'raised' else spread(0.93, 1)
        elbow = joint + UPPER_ARM * short * np.array((np.sin(first), np.cos(first)))
        second = first + np.radians(spread(-13, 5) if pose == 'side' else spread(-40, 10))
        wrist = elbow + FOREARM * spread(0.9, 1) * np.array((np.sin(second), np.cos(second)))
        angle = second + np.radians(spread(-12, 8))
        if pose == 'raised':
            wrist, place, angle = np.array((spread(18, 25), spread(-62, -44))), 'top', np.radians(spread(215, 250))
    elif pose in ('over', 'under'):
        elbow = joint + (spread(5, 10), UPPER_ARM * spread(0.82, 0.92))
        wrist = np.array((spread(-20, -14), elbow[1] - spread(4, 12)))
        angle, hand = np.radians(spread(-112, -98)), 'flat'
    else:
        goal, short = {
            'akimbo': ((hips - spread(-1, 4), spread(90, 100)), spread(0.88, 0.98)),
            'pocket': ((hips - spread(7, 12), waist + spread(7, 11)), spread(0.88, 0.97)),
            'belly': ((spread(-10, 10), spread(58, 84)), spread(0.8, 0.9)),
            'behind': ((hips - spread(18, 24), spread(88, 98)), spread(0.84, 0.9)),
        }[pose]
        elbow, wrist = reach_for(joint, goal, UPPER_ARM * short, FOREARM * short)
        angle = float(np.arctan2(*(wrist - elbow)))
        angle = {'akimbo': np.radians(spread(-60, -25)), 'pocket': np.radians(spread(-14, 0))}.get(
            pose, angle + spread(-0.25, 0.25)
        )
        hand, place = {'akimbo': 'flat', 'pocket': 'pocket'}.get(pose, 'relaxed'), 'behind' if pose == 'behind' else 'front'
    turned = (np.asarray(point) * (side, 1) for point in (joint, elbow, wrist))
    return Arm(side, *turned, float(angle), hand, place, girth * rng.uniform(0.95, 1.06))


def sample_poses(rng: np.random.Generator) -> tuple[str, str]:
    """Names of the poses of the arms at the left and at the right of the picture."""
    both = pick(rng, ('free', 'crossed', 'behind'), (0.85, 0.1, 0.05))
    if both == 'crossed':
        return pick(rng, (('over', 'under'), ('under', 'over')))
    if both == 'behind':
        return 'behind', 'behind'
    names, weights = ('side', 'akimbo', 'pocket', 'belly', 'raised', 'out'), (0.5, 0.17, 0.13, 0.07, 0.08, 0.05)
    return pick(rng, names, weights), pick(rng, names, weights)


def sample_widths(rng: np.random.Generator, *, male: bool, build: float) -> Profile:
    """Half the width of the torso over its height."""
    if male:
        knots = ((0, 40), (18, 39), (36, 38), (46, 38.5), (62, 35.5), (80, 33), (98, 34), (114, 36), (150, 37))
    else:
        waist, hips = 26.5 * rng.uniform(0.95, 1.08), 36.5 * rng.uniform(0.95, 1.06)
        knots = ((0, 36), (18, 35), (36, 33.2), (46, 33.8), (62, 29.8), (78, waist), (95, 31), (113, hips), (150, 37))
    return Profile([(y, width * build) for y, width in knots])


def sample_person(rng: np.random.Generator, *, male: bool) -> Person:
    """A random person of varied build, pose, clothes and surroundings."""
    spread, poses = rng.uniform, sample_poses(rng)
    build, tilt = spread(0.93, 1.1), spread(-3.5, 3.5)
    tip_x, tip_y = (45 if male else 39.5) * spread(0.96, 1.05), spread(5, 10)
    lifts = [7 if pose == 'raised' else 0 for pose in poses]
    tips = tuple(np.float32((s * (tip_x - lift / 3), tip_y - lift + s * tilt)) for s, lift in zip((-1, 1), lifts, strict=True))
    waist = spread(92, 102) if male else spread(80, 99)
    widths, girth = sample_widths(rng, male=male, build=build), build * (1.15 if male else 0.97)
    arms = [
        sample_arm(rng, pose, side, tip + (-side * (8 if male else 6.5), 8.5), widths(104.0), waist, girth)
        for pose, side, tip in zip(poses, (-1, 1), tips, strict=True)
    ]
    arms.sort(key=lambda arm: poses[(arm.side + 1) // 2] == 'over')
    scale = float(np.clip(rng.normal(1.06, 0.08), 0.86, 1.28))
    shade = float(np.clip(rng.beta(1.1, 1.8), 0, 0.999)) * (len(SKINS) - 1)
    skin = np.array(SKINS[int(shade)]) + shade % 1 * np.subtract(SKINS[int(shade) + 1], SKINS[int(shade)])
    light = np.array((spread(0.2, 0.6) * pick(rng, (-1, 1)), spread(-0.35, -0.15), 0.9))
    return Person(
        male=male,
        scale=scale,
        origin=np.float32((96 + spread(-9, 9), spread(-4, 16) + 68 * scale)),
        lean=float(np.radians(spread(-5, 5))),
        turn=spread(-0.2, 0.2),
        bend=spread(-6, 6),
        tips=tips,
        neck=(11.5 if male else 9.0) * spread(0.95, 1.05),
        widths=widths,
        waist=waist,
        arms=arms,
        head=sample_head(rng, male=male, skin=skin),
        lower=sample_lower(rng, male=male),
        skin=skin.astype(np.float32),
        light=(light / np.linalg.norm(light)).astype(np.float32),
        backdrop=sample_backdrop(rng),
        tucked='pocket' in poses or spread() < (0.1 if male else 0.28),
        rng=rng,
    )


def sample_head(rng: np.random.Generator, *, male: bool, skin: np.ndarray) -> dict:
    """Turn, tilt, features and hair of a head; dark skin goes with dark hair and eyes."""
    spread, dark = rng.uniform, skin.sum() < 440
    styles = ('short', 'buzz') if male else ('long', 'waves', 'bob', 'bun', 'tail', 'curls', 'short')
    weights = (0.75, 0.25) if male else (0.28, 0.2, 0.14, 0.14, 0.12, 0.09, 0.03)
    natural = np.clip(skin * (0.86, 0.62, 0.62), 0, 255)
    made_up = np.array(pick(rng, LIPSTICKS)) * np.clip(skin.mean() / 190, 0.55, 1)
    return {
        'turn': spread(-0.75, 0.75),
        'tilt': float(np.radians(spread(-9, 9))),
        'nod': spread(-1.5, 2.0),
        'size': spread(0.92, 1.02),
        'width': spread(0.93, 1.03),
        'jaw': spread(0.95, 1.08) * (1.1 if male else 0.97),
        'style': pick(rng, styles, weights),
        'hair': (np.array(HAIRS[int(rng.integers(3 if dark else len(HAIRS)))]) * spread(0.9, 1.1)).astype(np.float32),
        'lips': natural if male or spread() < 0.4 else made_up,
        'part': spread(-9, 9),
        'fringe': not male and spread() < 0.22,
        'length': spread(32, 76),
        'iris': np.array((38, 26, 20) if dark else pick(rng, IRISES)),
        'beard': male and spread() < 0.5,
        'brow': spread(0.8, 1.4) * (1.3 if male else 1),
        'smile': spread(0.3, 1.9),
        'glasses': spread() < 0.08,
        'earrings': not male and spread() < 0.25,
        'front': pick(rng, ((-1, 1), (-1,), (1,), ()), (0.4, 0.15, 0.15, 0.3)),
    }


def sample_lower(rng: np.random.Generator, *, male: bool) -> dict:
    """Trousers, shorts or a skirt."""
    color = np.clip(np.array(pick(rng, TROUSERS)) * rng.uniform(0.9, 1.08), 0, 245).astype(np.float32)
    return {
        'kind': pick(rng, ('trousers', 'shorts', 'skirt'), (0.85, 0.15, 0) if male else (0.7, 0.1, 0.2)),
        'color': color,
        'belt': rng.uniform() < 0.35,
        'stance': rng.uniform(17, 24),
        'flare': rng.uniform(4, 20),
        'hem': rng.uniform(150, 190),
        'ease': rng.uniform(0.5, 3.5),
    }


def sample_backdrop(rng: np.random.Generator) -> dict:
    """Mostly the plain light backdrop of a studio, sometimes a coloured or textured wall."""
    kind = pick(rng, ('studio', 'wall', 'panels'), (0.8, 0.13, 0.07))
    return {
        'kind': kind,
        'color': np.float32(pick(rng, STUDIOS if kind == 'studio' else WALLS)) * np.float32(rng.uniform(0.97, 1.02)),
        'slope': rng.uniform(-0.05, 0.05, 2),
        'vignette': rng.uniform(0.0, 0.07),
        'shadow': rng.uniform(0.0, 0.22),
    }


# ---------------------------------------------------------------------------------------------- head and hair


class Head:
    """Coordinates of the head: origin between eyes and nose, chin at y = 25, crown at -25, cheeks at x = +-18."""

    def __init__(self, person: Person):
        self.person, look = person, person.head
        self.center = np.float32((look['turn'] * 2.5 + 8 * np.sin(look['tilt']), -12.8 - 25 * look['size'] + look['nod']))
        cos, sin = float(np.cos(look['tilt'])), float(np.sin(look['tilt']))
        size = np.float32([[look['size'] * look['width']], [look['size']]])
        self.matrix = size * np.float32([[cos, sin], [-sin, cos]])

    def to_frame(self, points: np.ndarray | list) -> np.ndarray:
        """Head coordinates [..., 2] -> frame units; the spine is straight up here."""
        torso = np.asarray(points, np.float32) @ self.matrix + self.center
        return torso @ self.person.rotation + self.person.origin

    def grid(self, brush: Brush) -> tuple[np.ndarray, np.ndarray]:
        """Head coordinates of the pixels of a window."""
        x, y = self.person.grid(brush)
        back = np.linalg.inv(self.matrix)
        x, y = x - self.center[0], y - self.center[1]
        return x * back[0, 0] + y * back[1, 0], x * back[0, 1] + y * back[1, 1]

    def feature(self, x: float, y: float) -> tuple[float, float]:
        """Where a feature of the face lies once the head is turned."""
        turn = self.person.head['turn']
        return x * (1 - 0.08 * abs(turn)) + turn * (5.5 - 0.014 * x * x) * (1 - (y / 50) ** 2), y

    def features(self, *points: tuple[float, float]) -> list[tuple[float, float]]:
        """`feature` of several points."""
        return [self.feature(x, y) for x, y in points]

    def outline(self) -> np.ndarray:
        """The head without hair and ears."""
        jaw, turn = self.person.head['jaw'], self.person.head['turn']
        half = [
            (8, -24.5),
            (14.5, -19),
            (17.6, -10),
            (18, -1),
            (17.1 * jaw**0.5, 7),
            (14.2 * jaw, 15),
            (9.0 * jaw, 21.5),
            (3.9 * jaw, 25),
        ]
        outline = spline(mirrored(half), closed=True)
        y = outline[:, 1]
        # the far cheek is flatter, the chin follows the turn
        outline[:, 0] += turn * (2.6 * np.clip((y - 5) / 20, 0, 1) - 0.9 * (1 - (y / 26) ** 2))
        return outline


def face_shade(head: Head, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Shade of the skin of the face [h, w] in head coordinates."""

    def bump(cx: float, cy: float, sx: float, sy: float) -> np.ndarray:
        px, py = head.feature(cx, cy)
        dx, dy = (x - px) / sx, (y - py) / sy
        return np.exp(-dx * dx - dy * dy)

    lit = float(np.sign(head.person.light[0]))
    across = np.clip(x / 19, -1, 1)
    shade = 1.03 - 0.2 * across**4 + 0.1 * across * lit - 0.1 * ramp((y - 12) / 14)
    for side in (-1, 1):
        shade -= 0.10 * bump(side * 7.4, -0.8, 4.6, 3.0) + 0.05 * bump(side * 12.5, 12, 4, 7) - 0.05 * bump(side * 9.5, 6.5, 4, 3)
    shade += 0.07 * bump(0, 5, 1.6, 6) + 0.05 * bump(0, -13, 9, 5) - 0.10 * bump(-2.6 * lit, 6, 1.4, 5)
    return shade - 0.13 * bump(0, 11.2, 3.2, 1.2) - 0.10 * bump(0, 20, 4, 1.5)


def eye_marks(head: Head, side: int) -> list[tuple]:
    """Eye and brow of one side as (points, line width or None for a filled shape, colour)."""
    look, skin = head.person.head, head.person.skin
    t = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    # the eyes look the same way: the shift of the irises follows the turn, not the side
    gaze = 7.4 + side * look['turn'] * 0.5

    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return head.features(*((side * x, y) for x, y in points))

    def ring(cx: float, cy: float, rx: float, ry: float) -> list[tuple[float, float]]:
        return at(*zip(cx + rx * np.cos(t), cy + ry * np.sin(t), strict=True))

    lid = np.clip(skin * 0.2, 14, 60)
    thick = look['brow']
    brow = at(
        (2.9, -5.0),
        (6.5, -6.7),
        (10, -6.6),
        (13.2, -4.6),
        (10, -6.6 + thick * 0.9),
        (6.5, -6.7 + thick * 1.4),
        (2.9, -5.0 + thick * 1.4),
    )
    hair = np.clip(look['hair'] * 0.6, 12, 120)
    return [
        (ring(7.5, 0.3, 3.3, 1.55), None, (234, 230, 226)),
        (ring(gaze, 0.1, 1.6, 1.6), None, look['iris']),
        (ring(gaze, 0.1, 0.8, 0.8), None, (14, 12, 12)),
        (at((4.6, -1.9), (7.5, -3.0), (10.6, -1.8)), 0.4, skin * 0.78),
        (at((4.8, 1.3), (7.5, 2.0), (10.2, 1.2)), 0.4, skin * 0.68),
        (
            spline(at((4.0, 0.9), (5.6, -0.9), (7.6, -1.45), (9.6, -0.7), (11.1, 0.4)), steps=3),
            0.7 if head.person.male else 1.0,
            lid,
        ),
        (ring(gaze - 0.4, -0.5, 0.35, 0.35), None, (250, 250, 250)),
        (spline(brow, closed=True, steps=3), None, 0.8 * hair + 0.2 * skin),
    ]


def mouth_and_nose_marks(head: Head) -> list[tuple]:
    """Mouth, nose and glasses, in the form of `eye_marks`."""
    look, skin, at = head.person.head, head.person.skin, head.features
    smile = look['smile']
    wide, corner = 5.3 + 0.5 * smile, 16.7 - 0.95 * smile
    lips = 0.9 * np.asarray(look['lips']) + 0.1 * skin
    middle = ((2.5, 16.3), (0, 16.6), (-2.5, 16.3))
    upper = at((-wide, corner), (-2.6, 14.9), (-1, 14.5), (0, 14.8), (1, 14.5), (2.6, 14.9), (wide, corner), *middle)
    lower = at((wide, corner), *middle, (-wide, corner), (-3, 18.6), (0, 19.3), (3, 18.6))
    marks = [
        (spline(upper, closed=True, steps=3), None, lips * 0.87),
        (spline(lower, closed=True, steps=3), None, lips),
        (spline(at((-wide, corner), *middle[::-1], (wide, corner)), steps=4), 0.4, lips * 0.58),
        (at((-1, 17.8), (1.2, 17.8)), 0.6, np.clip(lips * 1.12 + 8, 0, 255)),
    ]
    for side in (-1, 1):
        marks.append((at((side * 1.4, 10.2), (side * 2.4, 9.9)), 0.8, skin * 0.5))
        marks.append((spline(at((side * 2.2, 7.4), (side * 3.4, 8.8), (side * 2.9, 10.4)), steps=3), 0.4, skin * 0.8))
    if look['glasses']:
        t = np.linspace(0, 2 * np.pi, 21)
        for side in (-1, 1):
            rim = zip(side * 7.6 + 5.0 * np.cos(t), 0.8 + 3.9 * np.sin(t), strict=True)
            marks.append((at(*rim), 0.55, (34, 28, 30)))
            marks.append((at((side * 12.6, 0), (side * 18, -0.8)), 0.55, (34, 28, 30)))
        marks.append((at((-2.6, 0.4), (0, -0.4), (2.6, 0.4)), 0.55, (34, 28, 30)))
    return marks


def face_layers(person: Person, frame: Frame) -> list[Layer]:
    """The face with its features, and the ears."""
    head = Head(person)
    outline = head.to_frame(head.outline())
    window = frame.window(outline, 5)
    if window is None:
        return []
    brush = Brush(frame, window)
    x, y = head.grid(brush)
    rgb = tint(person.skin, face_shade(head, x, y).astype(np.float32), WARM)
    for side in (-1, 1):
        px, py = head.feature(side * 10.5, 8)
        blush = np.exp(-(((x - px) / 4.5) ** 2) - ((y - py) / 3.5) ** 2)[..., None]
        rgb += blush * np.float32((4, -2, -2) if person.male else (9, -5, -5))
    if person.head['beard']:
        chin = ramp((y - 9 + 0.02 * x * x) / 6) * (1 - np.exp(-((x / 6) ** 2) - ((y - 16.8) / 3.0) ** 2))
        rgb += (0.5 * chin)[..., None] * (person.head['hair'] * 0.8 - rgb)
    skin = np.clip(grow(rgb), 0, 255).astype(np.uint8)
    marks = [*eye_marks(head, -1), *eye_marks(head, 1), *mouth_and_nose_marks(head)]
    shapes = brush.pixels(head.to_frame(np.concatenate([points for points, _, _ in marks])))
    shapes = np.split(shapes, np.cumsum([len(points) for points, _, _ in marks])[:-1])
    for shape, (_, width, color) in zip(shapes, marks, strict=True):
        color = [min(max(float(value), 0), 255) for value in color]
        if width is None:
            cv2.fillPoly(skin, [shape], color, cv2.LINE_AA, 4)
        else:
            cv2.polylines(skin, [shape], False, color, max(1, round(width * brush.scale)), cv2.LINE_AA, 4)
    ears = []
    for side in (-1, 1):
        if side * person.head['turn'] < 0.35:
            ear = [(side * 17, -5), (side * 20.3, -5.5), (side * 20.6, 0), (side * 19, 6), (side * 16.8, 7)]
            ears.append(head.to_frame(spline(ear, closed=True)))
    lobes = np.clip(grow(tint(person.skin, 0.86 + 0.08 * np.cos(y / 3).astype(np.float32), WARM)), 0, 255).astype(np.uint8)
    if person.head['earrings']:
        for side in (-1, 1):
            drop = brush.pixels(head.to_frame([(side * 18.2, 6.3)]))[0].tolist()
            cv2.circle(lobes, drop, int(16 * brush.scale), (236, 214, 150), -1, cv2.LINE_AA, 4)
    sides = [Layer(window, lobes.astype(np.float32), brush.cover(*ears), Parsing.FACE)] if ears else []
    return [*sides, Layer(window, skin.astype(np.float32), brush.cover(outline), Parsing.FACE)]


class Lock(NamedTuple):
    """Hair between two lines [24, 2] in head coordinates that run from its root to its tip."""

    inner: np.ndarray
    outer: np.ndarray


def lock(inner: list, outer: list) -> Lock:
    """A lock between two smooth curves."""

    def even(points: list) -> np.ndarray:
        curve = spline(points)
        step = np.sqrt((np.diff(curve, axis=0) ** 2).sum(1))
        place = np.concatenate([[0], np.cumsum(step)])
        target = np.linspace(0, place[-1], 24)
        return np.stack([np.interp(target, place, curve[:, i]) for i in (0, 1)], -1).astype(np.float32)

    return Lock(even(inner), even(outer))


def crown(look: dict, side: int, puff: float, low: float) -> list[tuple[float, float]]:
    """The outer line of the hair of one side, from the parting over the temple down to `low`."""
    part = look['part'] + look['turn'] * 3
    wide, tall = 18.6 + 0.75 * puff, 19 + puff
    angles = np.linspace(np.arcsin(part / wide), side * np.pi / 2, 9)
    return [
        *zip(wide * np.sin(angles), -7 - tall * np.cos(angles), strict=True),
        (side * (wide - 0.3), (low - 7) / 2),
        (side * (wide - 0.8), low),
    ]


PUFFS = {'buzz': 0.5, 'short': 3.2, 'bun': 1.6, 'tail': 1.6, 'bob': 3.4, 'long': 2.8, 'waves': 3.6, 'curls': 4.0}
LOW = {'short': 0.0, 'buzz': -3.0, 'bun': -1.0, 'tail': -1.0, 'bob': 6.0, 'long': 7.0, 'waves': 7.0, 'curls': 4.0}


def cap_lock(look: dict, side: int) -> Lock:
    """The hair on one half of the head, between the hairline and the crown."""
    style, part = look['style'], look['part'] + look['turn'] * 3
    puff, low, brow = PUFFS[style], LOW[style], -14.5
    edge = [(part, brow - 5), (side * 8 + part * 0.3, brow - 3.5), (side * 14, brow + 1.5), (side * 16.2, -7), (side * 16.9, low)]
    if look['fringe'] and style not in ('short', 'buzz'):
        edge = [(part, -7.5), (side * 8 + part * 0.3, -8), (side * 13, -6.5), (side * 15.8, -2), (side * 16.5, low)]
    return lock(edge, crown(look, side, puff, low))


def side_locks(look: dict, side: int, rng: np.random.Generator) -> tuple[list[Lock], list[Lock]]:
    """Long hair of one side, behind the body and in front of it."""
    style, puff, wave = look['style'], PUFFS[look['style']], rng.uniform(-2, 2, 4)
    curl = {'waves': 4.0, 'long': 1.0, 'bob': 0.5}[style]
    end = 25 + wave[0] if style == 'bob' else look['length']
    tuck = -5.0 if style == 'bob' else 0.0
    fall = np.array((0.2, 0.4, 0.6, 0.8, 1.0))
    swing = curl * np.sin(5 * fall * end / 60 + wave[1]) + 2 * fall + tuck * fall**3
    top = crown(look, side, puff, 4.0)
    outer = [*top[2:-1], *((side * (19 + 0.75 * puff + s), 4 + (end - 4) * f) for f, s in zip(fall, swing, strict=True))]
    inner = [(0, -24), (side * 3, -8), (side * 3, 4), *((side * (3 + 4 * f), 4 + end * f) for f in fall)]
    back = [lock(inner, outer)]
    if style == 'bob':
        edge = [(side * 15.6, -10), (side * 16.4, 2), (side * 15.0, 13), (side * 13.2, end - 1.5)]
        rim = [(side * 18.4, -10), (side * (19.2 + puff), 2), (side * (19.6 + puff), 14), (side * (15.5 + puff), end)]
        return back, [lock(edge, rim)]
    if side not in look['front']:
        return back, []
    fall, end = np.array((0.0, 0.25, 0.5, 0.75, 1.0)), look['length'] * 1.1
    wide, narrow = (curl * np.sin(5 * fall * end / 60 + w) for w in (wave[2], wave[3]))
    rim = [
        (side * 18.0, -12),
        (side * (19.5 + puff), 2),
        *((side * (20.5 + puff + w - 3 * f**3), 16 + (end - 16) * f) for f, w in zip(fall, wide, strict=True)),
    ]
    edge = [
        (side * 15.6, -10),
        (side * 16.4, 3),
        *((side * (14.5 + w + 2 * f + 4.5 * f**4), 16 + (end - 14) * f) for f, w in zip(fall, narrow, strict=True)),
    ]
    return back, [lock(edge, rim)]


def hair_locks(person: Person, rng: np.random.Generator) -> tuple[list[Lock], list[Lock]]:
    """All locks behind the body and in front of it."""
    look, back, front = person.head, [], []
    for side in (-1, 1):
        front.append(cap_lock(look, side))
        if look['style'] in ('long', 'waves', 'bob'):
            behind, before = side_locks(look, side, rng)
            back += behind
            front += before
    if look['style'] == 'tail':
        s, end = -1 if look['turn'] > 0 else 1, look['length']
        inner = [(s * 4, -18), (s * 15, -4), (s * 16, 18), (s * 15, 36), (s * 18, end * 0.9)]
        back.append(lock(inner, [(s * 8, -24), (s * 21, -10), (s * 24, 14), (s * 25, 34), (s * 20, end * 0.95)]))
    if look['style'] == 'bun':
        t, x = np.linspace(0.1, np.pi - 0.1, 9), look['turn'] * -4
        inner, outer = ((x - r * np.cos(t), -26 - h * np.sin(t)) for r, h in ((5, 1), (10, 13.5)))
        front.append(lock(list(zip(*inner, strict=True)), list(zip(*outer, strict=True))))
    return back, front


def hair_layers(person: Person, frame: Frame, locks: list[Lock], *, dim: float, rng: np.random.Generator) -> list[Layer]:
    """Locks as one patch: their silhouette, strands of varied tone along them, a band of gloss."""
    if not locks:
        return []
    inner, outer = (Head(person).to_frame(np.stack(lines)) for lines in zip(*locks, strict=True))
    window = frame.window(np.concatenate([inner, outer]).reshape(-1, 2), 1)
    if window is None:
        return []
    brush = Brush(frame, window)
    tone = brush.blank(118)
    for first, last in zip(inner, outer, strict=True):
        share = np.sort(rng.uniform(0.01, 0.99, 30)).astype(np.float32)[:, None, None]
        curves = brush.pixels(first + share * (last - first))
        for value, width, start in ((92, 2, 0), (146, 1, 1), (102, 1, 2), (164, 1, 3), (130, 2, 4)):
            cv2.polylines(tone, list(curves[start::5]), False, value, width, cv2.LINE_AA, 4)
        gloss = int(rng.integers(4, 9))
        cv2.polylines(tone, list(curves[::3, gloss : gloss + 5]), False, 190, 1, cv2.LINE_AA, 4)
    tone = cv2.blur(tone, (3, 3)).astype(np.float32)
    rgb = tint(person.head['hair'], (0.7 + tone * np.float32(0.6 / 255)) * np.float32(dim))
    rgb += cv2.merge([(tone - 118) * np.float32(0.14 * dim)] * 3)
    outlines = np.concatenate([inner, outer[:, ::-1]], axis=1)
    return [Layer(window, rgb, brush.cover(*outlines), Parsing.HAIR)]


def curls_layers(person: Person, frame: Frame, *, back: bool, rng: np.random.Generator) -> list[Layer]:
    """A round head of curls, as many small rings; its front half frames the face."""
    count = 190 if back else 130
    angle = rng.uniform(0, 2 * np.pi, count) if back else rng.uniform(np.pi * 0.98, np.pi * 2.02, count)
    radius = 30 * np.sqrt(rng.uniform(0.02, 1, count)) if back else rng.uniform(20, 29, count)
    spots = np.stack([radius * np.cos(angle), -9 + radius * np.sin(angle)], -1)
    spots = spots if back else spots[(spots[:, 1] < -15) | (np.abs(spots[:, 0]) > 19)]
    spots = Head(person).to_frame(spots)
    window = frame.window(spots, 8)
    if window is None:
        return []
    brush = Brush(frame, window)
    mask, tone = brush.blank(), brush.blank(110)
    size = brush.scale * person.scale
    for spot, value in zip(brush.pixels(spots).tolist(), rng.integers(70, 175, len(spots)).tolist(), strict=True):
        cv2.circle(mask, spot, int(70 * size), 255, -1, cv2.LINE_AA, 4)
        cv2.circle(tone, spot, int(36 * size), value, max(1, int(1.1 * size)), cv2.LINE_AA, 4)
    shade = (0.66 + tone * np.float32(0.6 / 255)) * np.float32(0.85 if back else 1)
    return [Layer(window, tint(person.head['hair'], shade), mask * np.float32(1 / 255), Parsing.HAIR)]


# ---------------------------------------------------------------------------------------------- body


class Patch:
    """Torso-frame coordinates of a window, and what of a person does not depend on the garment there."""

    def __init__(self, person: Person, frame: Frame, window: Window):
        self.window, self.brush = window, Brush(frame, window)
        self.x, self.y = person.grid(self.brush)
        self.shoulder = person.shoulder(self.x)
        self.across = np.clip(self.x / person.widths(self.y), -1, 1)
        self.trunk = limb_shade(self.across * 0.93, 1.0, 0.0, person.light)

    def part(self, window: Window | None) -> 'Patch | None':
        """The same for the part that lies inside a window; None where they do not meet."""
        both = overlap(self.window, window)
        if both is None:
            return None
        cut = tuple(slice(b.start - a.start, b.stop - a.start) for a, b in zip(self.window, both, strict=True))
        twin = copy.copy(self)
        twin.window, twin.brush = both, Brush(self.brush.frame, both)
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray) and value.shape == self.x.shape:
                setattr(twin, name, np.ascontiguousarray(value[cut]))
        return twin


class ArmPatch(Patch):
    """The same around one arm, with the arm's own coordinates: place along it, across it, and past the seam of the armhole."""

    def __init__(self, person: Person, frame: Frame, window: Window, arm: Arm):
        super().__init__(person, frame, window)
        self.arm = arm
        self.place, self.side = arm.fields(self.x, self.y)
        self.seam = person.seam(arm)
        self.bare, self.hand = arm.distance(self.x, self.y), np.zeros(self.x.shape, bool)
        turn = ramp((self.place - UPPER_ARM) / 16 + 0.5)
        (n1, n2) = arm.normal
        self.normal_x, self.normal_y = (n1[i] + turn * (n2[i] - n1[i]) for i in (0, 1))

    def start(self, rim: np.ndarray) -> np.ndarray:
        """Place of the armhole's seam for points across the arm (-1 inner .. 1 outer rim)."""
        outer, inner = self.seam
        return inner + (outer - inner) * (rim + 1) / 2

    def rim(self) -> np.ndarray:
        """Where across the bare arm a pixel lies, -1 inner .. 1 outer rim."""
        return np.clip(self.side / self.arm.radius(self.place), -1, 1)


def torso_layers(person: Person, frame: Frame) -> list[Layer]:
    """Bare torso with shoulders and neck."""
    outline = []
    for side, tip in zip((1, -1), person.tips[::-1], strict=True):
        x = side * np.linspace(person.neck, side * float(tip[0]), 10)
        half = [(side * person.neck * 0.93, -26), (side * person.neck * 0.95, -15), *zip(x, person.shoulder(x), strict=True)]
        half += [(side * (abs(tip[0]) - 2), tip[1] + 12), *((side * person.widths(y), y) for y in (36, 46, 62, 78, 95, 106))]
        outline += half if side > 0 else half[::-1]
    outline = person.to_frame(outline)
    window = frame.window(outline, 1)
    if window is None:
        return []
    patch = Patch(person, frame, window)
    brush, x, y = patch.brush, patch.x, patch.y
    chin = np.exp(-(((y + 16) / 8.0) ** 2) - ((x + 2 * np.sign(person.light[0])) / 14) ** 2)
    throat = 1 - 0.14 * np.minimum(np.abs(x) / person.neck, 1) ** 3
    rise = ramp((-1 - y) / 6)
    shade = (patch.trunk + rise * (0.96 * throat - patch.trunk)) * (1 - 0.30 * chin)
    bones = [person.to_frame(spline([(s * 3.5, 2.5), (s * 10, 2), (s * 20, -0.5), (s * 30, 1.5)])) for s in (-1, 1)]
    cords = [person.to_frame(spline([(s * person.neck * 0.8, -13), (s * 5, -5), (s * 2.2, 1)])) for s in (-1, 1)]
    shade = shade + brush.relief([*bones, *cords], 1.3, 0.07, np.float32((0.3, -0.9)))
    rgb, alpha = grow(tint(person.skin, shade.astype(np.float32), WARM)), brush.cover(outline)
    neck = grow(((y < -2.5 + 0.03 * x * x) & (np.abs(x) < person.neck + 1.5)).astype(np.float32))
    return [Layer(window, rgb, alpha, BARE_TORSO), Layer(window, None, alpha * neck, Parsing.FACE)]


def hand_distance(arm: Arm, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signed distance to the hand and a map that is 1 in the gaps between its fingers; x and y in the torso frame."""
    sin, cos, size = float(np.sin(arm.hand_angle)), float(np.cos(arm.hand_angle)), arm.girth**0.5
    px, py = (x - arm.wrist[0]) * arm.side / size, (y - arm.wrist[1]) / size
    u, v = px * sin + py * cos, py * sin - px * cos  # u towards the finger tips, v towards the thumb
    slim, bend = (0.72, 0.22) if arm.hand == 'relaxed' else (1.0, 0.0)
    palm = capsule(u, v, (-1, 0), (9.0, 0), 4.4, 5.3 * (0.45 + 0.55 * slim))
    digits = []
    for base, length, splay in ((3.7, 9.6, 0.16), (1.3, 11.2, 0.03), (-1.2, 10.6, -0.07), (-3.6, 8.4, -0.2)):
        angle = splay * slim + bend * 0.6
        knuckle = (10.0 + 0.5 * length * np.cos(angle), base * slim + 0.5 * length * np.sin(angle))
        tip = (knuckle[0] + 0.5 * length * np.cos(angle + bend), knuckle[1] + 0.5 * length * np.sin(angle + bend))
        bones = capsule(u, v, (10.0, base * slim), knuckle, 1.8, 1.7), capsule(u, v, knuckle, tip, 1.7, 1.35)
        digits.append(np.minimum(*bones))
    ball, end = (6.5, 6.2 * slim + 1), (11.5, 7.2 * slim + 1)
    digits.append(np.minimum(capsule(u, v, (2, 2.6), ball, 2.4, 1.9), capsule(u, v, ball, end, 1.9, 1.4)))
    nearest = np.sort(np.stack(digits), axis=0)
    distance = join(nearest[0], palm, 2)
    gaps = np.clip(1 - (nearest[1] - nearest[0]) / 0.9, 0, 1) * ramp((u - 7) / 4) * ramp(0.6 - distance / 0.8)
    return distance * size, gaps


def arm_layer(person: Person, frame: Frame, patch: ArmPatch) -> Layer:
    """Bare arm and hand; near the shoulder its shade is that of the torso, so that no edge shows."""
    arm, window = patch.arm, patch.window
    rim = patch.rim()
    tube = limb_shade(rim, patch.normal_x, patch.normal_y, person.light)
    body = np.where(np.abs(patch.across) < 1, patch.trunk, tube)
    shade = body + ramp((patch.place - patch.start(rim) + 6) / 16) * (tube - body)
    distance, shade = grow(patch.bare), grow(shade.astype(np.float32))
    near = frame.window(person.to_frame(np.stack([arm.wrist, arm.tip()])), 11 * person.scale)
    inner = overlap(window, near)
    if inner:
        cut = tuple(slice(i.start - w.start, i.stop - w.start) for i, w in zip(inner, window, strict=True))
        hand, gaps = hand_distance(arm, patch.x[cut], patch.y[cut])
        patch.hand[cut] = hand < patch.bare[cut]
        fine = tuple(slice(c.start * SUPERSAMPLE, c.stop * SUPERSAMPLE) for c in cut)
        hand, gaps = grow(hand), grow(gaps)
        flesh = 0.97 - 0.2 * np.exp(np.clip(hand, -6, 0) / 1.1) - 0.3 * gaps
        shade[fine] += ramp((distance[fine] - hand) / 3 + 0.5) * (flesh - shade[fine])
        distance[fine] = join(distance[fine], hand, 3)
    alpha = np.clip(0.5 - distance * np.float32(person.scale * patch.brush.scale), 0, 1)
    return Layer(window, tint(person.skin, shade, WARM), alpha, Parsing.ARM_13 if arm.side < 0 else Parsing.ARM_11)


def leg_distances(person: Person, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Signed distances to the bare legs at the left and at the right of the picture."""
    hip, stance = person.widths(113.0), person.lower['stance']
    return [capsule(x, y, (s * hip * 0.52, 118), (s * (2 * stance - hip * 0.52), 312), hip * 0.49, 10) for s in (-1, 1)]


def lower_layers(person: Person, frame: Frame) -> list[Layer]:
    """Trousers, shorts or a skirt, and what is bare of the legs."""
    lower, hip, waist = person.lower, person.widths(113.0), person.waist
    kind, hem = lower['kind'], lower['hem']
    window = frame.window(person.to_frame([(-62, waist - 6), (62, waist - 6), (-62, 260), (62, 260)]))
    if window is None:
        return []
    brush, layers = Brush(frame, window), []
    x, y = person.grid(brush)
    legs = leg_distances(person, x, y)
    left, bare = legs[0] < legs[1], np.minimum(*legs)
    drift = (lower['stance'] - hip * 0.52) / 97
    leg = np.clip((np.abs(x) - hip * 0.52 - drift * (y - 118)) / (hip * 0.5 - (y - 118) * 0.05), -1, 1) * np.sign(x)
    scale = np.float32(person.scale * brush.scale)
    if kind != 'trousers':
        shade = limb_shade(leg, 1.0, 0.0, person.light) - 0.15 * np.exp(-(((y - hem) / 10) ** 2))
        rgb, alpha = grow(tint(person.skin, shade, WARM)), np.clip(0.5 - grow(bare) * scale, 0, 1)
        half = grow(left.astype(np.float32)) >= 0.5
        layers = [
            Layer(window, rgb, alpha * m, p) for m, p in ((half, Parsing.OTHER_CLOTHES_10), (~half, Parsing.OTHER_CLOTHES_9))
        ]
    body = person.widths(np.minimum(y, 116))
    if kind == 'skirt':
        body = body + 1 + ramp((y - waist) / (hem - waist)) * lower['flare']
        cloth = np.maximum(np.abs(x) - body, y - hem - 3 * (1 - (x / 45) ** 2))
        across = np.clip(x / body, -1, 1)
    else:
        cloth = np.minimum(np.maximum(np.abs(x) - body - 0.3, y - 126), bare - lower['ease'])
        trunk = np.clip(x / body, -1, 1)
        across = trunk + ramp((y - 108) / 14) * (leg - trunk)
        cloth = np.maximum(cloth, y - hem) if kind == 'shorts' else cloth
    edge = waist - 2.5 * (1 - (x / hip) ** 2) - y
    shade = limb_shade(across, 1.0, 0.0, person.light) + 0.05 * noise(person.rng, x.shape)
    shade = grow(shade.astype(np.float32)) + lower_details(person, brush)
    alpha = np.clip(0.5 - grow(np.maximum(cloth, edge).astype(np.float32)) * scale, 0, 1)
    return [*layers, Layer(window, tint(lower['color'], shade), alpha, Parsing.OTHER_CLOTHES_8)]


def lower_details(person: Person, brush: Brush) -> np.ndarray:
    """Seams, pockets, creases and a belt of the lower clothes, as an addition to their shade at the drawing size."""
    lower, rng, waist, hip = person.lower, person.rng, person.waist, person.widths(113.0)
    seams, soft = [spline([(-hip, waist + 6.5), (0, waist + 4), (hip, waist + 6.5)])], []
    if lower['kind'] == 'skirt':
        for q in rng.uniform(-0.9, 0.9, 7):
            soft.append(
                spline([(q * hip, waist + 8), (q * (hip + lower['flare'] * 0.6), 140), (q * (hip + lower['flare']), 190)])
            )
    else:
        seams += [spline([(1, waist + 6), (1.5, 116), (0, 124)]), spline([(4.5, waist + 6), (5, 110), (1.5, 119)])]
        for s in (-1, 1):
            seams.append(spline([(s * hip * 0.5, waist + 7), (s * hip * 0.66, waist + 14), (s * hip * 0.97, waist + 19)]))
            seams.append(np.float32([(s * hip * 0.45, waist - 1), (s * hip * 0.45, waist + 7)]))
            soft += [spline([(s * 4, 122), (s * (12 + 4 * k), 126 + 5 * k), (s * (24 + 3 * k), 125 + 6 * k)]) for k in range(3)]
        soft.append(np.float32([(0, 124), (0, 150)]))
    detail = -0.2 * brush.lines([person.to_frame(line) for line in seams], 0.5)
    detail += grow(brush.relief([person.to_frame(line) for line in soft], 1.8, 0.12, np.float32((0.5, -0.6))))
    if lower['belt'] and lower['kind'] == 'trousers':
        band = [spline([(q * hip * 1.05, waist + d + 2.2 * q * q) for q in np.linspace(-1, 1, 5)]) for d in (-0.2,)]
        detail -= 0.42 * brush.lines([person.to_frame(line) for line in band], 3.6)
        buckle = [(-3, waist - 2.2), (3.6, waist - 2.2), (3.6, waist + 2), (-3, waist + 2), (-3, waist - 2.2)]
        detail += 0.8 * brush.lines([person.to_frame(buckle)], 0.7)
    return detail


SHADOW = [(0, -64), (22, -49), (20, -14), (44, 4), (46, 60), (40, 120), (44, 190)]
"""Right half of the rough silhouette whose shadow falls on the backdrop."""


def backdrop(person: Person, frame: Frame) -> np.ndarray:
    """The studio behind the person, float32 [2h, 2w, 3]."""
    look, rng = person.backdrop, person.rng
    brush = Brush(frame, frame.window())
    x, y = brush.axes()
    u, v = x / FRAME_WIDTH - 0.5, y / FRAME_HEIGHT - 0.5
    shade = 1 + np.float32(look['slope'][0]) * u + np.float32(look['slope'][1]) * v - look['vignette'] * (u * u + v * v) * 2
    if look['kind'] == 'wall':
        shade = shade + 0.07 * noise(rng, shade.shape)
    elif look['kind'] == 'panels':
        step = rng.uniform(24, 70)
        shade = shade - 0.10 * np.exp(-((np.mod(x + rng.uniform(0, step), step) / 1.2) ** 2)) + 0.03 * noise(rng, shade.shape)
    cast = np.zeros((frame.height // 4, frame.width // 4), np.float32)
    moved = (person.to_frame(spline(mirrored(SHADOW), closed=True)) - (person.light[0] * 26, -6)) * frame.unit + (frame.margin, 0)
    cv2.fillPoly(cast, [np.rint(moved * 4).astype(np.int32)], 1.0, cv2.LINE_8, 4)
    cast = cv2.resize(cv2.GaussianBlur(cast, (0, 0), 2.6), (frame.width, frame.height), interpolation=cv2.INTER_LINEAR)
    small = tint(look['color'], (shade - look['shadow'] * cast).astype(np.float32))
    return cv2.resize(small, (frame.width * SUPERSAMPLE, frame.height * SUPERSAMPLE), interpolation=cv2.INTER_NEAREST)


# ---------------------------------------------------------------------------------------------- the flat garment

DYES = (
    (24, 26, 32), (38, 46, 84), (246, 245, 242), (222, 220, 216), (178, 38, 46), (214, 88, 92), (236, 178, 186),
    (120, 32, 52), (44, 96, 70), (110, 132, 84), (66, 110, 168), (146, 184, 216), (228, 190, 84), (222, 128, 58),
    (126, 84, 148), (196, 170, 208), (88, 90, 96), (150, 152, 158), (196, 170, 138), (104, 74, 56), (40, 128, 134),
    (240, 226, 196), (30, 30, 34), (32, 58, 110), (250, 249, 246),
)  # fmt: skip
WORDS = (
    'HELLO', 'PARIS', 'SUNDAY', 'CLUB', 'WAVES', 'LOVE', 'OCEAN', 'TEAM', 'ROMA', '1984', 'DREAM',
    'MILANO', 'SMILE', 'FREE', 'AMOUR', 'NORTH', 'STUDIO', 'COOL', 'SUMMER', 'YES', 'MOON', 'CITY',
)  # fmt: skip
FONTS = (cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_SCRIPT_COMPLEX)
RING = np.stack(
    [np.cos(np.linspace(0, 2 * np.pi, 40, endpoint=False)), np.sin(np.linspace(0, 2 * np.pi, 40, endpoint=False))], -1
)
SQUARE = np.float32([(-1, -1), (1, -1), (1, 1), (-1, 1)])


@dataclass
class Cut:
    """The pattern pieces of a garment in body units: x = 0 in the middle, y = 0 where the shoulder meets the neck.

    `neck` and `depth`: half width and depth of the neck opening; `tip`, `drop`: the end of the shoulder; `strap`: the same where
    there is no sleeve; `pit`, `chest`: the armpit; `sleeve`: share of REACH it covers, 0 for none; `slope`: its angle below the
    horizontal; `cuff`: half its width at the end; `ease` 0 tight .. 1 loose.
    """

    kind: str
    neckline: str
    collar: str | None
    neck: float
    depth: float
    tip: float
    drop: float
    strap: float
    pit: float
    chest: float
    waist: float
    hem: float
    length: float
    curve: float
    sleeve: float
    slope: float
    cuff: float
    ease: float
    bulge: float

    def __post_init__(self):
        low = self.pit + 0.45 * (self.length - self.pit)
        knots = [(self.pit - 1, self.chest), (self.pit + 6, self.chest * 0.99), (low, self.waist), (self.length - 4, self.hem)]
        self.widths = Profile([*knots, (self.length + 30, self.hem)])
        while self.sleeve and self.slope > 0.5 and self.inner_cuff()[0] < self.hem + 2 and self.inner_cuff()[1] > self.pit + 10:
            self.slope -= 0.03
        self.direction = np.float32((np.cos(self.slope), np.sin(self.slope)))

    def inner_cuff(self) -> tuple[float, float]:
        """The inner end of the right cuff."""
        cos, sin = float(np.cos(self.slope)), float(np.sin(self.slope))
        return (
            self.tip + cos * self.sleeve * REACH - 2 * self.cuff * sin,
            self.drop + sin * self.sleeve * REACH + 2 * self.cuff * cos,
        )

    def shoulder(self, x: np.ndarray) -> np.ndarray:
        """Height of the shoulder seam over x: 0 at the neck, `drop` at the tip, rounded down to it."""
        root, share = float(np.hypot(self.neck, 6.0)), np.minimum(np.abs(x) / self.tip, 1.2) ** 4
        slant = (np.sqrt(x * x + 36) - root) / (float(np.hypot(self.tip, 6.0)) - root)
        return slant * (self.drop - 3.5) + 3.5 * share * share

    def sleeve_point(self, place: np.ndarray, across: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Point of the right sleeve: `place` is 0 at the armhole, 1 at the cuff, `across` -1 inside, 1 outside."""
        reach = self.sleeve * REACH
        dx, dy = float(self.direction[0]), float(self.direction[1])
        inner = self.inner_cuff()
        half = (across + 1) / 2
        puff = np.sin(np.pi * np.clip(place, 0, 1))
        puff = self.bulge * across * puff * puff
        near_x, near_y = self.chest + half * (self.tip - self.chest), self.pit + half * (self.drop - self.pit)
        far_x = inner[0] + half * (self.tip + dx * reach - inner[0])
        far_y = inner[1] + half * (self.drop + dy * reach - inner[1])
        return near_x + place * (far_x - near_x) + puff * dy, near_y + place * (far_y - near_y) - puff * dx

    def front_neckline(self) -> np.ndarray:
        """The neckline from the middle of the front to the right shoulder [12, 2]."""
        power = {'round': 1.0, 'scoop': 0.75, 'square': 0.35, 'boat': 0.9, 'high': 1.0}.get(self.neckline)
        if power is None:
            s = np.linspace(0, 1, 12)
            return np.stack([self.neck * s, self.depth * (1 - s**1.25)], -1)
        t = np.linspace(0, np.pi / 2, 12)
        return np.stack([self.neck * np.sin(t) ** power, self.depth * np.abs(np.cos(t)) ** power], -1)

    def panel(self) -> np.ndarray:
        """Outline of the front without sleeves."""
        end = self.tip if self.sleeve else self.strap
        x, top = np.linspace(self.neck, end, 10), float(self.shoulder(np.float32(end)))
        if self.sleeve:
            hole = np.array([(self.tip + 0.4, self.drop + 0.6), (self.chest + 1.2, self.pit + 1)])
        else:
            fall, out = self.pit - top, self.chest - end
            hole = [(end, top), (end - 1.5, top + 0.45 * fall), (end + 0.3 * out, top + 0.83 * fall), (self.chest, self.pit)]
            hole = spline(hole)
        y, q = np.linspace(self.pit + 1, self.length, 14), np.linspace(1, 0, 8)
        hem = np.stack([self.widths(self.length) * q, self.length + self.curve * (1 - q**2)], -1)
        sides = np.stack([self.widths(y), y], -1)
        return mirrored(np.concatenate([self.front_neckline(), np.stack([x, self.shoulder(x)], -1), hole, sides, hem]))

    def back(self) -> np.ndarray:
        """Outline of the inside of the back, which shows through the neck opening."""
        tall = {None: 2.2, 'shirt': 6.0, 'polo': 5.0, 'hood': 9.5}[self.collar]
        t = np.linspace(0, np.pi / 2, 8)
        rise = np.stack([self.neck * np.sin(t), 0.4 - tall * np.cos(t) ** 0.7], -1)
        return mirrored(np.concatenate([rise, self.front_neckline()[::-1]]))

    def collars(self) -> list[np.ndarray]:
        """The leaves of a collar, or the tube of a high neck."""
        n = self.neck
        if self.neckline == 'high':
            half = [(n * 0.4, -11.5), (n, -10.5), (n + 0.3, -4), (n + 2, 2), (n * 0.7, self.depth), (0, self.depth + 2)]
            return [mirrored(spline(half))]
        if self.collar is None:
            return []
        tall, point = {'shirt': (5.5, (13, 21)), 'polo': (4.5, (14, 17)), 'hood': (9.0, (10, 24))}[self.collar]
        leaf = [
            (0.8, self.depth * 0.55),
            (n * 0.6, -tall * 0.55),
            (n * 0.74, -tall),
            (n + 1.2, -tall * 0.55),
            (n + 4.5, 2.5),
            point,
            (point[0] - 5, point[1] - 1.5),
        ]
        leaf = np.float32(leaf)
        if self.collar == 'hood':
            rim = [
                (0.3, self.depth),
                (n * 0.45, 2),
                (n * 0.66, -tall),
                (n + 3, -tall * 0.8),
                (n + 7.5, 0),
                (n + 4, 10),
                (8, self.depth + 5),
            ]
            leaf = spline([*rim, (1.5, self.depth + 4)], closed=True)
        return [leaf, leaf * np.float32((-1, 1))]

    def sleeve_outline(self, side: int, start: float = 0.0, stop: float = 1.0) -> np.ndarray:
        """Outline of a stretch of a sleeve."""
        t = np.linspace(start, stop, 12)
        outer, inner = (np.stack(self.sleeve_point(t, np.full_like(t, a)), -1) for a in (1.0, -1.0))
        return np.concatenate([outer, inner[::-1]]) * (side, 1)


def sample_neck(rng: np.random.Generator, kind: str, collar: str | None, *, male: bool) -> tuple[str, float, float]:
    """Shape, half width and depth of a neck opening."""
    spread = rng.uniform
    if collar:
        return 'v', spread(11.5, 13), {'shirt': spread(11, 20), 'polo': spread(16, 22), 'hood': spread(14, 18)}[collar]
    if kind == 'sweater':
        shape = pick(rng, ('round', 'v', 'high'), (0.55, 0.2, 0.25))
    else:
        shape = pick(
            rng, ('round', 'v', 'scoop', 'boat', 'square'), (0.8, 0.2, 0, 0, 0) if male else (0.45, 0.24, 0.16, 0.09, 0.06)
        )
    widths = {'round': (12.5, 16), 'v': (12, 15), 'scoop': (17, 21), 'boat': (22, 27), 'square': (17, 21), 'high': (11, 12.5)}
    depths = {'round': (9, 15), 'v': (20, 34), 'scoop': (20, 29), 'boat': (6, 9), 'square': (17, 24), 'high': (5, 7)}
    return shape, spread(*widths[shape]), spread(*depths[shape])


def sample_cut(rng: np.random.Generator, *, male: bool) -> Cut:
    """Pattern pieces of a random garment."""
    spread = rng.uniform
    kinds = ('tee', 'long', 'sweater', 'shirt', 'polo', 'hoodie', 'tank', 'blouse')
    kind = pick(rng, kinds, (0.34, 0.18, 0.14, 0.14, 0.1, 0.1, 0, 0) if male else (0.27, 0.15, 0.12, 0.09, 0.06, 0.04, 0.17, 0.1))
    loose = spread(*{'sweater': (0.5, 1), 'hoodie': (0.6, 1), 'shirt': (0.3, 0.8), 'blouse': (0.4, 1)}.get(kind, (0, 1)))
    collar = {'shirt': 'shirt', 'polo': 'polo', 'hoodie': 'hood'}.get(kind)
    neckline, neck, depth = sample_neck(rng, kind, collar, male=male)
    chest = (38 if male else 34.5) + 8 * loose
    length = spread(104, 128) if male or spread() > 0.08 else spread(74, 84)
    short, long = spread(0.2, 0.32), spread(0.92, 1.0)
    sleeve = {'tee': short, 'polo': short, 'tank': 0.0, 'blouse': pick(rng, (0.0, spread(0.3, 0.5), spread(0.7, 0.95)))}.get(
        kind, long
    )
    sleeve = spread(0.5, 0.7) if kind == 'long' and spread() < 0.2 else sleeve
    wide = 1.5 if kind == 'blouse' and spread() < 0.5 else 1.0
    return Cut(
        kind=kind,
        neckline=neckline,
        collar=collar,
        neck=neck,
        depth=depth,
        tip=(46 if male else 40) + 3 * loose + spread(-1, 1),
        drop=spread(9, 13),
        strap=max(neck + 4, spread(24, 33)),
        pit=35 + 5 * loose + spread(-1, 1),
        chest=chest,
        waist=chest - (1.5 if male else 6.5 * (1 - loose)),
        hem=chest + spread(-1, 2) + (spread(0, 6) * loose if kind in ('tank', 'blouse') else 0),
        length=length,
        curve=pick(rng, (0.5, 1.5, spread(3, 7))),
        sleeve=sleeve,
        slope=float(np.radians(spread(74, 85) if sleeve > 0.6 else spread(38, 58))),
        cuff=(6.0 + 6.0 * max(0.0, 1 - sleeve) + 2.5 * loose) * wide,
        ease=loose,
        bulge=spread(0, 2.0) * loose,
    )


@dataclass
class Garment:
    """A flat garment.

    `picture` uint8 [h, w, 3] on white and `edge` uint8 [h, w], 0 or 255, are what is stored. `cloth` float32 [h, w, 3] is the
    picture without the white around it; `panel` and `front` float32 [h, w] in 0..1 cover what shows when worn: the front without
    and with its sleeves. A body unit is `zoom` frame units, from `origin` on.
    """

    cut: Cut
    zoom: float
    origin: np.ndarray
    picture: np.ndarray
    edge: np.ndarray
    cloth: np.ndarray
    panel: np.ndarray
    front: np.ndarray


def draw_garment(rng: np.random.Generator, frame: Frame, *, male: bool) -> Garment:
    """A random garment, flat on white, about as large as the frame allows."""
    cut = sample_cut(rng, male=male)
    panels, sleeves = [cut.panel(), *cut.collars()], [cut.sleeve_outline(s) for s in (-1, 1)] if cut.sleeve else []
    points = np.concatenate([*panels, *sleeves, cut.back()])
    low, high = points.min(0), points.max(0)
    zoom = float(min(FRAME_WIDTH * 0.96 / (high[0] - low[0]), FRAME_HEIGHT * 0.92 / (high[1] - low[1])) * rng.uniform(0.9, 1.0))
    origin = np.float32((96 + rng.uniform(-2, 2), 128 - zoom * (high[1] + low[1]) / 2 + rng.uniform(-4, 4)))
    window = frame.window(points * zoom + origin, 2)
    brush = Brush(frame, window, zoom=zoom, origin=origin)
    panel, arms, back = brush.cover(*panels), [brush.cover(s) for s in sleeves], brush.cover(cut.back())
    front = np.maximum(panel, np.maximum(*arms)) if arms else panel
    canvas = paint_cloth(rng, brush, cut, [a > 0.5 for a in arms])
    panel, front, back = shrink(panel), shrink(front), shrink(back)
    cover = np.maximum(front, back)
    cloth = shrink(canvas).astype(np.float32)
    grain = {'sweater': 0.06, 'hoodie': 0.04}.get(cut.kind, 0.02)
    shade = flat_shade(rng, brush, cut, cover) * (1 + np.float32(grain) * noise(rng, cover.shape))
    shade *= 1 - 0.4 * np.clip(back - front, 0, 1)
    cloth = np.clip(cv2.multiply(cloth, cv2.merge([shade.astype(np.float32)] * 3)), 0, 255)
    picture = np.full((frame.height, frame.width, 3), 255, np.uint8)
    picture[window] = np.rint(255 + cover[..., None] * (cloth - 255))
    parts = [np.zeros((frame.height, frame.width), np.float32) for _ in range(3)]
    for part, patch in zip(parts, (cover, panel, front), strict=True):
        part[window] = patch
    whole = cv2.copyMakeBorder(
        cloth, window[0].start, frame.height - window[0].stop, window[1].start, frame.width - window[1].stop, cv2.BORDER_REPLICATE
    )
    return Garment(cut, zoom, origin, picture, np.where(parts[0] >= 0.5, 255, 0).astype(np.uint8), whole, parts[1], parts[2])


def paint_cloth(rng: np.random.Generator, brush: Brush, cut: Cut, arms: list[np.ndarray]) -> np.ndarray:
    """The dyed, printed and trimmed cloth over the whole window, uint8 [2h, 2w, 3]."""
    base = dye(rng)
    second, third = contrast(rng, base), dye(rng)
    canvas = paint_pattern(rng, brush, cut, arms, (base, second, third))
    if arms and rng.uniform() < 0.1:
        canvas[arms[0] | arms[1]] = second.astype(np.uint8)
    if cut.kind in ('tee', 'long', 'sweater', 'hoodie', 'tank') and rng.uniform() < 0.55:
        middle = canvas[canvas.shape[0] // 3 : canvas.shape[0] // 2, canvas.shape[1] // 3 : canvas.shape[1] // 2].reshape(-1, 3)
        paint_graphic(rng, brush, cut, canvas, contrast(rng, *middle[:: len(middle) // 4].astype(np.float32)), third)
    paint_trims(rng, brush, cut, canvas, base, second)
    return canvas


def dye(rng: np.random.Generator) -> np.ndarray:
    """A colour for cloth."""
    return np.clip(np.array(pick(rng, DYES)) + rng.normal(0, 6, 3), 14, 247).astype(np.float32)


def contrast(rng: np.random.Generator, *grounds: np.ndarray) -> np.ndarray:
    """A colour for cloth that stands out from others."""
    for _ in range(12):
        color = dye(rng)
        if min(np.abs(color - ground).sum() for ground in grounds) > 190:
            return color
    return np.full(3, 245 if np.mean(grounds) < 128 else 24, np.float32)


def frac(value: np.ndarray) -> np.ndarray:
    """What is left above the next lower integer."""
    return value - np.floor(value)


def cloth_grid(brush: Brush, cut: Cut, arms: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Garment units across and along the cloth [2h, 2w]; on sleeves they follow the sleeve."""
    x, y = brush.axes()
    if not arms:
        return grow(x + 0 * y), grow(y + 0 * x)
    sleeve = (arms[0] | arms[1])[::SUPERSAMPLE, ::SUPERSAMPLE]
    dx, dy = cut.direction
    past, below = np.abs(x) - cut.tip, y - cut.drop
    return grow(np.where(sleeve, below * dx - past * dy, x)), grow(np.where(sleeve, past * dx + below * dy + cut.drop, y))


def paint_pattern(rng: np.random.Generator, brush: Brush, cut: Cut, arms: list[np.ndarray], colors: tuple) -> np.ndarray:
    """The cloth's pattern, uint8 [2h, 2w, 3]."""
    kinds = ('plain', 'stripes', 'bars', 'check', 'tartan', 'dots', 'print', 'cloud', 'block', 'fade')
    kind = pick(rng, kinds, (0.42, 0.17, 0.06, 0.05, 0.05, 0.06, 0.09, 0.04, 0.05, 0.01))
    palette = np.array(colors).astype(np.uint8)
    if kind in ('plain', 'print'):
        canvas = np.empty((*brush.shape, 3), np.uint8)
        canvas[:] = palette[0]
        return paint_print(rng, canvas, palette, brush.scale) if kind == 'print' else canvas
    x, y = cloth_grid(brush, cut, arms)
    step = rng.uniform(5, 16)
    if kind in ('cloud', 'fade'):
        level = ramp(y / cut.length) if kind == 'fade' else ramp(cv2.resize(noise(rng, (256, 192)), x.shape[::-1]) * 6 + 0.5)
        base, second = (np.float32(c) for c in colors[:2])
        return cv2.merge([(b + level * (s - b)) for b, s in zip(base, second, strict=True)]).astype(np.uint8)
    if kind in ('stripes', 'bars'):
        phase = frac((y if kind == 'stripes' else x) / np.float32(step))
        index = (phase < rng.uniform(0.25, 0.6)).astype(np.uint8)
        if rng.uniform() < 0.3:
            index[(phase > 0.75) & (phase < 0.88)] = 2
    elif kind in ('check', 'tartan'):
        palette = np.concatenate([palette, np.array([(colors[0] + colors[1]) / 2]).astype(np.uint8)])
        a, b = (frac(v / np.float32(step)) for v in (x, y))
        index = np.uint8([0, 3, 1])[(a < 0.5).astype(np.uint8) + (b < 0.5)]
        if kind == 'tartan':
            index[(np.abs(a - 0.8) < 0.05) | (np.abs(b - 0.8) < 0.05)] = 2
    elif kind == 'dots':
        row = np.floor(y / np.float32(step))
        dx, dy = frac(x / np.float32(step) + 0.5 * row) - 0.5, frac(y / np.float32(step)) - 0.5
        index = (dx * dx + dy * dy < rng.uniform(0.17, 0.32) ** 2).astype(np.uint8)
    else:
        line = rng.uniform(cut.pit - 8, cut.pit + 34)
        index = (y > line).astype(np.uint8)
        if rng.uniform() < 0.5:
            index[(y > line - rng.uniform(4, 9)) & (y <= line)] = 2
    table = np.zeros((1, 256, 3), np.uint8)
    table[0, : len(palette)] = palette
    return cv2.LUT(cv2.merge([index, index, index]), table)


def paint_print(rng: np.random.Generator, canvas: np.ndarray, palette: np.ndarray, scale: float) -> np.ndarray:
    """Flowers, hearts, leaves or triangles strewn over the cloth, in place."""
    motif, cell = pick(rng, ('flower', 'flower', 'leaf', 'heart', 'triangle')), scale * rng.uniform(11, 18)
    colors = [*palette[1:].tolist(), contrast(rng, palette[0].astype(np.float32)).tolist()]
    t = np.linspace(0, 2 * np.pi, 3 if motif == 'triangle' else 16, endpoint=False)
    shape = np.stack([np.cos(t), np.sin(t)], -1)
    if motif == 'leaf':
        shape[:, 1] *= 0.42 * (1 - 0.4 * shape[:, 0])
    elif motif == 'heart':
        shape = np.stack([np.sin(t) ** 3, -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 16], -1)
    elif motif == 'flower':
        t = np.linspace(0, 2 * np.pi, 30, endpoint=False)
        shape = np.stack([np.cos(t), np.sin(t)], -1) * (0.72 + 0.28 * np.cos(5 * t))[:, None]
    rows, columns = int(canvas.shape[0] / cell) + 1, int(canvas.shape[1] / cell) + 1
    turns = rng.uniform(-0.4, 0.4, (rows, columns)) if motif == 'heart' else rng.uniform(0, 6.3, (rows, columns))
    sizes, jitter = cell * rng.uniform(0.24, 0.42, (rows, columns)), rng.uniform(-0.2, 0.2, (rows, columns, 2))
    kinds = rng.integers(len(colors), size=(rows, columns))
    for row, column in np.ndindex(rows, columns):
        center = (np.array((column + 0.5 * (row % 2), row)) + jitter[row, column]) * cell
        cos, sin = np.cos(turns[row, column]), np.sin(turns[row, column])
        outline = center + shape @ (sizes[row, column] * np.array([[cos, sin], [-sin, cos]]))
        cv2.fillPoly(canvas, [np.rint(outline * 16).astype(np.int32)], colors[kinds[row, column]], cv2.LINE_AA, 4)
        if motif == 'flower':
            spot = np.rint(center * 16).astype(int).tolist()
            cv2.circle(
                canvas, spot, int(sizes[row, column] * 4.5), colors[(kinds[row, column] + 1) % len(colors)], -1, cv2.LINE_AA, 4
            )
    return canvas


def put_word(canvas: np.ndarray, word: str, center: np.ndarray, width: float, color: list, font: int, heavy: float) -> float:
    """Write a word centred at a drawing pixel, as wide as asked for; returns its height."""
    (wide, _), _ = cv2.getTextSize(word, font, 1.0, 1)
    size = width / wide
    thick = max(1, round(heavy * size * 2))
    (wide, high), _ = cv2.getTextSize(word, font, size, thick)
    cv2.putText(canvas, word, (int(center[0] - wide / 2), int(center[1] + high / 2)), font, size, color, thick, cv2.LINE_AA)
    return float(high)


def paint_graphic(
    rng: np.random.Generator, brush: Brush, cut: Cut, canvas: np.ndarray, ink: np.ndarray, second: np.ndarray
) -> None:
    """Lettering, an emblem or a picture on the chest, in place."""
    kind = pick(rng, ('word', 'boxed', 'star', 'small', 'scene', 'badge'), (0.3, 0.18, 0.14, 0.14, 0.13, 0.11))
    middle = np.array((0, max(cut.depth + 22, cut.pit + rng.uniform(4, 18))))
    center, wide = brush.pixels(middle) / 16, rng.uniform(34, 48)
    ink, other, word, font = ink.tolist(), second.tolist(), pick(rng, WORDS), pick(rng, FONTS)

    def fill(points: np.ndarray, color: list) -> None:
        cv2.fillPoly(canvas, [brush.pixels(points)], color, cv2.LINE_AA, 4)

    if kind == 'small':
        spot = (rng.uniform(13, 18), cut.pit + rng.uniform(-6, 2))
        fill(RING[:: pick(rng, (1, 8, 10))] * rng.uniform(2.5, 4) + spot, ink)
    elif kind == 'word':
        high = put_word(canvas, word, center, wide * brush.scale, ink, font, rng.uniform(1.2, 2.6))
        if rng.uniform() < 0.4:
            put_word(canvas, pick(rng, WORDS), center + (0, high * 1.5), wide * 0.55 * brush.scale, other, FONTS[0], 1.0)
    elif kind == 'boxed':
        half = np.array((wide / 2 + 3, rng.uniform(8, 20)))
        fill(middle + half * SQUARE, ink)
        put_word(canvas, word, center, wide * 0.85 * brush.scale, [245] * 3 if np.mean(ink) < 128 else [24] * 3, FONTS[0], 2.2)
        fill(middle + (0, half[1] + 4) + SQUARE * (half[0], 1.6), other)
    elif kind == 'badge':
        radius = rng.uniform(13, 19)
        fill(RING * radius + middle, ink)
        fill(RING * radius * 0.88 + middle, other)
        fill(RING * radius * 0.8 + middle, ink)
        put_word(canvas, word, center, radius * 1.35 * brush.scale, other, FONTS[0], 2.0)
    elif kind == 'star':
        radius, points = rng.uniform(12, 19), int(rng.integers(4, 9))
        angle = np.linspace(0, 2 * np.pi, 2 * points, endpoint=False) - np.pi / 2
        reach = np.where(np.arange(2 * points) % 2, radius * rng.uniform(0.4, 0.75), radius)
        fill(np.stack([np.cos(angle), np.sin(angle)], -1) * reach[:, None] + middle, ink)
        fill(RING * radius * 0.3 + middle, other)
    else:
        half = np.array((wide / 2, wide * 0.42))
        fill(middle + half * SQUARE, other)
        fill(RING * half[1] * 0.4 + middle + half * (0.35, -0.35), [244, 206, 96])
        fill(middle + half * ((-1, 1), (-1, 0.3), (-0.45, -0.45), (-0.1, 0.1), (0.25, -0.2), (1, 0.55), (1, 1)), ink)


def paint_trims(
    rng: np.random.Generator, brush: Brush, cut: Cut, canvas: np.ndarray, base: np.ndarray, second: np.ndarray
) -> None:
    """Neckband, cuffs, hem, collar, placket and buttons, seams and pockets, in place."""
    trim = (second if rng.uniform() < 0.18 else np.clip(base * rng.uniform(0.82, 0.95), 0, 255)).tolist()
    dark = np.clip(base * 0.7 - 6, 0, 255).tolist()

    def line(points: np.ndarray | list, color: list = dark, width: float = 0.4) -> None:
        cv2.polylines(canvas, [brush.pixels(points)], False, color, max(1, round(width * brush.scale)), cv2.LINE_AA, 4)

    def fill(points: np.ndarray, color: list) -> None:
        cv2.fillPoly(canvas, [brush.pixels(points)], color, cv2.LINE_AA, 4)

    if cut.collar is None and cut.neckline != 'high':
        neck, band = cut.front_neckline(), rng.uniform(1.4, 2.8)
        around = np.concatenate([neck[::-1] * (-1, 1), neck[1:]])
        line(around, trim, 2 * band)
        line(around * (1 + band / cut.neck, 1) + (0, band), dark, 0.3)
    ribbed = cut.kind in ('sweater', 'hoodie')
    banded = ribbed or rng.uniform() < 0.3
    if cut.sleeve:
        start = 1 - (7 if ribbed or cut.kind == 'shirt' else 2.2) / (cut.sleeve * REACH)
        for side in (-1, 1):
            if banded:
                fill(cut.sleeve_outline(side, start, 1.05), trim)
            line(np.stack(cut.sleeve_point(np.full(2, start), np.array((-1.0, 1.0))), -1) * (side, 1))
            hole = [(side * cut.tip, cut.drop), (side * (cut.tip - 2.5), (cut.drop + cut.pit) / 2), (side * cut.chest, cut.pit)]
            line(spline(hole), dark, 0.5)
    wide = cut.widths(cut.length)
    hem = np.array([(q * wide, cut.length + cut.curve * (1 - q * q)) for q in np.linspace(-1.05, 1.05, 15)])
    if ribbed:
        fill(np.concatenate([hem + (0, 3), hem[::-1] - (0, 7)]), trim)
    line(hem - (0, 7 if ribbed else 2.4))
    if cut.collar in ('shirt', 'polo'):
        bottom = cut.length + cut.curve if cut.collar == 'shirt' else cut.depth + 20
        for x in (-2.4, 2.4):
            line([(x, cut.depth * 0.8), (x, bottom)])
        button = [232, 228, 220] if np.mean(base) < 150 else [120, 110, 100]
        for y in np.arange(cut.depth + 3, bottom - 1, 13 if cut.collar == 'shirt' else 6.5):
            cv2.circle(canvas, brush.pixels((0, y)).tolist(), int(15 * brush.scale), button, -1, cv2.LINE_AA, 4)
    for leaf in cut.collars():
        fill(leaf, trim if cut.collar == 'polo' else base.tolist())
        line(np.concatenate([leaf, leaf[:1]]), dark, 0.5)
    paint_pockets(rng, cut, line, trim if np.mean(base) > 128 else [225] * 3)


def paint_pockets(rng: np.random.Generator, cut: Cut, line, cord: list) -> None:
    """A pouch with its hood's cords, or a breast pocket, drawn with `line(points, color, width)`."""
    if cut.kind == 'hoodie':
        low = cut.length - 12
        line([(-21, low), (-15, low - 22), (15, low - 22), (21, low), (-21, low)], width=0.6)
        for side in (-1, 1):
            line(spline([(side * 5, cut.depth + 3), (side * 6, cut.depth + 14), (side * 5.5, cut.depth + 24)]), cord, 0.9)
    elif cut.kind == 'shirt' or (cut.kind == 'tee' and rng.uniform() < 0.1):
        x, y = 12, cut.pit + 2
        line([(x, y), (x + 14, y), (x + 14, y + 13), (x + 7, y + 16), (x, y + 13), (x, y)])


def flat_shade(rng: np.random.Generator, brush: Brush, cut: Cut, cover: np.ndarray) -> np.ndarray:
    """Light and shade of the garment lying flat [h, w], around 1."""
    side = 2 * round(3.5 * brush.frame.unit) + 1
    border = cv2.copyMakeBorder(cover, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    body = cv2.blur(cv2.blur(border, (side, side)), (side, side))[1:-1, 1:-1]
    lines, wide = [], cut.widths(cut.length)
    for q in rng.uniform(-0.9, 0.9, 4):
        bend, top = rng.uniform(-4, 4), cut.length * rng.uniform(0.4, 0.65)
        lines.append(spline([(q * wide, cut.length - 2), (q * wide * 0.92, cut.length * 0.78), (q * wide * 0.85 + bend, top)]))
    for s in (-1, 1):
        ends = cut.pit + rng.uniform(4, 14), cut.pit + rng.uniform(14, 34)
        lines.append(
            spline([(s * cut.chest * 0.95, cut.pit + 2), (s * cut.chest * 0.7, ends[0]), (s * cut.chest * 0.45, ends[1])])
        )
        for start in rng.uniform(0.15, 0.8, 3 if cut.sleeve > 0.5 else 0):
            t, a = np.array((start, start + 0.05, start + 0.12)), np.array((-0.9, 0.0, 0.7))
            lines.append(np.stack(cut.sleeve_point(t, a), -1) * (s, 1))
    return 0.86 + 0.14 * ramp(body * 2 - 0.85) + brush.relief(lines, 2.8, 0.32, np.float32((0.6, -0.5)))


# ---------------------------------------------------------------------------------------------- the worn garment


SHEEN = np.float32(10)


class Warp:
    """The map from the torso frame to the flat garment, for one person and one garment."""

    def __init__(self, person: Person, garment: Garment):
        self.person, self.garment, self.cut = person, garment, garment.cut
        cut = self.cut
        y = np.arange(30.0, 190.0, 5.0, dtype=np.float32)
        flat, body = cut.widths(cut.pit + y - person.pit), person.widths(y)
        worn = np.maximum(body + 1.4 + 1.6 * cut.ease, (0.82 + 0.1 * cut.ease) * flat)
        if person.tucked:
            snug = ramp((y - person.waist + 22) / 22)
            worn += snug * (np.minimum(worn, body + 1) - worn)
        self.worn_width = Profile(list(zip(y.tolist(), worn.tolist(), strict=True)))
        self.lift = 1.2 + 0.5 * cut.ease

    def torso(self, patch: Patch) -> tuple[np.ndarray, np.ndarray]:
        """Flat x and y, in body units, of what the front of the garment shows at each pixel of a patch."""
        person, cut, x, y = self.person, self.cut, patch.x, patch.y
        surface = patch.shoulder - self.lift
        depth = (y - surface) / (person.pit - surface)
        fall = np.maximum(y - person.pit, 0)
        tip = cut.tip / (np.where(x < 0, -self.person.tips[0][0], person.tips[1][0]) + 1.5)
        below, width = cut.widths(cut.pit + fall), self.worn_width(np.maximum(y, person.pit))
        flat_x = x * (tip + ramp(depth) * (below / width - tip))
        across = np.clip(flat_x / below, -1, 1)
        round_off = 1 - across * across
        flat_x = flat_x + (person.turn * round_off) * below
        top = cut.shoulder(flat_x)
        flat_y = np.where(depth < 0, top + y - surface, top + np.minimum(depth, 1) * (cut.pit - top)) + fall
        # the hem hangs in a bow, as the front of the body is nearer than its sides
        return flat_x, flat_y - 3.0 * round_off * ramp((y - 70) / 40)

    def sleeve(self, patch: ArmPatch) -> dict:
        """What each pixel of a patch shows of a sleeve.

        Flat `x` and `y`, `rim` across the sleeve (-1 inner .. 1 outer edge), units `past` the seam of the armhole, `blend`
        from the torso's map (0) to the sleeve's (1), and `inside`: units to the edge of the sleeve, negative outside.
        """
        cut, arm = self.cut, patch.arm
        stop = cut.sleeve * REACH
        body = arm.radius(patch.place, 1.2)
        end = max(float(arm.radius(np.float32(stop), 1.2)), 0.86 * cut.cuff)
        full = max(arm.upper[0] + 1.6, 0.25 * float(np.hypot(cut.chest - cut.tip, cut.pit - cut.drop)) + 4 + 2 * cut.ease)
        last = max(stop, 20.0)
        wide = Profile([(-4, arm.upper[0] + 1), (10, full), (last, end), (last + 20, end)])
        radius = np.maximum(body, wide(patch.place))
        distance = arm.distance(patch.x, patch.y, 1.2) - (radius - body)
        rim = np.clip(patch.side / radius, -1, 1)
        past = patch.place - patch.start(rim)
        # the cuff goes round the arm: seen from the front its middle hangs lower
        share = (past - 2.2 * (1 - rim * rim)) / np.maximum(stop - patch.start(rim), 6)
        sleeve_x, sleeve_y = cut.sleeve_point(np.clip(share, -0.2, 1.2), rim * 0.95)
        blend = ramp((past + 7) / 20)
        x, y = self.torso(patch)
        y = np.maximum(y, cut.shoulder(x) + 0.7)
        x, y = x + blend * (sleeve_x * arm.side - x), y + blend * (sleeve_y - y)
        inside = np.minimum(np.minimum(-distance, (1 - share) * stop), past + 8)
        return {'x': x, 'y': y, 'rim': rim, 'past': past, 'blend': blend, 'inside': inside}

    def torso_patch(self, patch: Patch | None) -> Patch | None:
        """The part of the torso that the garment reaches."""
        person, low = self.person, self.cut.length + 16
        low = min(low, person.waist + 6) if person.tucked else low
        return patch and patch.part(patch.brush.frame.window(person.to_frame([(-57, -22), (57, -22), (-57, low), (57, low)])))

    def sleeve_patch(self, patch: ArmPatch | None) -> ArmPatch | None:
        """The part of an arm that its sleeve reaches."""
        if patch is None or not self.cut.sleeve:
            return None
        arm, stop = patch.arm, self.cut.sleeve * REACH
        points = [arm.joint, arm.joint + arm.along[0] * arm.lengths[0] * min(stop / UPPER_ARM, 1)]
        if stop > UPPER_ARM:
            points.append(arm.elbow + arm.along[1] * arm.lengths[1] * (stop - UPPER_ARM) / FOREARM)
        return patch.part(patch.brush.frame.window(self.person.to_frame(points), 17 * self.person.scale))

    def to_pixels(self, frame: Frame, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Flat body units -> stored pixel (x, y) of the garment's picture [h, w, 2]."""
        scale, origin = np.float32(self.garment.zoom * frame.unit), self.garment.origin * np.float32(frame.unit)
        x, y = x * scale + (origin[0] + np.float32(frame.margin - 0.5)), y * scale + (origin[1] - np.float32(0.5))
        return cv2.merge([x.astype(np.float32), y.astype(np.float32)])


def shaded(cloth: np.ndarray, shade: np.ndarray | None) -> np.ndarray:
    """Cloth [2h, 2w, 3] under a shade [h, w] around 1, in place; black cloth answers as if SHEEN brighter."""
    if shade is None:
        return cloth
    shade = grow(shade.astype(np.float32))
    cloth += SHEEN
    cv2.multiply(cloth, cv2.merge([shade, shade, shade]), cloth)
    cloth -= SHEEN
    return cloth


def look_up(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Values of an image at pixels (x, y) [h, w, 2], bilinear, 0 outside."""
    return cv2.remap(image, flow, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)


def torso_folds(person: Person, cut: Cut, rng: np.random.Generator) -> list[np.ndarray]:
    """Fold lines of the torso in frame units: drag from the armpits, hangs above the hem, creases at the waist."""
    lines, wide, pit = [], person.widths, person.pit
    for side in (-1, 1):
        for _ in range(2):
            end = (side * rng.uniform(2, 14), pit + rng.uniform(20, 44))
            start = (side * wide(38.0) * 0.93, pit + rng.uniform(0, 5))
            lines.append(spline([start, (side * wide(50.0) * 0.62, pit + rng.uniform(8, 20)), end]))
    low = min(cut.length, person.waist if person.tucked else 130.0)
    for _ in range(4 + int(4 * cut.ease)):
        q, top = rng.uniform(-0.9, 0.9), low - rng.uniform(22, 55)
        bend = rng.uniform(-3, 3, 2)
        lines.append(
            spline([(q * wide(low), low), (q * wide(low) + bend[0], (top + low) / 2), (q * wide(top) * 0.85 + bend[1], top)])
        )
    for _ in range(2 if cut.ease < 0.5 else 1):
        y, side = rng.uniform(66, 84), pick(rng, (-1, 1))
        lines.append(
            spline(
                [
                    (side * wide(y), y),
                    (side * wide(y) * 0.5, y + rng.uniform(2, 6)),
                    (side * wide(y) * 0.1, y + rng.uniform(-1, 4)),
                ]
            )
        )
    return [person.to_frame(item) for item in lines]


def trunk_shade(person: Person, patch: Patch, width: np.ndarray) -> np.ndarray:
    """Light and shade of the worn torso without its folds [h, w]."""
    x, y, lit = patch.x, patch.y, float(np.sign(person.light[0]))
    shade = limb_shade(np.clip(x / width, -1, 1) * 0.93, 1.0, 0.0, person.light)
    if person.male:
        return shade - 0.05 * np.exp(-(((y - 50) / 6) ** 2) - ((np.abs(x) - 14) / 12) ** 2)
    for side in (-1, 1):
        px = x - (side * 15 + person.turn * 14)
        shade += 0.06 * np.exp(-(((px - 3 * lit) / 9) ** 2) - ((y - 42) / 8) ** 2)
        shade -= 0.09 * np.exp(-(((px + 2 * lit) / 11) ** 2) - ((y - 56) / 5.5) ** 2)
    return shade


def wear_torso(warp: Warp, frame: Frame, patch: Patch, rng: np.random.Generator, *, shade: bool) -> list[Layer]:
    """The worn front without sleeves, and the thin shadow at its rim."""
    person, garment, brush = warp.person, warp.garment, patch.brush
    flow = warp.to_pixels(frame, *warp.torso(patch))
    fine = grow(flow)
    alpha = np.clip(look_up(garment.panel, fine) * 1.6 - 0.3, 0, 1)
    if person.tucked:
        edge = person.waist + 1 - 2.5 * (1 - (patch.x / person.widths(113.0)) ** 2)
        alpha *= grow(np.clip((edge - patch.y) * (person.scale * frame.unit) + 0.5, 0, 1).astype(np.float32))
    folds, light = torso_folds(person, warp.cut, rng), None
    if shade:
        ripples = brush.relief(folds, 2.2, 0.20 + 0.14 * warp.cut.ease, person.light)
        light = trunk_shade(person, patch, warp.worn_width(np.maximum(patch.y, 30))) + ripples
    shadow = grow(np.clip(cv2.blur(shrink(alpha), (3, 3)) * 0.5 - 0.06, 0, 1))
    cloth = shaded(look_up(garment.cloth, fine), light)
    return [Layer(patch.window, None, shadow), Layer(patch.window, cloth, alpha, Parsing.UPPER_CLOTHES, flow)]


def wear_sleeve(warp: Warp, frame: Frame, patch: ArmPatch, rng: np.random.Generator, *, shade: bool) -> list[Layer]:
    """One worn sleeve, which flows into the torso at the shoulder."""
    person, garment, brush = warp.person, warp.garment, patch.brush
    folds = sleeve_folds(person, patch.arm, warp.cut, rng)
    view = warp.sleeve(patch)
    flow = warp.to_pixels(frame, view['x'], view['y'])
    fine = grow(flow)
    alpha = np.clip(grow(view['inside'].astype(np.float32)) * np.float32(person.scale * brush.scale) + 0.5, 0, 1)
    alpha *= np.minimum(look_up(garment.front, fine) * 2, 1)
    light = None
    if shade:
        tube = limb_shade(view['rim'] * 0.95, patch.normal_x, patch.normal_y, person.light)
        trunk = limb_shade(np.clip(patch.x / warp.worn_width(np.maximum(patch.y, 30)), -1, 1) * 0.93, 1.0, 0.0, person.light)
        light = trunk + view['blend'] * (tube - trunk) + brush.relief(folds, 1.5, 0.22 + 0.1 * warp.cut.ease, person.light)
    rim = np.clip(cv2.blur(shrink(alpha), (3, 3)) * 0.5 - 0.1, 0, 1) * ramp((view['past'] - 3) / 6)
    cloth = shaded(look_up(garment.cloth, fine), light)
    shadow = Layer(patch.window, None, grow(rim.astype(np.float32)))
    return [shadow, Layer(patch.window, cloth, alpha, Parsing.UPPER_CLOTHES, flow)]


def sleeve_folds(person: Person, arm: Arm, cut: Cut, rng: np.random.Generator) -> list[np.ndarray]:
    """Fold lines of a sleeve in frame units: around the elbow, and a few along the way."""
    lines, stop = [], cut.sleeve * REACH
    bend = float(np.clip(1 - arm.along[0] @ arm.along[1], 0, 1.2))
    for place in (*(UPPER_ARM + rng.uniform(-12, 12, int(2 + 4 * bend))), *rng.uniform(8, max(stop, 12), 4)):
        bone, skew, out = int(place > UPPER_ARM), rng.uniform(-4, 4), rng.uniform(2, 7)
        if place > stop - 3:
            continue
        unit = arm.lengths[bone] / (UPPER_ARM, FOREARM)[bone]
        middle = (arm.joint, arm.elbow)[bone] + arm.along[bone] * ((place - bone * UPPER_ARM) * unit)
        normal, along = arm.normal[bone], arm.along[bone] * skew
        lines.append(spline([middle - normal * 8 + along, middle - normal * 2, middle + normal * out - along]))
    return [person.to_frame(item) for item in lines]


# ---------------------------------------------------------------------------------------------- whole pictures

KNEE = 206.0
"""Height of the knees in the torso frame."""


def _limb(end: str, *names: str) -> tuple[int, np.ndarray]:
    """DensePose id of a limb's end, and those of its parts: inner and outer half above, inner and outer half below."""
    return DensePosePart[end], np.uint8([DensePosePart[f'{name}_{half}'] for name in names for half in (1, 2)])


RIGHT_ARM = _limb('RIGHT_HAND', 'RIGHT_UPPER_ARM', 'RIGHT_LOWER_ARM')
LEFT_ARM = _limb('LEFT_HAND', 'LEFT_UPPER_ARM', 'LEFT_LOWER_ARM')
RIGHT_LEG = _limb('RIGHT_FOOT', 'RIGHT_UPPER_LEG', 'RIGHT_LOWER_LEG')
LEFT_LEG = _limb('LEFT_FOOT', 'LEFT_UPPER_LEG', 'LEFT_LOWER_LEG')


class Scene:
    """A person with everything painted but the garment; `dress` adds one."""

    def __init__(self, person: Person, frame: Frame):
        self.person, self.frame, rng = person, frame, person.rng
        corners = [(-57, -20), (57, -20), (-57, 152), (57, 152)]
        window = frame.window(person.to_frame(corners))
        self.torso = Patch(person, frame, window) if window else None
        self.arms = {arm.side: self.arm_patch(arm) for arm in person.arms}
        self.skin = {side: patch and arm_layer(person, frame, patch) for side, patch in self.arms.items()}
        self.canvas = backdrop(person, frame)
        self.lower = lower_layers(person, frame)
        self.parsing = np.zeros((frame.height, frame.width), np.uint8)
        self.flow = np.full((frame.height, frame.width, 2), np.nan, np.float32)
        self.order = self.painting_order(*self.hair(rng))
        # what lies behind every garment is painted once
        while isinstance(self.order[0], Layer):
            paint(self.order.pop(0), self.canvas, self.parsing, self.flow)

    def arm_patch(self, arm: Arm) -> ArmPatch | None:
        """The window around an arm and its hand."""
        points = self.person.to_frame(np.stack([arm.joint, arm.elbow, arm.wrist, arm.tip()]))
        window = self.frame.window(points, 17 * self.person.scale)
        return window and ArmPatch(self.person, self.frame, window, arm)

    def hair(self, rng: np.random.Generator) -> tuple[list[Layer], list[Layer]]:
        """The hair behind and in front of the body."""
        if self.person.head['style'] == 'curls':
            return tuple(curls_layers(self.person, self.frame, back=back, rng=rng) for back in (True, False))
        back, front = hair_locks(self.person, rng)
        return hair_layers(self.person, self.frame, back, dim=0.82, rng=rng), hair_layers(
            self.person, self.frame, front, dim=1.0, rng=rng
        )

    def painting_order(self, hair_back: list[Layer], hair_front: list[Layer]) -> list:
        """Layers from back to front; 'torso' and the side of an arm stand for the pieces of the garment."""
        person, lower = self.person, self.lower
        arms = [arm for arm in person.arms if self.skin[arm.side]]
        order: list = [*hair_back]
        for arm in arms:
            order += [self.skin[arm.side], arm.side] if arm.place == 'behind' else []
        order += [*torso_layers(person, self.frame), *([] if person.tucked else lower)]
        for arm in arms:
            if arm.place != 'behind':
                # the rest of the arm comes again in front of the garment
                shoulder = self.frame.window(person.to_frame([arm.joint]), 34 * person.scale)
                order.append(crop(self.skin[arm.side], shoulder))
        order += ['torso', *(lower if person.tucked else [])]
        for arm in arms:
            order += self.arm_over(arm) if arm.place == 'front' else []
        order += [*face_layers(person, self.frame), *hair_front]
        for arm in arms:
            order += self.arm_over(arm) if arm.place == 'top' else []
        return [item for item in order if item is not None]

    def arm_over(self, arm: Arm) -> list:
        """An arm in front of the torso: its shadow, the arm from the armhole on, its sleeve, and the pocket its hand is in."""
        layer, patch, person, unit = self.skin[arm.side], self.arms[arm.side], self.person, self.frame.unit
        past = patch.place - patch.start(patch.rim())
        keep = ramp(past / 3).astype(np.float32)
        width = 2 * round(3 * unit) + 1
        shadow = cv2.blur(cv2.blur(shrink(layer.alpha) * keep, (width, width)), (width, width))
        shift = np.float32([[1, 0, -person.light[0] * 3.5 * unit], [0, 1, 1.5 * unit]])
        shadow = cv2.warpAffine(shadow, shift, shadow.shape[::-1]) * np.clip(person.widths(patch.y) + 3 - np.abs(patch.x), 0, 1)
        items = [
            Layer(layer.window, None, grow(np.float32(0.34) * shadow)),
            layer._replace(alpha=layer.alpha * grow(keep)),
            arm.side,
        ]
        if arm.hand == 'pocket':
            hip, waist, s = person.widths(113.0), person.waist, arm.side
            pocket = [(0.15, waist + 11), (0.4, waist + 10.5), (0.7, waist + 15), (1.15, waist + 24), (1.15, 160), (0, 160)]
            outline = person.to_frame([(s * hip * q, y) for q, y in pocket])
            for cloth in self.lower:
                near = crop(cloth, self.frame.window(outline))
                if near:
                    items.append(near._replace(alpha=near.alpha * Brush(self.frame, near.window).cover(outline)))
        return items

    def dress(
        self, garment: Garment, rng: np.random.Generator, *, shade: bool = True
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The person in a garment: picture uint8 [h, w, 3], parsing uint8 [h, w], flow float32 [h, w, 2].

        The flow holds the stored pixel (x, y) of the flat garment that is seen, NaN where there is none. Without `shade` the worn
        cloth is the flat one exactly, moved along the flow.
        """
        frame, warp = self.frame, Warp(self.person, garment)
        pieces = {'torso': wear_torso(warp, frame, patch, rng, shade=shade) if (patch := warp.torso_patch(self.torso)) else []}
        for side in self.arms:
            patch = warp.sleeve_patch(self.arms[side])
            pieces[side] = wear_sleeve(warp, frame, patch, rng, shade=shade) if patch else []
        canvas, parsing, flow = self.canvas.copy(), self.parsing.copy(), self.flow.copy()
        for item in self.order:
            for layer in [item] if isinstance(item, Layer) else pieces.get(item, []):
                if shade or not layer.is_shadow():
                    paint(layer, canvas, parsing, flow)
        return np.rint(np.clip(shrink(canvas), 0, 255)).astype(np.uint8), parsing, flow

    def densepose(self) -> np.ndarray:
        """DensePose part ids uint8 [h, w]: the body under its clothes and hair, seen from the front."""
        person, parts = self.person, np.zeros((self.frame.height, self.frame.width), np.uint8)
        arms = [(arm, *self.arm_parts(arm)) for arm in person.arms if self.skin[arm.side]]
        for arm, ids, skin, _ in arms:
            parts[self.arms[arm.side].window][skin] = ids[skin]
        self.mark_trunk(parts)
        head = Head(person)
        scalp = np.concatenate([head.outline(), RING * (18.4, 19) - (0, 7)])
        outline = head.to_frame(cv2.convexHull(scalp.astype(np.float32))[:, 0])
        window = self.frame.window(outline, 1)
        if window:
            brush = Brush(self.frame, window)
            inside = shrink(brush.cover(outline)) >= 0.5
            half = np.where(head.grid(brush)[0] < 0, DensePosePart.HEAD_1, DensePosePart.HEAD_2)
            parts[window][inside] = half[inside]
        for arm, ids, _, front in arms:
            if arm.place != 'behind':
                parts[self.arms[arm.side].window][front] = ids[front]
        return parts

    def mark_trunk(self, parts: np.ndarray) -> None:
        """Torso, neck and legs, in place."""
        person, part, patch = self.person, DensePosePart, self.torso
        window = self.frame.window(person.to_frame([(-62, 100), (62, 100), (-62, 280), (62, 280)]))
        if window:
            x, y = person.grid(Brush(self.frame, window))
            legs = leg_distances(person, x, y)
            shin, rim = y > KNEE, np.abs(x) > 0.85 * person.widths(113.0)
            ids = RIGHT_LEG[1][shin * 2 + rim], LEFT_LEG[1][shin * 2 + rim]
            inside = np.minimum(*legs) < 0
            parts[window][inside] = np.where(legs[0] < legs[1], *ids)[inside]
        if patch is None:
            return
        trunk = (np.abs(patch.across) < 1) & (patch.y > patch.shoulder) & (patch.y < 128)
        neck = (np.abs(patch.x) < person.neck) & (patch.y <= patch.shoulder) & (patch.y > -24)
        # a turned torso shows a strip of its back half
        back = (patch.across * np.sign(person.turn) < -0.85) & (abs(person.turn) > 0.08)
        view = parts[patch.window]
        view[trunk] = np.where(back, part.TORSO_1, part.TORSO_2)[trunk]
        view[neck] = part.TORSO_2

    def arm_parts(self, arm: Arm) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ids [h, w] in an arm's window, where its skin is, and where that lies beyond the armhole; limbs have two halves."""
        patch = self.arms[arm.side]
        hand, limbs = RIGHT_ARM if arm.side < 0 else LEFT_ARM
        ids = limbs[(patch.place > UPPER_ARM) * 2 + (patch.side > 0)]
        ids[patch.hand] = hand
        skin = shrink(self.skin[arm.side].alpha) >= 0.5
        return ids, skin, skin & (patch.hand | (patch.place > patch.start(patch.rim())))

    def key_points(self, parts: np.ndarray) -> np.ndarray:
        """OpenPose's 18 points (x, y in stored pixels, score) [18, 3]; zeros for a point out of the picture or hidden."""
        person, head, frame = self.person, Head(self.person), self.frame
        hip, out = person.widths(113.0) * 0.52, person.lower['stance'] - person.widths(113.0) * 0.52
        joints = [np.float32((0, (person.tips[0][1] + person.tips[1][1]) / 2))]
        for arm in sorted(person.arms, key=lambda arm: arm.side):
            joints += [arm.joint, arm.elbow, arm.wrist]
        for side in (-1, 1):
            joints += [np.float32((side * (hip + out * (y - 118) / 97), y)) for y in (116, KNEE, KNEE + 88)]
        face = [head.feature(0, 8.5), *(head.feature(s * 7.5, 0.3) for s in (-1, 1)), (-18.8, 1), (18.8, 1)]
        face = head.to_frame(face)
        points = np.concatenate([face[:1], person.to_frame(joints), face[1:]]) * frame.unit + (frame.margin - 0.5, -0.5)
        seen = (points[:, 0] > 0) & (points[:, 1] > 0) & (points[:, 0] < frame.width - 1) & (points[:, 1] < frame.height - 1)
        turn = person.head['turn']
        seen[16:] &= (-turn < 0.35, turn < 0.35)
        for (hand, limbs), first in ((RIGHT_ARM, 3), (LEFT_ARM, 6)):
            for index in (first, first + 1):
                if seen[index]:
                    x, y = np.rint(points[index]).astype(int)
                    seen[index] = parts[y, x] == hand or parts[y, x] in limbs
        return np.where(seen[:, None], np.concatenate([points, np.full((18, 1), 0.9)], 1), 0)
