"""A stage of two tiny networks that trains in milliseconds, for whatever knows no stage; and the folder of
tiny data sets.
"""

import importlib.util
from pathlib import Path

import pytest
import torch


def load_module(path: Path):
    """Import a helper file of the tests by its path."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='session')
def toy():
    """The module of the tiny stage: ToySet, ToyStage, make_trainer."""
    return load_module(Path(__file__).parent / 'toy.py')


@pytest.fixture(scope='module')
def one_thread():
    """Several threads only get in each other's way with networks and pictures as small as these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope='session')
def tiny_sets(tmp_path_factory) -> Path:
    """A folder with `train` (4 records), `small` (2, for training too) and `test` (3), pictures of 64 x 64
    pixels.
    """
    write_set = load_module(Path(__file__).parents[1] / 'data' / 'conftest.py').write_set
    root = tmp_path_factory.mktemp('sets')
    pairs = [(f'{number:06}_0.jpg', f'{number:06}_1.jpg') for number in range(4)]
    write_set(root / 'train', 'train', pairs, (64, 64))
    write_set(root / 'small', 'train', pairs[:2], (64, 64))
    write_set(root / 'test', 'test', pairs[:3], (64, 64))
    return root
