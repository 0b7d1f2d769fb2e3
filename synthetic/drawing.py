"""A person with all layers in their order: puts a garment on, and tells DensePose parts and key points."""

import cv2
import numpy as np

from data.labels import DensePosePart
from synthetic.bodies import ArmPatch, Patch, arm_layer, backdrop, leg_distances, lower_layers, torso_layers
from synthetic.brushes import Brush, Frame, Layer, crop, floats, grow, paint, ramp, shrink
from synthetic.garments import Garment
from synthetic.heads import Head, curls_layers, face_layers, hair_layers, hair_locks
from synthetic.prints import RING
from synthetic.random_people import UPPER_ARM, Arm, Person
from synthetic.wearing import Warp, wear_sleeve, wear_torso

KNEE = 206.0
"""Height of the knees in the torso frame."""


def _limb(end: str, *names: str) -> tuple[int, np.ndarray]:
    """DensePose ids of a limb's end and of its parts: inner and outer half above, then below."""
    return DensePosePart[end], np.array(
        [DensePosePart[f'{name}_{half}'] for name in names for half in (1, 2)], np.uint8
    )


RIGHT_ARM = _limb('RIGHT_HAND', 'RIGHT_UPPER_ARM', 'RIGHT_LOWER_ARM')
LEFT_ARM = _limb('LEFT_HAND', 'LEFT_UPPER_ARM', 'LEFT_LOWER_ARM')
RIGHT_LEG = _limb('RIGHT_FOOT', 'RIGHT_UPPER_LEG', 'RIGHT_LOWER_LEG')
LEFT_LEG = _limb('LEFT_FOOT', 'LEFT_UPPER_LEG', 'LEFT_LOWER_LEG')


class Scene:
    """A person with everything painted but the garment; `dress` adds one."""

    def __init__(self, person: Person, frame: Frame):
        self.person, self.frame, rng = person, frame, person.rng
        corners = [(-57, -20), (57, -20), (-57, 152), (57, 152)]
        window = frame.window(person.to_frame(corners))
        self.torso = Patch(person, frame, window) if window else None
        self.arms = {arm.side: self.arm_patch(arm) for arm in person.arms}
        self.skin = {
            side: arm_layer(person, frame, patch) if patch else None for side, patch in self.arms.items()
        }
        self.canvas = backdrop(person, frame)
        self.lower = lower_layers(person, frame)
        self.parsing = np.zeros((frame.height, frame.width), np.uint8)
        self.flow = np.full((frame.height, frame.width, 2), np.nan, np.float32)
        self.order = self.painting_order(*self.hair(rng))
        # what lies behind every garment is painted once
        while isinstance(self.order[0], Layer):
            paint(self.order.pop(0), self.canvas, self.parsing, self.flow)

    def arm_patch(self, arm: Arm) -> ArmPatch | None:
        """The window around an arm and its hand."""
        points = self.person.to_frame(np.stack([arm.joint, arm.elbow, arm.wrist, arm.tip()]))
        window = self.frame.window(points, 17 * self.person.scale)
        return window and ArmPatch(self.person, self.frame, window, arm)

    def hair(self, rng: np.random.Generator) -> tuple[list[Layer], list[Layer]]:
        """The hair behind and in front of the body."""
        if self.person.head['style'] == 'curls':
            behind = curls_layers(self.person, self.frame, back=True, rng=rng)
            return behind, curls_layers(self.person, self.frame, back=False, rng=rng)
        back, front = hair_locks(self.person, rng)
        behind = hair_layers(self.person, self.frame, back, dim=0.82, rng=rng)
        return behind, hair_layers(self.person, self.frame, front, dim=1.0, rng=rng)

    def painting_order(self, hair_back: list[Layer], hair_front: list[Layer]) -> list:
        """Layers from back to front; 'torso' and the side of an arm stand for the pieces of the garment."""
        person, lower = self.person, self.lower
        arms = [arm for arm in person.arms if self.skin[arm.side]]
        order: list = [*hair_back]
        for arm in arms:
            order += [self.skin[arm.side], arm.side] if arm.place == 'behind' else []
        covered = person.tucked and person.tuck is None
        order += [*torso_layers(person, self.frame), *([] if covered else lower)]
        for arm in arms:
            if arm.place != 'behind':
                # the rest of the arm comes again in front of the garment
                shoulder = self.frame.window(person.to_frame([arm.joint]), 34 * person.scale)
                order.append(crop(self.painted(arm), shoulder))
        order += ['torso', *(lower if covered else [])]
        for arm in arms:
            order += self.arm_over(arm) if arm.place == 'front' else []
        order += [*face_layers(person, self.frame), *hair_front]
        for arm in arms:
            order += self.arm_over(arm) if arm.place == 'top' else []
        return [item for item in order if item is not None]

    def painted(self, arm: Arm) -> Layer:
        """The layer of an arm within the picture."""
        layer = self.skin[arm.side]
        assert layer is not None, 'this arm is out of the picture'
        return layer

    def patch(self, arm: Arm) -> ArmPatch:
        """The window of an arm within the picture."""
        patch = self.arms[arm.side]
        assert patch is not None, 'this arm is out of the picture'
        return patch

    def arm_over(self, arm: Arm) -> list:
        """An arm in front of the torso: shadow, arm from the armhole on, sleeve, the pocket of its hand."""
        layer, patch, person, unit = self.painted(arm), self.patch(arm), self.person, self.frame.unit
        past = patch.place - patch.start(patch.rim())
        keep = ramp(past / 3).astype(np.float32)
        width = 2 * round(3 * unit) + 1
        shadow = cv2.blur(cv2.blur(shrink(layer.alpha) * keep, (width, width)), (width, width))
        shift = floats([[1, 0, -person.light[0] * 3.5 * unit], [0, 1, 1.5 * unit]])
        on_trunk = np.clip(person.widths(patch.y) + 3 - np.abs(patch.x), 0, 1)
        shadow = cv2.warpAffine(shadow, shift, shadow.shape[::-1]) * on_trunk
        items = [
            Layer(layer.window, None, grow(np.float32(0.34) * shadow)),
            layer._replace(alpha=layer.alpha * grow(keep)),
            arm.side,
        ]
        if arm.hand == 'pocket':
            hip, waist, s = person.widths(113.0), person.waist, arm.side
            pocket = [
                (0.15, waist + 11), (0.4, waist + 10.5), (0.7, waist + 15), (1.15, waist + 24), (1.15, 160),
                (0, 160),
            ]  # fmt: skip
            outline = person.to_frame([(s * hip * q, y) for q, y in pocket])
            for cloth in self.lower:
                near = crop(cloth, self.frame.window(outline))
                if near:
                    inside = Brush(self.frame, near.window).cover(outline)
                    items.append(near._replace(alpha=near.alpha * inside))
        return items

    def dress(
        self, garment: Garment, rng: np.random.Generator, *, shade: bool = True
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The person in a garment: picture uint8 [h, w, 3], parsing uint8 [h, w], flow float32 [h, w, 2].

        The flow holds the stored pixel (x, y) of the flat garment that is seen, NaN where there is none.
        Without `shade` the worn cloth is the flat one exactly, moved along the flow.
        """
        frame, warp = self.frame, Warp(self.person, garment)
        trunk = warp.torso_patch(self.torso)
        pieces: dict[str | int, list[Layer]] = {
            'torso': wear_torso(warp, frame, trunk, rng, shade=shade) if trunk else []
        }
        for side in self.arms:
            patch = warp.sleeve_patch(self.arms[side])
            pieces[side] = wear_sleeve(warp, frame, patch, rng, shade=shade) if patch else []
        canvas, parsing, flow = self.canvas.copy(), self.parsing.copy(), self.flow.copy()
        for item in self.order:
            for layer in [item] if isinstance(item, Layer) else pieces.get(item, []):
                if shade or not layer.is_shadow():
                    paint(layer, canvas, parsing, flow)
        return np.rint(np.clip(shrink(canvas), 0, 255)).astype(np.uint8), parsing, flow

    def densepose(self) -> np.ndarray:
        """DensePose part ids uint8 [h, w]: the body under its clothes and hair, seen from the front."""
        person, parts = self.person, np.zeros((self.frame.height, self.frame.width), np.uint8)
        arms = [(arm, *self.arm_parts(arm)) for arm in person.arms if self.skin[arm.side]]
        for arm, ids, skin, _ in arms:
            parts[self.patch(arm).window][skin] = ids[skin]
        self.mark_trunk(parts)
        head = Head(person)
        scalp = np.concatenate([head.outline(), RING * (18.4, 19) - (0, 7)])
        outline = head.to_frame(cv2.convexHull(scalp.astype(np.float32))[:, 0])
        window = self.frame.window(outline, 1)
        if window:
            brush = Brush(self.frame, window)
            inside = shrink(brush.cover(outline)) >= 0.5
            half = np.where(head.grid(brush)[0] < 0, DensePosePart.HEAD_1, DensePosePart.HEAD_2)
            parts[window][inside] = half[inside]
        for arm, ids, _, front in arms:
            if arm.place != 'behind':
                parts[self.patch(arm).window][front] = ids[front]
        return parts

    def mark_trunk(self, parts: np.ndarray) -> None:
        """Torso, neck and legs, in place."""
        person, part, patch = self.person, DensePosePart, self.torso
        window = self.frame.window(person.to_frame([(-62, 100), (62, 100), (-62, 280), (62, 280)]))
        if window:
            x, y = person.grid(Brush(self.frame, window))
            legs = leg_distances(person, x, y)
            shin, rim = y > KNEE, np.abs(x) > 0.85 * person.widths(113.0)
            ids = RIGHT_LEG[1][shin * 2 + rim], LEFT_LEG[1][shin * 2 + rim]
            inside = np.minimum(*legs) < 0
            parts[window][inside] = np.where(legs[0] < legs[1], *ids)[inside]
        if patch is None:
            return
        trunk = (np.abs(patch.across) < 1) & (patch.y > patch.shoulder) & (patch.y < 128)
        neck = (np.abs(patch.x) < person.neck) & (patch.y <= patch.shoulder) & (patch.y > -24)
        # a turned torso shows a strip of its back half
        back = (patch.across * np.sign(person.turn) < -0.85) & (abs(person.turn) > 0.08)
        view = parts[patch.window]
        view[trunk] = np.where(back, part.TORSO_1, part.TORSO_2)[trunk]
        view[neck] = part.TORSO_2

    def arm_parts(self, arm: Arm) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ids [h, w] in an arm's window, where its skin is, and where that is past the armhole."""
        patch = self.patch(arm)
        hand, limbs = RIGHT_ARM if arm.side < 0 else LEFT_ARM
        ids = limbs[(patch.place > UPPER_ARM) * 2 + (patch.side > 0)]
        ids[patch.hand] = hand
        skin = shrink(self.painted(arm).alpha) >= 0.5
        return ids, skin, skin & (patch.hand | (patch.place > patch.start(patch.rim())))

    def key_points(self, parts: np.ndarray) -> np.ndarray:
        """OpenPose's 18 points (x, y in stored pixels, score) [18, 3]; zeros where out of sight."""
        person, head, frame = self.person, Head(self.person), self.frame
        hip, out = person.widths(113.0) * 0.52, person.lower['stance'] - person.widths(113.0) * 0.52
        joints = [floats((0, (person.tips[0][1] + person.tips[1][1]) / 2))]
        for arm in sorted(person.arms, key=lambda arm: arm.side):
            joints += [arm.joint, arm.elbow, arm.wrist]
        for side in (-1, 1):
            joints += [floats((side * (hip + out * (y - 118) / 97), y)) for y in (116, KNEE, KNEE + 88)]
        eyes = (head.feature(s * 7.5, 0.3) for s in (-1, 1))
        face = head.to_frame([head.feature(0, 8.5), *eyes, (-18.8, 1), (18.8, 1)])
        points = np.concatenate([face[:1], person.to_frame(joints), face[1:]])
        points = points * frame.unit + (frame.margin - 0.5, -0.5)
        inside = (points > 0) & (points < (frame.width - 1, frame.height - 1))
        seen = inside[:, 0] & inside[:, 1]
        turn = person.head['turn']
        seen[16:] &= (-turn < 0.35, turn < 0.35)
        for (hand, limbs), first in ((RIGHT_ARM, 3), (LEFT_ARM, 6)):
            for index in (first, first + 1):
                if seen[index]:
                    x, y = np.rint(points[index]).astype(int)
                    seen[index] = parts[y, x] == hand or parts[y, x] in limbs
        return np.where(seen[:, None], np.concatenate([points, np.full((18, 1), 0.9)], 1), 0)
