"""Brings single files of another layout into ours: links, translated parsing ids, drawn missing maps."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from data import records
from data.densepose import draw_body_parts, parts_of_colours
from data.labels import KEY_POINTS, DensePosePart
from data.mask_faults import mend_holes
from data.records import RecordError
from utils.paths import atomic_write

_WHITE, _SPECK = 18, 0.002
_LARGEST_COLOUR_ERROR = 40


def place(source: Path, target: Path, *, copy: bool = False) -> None:
    """Put a file at `target` as a hard link; as a copy with `copy`, or where the disk takes no link."""
    if _is_done(source, target, same=True):
        return
    if not copy:
        try:
            target.unlink(missing_ok=True)
            os.link(source, target)
            return
        except OSError:
            pass  # another disk, a file system without links, or somebody else's file: copied instead
    with atomic_write(target, sync=False) as temporary:
        shutil.copyfile(source, temporary)
    times = os.stat(source)
    os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))


def convert_label(source: Path, target: Path, ids: Mapping[int, int]) -> None:
    """Write a parsing map with its ids translated, as PNG. An id that `ids` lacks raises `RecordError`."""
    if _is_done(source, target):
        return
    label = records.read_label(source)
    present = set(np.unique(label).tolist())
    if unknown := sorted(present - set(ids)):
        raise RecordError(
            f'{source}: parsing id {unknown[0]}, expected 0 to {max(ids)}; choose another --layout or file',
            kind=records.UNKNOWN_IDS,
        )
    table = np.zeros(max(ids) + 1, np.uint8)
    table[list(ids)] = list(ids.values())
    _save(Image.fromarray(table[label]), target)


def convert_pose(
    source: Path, target: Path, picture: Path, frame: tuple[int, int] | None, *, copy: bool
) -> None:
    """Put OpenPose's JSON at `target`, from DressCode's key points where `frame` (H, W) is their picture."""
    if frame is None:
        place(source, target, copy=copy)
    elif not _is_done(source, target):
        height, width = records.read_size(picture)
        points = (_read_key_points(source) * (width / frame[1], height / frame[0])).round(2)
        scores = (points > 0).all(axis=1, keepdims=True)
        values = np.hstack([points, scores]).flatten().tolist()
        content = json.dumps({'version': 1.0, 'people': [{'pose_keypoints': values}]})
        with atomic_write(target, sync=False) as temporary:
            temporary.write_text(content, encoding='utf-8')


def draw_densepose(pose: Path, target: Path, picture: Path) -> None:
    """Write the body parts that `data.densepose` draws for a picture from its OpenPose file `pose`."""
    if not _is_done(pose, target):
        _save_parts(draw_body_parts(records.read_pose(pose), records.read_size(picture)), target)


def convert_densepose(source: Path, target: Path, *, copy: bool = False) -> None:
    """Write a DensePose map from ids in an array or picture, or from the colours of DensePose's tool."""
    if source.suffix == '.npy':
        place(source, target, copy=copy)
        return
    if _is_done(source, target):
        return
    with Image.open(source) as picture:
        coloured = picture.mode in ('RGB', 'RGBA', 'CMYK')
    if not coloured:
        parts = records.read_label(source)
        records.require_known_ids(source, parts, DensePosePart)
    else:
        pixels = np.asarray(records.read_picture(source))
        parts, error = parts_of_colours(pixels, lossy=source.suffix != '.png')
        if error > _LARGEST_COLOUR_ERROR:
            problem = "colours that DensePose's drawing has not, expected its 24 on black"
            raise RecordError(f'{source}: {problem}', kind=records.WRONG_FORMAT)
    _save_parts(parts.astype(np.uint8), target)


def convert_edge(source: Path, target: Path, *, copy: bool = False) -> None:
    """Put a garment's mask at `target`: as it is where the suffixes agree, else stored anew."""
    if source.suffix.lower() == target.suffix.lower():
        place(source, target, copy=copy)
    elif not _is_done(source, target):
        _save(records.read_edge(source), target)


def mend_edge(source: Path, garment: Path, target: Path) -> bool:
    """Write a garment's mask with its holes filled; False, and nothing written, where it is not damaged."""
    edge, picture = records.read_edge(source), records.read_picture(garment)
    if picture.size != edge.size:
        picture = picture.resize(edge.size)
    mended = mend_holes(np.asarray(edge) > 127, np.asarray(picture))
    if mended is None:
        return False
    _save(Image.fromarray(mended.astype(np.uint8) * 255), target)
    return True


def draw_edge(garment: Path, target: Path) -> None:
    """Write the mask of a garment on a white background: all but the white that reaches the border."""
    if _is_done(garment, target):
        return
    pixels = np.asarray(records.read_picture(garment)).astype(int)
    white = (255 - pixels.min(axis=2)) < _WHITE
    regions, _ = ndimage.label(white)
    outside = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
    inside = ~np.isin(regions, outside[outside > 0])
    regions, count = ndimage.label(inside)  # dust and compression noise go
    sizes = ndimage.sum_labels(inside, regions, range(1, count + 1)) if count else []
    large = [number for number, size in enumerate(sizes, 1) if size >= _SPECK * inside.size]
    _save(Image.fromarray(np.isin(regions, large).astype(np.uint8) * 255), target)


def _read_key_points(path: Path) -> np.ndarray:
    with records.reading(path):
        values = np.array(json.loads(path.read_text(encoding='utf-8'))['keypoints'], dtype=np.float64)
        points = values.reshape(KEY_POINTS, -1)[:, :2]
        # -1 stands for a point that was not found.
        return np.where((points > 0).all(axis=1, keepdims=True), points, 0.0)


def _is_done(source: Path, target: Path, *, same: bool = False) -> bool:
    """True if `target` is newer than `source`; with `same`, if it is a link or a copy of it."""
    try:
        before, after = os.stat(source), os.stat(target)
    except FileNotFoundError:
        return False
    if same:
        return (before.st_size, int(before.st_mtime)) == (after.st_size, int(after.st_mtime))
    return after.st_mtime >= before.st_mtime


def _save(picture: Image.Image, target: Path) -> None:
    with atomic_write(target, sync=False) as temporary:
        picture.save(temporary, quality=100, compress_level=3)


def _save_parts(parts: np.ndarray, target: Path) -> None:
    with atomic_write(target, sync=False) as temporary:
        np.save(temporary, parts)
