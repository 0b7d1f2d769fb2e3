"""CUDA graphs: a network's hundreds of kernel launches recorded once for each input shape, sent as one.

A graph reads and writes fixed memory, so that inputs are copied into it and results out of it. The copies
stand in the caller's stream, and an event keeps two callers in different streams or threads from using the
memory at the same time.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

# Libraries select algorithms and allocate memory in the first calls, which a graph must not record.
WARM_UP_CALLS = 3
MOST_GRAPHS = 16  # shapes that are kept; each holds the memory of its buffers


class CudaEngine:
    """The CUDA calls of `GraphedCall`; tests pass a stand-in."""

    def __init__(self, device: torch.device):
        self.device = device

    def capture(self, call: Callable, inputs: tuple[Tensor, ...]) -> tuple[Any, tuple[Tensor, ...]]:
        """Record `call(*inputs)`: the graph, and the tensors that each replay fills."""
        with torch.cuda.device(self.device):
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(WARM_UP_CALLS):
                    call(*inputs)
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                outputs = call(*inputs)
        return graph, outputs

    def event(self) -> Any:
        """An event to record and wait for."""
        return torch.cuda.Event()

    def stream(self) -> Any:
        """The caller's current stream."""
        return torch.cuda.current_stream(self.device)

    def pinned_like(self, x: Tensor) -> Tensor:
        """Host memory of the shape of `x` that the GPU can read by itself."""
        return torch.empty_like(x, device='cpu', memory_format=torch.contiguous_format).pin_memory()


class _Recorded(NamedTuple):
    graph: Any
    inputs: tuple[Tensor, ...]  # on the device: what the graph reads
    outputs: tuple[Tensor, ...]  # on the device: what the graph writes
    staging: dict[int, Tensor]  # pinned memory by the position of an input that comes from the host
    uploaded: Any  # event: the pinned memory has been read
    done: Any  # event: the outputs have been copied


class GraphedCall:
    """`call(*inputs)` through one graph for each set of shapes and dtypes; results are the caller's own."""

    def __init__(self, call: Callable[..., tuple[Tensor, ...]], engine: CudaEngine):
        self.call = call
        self.engine = engine
        self.recorded: OrderedDict[tuple, _Recorded] = OrderedDict()
        self.lock = threading.Lock()

    @torch.no_grad()
    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        key = tuple((tuple(x.shape), x.dtype) for x in inputs)
        with self.lock:  # the asynchronous operations below must be queued without others between them
            if key not in self.recorded:
                self._record(key, inputs)
            self.recorded.move_to_end(key)
            recorded = self.recorded[key]
            stream = self.engine.stream()
            stream.wait_event(recorded.done)
            for position, (place, x) in enumerate(zip(recorded.inputs, inputs, strict=True)):
                place.copy_(self._staged(recorded, position, x, place), non_blocking=True)
            recorded.uploaded.record(stream)
            recorded.graph.replay()
            results = tuple(x.clone() for x in recorded.outputs)
            recorded.done.record(stream)
        return results

    def _record(self, key: tuple, inputs: tuple[Tensor, ...]) -> None:
        if len(self.recorded) >= MOST_GRAPHS:
            _, oldest = self.recorded.popitem(last=False)
            oldest.done.synchronize()
        how: dict[str, Any] = {'copy': True, 'memory_format': torch.contiguous_format}
        places = tuple(x.detach().to(self.engine.device, **how) for x in inputs)
        graph, outputs = self.engine.capture(self.call, places)
        self.recorded[key] = _Recorded(graph, places, outputs, {}, self.engine.event(), self.engine.event())

    def _staged(self, recorded: _Recorded, position: int, x: Tensor, place: Tensor) -> Tensor:
        """Copy an input from the host into pinned memory, from which the upload is asynchronous."""
        if x.device == place.device:
            return x
        if position not in recorded.staging:
            recorded.staging[position] = self.engine.pinned_like(x)
        recorded.uploaded.synchronize()  # the copy before this one has been read
        return recorded.staging[position].copy_(x)
