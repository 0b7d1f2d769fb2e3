"""ONNX files: parts of a pipeline written, and read into ONNX Runtime and OpenVINO.

Operations that ONNX lacks, or its runtimes execute slowly, are rewritten; results differ by rounding.
"""

import contextlib
import functools
import importlib.util
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.ops.correlation_torch import RADIUS, SIDE
from models.warp_modules.coarse_to_fine import FlowNetwork
from runtime.fold import replace
from runtime.parts import Call, Parts, WrappedFlow, input_names, output_names
from utils.errors import UserError

OPSET = 18  # GridSample came with 16; 18 is what the exporter writes without converting
TILE = 8  # pixels a side that one matrix product of the cost volume handles together


def require(*packages: str) -> None:
    """Raise `UserError` that names the first of `packages` (as pip knows them) that is not installed."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise UserError(f'{package} is not installed, which this runtime needs; pip install {package}')


def correlation_by_tables(first: Tensor, second: Tensor) -> Tensor:
    """`models.ops.correlation` in operations that ONNX has: [N, C, h, w] twice -> [N, 49, h, w].

    Square tiles are multiplied with their surroundings, cut out by tables of rows and columns; a third table
    picks the 49 products of each pixel that count.
    """
    count, channels, height, width = first.shape
    down, across, window = -(-height // TILE), -(-width // TILE), TILE + 2 * RADIUS
    below, right = down * TILE - height, across * TILE - width
    tiles = F.pad(first, (0, right, 0, below)).view(count, channels, down, TILE, across, TILE)
    tiles = tiles.permute(0, 2, 4, 3, 5, 1).reshape(-1, TILE**2, channels)
    starts = (torch.arange(n, device=first.device)[:, None] * TILE for n in (down, across))
    rows, columns = ((start + torch.arange(window, device=first.device)).flatten() for start in starts)
    padded = F.pad(second, (RADIUS, RADIUS + right, RADIUS, RADIUS + below))
    near = padded.index_select(2, rows).index_select(3, columns)
    near = near.view(count, channels, down, window, across, window).permute(0, 2, 4, 1, 3, 5)
    near = near.reshape(-1, channels, window**2)
    places = torch.arange(window**2, device=first.device).view(window, window)
    places = places.unfold(0, SIDE, 1).unfold(1, SIDE, 1)
    offsets = torch.arange(TILE**2, device=first.device) * window**2
    # Of [tile, window], 49 for each pixel of the tile.
    index = (places.flatten(0, 1).flatten(1) + offsets[:, None]).flatten()
    volume = torch.bmm(tiles, near).flatten(1).index_select(1, index)
    volume = volume.view(count, down, across, TILE, TILE, SIDE**2)
    volume = volume.permute(0, 5, 1, 3, 2, 4).reshape(count, SIDE**2, down * TILE, across * TILE)
    return volume[:, :, :height, :width] / channels


def compare_by_tables(aligned: Tensor, condition_feature: Tensor) -> Tensor:
    """`models.warp_modules.afwm.compare` in operations that ONNX has."""
    return F.leaky_relu(correlation_by_tables(aligned, condition_feature), 0.1)


class PortableFlow(WrappedFlow):
    """A flow network in operations that ONNX has."""

    compare = staticmethod(compare_by_tables)


def make_portable(parts: Parts) -> Parts:
    """Replace operations that ONNX lacks, in place, and return `parts`."""
    parts.dress = replace(parts.dress, FlowNetwork, PortableFlow)
    return parts


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's deprecation warnings and log."""
    loggers = [logging.getLogger(name) for name in ('torch.onnx', 'torch.export', 'onnxscript', 'onnx_ir')]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def load_onnx(path: Path) -> Call:
    """Read an ONNX file into ONNX Runtime on the CPU, with as many threads as PyTorch has."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry('session.set_denormal_as_zero', '1')
    session = ort.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    names = [entry.name for entry in session.get_inputs()]

    def call(*inputs: Tensor) -> tuple[Tensor, ...]:
        arrays = {name: x.contiguous().numpy() for name, x in zip(names, inputs, strict=True)}
        return tuple(torch.from_numpy(array) for array in session.run(None, arrays))

    return call


@functools.cache
def openvino_core() -> Any:
    """The one `openvino.Core` of this process.

    A core gives the thread that made it another stack for signals, and the stack before it back when it goes.
    Of several cores that go in the order in which they came the last one gives back a stack that is no more,
    and the next signal, Ctrl+C or a child's end, is a segmentation fault.
    """
    import openvino as ov

    return ov.Core()


def load_openvino(path: Path, dtype: torch.dtype = torch.float32) -> Call:
    """Read an ONNX file, or OpenVINO's format, into OpenVINO on the CPU, with PyTorch's thread count."""
    core = openvino_core()
    settings = {
        'PERFORMANCE_HINT': 'LATENCY',
        'INFERENCE_NUM_THREADS': torch.get_num_threads(),
        'INFERENCE_PRECISION_HINT': {torch.bfloat16: 'bf16', torch.float16: 'f16'}.get(dtype, 'f32'),
    }
    model = core.compile_model(core.read_model(path), 'CPU', settings)

    def call(*inputs: Tensor) -> tuple[Tensor, ...]:
        results = model([x.contiguous().numpy() for x in inputs], share_inputs=True, share_outputs=False)
        return tuple(torch.from_numpy(results[output]) for output in model.outputs)

    return call


def write_onnx(parts: Parts, name: str, inputs: tuple[Tensor, ...], path: Path) -> None:
    """Write the part `name` ('person', 'garment', 'dress' or 'try_on') of portable `parts` to `path`.

    Its names are those of `runtime.parts.input_names` and `output_names`. Needs onnx and onnxscript.
    """
    names, results = input_names(parts.levels)[name], output_names(parts.levels)[name]
    write_network(parts.part(name), inputs, path, names=names, output_names=results)


def write_network(
    network: nn.Module,
    inputs: tuple[Tensor, ...],
    path: Path,
    *,
    names: Sequence[str],
    output_names: Sequence[str],
    dynamic_shapes: tuple | None = None,
) -> None:
    """Write a network of tensors and ONNX operations to `path`; `dynamic_shapes` as in `torch.export`."""
    require('onnx', 'onnxscript')
    with torch.no_grad(), _quiet():
        torch.onnx.export(
            network.eval(),
            inputs,
            path,
            input_names=list(names),
            output_names=list(output_names),
            opset_version=OPSET,
            dynamic_shapes=dynamic_shapes,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def save_bare(model: Any, path: Path) -> None:
    """Check and write an ONNX model without the exporter's notes: file names, shapes in between."""
    import onnx

    del model.metadata_props[:]
    model.graph.ClearField('value_info')
    for node in model.graph.node:
        del node.metadata_props[:]
        node.ClearField('doc_string')
    onnx.save(model, path)
    onnx.checker.check_model(path, full_check=True)
