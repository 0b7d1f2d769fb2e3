"""Ids of the human parsing and of DensePose, and the groups the method names. No other file holds an id."""

from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class KeyPoint(IntEnum):
    """Body key points of OpenPose's COCO model in their order in a file; left and right are the person's."""

    NOSE = 0
    NECK = 1
    RIGHT_SHOULDER = 2
    RIGHT_ELBOW = 3
    RIGHT_WRIST = 4
    LEFT_SHOULDER = 5
    LEFT_ELBOW = 6
    LEFT_WRIST = 7
    RIGHT_HIP = 8
    RIGHT_KNEE = 9
    RIGHT_ANKLE = 10
    LEFT_HIP = 11
    LEFT_KNEE = 12
    LEFT_ANKLE = 13
    RIGHT_EYE = 14
    LEFT_EYE = 15
    RIGHT_EAR = 16
    LEFT_EAR = 17


KEY_POINTS = len(KeyPoint)
"""One pose map each."""

BODY_25 = (0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)
"""Indices of the points of `KeyPoint` in OpenPose's model of 25 points, which adds the middle of the hips and
the feet.
"""


class Parsing(IntEnum):
    """Classes of the parsing map. Ids 2 and 3 occur, but no mask uses them."""

    BACKGROUND = 0
    HAIR = 1
    UNUSED_2 = 2
    UNUSED_3 = 3
    UPPER_CLOTHES = 4
    OTHER_CLOTHES_5 = 5
    OTHER_CLOTHES_6 = 6
    DRESS = 7
    OTHER_CLOTHES_8 = 8
    OTHER_CLOTHES_9 = 9
    OTHER_CLOTHES_10 = 10
    ARM_11 = 11
    FACE = 12
    ARM_13 = 13


class DensePosePart(IntEnum):
    """Parts of the DensePose map; _1 is the back of torso and limbs, _2 the front.

    HEAD_1 is the right half of the head, HEAD_2 the left one. Left and right are the person's.
    """

    BACKGROUND = 0
    TORSO_1 = 1
    TORSO_2 = 2
    RIGHT_HAND = 3
    LEFT_HAND = 4
    LEFT_FOOT = 5
    RIGHT_FOOT = 6
    RIGHT_UPPER_LEG_1 = 7
    LEFT_UPPER_LEG_1 = 8
    RIGHT_UPPER_LEG_2 = 9
    LEFT_UPPER_LEG_2 = 10
    RIGHT_LOWER_LEG_1 = 11
    LEFT_LOWER_LEG_1 = 12
    RIGHT_LOWER_LEG_2 = 13
    LEFT_LOWER_LEG_2 = 14
    LEFT_UPPER_ARM_1 = 15
    RIGHT_UPPER_ARM_1 = 16
    LEFT_UPPER_ARM_2 = 17
    RIGHT_UPPER_ARM_2 = 18
    LEFT_LOWER_ARM_1 = 19
    RIGHT_LOWER_ARM_1 = 20
    LEFT_LOWER_ARM_2 = 21
    RIGHT_LOWER_ARM_2 = 22
    HEAD_1 = 23
    HEAD_2 = 24


CLOTH = (Parsing.UPPER_CLOTHES, Parsing.DRESS)
"""Classes that the garment replaces: a dress counts as upper clothes."""

FACE = (Parsing.HAIR, Parsing.FACE)

OTHERS = tuple(part for part in Parsing if part.name.startswith('OTHER_CLOTHES'))

ARMS = (Parsing.ARM_11, Parsing.ARM_13)
"""Arms down to the finger tips; the hands among them are those that DensePose calls hands, see
`DENSEPOSE_HANDS`.
"""

DENSEPOSE_TORSO = (DensePosePart.TORSO_1, DensePosePart.TORSO_2)

DENSEPOSE_HANDS = (DensePosePart.RIGHT_HAND, DensePosePart.LEFT_HAND)

DENSEPOSE_ARMS = tuple(part for part in DensePosePart if '_ARM_' in part.name)

LIP_PARSING = {
    0: Parsing.BACKGROUND,
    1: Parsing.HAIR,  # hat
    2: Parsing.HAIR,
    3: Parsing.UNUSED_3,  # glove
    4: Parsing.FACE,  # sunglasses
    5: Parsing.UPPER_CLOTHES,
    6: Parsing.DRESS,
    7: Parsing.UPPER_CLOTHES,  # coat
    8: Parsing.OTHER_CLOTHES_5,  # socks
    9: Parsing.OTHER_CLOTHES_8,  # pants
    10: Parsing.DRESS,  # jumpsuit
    11: Parsing.UNUSED_3,  # scarf
    12: Parsing.OTHER_CLOTHES_6,  # skirt
    13: Parsing.FACE,
    14: Parsing.ARM_11,  # left arm
    15: Parsing.ARM_13,  # right arm
    16: Parsing.OTHER_CLOTHES_9,  # left leg
    17: Parsing.OTHER_CLOTHES_10,  # right leg
    18: Parsing.OTHER_CLOTHES_5,  # left shoe
    19: Parsing.OTHER_CLOTHES_5,  # right shoe
}
"""From the ids of Look Into Person (Gong et al., CVPR 2017). It has no neck: one is face, garment or
background there.
"""

CIHP_PARSING = LIP_PARSING | {10: Parsing.UNUSED_2}
"""From the ids of VITON-HD's parsing (CIHP, Gong et al., ECCV 2018): LIP's, but for 10, the skin of neck and
torso.
"""

ATR_PARSING = {
    0: Parsing.BACKGROUND,
    1: Parsing.HAIR,  # hat
    2: Parsing.HAIR,
    3: Parsing.FACE,  # sunglasses
    4: Parsing.UPPER_CLOTHES,
    5: Parsing.OTHER_CLOTHES_6,  # skirt
    6: Parsing.OTHER_CLOTHES_8,  # pants
    7: Parsing.DRESS,
    8: Parsing.OTHER_CLOTHES_8,  # belt
    9: Parsing.OTHER_CLOTHES_5,  # left shoe
    10: Parsing.OTHER_CLOTHES_5,  # right shoe
    11: Parsing.FACE,
    12: Parsing.OTHER_CLOTHES_9,  # left leg
    13: Parsing.OTHER_CLOTHES_10,  # right leg
    14: Parsing.ARM_11,  # left arm
    15: Parsing.ARM_13,  # right arm
    16: Parsing.UNUSED_3,  # bag
    17: Parsing.UNUSED_3,  # scarf
}
"""From the ids of DressCode's label maps (ATR, Liang et al., TPAMI 2015)."""

KEPT, CHANGED, GARMENT = 0, 128, 255
"""Values of a drawn truth's mask: unchanged pixel, changed pixel without garment, new garment."""


def is_one_of(ids: 'Tensor', wanted: Iterable[int]) -> 'Tensor':
    """Mask of a map of ids where the id is one of the wanted: bool, of the map's shape."""
    return sum((ids == number for number in wanted), start=ids != ids)
