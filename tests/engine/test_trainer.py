"""The trainer on a toy stage: it goes on after every kind of interruption as if there had been none, and
stops when it must.
"""

import errno
import io
import json
import logging
import multiprocessing
import os
import shutil
import signal
import sys
import time
from types import SimpleNamespace

import pytest
import torch

from engine.claim import LOCK_FILE
from engine.distributed import Process
from engine.saving import STATE_FILE, read_state
from engine.signals import StopSignals
from engine.trainer import DivergedError, Trainer
from utils.errors import CheckpointError, MissingFileError, UserError

pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture(autouse=True)
def log():
    """What the project's logger is told, as one text."""
    stream, logger = io.StringIO(), logging.getLogger('dm_vton')
    handler = logging.StreamHandler(stream)
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield stream.getvalue
    logger.removeHandler(handler)


@pytest.fixture(scope='module')
def uninterrupted(toy, module_path, one_thread):
    """A run of four epochs, twelve steps, that nothing has disturbed."""
    trainer = toy.make_trainer(module_path / 'whole')
    assert trainer.fit() == 0 and trainer.step == 12 and trainer.epoch == 4
    return trainer


def stop_at(step: int, *signals: int):
    """What has the process receive signals while it computes a step."""

    def spoil(stage, _batch):
        if len(stage.steps) == step:
            for number in signals:
                os.kill(os.getpid(), number)

    return spoil


# ---- Going on


@pytest.mark.parametrize('first', [3, 6, 9])
def test_epochs_in_two_runs_equal_epochs_in_one_bit_for_bit(toy, tmp_path, uninterrupted, first):
    half = toy.make_trainer(tmp_path / 'half', max_steps=first)
    assert half.fit() == 0 and half.epoch == first // 3
    torch.rand(5)
    rest = toy.make_trainer(tmp_path / 'half', resume=True)
    assert rest.fit() == 0
    assert rest.step == 12 and rest.epoch == 4
    assert toy.same(toy.everything(rest), toy.everything(uninterrupted))
    assert not toy.same(toy.everything(half), toy.everything(uninterrupted))


@pytest.mark.parametrize(('number', 'status'), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_lets_the_step_finish_and_the_next_run_takes_the_next_record(
    toy, tmp_path, uninterrupted, log, number, status
):
    folder = tmp_path / 'run'
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    stopped = toy.make_trainer(folder, toy.ToyStage(spoil=stop_at(5, number)))
    assert stopped.fit() == status
    assert stopped.step == 5 and read_state(folder)['records'] == 4
    assert f'{number.name}), all is saved; go on with: python train_toy.py --resume {folder}' in log()
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers

    rest = toy.make_trainer(folder, resume=True)
    assert rest.fit() == 0
    assert stopped.stage.steps + rest.stage.steps == uninterrupted.stage.steps
    assert rest.loader.dataset.loaded == uninterrupted.loader.dataset.loaded[10:], (
        'a record was loaded to be skipped'
    )
    assert toy.same(toy.everything(rest), toy.everything(uninterrupted))


def test_a_signal_in_the_last_step_of_an_epoch_completes_the_epoch(toy, tmp_path):
    stopped = toy.make_trainer(tmp_path / 'run', toy.ToyStage(spoil=stop_at(3, signal.SIGTERM)))
    assert stopped.fit() == 143
    state = read_state(tmp_path / 'run')
    assert (state['epoch'], state['records'], state['step']) == (1, 0, 3)


def test_a_second_ctrl_c_does_not_wait(toy, tmp_path):
    stage = toy.ToyStage(spoil=stop_at(2, signal.SIGINT, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        toy.make_trainer(tmp_path / 'run', stage).fit()


def test_among_several_processes_a_second_ctrl_c_is_the_launchers():
    with StopSignals(impatient=False) as signals:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.received == signal.SIGINT


def test_processes_that_load_records_outlive_a_signal_to_the_whole_group(toy, tmp_path):
    def spoil(stage, _batch):
        loading = multiprocessing.active_children()
        assert len(loading) == 2
        for number in {2: [signal.SIGTERM, signal.SIGINT], 4: [signal.SIGINT]}.get(len(stage.steps), []):
            for child in loading:
                os.kill(child.pid, number)
        time.sleep(0.05)
        if len(stage.steps) == 9:
            os.kill(os.getpid(), signal.SIGTERM)

    trainer = toy.make_trainer(tmp_path / 'run', toy.ToyStage(spoil=spoil), workers=2, records=40)
    assert trainer.fit() == 143
    assert trainer.step == 9 and read_state(tmp_path / 'run')['step'] == 9


def test_each_epoch_has_an_order_and_draws_of_its_own(uninterrupted):
    epochs = {
        epoch: [index for seen, index in uninterrupted.loader.dataset.loaded if seen == epoch]
        for epoch in range(1, 5)
    }
    assert all(sorted(order) == list(range(6)) for order in epochs.values())
    assert len({tuple(order) for order in epochs.values()}) > 1


def test_batches_of_another_size_go_on_at_the_record_where_the_last_ended(toy, tmp_path, uninterrupted):
    toy.make_trainer(tmp_path / 'run', max_steps=2).fit()
    rest = toy.make_trainer(tmp_path / 'run', resume=True, batch_size=1, max_steps=4)
    rest.fit()
    assert [name for _, names in rest.stage.steps for name in names] == uninterrupted.stage.steps[2][1]
    assert rest.epoch == 1


def test_max_steps_counts_the_steps_of_all_runs_together(toy, tmp_path, log):
    toy.make_trainer(tmp_path / 'run', max_steps=4).fit()
    again = toy.make_trainer(tmp_path / 'run', resume=True, max_steps=4)
    assert again.fit() == 0
    assert again.step == 4 and not again.stage.steps
    assert '--max_steps 4' in log()


def test_a_finished_run_says_so_and_trains_nothing(toy, uninterrupted, log):
    again = toy.make_trainer(uninterrupted.folder, resume=True)
    assert again.fit() == 0
    assert not again.stage.steps
    assert 'all 4 epochs are done' in log()


def test_every_learning_rate_follows_the_schedule_before_and_after_resuming(toy, tmp_path):
    def rates(trainer):
        seen = {}
        trainer.stage.spoil = lambda stage, _: seen.update(
            {stage.steps[-1][0]: [g['lr'] for g in trainer.optimizer.param_groups]}
        )
        trainer.fit()
        return seen

    seen = rates(toy.make_trainer(tmp_path / 'run', max_steps=9))
    seen |= rates(toy.make_trainer(tmp_path / 'run', resume=True))
    factors = {1: 1, 2: 1, 3: 1, 4: 0.5}
    assert seen == {
        epoch: pytest.approx([0.01 * factor, 0.002 * factor]) for epoch, factor in factors.items()
    }


def test_without_decay_the_rate_stays_and_a_new_rate_holds_after_resuming(toy, tmp_path):
    trainer = toy.make_trainer(tmp_path / 'run', niter=2, niter_decay=0)
    assert trainer.fit() == 0 and trainer.epoch == 2
    assert [group['lr'] for group in trainer.optimizer.param_groups] == [0.01, pytest.approx(0.002)]
    longer = toy.make_trainer(tmp_path / 'run', niter=3, niter_decay=0, lr=0.005, resume=True)
    longer.fit()
    assert [group['lr'] for group in longer.optimizer.param_groups] == [0.005, pytest.approx(0.001)]


def test_a_state_of_another_stage_or_optimizer_or_shape_is_refused_in_one_line(toy, tmp_path):
    toy.make_trainer(tmp_path / 'run', max_steps=1).fit()

    class Other(toy.ToyStage):
        lr_scale = {'near': 1.0}

    class Wider(toy.ToyStage):
        def __init__(self):
            super().__init__()
            self.networks['far'][1].weight = torch.nn.Parameter(torch.zeros(1, 10))

    with pytest.raises(UserError, match='trains near, far, this stage near; continue'):
        toy.make_trainer(tmp_path / 'run', Other(), resume=True)
    with pytest.raises(UserError, match='trained with Adam, asked was SGD; continue with --optimizer Adam'):
        toy.make_trainer(tmp_path / 'run', resume=True, optimizer='SGD')
    with pytest.raises(CheckpointError, match='does not fit the networks'):
        toy.make_trainer(tmp_path / 'run', Wider(), resume=True)


def test_a_damaged_or_missing_state_is_refused_in_one_line(toy, tmp_path):
    toy.make_trainer(tmp_path / 'run', max_steps=1).fit()
    path = tmp_path / 'run' / 'weights' / STATE_FILE
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match='damaged'):
        toy.make_trainer(tmp_path / 'run', resume=True)
    torch.save({'model': {}}, path)
    with pytest.raises(CheckpointError, match='no state that this version'):
        toy.make_trainer(tmp_path / 'run', resume=True)
    path.unlink()
    with pytest.raises(MissingFileError, match='no such file'):
        toy.make_trainer(tmp_path / 'run', resume=True)


# ---- Kills and full disks


def checkpoint_epochs(folder) -> tuple[int, set[int]]:
    """The epoch of the state, and those of the networks' files beside it; all must be whole."""
    files = [
        torch.load(path, weights_only=True)
        for path in (folder / 'weights').glob('[!.]*_last.pt')
        if 'state' not in path.name
    ]
    return read_state(folder)['epoch'], {file['epoch'] for file in files}


def fit_and_die_at(trainer: Trainer, moment: int) -> bool:
    """Train in a forked process that kills itself at its `moment`-th fsync or replace; returns whether it
    lived to do so.
    """
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
        return os.WIFSIGNALED(status)
    left = moment

    def or_die(function):
        def call(*arguments):
            nonlocal left
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments)

        return call

    os.fsync, os.replace = or_die(os.fsync), or_die(os.replace)
    status = 1
    try:
        status = trainer.fit()
    finally:
        os._exit(status)


@pytest.mark.skipif(
    sys.platform != 'linux', reason='forks a process that has used torch, which only Linux bears'
)
@pytest.mark.filterwarnings('ignore:.*fork.*:DeprecationWarning')
def test_whenever_the_process_is_killed_while_it_saves_the_run_goes_on_as_if_nothing_had_been(
    toy, tmp_path, uninterrupted
):
    expected = toy.everything(uninterrupted)
    toy.make_trainer(tmp_path / 'begun', max_steps=3).fit()
    for moment in range(1, 40):
        folder = tmp_path / f'run{moment}'
        shutil.copytree(tmp_path / 'begun', folder)
        if not fit_and_die_at(toy.make_trainer(folder, resume=True, max_steps=6), moment):
            break
        state, networks = checkpoint_epochs(folder)
        assert state in (1, 2) and networks <= {1, 2}
        rest = toy.make_trainer(folder, resume=True)
        rest.fit()
        assert toy.same(toy.everything(rest), expected), f'killed at call {moment}'
        assert not [path for path in (folder / 'weights').iterdir() if path.name.startswith('.')], 'leftovers'
    assert 6 < moment < 39, 'the process was hardly ever killed, or always'


def test_no_network_is_replaced_before_everything_is_written(toy, tmp_path, monkeypatch):
    folder = tmp_path / 'run'
    toy.make_trainer(folder, max_steps=3).fit()
    monkeypatch.setattr(
        'engine.trainer.write_state', lambda path, state: (_ for _ in ()).throw(OSError(errno.ENOSPC, 'full'))
    )
    with pytest.raises(CheckpointError, match='full'):
        toy.make_trainer(folder, resume=True, max_steps=6).fit()
    assert checkpoint_epochs(folder) == (1, {1})


class FullDisk(io.FileIO):
    """A file on a disk with room for a few bytes."""

    room = 3000

    def write(self, data):
        FullDisk.room -= len(data)
        if FullDisk.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


@pytest.mark.parametrize('room', [0, 3000, 9000])
def test_a_full_disk_ends_in_one_line_and_the_previous_checkpoint_survives(
    toy, tmp_path, monkeypatch, uninterrupted, room
):
    folder = tmp_path / 'run'
    toy.make_trainer(folder, max_steps=3).fit()
    before = {path.name: path.read_bytes() for path in (folder / 'weights').iterdir()}
    trainer = toy.make_trainer(folder, resume=True)
    FullDisk.room = room
    with monkeypatch.context() as patch:
        patch.setattr('engine.saving.open', FullDisk, raising=False)
        patch.setattr(toy, 'open', FullDisk, raising=False)
        with pytest.raises(CheckpointError, match='No space left on device') as caught:
            trainer.fit()
    assert '\n' not in str(caught.value)
    assert {path.name: path.read_bytes() for path in (folder / 'weights').iterdir()} == before
    rest = toy.make_trainer(folder, resume=True)
    rest.fit()
    assert toy.same(toy.everything(rest), toy.everything(uninterrupted))


def test_a_disk_that_fills_up_while_a_sample_is_written_is_told_in_one_line_too(toy, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr('engine.journal.save_picture', refuse)
    with pytest.raises(CheckpointError, match='the disk is full .* go on with: python train_toy.py --resume'):
        toy.make_trainer(tmp_path / 'run', sample_step=5).fit()
    assert read_state(tmp_path / 'run')['epoch'] == 1


# ---- Steps


def poison(batch) -> None:
    batch['target'] = batch['target'] * torch.nan


@pytest.mark.parametrize('amp', ['off', 'fp16'])
def test_a_loss_that_is_not_finite_stops_with_all_terms_and_file_names(toy, tmp_path, log, amp):
    stage = toy.ToyStage(spoil=lambda stage, batch: poison(batch) if len(stage.steps) == 5 else None)
    with pytest.raises(DivergedError) as caught:
        toy.make_trainer(tmp_path / 'run', stage, amp=amp).fit()
    names = ' '.join(stage.steps[4][1])
    text = str(caught.value)
    assert (
        text.startswith('step 5, epoch 2: the loss is nan (square nan, length 0.')
        and f'person_name {names};' in text
    )
    assert '\n' not in text and text in log()
    assert caught.value.exit_status == 1
    state = read_state(tmp_path / 'run')
    assert state['step'] == 3 and all(x.isfinite().all() for x in state['networks']['near'].values())


def test_a_loss_that_is_not_finite_has_no_backward_pass(toy, tmp_path):
    """On a CPU that of a sampling at NaN may end the process without a word."""
    passes = []
    stage = toy.ToyStage(spoil=lambda stage, batch: poison(batch) if len(stage.steps) == 2 else None)
    stage.networks['far'][1].weight.register_hook(lambda _: passes.append(len(stage.steps)))
    with pytest.raises(DivergedError):
        toy.make_trainer(tmp_path / 'run', stage).fit()
    assert passes == [1]


def test_under_fp16_a_step_with_infinite_gradients_is_skipped_and_training_goes_on(toy, tmp_path):
    def overflow(stage, batch):
        scales.append(trainer.scaler.get_scale())
        if len(stage.steps) == 5:
            before.extend(toy.everything(trainer))
            batch['target'] = (
                batch['target'] + 1e17
            )  # squared 1e34: finite, but not times the scale of the loss
        elif len(stage.steps) == 6:
            after.extend(toy.everything(trainer))

    before, after, scales = [], [], []
    trainer = toy.make_trainer(tmp_path / 'run', toy.ToyStage(spoil=overflow), amp='fp16', max_steps=6)
    assert trainer.fit() == 0
    running = [index for index, x in enumerate(before) if not torch.equal(x, after[index])]
    names = list(trainer.stage.networks['near'].state_dict())
    assert all(
        'running' in names[index] or 'num_batches' in names[index] for index in running if index < len(names)
    )
    assert all(index < len(names) for index in running), 'the optimiser or the other network has moved'
    assert scales[5] == scales[4] / 2
    resumed = toy.make_trainer(tmp_path / 'run', resume=True, amp='fp16')
    assert resumed.scaler.get_scale() == trainer.scaler.get_scale() < 65536


def test_mixed_precision_holds_during_the_step_and_weights_stay_float32(toy, tmp_path):
    seen = []
    stage = toy.ToyStage(
        spoil=lambda *_: seen.append((torch.is_autocast_enabled('cpu'), torch.get_autocast_dtype('cpu')))
    )
    trainer = toy.make_trainer(tmp_path / 'run', stage, amp='bf16', max_steps=1)
    trainer.fit()
    assert seen == [(True, torch.bfloat16)]
    assert {p.dtype for p in stage.networks['near'].parameters()} == {torch.float32}


def batches_of(trainer) -> list[dict]:
    trainer.loader.dataset.set_epoch(1)
    return list(trainer.loader)


def gradients(trainer, batches) -> torch.Tensor:
    trainer.backward(batches, 1)
    return torch.cat([p.grad.flatten() for group in trainer.optimizer.param_groups for p in group['params']])


def test_accumulated_gradients_are_the_mean_of_those_of_the_batches(toy, tmp_path):
    trainer = toy.make_trainer(tmp_path / 'run', toy.ToyStage(noise=0.0), accumulate=3)
    batches = batches_of(trainer)
    single = torch.stack([gradients(trainer, [batch]) for batch in batches])
    torch.testing.assert_close(gradients(trainer, batches), single.mean(dim=0))


def test_accumulating_makes_one_step_of_several_batches_and_of_those_left_over(toy, tmp_path):
    trainer = toy.make_trainer(tmp_path / 'run', accumulate=2, niter=1, niter_decay=0)
    trainer.fit()
    assert trainer.step == 2 and len(trainer.stage.steps) == 3


def test_an_interrupted_run_that_accumulates_goes_on_bit_for_bit(toy, tmp_path):
    options = {'accumulate': 2, 'niter': 2, 'niter_decay': 0, 'records': 10}
    whole = toy.make_trainer(tmp_path / 'whole', **options)
    whole.fit()
    toy.make_trainer(tmp_path / 'run', **options, max_steps=2).fit()
    rest = toy.make_trainer(tmp_path / 'run', **options, resume=True)
    rest.fit()
    assert rest.step == whole.step == 6
    assert toy.same(toy.everything(rest), toy.everything(whole))


def test_clipping_bounds_the_norm_of_the_gradient_of_all_networks_together(toy, tmp_path):
    def norm(**settings):
        trainer = toy.make_trainer(tmp_path / f'run{len(settings)}', max_steps=1, **settings)
        trainer.fit()
        return torch.cat(
            [p.grad.flatten() for g in trainer.optimizer.param_groups for p in g['params']]
        ).norm()

    assert norm() > 0.02
    torch.testing.assert_close(norm(grad_clip=0.01), torch.tensor(0.01), rtol=1e-3, atol=0)


def test_channels_last_holds_for_weights_and_pictures(toy, tmp_path):
    layouts = []
    stage = toy.ToyStage(
        spoil=lambda _, batch: layouts.append(batch['image'].is_contiguous(memory_format=torch.channels_last))
    )
    toy.make_trainer(tmp_path / 'run', stage, channels_last=True, max_steps=1).fit()
    assert layouts == [True]
    assert stage.networks['near'][0].weight.is_contiguous(memory_format=torch.channels_last)


def test_synchronised_batch_norm_keeps_the_names_of_the_weights(toy, tmp_path):
    before = list(toy.ToyStage().networks['near'].state_dict())
    trainer = toy.make_trainer(tmp_path / 'run', sync_bn=True)
    trainer.process = Process(world=2)
    trainer._place_networks()
    near = trainer.stage.networks['near']
    assert isinstance(near[1], torch.nn.SyncBatchNorm) and list(near.state_dict()) == before
    assert trainer.optimizer.param_groups[0]['params'][2] is near[1].weight


def test_compiled_networks_are_called_and_bare_ones_saved(toy, tmp_path, monkeypatch):
    calls = []

    def compiled(network):
        wrapper = torch.nn.Sequential(network)
        wrapper.register_forward_pre_hook(lambda *_: calls.append(network))
        return wrapper

    monkeypatch.setattr(torch, 'compile', compiled)
    trainer = toy.make_trainer(tmp_path / 'run', compile=True, max_steps=1)
    trainer.fit()
    assert calls == list(trainer.stage.networks.values())
    assert list(read_state(tmp_path / 'run')['networks']['near']) == list(
        trainer.stage.networks['near'].state_dict()
    )


# ---- What a run leaves


def test_a_run_leaves_log_curves_samples_and_checkpoints(toy, tmp_path, log):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = tmp_path / 'run'
    toy.make_trainer(folder, sample_step=5, save_period=2, print_step=2).fit()
    files = (path for path in folder.rglob('*.*') if 'tfevents' not in path.name and path.name != LOCK_FILE)
    names = sorted(path.relative_to(folder).as_posix() for path in files)
    kept = [
        f'weights/{name}_{when}.pt' for name in ('far', 'near') for when in ('epoch_2', 'epoch_4', 'last')
    ]
    assert names == ['samples/10.jpg', 'samples/5.jpg', *kept, f'weights/{STATE_FILE}']
    assert torch.load(folder / 'weights' / 'near_epoch_2.pt', weights_only=True)['epoch'] == 2
    events = EventAccumulator(str(folder)).Reload()
    assert {'train/loss', 'train/square', 'train/length', 'lr/near', 'lr/far'} <= set(
        events.Tags()['scalars']
    )
    assert [event.step for event in events.Scalars('train/loss')] == [2, 3, 4, 6, 8, 9, 10, 12]
    assert set(events.Tags()['images']) >= {'samples/person', 'samples/guess'}
    assert 'epoch 2/4 (1/3) step 4: loss 0.' in log() and 'records/s' in log()
    assert 'training near: ' in log()


def test_a_logged_term_is_the_mean_over_the_steps_since_the_last_line(toy, tmp_path):
    from engine.journal import Means

    means = Means()
    for value in (1.0, 2.0, 6.0):
        means.add({'loss': torch.tensor(value)})
    assert means.take() == {'loss': 3.0}
    assert means.take() == {}


def test_the_networks_with_the_lowest_score_are_kept_as_best(toy, tmp_path, log):
    scores = iter([5.0, 3.0, 4.0, 3.5])
    folder = tmp_path / 'run'
    trainer = toy.make_trainer(folder, validate=lambda _: next(scores))
    trainer.fit()
    assert trainer.best == 3.0
    assert torch.load(folder / 'weights' / 'near_best.pt', weights_only=True)['epoch'] == 2
    assert (
        'epoch 2: score 3.0000, the best so far' in log() and 'epoch 3: score 4.0000 (best 3.0000)' in log()
    )


def test_the_best_score_outlives_the_run_and_a_validation_that_was_killed_is_made_up_for(toy, tmp_path):
    folder = tmp_path / 'run'
    toy.make_trainer(folder, validate=lambda _: 3.0, max_steps=3).fit()

    def killed(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        toy.make_trainer(folder, validate=killed, resume=True).fit()
    validated = []
    trainer = toy.make_trainer(
        folder, validate=lambda _: validated.append(trainer.epoch) or 4.0, resume=True, max_steps=6
    )
    assert trainer.fit() == 0
    assert validated == [2] and trainer.best == 3.0
    assert torch.load(folder / 'weights' / 'near_best.pt', weights_only=True)['epoch'] == 1


def test_a_validation_that_fails_once_costs_that_epochs_score_alone(toy, tmp_path, log):
    scores = iter([5.0, None, 3.0, 4.0])
    trainer = toy.make_trainer(tmp_path / 'run', validate=lambda _: next(scores))
    assert trainer.fit() == 0 and trainer.best == 3.0
    assert log().count('the validation gave no score') == 1
    assert torch.load(tmp_path / 'run' / 'weights' / 'near_best.pt', weights_only=True)['epoch'] == 3


def test_curves_and_a_line_show_the_means_of_each_epoch_of_an_interrupted_one_too(toy, tmp_path, log):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = tmp_path / 'run'
    spoken = {}
    for max_steps in (5, None):
        stage = toy.ToyStage()
        trainer = toy.make_trainer(
            folder, stage, resume=max_steps is None, max_steps=max_steps, niter=2, niter_decay=0
        )
        step = trainer._step

        def noting(batches, epoch, step=step, trainer=trainer):
            result = step(batches, epoch)
            spoken.setdefault(epoch, []).append(trainer.loss)
            return result

        trainer._step = noting
        trainer.fit()
    events = EventAccumulator(str(folder)).Reload().Scalars('train_loss')
    assert [event.step for event in events] == [1, 2] and [len(losses) for losses in spoken.values()] == [
        3,
        3,
    ]
    for event in events:
        assert event.value == pytest.approx(sum(spoken[event.step]) / 3, rel=1e-6)
        assert f'epoch {event.step}/2: train_loss {event.value:.4g}' in log()


def test_networks_train_in_training_mode_though_validation_leaves_them_in_eval_mode(toy, tmp_path):
    modes = []
    stage = toy.ToyStage(spoil=lambda stage, _: modes.append(stage.networks['near'].training))

    def validate(_):
        stage.networks['near'].eval()
        return 1.0

    toy.make_trainer(tmp_path / 'run', stage, validate=validate).fit()
    assert modes == [True] * 12


# ---- The four scripts


COMMON = [
    '--size',
    '64',
    '64',
    '--batch_size',
    '1',
    '--workers',
    '0',
    '--teacher',
    'dm_vton',
    '--student',
    'dm_vton',
]
COMMON += ['--vgg_weights', 'none', '--device', 'cpu', '--sample_step', '1']


@pytest.fixture(scope='module')
def runs(tiny_sets, module_path):
    """The four stages one after the other by their scripts, a step each; FID is a stand-in. Returns the
    project folder.
    """
    import train_pb_e2e
    import train_pb_warp
    import train_pf_e2e
    import train_pf_warp

    def train(script, name, *options):
        data = ['--dataroot', str(tiny_sets / 'train'), '--project', str(module_path), '--name', name]
        assert script.main([*COMMON, *data, '--max_steps', '1', *options]) == 0

    def last(run, *networks):
        return [
            word
            for n in networks
            for word in (f'--{n}_checkpoint', str(module_path / run / 'weights' / f'{n}_last.pt'))
        ]

    with pytest.MonkeyPatch.context() as patch:
        fid = SimpleNamespace(fid=lambda real, made: 42.0)
        patch.setattr('engine.evaluate.create_inception', lambda **_: fid)
        train(train_pb_warp, 'Teacher_warp', '--niter', '1', '--niter_decay', '1')
        train(train_pb_e2e, 'Teacher_e2e', *last('Teacher_warp', 'pb_warp'))
        teacher = last('Teacher_e2e', 'pb_warp', 'pb_gen')
        train(train_pf_warp, 'Student_warp', *teacher)
        student = last('Student_warp', 'pf_warp')
        # One batch takes the whole set, so this step completes an epoch, after which there is a validation.
        val = [
            '--dataroot',
            str(tiny_sets / 'small'),
            '--valroot',
            str(tiny_sets / 'test'),
            '--batch_size',
            '2',
        ]
        train(train_pf_e2e, 'Student_e2e', *teacher, *student, *val)
    return module_path


def test_each_script_trains_a_step_and_leaves_checkpoints_that_describe_themselves(runs):
    from models.checkpoint import load_network

    trained = {
        'Teacher_warp': ['pb_warp'],
        'Teacher_e2e': ['pb_warp', 'pb_gen'],
        'Student_warp': ['pf_warp'],
        'Student_e2e': ['pf_warp', 'pf_gen'],
    }
    for run, networks in trained.items():
        assert (runs / run / 'log.txt').stat().st_size and (runs / run / 'opt.yaml').stat().st_size
        assert (runs / run / 'samples' / '1.jpg').stat().st_size
        assert list(read_state(runs / run)['networks']) == networks
        for name in networks:
            part, role = (
                ('warp' if 'warp' in name else 'generator'),
                ('teacher' if 'pb' in name else 'student'),
            )
            path = runs / run / 'weights' / f'{name}_last.pt'
            _, info = load_network(path, part=part, role=role)
            assert (info.format, info.family, info.size) == ('self-describing', 'dm_vton', (64, 64))
            assert info.align_corners is (False if part == 'warp' else None)


def test_each_stage_starts_from_the_one_before(runs):
    def weights(run, name):
        return torch.load(runs / run / 'weights' / f'{name}_last.pt', weights_only=True)['model']

    for name, before, after in (
        ('pb_warp', 'Teacher_warp', 'Teacher_e2e'),
        ('pf_warp', 'Student_warp', 'Student_e2e'),
    ):
        first, second = weights(before, name), weights(after, name)
        key = 'aflow_net.netMain.0.0.weight'
        assert not torch.equal(first[key], second[key])
        # Adam's first step moves each weight by the learning rate, here a fifth of 5e-5.
        torch.testing.assert_close(first[key], second[key], rtol=0, atol=1.1e-5)


def test_the_student_of_the_lowest_fid_is_kept_and_its_pictures_are_there(runs):
    run = runs / 'Student_e2e'
    assert {path.name for path in (run / 'weights').glob('*_best.pt')} == {
        'pf_warp_best.pt',
        'pf_gen_best.pt',
    }
    assert len(list((run / 'validation' / 'tryon').iterdir())) == 3
    assert 'epoch 1: FID 42.0000, the best so far' in (run / 'log.txt').read_text()


def test_a_run_goes_on_by_its_folder_alone_and_equals_one_that_was_never_interrupted(
    runs, tiny_sets, tmp_path
):
    import train_pb_warp

    data = ['--dataroot', str(tiny_sets / 'train'), '--project', str(tmp_path), '--name', 'whole']
    assert train_pb_warp.main([*COMMON, *data, '--niter', '1', '--niter_decay', '1', '--max_steps', '2']) == 0
    assert train_pb_warp.main(['--resume', str(runs / 'Teacher_warp'), '--max_steps', '2']) == 0
    whole, resumed = (read_state(folder) for folder in (tmp_path / 'whole', runs / 'Teacher_warp'))
    assert whole['step'] == resumed['step'] == 2 and whole['records'] == resumed['records'] == 2
    assert json.dumps(whole['random'][0]['random']) == json.dumps(resumed['random'][0]['random'])
    for name, x in whole['networks']['pb_warp'].items():
        assert torch.equal(x, resumed['networks']['pb_warp'][name]), name


def test_without_inception_weights_training_says_so_once_and_keeps_no_best(
    runs, tiny_sets, tmp_path, monkeypatch
):
    import train_pf_e2e
    from engine.metrics import WeightsUnavailable

    def unavailable(**_):
        raise WeightsUnavailable('no network; give them by --fid_weights PATH')

    monkeypatch.setattr('engine.evaluate.create_inception', unavailable)
    monkeypatch.setattr(Trainer, 'fit', lambda self: 0 if self.validate is None else 1)
    teacher = runs / 'Teacher_e2e' / 'weights'
    options = [
        '--pb_warp_checkpoint',
        str(teacher / 'pb_warp_last.pt'),
        '--pb_gen_checkpoint',
        str(teacher / 'pb_gen_last.pt'),
    ]
    data = [
        '--dataroot',
        str(tiny_sets / 'train'),
        '--valroot',
        str(tiny_sets / 'test'),
        '--project',
        str(tmp_path),
    ]
    assert train_pf_e2e.main([*COMMON, *data, *options]) == 0
    text = (tmp_path / 'exp' / 'log.txt').read_text()
    assert text.count('no best networks are kept') == 1 and '--fid_weights PATH' in text
    assert 'no --pf_warp_checkpoint: pf_warp starts untrained' in text


@pytest.mark.parametrize(
    ('stage', 'options', 'words'),
    [
        ('pf_warp', ['--pb_warp_checkpoint', 'W', '--pb_gen_checkpoint', 'W'], 'are the two files swapped'),
        ('pb_warp', ['--pb_warp_checkpoint', 'none.pt'], 'no such file'),
        ('pb_warp', ['--pb_warp_checkpoint', 'W', '--teacher', 'pf_afn'], 'asked was afwm'),
        ('pb_warp', ['--size', '32', '64'], 'too small'),
        ('pb_warp', ['--size', '80', '64'], 'multiples of 32'),
        ('pb_warp', ['--teacher', 'fs_vton'], 'tied to 256 x 192'),
        ('pb_warp', ['--dataroot', 'nowhere'], 'no such folder'),
        ('pb_warp', ['--vgg_weights', 'nowhere.pth'], 'no such file'),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line_before_there_is_a_run_folder(
    runs, tiny_sets, tmp_path, capsys, stage, options, words
):
    script = __import__(f'train_{stage}')
    warp = str(runs / 'Teacher_warp' / 'weights' / 'pb_warp_last.pt')
    options = [warp if word == 'W' else word for word in options]
    with pytest.raises(SystemExit) as caught:
        script.main(
            [
                *COMMON,
                '--dataroot',
                str(tiny_sets / 'train'),
                '--project',
                str(tmp_path / 'project'),
                *options,
            ]
        )
    error = capsys.readouterr().err
    assert caught.value.code in (1, 2)
    assert error.startswith('error: ') and error.count('\n') == 1 and words in error, error
    assert not (tmp_path / 'project').exists()
