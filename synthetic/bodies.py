"""Draws torso, arms, legs, the clothes on them, and what is behind the person."""

import copy
from typing import TypeVar

import cv2
import numpy as np

from data.labels import Parsing
from synthetic.brushes import (
    FRAME_HEIGHT,
    FRAME_WIDTH,
    SUPERSAMPLE,
    Brush,
    Frame,
    Layer,
    Window,
    capsule,
    floats,
    grow,
    join,
    limb_shade,
    mirrored,
    noise,
    overlap,
    ramp,
    spline,
    tint,
)
from synthetic.random_people import BARE_TORSO, UPPER_ARM, WARM, Arm, Person

AnyPatch = TypeVar('AnyPatch', bound='Patch')


class Patch:
    """Torso-frame coordinates of a window, and what of a person does not depend on the garment there."""

    def __init__(self, person: Person, frame: Frame, window: Window):
        self.window, self.brush = window, Brush(frame, window)
        self.x, self.y = person.grid(self.brush)
        self.shoulder = person.shoulder(self.x)
        self.across = np.clip(self.x / person.widths(self.y), -1, 1)
        self.trunk = limb_shade(self.across * 0.93, 1.0, 0.0, person.light)

    def part(self: AnyPatch, window: Window | None) -> 'AnyPatch | None':
        """The same for the part that lies inside a window; None where they do not meet."""
        both = overlap(self.window, window)
        if both is None:
            return None
        cut = tuple(
            slice(b.start - a.start, b.stop - a.start) for a, b in zip(self.window, both, strict=True)
        )
        twin = copy.copy(self)
        twin.window, twin.brush = both, Brush(self.brush.frame, both)
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray) and value.shape == self.x.shape:
                setattr(twin, name, np.ascontiguousarray(value[cut]))
        return twin


class ArmPatch(Patch):
    """The same around one arm, with its own coordinates: along it, across it, past the armhole's seam."""

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
        """Position of each pixel across the bare arm, -1 inner .. 1 outer rim."""
        return np.clip(self.side / self.arm.radius(self.place), -1, 1)


def torso_layers(person: Person, frame: Frame) -> list[Layer]:
    """Bare torso with shoulders and neck."""
    points: list[tuple[float, float]] = []
    low = max(106.0, person.waist + 3)
    for side, tip in zip((1, -1), person.tips[::-1], strict=True):
        x = side * np.linspace(person.neck, side * float(tip[0]), 10)
        half = [(side * person.neck * 0.93, -26.0), (side * person.neck * 0.95, -15)]
        half += [*zip(x, person.shoulder(x), strict=True), (side * (abs(tip[0]) - 2), tip[1] + 12)]
        half += [(side * person.widths(y), y) for y in (36.0, 46.0, 62.0, 78.0, 95.0, low)]
        points += half if side > 0 else half[::-1]
    outline = person.to_frame(points)
    window = frame.window(outline, 1)
    if window is None:
        return []
    patch = Patch(person, frame, window)
    brush, x, y = patch.brush, patch.x, patch.y
    chin = np.exp(-(((y + 16) / 8.0) ** 2) - ((x + 2 * np.sign(person.light[0])) / 14) ** 2)
    throat = 1 - 0.14 * np.minimum(np.abs(x) / person.neck, 1) ** 3
    rise = ramp((-1 - y) / 6)
    shade = (patch.trunk + rise * (0.96 * throat - patch.trunk)) * (1 - 0.30 * chin)
    bones: list[list] = [[(s * 3.5, 2.5), (s * 10, 2), (s * 20, -0.5), (s * 30, 1.5)] for s in (-1, 1)]
    cords: list[list] = [[(s * person.neck * 0.8, -13), (s * 5, -5), (s * 2.2, 1)] for s in (-1, 1)]
    lines = [person.to_frame(spline(points)) for points in bones + cords]
    shade = shade + brush.relief(lines, 1.3, 0.07, floats((0.3, -0.9)))
    rgb, alpha = grow(tint(person.skin, shade.astype(np.float32), WARM)), brush.cover(outline)
    neck = grow(((y < -2.5 + 0.03 * x * x) & (np.abs(x) < person.neck + 1.5)).astype(np.float32))
    return [Layer(window, rgb, alpha, BARE_TORSO), Layer(window, None, alpha * neck, Parsing.FACE)]


def hand_distance(arm: Arm, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signed distance to the hand, and a map of the gaps between its fingers; x, y in the torso frame."""
    sin, cos, size = float(np.sin(arm.hand_angle)), float(np.cos(arm.hand_angle)), arm.girth**0.5
    px, py = (x - arm.wrist[0]) * arm.side / size, (y - arm.wrist[1]) / size
    u, v = px * sin + py * cos, py * sin - px * cos  # u towards the finger tips, v towards the thumb
    slim, bend = (0.72, 0.22) if arm.hand == 'relaxed' else (1.0, 0.0)
    palm = capsule(u, v, (-1, 0), (9.0, 0), 4.4, 5.3 * (0.45 + 0.55 * slim))
    digits = []
    for base, length, splay in ((3.7, 9.6, 0.16), (1.3, 11.2, 0.03), (-1.2, 10.6, -0.07), (-3.6, 8.4, -0.2)):
        angle = splay * slim + bend * 0.6
        knuckle = (10.0 + 0.5 * length * np.cos(angle), base * slim + 0.5 * length * np.sin(angle))
        dx, dy = (0.5 * length * wave(angle + bend) for wave in (np.cos, np.sin))
        tip = knuckle[0] + dx, knuckle[1] + dy
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
    label = Parsing.ARM_13 if arm.side < 0 else Parsing.ARM_11
    return Layer(window, tint(person.skin, shade, WARM), alpha, label)


def leg_distances(person: Person, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Signed distances to the bare legs at the left and at the right of the picture."""
    hip, stance = person.widths(113.0), person.lower['stance']
    return [
        capsule(x, y, (s * hip * 0.52, 118), (s * (2 * stance - hip * 0.52), 312), hip * 0.49, 10)
        for s in (-1, 1)
    ]


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
    leg = (np.abs(x) - hip * 0.52 - drift * (y - 118)) / (hip * 0.5 - (y - 118) * 0.05)
    leg = np.clip(leg, -1, 1) * np.sign(x)
    scale = np.float32(person.scale * brush.scale)
    if kind != 'trousers':
        shade = limb_shade(leg, 1.0, 0.0, person.light) - 0.15 * np.exp(-(((y - hem) / 10) ** 2))
        rgb, alpha = grow(tint(person.skin, shade, WARM)), np.clip(0.5 - grow(bare) * scale, 0, 1)
        half = grow(left.astype(np.float32)) >= 0.5
        halves = (half, Parsing.OTHER_CLOTHES_10), (~half, Parsing.OTHER_CLOTHES_9)
        layers = [Layer(window, rgb, alpha * mask, label) for mask, label in halves]
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
    texture, gloss = fabric_shade(person, x, y, across) if lower['fabric'] else (0.0, None)
    shade = grow((shade + texture).astype(np.float32)) + lower_details(person, brush)
    alpha = np.clip(0.5 - grow(np.maximum(cloth, edge).astype(np.float32)) * scale, 0, 1)
    rgb = tint(lower['color'], shade)
    if gloss is not None:
        cv2.add(rgb, cv2.merge([grow(gloss.astype(np.float32))] * 3), rgb)
    return [*layers, Layer(window, rgb, alpha, Parsing.OTHER_CLOTHES_8)]


def fabric_shade(
    person: Person, x: np.ndarray, y: np.ndarray, across: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """What the fabric of the lower clothes adds to their shade [h, w], and to their colour, if it shines."""
    lower, rng, lit = person.lower, person.rng, float(np.sign(person.light[0]))
    cloud = noise(rng, x.shape)
    if lower['fabric'] == 'denim':
        grain = rng.integers(-128, 128, x.shape, np.int8) * np.float32(0.09 / 128)
        thigh = np.exp(-((across * 1.7) ** 2)) * ramp((y - person.waist - 12) / 30)
        return lower['wash'] * (0.4 * thigh - 0.1 + 0.25 * cloud) + grain, None
    if lower['fabric'] == 'leather':
        band = np.exp(-(((across - 0.35 * lit) / 0.17) ** 2)) + 0.5 * np.exp(
            -(((across + 0.5 * lit) / 0.1) ** 2)
        )
        return 0.1 * cloud, 95 * band * (0.55 + 1.2 * cloud)
    if lower['fabric'] == 'check':
        wide = 5 + 8 * lower['wash']
        return 0.12 * (np.sign(np.sin(x * 6.3 / wide)) + np.sign(np.sin(y * 6.3 / wide))) - 0.05, None
    return 0.08 * cloud, None


def lower_details(person: Person, brush: Brush) -> np.ndarray:
    """Seams, pockets, creases and a belt of the lower clothes, to be added to their shade."""
    lower, rng, waist, hip = person.lower, person.rng, person.waist, person.widths(113.0)
    seams, soft = [spline([(-hip, waist + 6.5), (0, waist + 4), (hip, waist + 6.5)])], []
    if lower['kind'] == 'skirt':
        for q in rng.uniform(-0.9, 0.9, 7):
            knee, end = q * (hip + lower['flare'] * 0.6), q * (hip + lower['flare'])
            soft.append(spline([(q * hip, waist + 8), (knee, 140), (end, 190)]))
    else:
        seams.append(spline([(1, waist + 6), (1.5, 116), (0, 124)]))
        seams.append(spline([(4.5, waist + 6), (5, 110), (1.5, 119)]))
        for s in (-1, 1):
            pocket = (0.5, waist + 7), (0.66, waist + 14), (0.97, waist + 19)
            seams.append(spline([(s * hip * q, y) for q, y in pocket]))
            seams.append(floats([(s * hip * 0.45, waist - 1), (s * hip * 0.45, waist + 7)]))
            soft += [
                spline([(s * 4, 122), (s * (12 + 4 * k), 126 + 5 * k), (s * (24 + 3 * k), 125 + 6 * k)])
                for k in range(3)
            ]
        soft.append(floats([(0, 124), (0, 150)]))
    legs = lower['fabric'] and lower['kind'] != 'skirt'
    more, creases = more_seams(person) if legs else ([], [])
    more += waistband_details(person) if lower['fabric'] else []
    detail = lower['stitch'] * brush.lines([person.to_frame(line) for line in seams] + more, 0.5)
    soft = [person.to_frame(line) for line in soft] + creases
    detail += grow(brush.relief(soft, 1.8, 0.12, floats((0.5, -0.6))))
    if lower['belt'] and lower['kind'] == 'trousers':
        band = spline([(q * hip * 1.05, waist - 0.2 + 2.2 * q * q) for q in np.linspace(-1, 1, 5)])
        detail -= 0.42 * brush.lines([person.to_frame(band)], 3.6)
        buckle = [(-3, waist - 2.2), (3.6, waist - 2.2), (3.6, waist + 2), (-3, waist + 2), (-3, waist - 2.2)]
        detail += 0.8 * brush.lines([person.to_frame(buckle)], 0.7)
    return detail


def waistband_details(person: Person) -> list[np.ndarray]:
    """Loops and button of the waistband as lines in frame units."""
    waist, hip = person.waist, person.widths(113.0)
    places = [
        (q * hip + out, waist - 2.5 * (1 - q * q)) for q in (-0.86, -0.42, 0.42, 0.86) for out in (-0.7, 0.7)
    ]
    marks = [((x, y), (x, y + 8)) for x, y in places]
    marks += [((x, waist + 0.4), (x, waist + 1.6)) for x in (1.6, 2.2, 2.8)]
    return list(person.to_frame(marks))


def more_seams(person: Person) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Seams at the outside of the legs, and creases of the thighs, in frame units."""
    rng, waist, hip, t = person.rng, person.waist, person.widths(113.0), np.linspace(0, 1, 6)
    seams = [[(s * hip * 0.98, waist + 20), (s * (hip + 4), 150), (s * (hip + 2), 220)] for s in (-1, 1)]
    y, bend, root, end = rng.uniform((116, -9, 2, 24), (150, 9, 14, 38), (5, 4)).T[..., None]
    side = rng.choice((-1, 1), (5, 1))
    creases = np.stack([side * (root + (end - root) * t), y + bend * np.sin(2 * t) + 5 * t], -1)
    return list(person.to_frame(seams)), list(person.to_frame(creases))


SHADOW = [(0, -64), (22, -49), (20, -14), (44, 4), (46, 60), (40, 120), (44, 190)]
"""Right half of the rough silhouette whose shadow falls on the backdrop."""


def backdrop(person: Person, frame: Frame) -> np.ndarray:
    """The studio behind the person, float32 [2h, 2w, 3]."""
    look, rng = person.backdrop, person.rng
    brush = Brush(frame, frame.whole())
    x, y = brush.axes()
    u, v = x / FRAME_WIDTH - 0.5, y / FRAME_HEIGHT - 0.5
    across, down = (np.float32(slope) for slope in look['slope'])
    shade = 1 + across * u + down * v - look['vignette'] * (u * u + v * v) * 2
    if look['kind'] == 'wall':
        shade = shade + 0.07 * noise(rng, shade.shape)
    elif look['kind'] == 'panels':
        step = rng.uniform(24, 70)
        shade = shade - 0.10 * np.exp(-((np.mod(x + rng.uniform(0, step), step) / 1.2) ** 2))
        shade = shade + 0.03 * noise(rng, shade.shape)
    small_cast = np.zeros((frame.height // 4, frame.width // 4), np.float32)
    moved = person.to_frame(spline(mirrored(SHADOW), closed=True)) - (person.light[0] * 26, -6)
    moved = moved * frame.unit + (frame.margin, 0)
    cv2.fillPoly(small_cast, [np.rint(moved * 4).astype(np.int32)], 1.0, cv2.LINE_8, 4)
    soft, size = cv2.GaussianBlur(small_cast, (0, 0), 2.6), (frame.width, frame.height)
    cast = cv2.resize(soft, size, interpolation=cv2.INTER_LINEAR)
    small = tint(look['color'], (shade - look['shadow'] * cast).astype(np.float32))
    drawn = (frame.width * SUPERSAMPLE, frame.height * SUPERSAMPLE)
    return cv2.resize(small, drawn, interpolation=cv2.INTER_NEAREST)
