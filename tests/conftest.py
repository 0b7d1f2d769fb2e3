"""Options and fixtures of the whole test suite."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

PARITY = Path(__file__).parent / 'parity'


def pytest_addoption(parser):
    parser.addoption(
        '--samples',
        help='a folder of real try-on pairs in the VITON test layout (test_pairs.txt, test_img, ...)',
    )
    parser.addoption(
        '--parity', help='the folder of reference records (loader/ with photographs, loader.npz)'
    )
    parser.addoption('--slow', action='store_true', help='also the tests that take minutes')


def _folder(request, option: str, what: str) -> Path:
    value = request.config.getoption(option)
    if not value:
        pytest.skip(f'{what} are not part of the project; give their folder by {option} DIR')
    folder = Path(value).resolve()
    if not folder.is_dir():
        pytest.exit(f'{option} {value}: no such folder', returncode=2)
    return folder


@pytest.fixture(scope='session', autouse=True)
def cache_of_the_tests(tmp_path_factory) -> None:
    """What the project keeps in the user's cache folder goes to one of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))
        yield


@pytest.fixture(scope='module')
def module_path(tmp_path_factory) -> Path:
    """A folder for what the tests of a module share, deleted after the last of them: checkpoints take half a
    gigabyte.
    """
    folder = tmp_path_factory.mktemp('module')
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope='session')
def samples(request) -> Path:
    """A folder of real photographs in the VITON test layout."""
    return _folder(request, '--samples', 'sample photographs')


@pytest.fixture(scope='session')
def parity_dir(request) -> Path:
    """The folder of reference records with photographs."""
    return _folder(request, '--parity', 'reference records with photographs')


@pytest.fixture(scope='session')
def forward_numbers() -> dict[str, np.ndarray]:
    """The reference numbers of the forward passes."""
    with np.load(PARITY / 'forward_seed11.npz') as file:
        return dict(file)


@pytest.fixture(scope='session')
def reference_shapes() -> dict[str, dict[str, list[int]]]:
    """Parameter names and shapes of the eleven networks."""
    return json.loads((PARITY / 'state_dicts.json').read_text())


@pytest.fixture(scope='session')
def weights():
    """The module that makes deterministic weights and inputs."""
    import importlib.util

    spec = importlib.util.spec_from_file_location('parity_weights', PARITY / 'weights.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='session')
def small_checkpoints(tmp_path_factory) -> Path:
    """A folder with a student as initialised, of pictures of 64 x 64."""
    import torch

    from models import create_generator, create_warp
    from models.checkpoint import save_checkpoint

    folder = tmp_path_factory.mktemp('checkpoints')
    torch.manual_seed(0)
    for name, part, kind, create in (
        ('warp', 'warp', 'mobile_afwm', create_warp),
        ('gen', 'generator', 'mobile_unet', create_generator),
    ):
        path = folder / f'pf_{name}.pt'
        save_checkpoint(path, create(kind, 'student'), part=part, network=kind, role='student', size=(64, 64))
    return folder
