"""The numbers that the JavaScript is tested with are those of the Python code, and the JavaScript passes its
own tests.
"""

import json
import shutil
import subprocess

import numpy as np
import pytest

from tests.web.make_numbers import FILE, compute, unpack

LEAST_NODE = 20


def assert_same(got, wanted, where: str) -> None:
    """Fail where numbers, wherever in these lists and objects, differ by more than rounding."""
    assert type(got) is type(wanted), where
    if isinstance(wanted, dict) and 'data' in wanted:
        assert got['shape'] == wanted['shape'], where
        most = 1 if wanted['type'] == 'uint8' else 1e-3  # a level, where rounding decides
        difference = np.abs(unpack(got).astype(np.float64) - unpack(wanted))
        assert difference.max() <= most and difference.mean() <= 1e-3, where
    elif isinstance(wanted, dict):
        assert got.keys() == wanted.keys(), where
        for key in wanted:
            assert_same(got[key], wanted[key], f'{where}.{key}')
    elif isinstance(wanted, list):
        assert len(got) == len(wanted), where
        for index, value in enumerate(wanted):
            assert_same(got[index], value, f'{where}[{index}]')
    else:
        assert got == (pytest.approx(wanted, abs=1e-3) if isinstance(wanted, float) else wanted), where


def test_the_numbers_of_the_javascript_tests_are_those_of_the_python_code():
    assert_same(
        compute(),
        json.loads(FILE.read_text(encoding='utf-8')),
        'numbers; write them anew: python -m tests.web.make_numbers',
    )


def test_the_javascript_passes_its_own_tests():
    node = shutil.which('node')
    if node is None:
        pytest.skip('Node.js is not installed')
    version = subprocess.run([node, '--version'], capture_output=True, text=True, check=True).stdout
    if int(version.strip().lstrip('v').split('.')[0]) < LEAST_NODE:
        pytest.skip(f'Node.js {version.strip()} is too old, {LEAST_NODE} is needed')
    files = sorted(str(path) for path in FILE.parent.glob('*.test.mjs'))
    done = subprocess.run([node, '--test', *files], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
