"""Records of a training run: lines in the log, curves for TensorBoard, sample sheets, a progress bar."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from utils.log import NAME
from utils.visual import contact_sheet, panel_row, save_picture, to_picture

SAMPLE_ROWS = 4  # records of a batch that a sample sheet shows
# TensorBoard curves over epochs as the published training names them, by the terms of a step.
EPOCH_CURVES = {'loss': 'train_loss', 'warp': 'train_warp_loss', 'gen': 'train_gen_loss'}


class Means:
    """Means of named scalars over steps, kept on their device: reading one would wait for the device."""

    def __init__(self, sums: Mapping[str, float] | None = None, count: int = 0):
        self.sums: dict[str, Tensor] = {name: torch.tensor(value) for name, value in (sums or {}).items()}
        self.count = count

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Count the terms of one batch."""
        for name, value in terms.items():
            self.sums[name] = value + self.sums[name] if name in self.sums else value
        self.count += 1

    def state(self) -> dict[str, Any]:
        """The arguments that make another one with the same sums."""
        return {'sums': {name: value.item() for name, value in self.sums.items()}, 'count': self.count}

    def take(self) -> dict[str, float]:
        """Return the means since the last time, and begin anew."""
        if not self.count:
            return {}
        values = (torch.stack([value.float() for value in self.sums.values()]) / self.count).tolist()
        means = dict(zip(self.sums, values, strict=True))
        self.sums, self.count = {}, 0
        return means


class Journal:
    """Log, TensorBoard events, samples and progress bar of the run in `folder`; silent where `active` is off.

    `step` counts the steps done before: their curves stay, later ones of a killed run are superseded.
    """

    def __init__(self, folder: Path, *, step: int = 0, active: bool = True):
        self.folder = folder
        self.active = active
        self.logger = logging.getLogger(NAME)
        self.board = SummaryWriter(str(folder), purge_step=step + 1) if active else None
        self.since = time.perf_counter()

    def say(self, text: str) -> None:
        """Write a line to the log."""
        if self.active:
            self.logger.info(text)

    def curves(self, group: str, values: Mapping[str, float], step: int) -> None:
        """Continue TensorBoard's curves `group/name`."""
        self._draw({f'{group}/{name}': value for name, value in values.items()}, step)

    def _draw(self, values: Mapping[str, float], step: int) -> None:
        if self.board is not None:
            for name, value in values.items():
                self.board.add_scalar(name, value, step)

    def epoch(self, means: Mapping[str, float], epoch: int, epochs: int) -> None:
        """Continue the curves of whole epochs, under the published names, and log their values."""
        values = {name: means[term] for term, name in EPOCH_CURVES.items() if term in means}
        self._draw(values, epoch)
        if values:
            shown = ', '.join(f'{name} {value:.4g}' for name, value in values.items())
            self.say(f'epoch {epoch}/{epochs}: {shown}')

    def sample(self, panels: Mapping[str, Tensor], step: int) -> None:
        """Write panels [N, 3, H, W] as `samples/<step>.jpg`, a record a row, and to TensorBoard."""
        if self.board is None or not panels:
            return
        rows = [
            panel_row([to_picture(panel[index]) for panel in panels.values()])
            for index in range(min(SAMPLE_ROWS, len(next(iter(panels.values())))))
        ]
        sheet = contact_sheet(rows, titles=[name.replace('_', ' ') for name in panels], note=f'step {step}')
        (self.folder / 'samples').mkdir(exist_ok=True)
        save_picture(sheet, self.folder / 'samples' / f'{step}.jpg')
        for name, panel in panels.items():
            self.board.add_images(f'samples/{name}', (panel[:SAMPLE_ROWS].float().clamp(-1, 1) + 1) / 2, step)

    def lap(self) -> float:
        """Seconds since the last call."""
        before, self.since = self.since, time.perf_counter()
        return self.since - before

    def progress(self, title: str, *, total: int, done: int) -> tqdm:
        """A progress bar of an epoch's steps, with rate and time left, where somebody looks at a terminal."""
        options: dict[str, Any] = {'unit': 'step', 'dynamic_ncols': True}
        return tqdm(total=total, initial=done, desc=title, disable=None if self.active else True, **options)

    def close(self) -> None:
        """Write out what TensorBoard still holds."""
        if self.board:
            self.board.close()
