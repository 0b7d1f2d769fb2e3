"""The CUDA kernels of the cost volume: compiled for several GPUs, run thread by thread on the CPU, and run on
a GPU.
"""

import logging
import os
import re
import shutil
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

from models.ops import correlation_cuda
from models.ops.correlation import correlation

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
DTYPES = tuple(correlation_cuda.SCALARS)


def slow_correlation(first, second):
    height, width = first.shape[2:]
    padded = F.pad(second, (3, 3, 3, 3))
    shifted = [padded[:, :, dy : dy + height, dx : dx + width] for dy in range(7) for dx in range(7)]
    return torch.stack([(first * neighbour).mean(dim=1) for neighbour in shifted], dim=1)


def make_inputs(shape, dtype=torch.float64, device='cpu', seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = (shape, shape, (shape[0], 49, *shape[2:]))
    made = [torch.randn(*size, generator=generator, dtype=torch.float64).to(device, dtype) for size in shapes]
    return made[0].requires_grad_(), made[1].requires_grad_(), made[2]


def volume_and_gradients(function, first, second, cotangent):
    volume = function(first, second)
    return volume.detach(), *torch.autograd.grad(volume, (first, second), cotangent)


def exact_volume_and_gradients(first, second, cotangent):
    """The slow version in float64 on the CPU, of inputs that are rounded already."""
    first, second = (tensor.detach().cpu().double().requires_grad_() for tensor in (first, second))
    return volume_and_gradients(slow_correlation, first, second, cotangent.cpu().double())


def assert_all_close(got, expected, **tolerance):
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one.detach().cpu().double(), other.detach().cpu().double(), **tolerance)


# Compiled, not run: NVRTC needs no GPU.


@pytest.mark.parametrize('architecture', ['sm_75', 'sm_80', 'sm_90'])
@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_the_source_compiles_for(dtype, architecture):
    nvrtc = pytest.importorskip('cupy', reason='cupy is not installed').cuda.nvrtc
    try:
        nvrtc.getVersion()
    except (ImportError, OSError, RuntimeError) as error:
        pytest.skip(f'the NVRTC library cannot be loaded: {error}')
    program = nvrtc.createProgram(correlation_cuda.SOURCE, 'correlation.cu', (), ())
    options = (*correlation_cuda.options(dtype), f'--gpu-architecture={architecture}', '--ptxas-options=-v')
    try:
        nvrtc.compileProgram(program, options)
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(program))
    log = nvrtc.getProgramLog(program)
    assert len(nvrtc.getCUBIN(program)) > 0
    assert {'cost_volume', 'correlation_gradient'} <= set(
        re.findall(r"Compiling entry function '(\w+)'", log)
    )
    spilled = max(int(count) for count in re.findall(r'(\d+) bytes spill stores', log))
    assert (
        spilled == 0 or dtype == torch.float64
    )  # sums of doubles take two registers each; float64 is for checks


# Run on the CPU: the same source, built by the host's C++ compiler. Every thread of a block is a fiber; all
# fibers run up to the barrier in turn, in ascending or descending order, so that a missing barrier shows in
# one of the two. Checks of addresses and bounds are compiled in where the compiler has them.

PRELUDE = r"""
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <ucontext.h>
#include <vector>
#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__ static
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(n)
struct Index { unsigned int x, y, z; };
static Index blockIdx, threadIdx;
static ucontext_t scheduler;
static std::vector<ucontext_t> fibers;
static std::vector<char> waiting, finished;
static size_t current;
static void __syncthreads() { waiting[current] = 1; swapcontext(&fibers[current], &scheduler); }
static float widen(unsigned short half)
{
    const int exponent = half >> 10 & 31, fraction = half & 1023;
    const float size = exponent == 31 ? (fraction ? NAN : INFINITY)
                     : exponent ? std::ldexp(1024.f + fraction, exponent - 25) : std::ldexp((float)fraction, -24);
    return half >> 15 ? -size : size;
}
static unsigned short narrow(float value)
{
    const unsigned short sign = std::signbit(value) ? 0x8000 : 0;
    const float size = std::fabs(value);
    if (std::isnan(value)) return 0x7fff;
    if (size >= 65520.f) return sign | 0x7c00;
    int exponent = size < std::ldexp(1.f, -14) ? -14 : std::ilogb(size);
    int steps = (int)std::nearbyint(std::ldexp(size, 10 - exponent));  // ties to even
    return sign | (unsigned short)(steps < 1024 ? steps : ((exponent + 15) << 10) + steps - 1024);
}
"""
MAIN = r"""
static std::string kernel;
static std::vector<Stored*> tensors;
static std::vector<long long> sizes;
static void run_thread()
{
    Stored *a = tensors[0], *b = tensors[1], *c = tensors[2];
    const std::vector<long long>& n = sizes;
    if (kernel == "cost_volume") cost_volume(a, b, c, n.at(0), n.at(1), n.at(2));
    else correlation_gradient(a, b, c, n.at(0), n.at(1), n.at(2), n.at(3), n.at(4));
    finished[current] = 1;
}
static void run_block(Index block, bool descending)
{
    const size_t threads = (size_t)block.x * block.y * block.z, stack = 1 << 16;
    static std::vector<char> stacks(threads * stack);
    fibers.assign(threads, ucontext_t());
    finished.assign(threads, 0);
    for (size_t i = 0; i < threads; ++i) {
        getcontext(&fibers[i]);
        fibers[i].uc_stack.ss_sp = &stacks[i * stack];
        fibers[i].uc_stack.ss_size = stack;
        fibers[i].uc_link = &scheduler;
        makecontext(&fibers[i], run_thread, 0);
    }
    for (size_t done = 0; done < threads;) {
        waiting.assign(threads, 0);
        for (size_t i = 0; i < threads; ++i) {
            current = descending ? threads - 1 - i : i;
            threadIdx.x = current % block.x;
            threadIdx.y = current / block.x % block.y;
            threadIdx.z = current / block.x / block.y;
            swapcontext(&scheduler, &fibers[current]);
            done += finished[current];
        }
        if (done % threads) { std::fprintf(stderr, "some threads ended, others wait at a barrier\n"); std::exit(3); }
    }
}
// Arguments: kernel, descending, 2 sizes of the grid, 3 of the block, bytes and path of 3 tensors, the integers.
int main(int, char** argv)
{
    kernel = argv[1];
    const bool descending = std::atoi(argv[2]);
    const unsigned int across = std::atoi(argv[3]), down = std::atoi(argv[4]);
    const Index block = {(unsigned)std::atoi(argv[5]), (unsigned)std::atoi(argv[6]), (unsigned)std::atoi(argv[7])};
    char** at = argv + 8;
    for (int i = 0; i < 3; ++i) {
        const size_t bytes = std::atoll(at[2 * i]);
        tensors.push_back((Stored*)std::malloc(bytes));  // exactly as large as the tensor: one element too far is noticed
        std::FILE* file = std::fopen(at[2 * i + 1], "rb");
        if (!file || std::fread(tensors[i], 1, bytes, file) != bytes) return 4;
        std::fclose(file);
    }
    for (char** rest = at + 6; *rest; ++rest) sizes.push_back(std::atoll(*rest));
    for (unsigned y = 0; y < down; ++y)
        for (unsigned x = 0; x < across; ++x) {
            blockIdx = Index{x, y, 0};
            run_block(block, descending);
        }
    std::FILE* file = std::fopen(at[5], "wb");
    std::fwrite(tensors[2], 1, std::atoll(at[4]), file);
    return std::fclose(file);
}
"""


@pytest.fixture(scope='session')
def build_emulator(tmp_path_factory):
    """Build the emulator of a dtype, once: dtype -> path of the program."""
    compiler = next(filter(None, map(shutil.which, ('c++', 'g++', 'clang++'))), None)
    if compiler is None or sys.platform == 'win32':
        pytest.skip('no host C++ compiler' if compiler is None else 'the fibers are those of POSIX')
    folder = tmp_path_factory.mktemp('emulator')
    built = {}

    def build(dtype):
        if dtype not in built:
            name = correlation_cuda.SCALARS[dtype].lower()
            source, program = folder / f'{name}.cpp', folder / name
            half = '#define SCALAR_HALF\n' if dtype == torch.float16 else ''
            prelude = PRELUDE if half else PRELUDE[: PRELUDE.index('static float widen')]
            source.write_text(prelude + correlation_cuda.SOURCE + MAIN)
            base = [
                compiler,
                '-std=c++17',
                '-O1',
                *correlation_cuda.options(dtype),
                str(source),
                '-o',
                str(program),
            ]
            checked = [*base, '-fsanitize=address,undefined', '-fno-sanitize-recover=all']
            first = subprocess.run(checked, capture_output=True, text=True)
            # 127: the library of the checks is not there at run time.
            if first.returncode or subprocess.run([program], capture_output=True).returncode == 127:
                subprocess.run(base, check=True)
            built[dtype] = program
        return built[dtype]

    return build


@pytest.fixture
def emulate(build_emulator, tmp_path, monkeypatch):
    """Let the launching code run the kernels in the emulator: emulate(descending) from there on."""

    def emulate(descending):
        def launch(kernel, tensor, grid, block, arguments):
            tensors = [argument for argument in arguments if isinstance(argument, torch.Tensor)]
            command = [build_emulator(tensor.dtype), kernel, int(descending), *grid, *block]
            paths = [tmp_path / f'{index}.bin' for index in range(3)]
            for path, content in zip(paths, tensors, strict=True):
                assert content.is_contiguous() and content.dtype == tensor.dtype
                path.write_bytes(content.detach().view(torch.uint8).numpy().tobytes())
                command += [path.stat().st_size, path]
            command += [argument for argument in arguments if not isinstance(argument, torch.Tensor)]
            environment = {**os.environ, 'ASAN_OPTIONS': 'detect_stack_use_after_return=0:detect_leaks=0'}
            ran = subprocess.run(
                [str(part) for part in command], capture_output=True, text=True, env=environment
            )
            assert ran.returncode == 0, ran.stderr
            result = torch.frombuffer(bytearray(paths[2].read_bytes()), dtype=tensor.dtype)
            tensors[2].copy_(result.view(tensors[2].shape))

        monkeypatch.setattr(
            correlation_cuda, '_kernels', lambda index, dtype: ('cost_volume', 'correlation_gradient')
        )
        monkeypatch.setattr(correlation_cuda, '_launch', launch)

    return emulate


def run_launching_code(first, second, cotangent):
    first, second = first.detach(), second.detach()
    return (
        correlation_cuda._volume_on_cuda(first, second),
        correlation_cuda._gradient_on_cuda(cotangent, second, False),
        correlation_cuda._gradient_on_cuda(cotangent, first, True),
    )


# One pixel; a batch of several tiles with a rest in both directions; more channels than a block of the
# gradient takes, in odd chunks; one full tile.
@pytest.mark.parametrize('shape', [(1, 1, 1, 1), (2, 11, 6, 35), (1, 69, 5, 3), (1, 8, 4, 32)], ids=str)
@pytest.mark.parametrize('descending', [False, True], ids=['ascending', 'descending'])
def test_the_kernels_run_thread_by_thread_equal_the_slow_version(shape, descending, emulate):
    emulate(descending)
    inputs = make_inputs(shape)
    assert_all_close(run_launching_code(*inputs), exact_volume_and_gradients(*inputs), rtol=1e-12, atol=1e-12)


# Rounding the result is the only rounding there is in 16 bits.
@pytest.mark.parametrize(
    ('dtype', 'tolerance'), [(torch.float32, 1e-5), (torch.float16, 2**-11), (torch.bfloat16, 2**-8)], ids=str
)
def test_the_kernels_run_thread_by_thread_accumulate_in_float32(dtype, tolerance, emulate):
    emulate(descending=True)
    inputs = make_inputs((1, 13, 5, 9), dtype)
    got = run_launching_code(*inputs)
    assert all(tensor.dtype == dtype for tensor in got)
    assert_all_close(got, exact_volume_and_gradients(*inputs), rtol=tolerance, atol=1e-6)


def test_the_kernels_take_views_and_channels_last(emulate):
    emulate(descending=False)
    first, second, cotangent = (tensor.detach() for tensor in make_inputs((1, 6, 5, 8)))
    inputs = (
        first[:, ::2].requires_grad_(),
        second[:, 3:].contiguous(memory_format=torch.channels_last).requires_grad_(),
        cotangent.transpose(2, 3).contiguous().transpose(2, 3),
    )
    assert_all_close(run_launching_code(*inputs), exact_volume_and_gradients(*inputs), rtol=1e-12, atol=1e-12)


def test_infinities_and_nans_survive_the_rounding_to_bfloat16(emulate):
    emulate(descending=False)
    first = torch.tensor([float('inf'), float('nan'), 3e38, 1.0], dtype=torch.bfloat16).view(1, 1, 1, 4)
    volume = correlation_cuda._volume_on_cuda(first, torch.ones_like(first))
    torch.testing.assert_close(volume[:, 24], first[:, 0], equal_nan=True)


# The operators and the choice between the twins, without a GPU.


@pytest.mark.parametrize(
    'check', ['test_schema', 'test_autograd_registration', 'test_faketensor', 'test_aot_dispatch_static']
)
def test_the_registered_operators_pass_opcheck(check):
    first, second, cotangent = make_inputs((2, 3, 5, 9), torch.float32)
    torch.library.opcheck(torch.ops.dm_vton.correlation.default, (first, second), test_utils=check)
    arguments = (cotangent.requires_grad_(), second, True)
    torch.library.opcheck(torch.ops.dm_vton.correlation_gradient.default, arguments, test_utils=check)


def test_the_operator_has_gradients_of_both_orders():
    first, second, _ = make_inputs((1, 1, 2, 3))
    assert torch.autograd.gradcheck(torch.ops.dm_vton.correlation, (first, second))
    assert torch.autograd.gradgradcheck(torch.ops.dm_vton.correlation, (first, second))


def test_fake_cuda_tensors_get_shapes_without_a_gpu():
    with FakeTensorMode():
        image = torch.empty(2, 5, 9, 7, device='cuda', dtype=torch.float16)
        volume = torch.ops.dm_vton.correlation(image, image)
        gradient = torch.ops.dm_vton.correlation_gradient(volume, image, False)
    assert (volume.shape, volume.dtype, volume.device.type) == ((2, 49, 9, 7), torch.float16, 'cuda')
    assert (gradient.shape, gradient.dtype, gradient.device.type) == ((2, 5, 9, 7), torch.float16, 'cuda')


@pytest.fixture
def fresh_probe():
    """Forget what was found out about kernels, before and after."""
    caches = correlation_cuda._probe, correlation_cuda._log_fallback, correlation_cuda._kernels
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def without_cupy(fresh_probe, monkeypatch):
    monkeypatch.setitem(sys.modules, 'cupy', None)


def test_auto_falls_back_and_says_why_once(without_cupy, caplog, monkeypatch):
    called = []
    # PyTorch 2.6 cannot slice pretended CUDA tensors without a driver, so the twin itself is replaced.
    monkeypatch.setattr(
        sys.modules['models.ops.correlation'], 'cost_volume', lambda first, second: called.append(first.shape)
    )
    with FakeTensorMode():
        image = torch.empty(2, 5, 9, 7, device='cuda')
        with caplog.at_level(logging.INFO):
            for _ in range(3):
                correlation(image, image)
    assert called == [(2, 5, 9, 7)] * 3
    (record,) = caplog.records
    assert 'cuda:0' in record.getMessage() and 'cupy cannot be imported' in record.getMessage()


def test_cuda_without_cupy_is_refused_with_the_reason(without_cupy, caplog):
    with FakeTensorMode():
        image = torch.empty(2, 5, 9, 7, device='cuda')
        with pytest.raises(RuntimeError, match=r'cupy cannot be imported.*install'):
            correlation(image, image, impl='cuda')
    assert not caplog.records


def test_a_source_that_does_not_compile_is_a_reason(fresh_probe, monkeypatch):
    def broken(index, dtype):
        raise OSError('libnvrtc.so.13: cannot open shared object file\nand more')

    monkeypatch.setattr(correlation_cuda, '_kernels', broken)
    reason = correlation_cuda.find_problem('cuda:0', torch.float32, False)
    assert 'OSError: libnvrtc.so.13: cannot open shared object file)' in reason


def test_cuda_refuses_tensors_on_the_cpu_and_other_dtypes():
    image = torch.zeros(1, 2, 4, 4)
    with pytest.raises(RuntimeError, match='on cpu, not on a CUDA device'):
        correlation(image, image, impl='cuda')
    assert 'float8_e5m2 is not one of' in correlation_cuda.find_problem('cuda:0', torch.float8_e5m2, False)


def test_importing_needs_neither_cupy_nor_the_compiler_of_torch():
    code = (
        'import sys, torch; sys.modules["cupy"] = None; before = "torch._dynamo" in sys.modules;'
        'import models.ops.correlation_cuda; assert before == ("torch._dynamo" in sys.modules)'
    )
    subprocess.run([sys.executable, '-c', code], check=True)


def test_more_blocks_than_cuda_allows_are_refused():
    with pytest.raises(ValueError, match='4 x 65536 thread blocks.*split'):
        correlation_cuda._check_grid((4, 65536))


# What torch.compile sees: the probe is asked once while tracing and never traced itself.
def test_the_operator_is_compiled_into_one_graph(monkeypatch):
    asked = []
    monkeypatch.setattr(correlation_cuda, '_probe', lambda device, dtype: asked.append(str(dtype)))
    inputs = make_inputs((1, 3, 5, 9))
    seen = []

    def backend(graph, example):
        seen.extend(node.target for node in graph.graph.nodes if node.op == 'call_function')
        return graph.forward

    compiled = torch.compile(lambda a, b: correlation(a, b, impl='cuda'), fullgraph=True, backend=backend)
    got = volume_and_gradients(compiled, *inputs)
    assert_all_close(got, exact_volume_and_gradients(*inputs), rtol=1e-12, atol=1e-12)
    assert seen == [torch.ops.dm_vton.correlation] and asked == ['torch.float64']


# On a GPU.

SIZES = ((1, 256, 8, 6), (2, 33, 37, 53), (1, 7, 1, 1), (3, 70, 16, 12), (1, 256, 128, 96))


@needs_gpu
@pytest.mark.parametrize('shape', SIZES, ids=str)
# float32: sums of up to 256 products in another order. 16 bits: the result is rounded, by up to 2**-11 or
# 2**-8 of it.
@pytest.mark.parametrize(
    ('dtype', 'rtol', 'atol'),
    [
        (torch.float64, 1e-12, 1e-12),
        (torch.float32, 1e-5, 1e-5),
        (torch.float16, 2e-3, 2e-3),
        (torch.bfloat16, 2**-7, 2e-3),
    ],
    ids=['float64', 'float32', 'float16', 'bfloat16'],
)
def test_both_twins_on_the_gpu_equal_the_slow_version(shape, dtype, rtol, atol):
    inputs = make_inputs(shape, dtype, 'cuda')
    expected = exact_volume_and_gradients(*inputs)
    for impl in ('cuda', 'torch'):
        got = volume_and_gradients(lambda a, b, impl=impl: correlation(a, b, impl=impl), *inputs)
        assert all(tensor.dtype == dtype and tensor.is_cuda for tensor in got)
        assert_all_close(got, expected, rtol=rtol, atol=atol)


@needs_gpu
def test_the_kernels_wait_for_the_current_stream():
    inputs = make_inputs((1, 64, 64, 48), torch.float32, 'cuda')
    expected = exact_volume_and_gradients(*inputs)
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        late = [torch.zeros_like(tensor).detach() for tensor in inputs]
        torch.cuda._sleep(200_000_000)  # a kernel on another stream would read the zeros
        for tensor, values in zip(late, inputs, strict=True):
            tensor.copy_(values.detach())
        got = volume_and_gradients(
            lambda a, b: correlation(a, b, impl='cuda'),
            late[0].requires_grad_(),
            late[1].requires_grad_(),
            late[2],
        )
    stream.synchronize()
    assert_all_close(got, expected, rtol=1e-5, atol=1e-5)


@needs_gpu
def test_the_kernels_have_gradients_of_both_orders():
    first, second, _ = make_inputs((1, 2, 3, 4), torch.float64, 'cuda')
    assert torch.autograd.gradcheck(lambda a, b: correlation(a, b, impl='cuda'), (first, second))
    assert torch.autograd.gradgradcheck(lambda a, b: correlation(a, b, impl='cuda'), (first, second))


@needs_gpu
def test_auto_takes_the_kernels_and_compiles_into_one_graph():
    inputs = make_inputs((1, 16, 20, 36), torch.float32, 'cuda')
    seen = []

    def backend(graph, example):
        seen.extend(node.target for node in graph.graph.nodes if node.op == 'call_function')
        return graph.forward

    compiled = torch.compile(correlation, fullgraph=True, backend=backend)
    assert_all_close(
        volume_and_gradients(compiled, *inputs), exact_volume_and_gradients(*inputs), rtol=1e-5, atol=1e-5
    )
    assert seen == [torch.ops.dm_vton.correlation]


@needs_gpu
def test_the_twins_under_autocast_leave_the_inputs_as_they_come():
    inputs = make_inputs((1, 64, 16, 12), torch.float32, 'cuda')
    expected = exact_volume_and_gradients(*inputs)
    with torch.autocast('cuda', torch.float16):
        for impl in ('cuda', 'torch'):
            got = volume_and_gradients(lambda a, b, impl=impl: correlation(a, b, impl=impl), *inputs)
            assert_all_close(got, expected, rtol=1e-5, atol=1e-5)


@needs_gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason='fewer than two CUDA devices')
def test_the_kernels_run_on_the_device_of_the_tensors():
    inputs = make_inputs((1, 16, 20, 36), torch.float32, 'cuda:1')
    got = volume_and_gradients(lambda a, b: correlation(a, b, impl='cuda'), *inputs)
    assert got[0].device.index == 1 and torch.cuda.current_device() == 0
    assert_all_close(got, exact_volume_and_gradients(*inputs), rtol=1e-5, atol=1e-5)
