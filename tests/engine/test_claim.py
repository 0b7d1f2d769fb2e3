"""Two trainings at once in one run folder: the second one is refused and touches nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine import claim
from engine.distributed import Process
from opt.train_opt import open_run, parse_train_options
from utils.errors import UserError

ROOT = Path(__file__).parents[2]
HOLD = """
import pathlib, sys
from engine.claim import claim
lock = claim(pathlib.Path(sys.argv[1]))
print('held', flush=True)
sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path):
    """A run folder in which another process trains."""
    folder = tmp_path / 'run'
    (folder / 'weights').mkdir(parents=True)
    (folder / 'weights' / '.half.tmp.pt').touch()
    line = [sys.executable, '-c', HOLD, str(folder)]
    with subprocess.Popen(
        line, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == 'held\n'
        yield folder, process
        process.kill()


def test_a_second_training_in_a_folder_is_refused_and_touches_nothing(run, toy, monkeypatch):
    folder, other = run
    monkeypatch.setattr(claim, 'PATIENCE', 0.2)
    options = ['--dataroot', 'data', '--project', str(folder.parent), '--name', 'run', '--resume', 'auto']
    settings = parse_train_options('pb_warp', options)
    for begin in (lambda: toy.make_trainer(folder).fit(), lambda: open_run(settings, Process())):
        with pytest.raises(UserError, match='run: another process trains in this folder; wait for its end'):
            begin()
    assert {path.name for path in folder.rglob('*')} == {'.lock', 'weights', '.half.tmp.pt'}
    other.kill()
    other.wait()
    assert toy.make_trainer(folder, max_steps=1).fit() == 0  # a killed one leaves the folder free
    assert toy.make_trainer(folder, max_steps=1, resume=True).fit() == 0


def test_a_training_that_is_just_ending_is_waited_for(run, toy, monkeypatch):
    folder, other = run
    monkeypatch.setattr(claim, 'PATIENCE', 60.0)
    other.stdin.close()  # now it ends, and whatever that takes
    assert toy.make_trainer(folder, max_steps=1).fit() == 0


def test_a_disk_without_locks_is_trained_on_all_the_same(toy, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise NotImplementedError

    monkeypatch.setattr(claim.FileLock, 'acquire', refuse)
    assert toy.make_trainer(tmp_path / 'run', max_steps=1).fit() == 0
