"""Check what needs a GPU: CUDA kernels, pipelines in 16 bits and as graphs, a step of each stage.

Prints how fast the kernels are, against the PyTorch twin and against a large copy in the same run.

    python -m scripts.check_gpu

Exit status 0: everything agrees; 1: something does not, or there is no CUDA device.
"""

import contextlib
import copy
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

import runtime
from benchmarks.correlation import LEVELS, shifts
from benchmarks.inputs import made_up_batch, made_up_pictures
from benchmarks.pipelines import measure_family, table
from engine.stages import STAGES, create_stage
from models import FAMILIES, TryOnPipeline
from models.ops.correlation import correlation
from models.ops.correlation_cuda import find_problem
from runtime import OptimizedPipeline

SHAPES = ((1, 1, 1, 1), (2, 33, 37, 53), (3, 70, 16, 12), (1, 256, 8, 6), (1, 256, 128, 96))
# Largest error allowed, as a part of the largest number: the rounding of the result and, in the wide types,
# of the sums.
TOLERANCES = {torch.float64: 1e-13, torch.float32: 3e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}
CALLS = 20
# Largest error of an optimised picture in float32 against the plain one: a number or, where that is more, so
# many times the plain one's own error. Untrained RMGN is badly conditioned and needs the second.
LARGEST_ERROR, TIMES_ROUNDING = 1e-4, 4
# Largest loss of peak signal-to-noise ratio against float64, in dB, from float32 to fewer bits. Up to 40 and
# 58 were measured; a picture that is wrong loses all that float32 has, 70 and more.
LARGEST_LOSS = {torch.float16: 46, torch.bfloat16: 64}
ANOTHER_ROUNDING = 10  # dB that two pictures in float16 may be farther from each other than one from float64


def verdict(fine: bool) -> str:
    """The first column of a line."""
    return f'{"ok" if fine else "WRONG":6s}'


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
    """Compare both twins with the definition in float64, volume and gradients; print relative errors."""
    right = True
    for shape in SHAPES:
        inputs = make_inputs(shape, dtype)
        expected = volume_and_gradients(shifts, tuple(tensor.double() for tensor in inputs))
        for impl in ('cuda', 'torch'):
            got = volume_and_gradients(partial(correlation, impl=impl), inputs)
            pairs = zip(got, expected, strict=True)
            errors = [((one.double() - other).abs().max() / other.abs().max()).item() for one, other in pairs]
            fine = max(errors) <= TOLERANCES[dtype]  # false for a NaN too
            right &= fine
            named = zip(('volume', 'first', 'second'), errors, strict=True)
            parts = '  '.join(f'{name} {error:.1e}' for name, error in named)
            print(f'{verdict(fine)}{impl:6s}{str(dtype)[6:]:9s}{str(list(shape)):20s}{parts}')
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


@contextlib.contextmanager
def without_tf32() -> Iterator[None]:
    """Let convolutions in float32 be computed in float32, for as long as the block lasts."""
    allowed, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = allowed


def psnr_of(picture: torch.Tensor, expected: torch.Tensor) -> float:
    """Peak signal-to-noise ratio, dB, of pictures in [-1, 1]."""
    return 10 * torch.log10(4 / (picture.float() - expected).square().mean()).item()


def in_dtype(pipeline: TryOnPipeline, dtype: torch.dtype) -> TryOnPipeline:
    """A copy of a pipeline in another dtype."""
    return TryOnPipeline(copy.deepcopy(pipeline.warp).to(dtype), copy.deepcopy(pipeline.generator).to(dtype))


def check_pipelines() -> bool:
    """Run the untrained student pipelines in float16 and bfloat16 and print the PSNR against float64.

    How much they may lose is measured from float32, whose own PSNR says how well the network is conditioned.
    """
    right = True
    pictures = made_up_pictures(2, (256, 192), torch.device('cuda'))
    for family in FAMILIES:
        plain = TryOnPipeline.untrained(family, device='cuda')
        exact = in_dtype(plain, torch.float64)(*pictures).image
        best = psnr_of(plain(*pictures).image, exact)
        for dtype, loss in LARGEST_LOSS.items():
            result = in_dtype(plain, dtype)(*pictures)
            psnr = psnr_of(result.image, exact)
            fine = best - psnr <= loss and result.flow.dtype is torch.float32
            right &= fine
            flow = str(result.flow.dtype)[6:]
            bits = f'{str(dtype)[6:]:9s}{psnr:5.1f} dB, float32 {best:5.1f}'
            print(f'{verdict(fine)}{family:13s}{bits}, flow {flow}')
    return right


def check_optimised() -> bool:
    """Compare optimised pipelines with plain ones, in float32 to rounding, in float16 in dB; call graphs."""
    right = True
    pictures = made_up_pictures(1, (256, 192), torch.device('cuda'))
    for family in FAMILIES:
        pipeline = TryOnPipeline.untrained(family, device='cuda')
        expected = pipeline(*pictures).image
        exact = in_dtype(pipeline, torch.float64)(*pictures).image
        rounding, best = (expected - exact).abs().max().item(), psnr_of(expected, exact)
        for mode in ('fused', 'graph'):
            single = runtime.optimize(pipeline, mode, dtype=torch.float32)(*pictures).image
            error = (single - expected).abs().max().item()
            half = runtime.optimize(pipeline, mode)
            result = half(*pictures)
            psnr = psnr_of(result.image, exact)
            fine = error <= max(LARGEST_ERROR, TIMES_ROUNDING * rounding)
            fine &= best - psnr <= LARGEST_LOSS[torch.float16] and result.flow.dtype is torch.float32
            fine &= mode != 'graph' or check_graph(half, pictures, smallest_psnr=psnr - ANOTHER_ROUNDING)
            right &= fine
            print(
                f'{verdict(fine)}{family:13s}{mode:6s}float32 {error:.1e}, its rounding {rounding:.1e}, '
                f'half {psnr:5.1f} dB of {best:5.1f}'
            )
    return right


def check_graph(
    pipeline: OptimizedPipeline, pictures: tuple[torch.Tensor, ...], *, smallest_psnr: float
) -> bool:
    """Repeat calls from two streams and the host, with codes and other batches: each gets its own result.

    A batch of two is computed by other kernels: it may differ by rounding, at least `smallest_psnr` dB.
    """
    person, cloth, edge = pictures
    persons = [person, person.flip(3), -person, person.flip(2)]
    code = pipeline.encode_garment(cloth, edge)
    expected = [pipeline(one, code).image for one in persons]
    right = torch.equal(pipeline(person, cloth, edge).image, expected[0])
    streams = [torch.cuda.Stream(), torch.cuda.Stream()]
    for stream in streams:
        stream.wait_stream(torch.cuda.current_stream())
    results = []
    for index, one in enumerate(persons * 8):
        with torch.cuda.stream(streams[index % 2]):
            results.append(pipeline(one, code).image)
    torch.cuda.synchronize()
    right &= all(torch.equal(result, expected[index % 4]) for index, result in enumerate(results))
    both = pipeline(torch.cat(persons[:2]), code).image
    right &= psnr_of(both, torch.cat(expected[:2]).float()) >= smallest_psnr
    from_host = [pipeline(one.cpu(), code).image for one in persons]
    return right and all(torch.equal(result, one) for result, one in zip(from_host, expected, strict=True))


def print_runtimes() -> None:
    """Print what `python -m benchmarks.pipelines` measures of DM-VTON, shortly."""
    settings: dict[str, Any] = {'size': (256, 192), 'device': torch.device('cuda', 0), 'repeats': 50}
    for batch in (1, 8, 64):
        print(table(measure_family('dm_vton', ('fused', 'graph'), batch=batch, **settings)))


def check_stages() -> bool:
    """Train one step of each stage in float32 and bfloat16: losses and gradients must be finite.

    Losses are printed, not compared: with an untrained teacher, distillation gates flip by rounding alone.
    """
    right, batch = True, made_up_batch(2, (256, 192), torch.device('cuda'))
    for name in STAGES:
        losses, fine = [], True
        for dtype in (torch.float32, torch.bfloat16):
            torch.manual_seed(0)
            stage = create_stage(name).to('cuda')
            with torch.autocast('cuda', dtype=dtype, enabled=dtype is not torch.float32):
                loss = stage.step(batch, 1).loss
            loss.backward()
            parameters = [parameter for module in stage.modules.values() for parameter in module.parameters()]
            gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
            fine = fine and bool(loss.isfinite()) and all(gradient.isfinite().all() for gradient in gradients)
            losses.append(loss.item())
        right &= fine
        print(f'{verdict(fine)}{name:9s}loss {losses[0]:.5g} float32, {losses[1]:.5g} bfloat16')
    return right


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
    with without_tf32():
        right = all([*(check_twins(dtype) for dtype in TOLERANCES), check_pipelines(), check_optimised()])
    right &= check_stages()
    attainable = copy_bandwidth()
    print(f'{torch.cuda.get_device_name()}: a large copy moves {attainable / 1e9:.0f} GB/s')
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        for height, width in LEVELS:
            print_speed(dtype, (1, 256, height, width), attainable)
    print_runtimes()
    print('everything agrees' if right else 'something is wrong: see the lines marked WRONG')
    return 0 if right else 1


if __name__ == '__main__':
    sys.exit(main())
