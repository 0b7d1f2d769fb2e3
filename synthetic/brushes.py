"""Curves, soft brushes and layers, from which all drawings are made.

Lengths are in body units: the frame is 256 units high and shows a person of scale 1 as VITON's photographs
do. Everything is drawn SUPERSAMPLE times as large as it is stored and averaged down; maps that vary smoothly
are computed at the stored size and enlarged. Colours are RGB, 0..255.
"""

import copy
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike

SUPERSAMPLE = 2
FRAME_HEIGHT, FRAME_WIDTH = 256, 192

Window = tuple[slice, slice]
"""Rows and columns of the stored picture."""


def floats(values: ArrayLike) -> np.ndarray:
    """Numbers, points or a matrix, as an array of float32."""
    return np.asarray(values, np.float32)


def ramp(value: np.ndarray) -> np.ndarray:
    """Smooth step from 0 at 0 to 1 at 1."""
    value = np.minimum(np.maximum(value, 0), 1)
    return value * value * (3 - 2 * value)


@lru_cache(maxsize=8)
def _spline_basis(steps: int) -> np.ndarray:
    t = np.linspace(0, 1, steps, endpoint=False)
    basis = 0.5 * np.stack(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3], -1
    )
    return basis.astype(np.float32)


@lru_cache(maxsize=256)
def _spline_spans(count: int, closed: bool) -> np.ndarray:
    """Indices [spans, 4] of the four control points of each span; the ends of an open curve are repeated."""
    places = np.arange(count if closed else count - 1)[:, None] + np.arange(-1, 3)
    return places % count if closed else np.clip(places, 0, count - 1)


def spline(points: list | np.ndarray, *, closed: bool = False, steps: int = 5) -> np.ndarray:
    """Catmull-Rom curve through points [N, 2] as a polyline [M, 2] with `steps` pieces between neighbours."""
    points = np.asarray(points, np.float32)
    curve = (_spline_basis(steps) @ points[_spline_spans(len(points), closed)]).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, points[-1:]])


def mirrored(points: ArrayLike) -> np.ndarray:
    """Closed outline from its right half, given from top to bottom."""
    half = floats(points)
    return np.concatenate([half, half[::-1] * floats((-1, 1))])


class Profile:
    """Smooth function of one variable through knots, tabulated in steps of 1/8; constant beyond its ends."""

    def __init__(self, knots: list[tuple[float, float]]):
        curve = spline(knots, steps=12)
        self.low = knots[0][0]
        places = np.arange(self.low, knots[-1][0] + 0.125, 0.125)
        self.table = np.interp(places, curve[:, 0], curve[:, 1]).astype(np.float32)

    def scaled(self, share: float) -> 'Profile':
        """The function times a number."""
        twin = copy.copy(self)
        twin.table = self.table * np.float32(share)
        return twin

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
    channels = zip(color, response, strict=True)
    return cv2.merge([(shade - 1) * np.float32(c * k) + np.float32(c) for c, k in channels])


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

    def whole(self) -> Window:
        """The window of the whole picture."""
        return slice(0, self.height), slice(0, self.width)

    def window(self, points: ArrayLike, pad: float = 0.0) -> Window | None:
        """The window of points [N, 2] in frame units, plus `pad`; None where it is out of the picture."""
        x0, y0 = ((np.min(points, 0) - pad) * self.unit + (self.margin, 0)).astype(int).tolist()
        x1, y1 = ((np.max(points, 0) + pad) * self.unit + (self.margin + 1, 1)).astype(int).tolist()
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, self.width), min(y1, self.height)
        return (slice(y0, y1), slice(x0, x1)) if x1 - x0 > 1 and y1 - y0 > 1 else None


class Brush:
    """Draws anti-aliased shapes, given in units, into a window at the drawing size."""

    def __init__(self, frame: Frame, window: Window, *, zoom: float = 1.0, origin: ArrayLike = (0.0, 0.0)):
        """With `zoom` and `origin`, units are given of which `zoom` make a frame unit, from `origin` on."""
        self.frame, self.window, self.zoom, self.origin = frame, window, zoom, floats(origin)
        self.shape = tuple((s.stop - s.start) * SUPERSAMPLE for s in window)
        self.scale = frame.unit * SUPERSAMPLE * zoom
        corner = floats((frame.margin - window[1].start, -window[0].start))
        self.shift = (corner + self.origin * np.float32(frame.unit)) * SUPERSAMPLE - np.float32(0.5)

    def pixels(self, points: ArrayLike) -> np.ndarray:
        """Units -> sixteenths of a drawing pixel, as OpenCV's drawing functions take them with shift=4."""
        placed = floats(points) * np.float32(self.scale) + self.shift
        return np.rint(placed * 16).astype(np.int32)

    def blank(self, value: int = 0) -> np.ndarray:
        """An empty 8-bit drawing."""
        return np.full(self.shape, value, np.uint8)

    def cover(self, *outlines: ArrayLike) -> np.ndarray:
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
            box = (self.odd(soft),) * 2
            mask = cv2.blur(cv2.blur(mask, box), box)
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
        folds = np.zeros([s.stop - s.start for s in self.window], np.uint8)
        for index, item in enumerate(lines):
            placed = np.asarray(item) * self.scale + self.shift
            points, tone = np.rint(placed * (16 / SUPERSAMPLE)).astype(np.int32), 150 + 105 * (index % 2)
            cv2.polylines(folds, [points], False, tone, max(1, round(2.4 * unit)), cv2.LINE_AA, 4)
        side = 2 * max(1, round(soft * unit * 1.2)) + 1
        height = cv2.blur(cv2.blur(folds.astype(np.float32), (side, side)), (side, side))
        lx, ly = (float(v) * strength * unit / 100 for v in light[:2])
        kernel = floats([[lx + ly, 2 * ly, ly - lx], [2 * lx, 0, -2 * lx], [lx - ly, -2 * ly, -lx - ly]])
        slopes = cv2.filter2D(height, -1, kernel)
        # cloth is dull: folds darken it more than they brighten it
        return slopes - 0.45 * np.maximum(slopes, 0)


class Layer(NamedTuple):
    """A patch of paint: `rgb` [h, w, 3] and `alpha` [h, w] float32 at the drawing size.

    `label` is the parsing id wherever the patch covers at least half of a stored pixel (None: paint only);
    `flow` [h, w, 2], for layers of the garment, is the pixel (x, y) of the flat garment seen at each stored
    pixel. Without rgb a layer with a label only renames what is there, and one without darkens it by alpha.
    """

    window: Window
    rgb: np.ndarray | None
    alpha: np.ndarray
    label: int | None = None
    flow: np.ndarray | None = None

    def is_shadow(self) -> bool:
        """Return True for a layer that only darkens the ones below."""
        return self.rgb is None and self.label is None


def paint(layer: Layer, canvas: np.ndarray, parsing: np.ndarray, flow: np.ndarray) -> None:
    """Paint a layer onto canvas [2h, 2w, 3], parsing [h, w], flow [h, w, 2] (NaN: no garment), in place."""
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
    """Intersection of two windows; None if it is empty."""
    if second is None:
        return None
    pairs = zip(first, second, strict=True)
    rows, columns = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in pairs)
    return (rows, columns) if rows.stop > rows.start and columns.stop > columns.start else None


def crop(layer: Layer, window: Window | None) -> Layer | None:
    """The part of a layer inside a window; None if it is empty."""
    both = overlap(layer.window, window)
    if both is None:
        return None
    cut = tuple(slice(b.start - a.start, b.stop - a.start) for a, b in zip(layer.window, both, strict=True))
    fine = tuple(slice(s.start * SUPERSAMPLE, s.stop * SUPERSAMPLE) for s in cut)
    flow = None if layer.flow is None else layer.flow[cut]
    return Layer(both, None if layer.rgb is None else layer.rgb[fine], layer.alpha[fine], layer.label, flow)


def limb_shade(across: np.ndarray, normal_x, normal_y, light: np.ndarray) -> np.ndarray:
    """Shade of a round limb, 1 where it faces us; `across` is -1..1, `light` [3] leads to the lamp."""
    facing = np.sqrt(np.maximum(1 - across * across, 0.03))
    right, down = np.float32(light[0] / light[2]), np.float32(light[1] / light[2])
    lit = facing + across * (normal_x * right + normal_y * down)
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
