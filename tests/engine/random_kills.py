"""Kill trainings at random moments and compare where they end: `python -m tests.engine.random_kills FOLDER
--kills 100`.

The four stages of a `dm_vton` teacher and student at 64 x 64, batch 1, two epochs of two records, by the
training scripts. Each attempt is a forked process, `--resume auto`, that is killed (SIGKILL) after a random
share of the time that a whole run takes. After each kill the state, if there is one, must load; a run that
gets to its end must equal the unbroken one bit for bit: weights, running statistics, moments of the
optimiser, random numbers. FOLDER gets the data and the runs.
"""

import argparse
import importlib
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import torch

from engine.saving import has_state, read_state
from synthetic.dataset import write_dataset

STAGES = {
    'pb_warp': 'Teacher_warp',
    'pb_e2e': 'Teacher_e2e',
    'pf_warp': 'Student_warp',
    'pf_e2e': 'Student_e2e',
}
OPTIONS = '--size 64 64 --batch_size 1 --workers 0 --device cpu --teacher dm_vton --student dm_vton'
OPTIONS += ' --vgg_weights none --niter 1 --niter_decay 1 --print_step 1 --sample_step 3 --save_period 2'
OPTIONS += ' --resume auto'
TEACHER = {'pb_warp': 'Teacher_e2e', 'pb_gen': 'Teacher_e2e'}
STARTS = {
    'pb_warp': {},
    'pb_e2e': {'pb_warp': 'Teacher_warp'},
    'pf_warp': TEACHER,
    'pf_e2e': {**TEACHER, 'pf_warp': 'Student_warp'},
}


def arguments(folder: Path, stage: str, project: str) -> list[str]:
    """The command line of a stage, from the unbroken runs before it, into `folder/project`."""
    words = [*OPTIONS.split(), '--dataroot', str(folder / 'data' / 'VITON_traindata')]
    words += ['--project', str(folder / project), '--name', STAGES[stage]]
    for network, run in STARTS[stage].items():
        words += [f'--{network}_checkpoint', str(folder / 'whole' / run / 'weights' / f'{network}_last.pt')]
    return words


def start(folder: Path, stage: str, project: str) -> int:
    """Fork a process that trains; returns its number. Its output goes to `folder/output.txt`."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        output = os.open(folder / 'output.txt', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        torch.set_num_threads(1)
        status = importlib.import_module(f'train_{stage}').main(arguments(folder, stage, project))
    finally:
        os._exit(status)


def wait(child: int, seconds: float | None = None) -> bool:
    """Wait for a process, at most `seconds`, then kill it; returns whether it was killed. Raises where it has
    failed.
    """
    end = time.monotonic() + (seconds if seconds is not None else 3600)
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if status:
                raise RuntimeError(f'a training ended with {status}; see output.txt')
            return False
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def tensors_of(value, path: str = '') -> dict[str, object]:
    """All leaves of nested dicts and lists by their paths."""
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    else:
        return {path: value}
    return {name: leaf for key, each in items for name, leaf in tensors_of(each, f'{path}/{key}').items()}


def differences(first: Path, second: Path) -> list[str]:
    """Names of what differs between the states of two runs."""
    states = [tensors_of(read_state(run)) for run in (first, second)]
    names = states[0].keys() | states[1].keys()
    missing = [name for name in names if name not in states[0] or name not in states[1]]
    return missing + [name for name in names - set(missing) if not same(states[0][name], states[1][name])]


def same(first, second) -> bool:
    """Whether two leaves are equal, tensors bit for bit."""
    return torch.equal(first, second) if torch.is_tensor(first) else first == second


def kill_stage(
    folder: Path, stage: str, *, kills: int, seconds: float, draw: random.Random
) -> tuple[int, int, int]:
    """Kill a stage until it has been `kills` times, then let it end; returns kills, kills with a state to
    load, ends compared.
    """
    run, whole = folder / 'killed' / STAGES[stage], folder / 'whole' / STAGES[stage]
    killed = loaded = ended = 0
    while killed < kills or has_state(run) or not ended:
        child = start(folder, stage, 'killed')
        if wait(child, draw.uniform(0, seconds) if killed < kills else None):
            killed += 1
            if has_state(run):
                state = read_state(run)
                assert all(
                    x.isfinite().all() for network in state['networks'].values() for x in network.values()
                )
                loaded += 1
            continue
        if different := differences(run, whole):
            raise AssertionError(
                f'{stage}: after {killed} kills {len(different)} entries differ, such as {different[0]}'
            )
        ended += 1
        shutil.rmtree(folder / 'killed')
    shutil.rmtree(folder / 'killed', ignore_errors=True)
    return killed, loaded, ended


def kill_all(folder: Path, *, kills: int, seed: int = 0) -> dict[str, tuple[int, int, int]]:
    """Kill each stage a quarter of `kills` times; returns what `kill_stage` does, by stage."""
    write_dataset(folder / 'data', train=2, test=0, seed=3, size=(64, 64), progress=False)
    draw, results = random.Random(seed), {}
    for stage in STAGES:
        began = time.monotonic()
        wait(start(folder, stage, 'whole'))
        seconds = time.monotonic() - began
        results[stage] = kill_stage(folder, stage, kills=kills // len(STAGES), seconds=seconds, draw=draw)
        print(
            stage,
            f'{seconds:.1f} s a run, kills, of them with a state, ends compared:',
            *results[stage],
            flush=True,
        )
    return results


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path)
    parser.add_argument('--kills', type=int, default=100, help='a quarter for each stage')
    parser.add_argument('--seed', type=int, default=0, help='of the moments')
    options = parser.parse_args()
    options.folder.mkdir(parents=True)
    sys.exit(not kill_all(options.folder, kills=options.kills, seed=options.seed))
