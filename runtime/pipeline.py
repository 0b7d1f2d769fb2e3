"""The optimised pipeline: `TryOnPipeline`'s calls over the parts of a mode, chosen by timing."""

import functools
import logging
import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from models.outputs import GarmentCode, PersonCode, TryOn
from models.pipeline import TryOnPipeline, check_garment, check_inputs, check_picture, given, match_batch
from runtime.backends import CUDA_ONLY, MODES, create, find_problem
from runtime.parts import Call, split
from utils.errors import UserError, first_line
from utils.timing import time_calls

_log = logging.getLogger(__name__)

# Modes that 'auto' times, by device.
CANDIDATES = {'cpu': ('native', 'fused', 'openvino'), 'cuda': ('graph', 'fused'), 'mps': ('fused',)}
TIMED_CALLS = 5

_chosen: dict[tuple, str] = {}  # results of 'auto' in this process


class About(NamedTuple):
    """Properties of a pipeline beside its weights."""

    family: str | None
    is_trained: bool
    size: tuple[int, int]  # (H, W) of the pictures it was trained on
    align_corners: bool  # how its flows are sampled
    check_size: Callable[[str, Tensor], None]  # raises `UserError` for a picture whose sides do not fit


class OptimizedPipeline:
    """Person, cloth and edge in, try-on out, with `encode_garment` and codes as in `TryOnPipeline`.

    Codes fit the pipeline that made them only. Results and codes are not changed by later calls. Flows are
    float32, all else has the pipeline's dtype.
    """

    def __init__(
        self, about: About, calls: dict[str, Call], *, mode: str, device: torch.device, dtype: torch.dtype
    ):
        self.family = about.family
        self.is_trained = about.is_trained
        self.size = about.size
        self.align_corners = about.align_corners
        self.mode = mode
        self.device = device
        self.dtype = dtype
        self._check_size = about.check_size
        self._calls = calls

    def __call__(
        self, person: Tensor | PersonCode, cloth: Tensor | GarmentCode, edge: Tensor | None = None
    ) -> TryOn:
        """Dress a person; arguments, results and errors are those of `TryOnPipeline`."""
        check_inputs(person, cloth, edge, self._check_size)
        if not isinstance(cloth, GarmentCode):
            cloth = self.encode_garment(cloth, given(edge))
        if isinstance(person, PersonCode):
            person, cloth = match_batch(person, cloth)
            return TryOn(*self._calls['dress'](person.person, *person.features, *_tensors(cloth)))
        person = self._bring(person)
        if person.shape[0] != cloth.cloth.shape[0]:
            stand_in, cloth = match_batch(PersonCode(person, ()), cloth)
            person = stand_in.person
        return TryOn(*self._calls['try_on'](person, *_tensors(cloth)))

    def encode_person(self, person: Tensor) -> PersonCode:
        """Compute once what any garment needs of `person` [N, 3, H, W] in [-1, 1]."""
        check_picture('person', person, 3)
        self._check_size('person', person)
        person = self._place(person)
        return PersonCode(person, tuple(self._calls['person'](person)))

    def encode_garment(self, cloth: Tensor, edge: Tensor) -> GarmentCode:
        """Compute once the part of `cloth` [N, 3, H, W] in [-1, 1] and `edge` [N, 1, H, W] in [0, 1]."""
        check_garment(cloth, edge)
        self._check_size('cloth', cloth)
        cloth, edge, *features = self._calls['garment'](self._bring(cloth), self._bring(edge))
        return GarmentCode(cloth, edge, tuple(features))

    def _place(self, x: Tensor) -> Tensor:
        return x.to(self.device, self.dtype)

    def _bring(self, x: Tensor) -> Tensor:
        """As `_place`, but a graph takes pictures from the host by itself."""
        return x.to(self.dtype) if self.mode in CUDA_ONLY else self._place(x)


def _tensors(garment: GarmentCode) -> tuple[Tensor, ...]:
    return garment.cloth, garment.edge, *garment.features


def optimize(
    pipeline: TryOnPipeline,
    mode: str = 'auto',
    *,
    dtype: torch.dtype | None = None,
    size: tuple[int, int] | None = None,
    candidates: Sequence[str] | None = None,
) -> OptimizedPipeline:
    """Make a pipeline that computes the same as `pipeline`, faster, on the device where `pipeline` is.

    mode: one of `runtime.MODES`, or 'auto', which times the `candidates` (all that are installed) on made-up
    pictures of `size` (H, W) and takes the fastest; the choice is remembered while the process lives. dtype:
    float32 on a CPU and float16 on a GPU unless given. Raises `UserError` for a mode that is unknown or
    cannot run here, with the reason.
    """
    device = next(pipeline.parameters()).device
    dtype = dtype or (torch.float16 if device.type == 'cuda' else torch.float32)
    if mode == 'auto':
        size = size or pipeline.size
        return _fastest(pipeline, device, dtype, size, candidates or CANDIDATES[device.type])
    calls = create(mode, split(pipeline), device, dtype)
    about = About(
        pipeline.family, pipeline.is_trained, pipeline.size, pipeline.align_corners, pipeline.warp.check_size
    )
    return OptimizedPipeline(about, calls, mode=mode, device=device, dtype=dtype)


def _fastest(
    pipeline: TryOnPipeline,
    device: torch.device,
    dtype: torch.dtype,
    size: tuple[int, int],
    candidates: Sequence[str],
) -> OptimizedPipeline:
    networks = type(pipeline.warp).__name__, type(pipeline.generator).__name__
    key = (*networks, str(device), dtype, tuple(size), tuple(candidates), torch.get_num_threads())
    if key in _chosen:
        return optimize(pipeline, _chosen[key], dtype=dtype)
    if unknown := [mode for mode in candidates if mode not in MODES]:
        raise UserError(f'there is no mode {unknown[0]!r}; choose from {", ".join(MODES)}')
    pictures = [torch.zeros(1, channels, *size, device=device).uniform_(-1, 1) for channels in (3, 3, 1)]
    ready: dict[str, OptimizedPipeline] = {}
    for mode in candidates:
        problem = find_problem(mode, device, dtype)
        if problem is None:
            try:
                made = optimize(pipeline, mode, dtype=dtype)
                made(*pictures)
                ready[mode] = made
            except Exception as error:  # exporters and runtimes raise all kinds: try the next mode
                problem = f'{type(error).__name__}: {first_line(error)}'
        if problem is not None:
            _log.info('mode %s is left out: %s', mode, problem)
    if not ready:
        raise UserError(f'none of {", ".join(candidates)} can run on {device}; name a mode to see why')
    calls = [functools.partial(made, *pictures) for made in ready.values()]
    times = time_calls(calls, device=device, repeats=TIMED_CALLS, warm_up=1)
    medians = {mode: statistics.median(values) for mode, values in zip(ready, times, strict=True)}
    _chosen[key] = min(medians, key=lambda mode: medians[mode])
    shown = ', '.join(f'{mode} {1000 * value:.1f} ms' for mode, value in medians.items())
    _log.info('took %s of %s', _chosen[key], shown)
    return ready[_chosen[key]]
