"""A compared method as scripts use it: prepared inputs in, try-on out, on its network's device and dtype."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.baselines.base import FIXED_SIZE, BaselineNetwork, BaselineTryOn
from models.checkpoint import load_baseline


class BaselinePipeline(nn.Module):
    """Beside `models.TryOnPipeline`, for a method that is no family. Give a network in eval mode."""

    def __init__(
        self, network: BaselineNetwork, *, family: str, is_trained: bool = True, notes: tuple[str, ...] = ()
    ):
        super().__init__()
        self.network = network
        self.family = family
        self.is_trained = is_trained  # False: weights as initialised, whose pictures mean nothing
        self.size = FIXED_SIZE  # (H, W) of the pictures it was published for
        self.notes = notes  # what a user may want to know of the files, a line each

    @property
    def align_corners(self) -> bool:
        """Convention by which the flows of results are sampled."""
        return self.network.align_corners

    @classmethod
    def from_checkpoints(
        cls,
        family: str,
        files: Sequence[str | Path],
        *,
        align_corners: bool | None = None,
        device: str | torch.device = 'cpu',
    ) -> 'BaselinePipeline':
        """Load a method, a key of `BASELINES`, from its published files; raises as `load_baseline`."""
        network, infos = load_baseline(family, files, align_corners=align_corners, device=device)
        is_trained = not any(info.extra.get('untrained') is True for info in infos)
        notes = tuple(note for info in infos for note in info.notes)
        return cls(network, family=family, is_trained=is_trained, notes=notes).eval()

    @torch.no_grad()
    def forward(self, *inputs: Tensor) -> BaselineTryOn:
        """Dress with inputs [N, C, H, W] in the order of `network.inputs`; `UserError` for unfit ones."""
        parameter = next(self.network.parameters())
        named = zip(self.network.inputs, inputs, strict=True)
        return self.network(**{name: x.to(parameter.device, parameter.dtype) for name, x in named})

    def inputs_of(self, batch: Mapping[str, Any]) -> tuple[Tensor, ...]:
        """The method's inputs, from a batch of `data.baseline_inputs.AnnotatedDataset`."""
        return tuple(batch['inputs'][name] for name in self.network.inputs)
