"""The processes that torchrun starts, one a device: their ranks, what they exchange, and whose records."""

import contextlib
import os
import random
from collections.abc import Iterable, Iterator, Sized
from datetime import timedelta
from typing import Any, NamedTuple, cast

import numpy as np
import torch
import torch.distributed as dist
from torch.utils.data import Sampler

from utils.device import select_device
from utils.errors import UserError

# How long processes wait for one another: the first one checks data and computes scores alone.
PATIENCE = timedelta(hours=2)


class Process(NamedTuple):
    """This process among the `world` ones that train together; the first one (rank 0) writes the files."""

    device: torch.device = torch.device('cpu')
    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        """True in the process that logs and saves."""
        return self.rank == 0

    def from_first(self, value: Any = None) -> Any:
        """Return the first process's `value` in all of them."""
        if self.world == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0, device=self.device)
        return values[0]

    def from_all(self, value: Any) -> list[Any]:
        """Return every process's `value`, by rank, in all of them."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value)
        return values

    def highest(self, *values: int) -> tuple[int, ...]:
        """Return for each value the highest of all processes."""
        if self.world == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.int64, device=self.device)
        dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
        return tuple(tensor.tolist())

    def copy_from_first(self, tensors: Iterable[torch.Tensor]) -> None:
        """Give tensors the values that they have in the first process."""
        for tensor in tensors if self.world > 1 else ():
            dist.broadcast(tensor, src=0)

    def wait(self) -> None:
        """Wait for all processes."""
        self.highest(0)


@contextlib.contextmanager
def join_processes(device: str = '') -> Iterator[Process]:
    """Join the processes that torchrun has started and yield this one; without torchrun it is the only one.

    `device` is the value of `--device`: '' gives each process the GPU of its number on the machine, '2,3'
    gives the first process GPU 2, 'cpu' has all of them on the CPU. They talk by nccl on CUDA devices, else
    by gloo. Raises `UserError` for a device that is not there and for fewer devices than processes.
    """
    world, local_rank = (
        int(os.environ.get(name, default)) for name, default in (('WORLD_SIZE', 1), ('LOCAL_RANK', 0))
    )
    if world == 1:
        yield Process(select_device(device))
        return
    process = Process(_device_of(device, local_rank), int(os.environ['RANK']), world)
    if process.device.type == 'cuda':
        torch.cuda.set_device(process.device)
    dist.init_process_group('nccl' if process.device.type == 'cuda' else 'gloo', timeout=PATIENCE)
    yield process
    # Not after an error: it would wait for processes that wait for this one.
    dist.destroy_process_group()


def _device_of(device: str, local_rank: int) -> torch.device:
    name = device.strip().lower()
    if name in ('', 'cuda'):
        return select_device(str(local_rank)) if torch.cuda.is_available() else torch.device('cpu')
    if name == 'cpu':
        return select_device(name)
    select_device(name)  # refuses what is not understood or not there
    numbers = name.removeprefix('cuda').removeprefix(':').split(',')
    if name == 'mps' or local_rank >= len(numbers):
        raise UserError(f'--device {device}, process {local_rank + 1}: give one GPU a process, such as 0,1')
    return select_device(numbers[local_rank])


def seed_everything(seed: int) -> None:
    """Seed torch (all devices), NumPy and random."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def random_states() -> dict[str, Any]:
    """The states of torch's, NumPy's and random's generators, in types that a checkpoint keeps."""
    name, keys, *rest = np.random.get_state()
    return {
        'torch': torch.get_rng_state(),
        'cuda': torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        'numpy': (name, np.asarray(keys).tolist(), *rest),
        'random': random.getstate(),
    }


def set_random_states(states: dict[str, Any]) -> None:
    """Continue from what `random_states` returned."""
    torch.set_rng_state(states['torch'])
    if states['cuda'] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(states['cuda'])
    name, keys, *rest = states['numpy']
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    version, numbers, gauss = states['random']
    random.setstate((version, tuple(numbers), gauss))


class Share(Sampler[int]):
    """One process's share of a sampler's order, from a given record of the order on.

    Each process takes every `world`-th record, so that a step of all processes sees the records that a step
    of one process with a batch as large as theirs together would. Where the order does not come out even, its
    first records are taken again.
    """

    def __init__(self, order: Sampler, *, process: Process | None = None):
        self.order = order
        self.process = process or Process()
        self.start = 0  # records of the order to leave out: those that an interrupted epoch has seen already

    def __len__(self) -> int:
        return -(-max(0, len(cast(Sized, self.order)) - self.start) // self.process.world)

    def __iter__(self) -> Iterator[int]:
        order = list(self.order)
        rest = order[self.start :]
        missing = len(self) * self.process.world - len(rest)
        rest += (order * -(-missing // len(order)))[:missing]
        return iter(rest[self.process.rank :: self.process.world])
