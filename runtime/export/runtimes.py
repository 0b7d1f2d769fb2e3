"""Try-on models by kind: PyTorch from checkpoints, ONNX Runtime and OpenVINO from the output of export.py."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from models.checkpoint.defaults import DRAWINGS, choose_weights
from models.interface import TryOnModel
from models.pipeline import TryOnPipeline
from runtime.export.graphs import MANIFEST, PRECISIONS, SUFFIXES, digest
from runtime.export.onnx_file import load_onnx, load_openvino, require
from runtime.parts import Call
from runtime.pipeline import About, OptimizedPipeline
from utils.errors import CheckpointError, MissingFileError, UserError
from utils.paths import expand

RUNTIMES = ('torch', 'onnx', 'openvino')
LOADERS: dict[str, tuple[str, Callable[[Path], Call]]] = {
    'onnx': ('onnxruntime', load_onnx),
    'openvino': ('openvino', load_openvino),
}


def create_runtime(
    kind: str,
    source: str | Path | Sequence[str | Path] = (),
    *,
    precision: str = 'float32',
    device: str | torch.device = 'cpu',
) -> TryOnModel:
    """Make a try-on model from checkpoints or from an export.

    kind 'torch': `source` is the warp network and the generator, or the folder of one such pair; by default
    the small model trained on drawings. 'onnx' and 'openvino' run on the CPU: `source` is the folder that
    export.py wrote, of which `precision` is taken, or one precision's folder in it. An export takes pictures
    of its own size only. Raises `UserError` for missing, damaged or mismatching files.
    """
    if kind not in RUNTIMES:
        raise UserError(f'there is no runtime {kind!r}; choose from {", ".join(RUNTIMES)}')
    if kind == 'torch':
        weights = choose_weights([source] if isinstance(source, str | Path) else source, weights=DRAWINGS)
        return TryOnPipeline.from_checkpoints(warp=weights.warp, gen=weights.gen, device=device)
    if not isinstance(source, str | Path):
        raise UserError(f'the runtime {kind} needs one folder that export.py wrote, got {source!r}')
    if torch.device(device).type != 'cpu':
        raise UserError(f'the runtime {kind} runs on a CPU, not on {device}')
    return _load(kind, find_export(expand(source), precision))


def find_export(folder: Path, precision: str) -> Path:
    """The folder of graphs in what export.py wrote: `folder` itself or the one of `precision` in it."""
    if precision not in PRECISIONS:
        raise UserError(f'there is no precision {precision!r}; choose from {", ".join(PRECISIONS)}')
    for candidate in (folder, folder / precision):
        if (candidate / MANIFEST).is_file():
            return candidate
    if not folder.is_dir():
        raise MissingFileError(f'{folder}: no such folder; write it with python export.py --out {folder}')
    raise MissingFileError(
        f'{folder}: no {precision} export in it; write one with python export.py --out {folder}'
    )


def read_manifest(folder: Path) -> dict:
    """Read an export's manifest, verify its files by sums. Raises `CheckpointError`, `MissingFileError`."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding='utf-8'))
        height, width = map(int, manifest['size'])
        manifest['size'] = (height, width)
        needed = {'format': str, 'align_corners': bool, 'trained': bool}
        entries = [entry for graph in manifest['graphs'].values() for entry in graph['files'].items()]
        sums = {name: entry['sha256'] for name, entry in entries}
        fits = all(isinstance(manifest[key], kind) for key, kind in needed.items())
        if not fits or manifest['format'] not in SUFFIXES:
            raise ValueError('its values are not those of an export')
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f'{path}: not a manifest of export.py; export again') from error
    for name, expected in sums.items():
        file = folder / Path(name).name
        if not file.is_file():
            raise MissingFileError(f'{file}: missing, which {MANIFEST} lists; export again')
        if digest(file) != expected:
            raise CheckpointError(f'{file}: damaged, or of another export than {MANIFEST}; export again')
    return manifest


def _load(kind: str, folder: Path) -> OptimizedPipeline:
    package, load = LOADERS[kind]
    require(package)
    manifest = read_manifest(folder)
    if kind == 'onnx' and manifest['format'] != 'onnx':
        raise UserError(
            f'{folder}: an export for {manifest["format"]}; take that runtime, or export with --format onnx'
        )
    suffix = SUFFIXES[manifest['format']]
    garment, try_on = (load(folder / f'{name}{suffix}') for name in ('garment', 'try_on'))
    family, trained, size = manifest.get('family'), manifest['trained'], manifest['size']
    about = About(family, trained, size, manifest['align_corners'], partial(_check_size, size))
    # The graphs have no part for the person alone: a person's code holds the picture only.
    calls = {'garment': garment, 'try_on': try_on, 'person': lambda person: (), 'dress': try_on}
    return OptimizedPipeline(about, calls, mode=kind, device=torch.device('cpu'), dtype=torch.float32)


def _check_size(size: tuple[int, int], name: str, picture: Tensor) -> None:
    if tuple(picture.shape[2:]) != size:
        height, width = picture.shape[2:]
        raise UserError(
            f'{name} is {height} x {width} (H x W), but this export takes {size[0]} x {size[1]}; '
            'resize the picture, or export with --size'
        )
