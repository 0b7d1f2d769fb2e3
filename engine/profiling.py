"""Cost of a network: bytes, multiply-adds, time, as in DM-VTON (Nguyen-Ngoc et al., ISMAR 2023), table 1."""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from utils.device import synchronise
from utils.timing import time_calls

WARM_UP_CALLS = 10
MEGA, GIGA = 1e6, 1e9


def _tensors(*networks: nn.Module) -> list[torch.Tensor]:
    """Every parameter and buffer once, however many names it has (DM-VTON's smoothing conv has five)."""
    tensors = [tensor for network in networks for tensor in (*network.parameters(), *network.buffers())]
    return list({id(tensor): tensor for tensor in tensors}.values())


def memory_bytes(*networks: nn.Module) -> int:
    """Bytes of the networks' parameters and buffers, shared ones once."""
    return sum(tensor.numel() * tensor.element_size() for tensor in _tensors(*networks))


def count_parameters(*networks: nn.Module) -> int:
    """Number of the networks' parameters, shared ones once."""
    return sum(tensor.numel() for tensor in _tensors(*networks) if isinstance(tensor, nn.Parameter))


def multiply_adds(call: Callable, *inputs: Any) -> int:
    """Multiply-adds of all convolutions in `call(*inputs)`.

    Not counted: linear layers, the cost volume, sampling, activations and normalisation. Half of the FLOPs.
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call(*inputs)
    operations = counter.get_flop_counts()['Global']
    return sum(count for operation, count in operations.items() if 'convolution' in str(operation)) // 2


class Runtime(NamedTuple):
    """Time of one call in milliseconds, over `calls` calls."""

    mean: float
    median: float
    calls: int


def measure_runtime(
    call: Callable, *inputs: Any, device: torch.device, calls: int = 100, seconds: float = 30.0
) -> Runtime:
    """Time `call(*inputs)` after ten calls to warm up, waiting for the device before and after each call.

    Stops after `calls` calls or `seconds` seconds of timed calls, but not before three calls.
    """
    (times,) = time_calls(
        [lambda: call(*inputs)], device=device, repeats=calls, warm_up=WARM_UP_CALLS, seconds=seconds
    )
    milliseconds = torch.tensor(times, dtype=torch.float64) * 1000
    return Runtime(milliseconds.mean().item(), milliseconds.quantile(0.5).item(), len(times))


class Timed:
    """A pipeline that times every call: the published runtime is the mean over a whole list.

    Inputs are moved to `device` before the clock starts; the device is waited for before and after a call.
    """

    def __init__(self, pipeline: Callable, *, device: torch.device):
        self.pipeline, self.device = pipeline, device
        self.seconds, self.pictures, self.largest = 0.0, 0, 0

    def __call__(self, *inputs: torch.Tensor) -> Any:
        """Call the pipeline with pictures [N, C, H, W]."""
        placed = [x.to(self.device) for x in inputs]
        synchronise(self.device)
        start = time.perf_counter()
        result = self.pipeline(*placed)
        synchronise(self.device)
        self.seconds += time.perf_counter() - start
        self.pictures += len(inputs[0])
        self.largest = max(self.largest, len(inputs[0]))
        return result

    @property
    def milliseconds(self) -> float:
        """Mean time of a picture."""
        return 1000 * self.seconds / self.pictures


def peak_memory(call: Callable, *inputs: Any, device: torch.device) -> int:
    """Peak of the bytes that `call(*inputs)` allocates beyond what was there before, result included.

    CUDA's allocator counts them itself. On the CPU PyTorch's profiler notes every allocation, which slows the
    call down; what libraries take for themselves, such as a convolution's scratch memory, is not seen.
    """
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call(*inputs)
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        call(*inputs)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'trace.json'
        recorded.export_chrome_trace(str(path))
        events = [
            event for event in json.loads(path.read_text())['traceEvents'] if event['name'] == '[memory]'
        ]
    held = peak = 0
    for event in sorted(events, key=lambda event: event['ts']):
        held += event['args']['Bytes']
        peak = max(peak, held)
    return peak
