"""Patterns, prints and lettering on cloth."""

import cv2
import numpy as np

from synthetic.brushes import SUPERSAMPLE, Brush, floats, grow, noise, ramp
from synthetic.cuts import Cut
from synthetic.random_people import pick

DYES = (
    (24, 26, 32), (38, 46, 84), (246, 245, 242), (222, 220, 216), (178, 38, 46), (214, 88, 92),
    (236, 178, 186), (120, 32, 52), (44, 96, 70), (110, 132, 84), (66, 110, 168), (146, 184, 216),
    (228, 190, 84), (222, 128, 58), (126, 84, 148), (196, 170, 208), (88, 90, 96), (150, 152, 158),
    (196, 170, 138), (104, 74, 56), (40, 128, 134), (240, 226, 196), (30, 30, 34), (32, 58, 110),
    (250, 249, 246),
)  # fmt: skip
WORDS = (
    'HELLO', 'PARIS', 'SUNDAY', 'CLUB', 'WAVES', 'LOVE', 'OCEAN', 'TEAM', 'ROMA', '1984', 'DREAM',
    'MILANO', 'SMILE', 'FREE', 'AMOUR', 'NORTH', 'STUDIO', 'COOL', 'SUMMER', 'YES', 'MOON', 'CITY',
)  # fmt: skip
FONTS = (
    cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)  # fmt: skip
RING = np.stack([wave(np.linspace(0, 2 * np.pi, 40, endpoint=False)) for wave in (np.cos, np.sin)], -1)
SQUARE = floats([(-1, -1), (1, -1), (1, 1), (-1, 1)])


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
    across, along = below * dx - past * dy, past * dx + below * dy + cut.drop
    return grow(np.where(sleeve, across, x)), grow(np.where(sleeve, along, y))


def paint_pattern(
    rng: np.random.Generator, brush: Brush, cut: Cut, arms: list[np.ndarray], colors: tuple
) -> np.ndarray:
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
        level = y / cut.length
        if kind == 'cloud':
            level = cv2.resize(noise(rng, (256, 192)), x.shape[::-1]) * 6 + 0.5
        level = ramp(level)
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


def paint_print(
    rng: np.random.Generator, canvas: np.ndarray, palette: np.ndarray, scale: float
) -> np.ndarray:
    """Flowers, hearts, leaves or triangles strewn over the cloth, in place."""
    motif, cell = pick(rng, ('flower', 'flower', 'leaf', 'heart', 'triangle')), scale * rng.uniform(11, 18)
    colors = [*palette[1:].tolist(), contrast(rng, palette[0].astype(np.float32)).tolist()]
    t = np.linspace(0, 2 * np.pi, 3 if motif == 'triangle' else 16, endpoint=False)
    shape = np.stack([np.cos(t), np.sin(t)], -1)
    if motif == 'leaf':
        shape[:, 1] *= 0.42 * (1 - 0.4 * shape[:, 0])
    elif motif == 'heart':
        height = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
        shape = np.stack([np.sin(t) ** 3, -height / 16], -1)
    elif motif == 'flower':
        t = np.linspace(0, 2 * np.pi, 30, endpoint=False)
        shape = np.stack([np.cos(t), np.sin(t)], -1) * (0.72 + 0.28 * np.cos(5 * t))[:, None]
    rows, columns = int(canvas.shape[0] / cell) + 1, int(canvas.shape[1] / cell) + 1
    low, high = (-0.4, 0.4) if motif == 'heart' else (0.0, 6.3)
    turns = rng.uniform(low, high, (rows, columns))
    sizes = cell * rng.uniform(0.24, 0.42, (rows, columns))
    jitter = rng.uniform(-0.2, 0.2, (rows, columns, 2))
    kinds = rng.integers(len(colors), size=(rows, columns))
    for row, column in np.ndindex(rows, columns):
        center = (np.array((column + 0.5 * (row % 2), row)) + jitter[row, column]) * cell
        cos, sin = np.cos(turns[row, column]), np.sin(turns[row, column])
        outline = center + shape @ (sizes[row, column] * np.array([[cos, sin], [-sin, cos]]))
        cv2.fillPoly(
            canvas, [np.rint(outline * 16).astype(np.int32)], colors[kinds[row, column]], cv2.LINE_AA, 4
        )
        if motif == 'flower':
            spot, radius = np.rint(center * 16).astype(int).tolist(), int(sizes[row, column] * 4.5)
            other = colors[(kinds[row, column] + 1) % len(colors)]
            cv2.circle(canvas, spot, radius, other, -1, cv2.LINE_AA, 4)
    return canvas


def put_word(
    canvas: np.ndarray, word: str, center: np.ndarray, width: float, color: list, font: int, heavy: float
) -> float:
    """Write a word centred at a drawing pixel, as wide as asked for; returns its height."""
    (wide, _), _ = cv2.getTextSize(word, font, 1.0, 1)
    size = width / wide
    thick = max(1, round(heavy * size * 2))
    (wide, high), _ = cv2.getTextSize(word, font, size, thick)
    start = int(center[0] - wide / 2), int(center[1] + high / 2)
    cv2.putText(canvas, word, start, font, size, color, thick, cv2.LINE_AA)
    return float(high)


def paint_graphic(
    rng: np.random.Generator,
    brush: Brush,
    cut: Cut,
    canvas: np.ndarray,
    ink: np.ndarray,
    second: np.ndarray,
    *,
    large: float = 1.0,
) -> None:
    """Lettering, an emblem or a picture on the chest, in place."""
    kind = pick(
        rng, ('word', 'boxed', 'star', 'small', 'scene', 'badge'), (0.3, 0.18, 0.14, 0.14, 0.13, 0.11)
    )
    middle = np.array((0, max(cut.depth + 22, cut.pit + rng.uniform(4, 18))))
    center, wide = brush.pixels(middle) / 16, rng.uniform(34, 48) * large
    first, other, word, font = ink.tolist(), second.tolist(), pick(rng, WORDS), pick(rng, FONTS)

    def fill(points: np.ndarray, color: list) -> None:
        cv2.fillPoly(canvas, [brush.pixels(points)], color, cv2.LINE_AA, 4)

    def write(text: str, where: np.ndarray, width: float, color: list, font: int, weight: float) -> float:
        return put_word(canvas, text, where, width * brush.scale, color, font, weight)

    if kind == 'small':
        spot = (rng.uniform(13, 18), cut.pit + rng.uniform(-6, 2))
        fill(RING[:: pick(rng, (1, 8, 10))] * rng.uniform(2.5, 4) + spot, first)
    elif kind == 'word':
        high = write(word, center, wide, first, font, rng.uniform(1.2, 2.6))
        if rng.uniform() < 0.4:
            write(pick(rng, WORDS), center + (0, high * 1.5), wide * 0.55, other, FONTS[0], 1.0)
    elif kind == 'boxed':
        half = np.array((wide / 2 + 3, rng.uniform(8, 20)))
        fill(middle + half * SQUARE, first)
        contrast = [245] * 3 if np.mean(first) < 128 else [24] * 3
        write(word, center, wide * 0.85, contrast, FONTS[0], 2.2)
        fill(middle + (0, half[1] + 4) + SQUARE * (half[0], 1.6), other)
    elif kind == 'badge':
        radius = rng.uniform(13, 19)
        fill(RING * radius + middle, first)
        fill(RING * radius * 0.88 + middle, other)
        fill(RING * radius * 0.8 + middle, first)
        write(word, center, radius * 1.35, other, FONTS[0], 2.0)
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
        hills = (-1, 1), (-1, 0.3), (-0.45, -0.45), (-0.1, 0.1), (0.25, -0.2), (1, 0.55), (1, 1)
        fill(middle + half * hills, first)
