"""A training under torchrun whose worker is killed: the restarted one goes on by `--resume auto`.

Run by torchrun, this file is what the worker does; run by pytest, it starts torchrun and looks at what is
left.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures('one_thread')
OPTIONS = (
    '--size 64 64 --batch_size 2 --workers 0 --teacher dm_vton --vgg_weights none --device cpu '
    '--sample_step 0'
)
OPTIONS += ' --niter 1 --niter_decay 1 --name run'  # two epochs of two steps
KILLED_AT = 3  # in the second epoch, after the first one has been saved


def work(arguments: list[str]) -> int:
    """Train by the script; in the first attempt die without a word."""
    import train_pb_warp
    from engine.trainer import Trainer

    torch.set_num_threads(1)
    step = Trainer._step

    def or_die(self, *batch):
        if self.step + 1 == KILLED_AT and os.environ['TORCHELASTIC_RESTART_COUNT'] == '0':
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self, *batch)

    Trainer._step = or_die
    return train_pb_warp.main(arguments)


def test_a_killed_worker_is_restarted_and_ends_as_the_unbroken_run(tiny_sets, tmp_path):
    import train_pb_warp
    from engine.saving import read_state

    options = [*OPTIONS.split(), '--dataroot', str(tiny_sets / 'train'), '--resume', 'auto']
    torchrun = [
        sys.executable,
        '-m',
        'torch.distributed.run',
        '--standalone',
        '--nproc_per_node=1',
        '--max-restarts=1',
    ]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    words = [*torchrun, __file__, *options, '--project', str(tmp_path / 'killed')]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    assert train_pb_warp.main([*options, '--project', str(tmp_path / 'whole')]) == 0
    killed, whole = (read_state(tmp_path / name / 'run') for name in ('killed', 'whole'))
    assert 'continuing after step 2, in epoch 2 of 2' in (tmp_path / 'killed' / 'run' / 'log.txt').read_text()
    assert [path.name for path in (tmp_path / 'killed').iterdir()] == ['run'], 'a second run was begun'
    assert killed['step'] == whole['step'] == 4
    for name, x in whole['networks']['pb_warp'].items():
        assert torch.equal(x, killed['networks']['pb_warp'][name]), name


if __name__ == '__main__':
    sys.exit(work(sys.argv[1:]))
