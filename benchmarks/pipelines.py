"""How fast the pipelines are: every family by every backend, beside plain PyTorch in the same run.

    python -m benchmarks.pipelines [--families dm_vton] [--modes native openvino] [--batch 1 8] [--out FOLDER/NAME]
    python -m benchmarks.pipelines --training [--batch 4] [--amp bf16] [--channels_last] [--compile]

The protocol is that of DM-VTON (Nguyen-Ngoc et al., ISMAR 2023), table 1: networks only, ten calls to warm up, the device waited
for before and after each call. All ways take turns, so that whatever else the machine does hits all of them, and a speed-up is a
ratio of two medians of one run.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

import runtime
from benchmarks.bar_chart import Bar, bar_chart
from engine.profiling import GIGA, MEGA, WARM_UP_CALLS, memory_bytes, multiply_adds, peak_memory
from models import FAMILIES, TryOnPipeline
from opt.base_opt import add_device_option, whole_number
from runtime import MODES, find_problem
from runtime.pipeline import CANDIDATES
from utils.cli import OptionParser
from utils.device import describe_device, select_device, synchronise
from utils.errors import UserError, exit_cleanly
from utils.log import format_table
from utils.paths import atomic_write

PLAIN = 'plain'
# Milliseconds on a T4 GPU, batch 1, 256 x 192: table 1 of the DM-VTON paper.
PUBLISHED = {'pf_afn': 35.8, 'fs_vton': 37.5, 'dm_vton': 23.3}
UNSEEN = ('onnxruntime', 'openvino')  # modes whose memory PyTorch does not see


class Way(NamedTuple):
    """One way to dress persons, ready to be called."""

    mode: str
    cached: bool  # whether the garment was encoded beforehand
    call: Callable[[], Any]


class Row(NamedTuple):
    """What was measured of one way."""

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
    parameters_mb: float  # of the plain network, in the row's dtype; a mode may keep transformed weights beside them
    peak_mb: float | None  # beyond the weights; None where it cannot be seen
    multiply_adds_g: float  # of the plain networks' convolutions, for the whole batch
    tflops: float  # two operations a multiply-add of the plain networks; saved arithmetic counts as speed
    calls: int


def in_turns(
    calls: Sequence[Callable[[], Any]], *, device: torch.device, repeats: int, title: str, warm_up: int = WARM_UP_CALLS
) -> list[Tensor]:
    """Time each of `calls` `repeats` times in milliseconds, one after the other, after `warm_up` turns that are not timed."""
    times: list[list[float]] = [[] for _ in calls]
    for turn in tqdm(range(warm_up + repeats), desc=title, disable=None, leave=False):
        for call, values in zip(calls, times, strict=True):
            synchronise(device)
            start = time.perf_counter()
            call()
            synchronise(device)
            if turn >= warm_up:
                values.append(1000 * (time.perf_counter() - start))
    return [torch.tensor(values, dtype=torch.float64) for values in times]


def made_up_pictures(batch: int, size: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Noise in the place of persons and garments, and edges around the middle."""
    generator = torch.Generator().manual_seed(0)
    person, cloth = (torch.rand(batch, 3, *size, generator=generator) * 2 - 1 for _ in range(2))
    edge = torch.zeros(batch, 1, *size)
    edge[:, :, size[0] // 6 : -size[0] // 6, size[1] // 5 : -size[1] // 5] = 1
    return person.to(device), cloth.to(device), edge.to(device)


def ways_of(pipeline: TryOnPipeline, modes: Sequence[str], pictures: tuple, dtype: torch.dtype | None) -> tuple[list[Way], dict]:
    """Every mode with and without the garment cached, the plain one first, and what each mode computes in."""
    person, cloth, edge = pictures
    ways, dtypes = [], {}
    for mode in (PLAIN, *modes):
        network = pipeline if mode == PLAIN else runtime.optimize(pipeline, mode, dtype=dtype)
        dtypes[mode] = str(getattr(network, 'dtype', torch.float32)).removeprefix('torch.')
        code = network.encode_garment(cloth, edge)
        ways.append(Way(mode, False, lambda network=network: network(person, cloth, edge)))
        ways.append(Way(mode, True, lambda network=network, code=code: network(person, code)))
    return ways, dtypes


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
    """Measure one family at one batch size: the plain row first."""
    torch.manual_seed(0)
    pipeline = TryOnPipeline.untrained(family, device=device)
    size = pipeline.warp.fixed_size or size
    ways, dtypes = ways_of(pipeline, modes, made_up_pictures(batch, size, device), dtype)
    operations = {way.cached: multiply_adds(way.call) for way in ways if way.mode == PLAIN}
    calls, title = [way.call for way in ways], f'{family}, batch {batch}'
    times = in_turns(calls, device=device, repeats=repeats, title=title, warm_up=warm_up)
    medians = [values.quantile(0.5).item() for values in times]
    rows = []
    for way, values, median in zip(ways, times, medians, strict=True):
        peak = None if way.mode in UNSEEN else peak_memory(way.call, device=device) / MEGA
        width = getattr(torch, dtypes[way.mode]).itemsize / torch.float32.itemsize
        rows.append(
            Row(
                family=family,
                device=describe_device(device),
                mode=way.mode,
                garment_cached=way.cached,
                dtype=dtypes[way.mode],
                batch=batch,
                size=size,
                median_ms=median,
                p95_ms=values.quantile(0.95).item(),
                fps=1000 * batch / median,
                speed_up=medians[0] / median,
                parameters_mb=memory_bytes(pipeline) * width / MEGA,
                peak_mb=peak,
                multiply_adds_g=operations[way.cached] / GIGA,
                tflops=2 * operations[way.cached] / median / GIGA,
                calls=len(values),
            )
        )
    return rows


def machine(device: torch.device) -> dict[str, str | int]:
    """What the numbers were measured on."""
    processor = platform.processor() or platform.machine()
    info = Path('/proc/cpuinfo')
    if info.is_file():
        names = [line.partition(':')[2].strip() for line in info.read_text().splitlines() if line.startswith('model name')]
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


def chart(rows: Sequence[Row], about: dict):
    """The first batch size as bars, beside the published figures."""
    batch = rows[0].batch
    modes = list(dict.fromkeys(row.mode for row in rows))
    groups: dict[str, list[Bar]] = {}
    for row in rows:
        if row.batch == batch:
            label = f'{row.mode}{", garment cached" if row.garment_cached else ""}'
            groups.setdefault(row.family, []).append(Bar(label, row.median_ms, 1 + modes.index(row.mode)))
    for family, bars in groups.items():
        if batch == 1 and family in PUBLISHED:
            bars.append(Bar('published, T4 GPU', PUBLISHED[family]))
    note = f'{about["processor"]}, {about["device"]}, torch {about["torch"]}\n'
    calls = ' or '.join(str(count) for count in sorted({row.calls for row in rows if row.batch == batch}))
    note += f'medians of {calls} calls in turns; networks only'
    return bar_chart(groups, title=f'Milliseconds a call, batch {batch}', note=note)


def write_results(prefix: Path, rows: Sequence[NamedTuple], about: dict, text: str, picture=None) -> None:
    """Write `prefix`.json, .txt and, where there is a picture, .png."""
    results = {'machine': about, 'published_t4_ms': PUBLISHED, 'rows': [row._asdict() for row in rows]}
    for suffix, content in (('.json', json.dumps(results, indent=2) + '\n'), ('.txt', text + '\n')):
        with atomic_write(prefix.with_name(prefix.name + suffix)) as temporary:
            temporary.write_text(content, encoding='utf-8')
    if picture is not None:
        picture.save(prefix.with_name(prefix.name + '.png'))


def choose_modes(asked: Sequence[str] | None, device: torch.device, dtype: torch.dtype) -> list[str]:
    """The modes that were asked for, or those that this machine has; a reason for each that is left out."""
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


def create_parser() -> OptionParser:
    """The options."""
    parser = OptionParser(__doc__.splitlines()[0])
    parser.add_argument('--families', nargs='+', choices=list(FAMILIES), default=list(FAMILIES))
    parser.add_argument('--modes', nargs='+', help=f'beside {PLAIN}: {", ".join(MODES)}; by default those that are installed')
    parser.add_argument('--batch', nargs='+', type=whole_number(1), default=[1], help='persons a call, or records a step')
    parser.add_argument('--size', nargs=2, type=whole_number(32), default=[256, 192], metavar=('H', 'W'))
    add_device_option(parser)
    parser.add_argument('--dtype', choices=['float32', 'float16', 'bfloat16'], help='of the optimised modes; theirs by default')
    parser.add_argument('--repeats', type=whole_number(1), default=30, help='timed turns')
    parser.add_argument('--warm_up', type=whole_number(0), default=WARM_UP_CALLS, help='turns before those, which are not timed')
    parser.add_argument('--threads', type=whole_number(1), help='of the CPU; by default what PyTorch takes')
    parser.add_argument('--out', type=Path, help='write PATH.json, PATH.txt and PATH.png')
    training = parser.add_argument_group('training')
    training.add_argument('--training', action='store_true', help='measure steps of the training stages instead')
    training.add_argument('--stages', nargs='+', help='some of the stages; all by default')
    training.add_argument('--teacher', choices=list(FAMILIES), default='fs_vton')
    training.add_argument('--student', choices=list(FAMILIES), default='dm_vton')
    training.add_argument('--amp', choices=['bf16', 'fp16'], help='the row beside the plain one runs in mixed precision')
    training.add_argument('--channels_last', action='store_true', help='and with channels last')
    training.add_argument('--compile', action='store_true', help='and through torch.compile')
    return parser


def measure_pipelines(options: argparse.Namespace, device: torch.device) -> Iterator[list[Row]]:
    """The rows of each family at each batch size, as they come."""
    dtype = options.dtype and getattr(torch, options.dtype)
    modes = choose_modes(options.modes, device, dtype or torch.float32)
    settings = {'size': tuple(options.size), 'device': device, 'repeats': options.repeats, 'warm_up': options.warm_up}
    for family in options.families:
        for batch in options.batch:
            yield measure_family(family, modes, batch=batch, dtype=dtype, **settings)


@exit_cleanly
def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print a table, and write the results, anew after each family or stage: a run cut short leaves what it has."""
    options = create_parser().parse_args(arguments)
    device = select_device(options.device)
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
    show, draw, measured = table, chart, measure_pipelines(options, device)
    if options.training:
        from benchmarks.training import measure_training, training_table

        show, draw, measured = training_table, None, measure_training(options, device)
    about = machine(device)
    rows: list[NamedTuple] = []
    text = ', '.join(f'{key} {value}' for key, value in about.items())
    for some in measured:
        rows += some
        if options.out:
            write_results(options.out, rows, about, f'{text}\n\n{show(rows)}', draw and draw(rows, about))
    print(f'{text}\n\n{show(rows)}')


if __name__ == '__main__':
    main(sys.argv[1:])
