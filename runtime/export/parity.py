"""Exported graphs compared with the pipeline they come from: differences of pictures, and time."""

import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from data.viton import VITONDataset
from engine.metrics import psnr
from engine.profiling import MEGA, WARM_UP_CALLS
from models.interface import TryOnModel
from models.outputs import TryOn
from models.pipeline import TryOnPipeline
from runtime.export.graphs import SUFFIXES
from runtime.export.runtimes import LOADERS, create_runtime
from synthetic.dataset import write_dataset
from synthetic.records import SPLITS
from utils.errors import UserError
from utils.log import format_table
from utils.timing import time_calls

LARGEST_DIFFERENCE = 1e-3  # of float32, in pictures from -1 to 1
SMALLEST_PSNR = 40.0  # dB, of float16
PICTURES = 4
DRAWN_SEED = 2026
TIMED_CALLS = 10
COMPARED = ('image', 'warped_cloth')  # fields of TryOn
CPU = torch.device('cpu')


class ParityError(UserError):
    """An export that differs from its pipeline by more than rounding."""

    exit_status = 1


class GraphParity(NamedTuple):
    """One output of exported graphs beside the pipeline's, over all pictures, and the time at batch 1."""

    graph: str  # 'whole', or 'split' with the garment encoded beforehand
    output: str
    max_difference: float
    mean_difference: float
    psnr_db: float  # of the worst picture
    milliseconds: float
    eager_milliseconds: float
    megabytes: float  # of the files

    def is_off(self, precision: str) -> bool:
        """Return True if the difference exceeds rounding in `precision`."""
        if precision == 'float32':
            return not self.max_difference <= LARGEST_DIFFERENCE  # NaN is off, too
        return not self.psnr_db >= SMALLEST_PSNR


def load_pictures(
    dataroot: str | Path | None, size: tuple[int, int], count: int = PICTURES
) -> tuple[Tensor, ...]:
    """Persons and cloths [N, 3, H, W] and edges [N, 1, H, W] of a test set; None: synthetic ones."""
    if dataroot is not None:
        return _first(VITONDataset(dataroot, 'test', size=size), count)
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(folder, train=0, test=count, seed=DRAWN_SEED, size=(256, 192), progress=False)
        return _first(VITONDataset(Path(folder) / SPLITS['test'][0], 'test', size=size, check=False), count)


def _first(dataset: VITONDataset, count: int) -> tuple[Tensor, ...]:
    records = [dataset[index] for index in range(min(count, len(dataset)))]
    return tuple(torch.stack([record[key] for record in records]) for key in ('image', 'color', 'edge'))


def compare(
    pipeline: TryOnPipeline,
    folder: Path,
    pictures: tuple[Tensor, ...],
    *,
    format: str,
    timed_calls: int = TIMED_CALLS,
) -> list[GraphParity]:
    """Run the graphs in `folder`, and `pipeline`, which is on the CPU in float32, on the same pictures."""
    whole, runtime = LOADERS[format][1](folder / f'whole{SUFFIXES[format]}'), create_runtime(format, folder)
    expected = _in_two_batches(pipeline, pictures)
    split = _in_two_batches(runtime, pictures)
    results = {
        'whole': _in_two_batches(whole, pictures),
        'split': [split[TryOn._fields.index(field)] for field in COMPARED],
    }
    one = tuple(x[:1] for x in pictures)
    calls = [partial(pipeline, *one), partial(whole, *one)]
    models: tuple[TryOnModel, ...] = pipeline, runtime
    calls += [partial(model, one[0], model.encode_garment(*one[1:])) for model in models]
    timed = time_calls(calls, device=CPU, repeats=timed_calls, warm_up=WARM_UP_CALLS, title='timing')
    times = [1000 * statistics.median(values) for values in timed]
    files = {'whole': folder.glob('whole.*'), 'split': [*folder.glob('garment.*'), *folder.glob('try_on.*')]}
    rows = []
    for graph, (eager, exported) in zip(results, (times[:2], times[2:]), strict=True):
        megabytes = sum(file.stat().st_size for file in files[graph]) / MEGA
        for field, got in zip(COMPARED, results[graph], strict=True):
            wanted = expected[TryOn._fields.index(field)]
            name = 'tryon' if field == 'image' else field
            rows.append(GraphParity(graph, name, *differences(got, wanted), exported, eager, megabytes))
    return rows


def _in_two_batches(network: Callable, pictures: tuple[Tensor, ...]) -> list[Tensor]:
    """Results for the first picture alone and for the rest as one batch: a graph must take any batch size."""
    batches = [tuple(x[part] for x in pictures) for part in (slice(1), slice(1, None))]
    results = [network(*batch) for batch in batches if len(batch[0])]
    return [torch.cat(tensors) for tensors in zip(*results, strict=True)]


def differences(got: Tensor, wanted: Tensor) -> tuple[float, float, float]:
    """Largest and mean difference of pictures [N, 3, H, W] in [-1, 1], and the least PSNR in dB of one."""
    difference = (got - wanted).abs()
    worst = min(psnr(one[None], other[None]) for one, other in zip(got, wanted, strict=True))
    return difference.max().item(), difference.mean().item(), worst


def parity_table(rows: Mapping[str, Sequence[GraphParity]]) -> str:
    """The comparisons of each precision for the screen."""
    header = ['precision', 'graph', 'MB', 'output', 'max', 'mean', 'PSNR dB', 'ms', 'eager ms', 'speed-up']
    lines = []
    for precision, comparisons in rows.items():
        for row in comparisons:
            numbers = [f'{row.max_difference:.1e}', f'{row.mean_difference:.1e}', f'{row.psnr_db:.1f}']
            times = [f'{row.milliseconds:.4g}', f'{row.eager_milliseconds:.4g}']
            times.append(f'{row.eager_milliseconds / row.milliseconds:.2f} x')
            lines.append([precision, row.graph, f'{row.megabytes:.1f}', row.output, *numbers, *times])
    return format_table(header, lines)


def check(rows: Mapping[str, Sequence[GraphParity]]) -> None:
    """Raise `ParityError` unless every output is the pipeline's but for rounding."""
    for precision, comparisons in rows.items():
        allowed = f'{SMALLEST_PSNR:g} dB are needed'
        if precision == 'float32':
            allowed = f'at most {LARGEST_DIFFERENCE:g} is allowed'
        for row in comparisons:
            if row.is_off(precision):
                raise ParityError(
                    f'{precision}, {row.graph}: {row.output} is off by up to {row.max_difference:.2g} '
                    f'({row.psnr_db:.1f} dB), {allowed}; nothing was written'
                )
