"""A drawn person who moves: sways, turns a little, and swings the arms, as frames of a clip."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from synthetic.brushes import Frame
from synthetic.drawing import Scene
from synthetic.random_people import Arm, Person, sample_person
from synthetic.records import flat_garment, is_male, stream

SWAY = 7.0  # lengths in body units: to either side
LEAN, TURN = 0.05, 0.16  # to either side, of the torso: radians, share of its width
SWINGS = (0.20, 0.30)  # of upper arm and forearm, outwards: radians


def moving_person(
    seed: int, index: int, count: int, *, size: tuple[int, int] = (256, 192), split: str = 'test'
) -> Iterator[np.ndarray]:
    """Yield `count` pictures uint8 [H, W, 3] of a record's moving person; the end meets the beginning."""
    male, garment = is_male(seed, split, index), flat_garment(seed, split, index, size)
    for number in range(count):
        # Anew, since a drawing uses up its random numbers.
        person = sample_person(stream(seed, split, index, 2), male=male)
        phase = 2 * np.pi * number / count
        scene = Scene(moved(person, phase), Frame(*size))
        yield scene.dress(garment, stream(seed, split, index, 3), shade=True)[0]


def moved(person: Person, phase: float) -> Person:
    """A person at a `phase` (radians) of the movement; at 0 as sampled."""
    side, twice = float(np.sin(phase)), float(1 - np.cos(phase)) / 2
    arms = [
        swung(arm, 1.3 * twice if arm.side > 0 else 2 * twice * abs(np.cos(phase / 2))) for arm in person.arms
    ]
    origin = person.origin + np.array([SWAY * side, 0], np.float32)
    return replace(
        person, arms=arms, origin=origin, lean=person.lean + LEAN * side, turn=person.turn + TURN * side
    )


def swung(arm: Arm, share: float) -> Arm:
    """An arm that hangs or rests, swung outwards by `share` of SWINGS; others stay."""
    if arm.place != 'front' or arm.hand == 'pocket':
        return arm
    upper, lower = (-arm.side * share * angle for angle in SWINGS)
    elbow = arm.joint + _turned(arm.elbow - arm.joint, upper)
    wrist = elbow + _turned(arm.wrist - arm.elbow, upper + lower)
    return replace(arm, elbow=elbow, wrist=wrist, hand_angle=arm.hand_angle - arm.side * (2 * upper + lower))


def _turned(bone: np.ndarray, angle: float) -> np.ndarray:
    sin, cos = np.sin(angle), np.cos(angle)
    return np.array([cos * bone[0] - sin * bone[1], sin * bone[0] + cos * bone[1]], np.float32)
