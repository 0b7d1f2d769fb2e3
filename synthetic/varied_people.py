"""Persons as varied as photographs show them: turned, cut off, with a top tucked or loose, hair in front."""

from dataclasses import replace

import numpy as np

from synthetic.brushes import floats
from synthetic.random_people import Person, Tuck, pick, sample_arm, sample_person

DENIMS = (
    (34, 44, 70),
    (46, 62, 98),
    (70, 96, 140),
    (112, 140, 176),
    (152, 174, 200),
    (58, 62, 70),
    (128, 130, 134),
)
BLACKS = ((18, 18, 21), (28, 29, 33), (22, 24, 34))
WHITES = ((240, 240, 238), (228, 228, 226), (236, 230, 220))
CLOTHS = (
    (176, 156, 126), (92, 78, 62), (74, 82, 62), (128, 28, 40), (150, 150, 152), (214, 160, 164),
    (40, 52, 92), (196, 190, 182), (70, 70, 74),
)  # fmt: skip
FABRICS = {'denim': DENIMS, 'cotton': (*BLACKS, *WHITES, *CLOTHS), 'leather': BLACKS, 'check': CLOTHS}


def sample_varied_person(rng: np.random.Generator, *, male: bool) -> Person:
    """A random person as `sample_person` draws them, then dressed, turned and framed with more variety."""
    base, spread = sample_person(rng, male=male), rng.uniform
    poses = sample_varied_poses(rng)
    side = spread(-1, 1) if spread() < 0.6 else 0.0
    tips = turned_tips(rng, base, poses, side)
    widths = base.widths.scaled(1 - 0.1 * abs(side))
    tucked, tuck = sample_tuck(rng, male=male, pocket='pocket' in poses)
    waist = sample_waist(rng, male=male, covering=tucked or tuck is not None)
    girth = min(base.arms[0].girth, 1.15)
    arms = [
        sample_arm(
            rng, pose, s, tip + (-s * (8 if male else 6.5), 8.5), widths(104.0), min(waist, 102.0), girth
        )
        for pose, s, tip in zip(poses, (-1, 1), tips, strict=True)
    ]
    arms.sort(key=lambda arm: poses[(arm.side + 1) // 2] in ('over', 'neck', 'chest'))
    top = spread(-44, -18) if spread() < 0.1 else spread(-8, 16)
    # the legs reach the lower edge of the picture
    scale = float(np.clip(rng.normal(1.08, 0.12), (268 - top) / 316, 1.45))
    return replace(
        base,
        scale=scale,
        origin=floats((96 + spread(-13, 13), top + 68 * scale)),
        lean=float(np.radians(spread(-7, 7))),
        turn=0.16 * side + spread(-0.05, 0.05),
        twist=0.22 * side,
        bend=spread(-11, 11),
        tips=tips,
        widths=widths,
        waist=waist,
        arms=arms,
        head=varied_head(rng, base.head, side, male=male),
        lower=varied_lower(rng, base.lower),
        tucked=tucked,
        tuck=tuck,
        hem=(spread(0, 2.2), spread(0.05, 0.16), spread(0, 6.3)),
    )


def turned_tips(
    rng: np.random.Generator, base: Person, poses: tuple[str, str], side: float
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the shoulders of a torso turned by -1 .. 1: the far one is nearer to the neck."""
    tilt, wide = rng.uniform(-5, 5), (base.tips[1][0] - base.tips[0][0]) / 2
    height = (base.tips[0][1] + base.tips[1][1]) / 2
    tips = []
    for s, pose in zip((-1, 1), poses, strict=True):
        lift = 4 if pose == 'hair' else 0
        share = 1 - (0.2 if s * side > 0 else 0.06) * abs(side)
        tips.append(floats((s * (wide * share - lift / 3), max(height - lift + s * tilt, 3.5))))
    return tips[0], tips[1]


def sample_varied_poses(rng: np.random.Generator) -> tuple[str, str]:
    """Names of the poses of the arms at the left and at the right of the picture."""
    both = pick(rng, ('free', 'crossed', 'behind'), (0.88, 0.06, 0.06))
    if both == 'crossed':
        return pick(rng, (('over', 'under'), ('under', 'over')))
    if both == 'behind':
        return 'behind', 'behind'
    names = ('side', 'akimbo', 'pocket', 'belly', 'raised', 'out', 'hair', 'neck', 'chest')
    weights = (0.52, 0.11, 0.11, 0.08, 0.05, 0.04, 0.05, 0.015, 0.025)
    left, right = pick(rng, names, weights), pick(rng, names, weights)
    crossing = ('neck', 'chest')
    return left, 'side' if left in crossing and right in (*crossing, 'belly') else right


def sample_tuck(rng: np.random.Generator, *, male: bool, pocket: bool) -> tuple[bool, Tuck | None]:
    """Whether the garment is tucked in all around, and its hem line where that is not the waistband."""
    spread = rng.uniform
    tucked = pocket or spread() < (0.1 if male else 0.4)
    if not tucked:
        return False, None
    kind = pick(rng, ('clean', 'bloused', 'half'), (0.32, 0.38, 0.0 if pocket else 0.3))
    if kind == 'clean':
        return True, None
    half = 99.0 if kind == 'bloused' else spread(1, 9)
    middle = spread(-11, 11) if kind == 'half' else 0.0
    waves = (spread(0.3, 1.8), spread(0.1, 0.3), spread(0, 6.3))
    return kind == 'bloused', Tuck(middle, half, spread(0.55, 1.5), spread(0.5, 6.5), waves)


def sample_waist(rng: np.random.Generator, *, male: bool, covering: bool) -> float:
    """Height of the waistband: high where a garment is tucked in, often low where one hangs over it."""
    spread = rng.uniform
    if male:
        return spread(90, 102) if covering else spread(94, 108)
    low = spread(90, 102) if covering else spread(98, 112)
    return spread(72, 94) if spread() < (0.85 if covering else 0.42) else low


def varied_head(rng: np.random.Generator, head: dict, side: float, *, male: bool) -> dict:
    """A head that often has long loose hair in front of the shoulders, and mostly turns with the torso."""
    spread = rng.uniform
    turn = float(np.clip(head['turn'] * 0.6 + side * spread(-0.2, 0.6), -0.8, 0.8))
    if male:
        return head | {'turn': turn}
    styles = ('long', 'waves', 'bob', 'bun', 'tail', 'curls', 'short')
    return head | {
        'turn': turn,
        'style': pick(rng, styles, (0.34, 0.32, 0.08, 0.1, 0.08, 0.05, 0.03)),
        'front': pick(rng, ((-1, 1), (-1,), (1,), ()), (0.38, 0.2, 0.2, 0.22)),
        'length': spread(36, 100),
        'curl': spread(0.7, 2.2),
        'volume': spread(0, 11),
        'inward': spread(-1, 6),
        'strands': int(rng.integers(3, 8)),
    }


def varied_lower(rng: np.random.Generator, lower: dict) -> dict:
    """Trousers and skirts of denim, leather, checked or plain cloth."""
    spread = rng.uniform
    fabric = pick(rng, tuple(FABRICS), (0.52, 0.34, 0.08, 0.06))
    color = np.clip(np.array(pick(rng, FABRICS[fabric])) * spread(0.88, 1.1), 8, 248).astype(np.float32)
    return lower | {
        'fabric': fabric,
        'color': color,
        'belt': spread() < 0.25,
        'ease': spread(0.3, 5.0),
        'stance': spread(16, 27),
        'wash': spread(0, 1),
        'stitch': spread(-0.4, -0.12) if spread() < 0.6 else spread(0.1, 0.3),
    }
