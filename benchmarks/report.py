"""Measurements, the options all benchmarks share, and what a benchmark writes: JSON, table, bar chart."""

import argparse
import json
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.benchmark import Measurement
from torch.utils.benchmark.utils.common import TaskSpec

from engine.profiling import WARM_UP_CALLS
from opt.base_opt import add_device_option, whole_number
from utils.cli import OptionParser
from utils.device import describe_device, select_device
from utils.paths import atomic_write
from utils.timing import time_calls

PLAIN = 'plain'


def measure(
    calls: Mapping[str, Callable[[], Any]],
    *,
    label: str,
    column: str = '',
    device: torch.device,
    repeats: int,
    warm_up: int,
) -> list[Measurement]:
    """Time calls in turns, so that other work slows all of them: one measurement each, in their order.

    `label` names the table and `column` the column that `torch.utils.benchmark.Compare` puts them in.
    """
    how: dict[str, Any] = {'device': device, 'repeats': repeats, 'warm_up': warm_up}
    times = time_calls(list(calls.values()), title=f'{label} {column}', **how)
    about: dict[str, Any] = {'label': label, 'description': column, 'num_threads': torch.get_num_threads()}
    tasks = (TaskSpec('', '', sub_label=name, **about) for name in calls)
    return [Measurement(1, values, task) for values, task in zip(times, tasks, strict=True)]


def milliseconds(measurement: Measurement) -> tuple[float, float]:
    """Median and 95th percentile."""
    return 1000 * measurement.median, 1000 * float(np.quantile(measurement.times, 0.95))


def machine(device: torch.device) -> dict[str, str | int]:
    """Describe the hardware and software that numbers were measured on."""
    processor = platform.processor() or platform.machine()
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    processor = names[0] if names else processor
    return {
        'device': describe_device(device),
        'processor': processor,
        'instructions': torch.backends.cpu.get_cpu_capability(),
        'threads': torch.get_num_threads(),
        'torch': torch.__version__,
        'python': platform.python_version(),
        'system': platform.system(),
    }


def create_parser(description: str) -> OptionParser:
    """Options of every benchmark."""
    parser = OptionParser(description)
    parser.add_argument(
        '--batch', nargs='+', type=whole_number(1), default=[1], help='persons a call, or records a step'
    )
    parser.add_argument('--size', nargs=2, type=whole_number(32), default=[256, 192], metavar=('H', 'W'))
    add_device_option(parser)
    add_timing_options(parser)
    parser.add_argument('--out', type=Path, help='write PATH.json, PATH.txt and, of pipelines, PATH.png')
    return parser


def add_timing_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how often calls are timed, and on how many threads."""
    parser.add_argument('--repeats', type=whole_number(1), default=30, help='timed turns')
    parser.add_argument(
        '--warm_up',
        type=whole_number(0),
        default=WARM_UP_CALLS,
        help='turns before those, which are not timed',
    )
    parser.add_argument('--threads', type=whole_number(1), help='of the CPU; by default what PyTorch takes')


def prepare(options: argparse.Namespace) -> torch.device:
    """Set the threads, make the folder of `--out`, and return the device."""
    device = select_device(options.device)
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
    return device


def report(
    measured: Iterable[Sequence[NamedTuple]],
    table: Callable[[Sequence[Any]], str],
    *,
    about: dict,
    out: Path | None,
    draw: Callable[[Sequence[dict], dict], Any] | None = None,
    **constants: Any,
) -> None:
    """Print the table of all rows. With `out`, write them after each part: a run cut short leaves some."""
    rows: list[NamedTuple] = []
    text = ', '.join(f'{key} {value}' for key, value in about.items())
    for some in measured:
        rows += some
        if out:
            plain_rows = [row._asdict() for row in rows]
            _write(out, '.json', json.dumps({'machine': about, **constants, 'rows': plain_rows}, indent=2))
            _write(out, '.txt', f'{text}\n\n{table(rows)}')
            if draw:
                draw(plain_rows, about).savefig(f'{out}.png', dpi=120)
    print(f'{text}\n\n{table(rows)}')


def _write(prefix: Path, suffix: str, text: str) -> None:
    with atomic_write(prefix.with_name(prefix.name + suffix)) as temporary:
        temporary.write_text(text + '\n', encoding='utf-8')
