"""Segmentation of the person in a photograph, and replacement of the background by a plain one.

Not part of any paper. Published weights know people before a bright, plain wall; GrabCut (Rother et al.,
SIGGRAPH 2004) cuts the person out of any other, unless a mask is given or rembg is installed with a model.
"""

from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image, ImageFilter

from photo.backdrop import disk, find_backdrop, stand_out, to_lab
from photo.framing import Box, bounding_box
from photo.segmenter import PERSON_MODELS, cut_out, find_model
from utils.errors import UserError

WORK_SIDE = 384  # people are looked for in pictures of this size
LEAST_FILL, MOST_FILL = 0.03, 0.95  # share of the photograph that a person takes
GROUND = (237, 237, 237)  # the wall of VITON's photographs, about; what a replaced background becomes
LARGEST_HOLE = 0.02  # of the person: what is filled
SILHOUETTE_MARGIN = 3  # of WORK_SIDE: masks are a little off
ROUNDS = 4  # of GrabCut
FLAT = 3.0  # levels of 255: a picture whose colours spread less shows nothing


def check_somebody(picture: Image.Image, name: str) -> None:
    """Raise `UserError` for a picture of one colour: the one case in which nobody can be told without knowing
    people.
    """
    small = np.asarray(picture.resize((64, 64), Image.Resampling.BOX), np.float32)
    if small.reshape(-1, 3).std(axis=0).max() < FLAT:
        raise UserError(
            f'{name}: a picture of one colour, there is no person in it; give a photograph of somebody '
            'upright'
        )


def small_picture(picture: Image.Image) -> np.ndarray:
    """The picture with its longer side at most WORK_SIDE: uint8 [h, w, 3]."""
    scale = min(1.0, WORK_SIDE / max(picture.size))
    size = [max(8, round(side * scale)) for side in picture.size]
    return np.asarray(picture if scale == 1 else picture.resize(size, Image.Resampling.BOX))


def plain_person(picture: Image.Image, name: str) -> Image.Image | None:
    """The mask (L) of whoever stands before a plain background; None where the background is not plain.

    Raises `UserError` where it is plain and next to nothing stands out from it.
    """
    lab = to_lab(small_picture(picture))
    backdrop = find_backdrop(lab, bottom=False)
    if not backdrop.is_plain:
        return None
    mask = _largest(stand_out(lab, backdrop, bottom=False).mask)
    if mask.mean() < LEAST_FILL:
        raise UserError(
            f'{name}: no person found, only {mask.mean():.1%} of the picture stands out from the plain '
            'background; '
            'give a photograph of somebody upright, or a mask'
        )
    return _full_size(mask, picture.size)


def grabcut(picture: Image.Image) -> Image.Image:
    """The person's mask (L) by GrabCut, which knows no people: whoever is in the middle and differs from the
    borders.
    """
    small = np.ascontiguousarray(small_picture(picture)[..., ::-1])
    height, width = small.shape[:2]
    labels = np.full((height, width), cv2.GC_PR_BGD, np.uint8)
    centre, axes = (width // 2, round(0.6 * height)), (round(0.3 * width), round(0.55 * height))
    cv2.ellipse(labels, centre, axes, 0, 0, 360, cv2.GC_PR_FGD, -1)
    edge = max(2, round(0.03 * width))
    labels[:, :edge] = labels[:, -edge:] = labels[: max(1, edge // 2)] = cv2.GC_BGD
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # its clusters begin at random
    whole = (0, 0, 1, 1)  # unused where the labels are given
    cv2.grabCut(small, labels, whole, *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    mask = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    mask = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, disk(2))
    return _full_size(_fill(_largest(mask > 0)), picture.size)


def rembg(picture: Image.Image) -> Image.Image:
    """The person's mask (L) by rembg. Raises `UserError` where it is not installed or has no model."""
    return cut_out(picture, PERSON_MODELS)


SEGMENTERS: dict[str, Callable[[Image.Image], Image.Image]] = {'grabcut': grabcut, 'rembg': rembg}
BACKGROUNDS = ('auto', 'keep', *SEGMENTERS)


def find_person(
    picture: Image.Image, *, mask: Image.Image | None, background: str, name: str
) -> tuple[Image.Image | None, bool, tuple[str, ...]]:
    """Return the person's mask (L) or None where nobody can tell, whether to replace the background, and
    notes about both.

    A `mask` that is given is taken. Else the background is looked at: a plain one stays, and tells the
    person. 'auto' replaces another one where rembg, if it is installed with a model, or else GrabCut finds
    what may be a person; 'keep' replaces none. A segmenter that is named is used on plain backgrounds, too.
    Raises `UserError` where nobody is found.
    """
    if background not in BACKGROUNDS:
        raise UserError(f'background {background!r}: unknown, choose from {", ".join(BACKGROUNDS)}')
    if mask is not None:
        return mask, background != 'keep', ()
    check_somebody(picture, name)
    if background in ('auto', 'keep'):
        plain = plain_person(picture, name)
        if plain is not None or background == 'keep':
            return plain, False, ()
    best = 'rembg' if find_model(PERSON_MODELS) else 'grabcut'
    tool = best if background == 'auto' else background
    found = SEGMENTERS[tool](picture)
    fill = float((np.asarray(found) >= 128).mean())
    if LEAST_FILL <= fill <= MOST_FILL:
        how = {'grabcut': 'GrabCut'}.get(tool, tool)
        note = f'{name}: the background is not plain; the networks see a plain one, cut out by {how}'
        return found, True, (note,)
    if background == 'auto':
        return (
            None,
            False,
            (f'{name}: the background is not plain and the person could not be cut out; a mask would help',),
        )
    raise UserError(
        f'{name}: no person found, {background} marks {fill:.0%} of the picture; give a mask, or keep the '
        'background'
    )


def person_box(mask: Image.Image) -> Box | None:
    """The box around a person's mask (L)."""
    return bounding_box(np.asarray(mask) >= 128)


def silhouette(mask: Image.Image) -> Image.Image:
    """The region where a person with this mask (L) may be redrawn: slightly beyond it and in small holes,
    soft at the rim (L).
    """
    wide = cv2.dilate(_fill(small_picture(mask) >= 128).astype(np.uint8), disk(SILHOUETTE_MARGIN))
    return _full_size(cv2.blur(wide.astype(np.float32), (3, 3)), mask.size)


def replace_background(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """The person on the colour GROUND, with a soft rim."""
    rim = mask.filter(ImageFilter.GaussianBlur(max(picture.size) / 1000))
    return Image.composite(picture, Image.new('RGB', picture.size, GROUND), rim)


def _largest(mask: np.ndarray) -> np.ndarray:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])) if count > 1 else mask


def _fill(mask: np.ndarray) -> np.ndarray:
    """Without small holes: a mouth or a print; what is larger is seen between an arm and the body."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(1 - mask.astype(np.uint8), connectivity=4)
    return mask | np.isin(labels, 1 + np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] < LARGEST_HOLE * mask.sum()))


def _full_size(mask: np.ndarray, size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(np.rint(mask * np.float32(255)).astype(np.uint8)).resize(
        size, Image.Resampling.BILINEAR
    )
