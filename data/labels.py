"""Ids of the human parsing and of the DensePose maps, and the groups the method names. No other file holds an id."""

from enum import IntEnum

KEY_POINTS = 18
"""Body key points of the OpenPose COCO model, one pose map each."""


class KeyPoint(IntEnum):
    """The key points of the OpenPose COCO model, in the order of its files."""

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


class Parsing(IntEnum):
    """What a pixel of the parsing map shows. Ids 2 and 3 occur, but no mask uses them."""

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
    """Which part of the body surface a pixel of the DensePose map shows; limbs have two halves each."""

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
"""What the garment replaces: a dress counts as upper clothes."""

FACE = (Parsing.HAIR, Parsing.FACE)

OTHERS = (
    Parsing.OTHER_CLOTHES_5,
    Parsing.OTHER_CLOTHES_6,
    Parsing.OTHER_CLOTHES_8,
    Parsing.OTHER_CLOTHES_9,
    Parsing.OTHER_CLOTHES_10,
)

ARMS = (Parsing.ARM_11, Parsing.ARM_13)
"""Arms down to the finger tips; the hands among them are those that DensePose calls hands, see `DENSEPOSE_HANDS`."""

DENSEPOSE_TORSO = (DensePosePart.TORSO_1, DensePosePart.TORSO_2)

DENSEPOSE_HANDS = (DensePosePart.RIGHT_HAND, DensePosePart.LEFT_HAND)

DENSEPOSE_ARMS = (
    DensePosePart.LEFT_UPPER_ARM_1,
    DensePosePart.RIGHT_UPPER_ARM_1,
    DensePosePart.LEFT_UPPER_ARM_2,
    DensePosePart.RIGHT_UPPER_ARM_2,
    DensePosePart.LEFT_LOWER_ARM_1,
    DensePosePart.RIGHT_LOWER_ARM_1,
    DensePosePart.LEFT_LOWER_ARM_2,
    DensePosePart.RIGHT_LOWER_ARM_2,
)

KEPT, CHANGED, GARMENT = 0, 128, 255
"""Values of a drawn truth's mask: unchanged pixel, changed pixel without garment, new garment."""
