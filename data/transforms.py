"""From a picture, a map of ids or key points to a record's tensors; other sizes are resized here."""

import numpy as np
import torch
from PIL import Image

_RADIUS = 5
"""Half the side of the square that marks a key point, in pixels of the pose map."""


def picture_tensor(picture: Image.Image, size: tuple[int, int]) -> torch.Tensor:
    """Return an RGB picture as a tensor [3, H, W] in [-1, 1], resized (bicubic) to (height, width)."""
    pixels = torch.from_numpy(np.array(_resized(picture, size, Image.Resampling.BICUBIC)))  # [H, W, 3]
    return (pixels.permute(2, 0, 1).contiguous().float() / 255 - 0.5) / 0.5


def edge_tensor(edge: Image.Image, size: tuple[int, int]) -> torch.Tensor:
    """Return a grey garment mask as a tensor [1, H, W] in [0, 1]; nearest where its size differs."""
    pixels = torch.from_numpy(np.array(_resized(edge, size, Image.Resampling.NEAREST)))  # [H, W]
    return pixels[None].float() / 255


def ids_tensor(ids: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
    """Return a map of parsing or DensePose ids [h, w] as a float tensor [1, H, W], resized (nearest)."""
    if ids.shape != tuple(size):
        ids = np.array(_resized(Image.fromarray(ids.astype(np.int32)), size, Image.Resampling.NEAREST))
    return torch.from_numpy(ids.astype(np.float32))[None]


def pose_maps(points: np.ndarray, source: tuple[int, int], size: tuple[int, int]) -> torch.Tensor:
    """Return one map a key point, [K, H, W]: 1 in a square around the point, -1 elsewhere.

    points [K, 2] holds x, y in pixels of a picture of (height, width) `source`, and is scaled to `size`
    first. The square x-5..x+5, y-5..y+5 (inclusive, cut off at the border) lies around the integer parts, and
    is drawn only where x > 1 and y > 1: OpenPose writes (0, 0) for a point that it has not found.
    """
    maps = np.full((len(points), *size), -1, dtype=np.float32)
    for channel, (x, y) in zip(maps, points.tolist(), strict=True):
        x, y = x * size[1] / source[1], y * size[0] / source[0]
        if x > 1 and y > 1:
            rows, columns = (slice(max(int(at) - _RADIUS, 0), int(at) + _RADIUS + 1) for at in (y, x))
            channel[rows, columns] = 1
    return torch.from_numpy(maps)


def _resized(picture: Image.Image, size: tuple[int, int], how: Image.Resampling) -> Image.Image:
    width_height = (size[1], size[0])
    return picture if picture.size == width_height else picture.resize(width_height, how)
