"""Trainings that are killed at random moments end as the unbroken ones; see `random_kills.py`."""

import importlib.util
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.mark.skipif(sys.platform != 'linux', reason='forks a process that has imported torch')
@pytest.mark.filterwarnings('ignore:.*fork.*:DeprecationWarning')
def test_every_state_loads_and_every_run_ends_as_the_unbroken_one(request, tmp_path):
    if not request.config.getoption('--slow'):
        pytest.skip('takes minutes; ask for it by --slow')
    spec = importlib.util.spec_from_file_location('random_kills', Path(__file__).parent / 'random_kills.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    results = module.kill_all(tmp_path, kills=12)
    assert [killed for killed, _, _ in results.values()] == [3] * 4
    assert all(ended for _, _, ended in results.values())
