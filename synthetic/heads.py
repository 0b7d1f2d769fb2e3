"""Draws faces and hair."""

from typing import NamedTuple

import cv2
import numpy as np

from data.labels import Parsing
from synthetic.brushes import Brush, Frame, Layer, floats, grow, mirrored, ramp, spline, tint
from synthetic.random_people import WARM, Person


class Head:
    """Head coordinates: origin between eyes and nose, chin at y = 25, crown at -25, cheeks at x = +-18."""

    def __init__(self, person: Person):
        self.person, look = person, person.head
        height = -12.8 - 25 * look['size'] + look['nod']
        self.center = floats((look['turn'] * 2.5 + 8 * np.sin(look['tilt']), height))
        cos, sin = float(np.cos(look['tilt'])), float(np.sin(look['tilt']))
        size = floats([[look['size'] * look['width']], [look['size']]])
        self.matrix = size * floats([[cos, sin], [-sin, cos]])

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
        """Position of a feature of the face on the turned head."""
        turn = self.person.head['turn']
        return x * (1 - 0.08 * abs(turn)) + turn * (5.5 - 0.014 * x * x) * (1 - (y / 50) ** 2), y

    def features(self, *points: tuple[float, float]) -> list[tuple[float, float]]:
        """`feature` of several points."""
        return [self.feature(x, y) for x, y in points]

    def outline(self) -> np.ndarray:
        """The head without hair and ears."""
        jaw, turn = self.person.head['jaw'], self.person.head['turn']
        half = [
            (8, -24.5), (14.5, -19), (17.6, -10), (18, -1), (17.1 * jaw**0.5, 7), (14.2 * jaw, 15),
            (9.0 * jaw, 21.5), (3.9 * jaw, 25),
        ]  # fmt: skip
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
        hollows = 0.10 * bump(side * 7.4, -0.8, 4.6, 3.0) + 0.05 * bump(side * 12.5, 12, 4, 7)
        shade -= hollows - 0.05 * bump(side * 9.5, 6.5, 4, 3)
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

    lashes = at((4.0, 0.9), (5.6, -0.9), (7.6, -1.45), (9.6, -0.7), (11.1, 0.4))
    thick = look['brow']
    brow = at(
        (2.9, -5.0), (6.5, -6.7), (10, -6.6), (13.2, -4.6), (10, -6.6 + thick * 0.9),
        (6.5, -6.7 + thick * 1.4), (2.9, -5.0 + thick * 1.4),
    )  # fmt: skip
    hair = np.clip(look['hair'] * 0.6, 12, 120)
    return [
        (ring(7.5, 0.3, 3.3, 1.55), None, (234, 230, 226)),
        (ring(gaze, 0.1, 1.6, 1.6), None, look['iris']),
        (ring(gaze, 0.1, 0.8, 0.8), None, (14, 12, 12)),
        (at((4.6, -1.9), (7.5, -3.0), (10.6, -1.8)), 0.4, skin * 0.78),
        (at((4.8, 1.3), (7.5, 2.0), (10.2, 1.2)), 0.4, skin * 0.68),
        (spline(lashes, steps=3), 0.7 if head.person.male else 1.0, np.clip(skin * 0.2, 14, 60)),
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
    bow = (-2.6, 14.9), (-1, 14.5), (0, 14.8), (1, 14.5), (2.6, 14.9)
    upper = at((-wide, corner), *bow, (wide, corner), *middle)
    lower = at((wide, corner), *middle, (-wide, corner), (-3, 18.6), (0, 19.3), (3, 18.6))
    marks: list[tuple] = [
        (spline(upper, closed=True, steps=3), None, lips * 0.87),
        (spline(lower, closed=True, steps=3), None, lips),
        (spline(at((-wide, corner), *middle[::-1], (wide, corner)), steps=4), 0.4, lips * 0.58),
        (at((-1, 17.8), (1.2, 17.8)), 0.6, np.clip(lips * 1.12 + 8, 0, 255)),
    ]
    for side in (-1, 1):
        marks.append((at((side * 1.4, 10.2), (side * 2.4, 9.9)), 0.8, skin * 0.5))
        nostril = at((side * 2.2, 7.4), (side * 3.4, 8.8), (side * 2.9, 10.4))
        marks.append((spline(nostril, steps=3), 0.4, skin * 0.8))
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
        rgb += blush * floats((4, -2, -2) if person.male else (9, -5, -5))
    if person.head['beard']:
        chin = ramp((y - 9 + 0.02 * x * x) / 6) * (1 - np.exp(-((x / 6) ** 2) - ((y - 16.8) / 3.0) ** 2))
        rgb += (0.5 * chin)[..., None] * (person.head['hair'] * 0.8 - rgb)
    skin = np.clip(grow(rgb), 0, 255).astype(np.uint8)
    marks = [*eye_marks(head, -1), *eye_marks(head, 1), *mouth_and_nose_marks(head)]
    points = brush.pixels(head.to_frame(np.concatenate([points for points, _, _ in marks])))
    shapes = np.split(points, np.cumsum([len(points) for points, _, _ in marks])[:-1])
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
    lobes = grow(tint(person.skin, 0.86 + 0.08 * np.cos(y / 3).astype(np.float32), WARM))
    lobes = np.clip(lobes, 0, 255).astype(np.uint8)
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
    hairs: int


def lock(inner: list, outer: list, hairs: int = 30) -> Lock:
    """A lock between two smooth curves."""

    def even(points: list) -> np.ndarray:
        curve = spline(points)
        step = np.sqrt((np.diff(curve, axis=0) ** 2).sum(1))
        place = np.concatenate([[0], np.cumsum(step)])
        target = np.linspace(0, place[-1], 24)
        return np.stack([np.interp(target, place, curve[:, i]) for i in (0, 1)], -1).astype(np.float32)

    return Lock(even(inner), even(outer), hairs)


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


# Of each style: how far the hair stands off the head, and where it ends at the temples.
HAIRCUTS = {
    'buzz': (0.5, -3.0), 'short': (3.2, 0.0), 'bun': (1.6, -1.0), 'tail': (1.6, -1.0),
    'bob': (3.4, 6.0), 'long': (2.8, 7.0), 'waves': (3.6, 7.0), 'curls': (4.0, 4.0),
}  # fmt: skip


def cap_lock(look: dict, side: int) -> Lock:
    """The hair on one half of the head, between the hairline and the crown."""
    style, part = look['style'], look['part'] + look['turn'] * 3
    puff, low = HAIRCUTS[style]
    second = side * 8 + part * 0.3
    if look['fringe'] and style not in ('short', 'buzz'):
        edge = [(part, -7.5), (second, -8), (side * 13, -6.5), (side * 15.8, -2), (side * 16.5, low)]
    else:
        edge = [(part, -19.5), (second, -18), (side * 14, -13), (side * 16.2, -7), (side * 16.9, low)]
    return lock(edge, crown(look, side, puff, low))


def side_locks(look: dict, side: int, rng: np.random.Generator) -> tuple[list[Lock], list[Lock]]:
    """Long hair of one side, behind the body and in front of it."""
    style, puff, wave = look['style'], HAIRCUTS[look['style']][0], rng.uniform(-2, 2, 4)
    curl = {'waves': 4.0, 'long': 1.0, 'bob': 0.5}[style] * look['curl']
    end = 25 + wave[0] if style == 'bob' else look['length']
    tuck = -5.0 if style == 'bob' else 0.0
    fall = np.array((0.2, 0.4, 0.6, 0.8, 1.0))
    swing = curl * np.sin(5 * fall * end / 60 + wave[1]) + 2 * fall + tuck * fall**3
    top = crown(look, side, puff, 4.0)
    outer = [
        *top[2:-1],
        *((side * (19 + 0.75 * puff + s), 4 + (end - 4) * f) for f, s in zip(fall, swing, strict=True)),
    ]
    inner = [(0, -24), (side * 3, -8), (side * 3, 4), *((side * (3 + 4 * f), 4 + end * f) for f in fall)]
    back = [lock(inner, outer)]
    if style == 'bob':
        edge = [(side * 15.6, -10), (side * 16.4, 2), (side * 15.0, 13), (side * 13.2, end - 1.5)]
        rim = [(18.4, -10), (19.2 + puff, 2), (19.6 + puff, 14), (15.5 + puff, end)]
        return back, [lock(edge, [(side * x, y) for x, y in rim])]
    if side not in look['front']:
        return back, []
    fall, end = np.array((0.0, 0.25, 0.5, 0.75, 1.0)), look['length'] * 1.1
    wide, narrow = (curl * np.sin(5 * fall * end / 60 + w) for w in (wave[2], wave[3]))
    rim, edge = [(18.0, -12), (19.5 + puff, 2)], [(15.6, -10), (16.4, 3)]
    full = np.sin(2.4 * fall)
    far, near = wide + look['volume'] * full, narrow - look['inward'] * full
    rim += zip(20.5 + puff + far - 3 * fall**3, 16 + (end - 16) * fall, strict=True)
    edge += zip(14.5 + near + 2 * fall + 4.5 * fall**4, 16 + (end - 14) * fall, strict=True)
    near_line, far_line = ([(side * x, y) for x, y in line] for line in (edge, rim))
    front = [lock(near_line, far_line)]
    return back, front + loose_strands(look, side, curl, rng)


def loose_strands(look: dict, side: int, curl: float, rng: np.random.Generator) -> list[Lock]:
    """Thin tapered locks that leave the hair in front of a shoulder."""
    count = look['strands']
    if not count:
        return []
    fall = np.linspace(0, 1, 24)
    low, high = (2, -1, 0, 0.75, 1.0), (20, 1, 6.3, 1.3, 3.2)
    root, out, phase, share, width = rng.uniform(low, high, (count, 5)).T[..., None]
    end = np.maximum(look['length'] * share, root + 20)
    room = np.where(out > 0, look['volume'], look['inward'])
    wave = (1 + 0.6 * curl) * np.sin((5 + 0.5 * curl) * fall * end / 60 + phase) * fall
    x, y = 19 + out * (2 + (4 + room) * fall) + wave, root + (end - root) * fall
    half = width * (1 - fall**2) + 0.15
    inner, outer = (floats(np.stack([side * (x + s * half), y], -1)) for s in (-1, 1))
    return [Lock(*lines, hairs=3) for lines in zip(inner, outer, strict=True)]


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
        outer = [(s * 8, -24), (s * 21, -10), (s * 24, 14), (s * 25, 34), (s * 20, end * 0.95)]
        back.append(lock(inner, outer))
    if look['style'] == 'bun':
        t, x = np.linspace(0.1, np.pi - 0.1, 9), look['turn'] * -4
        rings = [(x - r * np.cos(t), -26 - h * np.sin(t)) for r, h in ((5, 1), (10, 13.5))]
        low, high = (list(zip(*ring, strict=True)) for ring in rings)
        front.append(lock(low, high))
    return back, front


def hair_layers(
    person: Person, frame: Frame, locks: list[Lock], *, dim: float, rng: np.random.Generator
) -> list[Layer]:
    """Locks as one patch: their silhouette, strands of varied tone along them, a band of gloss."""
    if not locks:
        return []
    inner, outer = (Head(person).to_frame(np.stack([item[side] for item in locks])) for side in (0, 1))
    window = frame.window(np.concatenate([inner, outer]).reshape(-1, 2), 1)
    if window is None:
        return []
    brush = Brush(frame, window)
    tone = brush.blank(118)
    for first, last, item in zip(inner, outer, locks, strict=True):
        share = np.sort(rng.uniform(0.01, 0.99, item.hairs)).astype(np.float32)[:, None, None]
        curves = brush.pixels(first + share * (last - first))
        for value, width, start in ((92, 2, 0), (146, 1, 1), (102, 1, 2), (164, 1, 3), (130, 2, 4)):
            if start < item.hairs:
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
    values = rng.integers(70, 175, len(spots)).tolist()
    for spot, value in zip(brush.pixels(spots).tolist(), values, strict=True):
        cv2.circle(mask, spot, int(70 * size), 255, -1, cv2.LINE_AA, 4)
        cv2.circle(tone, spot, int(36 * size), value, max(1, int(1.1 * size)), cv2.LINE_AA, 4)
    shade = (0.66 + tone * np.float32(0.6 / 255)) * np.float32(0.85 if back else 1)
    return [Layer(window, tint(person.head['hair'], shade), mask * np.float32(1 / 255), Parsing.HAIR)]
