"""Subjects of test.py: a student or a compared method, its test set, and its inputs from a batch."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import default_collate

from data.baseline_inputs import NOISE_SEED, AnnotatedDataset, require_folders
from data.viton import VITONDataset
from engine.evaluate import student_inputs
from models import TryOnPipeline
from models.baselines import BASELINES
from models.baselines.pipeline import BaselinePipeline


class Subject(NamedTuple):
    """A pipeline and the test set that it is to dress."""

    pipeline: TryOnPipeline | BaselinePipeline
    dataset: VITONDataset
    inputs: Callable[[dict[str, Any]], tuple[Tensor, ...]]  # what the pipeline takes of a batch
    about: dict[str, Any]  # what else a report has to say

    def first(self) -> tuple[Tensor, ...]:
        """The inputs of the first pair, a batch of one."""
        return self.inputs(default_collate([self.dataset[0]]))


def create_subject(
    dataroot: str | Path,
    *,
    family: str | None,
    files: Sequence[str | Path],
    align_corners: bool | None,
    device: torch.device,
    size: tuple[int, int] | None,
    pairs: str | Path | None = None,
) -> Subject:
    """The method called `family` (None: the student in the files), with its test set.

    `files` are warp network and generator, or all files of a compared method, whose test set comes with the
    annotations it needs. `size` (H, W) is by default that of the weights. Raises `UserError`.
    """
    if family in BASELINES:
        needs = BASELINES[family].needs
        require_folders(dataroot, needs, family)  # before weights of half a gigabyte are read
        method = BaselinePipeline.from_checkpoints(family, files, align_corners=align_corners, device=device)
        annotated = AnnotatedDataset(dataroot, family, needs, size=size or method.size, pairs=pairs)
        about = {'noise_seed': NOISE_SEED} if 'noise' in method.network.inputs else {}
        return Subject(method, annotated, method.inputs_of, about)
    warp, gen = files
    pipeline = TryOnPipeline.from_checkpoints(
        warp=warp, gen=gen, family=family, align_corners=align_corners, device=device
    )
    dataset = VITONDataset(dataroot, 'test', size=size or pipeline.size, pairs=pairs)
    pipeline.warp.check_size('--size', dataset[0]['image'])
    return Subject(pipeline, dataset, student_inputs, {})
