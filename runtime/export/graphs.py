"""A pipeline as files that run without Python, in ONNX or OpenVINO's format; `.runtimes` reads them back.

A folder holds three graphs for pictures of one size (H, W) and any batch, and `export.json` about them:

    whole      person, cloth, edge -> tryon, warped_cloth
    garment    cloth, edge -> the garment's code, computed once for any number of persons
    try_on     person and a garment's code -> tryon and the other tensors of `models.outputs.TryOn`

Names, shapes and ranges are the pipeline's; inputs and outputs are float32, in a float16 export too.
"""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.outputs import TryOn
from models.pipeline import TryOnPipeline
from models.warp_modules.coarse_to_fine import LEVELS
from runtime.export.onnx_file import make_portable, require, save_bare, write_network
from runtime.parts import Parts, input_names, output_names, save_arithmetic, split
from utils.paths import atomic_write

FORMATS = ('onnx', 'openvino')
PRECISIONS = {'float32': torch.float32, 'float16': torch.float16}
SUFFIXES = {'onnx': '.onnx', 'openvino': '.xml'}
NEEDED = {'onnx': ('onnx', 'onnxscript', 'onnxruntime'), 'openvino': ('onnx', 'onnxscript', 'openvino')}
MANIFEST = 'export.json'
EXAMPLES = 2  # of a batch: with one the exporter would take the batch for a constant
LARGEST_BATCH = 2**20


class Graph(NamedTuple):
    """Names of a graph's inputs and outputs."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def graphs_of(levels: int = LEVELS) -> dict[str, Graph]:
    """The graphs by name, for a warp network with so many levels."""
    inputs, outputs = input_names(levels), output_names(levels)
    return {
        'whole': Graph(('person', 'cloth', 'edge'), ('tryon', 'warped_cloth')),
        'garment': Graph(inputs['garment'], outputs['garment']),
        'try_on': Graph(inputs['try_on'], ('tryon', *outputs['try_on'][1:])),
    }


class Whole(nn.Module):
    """person, cloth, edge -> the try-on and the warped cloth: all parts in one network."""

    def __init__(self, parts: Parts):
        super().__init__()
        self.parts = parts

    def forward(self, person: Tensor, cloth: Tensor, edge: Tensor) -> tuple[Tensor, Tensor]:
        garment = self.parts.garment(cloth, edge)
        result = TryOn(*self.parts.dress(person, *self.parts.person(person), *garment))
        return result.image, result.warped_cloth


class Float32Interface(nn.Module):
    """A network that takes and returns float32, whatever it computes in."""

    def __init__(self, network: nn.Module, dtype: torch.dtype):
        super().__init__()
        self.network = network
        self.dtype = dtype

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(output.float() for output in self.network(*(x.to(self.dtype) for x in inputs)))


def write_graphs(
    pipeline: TryOnPipeline, folder: Path, *, format: str, precision: str, size: tuple[int, int]
) -> Path:
    """Write the graphs of `pipeline` and their manifest into `folder`, which is there; returns `folder`.

    `format` is one of FORMATS, `precision` one of PRECISIONS: ONNX computes in it; OpenVINO stores its
    weights so and computes in the type that its device prefers. Raises `UserError` for a size that the
    networks cannot take and where a package is missing.
    """
    require(*NEEDED[format])
    pipeline.warp.check_size('--size', torch.empty(1, 3, *size))
    dtype = PRECISIONS[precision] if format == 'onnx' else torch.float32
    parts = split(pipeline).cpu()
    if precision == 'float32':  # faster on a CPU, a sixth larger: float16 is for those who want small files
        parts = save_arithmetic(parts)
    parts = make_portable(parts).to(dtype)
    person, cloth, edge = (torch.rand(EXAMPLES, channels, *size) for channels in (3, 3, 1))
    with torch.no_grad():
        garment = Float32Interface(parts.garment, dtype)(cloth, edge)
    graphs = graphs_of(parts.levels)
    networks = {'whole': Whole(parts), 'garment': parts.garment, 'try_on': parts.try_on}
    inputs = {'whole': (person, cloth, edge), 'garment': (cloth, edge), 'try_on': (person, *garment)}
    files: dict[str, list[Path]] = {}
    for name, network in networks.items():
        path = folder / f'{name}.onnx'
        _write_onnx(Float32Interface(network, dtype), inputs[name], path, graphs[name])
        files[name] = [path] if format == 'onnx' else _to_openvino(path, precision)
    described = {name: graph._asdict() | {'files': describe(files[name])} for name, graph in graphs.items()}
    manifest = {
        'format': format,
        'precision': precision,
        'family': pipeline.family,
        'trained': pipeline.is_trained,
        'size': list(size),
        'align_corners': pipeline.align_corners,
        'ranges': dict.fromkeys(('person', 'cloth', 'tryon', 'warped_cloth'), [-1, 1]) | {'edge': [0, 1]},
        'graphs': described,
    }
    write_manifest(folder, manifest)
    return folder


def write_manifest(folder: Path, manifest: dict) -> None:
    """Write what a folder of graphs says about itself."""
    with atomic_write(folder / MANIFEST) as temporary:
        temporary.write_text(json.dumps(manifest, indent=2) + '\n', encoding='utf-8')


def describe(files: list[Path]) -> dict[str, dict]:
    """Size and SHA-256 of files by name, by which a damaged file is told, and one of another export."""
    return {path.name: {'bytes': path.stat().st_size, 'sha256': digest(path)} for path in files}


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with open(path, 'rb') as file:
        total = hashlib.sha256()
        while block := file.read(2**20):
            total.update(block)
    return total.hexdigest()


def _write_onnx(network: nn.Module, inputs: tuple[Tensor, ...], path: Path, graph: Graph) -> None:
    """Write one graph of any batch, without the exporter's notes: file names, shapes in between."""
    import onnx

    batch = torch.export.Dim('batch', min=1, max=LARGEST_BATCH)
    shapes = (tuple({0: batch} for _ in inputs),)  # of *inputs, one argument
    names = {'names': graph.inputs, 'output_names': graph.outputs}
    write_network(network, inputs, path, **names, dynamic_shapes=shapes)
    save_bare(onnx.load(path), path)


def _to_openvino(path: Path, precision: str) -> list[Path]:
    """Turn an ONNX file into OpenVINO's pair of files beside it; the ONNX file goes."""
    import openvino as ov

    target = path.with_suffix(SUFFIXES['openvino'])
    ov.save_model(ov.convert_model(path), target, compress_to_fp16=precision == 'float16')
    path.unlink()
    return [target, target.with_suffix('.bin')]
