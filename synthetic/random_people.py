"""Random persons: pose, proportions, colours, lower clothes and backdrop.

The torso frame has its origin at the pit of the neck, x to the right of the picture, y down the spine; side
-1 is the left of the picture, the person's right.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from data.labels import Parsing
from synthetic.brushes import Brush, Profile, capsule, floats, join, ramp

BARE_TORSO = Parsing.UNUSED_2
"""Bare chest and belly: in no mask of the method, as the generator has to invent them. The neck counts as
face.
"""

BENT = ('hair', 'neck', 'chest')  # poses that only varied people take

UPPER_ARM, FOREARM, HAND = 60.0, 50.0, 25.0
REACH = UPPER_ARM + FOREARM
"""Lengths of the parts of an arm that is not foreshortened; wrist and fingers lie beyond REACH."""

WARM = (0.78, 1.05, 1.15)
"""Response of the red, green and blue of skin to shade: shadows on skin are warm."""

SKINS = (
    (246, 217, 196), (240, 203, 178), (231, 188, 158), (214, 164, 130), (190, 138, 102), (152, 104, 74),
    (116, 78, 56), (88, 60, 45),
)  # fmt: skip
HAIRS = (
    (28, 24, 24), (46, 34, 28), (72, 48, 34), (104, 70, 44), (146, 104, 62), (196, 158, 104), (222, 192, 142),
    (132, 58, 34), (150, 148, 146),
)  # fmt: skip
TROUSERS = (
    (38, 48, 76), (62, 84, 124), (110, 136, 170), (24, 25, 29), (40, 40, 44), (232, 231, 228),
    (150, 150, 152), (176, 156, 126), (92, 78, 62), (74, 82, 62), (92, 36, 44),
)  # fmt: skip
STUDIOS = (
    (243, 243, 242), (236, 236, 236), (228, 228, 229), (245, 242, 237), (231, 234, 238), (219, 220, 222),
)  # fmt: skip
WALLS = ((196, 186, 172), (172, 186, 198), (204, 176, 166), (160, 172, 158), (188, 190, 196), (214, 204, 180))
LIPSTICKS = ((176, 52, 62), (190, 84, 88), (150, 44, 60), (204, 104, 100))
IRISES = ((58, 40, 28), (70, 52, 34), (84, 98, 110), (72, 92, 70))


def pick(rng: np.random.Generator, choices: tuple, weights: tuple | None = None):
    """One of the choices; weights need not sum to 1."""
    share = np.cumsum(weights if weights is not None else np.ones(len(choices)))
    index = int(np.searchsorted(share, rng.uniform() * share[-1], side='right'))
    return choices[min(index, len(choices) - 1)]


@dataclass
class Arm:
    """One arm in the torso frame, painted 'behind' the torso, in 'front' of it, or on 'top' of the head."""

    side: int
    joint: np.ndarray
    elbow: np.ndarray
    wrist: np.ndarray
    hand_angle: float
    hand: str
    place: str
    girth: float

    def __post_init__(self):
        self.joint, self.elbow, self.wrist = map(floats, (self.joint, self.elbow, self.wrist))
        bones = self.elbow - self.joint, self.wrist - self.elbow
        self.lengths = tuple(float(np.hypot(*bone)) for bone in bones)
        self.along = tuple(bone / np.float32(size) for bone, size in zip(bones, self.lengths, strict=True))
        # the normals point outwards when the arm hangs
        self.normal = tuple(floats((d[1], -d[0])) * self.side for d in self.along)
        self.upper = (9.4 * self.girth, 7.0 * self.girth)
        self.lower = (7.4 * self.girth, 4.6 * self.girth**0.5)

    def tip(self) -> np.ndarray:
        """Position of the finger tips."""
        return self.wrist + HAND * floats((self.side * np.sin(self.hand_angle), np.cos(self.hand_angle)))

    def fields(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Place along the arm, in unshortened units, and signed distance across it, both smooth."""
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
        upper = self.upper[0] + extra + share * (self.upper[1] - self.upper[0])
        return upper + rest * (self.lower[1] - self.upper[1])

    def distance(self, x: np.ndarray, y: np.ndarray, extra: float = 0.0) -> np.ndarray:
        """Signed distance to the arm without its hand."""
        first = capsule(x, y, self.joint, self.elbow, *(r + extra for r in self.upper))
        return join(first, capsule(x, y, self.elbow, self.wrist, *(r + extra for r in self.lower)), 4)


class Tuck(NamedTuple):
    """How far down a garment is seen that is tucked in loosely, or only around the `middle`.

    The part within `half` of the middle ends `blouse` below the rim of the waistband, with `waves` (height,
    frequency, phase); beside it the garment comes out of the waistband along lines as `steep` as that.
    """

    middle: float
    half: float
    steep: float
    blouse: float
    waves: tuple[float, float, float]

    def drop(self, x: np.ndarray, wide: float) -> np.ndarray:
        """Units from the rim of the waistband, `wide` to either side, down to where the garment ends."""
        height, frequency, phase = self.waves
        line = self.blouse + height * np.sin(x * frequency + phase)
        if self.half > wide:
            share = np.abs(x) / wide
            return line * (1 - ramp((share - 0.7) / 0.3)) - 60 * np.maximum(share - 1, 0)
        beside = np.maximum(np.abs(x - self.middle) - self.half, 0)
        return line + self.steep * beside * ramp(beside / 9 + 0.15)


@dataclass
class Person:
    """Everything about a person but the garment: lengths in body units, points in the torso frame.

    `twist` turns the torso further below the shoulders; `tuck` is the hem line of a garment that is tucked
    in, but not to the rim of the waistband all around; `hem` are waves (height, frequency, phase) of a hem
    that hangs.
    """

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
    twist: float = 0.0
    tuck: Tuck | None = None
    hem: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self):
        cos, sin = float(np.cos(self.lean)), float(np.sin(self.lean))
        self.rotation = floats([[cos, sin], [-sin, cos]]) * np.float32(self.scale)

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

    @cached_property
    def slopes(self) -> np.ndarray:
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
        """Places along the arm of the armhole's seam at its outer (shoulder) and inner rim (armpit)."""
        tip = self.tips[(arm.side + 1) // 2] - arm.joint
        pit = floats((arm.side * self.widths(self.pit), self.pit)) - arm.joint
        return float(np.clip(tip @ arm.along[0], -12, 6)), float(np.clip(pit @ arm.along[0], 3, 26))


def reach_for(
    start: np.ndarray, goal: ArrayLike, upper: float, lower: float
) -> tuple[np.ndarray, np.ndarray]:
    """Elbow and wrist of an arm whose hand goes for a point, elbow outside; x grows outwards."""
    joint, wrist = np.asarray(start, float), np.asarray(goal, float)
    far, limit = float(np.hypot(*(wrist - joint))), 0.98 * (upper + lower)
    if far > limit:
        wrist, far = joint + (wrist - joint) * (limit / far), limit
    axis, along = (wrist - joint) / far, (upper**2 - lower**2 + far**2) / (2 * far)
    height = np.sqrt(max(upper**2 - along**2, 4.0))
    return joint + along * axis + height * np.array((axis[1], -axis[0])), wrist


def bend_arm(
    rng: np.random.Generator, pose: str, joint: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float, str, str]:
    """Elbow, wrist, angle of the hand, hand and place of an arm in a pose of `BENT`; x grows outwards."""
    spread, hand, place = rng.uniform, 'relaxed', 'front'
    if pose == 'hair':
        first = np.radians(spread(92, 122))
        elbow = joint + UPPER_ARM * spread(0.72, 0.84) * np.array((np.sin(first), np.cos(first)))
        wrist, place = np.array((spread(23, 30), spread(-44, -24))), 'top'
    elif pose == 'neck':
        elbow = joint + (spread(-2, 4), spread(36, 42))
        wrist, place = np.array((spread(-6, 0), spread(12, 18))), 'top'
    else:
        elbow = joint + (spread(4, 9), UPPER_ARM * spread(0.74, 0.86))
        wrist, hand = np.array((spread(-12, -2), elbow[1] - spread(6, 18))), 'flat'
    angle = float(np.arctan2(*(wrist - elbow))) + spread(-0.2, 0.2)
    angle = float(np.radians(spread(188, 222))) if pose == 'hair' else angle
    reach = float(np.hypot(*(wrist - elbow)))
    return elbow, elbow + (wrist - elbow) * min(1.0, 1.05 * FOREARM / reach), angle, hand, place


def sample_arm(
    rng: np.random.Generator,
    pose: str,
    side: int,
    shoulder: np.ndarray,
    hips: float,
    waist: float,
    girth: float,
) -> Arm:
    """An arm in a pose: side, out, akimbo, pocket, belly, over or under the other, raised, behind; of varied
    people also a hand in the hair, at the neck, an arm across the chest.
    """
    joint, spread = floats(shoulder) * (side, 1), rng.uniform  # x outwards
    hand, place = 'relaxed', 'front'
    if pose in ('side', 'out', 'raised'):
        first = np.radians({'side': spread(5, 17), 'out': spread(28, 55), 'raised': spread(122, 140)}[pose])
        short = spread(0.74, 0.86) if pose == 'raised' else spread(0.93, 1)
        elbow = joint + UPPER_ARM * short * np.array((np.sin(first), np.cos(first)))
        second = first + np.radians(spread(-13, 5) if pose == 'side' else spread(-40, 10))
        wrist = elbow + FOREARM * spread(0.9, 1) * np.array((np.sin(second), np.cos(second)))
        angle = second + np.radians(spread(-12, 8))
        if pose == 'raised':
            wrist = np.array((spread(18, 25), spread(-62, -44)))
            place, angle = 'top', np.radians(spread(215, 250))
    elif pose in ('over', 'under'):
        elbow = joint + (spread(5, 10), UPPER_ARM * spread(0.82, 0.92))
        wrist = np.array((spread(-20, -14), elbow[1] - spread(4, 12)))
        angle, hand = np.radians(spread(-112, -98)), 'flat'
    elif pose in BENT:
        elbow, wrist, angle, hand, place = bend_arm(rng, pose, joint)
    else:
        goal, short = {
            'akimbo': ((hips - spread(-1, 4), spread(90, 100)), spread(0.88, 0.98)),
            'pocket': ((hips - spread(7, 12), waist + spread(7, 11)), spread(0.88, 0.97)),
            'belly': ((spread(-10, 10), spread(58, 84)), spread(0.8, 0.9)),
            'behind': ((hips - spread(18, 24), spread(88, 98)), spread(0.84, 0.9)),
        }[pose]
        elbow, wrist = reach_for(joint, goal, UPPER_ARM * short, FOREARM * short)
        angle = float(np.arctan2(*(wrist - elbow)))
        angles = {'akimbo': np.radians(spread(-60, -25)), 'pocket': np.radians(spread(-14, 0))}
        angle = angles.get(pose, angle + spread(-0.25, 0.25))
        hand = {'akimbo': 'flat', 'pocket': 'pocket'}.get(pose, 'relaxed')
        place = 'behind' if pose == 'behind' else 'front'
    joint, elbow, wrist = (np.asarray(point) * (side, 1) for point in (joint, elbow, wrist))
    return Arm(side, joint, elbow, wrist, float(angle), hand, place, girth * rng.uniform(0.95, 1.06))


def sample_poses(rng: np.random.Generator) -> tuple[str, str]:
    """Names of the poses of the arms at the left and at the right of the picture."""
    both = pick(rng, ('free', 'crossed', 'behind'), (0.85, 0.1, 0.05))
    if both == 'crossed':
        return pick(rng, (('over', 'under'), ('under', 'over')))
    if both == 'behind':
        return 'behind', 'behind'
    names = ('side', 'akimbo', 'pocket', 'belly', 'raised', 'out')
    weights = (0.5, 0.17, 0.13, 0.07, 0.08, 0.05)
    return pick(rng, names, weights), pick(rng, names, weights)


def sample_widths(rng: np.random.Generator, *, male: bool, build: float) -> Profile:
    """Half the width of the torso over its height."""
    knots: tuple[tuple[float, float], ...]
    if male:
        knots = (
            (0, 40), (18, 39), (36, 38), (46, 38.5), (62, 35.5), (80, 33), (98, 34), (114, 36), (150, 37),
        )  # fmt: skip
    else:
        waist, hips = 26.5 * rng.uniform(0.95, 1.08), 36.5 * rng.uniform(0.95, 1.06)
        knots = (
            (0, 36), (18, 35), (36, 33.2), (46, 33.8), (62, 29.8), (78, waist), (95, 31), (113, hips),
            (150, 37),
        )  # fmt: skip
    return Profile([(y, width * build) for y, width in knots])


def sample_person(rng: np.random.Generator, *, male: bool) -> Person:
    """A random person of varied build, pose, clothes and surroundings."""
    spread, poses = rng.uniform, sample_poses(rng)
    build, tilt = spread(0.93, 1.1), spread(-3.5, 3.5)
    tip_x, tip_y = (45 if male else 39.5) * spread(0.96, 1.05), spread(5, 10)
    lifts = [7 if pose == 'raised' else 0 for pose in poses]
    sides = zip((-1, 1), lifts, strict=True)
    left_tip, right_tip = (floats((s * (tip_x - lift / 3), tip_y - lift + s * tilt)) for s, lift in sides)
    waist = spread(92, 102) if male else spread(80, 99)
    widths, girth = sample_widths(rng, male=male, build=build), build * (1.15 if male else 0.97)
    arms = [
        sample_arm(rng, pose, side, tip + (-side * (8 if male else 6.5), 8.5), widths(104.0), waist, girth)
        for pose, side, tip in zip(poses, (-1, 1), (left_tip, right_tip), strict=True)
    ]
    arms.sort(key=lambda arm: poses[(arm.side + 1) // 2] == 'over')
    scale = float(np.clip(rng.normal(1.06, 0.08), 0.86, 1.28))
    shade = float(np.clip(rng.beta(1.1, 1.8), 0, 0.999)) * (len(SKINS) - 1)
    skin = np.array(SKINS[int(shade)]) + shade % 1 * np.subtract(SKINS[int(shade) + 1], SKINS[int(shade)])
    light = np.array((spread(0.2, 0.6) * pick(rng, (-1, 1)), spread(-0.35, -0.15), 0.9))
    return Person(
        male=male,
        scale=scale,
        origin=floats((96 + spread(-9, 9), spread(-4, 16) + 68 * scale)),
        lean=float(np.radians(spread(-5, 5))),
        turn=spread(-0.2, 0.2),
        bend=spread(-6, 6),
        tips=(left_tip, right_tip),
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
        'hair': floats(np.array(HAIRS[int(rng.integers(3 if dark else len(HAIRS)))]) * spread(0.9, 1.1)),
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
        'curl': 1.0,
        'volume': 0.0,
        'inward': 0.0,
        'strands': 0,
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
        'fabric': None,
        'stitch': -0.2,
    }


def sample_backdrop(rng: np.random.Generator) -> dict:
    """Mostly the plain light backdrop of a studio, sometimes a coloured or textured wall."""
    kind = pick(rng, ('studio', 'wall', 'panels'), (0.8, 0.13, 0.07))
    return {
        'kind': kind,
        'color': np.float32(pick(rng, STUDIOS if kind == 'studio' else WALLS))
        * np.float32(rng.uniform(0.97, 1.02)),
        'slope': rng.uniform(-0.05, 0.05, 2),
        'vignette': rng.uniform(0.0, 0.07),
        'shadow': rng.uniform(0.0, 0.22),
    }
