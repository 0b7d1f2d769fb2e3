"""Speed of the training stages: records a second and peak memory of a step, plain and with fast options.

python -m benchmarks.training [--stages pf_e2e] [--batch 4] [--amp bf16] [--channels_last] [--compile]
"""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.inputs import made_up_batch
from benchmarks.report import PLAIN, create_parser, machine, measure, milliseconds, prepare, report
from engine.profiling import MEGA, peak_memory
from engine.stages import STAGES, create_stage
from engine.trainer import AMP
from models import FAMILIES
from utils.device import describe_device, move_batch
from utils.errors import UserError, exit_cleanly
from utils.log import format_table


class Row(NamedTuple):
    """Measurements of one stage in one way."""

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


def training_step(
    stage_name: str,
    batch: dict[str, Tensor],
    *,
    families: dict[str, str],
    device: torch.device,
    amp: str = 'off',
    channels_last: bool = False,
    compiled: bool = False,
) -> Callable[[], None]:
    """One step of a stage with new networks, without perceptual terms: loss, gradients, Adam."""
    torch.manual_seed(0)
    stage = create_stage(stage_name, teacher=families['teacher'], student=families['student']).to(device)
    if channels_last:
        stage.to(memory_format=torch.channels_last)
        batch = move_batch(batch, device, torch.channels_last)
    parameters = [parameter for module in stage.modules.values() for parameter in module.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=5e-5)
    if compiled:
        for name in stage.modules:
            # The overloads of torch.compile do not say that a module stays one.
            stage.wrap(name, torch.compile)  # type: ignore[arg-type]
    precision = torch.autocast(device.type, AMP[amp]) if AMP[amp] else contextlib.nullcontext()
    scaler = torch.amp.GradScaler(device.type, enabled=amp == 'fp16')

    def step() -> None:
        optimiser.zero_grad()
        with precision:
            loss = stage.step(batch, 1).loss
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()

    return step


def measure_stages(options: argparse.Namespace, device: torch.device) -> Iterator[list[Row]]:
    """The rows of each stage at each batch size: a plain one, and one with --amp, --channels_last and
    --compile as given.
    """
    fast = {'amp': options.amp, 'channels_last': options.channels_last, 'compiled': options.compile}
    names = [f'amp {options.amp}'] if AMP[options.amp] else []
    names += [name for name in ('channels_last', 'compiled') if fast[name]]
    ways: dict[str, dict[str, Any]] = {PLAIN: {}, ', '.join(names): fast}
    families, size = {'teacher': options.teacher, 'student': options.student}, tuple(options.size)
    for stage in options.stages:
        for count in options.batch:
            batch = made_up_batch(count, size, device)
            steps = {
                way: training_step(stage, batch, families=families, device=device, **fast)
                for way, fast in ways.items()
            }
            label = f'{stage}, batch {count}'
            repeats = {'repeats': options.repeats, 'warm_up': options.warm_up}
            measured = measure(steps, label=label, device=device, **repeats)
            rows = []
            for (way, step), measurement in zip(steps.items(), measured, strict=True):
                median, p95 = milliseconds(measurement)
                rates = 1000 * count / median, measured[0].median / measurement.median
                memory = peak_memory(step, device=device) / MEGA
                numbers = median, p95, *rates, memory, options.repeats
                place = stage, options.teacher, options.student, describe_device(device), way, count, size
                rows.append(Row._make((*place, *numbers)))
            yield rows


def table(rows: Sequence[Row]) -> str:
    """The rows for the screen."""
    header = ['stage', 'teacher', 'student', 'way', 'batch']
    header += ['median ms', 'p95', 'samples/s', 'speed-up', 'peak MB']
    lines = []
    for row in rows:
        times = [f'{row.median_ms:.4g}', f'{row.p95_ms:.4g}', f'{row.samples_per_second:.3g}']
        rest = [f'{row.speed_up:.2f} x', f'{row.peak_mb:.0f}']
        lines.append([row.stage, row.teacher, row.student, row.way, str(row.batch), *times, *rest])
    return format_table(header, lines)


@exit_cleanly
def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print a table, write the results."""
    parser = create_parser(__doc__.splitlines()[0])
    parser.add_argument('--stages', nargs='+', choices=list(STAGES), default=list(STAGES))
    parser.add_argument('--teacher', choices=list(FAMILIES), default='fs_vton')
    parser.add_argument('--student', choices=list(FAMILIES), default='dm_vton')
    mixed = 'the row beside the plain one runs in mixed precision'
    parser.add_argument('--amp', choices=list(AMP), default='off', help=mixed)
    parser.add_argument('--channels_last', action='store_true', help='and with channels last')
    parser.add_argument('--compile', action='store_true', help='and through torch.compile')
    options = parser.parse_args(arguments)
    if not (AMP[options.amp] or options.channels_last or options.compile):
        raise UserError(
            'nothing to compare plain steps with; give some of --amp bf16, --channels_last, --compile'
        )
    device = prepare(options)
    report(measure_stages(options, device), table, about=machine(device), out=options.out)


if __name__ == '__main__':
    main(sys.argv[1:])
