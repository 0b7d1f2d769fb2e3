"""Garments as varied as catalogs show them: cuts, dyes and patterns beyond those of every drawn set."""

from dataclasses import replace

import cv2
import numpy as np

from synthetic.brushes import Brush
from synthetic.cuts import Cut, sample_cut
from synthetic.prints import SQUARE, cloth_grid, contrast, dye, frac, paint_pattern
from synthetic.random_people import pick

PALE = ((252, 252, 252), (248, 247, 244), (240, 240, 240), (244, 238, 230), (232, 234, 238))
INKS = ((10, 10, 12), (16, 17, 22), (20, 24, 40), (28, 28, 30), (34, 16, 22))
FORMS = ('plain', 'camisole', 'boat', 'bare', 'cap', 'bell', 'flared', 'peplum', 'tunic', 'boxy')
SHARES = (0.3, 0.11, 0.08, 0.06, 0.1, 0.08, 0.08, 0.05, 0.05, 0.09)
MALE_SHARES = (0.72, 0, 0, 0, 0, 0, 0, 0, 0.08, 0.2)


def sample_varied_cut(rng: np.random.Generator, *, male: bool) -> Cut:
    """Pattern pieces as `sample_cut` draws them, then changed to one of more forms, lengths and folds."""
    spread, base = rng.uniform, sample_cut(rng, male=male)
    form = pick(rng, FORMS, MALE_SHARES if male else SHARES)
    lengths = (spread(76, 90), spread(92, 106), spread(104, 124))
    length = pick(rng, lengths, (0, 0, 1) if male else (0.06, 0.34, 0.6))
    slope = base.slope
    if base.sleeve > 0.6 and spread() < 0.5:
        slope = float(np.radians(spread(58, 86)))
    shine = spread() < 0.1
    cut = replace(
        base,
        length=length,
        slope=slope,
        seam=spread(0.74, 0.94),
        drag=int(rng.integers(0, 5)),
        relief=spread(1.1, 1.7) if shine else spread(0.5, 1.25),
        sheen=spread(1.3, 2.0) if shine else 1.0,
    )
    return replace(cut, **changes(rng, form, cut))


def changes(rng: np.random.Generator, form: str, cut: Cut) -> dict:
    """The fields of a cut that make it one of FORMS."""
    spread = rng.uniform
    bare_neck = {'kind': pick(rng, ('tee', 'blouse')), 'collar': None}
    if form == 'camisole':
        shape, neck = pick(rng, ('scoop', 'square', 'v')), spread(19, 24)
        top = {'neckline': shape, 'neck': neck, 'depth': spread(19, 29), 'strap': neck + spread(2.6, 4.5)}
        return {'kind': 'tank', 'collar': None, 'sleeve': 0.0, 'back_low': spread(0.3, 0.7)} | top
    if form == 'boat':
        neck = min(spread(26, 32), cut.tip - 6)
        return bare_neck | {'neckline': 'boat', 'neck': neck, 'depth': spread(5, 9), 'strap': neck + 4}
    if form == 'bare':
        sleeve = pick(rng, (spread(0.22, 0.34), spread(0.5, 0.95)))
        top = {'neckline': 'boat', 'neck': 22.0, 'depth': 7.0, 'low': spread(14, 20)}
        return bare_neck | top | sleeve_form(rng, sleeve)
    if form == 'cap':
        low = {'sleeve': spread(0.1, 0.17), 'slope': float(np.radians(spread(24, 42)))}
        return bare_neck | neckline_of(rng) | low | {'cuff': spread(10, 12)}
    if form == 'bell':
        bell = {'bell': spread(4, 8)} | sleeve_form(rng, pick(rng, (spread(0.45, 0.6), spread(0.8, 0.98))))
        return bare_neck | neckline_of(rng) | bell
    return body_form(rng, form, cut)


def body_form(rng: np.random.Generator, form: str, cut: Cut) -> dict:
    """The fields that change the body of a garment."""
    spread = rng.uniform
    if form == 'flared':
        return {
            'waist': cut.chest + spread(0, 3),
            'hem': cut.chest + spread(5, 12),
            'ease': max(cut.ease, 0.5),
        }
    if form == 'peplum':
        length = spread(96, 108)
        return {
            'length': length,
            'waist': cut.chest - 6,
            'hem': cut.chest + spread(4, 8),
            'peplum': spread(70, 76),
        }
    if form == 'tunic':
        return {'length': spread(126, 142), 'hem': cut.chest + spread(0, 5)}
    if form == 'boxy':
        wide = spread(3, 8)
        shape = {name: cut.chest + wide for name in ('chest', 'waist', 'hem')}
        return shape | {'tip': cut.tip + spread(2, 7), 'pit': cut.pit + spread(1, 5), 'ease': 1.0}
    return {}


def neckline_of(rng: np.random.Generator) -> dict:
    """An opening without a collar."""
    shape = pick(rng, ('round', 'v', 'scoop'))
    depth = rng.uniform(*{'round': (8, 14), 'v': (18, 30), 'scoop': (16, 26)}[shape])
    return {'neckline': shape, 'neck': rng.uniform(13, 20), 'depth': depth}


def sleeve_form(rng: np.random.Generator, sleeve: float) -> dict:
    """A sleeve of a length, at an angle and with a cuff that go with it."""
    slope = float(np.radians(rng.uniform(66, 85) if sleeve > 0.6 else rng.uniform(42, 62)))
    return {'sleeve': sleeve, 'slope': slope, 'cuff': 6.0 + 6.0 * (1 - sleeve)}


def varied_dye(rng: np.random.Generator) -> np.ndarray:
    """A colour for cloth, often near white or near black."""
    kind = pick(rng, ('pale', 'ink', 'any'), (0.25, 0.2, 0.55))
    if kind == 'any':
        return dye(rng)
    return np.clip(
        np.array(pick(rng, PALE if kind == 'pale' else INKS)) + rng.normal(0, 3, 3), 6, 254
    ).astype(np.float32)


def paint_varied_pattern(
    rng: np.random.Generator, brush: Brush, cut: Cut, arms: list[np.ndarray], colors: tuple
) -> np.ndarray:
    """The cloth's pattern, uint8 [2h, 2w, 3]: small prints, leopard, melange, knit, lace yokes, ruffles,
    or one of `paint_pattern`.
    """
    kinds = ('plain', 'any', 'strewn', 'leopard', 'melange', 'knit', 'yoke', 'ruffles')
    kind = pick(rng, kinds, (0.34, 0.21, 0.14, 0.04, 0.1, 0.08, 0.06, 0.03))
    if kind == 'any':
        return paint_pattern(rng, brush, cut, arms, colors)
    canvas = np.empty((*brush.shape, 3), np.uint8)
    canvas[:] = colors[0].astype(np.uint8)
    if kind in ('strewn', 'leopard'):
        return tiled(strewn_tile(rng, brush.scale, colors, leopard=kind == 'leopard'), brush.shape)
    if kind == 'melange':
        fibers = cv2.blur(rng.integers(0, 256, brush.shape, np.uint8), (5, 3))
        shift = (fibers.astype(np.float32) - 128) * np.float32(rng.uniform(0.4, 0.9))
        return np.clip(canvas + shift[..., None], 0, 255).astype(np.uint8)
    if kind == 'knit':
        across, along = cloth_grid(brush, cut, arms)
        ribs = (across if rng.uniform() < 0.7 else along) * np.float32(1 / rng.uniform(2.6, 5.0))
        shade = 1 - np.float32(rng.uniform(0.1, 0.28)) * np.abs(2 * frac(ribs) - 1)
        return (canvas * shade[..., None]).astype(np.uint8)
    if kind == 'ruffles':
        across, along = cloth_grid(brush, cut, arms)
        rim = along + np.float32(1.4) * np.sin(across * np.float32(rng.uniform(0.25, 0.5)))
        shade = 1 - np.float32(rng.uniform(0.15, 0.4)) * np.exp(
            -9 * frac(rim / np.float32(rng.uniform(14, 26)))
        )
        return (canvas * shade[..., None]).astype(np.uint8)
    if kind == 'yoke':
        veil = colors[0] * 0.55 + 0.45 * np.array((205, 165, 140))
        lace = tiled(strewn_tile(rng, brush.scale * 0.7, (veil, colors[0], colors[0] * 0.9)), brush.shape)
        line = brush.pixels((0, cut.pit + rng.uniform(-6, 6)))[1] // 16
        canvas[:line] = lace[:line]
    return canvas


def tiled(tile: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A tile repeated over [h, w, 3]."""
    height, width = shape[0], shape[1]
    rows, columns = -(-height // tile.shape[0]), -(-width // tile.shape[1])
    return np.ascontiguousarray(np.tile(tile, (rows, columns, 1))[:height, :width])


def strewn_tile(
    rng: np.random.Generator, scale: float, colors: tuple, *, leopard: bool = False
) -> np.ndarray:
    """A tile of 4 x 4 small flowers, dots, leaves or spots on the first of some colours."""
    cell = max(4, round(scale * rng.uniform(4.5, 10)))
    tile = np.empty((4 * cell, 4 * cell, 3), np.uint8)
    ground = (
        colors[0] if not leopard else np.array(pick(rng, ((196, 156, 108), (222, 206, 186), (150, 150, 150))))
    )
    tile[:] = ground.astype(np.uint8)
    inks = [color.tolist() for color in (*colors[1:], contrast(rng, ground))]
    inks = [[26, 20, 18]] if leopard else inks
    kind = 'spot' if leopard else pick(rng, ('flower', 'dot', 'leaf', 'square'))
    for row, column in np.ndindex(4, 4):
        size, turn = cell * rng.uniform(0.2, 0.36), rng.uniform(0, 360)
        room = cell / 2 - size - 1
        spot = np.array((column, row)) * cell + cell / 2 + rng.uniform(-1, 1, 2) * max(room, 0)
        put_motif(tile, kind, spot, size, turn, inks[int(rng.integers(len(inks)))], inks[-1])
    return tile


def put_motif(
    tile: np.ndarray, kind: str, spot: np.ndarray, size: float, turn: float, ink: list, heart: list
) -> None:
    """One motif of a print, in place."""
    place, reach = np.rint(spot * 16).astype(int).tolist(), max(1, round(size * 16))
    if kind == 'dot':
        cv2.circle(tile, place, reach, ink, -1, cv2.LINE_AA, 4)
    elif kind == 'leaf':
        cv2.ellipse(tile, place, (reach, reach // 2), turn, 0, 360, ink, -1, cv2.LINE_AA, 4)
    elif kind == 'spot':
        axes = (reach, round(reach * 0.7))
        cv2.ellipse(tile, place, axes, turn, 30, 310, ink, max(1, round(size * 0.6)), cv2.LINE_AA, 4)
    elif kind == 'square':
        cv2.fillPoly(tile, [np.rint((spot + SQUARE * size * 0.7) * 16).astype(np.int32)], ink, cv2.LINE_AA, 4)
    else:
        for angle in np.radians(turn + np.arange(5) * 72):
            petal = spot + 0.55 * size * np.array((np.cos(angle), np.sin(angle)))
            cv2.circle(tile, np.rint(petal * 16).astype(int).tolist(), reach // 2, ink, -1, cv2.LINE_AA, 4)
        cv2.circle(tile, place, reach // 3, heart, -1, cv2.LINE_AA, 4)
