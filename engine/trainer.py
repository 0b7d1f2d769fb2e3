"""Training of any stage: epochs, optimiser steps, mixed precision, logging, checkpoints, resuming, processes.

Several processes (torchrun) train by distributed data parallel: each one takes its share of the records, and
gradients are averaged. That equals one process with a batch as large as all theirs together where the loss is
a mean over the batch and batch norm's statistics are shared (`sync_bn`) or frozen. The distillation of the
student stages divides by the number of open gates, which each process counts in its own batch, so there the
average differs slightly. Logged terms are the first process's.
"""

import contextlib
import itertools
import math
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from tqdm.contrib.logging import logging_redirect_tqdm

from engine.averaging import Average
from engine.base_stage import Stage, StepResult
from engine.claim import claim, release
from engine.distributed import Process, random_states, set_random_states
from engine.divergence import DivergedError, diverged_error
from engine.journal import Journal, Means
from engine.profiling import count_parameters
from engine.published_runs import published_state
from engine.saving import STATE_FILE, is_disk_full, read_state, remove_leftovers, write_state, write_together
from engine.schedule import create_optimizer, load_optimizer, parameters_of, rate_factor, set_learning_rates
from engine.settings import AMP, TrainSettings
from engine.signals import StopSignals, outlive_signals
from utils.device import move_batch
from utils.errors import CheckpointError, UserError

NUMBERS = ('step', 'epoch', 'records', 'validated', 'best')  # attributes of a trainer that its state keeps


def _groups(batches: Iterable, size: int) -> Iterator[list]:
    batches = iter(batches)
    while group := list(itertools.islice(batches, size)):
        yield group


class Trainer:
    """Trains the networks of a stage in a run folder; `fit()` does it all.

    `loader` yields the stage's batches; its data set has `set_epoch`, its sampler is a
    `engine.distributed.Share`. `save_network(path, name, extra)` writes one of the stage's networks. The
    run's state, with all that continuing needs, is one file, `weights/state_last.pt`; the networks' files
    beside it are for everyone else. With `settings.run` training continues from the state in `folder`, with
    `settings.begun` from published checkpoints. `validate(folder)` returns the score of the networks, the
    lower the better, or None, and may leave files in its folder; its `name`, if any, names the score, its
    `reason` says why there is none. Raises `UserError` for settings that do not fit the state, and where
    another process trains in the folder.
    """

    def __init__(
        self,
        stage: Stage,
        loader: DataLoader,
        settings: TrainSettings,
        *,
        folder: Path,
        save_network: Callable[[Path, str, Mapping[str, Any]], None],
        process: Process | None = None,
        validate: Callable[[Path], float | None] | None = None,
    ):
        self.stage, self.loader, self.settings, self.folder = stage, loader, settings, Path(folder)
        self.save_network, self.validate = save_network, validate
        self.process = process or Process()
        self.device = self.process.device
        self.epochs, self.amp = settings.epochs, AMP[settings.amp]
        self.memory_format = torch.channels_last if settings.channels_last else torch.preserve_format
        self.step = self.epoch = self.records = self.validated = 0
        self.best: float | None = None
        self.stop_signal = 0  # the signal that all processes have agreed to stop for
        self.means, self.epoch_means = Means(), Means()
        self.signals = StopSignals(impatient=self.process.world == 1)

        self.lock = claim(self.folder) if self.process.is_first else None
        self.process.wait()  # no process reads a state that another training may still replace
        self._place_networks()
        trained = {name: stage.networks[name] for name in stage.lr_scale}
        self.optimizer = create_optimizer(
            settings.optimizer, trained, lr=settings.lr, momentum=settings.momentum, lr_scale=stage.lr_scale
        )
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=settings.amp == 'fp16')
        self.average = None if settings.ema is None else Average(trained, decay=settings.ema)
        if settings.run is not None:
            self._load_state(read_state(self.folder))
        elif settings.begun:
            files = {name: Path(settings.begun[name]) for name in stage.lr_scale}
            self._load_state(published_state(files, stage, settings))
        self.parallel = self._wrap_networks()
        if loader.num_workers:
            loader.worker_init_fn = outlive_signals
        self.dataset = cast(Any, loader.dataset)  # has `set_epoch`
        self.sampler = cast(Any, loader.sampler)  # a `Share`
        self.sampler.start = 0
        self.batch_size = loader.batch_size or 1
        self.batches = len(loader)  # of an epoch

    # ---- Before

    def _place_networks(self) -> None:
        self.stage.to(self.device)
        if self.settings.channels_last:
            self.stage.to(memory_format=torch.channels_last)
        for name in self.stage.lr_scale if self.settings.sync_bn and self.process.world > 1 else ():
            nn.SyncBatchNorm.convert_sync_batchnorm(self.stage.networks[name])

    def _wrap_networks(self) -> list[DistributedDataParallel]:
        """Let steps go through data parallelism and compiled code; returns what averages gradients."""
        parallel: list[DistributedDataParallel] = []
        for name in self.stage.lr_scale:
            learns = any(parameter.requires_grad for parameter in self.stage.networks[name].parameters())
            if self.process.world > 1 and learns:
                devices = [self.device] if self.device.type == 'cuda' else None
                self.stage.wrap(name, partial(DistributedDataParallel, device_ids=devices))
                parallel.append(cast(DistributedDataParallel, self.stage.modules[name]))
            if self.settings.compile:
                # The overloads of torch.compile do not say that a module stays one.
                self.stage.wrap(name, torch.compile)  # type: ignore[arg-type]
        return parallel

    def _load_state(self, state: Mapping[str, Any]) -> None:
        trained = list(self.stage.lr_scale)
        if list(state['networks']) != trained:
            raise UserError(
                f'{self.folder} trains {", ".join(state["networks"])}, this stage {", ".join(trained)}; '
                'continue it with the script that began it'
            )
        if state['optimizer_name'] != self.settings.optimizer:
            raise UserError(
                f'{self.folder} was trained with {state["optimizer_name"]}, '
                f'asked was {self.settings.optimizer}; continue with --optimizer {state["optimizer_name"]}'
            )
        try:
            for name, weights in state['networks'].items():
                self.stage.networks[name].load_state_dict(weights)
            load_optimizer(self.optimizer, state['optimizer'])
        except (RuntimeError, ValueError) as error:
            raise CheckpointError(
                f'{self.folder}: its state does not fit the networks of this stage; '
                'give the families it was begun with'
            ) from error
        if self.scaler.is_enabled() and state['scaler']:
            self.scaler.load_state_dict(state['scaler'])
        if self.average is not None and state.get('average'):
            self.average.load_state_dict(state['average'])
        for name in NUMBERS:
            setattr(self, name, state[name])
        self.epoch_means = Means(**state.get('means', {}))
        if self.process.rank < len(state['random']):
            set_random_states(state['random'][self.process.rank])

    # ---- During

    def fit(self) -> int:
        """Train until the last epoch, `max_steps` or a signal; return 0, or 128 plus the signal's number.

        A signal lets the step be finished and saves. Raises `DivergedError` for a loss that is not finite,
        `CheckpointError` where a checkpoint cannot be written; the one before stays.
        """
        try:
            with contextlib.ExitStack() as stack:
                stack.callback(release, self.lock)
                self.journal = Journal(self.folder, step=self.step, active=self.process.is_first)
                stack.callback(self.journal.close)
                stack.enter_context(logging_redirect_tqdm([self.journal.logger]))
                stack.enter_context(self.signals)
                self._train()
        except DivergedError as error:
            self.journal.say(str(error))
            raise
        except OSError as error:
            if isinstance(error, UserError) or not is_disk_full(error):
                raise
            raise CheckpointError(
                f'{self.folder}: the disk is full ({error.strerror}); the last checkpoint is untouched, '
                f'make room and go on with: {self.command}'
            ) from error
        return 128 + self.stop_signal if self.stop_signal else 0

    def _train(self) -> None:
        if self.process.is_first:
            (self.folder / 'weights').mkdir(exist_ok=True)
            remove_leftovers(self.folder / 'weights')
        for name in self.stage.lr_scale:
            network = self.stage.networks[name]
            self.journal.say(f'training {name}: {count_parameters(network):,} parameters')
            if self.settings.verbose:
                self.journal.say(str(network))
        if self.step:
            epoch = min(self.epoch + 1, self.epochs)
            self.journal.say(f'continuing after step {self.step}, in epoch {epoch} of {self.epochs}')
        self._validate()
        while self.epoch < self.epochs and not self._is_over():
            if self._train_epoch():
                self._finish_epoch()
            else:
                self._save('last')
        self.journal.say(self._farewell())

    def _is_over(self) -> bool:
        limit = self.settings.max_steps
        return bool(self.stop_signal) or (limit is not None and self.step >= limit)

    def _train_epoch(self) -> bool:
        """Train on what is left of an epoch; returns whether it is complete."""
        epoch = self.epoch + 1
        self.dataset.set_epoch(epoch)
        self.sampler.start = self.records
        left = len(self.loader)
        self.stage.train()
        self.journal.lap()
        accumulate = self.settings.accumulate
        steps, done = (math.ceil(count / accumulate) for count in (self.batches, self.batches - left))
        with self.journal.progress(f'epoch {epoch}/{self.epochs}', total=steps, done=done) as progress:
            for batches in _groups(self.loader, accumulate):
                rates = self._set_learning_rates(self.batches - left)
                result = self._step(batches, epoch)
                left -= len(batches)
                self.records += len(batches) * self.batch_size * self.process.world
                progress.set_postfix(loss=f'{self.loss:.4g}', refresh=False)
                progress.update()
                self._report(result, rates, epoch, left)
                if self._is_over():
                    break
        return left <= 0

    def _set_learning_rates(self, done: int) -> dict[str, float]:
        """Set the rates of the next step, `done` batches into the epoch."""
        settings = self.settings
        factor = rate_factor(
            self.epoch,
            done / self.batches,
            self.step,
            schedule=settings.schedule,
            warm_up=settings.warm_up,
            niter=settings.niter,
            niter_decay=settings.niter_decay,
        )
        return set_learning_rates(self.optimizer, factor)

    def _step(self, batches: list[Mapping[str, Any]], epoch: int) -> StepResult:
        result = self.backward(batches, epoch)
        if self.settings.grad_clip is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(parameters_of(self.optimizer), self.settings.grad_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update()
        self.step += 1
        return result

    def backward(self, batches: list[Mapping[str, Any]], epoch: int) -> StepResult:
        """Leave the mean gradient of batches and processes in the parameters; return the last result.

        With fp16 the gradients are scaled. Raises `DivergedError` in all processes for one loss not finite.
        """
        self.optimizer.zero_grad(set_to_none=True)
        losses: list[float] = []
        for batch in batches:
            with contextlib.ExitStack() as stack:
                for network in self.parallel if len(losses) < len(batches) - 1 else ():
                    stack.enter_context(network.no_sync())  # gradients are averaged once a step
                with torch.autocast(self.device.type, dtype=self.amp, enabled=self.amp is not None):
                    result = self.stage.step(move_batch(batch, self.device, self.memory_format), epoch)
                losses.append(result.loss.item())
                # Before the backward pass: that of a sampling at NaN reads anywhere in memory on a CPU.
                diverged, self.stop_signal = self.process.highest(
                    not math.isfinite(losses[-1]), self.signals.received
                )
                if diverged:
                    where = f'step {self.step + 1}, epoch {epoch}'
                    raise diverged_error(where, losses[-1], result, batch)
                self.scaler.scale(result.loss / len(batches)).backward()
            result = result._replace(loss=result.loss.detach())
            for means in (self.means, self.epoch_means):
                means.add({'loss': result.loss, **result.terms})
        self.loss = sum(losses) / len(losses)
        return result

    def _report(self, result: StepResult, rates: Mapping[str, float], epoch: int, left: int) -> None:
        sample_step, print_step = self.settings.sample_step, self.settings.print_step
        if sample_step and self.step % sample_step == 0:
            self.journal.sample(result.panels, self.step)
        counted = self.means.count
        if not (print_step and self.step % print_step == 0) and left > 0 and not self._is_over():
            return
        means = self.means.take()
        self.journal.curves('train', means, self.step)
        self.journal.curves('lr', rates, self.step)
        seconds = self.journal.lap() / counted
        records = self.batch_size * self.process.world / seconds
        remaining = timedelta(seconds=round(seconds * (left + (self.epochs - epoch) * self.batches)))
        terms = ', '.join(f'{name} {value:.4g}' for name, value in means.items())
        self.journal.say(
            f'epoch {epoch}/{self.epochs} ({self.batches - left}/{self.batches}) step {self.step}: {terms}; '
            f'lr {max(rates.values()):.3g}; {records:.3g} records/s, {remaining} left'
        )

    # ---- After an epoch

    def _finish_epoch(self) -> None:
        self.epoch += 1
        self.records = 0
        self.journal.epoch(self.epoch_means.take(), self.epoch, self.epochs)
        kept = [f'epoch_{self.epoch}'] if self.epoch % self.settings.save_period == 0 else []
        self._save('last', *kept)
        self._validate()
        (self.stop_signal,) = self.process.highest(self.signals.received)

    def _validate(self) -> None:
        """Score the last complete epoch, if that is not done; keep the networks if they are the best."""
        if self.validate is None or self.records or self.validated == self.epoch:
            return
        # Running statistics of batch norm: each process has those of its own records.
        for name in self.stage.lr_scale:
            self.process.copy_from_first(self.stage.networks[name].buffers())
        score = self.validate(self.folder / 'validation')
        self.validated = self.epoch
        if score is None:
            reason = getattr(self.validate, 'reason', None) or 'no reason given'
            self.journal.say(
                f'epoch {self.epoch}: the validation gave no score ({reason}), so it keeps no best networks'
            )
            return
        better = self.best is None or score < self.best
        self.best = score if better else self.best
        name = getattr(self.validate, 'name', 'score')
        self.journal.curves('val', {name: score}, self.step)
        standing = ', the best so far' if better else f' (best {self.best:.4f})'
        self.journal.say(f'epoch {self.epoch}: {name} {score:.4f}{standing}')
        if better:
            self._save('last', 'best')

    def _save(self, *endings: str) -> None:
        """Write the state and the trained networks under names with these endings, all of them or none."""
        states = self.process.from_all(random_states())
        if self.process.is_first:
            self._write(endings, states)
        self.process.wait()

    def _write(self, endings: Sequence[str], states: list[dict[str, Any]]) -> None:
        trained = {name: self.stage.networks[name] for name in self.stage.lr_scale}
        numbers = {name: getattr(self, name) for name in ('step', 'epoch', 'best')}
        state = {
            **{name: getattr(self, name) for name in NUMBERS},
            'means': self.epoch_means.state(),
            'networks': {name: network.state_dict() for name, network in trained.items()},
            'optimizer_name': self.settings.optimizer,
            'optimizer': self.optimizer.state_dict(),
            'scaler': self.scaler.state_dict(),
            'random': states,
        }
        folder = self.folder / 'weights'
        writers: dict[Path, Callable[[Path], None]] = {}
        for name, ending in itertools.product(trained, endings):
            writers[folder / f'{name}_{ending}.pt'] = partial(self._write_network, name, numbers)
            if self.average is not None:
                writers[folder / f'{name}_ema_{ending}.pt'] = partial(self._write_average, name, numbers)
        if self.average is not None:
            state['average'] = self.average.state_dict()
        writers[folder / STATE_FILE] = partial(write_state, state=state)
        write_together(writers)

    def _write_network(self, name: str, extra: Mapping[str, Any], path: Path) -> None:
        self.save_network(path, name, extra)

    def _write_average(self, name: str, extra: Mapping[str, Any], path: Path) -> None:
        assert self.average is not None, 'only called with --ema'
        with self.average.in_place(name):
            self.save_network(path, name, extra)

    # ---- In the end

    @property
    def command(self) -> str:
        """The command that continues this run."""
        return self.settings.command(self.folder, self.process)

    def _farewell(self) -> str:
        if self.epoch >= self.epochs:
            return f'all {self.epochs} epochs are done: {self.folder / "weights"}'
        limit = f'--max_steps {self.settings.max_steps}'
        why = signal.Signals(self.stop_signal).name if self.stop_signal else limit
        return f'stopped after step {self.step} ({why}), all is saved; go on with: {self.command}'
