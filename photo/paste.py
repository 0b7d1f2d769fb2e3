"""Paste-back: a composition goes into the photograph where `photo.changes` says that something changed."""

import numpy as np
import torch
from PIL import Image

from photo.composition import Composition, enlarge, strips
from photo.framing import Box, Window, bounding_box


def paste(
    photo: Image.Image, composition: Composition, weight: np.ndarray, *, silhouette: Image.Image | None = None
) -> tuple[Image.Image, Image.Image]:
    """Put a composition into a photograph (RGB) by `weight` [h, w]; returns the picture and the region that
    changed (L).

    What is rendered stays within `silhouette` (L, of the photograph's size), where that is known: new skin,
    and the wall behind old clothes, are where the person was. What the network keeps is not drawn anew. The
    garment may reach beyond. Every pixel where the region is 0 is the photograph's own, bit by bit.
    """
    window, weights = composition.window, torch.from_numpy(weight)[None]
    pixels, taken = np.array(photo), np.zeros((photo.height, photo.width), np.uint8)
    allowed = None if silhouette is None else np.asarray(silhouette)
    box = reach(weight, window, photo.size)
    for strip in strips(box) if box else []:
        # [H, W, 1], exactly 0 away from the change.
        share = enlarge(weights, window, strip, cubic=False)[0, ..., None].numpy()
        place = (
            slice(strip.top + window.top, strip.bottom + window.top),
            slice(strip.left + window.left, strip.right + window.left),
        )
        free = share if allowed is None else share * (allowed[place][..., None] / np.float32(255))
        layers, old = composition(strip), pixels[place] / np.float32(255)
        new = layers.over(old + free * (layers.drawn - (1 - layers.keep) * old), share)
        level = np.rint(255 * np.maximum(free * (1 - layers.keep), share * layers.cover)).astype(np.uint8)
        pixels[place] = np.where(level > 0, np.rint(255 * new), pixels[place]).astype(np.uint8)
        taken[place] = level[..., 0]
    picture = Image.fromarray(pixels)
    picture.info = dict(photo.info)
    return picture, Image.fromarray(taken)


def reach(weight: np.ndarray, window: Window, size: tuple[int, int]) -> Box | None:
    """The box of the photograph that a weight reaches, counted from the window's corner; None where it
    reaches nothing.
    """
    box = bounding_box(weight > 0)
    if box is None:
        return None
    scale, part = window.height / weight.shape[0], window.part(size)
    reach = Box(
        max(int((box.left - 1) * scale), part.left - window.left),
        max(int((box.top - 1) * scale), part.top - window.top),
        min(int((box.right + 1) * scale) + 1, part.right - window.left),
        min(int((box.bottom + 1) * scale) + 1, part.bottom - window.top),
    )
    return reach if reach.left < reach.right and reach.top < reach.bottom else None
