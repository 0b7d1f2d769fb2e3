"""The smooth warp that takes a flat garment onto a person, with the folds and shade that it gets there."""

import cv2
import numpy as np

from data.labels import Parsing
from synthetic.bodies import ArmPatch, Patch
from synthetic.brushes import Frame, Layer, Profile, grow, limb_shade, ramp, shrink, spline
from synthetic.cuts import Cut
from synthetic.garments import Garment
from synthetic.random_people import FOREARM, REACH, UPPER_ARM, Arm, Person, pick

SHEEN = np.float32(10)


class Warp:
    """The map from the torso frame to the flat garment, for one person and one garment."""

    def __init__(self, person: Person, garment: Garment):
        self.person, self.garment, self.cut = person, garment, garment.cut
        cut = self.cut
        y = np.arange(30.0, 190.0, 5.0, dtype=np.float32)
        flat, body = cut.widths(cut.pit + y - person.pit), person.widths(y)
        worn = np.maximum(body + 1.4 + 1.6 * cut.ease, (0.82 + 0.1 * cut.ease) * flat)
        if person.tucked:
            snug = ramp((y - person.waist + 22) / 22) * (0.5 if person.tuck else 1.0)
            worn += snug * (np.minimum(worn, body + 1) - worn)
        self.worn_width = Profile(list(zip(y.tolist(), worn.tolist(), strict=True)))
        self.lift = 1.2 + 0.5 * cut.ease

    def torso(self, patch: Patch) -> tuple[np.ndarray, np.ndarray]:
        """Flat x and y, in body units, of what the front of the garment shows at each pixel of a patch."""
        person, cut, x, y = self.person, self.cut, patch.x, patch.y
        surface = patch.shoulder - self.lift
        depth = (y - surface) / (person.pit - surface)
        fall = np.maximum(y - person.pit, 0)
        tip = cut.tip / (np.where(x < 0, -self.person.tips[0][0], person.tips[1][0]) + 1.5)
        below, width = cut.widths(cut.pit + fall), self.worn_width(np.maximum(y, person.pit))
        flat_x = x * (tip + ramp(depth) * (below / width - tip))
        across = np.clip(flat_x / below, -1, 1)
        round_off = 1 - across * across
        flat_x = flat_x + (person.turn * round_off) * below
        if person.twist:
            flat_x += person.twist * ramp(y / 50) * round_off * below
        top = cut.shoulder(flat_x)
        flat_y = np.where(depth < 0, top + y - surface, top + np.minimum(depth, 1) * (cut.pit - top)) + fall
        # the hem hangs in a bow, as the front of the body is nearer than its sides
        bow, (height, frequency, phase) = 3.0 * round_off, person.hem
        if height:
            bow = bow + np.float32(height) * np.sin(x * np.float32(frequency) + np.float32(phase))
        return flat_x, flat_y - bow * ramp((y - 70) / 40)

    def sleeve(self, patch: ArmPatch) -> dict:
        """Sleeve coordinates of each pixel of a patch.

        Flat `x` and `y`, `rim` across the sleeve (-1 inner .. 1 outer edge), units `past` the seam of the
        armhole, `blend` from the torso's map (0) to the sleeve's (1), and `inside`: units to the edge of the
        sleeve, negative outside.
        """
        cut, arm = self.cut, patch.arm
        stop = cut.sleeve * REACH
        body = arm.radius(patch.place, 1.2)
        end = max(float(arm.radius(np.float32(stop), 1.2)), 0.86 * cut.cuff)
        hole = float(np.hypot(cut.chest - cut.tip, cut.pit - cut.drop))
        full = max(arm.upper[0] + 1.6, 0.25 * hole + 4 + 2 * cut.ease)
        last = max(stop, 20.0)
        knots = [(-4, arm.upper[0] + 1), (10, full), (last, end), (last + 20, end)]
        if cut.bell:
            straight = float(np.clip(arm.along[0] @ arm.along[1] * 2 - 0.8, 0, 1))
            wider = max(end, min(end + cut.bell * straight, 15.5))
            knots[2:] = [(max(0.62 * last, 14), end), (last, wider), (last + 20, wider)]
        wide = Profile(knots)
        radius = np.maximum(body, wide(patch.place))
        distance = arm.distance(patch.x, patch.y, 1.2) - (radius - body)
        rim = np.clip(patch.side / radius, -1, 1)
        past = patch.place - patch.start(rim)
        # the cuff goes round the arm: seen from the front its middle hangs lower
        share = (past - 2.2 * (1 - rim * rim)) / np.maximum(stop - patch.start(rim), 6)
        sleeve_x, sleeve_y = cut.sleeve_point(np.clip(share, -0.2, 1.2), rim * 0.95)
        blend = ramp((past + 7) / 20)
        x, y = self.torso(patch)
        y = np.maximum(y, cut.shoulder(x) + 0.7)
        x, y = x + blend * (sleeve_x * arm.side - x), y + blend * (sleeve_y - y)
        inside = np.minimum(np.minimum(-distance, (1 - share) * stop), past + 8)
        return {'x': x, 'y': y, 'rim': rim, 'past': past, 'blend': blend, 'inside': inside}

    def torso_patch(self, patch: Patch | None) -> Patch | None:
        """The part of the torso that the garment reaches."""
        person, low = self.person, self.cut.length + 16
        if person.tucked:
            low = min(low, person.waist + (16 if person.tuck else 6))
        return patch and patch.part(
            patch.brush.frame.window(person.to_frame([(-57, -22), (57, -22), (-57, low), (57, low)]))
        )

    def sleeve_patch(self, patch: ArmPatch | None) -> ArmPatch | None:
        """The part of an arm that its sleeve reaches."""
        if patch is None or not self.cut.sleeve:
            return None
        arm, stop = patch.arm, self.cut.sleeve * REACH
        points = [arm.joint, arm.joint + arm.along[0] * arm.lengths[0] * min(stop / UPPER_ARM, 1)]
        if stop > UPPER_ARM:
            points.append(arm.elbow + arm.along[1] * arm.lengths[1] * (stop - UPPER_ARM) / FOREARM)
        return patch.part(patch.brush.frame.window(self.person.to_frame(points), 17 * self.person.scale))

    def to_pixels(self, frame: Frame, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Flat body units -> stored pixel (x, y) of the garment's picture [h, w, 2]."""
        scale = np.float32(self.garment.zoom * frame.unit)
        origin = self.garment.origin * np.float32(frame.unit)
        x = x * scale + (origin[0] + np.float32(frame.margin - 0.5))
        y = y * scale + (origin[1] - np.float32(0.5))
        return cv2.merge([x.astype(np.float32), y.astype(np.float32)])


def shaded(cloth: np.ndarray, shade: np.ndarray | None) -> np.ndarray:
    """Cloth [2h, 2w, 3] under a shade [h, w] around 1, in place; black cloth answers as if SHEEN brighter."""
    if shade is None:
        return cloth
    shade = grow(shade.astype(np.float32))
    cloth += SHEEN
    cv2.multiply(cloth, cv2.merge([shade, shade, shade]), cloth)
    cloth -= SHEEN
    return cloth


def look_up(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Values of an image at pixels (x, y) [h, w, 2], bilinear, 0 outside."""
    return cv2.remap(image, flow, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)


def torso_folds(person: Person, cut: Cut, rng: np.random.Generator) -> list[np.ndarray]:
    """Fold lines of the torso in frame units: drag from armpits, hangs above the hem, waist creases."""
    lines, wide, pit = [], person.widths, person.pit
    for side in (-1, 1):
        for _ in range(2):
            end = (side * rng.uniform(2, 14), pit + rng.uniform(20, 44))
            start = (side * wide(38.0) * 0.93, pit + rng.uniform(0, 5))
            lines.append(spline([start, (side * wide(50.0) * 0.62, pit + rng.uniform(8, 20)), end]))
    low = min(cut.length, person.waist if person.tucked else 130.0)
    for _ in range(4 + int(4 * cut.ease)):
        q, top = rng.uniform(-0.9, 0.9), low - rng.uniform(22, 55)
        bend = rng.uniform(-3, 3, 2)
        middle = q * wide(low) + bend[0], (top + low) / 2
        lines.append(spline([(q * wide(low), low), middle, (q * wide(top) * 0.85 + bend[1], top)]))
    for _ in range(2 if cut.ease < 0.5 else 1):
        y, side = rng.uniform(66, 84), pick(rng, (-1, 1))
        heights, out = (y, y + rng.uniform(2, 6), y + rng.uniform(-1, 4)), side * wide(y)
        lines.append(spline(list(zip((out, out * 0.5, out * 0.1), heights, strict=True))))
    for _ in range(cut.drag):
        side, y, fall = pick(rng, (-1, 1)), rng.uniform(38, 72), rng.uniform(18, 46)
        start, end = side * wide(y) * 0.95, -side * rng.uniform(0, 0.6) * wide(y + fall)
        middle = (start + end) / 2, y + fall * rng.uniform(0.35, 0.75)
        lines.append(spline([(start, y), middle, (end, y + fall)]))
    return [person.to_frame(item) for item in lines]


def trunk_shade(person: Person, patch: Patch, width: np.ndarray) -> np.ndarray:
    """Light and shade of the worn torso without its folds [h, w]."""
    x, y, lit = patch.x, patch.y, float(np.sign(person.light[0]))
    shade = limb_shade(np.clip(x / width, -1, 1) * 0.93, 1.0, 0.0, person.light)
    if person.male:
        return shade - 0.05 * np.exp(-(((y - 50) / 6) ** 2) - ((np.abs(x) - 14) / 12) ** 2)
    for side in (-1, 1):
        px = x - (side * 15 + (person.turn + person.twist) * 14)
        shade += 0.06 * np.exp(-(((px - 3 * lit) / 9) ** 2) - ((y - 42) / 8) ** 2)
        shade -= 0.09 * np.exp(-(((px + 2 * lit) / 11) ** 2) - ((y - 56) / 5.5) ** 2)
    return shade


def lit_folds(ripples: np.ndarray, cut: Cut) -> np.ndarray:
    """Folds [h, w] whose light side shines where the cloth does."""
    return ripples if cut.sheen == 1 else np.where(ripples > 0, ripples * np.float32(cut.sheen), ripples)


def wear_torso(
    warp: Warp, frame: Frame, patch: Patch, rng: np.random.Generator, *, shade: bool
) -> list[Layer]:
    """The worn front without sleeves, and the thin shadow at its rim."""
    person, garment, brush = warp.person, warp.garment, patch.brush
    flow = warp.to_pixels(frame, *warp.torso(patch))
    fine = grow(flow)
    alpha = np.clip(look_up(garment.panel, fine) * 1.6 - 0.3, 0, 1)
    if person.tucked or person.tuck:
        edge = person.waist + 1 - 2.5 * (1 - (patch.x / person.widths(113.0)) ** 2)
        edge = edge + person.tuck.drop(patch.x, person.widths(person.waist)) if person.tuck else edge
        alpha *= grow(np.clip((edge - patch.y) * (person.scale * frame.unit) + 0.5, 0, 1).astype(np.float32))
    folds, light = torso_folds(person, warp.cut, rng), None
    if shade:
        strength = (0.20 + 0.14 * warp.cut.ease) * warp.cut.relief
        ripples = lit_folds(brush.relief(folds, 2.2, strength, person.light), warp.cut)
        light = trunk_shade(person, patch, warp.worn_width(np.maximum(patch.y, 30))) + ripples
    shadow = grow(np.clip(cv2.blur(shrink(alpha), (3, 3)) * 0.5 - 0.06, 0, 1))
    cloth = shaded(look_up(garment.cloth, fine), light)
    return [Layer(patch.window, None, shadow), Layer(patch.window, cloth, alpha, Parsing.UPPER_CLOTHES, flow)]


def wear_sleeve(
    warp: Warp, frame: Frame, patch: ArmPatch, rng: np.random.Generator, *, shade: bool
) -> list[Layer]:
    """One worn sleeve, which flows into the torso at the shoulder."""
    person, garment, brush = warp.person, warp.garment, patch.brush
    folds = sleeve_folds(person, patch.arm, warp.cut, rng)
    view = warp.sleeve(patch)
    flow = warp.to_pixels(frame, view['x'], view['y'])
    fine = grow(flow)
    alpha = grow(view['inside'].astype(np.float32)) * np.float32(person.scale * brush.scale) + 0.5
    alpha = np.clip(alpha, 0, 1)
    alpha *= np.minimum(look_up(garment.front, fine) * 2, 1)
    light = None
    if shade:
        tube = limb_shade(view['rim'] * 0.95, patch.normal_x, patch.normal_y, person.light)
        across = np.clip(patch.x / warp.worn_width(np.maximum(patch.y, 30)), -1, 1)
        trunk = limb_shade(across * 0.93, 1.0, 0.0, person.light)
        light = trunk + view['blend'] * (tube - trunk)
        strength = (0.22 + 0.1 * warp.cut.ease) * warp.cut.relief
        light = light + lit_folds(brush.relief(folds, 1.5, strength, person.light), warp.cut)
    rim = np.clip(cv2.blur(shrink(alpha), (3, 3)) * 0.5 - 0.1, 0, 1) * ramp((view['past'] - 3) / 6)
    cloth = shaded(look_up(garment.cloth, fine), light)
    shadow = Layer(patch.window, None, grow(rim.astype(np.float32)))
    return [shadow, Layer(patch.window, cloth, alpha, Parsing.UPPER_CLOTHES, flow)]


def sleeve_folds(person: Person, arm: Arm, cut: Cut, rng: np.random.Generator) -> list[np.ndarray]:
    """Fold lines of a sleeve in frame units: around the elbow, and a few along the way."""
    lines, stop = [], cut.sleeve * REACH
    bend = float(np.clip(1 - arm.along[0] @ arm.along[1], 0, 1.2))
    for place in (*(UPPER_ARM + rng.uniform(-12, 12, int(2 + 4 * bend))), *rng.uniform(8, max(stop, 12), 4)):
        bone, skew, out = int(place > UPPER_ARM), rng.uniform(-4, 4), rng.uniform(2, 7)
        if place > stop - 3:
            continue
        unit = arm.lengths[bone] / (UPPER_ARM, FOREARM)[bone]
        middle = (arm.joint, arm.elbow)[bone] + arm.along[bone] * ((place - bone * UPPER_ARM) * unit)
        normal, along = arm.normal[bone], arm.along[bone] * skew
        lines.append(
            spline([middle - normal * 8 + along, middle - normal * 2, middle + normal * out - along])
        )
    return [person.to_frame(item) for item in lines]
