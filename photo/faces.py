"""Faces in a photograph, by the cascades that OpenCV 4 ships.

Viola & Jones, "Rapid Object Detection using a Boosted Cascade of Simple Features", CVPR 2001. OpenCV 5 has neither the cascades
nor the code that reads them; there nobody can tell where faces are.
"""

import functools
import threading
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

SIDE = 512  # faces are looked for in pictures of this longer side, enlarged where they are smaller: VITON's are 256
LEAST_SIDE = 0.05  # of the picture's shorter side
STEP, NEIGHBOURS = 1.1, 5  # of the search: between sizes; overlapping finds that make one face
FRONTAL, PROFILE = 'haarcascade_frontalface_alt2.xml', 'haarcascade_profileface.xml'


class Face(NamedTuple):
    """A square from the brow to the chin, in the photograph's pixels."""

    left: float
    top: float
    side: float
    score: float  # of the last stages of the cascade; 57 is typical, what is no face has rarely more than 56

    @property
    def middle(self) -> float:
        """The column of its middle."""
        return self.left + self.side / 2

    @property
    def chin(self) -> float:
        """The row of its lower end."""
        return self.top + self.side


def can_find_faces() -> bool:
    """Whether this OpenCV has cascades and ships them."""
    return hasattr(cv2, 'CascadeClassifier') and (Path(cv2.data.haarcascades) / FRONTAL).is_file()


def find_faces(picture: Image.Image, *, quarter_turns: int = 0) -> tuple[Face, ...]:
    """Frontal faces of an RGB picture, the largest first; none where OpenCV has no cascades.

    With `quarter_turns` (to the left) the picture is turned before, and the places are those in the turned one.
    """
    return _search(picture, FRONTAL, quarter_turns) if can_find_faces() else ()


def find_profiles(picture: Image.Image) -> tuple[Face, ...]:
    """Faces seen from either side, the largest first; none where OpenCV has no cascades."""
    if not can_find_faces():
        return ()
    return _search(picture, PROFILE, 0) or _search(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), PROFILE, 0)


def _search(picture: Image.Image, cascade: str, quarter_turns: int) -> tuple[Face, ...]:
    scale = SIDE / max(picture.size)
    grey = picture.convert('L').resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.BICUBIC)
    levels = np.ascontiguousarray(np.rot90(np.asarray(grey), quarter_turns))
    least = max(20, round(LEAST_SIDE * min(levels.shape)))
    classifier = _classifier(cascade, threading.get_ident())
    boxes, _, scores = classifier.detectMultiScale3(levels, STEP, NEIGHBOURS, minSize=(least, least), outputRejectLevels=True)
    places = [box[:3] / scale for box in boxes]
    faces = [Face(x, y, side, float(score)) for (x, y, side), score in zip(places, np.ravel(scores), strict=True)]
    return tuple(sorted(faces, key=lambda face: -face.side))


@functools.lru_cache(maxsize=16)
def _classifier(cascade: str, _thread: int):
    """A classifier of the thread's own: each keeps the picture that it searches."""
    return cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / cascade))
