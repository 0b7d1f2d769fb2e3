"""Draws flat garments on white: cut, pattern, print, trims, folds."""

from dataclasses import dataclass

import cv2
import numpy as np

from synthetic.brushes import (
    FRAME_HEIGHT,
    FRAME_WIDTH,
    SUPERSAMPLE,
    Brush,
    Frame,
    Profile,
    floats,
    grow,
    mirrored,
    noise,
    ramp,
    shrink,
    spline,
)
from synthetic.people import REACH, pick

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
SQUARE = floats([(-1, -1), (1, -1), (1, 1), (-1, 1)])


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
        self.direction = floats((np.cos(self.slope), np.sin(self.slope)))

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
            bend = (end - 1.5, top + 0.45 * fall), (end + 0.3 * out, top + 0.83 * fall)
            hole = spline([(end, top), *bend, (self.chest, self.pit)])
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
        half = floats(leaf)
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
            half = spline([*rim, (1.5, self.depth + 4)], closed=True)
        return [half, half * floats((-1, 1))]

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
    origin = floats((96 + rng.uniform(-2, 2), 128 - zoom * (high[1] + low[1]) / 2 + rng.uniform(-4, 4)))
    window = frame.window(points * zoom + origin, 2)
    assert window is not None, 'a garment lies within the frame'
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
    """Fractional part."""
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
        index = np.array([0, 3, 1], np.uint8)[(a < 0.5).astype(np.uint8) + (b < 0.5)]
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
    first, other, word, font = ink.tolist(), second.tolist(), pick(rng, WORDS), pick(rng, FONTS)

    def fill(points: np.ndarray, color: list) -> None:
        cv2.fillPoly(canvas, [brush.pixels(points)], color, cv2.LINE_AA, 4)

    if kind == 'small':
        spot = (rng.uniform(13, 18), cut.pit + rng.uniform(-6, 2))
        fill(RING[:: pick(rng, (1, 8, 10))] * rng.uniform(2.5, 4) + spot, first)
    elif kind == 'word':
        high = put_word(canvas, word, center, wide * brush.scale, first, font, rng.uniform(1.2, 2.6))
        if rng.uniform() < 0.4:
            put_word(canvas, pick(rng, WORDS), center + (0, high * 1.5), wide * 0.55 * brush.scale, other, FONTS[0], 1.0)
    elif kind == 'boxed':
        half = np.array((wide / 2 + 3, rng.uniform(8, 20)))
        fill(middle + half * SQUARE, first)
        put_word(canvas, word, center, wide * 0.85 * brush.scale, [245] * 3 if np.mean(first) < 128 else [24] * 3, FONTS[0], 2.2)
        fill(middle + (0, half[1] + 4) + SQUARE * (half[0], 1.6), other)
    elif kind == 'badge':
        radius = rng.uniform(13, 19)
        fill(RING * radius + middle, first)
        fill(RING * radius * 0.88 + middle, other)
        fill(RING * radius * 0.8 + middle, first)
        put_word(canvas, word, center, radius * 1.35 * brush.scale, other, FONTS[0], 2.0)
    elif kind == 'star':
        radius, points = rng.uniform(12, 19), int(rng.integers(4, 9))
        angle = np.linspace(0, 2 * np.pi, 2 * points, endpoint=False) - np.pi / 2
        reach = np.where(np.arange(2 * points) % 2, radius * rng.uniform(0.4, 0.75), radius)
        fill(np.stack([np.cos(angle), np.sin(angle)], -1) * reach[:, None] + middle, first)
        fill(RING * radius * 0.3 + middle, other)
    else:
        half = np.array((wide / 2, wide * 0.42))
        fill(middle + half * SQUARE, other)
        fill(RING * half[1] * 0.4 + middle + half * (0.35, -0.35), [244, 206, 96])
        fill(middle + half * ((-1, 1), (-1, 0.3), (-0.45, -0.45), (-0.1, 0.1), (0.25, -0.2), (1, 0.55), (1, 1)), first)


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
    return 0.86 + 0.14 * ramp(body * 2 - 0.85) + brush.relief(lines, 2.8, 0.32, floats((0.6, -0.5)))
