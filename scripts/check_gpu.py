"""Check on a machine with a GPU that the CUDA kernels of the cost volume are right, and say how fast they are.

    python -m scripts.check_gpu

Exit status 0: everything agrees; 1: something does not, or there is no CUDA device.
"""

import sys
from collections.abc import Callable
from functools import partial

import torch

from models.ops.correlation import correlation
from models.ops.correlation_cuda import find_problem
from scripts.benchmark_correlation import LEVELS, shifts

SHAPES = ((1, 1, 1, 1), (2, 33, 37, 53), (3, 70, 16, 12), (1, 256, 8, 6), (1, 256, 128, 96))
# Largest error allowed, as a part of the largest number: the rounding of the result and, in the wide types, of the sums.
TOLERANCES = {torch.float64: 1e-13, torch.float32: 3e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}
CALLS = 20


def volume_and_gradients(way: Callable, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Run a way to compute the cost volume forward and backward."""
    first, second = (tensor.detach().requires_grad_() for tensor in inputs[:2])
    volume = way(first, second)
    return volume.detach(), *torch.autograd.grad(volume, (first, second), inputs[2])


def make_inputs(shape: tuple[int, ...], dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    """Draw two feature maps and a cotangent on the GPU."""
    shapes = (shape, shape, (shape[0], 49, *shape[2:]))
    return tuple(torch.randn(size, device='cuda', dtype=torch.float64).to(dtype) for size in shapes)


def check_twins(dtype: torch.dtype) -> bool:
    """Compare both twins with the definition in float64, volume and both gradients, and print the largest relative errors."""
    right = True
    for shape in SHAPES:
        inputs = make_inputs(shape, dtype)
        expected = volume_and_gradients(shifts, tuple(tensor.double() for tensor in inputs))
        for impl in ('cuda', 'torch'):
            got = volume_and_gradients(partial(correlation, impl=impl), inputs)
            errors = [
                ((one.double() - other).abs().max() / other.abs().max()).item() for one, other in zip(got, expected, strict=True)
            ]
            fine = max(errors) <= TOLERANCES[dtype]  # false for a NaN too
            right &= fine
            parts = '  '.join(f'{name} {error:.1e}' for name, error in zip(('volume', 'first', 'second'), errors, strict=True))
            print(f'{"ok" if fine else "WRONG":6s}{impl:6s}{str(dtype)[6:]:9s}{str(list(shape)):20s}{parts}')
    return right


def device_time(call: Callable[[], object]) -> float:
    """Time a call on the GPU alone, in seconds: a long copy keeps the GPU busy while the calls are queued."""
    ballast = torch.empty(2**28, device='cuda')
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    for _ in range(3):
        call()
    torch.cuda.synchronize()
    for _ in range(10):
        ballast.copy_(ballast.flip(0))
    begin.record()
    for _ in range(CALLS):
        call()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / 1000 / CALLS


def copy_bandwidth() -> float:
    """Measure what a large copy reads and writes on the device, in bytes per second."""
    source = torch.empty(2**30, dtype=torch.uint8, device='cuda')
    target = torch.empty_like(source)
    return 2 * source.numel() / device_time(lambda: target.copy_(source))


def print_speed(dtype: torch.dtype, shape: tuple[int, ...], attainable: float) -> None:
    """Print the times of both twins, and what part of the attainable bandwidth the kernel reaches."""
    inputs = make_inputs(shape, dtype)
    ways = [partial(correlation, impl=impl) for impl in ('cuda', 'torch')]
    kernel, twin = (device_time(partial(way, *inputs[:2])) for way in ways)
    kernel_both, twin_both = (device_time(partial(volume_and_gradients, way, inputs)) for way in ways)
    speed = sum(tensor.nbytes for tensor in inputs) / kernel  # both maps read once, the volume written once
    print(
        f'{str(dtype)[6:]:9s}{shape[2]:4d} x {shape[3]:<4d} '
        f'kernel {1e6 * kernel:7.1f} us, PyTorch {twin / kernel:5.1f} times that; '
        f'with gradients {1e6 * kernel_both:7.1f} us, {twin_both / kernel_both:5.1f} times; '
        f'{speed / 1e9:6.0f} GB/s, {speed / attainable:4.0%} of a copy'
    )


def main() -> int:
    """Run all checks; 0 if everything agrees."""
    if not torch.cuda.is_available():
        print('no CUDA device: this check needs one', file=sys.stderr)
        return 1
    problem = find_problem('cuda:0', torch.float32, False)
    if problem is not None:
        print(f'the CUDA kernels cannot run: {problem}', file=sys.stderr)
        return 1
    torch.manual_seed(0)
    right = all([check_twins(dtype) for dtype in TOLERANCES])
    attainable = copy_bandwidth()
    print(f'{torch.cuda.get_device_name()}: a large copy moves {attainable / 1e9:.0f} GB/s')
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        for height, width in LEVELS:
            print_speed(dtype, (1, 256, height, width), attainable)
    print('everything agrees' if right else 'the twins differ from the definition: see the lines marked WRONG')
    return 0 if right else 1


if __name__ == '__main__':
    sys.exit(main())
