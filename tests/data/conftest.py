"""Makes tiny data sets in the VITON layout, 64 x 32 pixels, of pictures drawn at random."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SIZE = (64, 32)
PAIRS = [(f'{number:06}_0.jpg', f'{number:06}_1.jpg') for number in range(4)]


def key_points(points=((10.5, 20.5),)) -> dict:
    """The content of an OpenPose file: the points that are given, then points that were not found."""
    values = [number for x, y in points for number in (x, y, 0.9)]
    return {'people': [{'pose_keypoints': values + [0.0] * (54 - len(values))}]}


def write_set(root: Path, phase: str = 'train', pairs=PAIRS, size=SIZE) -> Path:
    """Write a good data set and return its folder."""
    rng = np.random.default_rng(0)
    kinds = (
        ('img', 'color', 'edge', 'label', 'densepose', 'pose')
        if phase == 'train'
        else ('img', 'color', 'edge')
    )
    for kind in kinds:
        (root / f'{phase}_{kind}').mkdir(parents=True, exist_ok=True)
    (root / f'{phase}_pairs.txt').write_text(''.join(f'{person} {garment}\n' for person, garment in pairs))
    for garment in dict.fromkeys(garment for _, garment in pairs):
        colours = np.broadcast_to(rng.integers(0, 256, (1, 1, 3), dtype=np.uint8), (*size, 3))
        Image.fromarray(np.ascontiguousarray(colours)).save(root / f'{phase}_color' / garment)
        edge = np.zeros(size, np.uint8)
        edge[8:-8, 8:-8] = 255
        Image.fromarray(edge).save(root / f'{phase}_edge' / garment)
    for person in dict.fromkeys(person for person, _ in pairs):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(root / f'{phase}_img' / person)
        if phase == 'train':
            stem = Path(person).stem
            Image.fromarray(rng.integers(0, 14, size, dtype=np.uint8)).save(
                root / 'train_label' / f'{stem}.png'
            )
            np.save(root / 'train_densepose' / f'{stem}.npy', rng.integers(0, 25, size, dtype=np.uint8))
            (root / 'train_pose' / f'{stem}.json').write_text(json.dumps(key_points()))
    return root


@pytest.fixture
def make_set(tmp_path):
    """Function that writes a good data set: make_set(phase='train', pairs=..., size=..., root=...) ->
    folder.
    """
    return lambda phase='train', *, root=None, **options: write_set(
        root or tmp_path / 'set', phase, **options
    )


@pytest.fixture
def openpose():
    """Function that returns the content of an OpenPose file with the given points."""
    return key_points
