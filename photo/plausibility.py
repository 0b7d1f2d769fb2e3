"""Whether a photograph shows what it was given for: somebody to dress, or one top.

What is surely something else is refused, what may be is noted. Not part of any paper. The numbers are
measured on VITON's test set: its 208 people and the 395 pictures of its garments.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from photo.faces import Face, can_find_faces, find_faces, find_profiles
from photo.framing import Box, bounding_box, box_of
from utils.errors import UserError

# Of a person. VITON's faces take at most 0.30 of the width and have at least 3.0 of their sides below the
# chin.
LEAST_BELOW_CHIN, FEW_BELOW_CHIN = 0.75, 2.0
# Of the 49 upright people without a frontal face the turned search finds one in four, the surest of which
# scores 55.4.
SURE_FACE = 56.0
# Faces from the side of VITON's people end within the upper 0.3 of the picture. One in forty pictures of
# garments has some, too, most of them further down.
PROFILE_CHIN = 0.45
SECOND_FACE = 0.55  # of the largest face's side: a smaller one is far behind; VITON has no second one aside
# Nobody of VITON stands free of all borders; of its garments 89 in 100 do, 95 in 100 of these lower than 1.68
# times their width.
FREE_MARGIN, SQUAT, LANKY = 0.01, 1.5, 2.0
# Of a garment. VITON's largest second part is 0.07 of the first, and its highest garment 2.27 times as high
# as wide.
SECOND_GARMENT, LONG_GARMENT = 0.25, 2.3
# Two equally wide parts a row reach at most 0.28 of the height up from the hem: sleeves that hang below a
# short body.
LEGS_HEIGHT, LEAST_LEG, ALIKE = 0.4, 0.05, 0.6
HEM = 0.1  # of the height: where legs may end at different heights
# The cut edge of a garment that somebody wears: 391 of 395 touch the upper border by less, and what touches
# more is worn.
CUT_TOP = 0.1
# Of the 208 people 203 touch the lower border by more than that, and of the 395 pictures of garments one, on
# which somebody wears it. The uppermost part of whoever stands there is narrow, a head: 186 of them.
CUT_BOTTOM = 0.12
HEAD_PART, HEAD_SPAN, STANDING = 0.15, 0.6, 1.3  # of the height, of the width, height to width
HEAD_WIDTH = 2.2  # of a face's side: what is wider around a face is no head, but a shirt with a face on it

# Of the try-on, measured with the weights that come with the project: the garment takes 0.13 to 0.33 of the
# networks' picture, and at least 0.96 of it lies on the person.
LEAST_SHOWN, LEAST_ON_BODY, SHOWN = 0.05, 0.7, 0.5


class Somebody(NamedTuple):
    """What faces tell of a photograph of somebody."""

    has_face: bool | None  # None: nobody can tell, or only one from the side
    columns: tuple[int, int] | None  # between which the one to be dressed is; None: the only one
    box: Box | None  # about where the one with the largest face is, from the head to the lower border
    notes: tuple[str, ...]


def check_person(picture: Image.Image, name: str) -> Somebody:
    """Look for faces in a photograph of somebody; raise `UserError` for a face alone, and for one that is not
    upright.

    Of several people the one with the largest face is taken, with a note.
    """
    if not can_find_faces():
        return Somebody(None, None, None, ())
    faces = find_faces(picture)
    if not faces:
        check_upright(picture, name)
        if any(face.chin <= PROFILE_CHIN * picture.height for face in find_profiles(picture)):
            return Somebody(None, None, None, ())
        note = f'{name}: no face was found; somebody seen from behind, or nobody, makes no sensible picture'
        return Somebody(False, None, None, (note,))
    face = faces[0]
    below = (picture.height - face.chin) / face.side
    if below < LEAST_BELOW_CHIN:
        raise UserError(
            f'{name}: a face with nothing below it to dress; give a photograph from the head to the hips'
        )
    notes: tuple[str, ...] = ()
    if below < FEW_BELOW_CHIN:
        notes = (f'{name}: only the shoulders are seen; the networks know people from the head to the hips',)
    aside = beside(faces)
    if not aside:
        return Somebody(True, None, _around(face, picture.size), notes)
    notes += (
        f'{name}: {len(aside) + 1} people; the one with the largest face is dressed. Crop the picture for '
        'another',
    )
    return Somebody(True, _columns(face, aside, picture.width), _around(face, picture.size), notes)


def check_upright(picture: Image.Image, name: str) -> None:
    """Raise `UserError` for a picture that shows a face only after it is turned."""
    for turns, how in ((2, 'upside down'), (1, 'turned to the right'), (3, 'turned to the left')):
        faces = find_faces(picture, quarter_turns=turns)
        if faces and max(face.score for face in faces) >= SURE_FACE:
            raise UserError(f'{name}: the person is {how}; turn the picture, so that the head is above')


def beside(faces: Sequence[Face]) -> list[Face]:
    """The faces of other people than the one with the largest face, which comes first: sure, not much
    smaller, and aside.
    """
    first = faces[0]
    return [
        face
        for face in faces[1:]
        if face.side >= SECOND_FACE * first.side
        and face.score >= SURE_FACE
        and abs(face.middle - first.middle) > (face.side + first.side) / 2
    ]


def _columns(face: Face, others: Sequence[Face], width: int) -> tuple[int, int]:
    """From halfway to the nearest face on the left to halfway to that on the right."""
    left = max((other.middle for other in others if other.middle < face.middle), default=-face.middle)
    right = min(
        (other.middle for other in others if other.middle > face.middle), default=2 * width - face.middle
    )
    return max(0, round((left + face.middle) / 2)), min(width, round((right + face.middle) / 2))


def _around(face: Face, size: tuple[int, int]) -> Box:
    """Where the body that belongs to a face may be: two sides of it to the left and the right, down to the
    lower border.
    """
    left, right = round(face.middle - 2.2 * face.side), round(face.middle + 2.2 * face.side)
    return Box(max(0, left), max(0, round(face.top - 0.5 * face.side)), min(size[0], right), size[1])


def check_stands(mask: np.ndarray, name: str, *, has_face: bool | None) -> tuple[str, ...]:
    """Raise `UserError`, or return a note, for what lies free before a plain background as garments do;
    `mask` is bool [H, W].

    `has_face` None: nobody can tell.
    """
    box = bounding_box(mask)
    if box is None or has_face:
        return ()
    margin = max(1, round(FREE_MARGIN * min(mask.shape)))
    is_free = (
        box.left >= margin and box.right <= mask.shape[1] - margin and box.bottom <= mask.shape[0] - margin
    )
    slenderness = (box.bottom - box.top) / (box.right - box.left)
    if not is_free or slenderness >= LANKY:
        return ()
    if has_face is False and slenderness < SQUAT:
        raise UserError(
            f'{name}: no person, but something that lies free, as garments do; give a photograph of somebody'
        )
    return (f'{name}: this may be no person; the networks know people from the head to the hips',)


def check_garment(mask: np.ndarray, picture: Image.Image, name: str) -> tuple[str, ...]:
    """Raise `UserError` for trousers, several garments and one that somebody wears; return notes about what
    may be none.

    `mask` is bool [H, W], what stands out from the background of `picture`, of the same size.
    """
    check_worn(mask, picture, name)
    check_one(mask, name)
    if legs_height(mask) >= LEGS_HEIGHT:
        raise UserError(f'{name}: two legs, so these are trousers; the networks know tops only')
    notes: tuple[str, ...] = ()
    box = box_of(mask)
    slenderness = (box.bottom - box.top) / (box.right - box.left)
    if slenderness > LONG_GARMENT:
        notes += (
            f'{name}: {slenderness:.1f} times as high as wide, perhaps a dress or trousers; the networks '
            'know tops only',
        )
    reached = [('upper', mask[0].mean() > CUT_TOP), ('lower', mask[-1].mean() > CUT_BOTTOM)]
    if borders := ' and the '.join(border for border, is_reached in reached if is_reached):
        notes += (
            f'{name}: the garment reaches the {borders} border, so it may be cut, or worn; give one that is '
            'seen whole',
        )
    return notes


def check_one(mask: np.ndarray, name: str) -> None:
    """Raise `UserError` for several garments: large parts that do not touch."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    count = int((areas >= SECOND_GARMENT * areas.max()).sum())
    if count > 1:
        raise UserError(
            f'{name}: {count} things lie apart, expected one garment; crop the picture to one, or give a mask'
        )


def legs_height(mask: np.ndarray) -> float:
    """How far up from the hem a mask, bool [H, W], is two parts of about one width in every row; of its
    height.
    """
    box = box_of(mask)
    rows = mask[box.top : box.bottom, box.left : box.right]
    are_legs = np.array([_is_pair(row) for row in rows[::-1]])
    first = int(np.argmax(are_legs)) if are_legs.any() else len(rows)
    if first > HEM * len(rows):
        return 0.0
    ends = np.flatnonzero(~are_legs[first:])
    return float((ends[0] if len(ends) else len(rows) - first) / len(rows))


def _is_pair(row: np.ndarray) -> bool:
    steps = np.diff(np.concatenate([[0], row.astype(np.int8), [0]]))
    widths = np.flatnonzero(steps == -1) - np.flatnonzero(steps == 1)
    widths = widths[widths > LEAST_LEG * len(row)]
    return len(widths) == 2 and widths.min() > ALIKE * widths.max()


def check_worn(mask: np.ndarray, picture: Image.Image, name: str) -> None:
    """Raise `UserError` for a garment that somebody wears: a head, with a face, is above it, or what looks
    like one by its shape.
    """
    box = box_of(mask)
    if is_somebody(mask):
        raise UserError(
            f'{name}: narrow above, as a head, and cut by the lower border, so somebody wears this garment; '
            'give a picture of the garment alone, or a mask of it'
        )
    for face in find_faces(picture):
        if face.chin > (box.top + box.bottom) / 2:
            continue
        rows = mask[: min(mask.shape[0], round(face.chin))]
        column = min(mask.shape[1] - 1, round(face.middle))
        if max((_width_at(row, column) for row in rows), default=0) <= HEAD_WIDTH * face.side:
            raise UserError(
                f'{name}: somebody wears this garment; give a picture of the garment alone, or a mask of it'
            )


def is_somebody(mask: np.ndarray) -> bool:
    """Whether a mask, bool [H, W], has the shape of somebody: upright, a head above, cut by the lower
    border.
    """
    box = box_of(mask)
    high, wide = box.bottom - box.top, box.right - box.left
    above = box_of(mask[box.top : box.top + max(1, round(HEAD_PART * high))])
    is_cut = mask[-1].mean() > CUT_BOTTOM
    return bool(is_cut and high >= STANDING * wide and above.right - above.left <= HEAD_SPAN * wide)


def _width_at(row: np.ndarray, column: int) -> int:
    """How wide the part of a row is that covers a column."""
    if not row[column]:
        return 0
    gaps = np.flatnonzero(~row)
    left, right = gaps[gaps < column], gaps[gaps > column]
    return int((right[0] if len(right) else len(row)) - (left[-1] + 1 if len(left) else 0))


def check_result(cover: np.ndarray, body: np.ndarray | None) -> tuple[str, ...]:
    """Notes about a try-on by what the networks say: `cover` [h, w] in [0, 1] is where they put the garment.

    `body`, bool [h, w], is where the person is, None where that is not known.
    """
    is_shown = cover > SHOWN
    if not is_shown.any():
        return ('the networks found no place for the garment on this picture',)
    if is_shown.mean() < LEAST_SHOWN:
        return (
            f'the garment takes only {is_shown.mean():.1%} of what the networks see; the picture is '
            'probably not right',
        )
    if body is not None and body[is_shown].mean() < LEAST_ON_BODY:
        return (
            f'only {body[is_shown].mean():.0%} of the garment lies on the person; the picture is probably '
            'not right',
        )
    return ()
