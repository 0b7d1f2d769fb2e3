"""Cuts of garments: neckline, collar, shoulders, sleeves, hem, sampled at random, and their outlines."""

from dataclasses import dataclass

import numpy as np

from synthetic.brushes import Profile, floats, mirrored, ramp, spline
from synthetic.random_people import REACH, pick


@dataclass
class Cut:
    """A garment's pattern pieces in body units: x = 0 in the middle, y = 0 where shoulder meets neck.

    `neck` and `depth`: half width and depth of the neck opening; `tip`, `drop`: the end of the shoulder;
    `strap`: the same where there is no sleeve; `pit`, `chest`: the armpit; `sleeve`: share of REACH it
    covers, 0 for none; `slope`: its angle below the horizontal; `cuff`: half its width at the end; `ease` 0
    tight .. 1 loose; `bell`: how much more the sleeve widens at its end; `low`: height below which the cloth
    begins where shoulders are bare, 0 if they are not; `back_low`: share of `depth` at which the back ends;
    `peplum`: height of a seam around the waist, 0 for none; `seam`: brightness of seams; `drag`: count of
    long folds; `relief` and `sheen`: strength of folds and of their light side.
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
    bell: float = 0.0
    low: float = 0.0
    back_low: float = 0.0
    peplum: float = 0.0
    seam: float = 0.7
    drag: int = 0
    relief: float = 1.0
    sheen: float = 1.0

    def __post_init__(self):
        low = self.pit + 0.45 * (self.length - self.pit)
        knots = [(self.pit - 1, self.chest), (self.pit + 6, self.chest * 0.99), (low, self.waist)]
        self.widths = Profile([*knots, (self.length - 4, self.hem), (self.length + 30, self.hem)])
        while self.sleeve and self.slope > 0.5:
            x, y = self.inner_cuff()
            if x - self.bell >= self.hem + 2 or y <= self.pit + 10:
                break
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
        """Point of the right sleeve: `place` 0 (armhole) to 1 (cuff), `across` -1 (inside) to 1 (outside)."""
        reach = self.sleeve * REACH
        dx, dy = float(self.direction[0]), float(self.direction[1])
        inner = self.inner_cuff()
        half = (across + 1) / 2
        puff = np.sin(np.pi * np.clip(place, 0, 1))
        puff = self.bulge * across * puff * puff
        if self.bell:
            puff = puff + self.bell * across * ramp((place - 0.6) / 0.4)
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
            if self.back_low:
                bend = (end + 0.2, top + 0.5 * fall), (end + 0.2 * out, top + 0.86 * fall)
            hole = spline([(end, top), *bend, (self.chest, self.pit)])
        y, q = np.linspace(self.pit + 1, self.length, 14), np.linspace(1, 0, 8)
        hem = np.stack([self.widths(self.length) * q, self.length + self.curve * (1 - q**2)], -1)
        sides = np.stack([self.widths(y), y], -1)
        top_seam = np.stack([x, self.shoulder(x)], -1)
        return mirrored(np.concatenate([self.front_neckline(), top_seam, hole, sides, hem]))

    def back(self) -> np.ndarray:
        """Outline of the inside of the back, which shows through the neck opening."""
        tall = {None: 2.2, 'shirt': 6.0, 'polo': 5.0, 'hood': 9.5}[self.collar]
        if self.back_low:
            front = self.front_neckline()
            return mirrored(np.concatenate([front * (1, self.back_low), front[::-1]]))
        t = np.linspace(0, np.pi / 2, 8)
        rise = np.stack([self.neck * np.sin(t), 0.4 - tall * np.cos(t) ** 0.7], -1)
        return mirrored(np.concatenate([rise, self.front_neckline()[::-1]]))

    def top_line(self) -> np.ndarray:
        """The upper rim of the cloth where shoulders are bare, from left to right [13, 2]."""
        q = np.linspace(-1, 1, 13)
        return np.stack([q * 120, self.low - 14 * q**2], -1)

    def collars(self) -> list[np.ndarray]:
        """The leaves of a collar, or the tube of a high neck."""
        n = self.neck
        if self.neckline == 'high':
            half = [
                (n * 0.4, -11.5), (n, -10.5), (n + 0.3, -4), (n + 2, 2), (n * 0.7, self.depth),
                (0, self.depth + 2),
            ]  # fmt: skip
            return [mirrored(spline(half))]
        if self.collar is None:
            return []
        kinds = {'shirt': (5.5, (13, 21)), 'polo': (4.5, (14, 17)), 'hood': (9.0, (10, 24))}
        tall, point = kinds[self.collar]
        leaf = [
            (0.8, self.depth * 0.55), (n * 0.6, -tall * 0.55), (n * 0.74, -tall), (n + 1.2, -tall * 0.55),
            (n + 4.5, 2.5), point, (point[0] - 5, point[1] - 1.5),
        ]  # fmt: skip
        outline = floats(leaf)
        if self.collar == 'hood':
            rim = [
                (0.3, self.depth), (n * 0.45, 2), (n * 0.66, -tall), (n + 3, -tall * 0.8), (n + 7.5, 0),
                (n + 4, 10), (8, self.depth + 5),
            ]  # fmt: skip
            outline = spline([*rim, (1.5, self.depth + 4)], closed=True)
        return [outline, outline * floats((-1, 1))]

    def sleeve_outline(self, side: int, start: float = 0.0, stop: float = 1.0) -> np.ndarray:
        """Outline of a stretch of a sleeve."""
        t = np.linspace(start, stop, 12)
        outer, inner = (np.stack(self.sleeve_point(t, np.full_like(t, a)), -1) for a in (1.0, -1.0))
        return np.concatenate([outer, inner[::-1]]) * (side, 1)


def sample_neck(
    rng: np.random.Generator, kind: str, collar: str | None, *, male: bool
) -> tuple[str, float, float]:
    """Shape, half width and depth of a neck opening."""
    spread = rng.uniform
    if collar:
        half = spread(11.5, 13)
        return 'v', half, {'shirt': spread(11, 20), 'polo': spread(16, 22), 'hood': spread(14, 18)}[collar]
    if kind == 'sweater':
        shape = pick(rng, ('round', 'v', 'high'), (0.55, 0.2, 0.25))
    else:
        shares = (0.8, 0.2, 0, 0, 0) if male else (0.45, 0.24, 0.16, 0.09, 0.06)
        shape = pick(rng, ('round', 'v', 'scoop', 'boat', 'square'), shares)
    widths = {
        'round': (12.5, 16), 'v': (12, 15), 'scoop': (17, 21), 'boat': (22, 27), 'square': (17, 21),
        'high': (11, 12.5),
    }  # fmt: skip
    depths = {
        'round': (9, 15), 'v': (20, 34), 'scoop': (20, 29), 'boat': (6, 9), 'square': (17, 24),
        'high': (5, 7),
    }  # fmt: skip
    return shape, spread(*widths[shape]), spread(*depths[shape])


def sample_cut(rng: np.random.Generator, *, male: bool) -> Cut:
    """Pattern pieces of a random garment."""
    spread = rng.uniform
    kinds = ('tee', 'long', 'sweater', 'shirt', 'polo', 'hoodie', 'tank', 'blouse')
    shares = (0.34, 0.18, 0.14, 0.14, 0.1, 0.1, 0, 0)
    kind = pick(rng, kinds, shares if male else (0.27, 0.15, 0.12, 0.09, 0.06, 0.04, 0.17, 0.1))
    eases = {'sweater': (0.5, 1), 'hoodie': (0.6, 1), 'shirt': (0.3, 0.8), 'blouse': (0.4, 1)}
    loose = spread(*eases.get(kind, (0, 1)))
    collar = {'shirt': 'shirt', 'polo': 'polo', 'hoodie': 'hood'}.get(kind)
    neckline, neck, depth = sample_neck(rng, kind, collar, male=male)
    chest = (38 if male else 34.5) + 8 * loose
    length = spread(104, 128) if male or spread() > 0.08 else spread(74, 84)
    short, long = spread(0.2, 0.32), spread(0.92, 1.0)
    blouse = pick(rng, (0.0, spread(0.3, 0.5), spread(0.7, 0.95)))
    sleeve = {'tee': short, 'polo': short, 'tank': 0.0, 'blouse': blouse}.get(kind, long)
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
