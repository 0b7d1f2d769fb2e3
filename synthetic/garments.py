"""Draws flat garments on white: cut, pattern, print, trims, folds."""

from dataclasses import dataclass

import cv2
import numpy as np

from synthetic.brushes import FRAME_HEIGHT, FRAME_WIDTH, Brush, Frame, floats, noise, ramp, shrink, spline
from synthetic.cuts import Cut, sample_cut
from synthetic.prints import contrast, dye, paint_graphic, paint_pattern
from synthetic.random_people import REACH
from synthetic.varied_garments import paint_varied_pattern, sample_varied_cut, varied_dye


@dataclass
class Garment:
    """A flat garment.

    `picture` uint8 [h, w, 3] on white and `edge` uint8 [h, w], 0 or 255, are what is stored. `cloth` float32
    [h, w, 3] is the picture without the white around it; `panel` and `front` float32 [h, w] in 0..1 cover
    what shows when worn: the front without and with sleeves. A body unit is `zoom` frame units, from `origin`
    on.
    """

    cut: Cut
    zoom: float
    origin: np.ndarray
    picture: np.ndarray
    edge: np.ndarray
    cloth: np.ndarray
    panel: np.ndarray
    front: np.ndarray


def draw_garment(rng: np.random.Generator, frame: Frame, *, male: bool, varied: bool = False) -> Garment:
    """A random garment, flat on white, about as large as the frame allows."""
    cut = sample_varied_cut(rng, male=male) if varied else sample_cut(rng, male=male)
    panels = [cut.panel(), *cut.collars()]
    sleeves = [cut.sleeve_outline(s) for s in (-1, 1)] if cut.sleeve else []
    points = np.concatenate([*panels, *sleeves, cut.back()])
    low, high = points.min(0), points.max(0)
    zoom = min(FRAME_WIDTH * 0.96 / (high[0] - low[0]), FRAME_HEIGHT * 0.92 / (high[1] - low[1]))
    zoom = float(zoom * rng.uniform(0.9, 1.0))
    origin = floats((96 + rng.uniform(-2, 2), 128 - zoom * (high[1] + low[1]) / 2 + rng.uniform(-4, 4)))
    window = frame.window(points * zoom + origin, 2)
    assert window is not None, 'a garment lies within the frame'
    brush = Brush(frame, window, zoom=zoom, origin=origin)
    panel, arms, back = brush.cover(*panels), [brush.cover(s) for s in sleeves], brush.cover(cut.back())
    front = np.maximum(panel, np.maximum(*arms)) if arms else panel
    canvas = paint_cloth(rng, brush, cut, [a > 0.5 for a in arms], varied=varied)
    if cut.low:
        above = np.concatenate([cut.top_line(), floats([(120, -60), (-120, -60)])])
        keep = 1 - brush.cover(above)
        panel, front, back = panel * keep, front * keep, back * keep
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
    rows, columns = window
    borders = rows.start, frame.height - rows.stop, columns.start, frame.width - columns.stop
    whole = cv2.copyMakeBorder(cloth, *borders, cv2.BORDER_REPLICATE)
    edge = np.where(parts[0] >= 0.5, 255, 0).astype(np.uint8)
    return Garment(cut, zoom, origin, picture, edge, whole, *parts[1:])


def paint_cloth(
    rng: np.random.Generator, brush: Brush, cut: Cut, arms: list[np.ndarray], *, varied: bool = False
) -> np.ndarray:
    """The dyed, printed and trimmed cloth over the whole window, uint8 [2h, 2w, 3]."""
    base = varied_dye(rng) if varied else dye(rng)
    second, third = contrast(rng, base), dye(rng)
    canvas = (paint_varied_pattern if varied else paint_pattern)(rng, brush, cut, arms, (base, second, third))
    if arms and rng.uniform() < 0.1:
        canvas[arms[0] | arms[1]] = second.astype(np.uint8)
    if cut.kind in ('tee', 'long', 'sweater', 'hoodie', 'tank') and rng.uniform() < (0.3 if varied else 0.55):
        rows, columns = (slice(side // 3, side // 2) for side in canvas.shape[:2])
        middle = canvas[rows, columns].reshape(-1, 3)
        ink = contrast(rng, *middle[:: len(middle) // 4].astype(np.float32))
        paint_graphic(rng, brush, cut, canvas, ink, third, large=rng.uniform(0.9, 1.5) if varied else 1.0)
    paint_trims(rng, brush, cut, canvas, base, second)
    return canvas


def paint_trims(
    rng: np.random.Generator, brush: Brush, cut: Cut, canvas: np.ndarray, base: np.ndarray, second: np.ndarray
) -> None:
    """Neckband, cuffs, hem, collar, placket and buttons, seams and pockets, in place."""
    trim = (second if rng.uniform() < 0.18 else np.clip(base * rng.uniform(0.82, 0.95), 0, 255)).tolist()
    dark = np.clip(base * cut.seam - 6, 0, 255).tolist()

    def line(points: np.ndarray | list, color: list = dark, width: float = 0.4) -> None:
        thickness = max(1, round(width * brush.scale))
        cv2.polylines(canvas, [brush.pixels(points)], False, color, thickness, cv2.LINE_AA, 4)

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
            hole = (cut.tip, cut.drop), (cut.tip - 2.5, (cut.drop + cut.pit) / 2), (cut.chest, cut.pit)
            line(spline([(side * x, y) for x, y in hole]), dark, 0.5)
    wide = cut.widths(cut.length)
    hem = np.array([(q * wide, cut.length + cut.curve * (1 - q * q)) for q in np.linspace(-1.05, 1.05, 15)])
    if ribbed:
        fill(np.concatenate([hem + (0, 3), hem[::-1] - (0, 7)]), trim)
    line(hem - (0, 7 if ribbed else 2.4))
    paint_placket(brush, cut, canvas, line, [232, 228, 220] if np.mean(base) < 150 else [120, 110, 100])
    for leaf in cut.collars():
        fill(leaf, trim if cut.collar == 'polo' else base.tolist())
        line(np.concatenate([leaf, leaf[:1]]), dark, 0.5)
    if cut.low:
        line(cut.top_line(), trim, 4.0)
        line(cut.top_line() + (0, 2.2), width=0.5)
    if cut.peplum:
        line([(-50, cut.peplum), (0, cut.peplum + 1.5), (50, cut.peplum)], width=0.7)
    paint_pockets(rng, cut, line, trim if np.mean(base) > 128 else [225] * 3)


def paint_placket(brush: Brush, cut: Cut, canvas: np.ndarray, line, button: list) -> None:
    """The placket of a shirt or a polo with its buttons, drawn with `line(points)`, in place."""
    if cut.collar in ('shirt', 'polo'):
        bottom = cut.length + cut.curve if cut.collar == 'shirt' else cut.depth + 20
        for x in (-2.4, 2.4):
            line([(x, cut.depth * 0.8), (x, bottom)])
        for y in np.arange(cut.depth + 3, bottom - 1, 13 if cut.collar == 'shirt' else 6.5):
            spot = brush.pixels((0, y)).tolist()
            cv2.circle(canvas, spot, int(15 * brush.scale), button, -1, cv2.LINE_AA, 4)


def paint_pockets(rng: np.random.Generator, cut: Cut, line, cord: list) -> None:
    """A pouch with its hood's cords, or a breast pocket, drawn with `line(points, color, width)`."""
    if cut.kind == 'hoodie':
        low = cut.length - 12
        line([(-21, low), (-15, low - 22), (15, low - 22), (21, low), (-21, low)], width=0.6)
        for side in (-1, 1):
            fall = (5, cut.depth + 3), (6, cut.depth + 14), (5.5, cut.depth + 24)
            line(spline([(side * x, y) for x, y in fall]), cord, 0.9)
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
        middle = q * wide * 0.92, cut.length * 0.78
        lines.append(spline([(q * wide, cut.length - 2), middle, (q * wide * 0.85 + bend, top)]))
    for s in (-1, 1):
        heights = cut.pit + 2, cut.pit + rng.uniform(4, 14), cut.pit + rng.uniform(14, 34)
        shares = s * cut.chest * 0.95, s * cut.chest * 0.7, s * cut.chest * 0.45
        lines.append(spline(list(zip(shares, heights, strict=True))))
        for start in rng.uniform(0.15, 0.8, 3 if cut.sleeve > 0.5 else 0):
            t, a = np.array((start, start + 0.05, start + 0.12)), np.array((-0.9, 0.0, 0.7))
            lines.append(np.stack(cut.sleeve_point(t, a), -1) * (s, 1))
    strength = 0.32 * min(cut.relief, 1.0)
    return 0.86 + 0.14 * ramp(body * 2 - 0.85) + brush.relief(lines, 2.8, strength, floats((0.6, -0.5)))
