"""The ways to run the parts of a pipeline: PyTorch's operations one by one or compiled, ONNX Runtime, OpenVINO, CUDA graphs.

A backend turns parts into calls by name: tensors in, tensors out, in the order of `runtime.parts.INPUTS` and `OUTPUTS`. What
depends on shapes is made when a shape first comes. Nothing beyond PyTorch is imported before it is asked for.
"""

import importlib.util
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from runtime import cpu, native
from runtime.parts import OUTPUTS, Parts, save_arithmetic
from utils.errors import UserError

Call = Callable[..., tuple[Tensor, ...]]
PARTS = tuple(OUTPUTS)


def _prepare(parts: Parts, device: torch.device, dtype: torch.dtype) -> Parts:
    """Bring parts to device and dtype: on a GPU with channels last, which tensor cores want, on a CPU with less arithmetic."""
    if device.type != 'cpu':
        return parts.to(device, dtype, memory_format=torch.channels_last)
    return save_arithmetic(parts).to(dtype)


def fused(
    parts: Parts, device: torch.device, dtype: torch.dtype, *, accelerate: Callable[[Parts], Parts] = cpu.accelerate
) -> dict[str, Call]:
    """Folded networks, operation by operation; on a CPU in float32 with the fast operations that `accelerate` puts into them."""
    parts = _prepare(parts, device, dtype)
    if device.type == 'cpu' and dtype is torch.float32:
        parts = accelerate(parts)
    return {name: torch.no_grad()(parts.part(name)) for name in PARTS}


def compiled(parts: Parts, device: torch.device, dtype: torch.dtype) -> dict[str, Call]:
    """Through torch.compile: Inductor merges what lies between the convolutions. The first call of a shape takes a minute."""
    parts = _prepare(parts, device, dtype)
    options = {'freezing': True} if device.type == 'cpu' else {}
    return {name: torch.no_grad()(torch.compile(parts.part(name), dynamic=False, options=options)) for name in PARTS}


def graphed(parts: Parts, device: torch.device, dtype: torch.dtype, *, make: Callable = fused) -> dict[str, Call]:
    """The calls of `make` captured as CUDA graphs, one for each shape: a call is a single launch."""
    from runtime.cuda_graph import CudaEngine, GraphedCall

    engine = CudaEngine(device)
    return {name: GraphedCall(call, engine) for name, call in make(parts, device, dtype).items()}


class _PerShape:
    """A call that is made anew for each combination of shapes: `make(inputs)` returns it."""

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
    from runtime.onnx_file import make_portable, write_onnx

    parts = make_portable(save_arithmetic(parts).float())

    def build(name: str, inputs: tuple[Tensor, ...]) -> Call:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f'{name}.onnx'
            write_onnx(parts, name, tuple(x.contiguous() for x in inputs), path)
            return make(path)

    return {name: _PerShape(partial(build, name)) for name in PARTS}


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


def load_openvino(path: Path, dtype: torch.dtype = torch.float32) -> Call:
    """Read an ONNX file, or OpenVINO's own format, into OpenVINO on the CPU, with as many threads as PyTorch has."""
    import openvino as ov

    core = ov.Core()
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


def onnxruntime(parts: Parts, device: torch.device, dtype: torch.dtype) -> dict[str, Call]:
    """ONNX Runtime on the CPU, with as many threads as PyTorch."""
    from runtime.onnx_file import require

    require('onnxruntime', 'onnx', 'onnxscript')
    return _onnx_parts(parts, load_onnx)


def openvino(parts: Parts, device: torch.device, dtype: torch.dtype) -> dict[str, Call]:
    """OpenVINO on the CPU, with as many threads as PyTorch; in bfloat16 where that was asked for."""
    from runtime.onnx_file import require

    require('openvino', 'onnx', 'onnxscript')
    return _onnx_parts(parts, partial(load_openvino, dtype=dtype))


MODES: dict[str, Callable[[Parts, torch.device, torch.dtype], dict[str, Call]]] = {
    'fused': fused,
    'winograd': partial(fused, accelerate=partial(cpu.accelerate, operations=cpu.WINOGRAD)),
    'native': partial(fused, accelerate=native.accelerate),
    'compile': compiled,
    'onnxruntime': onnxruntime,
    'openvino': openvino,
    'graph': graphed,
    'compile_graph': partial(graphed, make=compiled),
}
CPU_ONLY = ('winograd', 'native', 'onnxruntime', 'openvino')
CUDA_ONLY = ('graph', 'compile_graph')
PACKAGES = {'onnxruntime': ('onnxruntime', 'onnx', 'onnxscript'), 'openvino': ('openvino', 'onnx', 'onnxscript')}


def find_problem(mode: str, device: torch.device, dtype: torch.dtype = torch.float32) -> str | None:
    """Say in a few words why `mode` cannot run on this machine, None if it can as far as one can know beforehand."""
    if mode in CPU_ONLY and device.type != 'cpu':
        return f'it runs on a CPU, not on {device}'
    if mode in CUDA_ONLY and device.type != 'cuda':
        return f'it needs a CUDA GPU, not {device}'
    if missing := [package for package in PACKAGES.get(mode, ()) if importlib.util.find_spec(package) is None]:
        return f'{missing[0]} is not installed; pip install {" ".join(PACKAGES[mode])}'
    if mode == 'native':
        name = str(dtype).removeprefix('torch.')
        return native.find_problem() if dtype is torch.float32 else f'it computes in float32 only, not in {name}'
    if mode == 'compile' and device.type == 'cpu' and not any(map(shutil.which, ('c++', 'g++', 'clang++', 'cl'))):
        return 'torch.compile needs a C++ compiler, and there is none'
    return None


def create(mode: str, parts: Parts, device: torch.device, dtype: torch.dtype) -> dict[str, Call]:
    """Make the calls of `mode` from `parts`, which are used up. Raises `UserError` for a mode that is unknown or cannot run."""
    if mode not in MODES:
        raise UserError(f'there is no mode {mode!r}; choose from auto, {", ".join(MODES)}')
    if problem := find_problem(mode, device, dtype):
        raise UserError(f'mode {mode} cannot run: {problem}')
    return MODES[mode](parts, device, dtype)
