"""The modes in which the parts of a pipeline run: PyTorch's operations, own kernels, OpenVINO, CUDA graphs.

A backend turns parts into calls by name: tensors in and out, in the order of `runtime.parts.input_names` and
`output_names`. Shape-dependent parts are made at a shape's first call; optional packages imported on use.
"""

import importlib.util
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from runtime import cpu, native
from runtime.parts import PARTS, Call, Parts, save_arithmetic
from utils.errors import UserError


def _prepare(parts: Parts, device: torch.device, dtype: torch.dtype) -> Parts:
    """Move parts to device and dtype: channels last on a GPU, with less arithmetic on a CPU."""
    if device.type != 'cpu':
        return parts.to(device, dtype).to(memory_format=torch.channels_last)
    return save_arithmetic(parts).to(dtype)


def fused(
    parts: Parts,
    device: torch.device,
    dtype: torch.dtype,
    *,
    accelerate: Callable[[Parts], Parts] = cpu.accelerate,
) -> dict[str, Call]:
    """Folded networks, operation by operation; on a CPU in float32 with the operations of `accelerate`."""
    parts = _prepare(parts, device, dtype)
    if device.type == 'cpu' and dtype is torch.float32:
        parts = accelerate(parts)
    return {name: torch.no_grad()(parts.part(name)) for name in PARTS}


def graphed(parts: Parts, device: torch.device, dtype: torch.dtype) -> dict[str, Call]:
    """The calls of `fused` captured as CUDA graphs, one for each shape: a call is a single launch."""
    from runtime.cuda_graph import CudaEngine, GraphedCall

    engine = CudaEngine(device)
    return {name: GraphedCall(call, engine) for name, call in fused(parts, device, dtype).items()}


class _PerShape:
    """A call compiled once per combination of input shapes by `make(inputs)`."""

    def __init__(self, make: Callable[[tuple[Tensor, ...]], Call]):
        self.make = make
        self.calls: dict[tuple, Call] = {}

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        shapes = tuple(x.shape for x in inputs)
        if shapes not in self.calls:
            self.calls[shapes] = self.make(inputs)
        return self.calls[shapes](*inputs)


def _onnx_parts(parts: Parts, make: Callable[[Path], Call]) -> dict[str, Call]:
    """Calls that write a part as an ONNX file of the shapes that came, and read it by `make(file)`."""
    from runtime.export.onnx_file import make_portable, write_onnx

    parts = make_portable(save_arithmetic(parts).float())

    def build(name: str, inputs: tuple[Tensor, ...]) -> Call:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f'{name}.onnx'
            write_onnx(parts, name, tuple(x.contiguous() for x in inputs), path)
            return make(path)

    return {name: _PerShape(partial(build, name)) for name in PARTS}


def openvino(parts: Parts, device: torch.device, dtype: torch.dtype) -> dict[str, Call]:
    """OpenVINO on the CPU, with as many threads as PyTorch; in bfloat16 where that was asked for."""
    from runtime.export.onnx_file import load_openvino, require

    require(*PACKAGES['openvino'])
    return _onnx_parts(parts, partial(load_openvino, dtype=dtype))


MODES: dict[str, Callable[[Parts, torch.device, torch.dtype], dict[str, Call]]] = {
    'fused': fused,
    'native': partial(fused, accelerate=native.accelerate),
    'openvino': openvino,
    'graph': graphed,
}
CPU_ONLY = ('native', 'openvino')
CUDA_ONLY = ('graph',)
PACKAGES = {'openvino': ('openvino', 'onnx', 'onnxscript')}


def find_problem(mode: str, device: torch.device, dtype: torch.dtype = torch.float32) -> str | None:
    """Return the reason why `mode` cannot run on this machine, None if no reason is known beforehand."""
    if mode in CPU_ONLY and device.type != 'cpu':
        return f'it runs on a CPU, not on {device}'
    if mode in CUDA_ONLY and device.type != 'cuda':
        return f'it needs a CUDA GPU, not {device}'
    for package in PACKAGES.get(mode, ()):
        if importlib.util.find_spec(package) is None:
            return f'{package} is not installed; pip install {" ".join(PACKAGES[mode])}'
    if mode == 'native' and dtype is not torch.float32:
        return f'it computes in float32 only, not in {str(dtype).removeprefix("torch.")}'
    return native.find_problem() if mode == 'native' else None


def create(mode: str, parts: Parts, device: torch.device, dtype: torch.dtype) -> dict[str, Call]:
    """Make the calls of `mode` from `parts`, which are modified. Raises `UserError` for an unusable mode."""
    if mode not in MODES:
        raise UserError(f'there is no mode {mode!r}; choose from auto, {", ".join(MODES)}')
    if problem := find_problem(mode, device, dtype):
        raise UserError(f'mode {mode} cannot run: {problem}')
    return MODES[mode](parts, device, dtype)
