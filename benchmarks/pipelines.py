"""Speed of the pipelines: every family in every mode, beside plain PyTorch in the same run.

    python -m benchmarks.pipelines [--families dm_vton] [--modes native openvino] [--batch 1 8]
        [--out FOLDER/NAME]

The protocol is that of DM-VTON (Nguyen-Ngoc et al., ISMAR 2023), table 1: networks only, ten calls to warm
up, the device waited for before and after each call. All modes take turns; a speed-up is a ratio of medians.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch

import runtime
from benchmarks.inputs import made_up_pictures
from benchmarks.report import PLAIN, create_parser, machine, measure, milliseconds, prepare, report
from engine.profiling import GIGA, MEGA, WARM_UP_CALLS, memory_bytes, multiply_adds, peak_memory
from models import FAMILIES, TryOnPipeline
from runtime import MODES, OptimizedPipeline, find_problem
from runtime.pipeline import CANDIDATES
from utils.device import describe_device
from utils.errors import UserError, exit_cleanly
from utils.log import format_table

# Milliseconds on a T4 GPU, batch 1, 256 x 192: table 1 of the DM-VTON paper.
PUBLISHED = {'pf_afn': 35.8, 'fs_vton': 37.5, 'dm_vton': 23.3}
UNSEEN = ('openvino',)  # modes whose memory PyTorch does not see


class Row(NamedTuple):
    """Measurements of one mode, with or without the garment encoded beforehand."""

    family: str
    device: str
    mode: str
    garment_cached: bool
    dtype: str
    batch: int
    size: tuple[int, int]
    median_ms: float
    p95_ms: float
    fps: float  # pictures a second, from the median
    speed_up: float  # against the plain row of the same family and batch, garment encoded in the call
    # Of the plain network, in the row's dtype; a mode may keep transformed weights beside them.
    parameters_mb: float
    peak_mb: float | None  # beyond the weights; None where it cannot be seen
    multiply_adds_g: float  # of the plain networks' convolutions, for the whole batch
    tflops: float  # two operations a multiply-add of the plain networks; saved arithmetic counts as speed
    calls: int


def measure_family(
    family: str,
    modes: Sequence[str],
    *,
    batch: int,
    size: tuple[int, int],
    device: torch.device,
    repeats: int,
    warm_up: int = WARM_UP_CALLS,
    dtype: torch.dtype | None = None,
) -> list[Row]:
    """Measure one family at one batch size: the plain rows first."""
    torch.manual_seed(0)
    pipeline = TryOnPipeline.untrained(family, device=device)
    size = pipeline.warp.fixed_size or size
    person, cloth, edge = made_up_pictures(batch, size, device)
    models: list[TryOnPipeline | OptimizedPipeline] = [pipeline]
    models += [runtime.optimize(pipeline, mode, dtype=dtype) for mode in modes]
    calls: dict[tuple[int, bool], Callable[[], Any]] = {}
    for index, model in enumerate(models):
        code = model.encode_garment(cloth, edge)
        calls[index, False] = partial(model, person, cloth, edge)
        calls[index, True] = partial(model, person, code)
    operations = {cached: multiply_adds(calls[0, cached]) for cached in (False, True)}
    named = {}
    for (index, cached), call in calls.items():
        named[f'{(PLAIN, *modes)[index]}{", cached" if cached else ""}'] = call
    how: dict[str, Any] = {'device': device, 'repeats': repeats, 'warm_up': warm_up}
    measured = measure(named, label=f'{family}, batch {batch}', **how)
    rows = []
    for ((index, cached), call), measurement in zip(calls.items(), measured, strict=True):
        mode, used = (PLAIN, *modes)[index], models[index].dtype
        median, p95 = milliseconds(measurement)
        rows.append(
            Row(
                family=family,
                device=describe_device(device),
                mode=mode,
                garment_cached=cached,
                dtype=str(used).removeprefix('torch.'),
                batch=batch,
                size=size,
                median_ms=median,
                p95_ms=p95,
                fps=1000 * batch / median,
                speed_up=measured[0].median / measurement.median,
                parameters_mb=memory_bytes(pipeline) * used.itemsize / torch.float32.itemsize / MEGA,
                peak_mb=None if mode in UNSEEN else peak_memory(call, device=device) / MEGA,
                multiply_adds_g=operations[cached] / GIGA,
                tflops=2 * operations[cached] / median / GIGA,
                calls=repeats,
            )
        )
    return rows


def table(rows: Sequence[Row]) -> str:
    """The rows for the screen."""
    header = ['family', 'mode', 'garment', 'dtype', 'batch', 'median ms', 'p95', 'FPS', 'speed-up']
    header += ['plain MB', 'peak MB', 'G MACs', 'TFLOP/s']
    lines = []
    for row in rows:
        peak = '-' if row.peak_mb is None else f'{row.peak_mb:.0f}'
        cached = 'cached' if row.garment_cached else ''
        times = [f'{row.median_ms:.4g}', f'{row.p95_ms:.4g}', f'{row.fps:.3g}', f'{row.speed_up:.2f} x']
        counts = [f'{row.parameters_mb:.1f}', peak, f'{row.multiply_adds_g:.1f}', f'{row.tflops:.3f}']
        lines.append([row.family, row.mode, cached, row.dtype, str(row.batch), *times, *counts])
    return format_table(header, lines)


def chart(rows: Sequence[dict], about: dict) -> Any:
    """The first batch size as bars in a matplotlib figure, beside the published figures."""
    from matplotlib.figure import Figure

    rows = [row for row in rows if row['batch'] == rows[0]['batch']]
    families, modes = (list(dict.fromkeys(row[name] for row in rows)) for name in ('family', 'mode'))
    figure = Figure(figsize=(9, 1.2 + 0.24 * (len(rows) + 2 * len(families))), layout='constrained')
    axes, place, ticks, labels = figure.add_subplot(), 0, [], []
    for family in families:
        bars = []
        for row in (row for row in rows if row['family'] == family):
            cached = ', garment cached' if row['garment_cached'] else ''
            bars.append((f'{family}  {row["mode"]}{cached}', row['median_ms'], row['mode']))
        if rows[0]['batch'] == 1 and family in PUBLISHED:
            bars.append((f'{family}  published, T4 GPU', PUBLISHED[family], None))
        for label, value, mode in bars:
            bar = axes.barh(place, value, color='grey' if mode is None else f'C{modes.index(mode)}')
            axes.bar_label(bar, fmt='{:.4g}', padding=3)
            ticks.append(place)
            labels.append(label)
            place += 1
        place += 1
    axes.set_yticks(ticks, labels)
    axes.invert_yaxis()
    axes.margins(x=0.12, y=0.02)
    calls = ' or '.join(str(count) for count in sorted({row['calls'] for row in rows}))
    title = f'Milliseconds a call, batch {rows[0]["batch"]}: medians of {calls} calls in turns, networks only'
    figure.suptitle(title, fontsize='medium')
    axes.set_xlabel(f'ms on {about["processor"]}, {about["device"]}, torch {about["torch"]}')
    return figure


def choose_modes(asked: Sequence[str] | None, device: torch.device, dtype: torch.dtype) -> list[str]:
    """The modes asked for, or those that this machine has; prints a reason for each one left out."""
    if asked is None:
        reasons = {mode: find_problem(mode, device, dtype) for mode in CANDIDATES[device.type]}
        for mode, reason in reasons.items():
            if reason:
                print(f'{mode} is left out: {reason}')
        return [mode for mode, reason in reasons.items() if reason is None]
    for mode in asked:
        if mode not in (*MODES, PLAIN):
            raise UserError(f'there is no mode {mode!r}; choose from {PLAIN}, {", ".join(MODES)}')
        if mode != PLAIN and (reason := find_problem(mode, device, dtype)):
            raise UserError(f'mode {mode} cannot run: {reason}')
    return [mode for mode in asked if mode != PLAIN]


def measure_pipelines(options: argparse.Namespace, device: torch.device) -> Iterator[list[Row]]:
    """The rows of each family at each batch size, as they come."""
    dtype = options.dtype and getattr(torch, options.dtype)
    modes = choose_modes(options.modes, device, dtype or torch.float32)
    settings: dict[str, Any] = {'size': tuple(options.size), 'device': device}
    settings |= {'repeats': options.repeats, 'warm_up': options.warm_up}
    for family in options.families:
        for batch in options.batch:
            yield measure_family(family, modes, batch=batch, dtype=dtype, **settings)


@exit_cleanly
def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print a table, write the results."""
    parser = create_parser(__doc__.splitlines()[0])
    parser.add_argument('--families', nargs='+', choices=list(FAMILIES), default=list(FAMILIES))
    known = f'beside {PLAIN}: {", ".join(MODES)}; by default those that are installed'
    parser.add_argument('--modes', nargs='+', help=known)
    dtypes = ['float32', 'float16', 'bfloat16']
    parser.add_argument('--dtype', choices=dtypes, help='of the optimised modes; theirs by default')
    options = parser.parse_args(arguments)
    device = prepare(options)
    rows = measure_pipelines(options, device)
    report(rows, table, about=machine(device), out=options.out, draw=chart, published_t4_ms=PUBLISHED)


if __name__ == '__main__':
    main(sys.argv[1:])
