"""How fast the training stages are: records a second and peak memory of a step, plain and with the options that speed it up."""

import argparse
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.pipelines import PLAIN, in_turns
from engine.profiling import MEGA, peak_memory
from engine.stages import STAGES, create_stage
from models.registry import choose
from utils.device import describe_device
from utils.errors import UserError
from utils.log import format_table

AMP = {'bf16': torch.bfloat16, 'fp16': torch.float16}


class TrainingRow(NamedTuple):
    """What was measured of one stage in one way."""

    stage: str
    teacher: str
    student: str
    device: str
    way: str
    batch: int
    size: tuple[int, int]
    median_ms: float
    p95_ms: float
    samples_per_second: float
    speed_up: float  # against the plain row of the same stage and batch
    peak_mb: float  # beyond weights and optimiser
    calls: int


def made_up_batch(count: int, size: tuple[int, int], device: torch.device) -> dict[str, Tensor]:
    """A batch as the training loader yields it, of noise and random ids."""
    generator = torch.Generator().manual_seed(0)

    def noise(channels: int) -> Tensor:
        return torch.rand(count, channels, *size, generator=generator)

    batch = {name: noise(3) * 2 - 1 for name in ('image', 'color', 'color_un')}
    batch |= {name: (noise(1) > 0.5).float() for name in ('edge', 'edge_un')}
    batch |= {'label': (noise(1) * 14).floor(), 'densepose': (noise(1) * 25).floor()}
    batch['pose'] = torch.where(noise(18) > 0.99, 1.0, -1.0)
    return {name: value.to(device) for name, value in batch.items()}


def training_step(
    stage_name: str,
    batch: dict[str, Tensor],
    *,
    families: dict[str, str],
    device: torch.device,
    amp: str | None = None,
    channels_last: bool = False,
    compiled: bool = False,
) -> Callable[[], None]:
    """One step of a stage with new networks, without perceptual terms: loss, gradients, Adam."""
    torch.manual_seed(0)
    stage = create_stage(stage_name, **families).to(device)
    if channels_last:
        stage.to(memory_format=torch.channels_last)
        batch = {name: x.contiguous(memory_format=torch.channels_last) for name, x in batch.items()}
    optimiser = torch.optim.Adam([p for module in stage.modules.values() for p in module.parameters()], lr=5e-5)
    if compiled:
        for name in stage.modules:
            stage.wrap(name, torch.compile)
    precision = torch.autocast(device.type, AMP[amp]) if amp else contextlib.nullcontext()
    scaler = torch.amp.GradScaler(device.type, enabled=amp == 'fp16')

    def step() -> None:
        optimiser.zero_grad()
        with precision:
            loss = stage.step(batch, 1).loss
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()

    return step


def measure_training(options: argparse.Namespace, device: torch.device) -> Iterator[list[TrainingRow]]:
    """The rows of each stage that was asked for: a plain one, and one with --amp, --channels_last and --compile as given."""
    for name in options.stages or ():
        choose('stage', name, STAGES)
    fast = {'amp': options.amp, 'channels_last': options.channels_last, 'compiled': options.compile}
    if not any(fast.values()):
        raise UserError('--training compares plain steps with others; give some of --amp bf16, --channels_last, --compile')
    names = [f'amp {options.amp}' if options.amp else '', *(name for name in ('channels_last', 'compiled') if fast[name])]
    ways = {PLAIN: {}, ', '.join(filter(None, names)): fast}
    families = {'teacher': options.teacher, 'student': options.student}
    for stage in options.stages or STAGES:
        for count in options.batch:
            batch = made_up_batch(count, tuple(options.size), device)
            steps = [training_step(stage, batch, families=families, device=device, **settings) for settings in ways.values()]
            counts, title = {'repeats': options.repeats, 'warm_up': options.warm_up}, f'{stage}, batch {count}'
            times = in_turns(steps, device=device, title=title, **counts)
            medians = [values.quantile(0.5).item() for values in times]
            rows = []
            for way, step, values, median in zip(ways, steps, times, medians, strict=True):
                spread, peak = values.quantile(0.95).item(), peak_memory(step, device=device) / MEGA
                rates = 1000 * count / median, medians[0] / median, peak, len(values)
                place = describe_device(device), way, count, tuple(options.size)
                rows.append(TrainingRow(stage, *families.values(), *place, median, spread, *rates))
            yield rows


def training_table(rows: Sequence[TrainingRow]) -> str:
    """The rows for the screen."""
    header = ['stage', 'teacher', 'student', 'way', 'batch', 'median ms', 'p95', 'samples/s', 'speed-up', 'peak MB']
    lines = [
        [row.stage, row.teacher, row.student, row.way, str(row.batch), f'{row.median_ms:.4g}', f'{row.p95_ms:.4g}']
        + [f'{row.samples_per_second:.3g}', f'{row.speed_up:.2f} x', f'{row.peak_mb:.0f}']
        for row in rows
    ]
    return format_table(header, lines)
