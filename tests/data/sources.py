"""Writes tiny data sets in the layouts that `data.convert` reads, 64 x 48 pixels, and of made-up content."""

import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

SIZE = (64, 48)
LIP_COAT, ATR_TOP, CIHP_NECK = 7, 4, 10
# One frontal person: nose, neck, right arm, left arm, hips and knees, eyes, ears; no ankles.
POINTS = [
    (24, 9), (24, 16), (16, 17), (12, 26), (11, 34), (32, 17), (36, 26), (37, 34), (19, 36), (18, 50), (0, 0),
    (29, 36), (30, 50), (0, 0), (22, 7), (26, 7), (20, 9), (28, 9),
]  # fmt: skip
LISTS = {'cp_vton': '{part}_pairs.txt', 'viton_hd': '{part}_pairs.txt'}


def picture(path: Path, seed: int) -> None:
    """A picture of one colour: its content depends on the seed alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = np.random.default_rng(seed).integers(0, 200, 3, dtype=np.uint8)
    Image.fromarray(np.broadcast_to(colour, (*SIZE, 3)).copy()).save(path)


def garment(path: Path, seed: int) -> None:
    """A coloured square on white with a white hole in it, and a speck of dust."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((*SIZE, 3), 255, np.uint8)
    pixels[16:48, 12:36] = np.random.default_rng(seed).integers(0, 200, 3, dtype=np.uint8)
    pixels[28:32, 20:24] = 255
    pixels[2, 2] = 100
    Image.fromarray(pixels).save(path, quality=95)


def mask(path: Path, *, inside: int = 255, outside: int = 0) -> None:
    """The mask of `garment`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full(SIZE, outside, np.uint8)
    pixels[16:48, 12:36] = inside
    Image.fromarray(pixels).save(path)


def ids(path: Path, *numbers: int) -> None:
    """Stripes of ids, with a palette of colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stripes = np.array(numbers, np.uint8)[np.arange(SIZE[0]) * len(numbers) // SIZE[0]]
    picture = Image.fromarray(np.broadcast_to(stripes[:, None], SIZE).copy())
    picture.putpalette([5, 100, 50] * 256)
    picture.save(path)


def openpose(path: Path, points=POINTS, *, key: str = 'pose_keypoints') -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = [number for x, y in points for number in (x, y, 0.9)]
    path.write_text(json.dumps({'people': [{key: values}]}))


def body_25(points=POINTS) -> list:
    """The same person in OpenPose's model of 25 points: the middle of the hips at 8, feet at the end."""
    return [*points[:8], (24, 36), *points[8:], *[(1, 1)] * 6]


def write_cp_vton(root: Path, train: dict[int, int], test: dict[int, int], pairs=()) -> Path:
    """A set in CP-VTON's layout; train and test give the seed of each number, pairs (person, garment) the
    test list.
    """
    for part, seeds in (('train', train), ('test', test)):
        for number, seed in seeds.items():
            stem, folder = f'{number:06}', root / part
            picture(folder / 'image' / f'{stem}_0.jpg', seed)
            garment(folder / 'cloth' / f'{stem}_1.jpg', seed)
            mask(folder / 'cloth-mask' / f'{stem}_1.jpg')
            ids(folder / 'image-parse' / f'{stem}_0.png', 0, 2, LIP_COAT, 5, 9)
            openpose(folder / 'pose' / f'{stem}_0_keypoints.json')
    own = [(number, number) for number in train]
    for part, lines in (('train', own), ('test', pairs)):
        text = ''.join(f'{person:06}_0.jpg {worn:06}_1.jpg\n' for person, worn in lines)
        (root / f'{part}_pairs.txt').write_text(text)
    return root


def write_viton_hd(root: Path) -> Path:
    """Three training records whose list is unpaired, two test records; DensePose in colours, 25 key
    points.
    """
    names = {'train': ['00001_00', '00002_00', '00003_00'], 'test': ['00004_00', '00005_00']}
    for part, stems in names.items():
        for seed, stem in enumerate(stems):
            folder = root / part
            picture(folder / 'image' / f'{stem}.jpg', seed)
            garment(folder / 'cloth' / f'{stem}.jpg', seed)
            mask(folder / 'cloth-mask' / f'{stem}.jpg')
            ids(folder / 'image-parse-v3' / f'{stem}.png', 0, CIHP_NECK, 5)
            openpose(folder / 'openpose_json' / f'{stem}_keypoints.json', body_25(), key='pose_keypoints_2d')
            coloured_parts(folder / 'image-densepose' / f'{stem}.jpg')
        lines = zip(stems, stems[1:] + stems[:1], strict=True)
        (root / f'{part}_pairs.txt').write_text(
            ''.join(f'{person}.jpg {other}.jpg\n' for person, other in lines)
        )
    return root


def coloured_parts(path: Path, *, strength: float = 1.0) -> np.ndarray:
    """A picture of DensePose's 24 parts in the colours of its own tool, as blocks of 8 x 8; returns the ids
    [H, W].
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = np.zeros(SIZE, np.uint8)
    for part in range(1, 25):
        row, column = divmod(part - 1, 6)
        parts[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = part
    colours = cv2.applyColorMap((parts * (255 / 24)).astype(np.uint8), cv2.COLORMAP_PARULA) * strength
    cv2.imwrite(
        str(path), np.where(parts[..., None] > 0, colours, 0).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 95]
    )
    return parts


def write_dresscode(root: Path) -> Path:
    """Two training records and a test record of upper bodies; key points for pictures of 512 x 384."""
    folder = root / 'upper_body'
    for seed, number in enumerate(('013563', '013564', '013565')):
        picture(folder / 'images' / f'{number}_0.jpg', seed)
        garment(folder / 'images' / f'{number}_1.jpg', seed)
        ids(folder / 'label_maps' / f'{number}_4.png', 0, ATR_TOP, 17)
        (folder / 'dense').mkdir(exist_ok=True)
        Image.fromarray(np.full(SIZE, 15, np.uint8)).save(folder / 'dense' / f'{number}_5.png')
        (folder / 'keypoints').mkdir(exist_ok=True)
        values = [[8 * x, 8 * y, 0.9, 1] if x else [-1, -1, 0, -1] for x, y in POINTS]
        (folder / 'keypoints' / f'{number}_2.json').write_text(json.dumps({'keypoints': values}))
    (folder / 'train_pairs.txt').write_text('013563_0.jpg 013563_1.jpg\n013564_0.jpg 013564_1.jpg\n')
    (folder / 'test_pairs_unpaired.txt').write_text('013565_0.jpg 013563_1.jpg\n')
    return root
