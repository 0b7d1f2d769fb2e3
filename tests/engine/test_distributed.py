"""Several processes: who takes which records, and that two of them train as one with a batch as large as both
together.

PyTorch synchronises batch norm on CUDA devices only, so gradients are compared with frozen batch norm (eval
mode). Run by torchrun, this file is what the processes do; run by pytest, it starts them and looks at what
they have left.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from data.viton import EpochShuffle, VITONDataset
from engine.distributed import Process, Share, join_processes
from utils.errors import UserError

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures('one_thread')
FIRST, SECOND = Process(rank=0, world=2), Process(rank=1, world=2)


class Order(list):
    """Records in the order of a list, as a sampler has them."""


@pytest.mark.parametrize(('records', 'world'), [(10, 2), (9, 2), (7, 3), (2, 5), (1, 1)])
def test_shares_are_equally_long_and_together_hold_every_record(records, world):
    shares = [
        list(Share(Order(range(records)), process=Process(rank=rank, world=world))) for rank in range(world)
    ]
    assert {len(share) for share in shares} == {
        len(Share(Order(range(records)), process=Process(rank=0, world=world)))
    }
    seen = [record for step in zip(*shares, strict=True) for record in step]
    assert seen[:records] == list(range(records))
    assert len(seen) - records < world, 'more is taken again than evens it out'


@pytest.mark.parametrize('start', [0, 4, 8])
def test_a_share_may_begin_in_the_middle_and_ends_as_the_whole_one_does(start):
    for process in (FIRST, SECOND):
        whole, rest = (Share(Order('abcdefghi'), process=process) for _ in range(2))
        rest.start = start
        assert list(rest) == list(whole)[start // 2 :]
        assert len(rest) == len(list(rest))


def test_a_set_that_has_become_smaller_leaves_nothing_of_the_epoch():
    share = Share(Order('abc'), process=FIRST)
    share.start = 8
    assert len(share) == 0 and list(share) == []


def test_every_epoch_is_shuffled_anew_and_alike_in_all_processes(tiny_sets):
    dataset = VITONDataset(tiny_sets / 'train', 'train', size=(64, 64))
    orders = set()
    for epoch in range(8):
        dataset.set_epoch(epoch)
        shares = [list(Share(EpochShuffle(dataset, seed=1), process=process)) for process in (FIRST, SECOND)]
        assert sorted(shares[0] + shares[1]) == [0, 1, 2, 3]
        orders.add(tuple(shares[0] + shares[1]))
    assert len(orders) > 3


def test_without_torchrun_there_is_one_process(monkeypatch):
    monkeypatch.delenv('WORLD_SIZE', raising=False)
    with join_processes('cpu') as process:
        assert process == Process(torch.device('cpu'), rank=0, world=1) and process.is_first
        assert (
            process.from_first('word') == 'word'
            and process.from_all(3) == [3]
            and process.highest(1, 0) == (1, 0)
        )
        process.wait()


def test_each_process_takes_a_gpu_of_its_own_and_too_few_are_refused(monkeypatch):
    from engine import distributed

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 4)
    assert [str(distributed._device_of('', rank)) for rank in (0, 3)] == ['cuda:0', 'cuda:3']
    assert [str(distributed._device_of('2,3', rank)) for rank in (0, 1)] == ['cuda:2', 'cuda:3']
    assert str(distributed._device_of('cpu', 1)) == 'cpu'
    with pytest.raises(UserError, match='--device 2, process 2: give one GPU a process'):
        distributed._device_of('2', 1)
    with pytest.raises(UserError, match='only 4'):
        distributed._device_of('', 4)


# ---- What the processes do


def gradients_of_a_step(folder: Path, sets: Path, process: Process, batch_size: int) -> torch.Tensor:
    """The gradient of the first step of the teacher's warp, in float64, with frozen batch norm."""
    from engine.distributed import seed_everything
    from engine.preparation import create_training_loader
    from engine.settings import TrainSettings
    from engine.stages import create_stage
    from engine.trainer import Trainer

    seed_everything(5 + process.rank)
    stage = create_stage('pb_warp', teacher='dm_vton')
    stage.to(torch.float64).train(False)
    data = {
        'dataroot': str(sets / 'train'),
        'size': (64, 64),
        'seed': 2,
        'batch_size': batch_size,
        'workers': 0,
    }
    settings = TrainSettings(stage='pb_warp', **data)
    loader = create_training_loader(settings, process)
    trainer = Trainer(stage, loader, settings, folder=folder, save_network=None, process=process)
    if process.world == 1:
        stage.networks['pb_warp'].load_state_dict(torch.load(folder / 'first.pt'))
    elif process.is_first:
        torch.save(stage.networks['pb_warp'].state_dict(), folder / 'first.pt')
    loader.dataset.set_epoch(1)
    batch = next(iter(loader))
    trainer.backward([{name: x.double() if torch.is_tensor(x) else x for name, x in batch.items()}], 1)
    return torch.cat([p.grad.flatten() for p in stage.networks['pb_warp'].parameters()])


def train_toy(toy, folder: Path, process: Process, report: dict) -> None:
    """Train, stop for a signal to one process alone, go on; then diverge in one process alone."""
    from engine.trainer import DivergedError

    def stop_second(stage, _batch):
        if process.rank == 1 and len(stage.steps) == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    def poison_second(stage, batch):
        if process.rank == 1 and len(stage.steps) == 2:
            batch['target'] = batch['target'] * torch.nan

    options = {'records': 11, 'process': process, 'niter': 1, 'niter_decay': 1}

    def validate(_folder):
        report.setdefault('running', stopped.stage.networks['near'][1].running_mean.tolist())
        return process.from_first(float(process.rank))

    validate = {'validate': validate}
    stopped = toy.make_trainer(folder / 'run', toy.ToyStage(spoil=stop_second), **options, **validate)
    report['status'] = stopped.fit()
    rest = toy.make_trainer(folder / 'run', **options, **validate, resume=True)
    report['rest'] = rest.fit()
    report['steps'] = [stopped.step, rest.step]
    report['names'] = [stopped.stage.steps, rest.stage.steps]
    whole = toy.make_trainer(folder / 'whole', **options, **validate)
    whole.fit()
    report['same'] = toy.same(toy.everything(whole), toy.everything(rest))
    report['sum'] = sum(
        p.double().sum().item() for network in rest.stage.networks.values() for p in network.parameters()
    )
    try:
        toy.make_trainer(folder / 'diverged', toy.ToyStage(spoil=poison_second), **options).fit()
    except DivergedError as error:
        report['diverged'] = str(error)


def validate_together(sets: Path, folder: Path, process: Process) -> float:
    """Dress the test set with a student of random weights; FID is a stand-in that counts the pictures."""
    from engine import evaluate
    from engine.distributed import seed_everything
    from models import TryOnPipeline

    fid = SimpleNamespace(fid=lambda real, made: 100.0 + len(list(made.iterdir())))
    evaluate.create_inception = lambda **_: fid
    seed_everything(1)
    testset = VITONDataset(sets / 'test', 'test', size=(64, 64))
    student = TryOnPipeline.untrained('dm_vton')
    return evaluate.Validation(student, testset, process=process, batch_size=1, workers=0)(
        folder / 'validation'
    )


def work(folder: Path, sets: Path) -> None:
    """What each process does; its findings go to a file."""
    import toy

    torch.set_num_threads(1)
    with join_processes('cpu') as process:
        gradients = gradients_of_a_step(folder, sets, process, batch_size=1)
        report = {
            'from_first': process.from_first(f'from {process.rank}'),
            'from_all': process.from_all(process.rank),
        }
        report |= {'highest': process.highest(process.rank, 5 - process.rank)}
        for name in ('run', 'whole', 'diverged'):
            (folder / name).mkdir(exist_ok=True)
        train_toy(toy, folder, process, report)
        report['fid'] = validate_together(sets, folder, process)
        torch.save(gradients, folder / f'gradients{process.rank}.pt')
        (folder / f'report{process.rank}.json').write_text(json.dumps(report))


@pytest.fixture(scope='module')
def two(tiny_sets, module_path, one_thread):
    """The folder that two processes have worked in, and their reports."""
    torchrun = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    words = [*torchrun, __file__, str(module_path), str(tiny_sets)]
    with subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as launcher:
        watch = threading.Timer(240, launcher.terminate)  # it ends the processes that it has started
        watch.start()
        output = launcher.communicate()[0]
        watch.cancel()
    assert launcher.returncode == 0, output
    return module_path, [json.loads((module_path / f'report{rank}.json').read_text()) for rank in (0, 1)]


def test_two_processes_have_the_gradient_of_one_with_a_batch_as_large_as_both(two, tiny_sets):
    folder, _ = two
    expected = gradients_of_a_step(folder, tiny_sets, Process(), batch_size=2)
    for rank in (0, 1):
        gradient = torch.load(folder / f'gradients{rank}.pt')
        assert (gradient - expected).norm() < 1e-6 * expected.norm()
    assert expected.norm() > 1e-3


def test_processes_tell_each_other_what_they_know(two):
    for report in two[1]:
        assert (
            report['from_first'] == 'from 0' and report['from_all'] == [0, 1] and report['highest'] == [1, 5]
        )


def test_a_signal_to_one_process_stops_all_at_the_same_step_and_they_go_on_bit_for_bit(two):
    folder, reports = two
    for report in reports:
        assert report['status'] == 143 and report['rest'] == 0
        assert report['steps'] == [4, 6]
        assert report['same'] is True
    assert reports[0]['sum'] == reports[1]['sum'], 'the processes have trained apart'
    assert reports[0]['running'] == reports[1]['running'], 'they were validated with statistics of their own'


def test_an_epoch_of_all_processes_sees_every_record(two):
    seen = {1: [], 2: []}
    for report in two[1]:
        for epoch, names in (step for run in report['names'] for step in run):
            seen[epoch] += names
    assert all(len(names) == 12 and len(set(names)) == 11 for names in seen.values())
    assert seen[1] != seen[2]


def test_the_first_process_alone_logs_and_saves(two):
    folder, _ = two
    files = {path.name for path in (folder / 'run' / 'weights').iterdir()}
    assert files == {'near_last.pt', 'far_last.pt', 'near_best.pt', 'far_best.pt', 'state_last.pt'}
    assert len(list((folder / 'run').glob('events.out.tfevents*'))) == 2, 'one a run'
    state = torch.load(folder / 'run' / 'weights' / 'state_last.pt', weights_only=True)
    assert len(state['random']) == 2 and state['best'] == 0.0


def test_a_loss_that_is_not_finite_in_one_process_stops_all(two):
    first, second = (report['diverged'] for report in two[1])
    assert "another process's loss is not finite" in first
    assert 'the loss is nan' in second and 'person_name' in second


def test_processes_share_the_dressing_and_have_the_same_score(two):
    folder, reports = two
    assert [report['fid'] for report in reports] == [103.0, 103.0]
    assert len(list((folder / 'validation' / 'tryon').iterdir())) == 3


if __name__ == '__main__':
    work(Path(sys.argv[1]), Path(sys.argv[2]))
