"""The cost volume as CUDA kernels: `correlation.cu`, compiled by cupy on first use, as PyTorch operators.

Importing this file registers `dm_vton::correlation` and `dm_vton::correlation_gradient` and needs neither
cupy nor a GPU. `correlation.py` says what they compute.
"""

import functools
import logging
from pathlib import Path

import torch

from models.ops.correlation_torch import (
    SIDE,
    correlation_gradient,
    cost_volume,
    gradient_rule,
    save_inputs,
    volume_rule,
)
from utils.errors import first_line

SCALARS = {torch.float32: 'FLOAT', torch.float64: 'DOUBLE', torch.float16: 'HALF', torch.bfloat16: 'BFLOAT16'}

# The tile of pixels that a thread block works on (as in the source below), the threads of a block, how many
# channels a block of the gradient kernel goes through, and how many blocks CUDA starts.
TILE_HEIGHT, TILE_WIDTH = 4, 32
VOLUME_BLOCK = (32, 7, 2)
GRADIENT_BLOCK = (16, 4, 4)
CHANNELS_PER_BLOCK = 64
MAX_BLOCKS = (2**31 - 1, 65535)

_log = logging.getLogger(__name__)

SOURCE = Path(__file__).with_name('correlation.cu').read_text(encoding='utf-8')


def options(dtype: torch.dtype) -> tuple[str, ...]:
    """Give the compiler options that make `SOURCE` the kernels of one dtype."""
    return (f'-DSCALAR_{SCALARS[dtype]}',)


def find_problem(device: str, dtype: torch.dtype, falling_back: bool) -> str | None:
    """Say in a few words why the kernels cannot run on this device and dtype, None if they can.

    Compiles them when first asked. falling_back: the caller uses PyTorch instead, and the log says so once.
    """
    problem = _probe(device, dtype)
    if problem is not None and falling_back:
        _log_fallback(device, dtype, problem)
    return problem


# The attribute that torch.compiler.assume_constant_result sets: a compiled model keeps the answer and never
# traces cupy. That function itself would import the whole compiler, which takes seconds, for programs that
# never compile.
setattr(find_problem, '_dynamo_marked_constant', True)  # noqa: B010 - functions have no such attribute for a type checker


@functools.cache
def _probe(device: str, dtype: torch.dtype) -> str | None:
    if torch.device(device).type != 'cuda':
        return f'the tensors are on {device}, not on a CUDA device'
    if dtype not in SCALARS:
        return f'{dtype} is not one of {", ".join(str(known) for known in SCALARS)}'
    try:
        _kernels(torch.device(device).index, dtype)
    except ImportError as error:
        return (
            f'cupy cannot be imported ({first_line(error)}), '
            'install the cupy-cuda13x or cupy-cuda12x that fits PyTorch'
        )
    except Exception as error:  # cupy, the compiler and the driver raise all kinds
        return f'cupy cannot compile or load the kernels ({type(error).__name__}: {first_line(error)})'
    return None


@functools.cache
def _log_fallback(device: str, dtype: torch.dtype, problem: str) -> None:
    _log.warning(
        'correlation on %s in %s falls back to the slower PyTorch version: %s', device, dtype, problem
    )


@functools.cache
def _kernels(index: int, dtype: torch.dtype) -> tuple:
    """Compile the two kernels for a device and dtype; cupy keeps them on disk for the next process."""
    import cupy

    with cupy.cuda.Device(index):
        module = cupy.RawModule(code=SOURCE, options=options(dtype))
        return module.get_function('cost_volume'), module.get_function('correlation_gradient')


class _TorchStream:
    """PyTorch's current stream in the protocol of cupy 14, which older PyTorch does not speak."""

    def __init__(self, index: int):
        self.pointer = torch.cuda.current_stream(index).cuda_stream

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self.pointer


def _check_grid(grid: tuple[int, int]) -> None:
    if any(blocks > limit for blocks, limit in zip(grid, MAX_BLOCKS, strict=True)):
        limits = ' x '.join(str(limit) for limit in MAX_BLOCKS)
        raise ValueError(
            f'correlation needs {grid[0]} x {grid[1]} thread blocks, CUDA allows {limits}: split the batch'
        )


def _launch(
    kernel, tensor: torch.Tensor, grid: tuple[int, int], block: tuple[int, int, int], arguments: tuple
) -> None:
    """Start a kernel on the tensor's device and current stream; integers become 64-bit arguments."""
    import cupy

    _check_grid(grid)
    stream = _TorchStream(tensor.device.index)
    modern = hasattr(cupy.cuda.Stream, 'from_external')
    with cupy.cuda.Device(tensor.device.index):
        with cupy.cuda.Stream.from_external(stream) if modern else cupy.cuda.ExternalStream(stream.pointer):
            kernel(grid, block, tuple(a.data_ptr() if isinstance(a, torch.Tensor) else a for a in arguments))


def tile_count(shape: torch.Size) -> int:
    """Count the tiles, thus thread blocks, that [N, C, H, W] is cut into."""
    count, _, height, width = shape
    return count * -(-height // TILE_HEIGHT) * -(-width // TILE_WIDTH)


def _volume_on_cuda(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    kernel, _ = _kernels(first.device.index, first.dtype)
    first, second = first.contiguous(), second.contiguous()
    volume = _empty_volume(first, second)
    _launch(
        kernel, first, (tile_count(first.shape), 1), VOLUME_BLOCK, (first, second, volume, *first.shape[1:])
    )
    return volume


def _gradient_on_cuda(cotangent: torch.Tensor, other: torch.Tensor, reflected: bool) -> torch.Tensor:
    _, kernel = _kernels(other.device.index, other.dtype)
    cotangent, other = cotangent.contiguous(), other.contiguous()
    gradient = _empty_gradient(cotangent, other, reflected)
    grid = tile_count(other.shape), -(-other.shape[1] // CHANNELS_PER_BLOCK)
    arguments = (cotangent, other, gradient, *other.shape[1:], CHANNELS_PER_BLOCK, int(reflected))
    _launch(kernel, other, grid, GRADIENT_BLOCK, arguments)
    return gradient


def _empty_volume(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    count, _, height, width = first.shape
    return first.new_empty(count, SIDE**2, height, width)


def _empty_gradient(cotangent: torch.Tensor, other: torch.Tensor, reflected: bool) -> torch.Tensor:
    return torch.empty_like(other, memory_format=torch.contiguous_format)


def _register() -> torch.library.Library:
    """Register the operators: CUDA kernels, PyTorch twin for the CPU, shapes for compilers, gradients."""
    library = torch.library.Library('dm_vton', 'DEF')
    library.define('correlation(Tensor first, Tensor second) -> Tensor')
    library.define('correlation_gradient(Tensor cotangent, Tensor other, bool reflected) -> Tensor')
    library.impl('correlation', _volume_on_cuda, 'CUDA')
    library.impl('correlation_gradient', _gradient_on_cuda, 'CUDA')
    library.impl('correlation', cost_volume, 'CPU')
    library.impl('correlation_gradient', correlation_gradient, 'CPU')
    torch.library.register_fake('dm_vton::correlation', _empty_volume, lib=library)
    torch.library.register_fake('dm_vton::correlation_gradient', _empty_gradient, lib=library)
    volume, gradient = torch.ops.dm_vton.correlation, torch.ops.dm_vton.correlation_gradient
    rules = {
        'correlation': functools.partial(volume_rule, gradient),
        'correlation_gradient': functools.partial(gradient_rule, volume, gradient),
    }
    for name, rule in rules.items():
        torch.library.register_autograd(f'dm_vton::{name}', rule, setup_context=save_inputs, lib=library)
    return library


_library = _register()
