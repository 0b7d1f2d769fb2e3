"""What the loader yields for two records against the numbers of the published one.

The annotations lie beside the numbers; the photographs are not part of the project, so without `--parity`
made-up pictures take their place and only what the annotations give is compared.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.viton import VITONDataset

HERE = Path(__file__).parent
PICTURES = ('image', 'color', 'edge', 'color_un', 'edge_un')
MAPS = ('label', 'densepose', 'pose')


def read_numbers(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


def compare(record: dict, numbers: dict[str, np.ndarray], index: int, names: tuple[str, ...]) -> None:
    for name in names:
        value, key = record[name].double().numpy(), f'{index}.{name}'
        assert value.shape == tuple(numbers[f'{key}.shape']), key
        # The reference summed in float64 what it held in float32: 147,456 values rounded to 6e-8 each.
        np.testing.assert_allclose(value.sum(), numbers[f'{key}.sum'], rtol=0, atol=1e-3, err_msg=key)
        part = value.sum(axis=(1, 2)) if name == 'pose' else value[:, ::4, ::4]
        np.testing.assert_allclose(part, numbers[f'{key}.sub'], rtol=0, atol=1e-6, err_msg=key)


@pytest.fixture
def annotated(tmp_path) -> Path:
    """The two records with made-up pictures in place of the photographs."""
    root = tmp_path / 'loader'
    shutil.copytree(HERE / 'loader', root)
    rng = np.random.default_rng(0)
    for line in (root / 'train_pairs.txt').read_text().splitlines():
        for kind, name in zip(('img', 'color', 'edge'), (*line.split(), line.split()[1]), strict=True):
            (root / f'train_{kind}').mkdir(exist_ok=True)
            shape = (256, 192) if kind == 'edge' else (256, 192, 3)
            Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(root / f'train_{kind}' / name)
    return root


@pytest.mark.parametrize('index', [0, 1])
def test_the_maps_are_those_of_the_published_loader(annotated, index):
    compare(VITONDataset(annotated, 'train')[index], read_numbers(HERE / 'loader.npz'), index, MAPS)


@pytest.mark.parametrize('index', [0, 1])
def test_a_whole_record_is_that_of_the_published_loader(parity_dir, index):
    record = VITONDataset(parity_dir / 'loader', 'train')[index]
    compare(record, read_numbers(parity_dir / 'loader.npz'), index, PICTURES + MAPS)
