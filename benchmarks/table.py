"""The paper's results table, every row measured in one run: quality, runtime and memory of each method.

    python -m benchmarks.table --dataroot VITON_test --out FOLDER/NAME \\
        --weights sdafn=ckpt_viton.pt dm_vton=pf_warp.pt,pf_gen.pt

Table 1 of DM-VTON (Nguyen-Ngoc et al., ISMAR 2023). Runtime: networks alone, batch 1, 256 x 192, float32, all
methods in turns, so that whatever else the machine does hits all of them; it does not depend on weights.
Memory: the size of checkpoint files. Quality only of methods whose weights are given or at hand: in the box,
or where `scripts/download.sh` puts and looks for them.
"""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from tqdm import tqdm

from benchmarks.inputs import made_up_pictures
from benchmarks.report import add_timing_options, machine, milliseconds, prepare
from benchmarks.report import measure as time_in_turns
from benchmarks.table_output import Result, as_markdown, write_table
from data.viton import create_loader
from engine.evaluate import METRICS, Evaluation, dress_all, result_names
from engine.ground_truth import Comparison, find_truths
from engine.profiling import GIGA, MEGA, count_parameters, multiply_adds
from engine.subjects import Subject, create_subject
from models import FAMILIES, TryOnPipeline
from models.baselines import BASELINES, create_baseline
from models.baselines.pipeline import BaselinePipeline
from models.checkpoint.defaults import DEFAULTS, DRAWINGS, FOLDER, PHOTOGRAPHS
from opt.base_opt import add_device_option, whole_number
from utils.cli import OptionParser
from utils.errors import UserError, exit_cleanly

METHODS = (*BASELINES, *FAMILIES)
SIZE = (256, 192)
REFERENCE = 'dm_vton'  # whose runtime the others are compared with
PICTURE_METRICS = ('fid', 'kid', 'lpips', 'ssim')
STUDENT_INPUTS = ('picture',)
STUDENT_WEIGHTS = {
    'dm_vton': ('published',),
    'dm_vton_lite': (PHOTOGRAPHS, DRAWINGS),
}  # the first set that is there counts
INPUT_NAMES = {'label': 'parsing', 'pose': 'pose', 'densepose': 'DensePose'}


class CountingFile:
    """Counts the bytes that are written to it, and keeps none."""

    def __init__(self):
        self.size = 0

    def write(self, content: Any) -> int:
        """Count and forget."""
        length = memoryview(content).nbytes
        self.size += length
        return length

    def flush(self) -> None:
        """Nothing is held back."""


def file_bytes(*networks: nn.Module) -> int:
    """Size of networks' checkpoint files, one each, as `torch.save(network.state_dict(), file)` writes."""
    total = 0
    for network in networks:
        file = CountingFile()
        torch.save(network.state_dict(), file)  # type: ignore[arg-type]  # it needs no more of a file than this one has
        total += file.size
    return total


def published_files(pipeline: TryOnPipeline | BaselinePipeline) -> tuple[nn.Module, ...]:
    """The networks of a pipeline that come in a file each."""
    if isinstance(pipeline, BaselinePipeline):
        names = pipeline.network.parts
        return tuple(pipeline.network.get_submodule(name) for name in names) or (pipeline.network,)
    return pipeline.warp, pipeline.generator


def untrained(method: str, device: torch.device) -> TryOnPipeline | BaselinePipeline:
    """The pipeline of a method with weights as initialised."""
    torch.manual_seed(0)
    if method in BASELINES:
        return BaselinePipeline(create_baseline(method).eval(), family=method, is_trained=False).to(device)
    return TryOnPipeline.untrained(method, device=device)


def made_up_inputs(pipeline: TryOnPipeline | BaselinePipeline, device: torch.device) -> tuple:
    """One person and garment of noise, as the pipeline takes them."""
    if isinstance(pipeline, BaselinePipeline):
        return tuple(x.to(device) for x in pipeline.network.made_up(1, SIZE).values())
    return made_up_pictures(1, SIZE, device)


def measure_quality(
    subject: Subject, *, device: torch.device, batch: int, weights: Mapping[str, str | None]
) -> dict[str, float]:
    """Dress the whole test set of a subject; FID, KID, LPIPS and SSIM by name, those that can be had."""
    names = [name for name in PICTURE_METRICS if name in METRICS]
    evaluation = Evaluation(names, device=device, **weights)
    pipeline, dataset = subject.pipeline, subject.dataset
    truths = find_truths(dataset)
    comparison = Comparison(truths, evaluation, align_corners=pipeline.align_corners) if truths else None
    loader = create_loader(dataset, batch_size=batch, workers=0)
    with tempfile.TemporaryDirectory() as folder:
        how: dict[str, Any] = {
            'names': result_names(dataset.pairs),
            'compare': comparison,
            'inputs': subject.inputs,
        }
        dressed = dress_all(pipeline, loader, dataset.pairs, Path(folder), **how)
        scores = evaluation.pictures(
            dressed, real=dataset.folder('img'), results=Path(folder), list_kind=dataset.list_kind
        )
    scores += comparison.scores() if comparison else []
    return {score.label: score.value for score in scores if score.value is not None}


def parse_weights(texts: Sequence[str]) -> dict[str, list[str]]:
    """Files by method, of texts `method=file,file`. Raises `UserError` for what is no such text."""
    weights = {}
    for text in texts:
        method, equals, files = text.partition('=')
        if not equals or method not in METHODS or not files:
            raise UserError(
                f'--weights {text}: expected METHOD=FILE[,FILE ...] with a method of {", ".join(METHODS)}'
            )
        weights[method] = files.split(',')
        if method in FAMILIES and len(weights[method]) != 2:
            raise UserError(f'--weights {text}: {method} has two files; give METHOD=WARP,GENERATOR')
    return weights


def weights_at_hand(folder: Path = FOLDER) -> dict[str, list[str]]:
    """Files by method, of the methods whose weights lie in the folder of checkpoints."""
    found = {method: sorted((folder / method).glob('*.p*t*')) for method in BASELINES}
    for method, sets in STUDENT_WEIGHTS.items():
        pairs = [[folder / name for name in DEFAULTS[weights]] for weights in sets]
        found[method] = next((pair for pair in pairs if all(path.is_file() for path in pair)), [])
    return {method: [str(path) for path in files] for method, files in found.items() if files}


class Candidate(NamedTuple):
    """One method, ready to be timed, and its test set where weights and data are at hand."""

    method: str
    pipeline: TryOnPipeline | BaselinePipeline
    subject: Subject | None
    call: Callable[[], Any]


def find_candidate(
    method: str, files: Sequence[str], *, dataroot: str | None, device: torch.device
) -> Candidate:
    """Load a method, or make it untrained where there are no files or no data. Raises `UserError`."""
    subject = None
    if files and dataroot:
        settings: dict[str, Any] = {'align_corners': None, 'size': SIZE, 'device': device}
        subject = create_subject(dataroot, family=method, files=files, **settings)
    pipeline = subject.pipeline if subject else untrained(method, device)
    inputs = made_up_inputs(pipeline, device)
    return Candidate(method, pipeline, subject, lambda: pipeline(*inputs))


def measure(options: argparse.Namespace, device: torch.device) -> list[Result]:
    """One row a method, in the order of the registries."""
    weights = weights_at_hand() | parse_weights(options.weights)
    settings = {'dataroot': options.dataroot, 'device': device}
    candidates = [find_candidate(method, weights.get(method, ()), **settings) for method in options.methods]
    metric_weights = {'fid_weights': options.fid_weights, 'lpips_weights': options.lpips_weights}
    quality = {
        candidate.method: measure_quality(
            candidate.subject, device=device, batch=options.batch_size, weights=metric_weights
        )
        for candidate in tqdm([c for c in candidates if c.subject], desc='quality', disable=None, leave=False)
    }
    calls = {candidate.method: candidate.call for candidate in candidates}
    repeats = {'repeats': options.repeats, 'warm_up': options.warm_up}
    measured = time_in_turns(calls, label='runtime', device=device, **repeats)
    times = {
        candidate.method: milliseconds(measurement)
        for candidate, measurement in zip(candidates, measured, strict=True)
    }
    reference = times[REFERENCE][0] if REFERENCE in times else None
    return [
        Result(
            method=method,
            inputs=inputs_of(method),
            parameters_m=count_parameters(pipeline) / MEGA,
            memory_mb=file_bytes(*published_files(pipeline)) / MEGA,
            multiply_adds_g=multiply_adds(call) / GIGA,
            median_ms=times[method][0],
            p95_ms=times[method][1],
            ratio=times[method][0] / reference if reference else None,
            calls=options.repeats,
            weights=tuple(Path(file).name for file in weights.get(method, ())) if subject else (),
            quality=quality.get(method, {}),
        )
        for method, pipeline, subject, call in candidates
    ]


def inputs_of(method: str) -> tuple[str, ...]:
    """Inputs of a method, by name."""
    return (
        tuple(INPUT_NAMES[need] for need in BASELINES[method].needs)
        if method in BASELINES
        else STUDENT_INPUTS
    )


def create_parser() -> OptionParser:
    """The options."""
    parser = OptionParser(__doc__.splitlines()[0], prog='python -m benchmarks.table')
    parser.add_argument(
        '--methods', nargs='+', choices=METHODS, default=list(METHODS), help='rows of the table'
    )
    parser.add_argument(
        '--dataroot',
        help='test set in the VITON layout, for the quality; None: runtime, memory and counts alone',
    )
    parser.add_argument(
        '--weights',
        nargs='+',
        default=[],
        metavar='METHOD=FILE[,FILE]',
        help='published files, for the quality',
    )
    add_device_option(parser)
    parser.add_argument(
        '--batch_size', type=whole_number(1), default=4, help='persons a call where the test set is dressed'
    )
    add_timing_options(parser)
    parser.add_argument(
        '--fid_weights', help="pytorch-fid's Inception file; None: downloaded when first needed"
    )
    parser.add_argument(
        '--lpips_weights', help="torchvision's VGG16 file; None: downloaded when first needed"
    )
    parser.add_argument('--out', type=Path, help='write PATH.md, PATH.json and PATH.png')
    return parser


@contextlib.contextmanager
def denormals_flushed() -> Iterator[None]:
    """Round denormal numbers to 0 in the block: untrained weights make many, which slow a CPU ten times."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@exit_cleanly
def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all methods, print the table, write it."""
    options = create_parser().parse_args(arguments)
    device = prepare(options)
    about = machine(device) | {'dataroot': options.dataroot, 'batch': 1, 'size': SIZE, 'dtype': 'float32'}
    with denormals_flushed():
        results = measure(options, device)
    print(as_markdown(results, about))
    if options.out:
        write_table(options.out, results, about)


if __name__ == '__main__':
    main(sys.argv[1:])
