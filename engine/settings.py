"""The settings of a training run: one dataclass, each field with its default and its effect.

The fields make the command line (`opt.train_opt`), are stored as the run's `opt.yaml`, and are what the
trainer and its helpers get.
"""

import dataclasses
import shlex
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from engine.base_stage import NETWORKS, Stage
from engine.distributed import Process
from engine.schedule import OPTIMIZERS, SCHEDULES
from engine.stages import STAGES
from engine.truth_losses import WARPED_STRUCTURE
from models.registry import GENERATORS, WARPS, family_of, find_family
from utils.cli import positive_number, run_name, share, whole_number
from utils.errors import UserError

AMP = {'off': None, 'bf16': torch.bfloat16, 'fp16': torch.float16}
PARTS = ('both', 'warp', 'generator')


def option(default: Any, effect: str, *, group: str | None = None, **parsing: Any) -> Any:
    """A field that is a command-line option; `parsing` are argparse's arguments, or `switch=True`."""
    return field(default=default, metadata={'help': effect, 'group': group, **parsing})


of_data = partial(option, group='data and networks')
of_learning = partial(option, group='optimisation')
of_run = partial(option, group='run')


def weights_of(name: str) -> Any:
    """The option that gives one of a stage's networks its weights."""
    role, part = NETWORKS[name]
    what = {'warp': 'warp network', 'generator': 'generator'}[part]
    return of_data(None, f"weights of the {role}'s {what} to start with", metavar='PATH')


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """All settings of a training run. Fields without a help text are no options."""

    stage: str  # key of `engine.stages.STAGES`
    run: str | None = None  # folder of the run to be continued
    place: str | None = None  # folder of a run that ended before it saved anything, to start anew in
    begun: dict[str, str] = field(default_factory=dict)  # published checkpoints to be continued, by network

    project: str = option('runs/train', 'folder in which run folders are made')
    name: str = option('exp', 'run folder: project/name, or name-1, name-2 if it exists', type=run_name)
    device: str = option('', "'' = first GPU if there is one, else CPU; or 0, 0,1, cpu, mps", type=str)
    batch_size: int = option(32, 'records a step', type=whole_number(1))
    workers: int = option(8, 'processes that load records', type=whole_number(0))

    dataroot: str | None = of_data(None, 'training set in the VITON layout (train_pairs.txt, train_img, ...)')
    mix_dataroot: str | None = of_data(None, 'pf_truth, pb_truth: a second training set, mixed in')
    mix_share: float = of_data(0.3, 'share of the records that come from --mix_dataroot', type=share)
    part: str = of_data('both', 'pf_truth: the networks that learn; the other one stays', choices=list(PARTS))
    valroot: str | None = of_data(None, 'test set in the VITON layout; measures FID after each epoch')
    size: tuple[int, int] = of_data(
        (256, 192), 'pictures are resized to this', nargs=2, type=whole_number(1), metavar=('H', 'W')
    )
    teacher: str = of_data('fs_vton', 'family of the parser-based networks, or WARP+GEN')
    student: str = of_data('dm_vton', 'family of the parser-free networks, or WARP+GEN')
    warp: str | None = of_data(None, "warp network in place of the trained family's", choices=list(WARPS))
    gen: str | None = of_data(None, "generator in place of the trained family's", choices=list(GENERATORS))
    align_corners: bool = of_data(False, 'how flows sample; published weights had it on', switch=True)
    pb_warp_checkpoint: str | None = weights_of('pb_warp')
    pb_gen_checkpoint: str | None = weights_of('pb_gen')
    pf_warp_checkpoint: str | None = weights_of('pf_warp')
    pf_gen_checkpoint: str | None = weights_of('pf_gen')
    vgg_weights: str = of_data(
        'imagenet',
        "VGG19 of the perceptual terms: torchvision's, downloaded once; a file; or none: without the terms",
        metavar='imagenet|PATH|none',
    )
    fid_weights: str | None = of_data(None, "pytorch-fid's Inception file; None: downloaded", metavar='PATH')

    optimizer: str = of_learning(
        'Adam', 'AdamW has no weight decay, SGD is Nesterov', choices=list(OPTIMIZERS)
    )
    lr: float = of_learning(
        5e-5, 'learning rate; a fifth for a fine-tuned warp network', type=positive_number
    )
    momentum: float = of_learning(0.5, 'beta1 of Adam and AdamW, momentum of SGD', type=share)
    niter: int = of_learning(50, 'epochs at the full learning rate', type=whole_number(0))
    niter_decay: int = of_learning(50, 'epochs after them, while it decays', type=whole_number(0))
    schedule: str = of_learning(
        'linear', 'decay: linear changes by epoch, cosine by step', choices=list(SCHEDULES)
    )
    warm_up: int = of_learning(0, 'steps in which the learning rate rises', type=whole_number(0), metavar='N')
    warped_structure: float = of_learning(
        WARPED_STRUCTURE,
        "pf_truth, pb_truth: weight of the warped garment's structure",
        type=positive_number,
        metavar='WEIGHT',
    )
    ema: float | None = of_learning(
        None, 'also keep an exponential average of the weights', type=share, metavar='DECAY'
    )
    accumulate: int = of_learning(
        1, 'average gradients of K batches a step', type=whole_number(1), metavar='K'
    )
    grad_clip: float | None = of_learning(
        None, "cut the gradient's norm to this; None: never", type=positive_number, metavar='NORM'
    )
    max_steps: int | None = of_learning(
        None, 'save and stop after N optimiser steps in all', type=whole_number(1), metavar='N'
    )
    seed: int = of_learning(0, 'of new weights, order, drawn garments', type=whole_number(0))
    amp: str = of_learning('off', 'mixed precision; fp16 scales the loss', choices=list(AMP))
    compile: bool = of_learning(False, 'run the trained networks through torch.compile', switch=True)
    channels_last: bool = of_learning(False, 'keep channels last in memory, for tensor cores', switch=True)
    freeze_bn: bool = of_learning(
        False, 'normalise by the running statistics, which stay: to fine-tune trained weights', switch=True
    )
    sync_bn: bool = of_learning(False, 'share batch norm statistics among processes', switch=True)

    print_step: int = of_run(100, 'log every N steps; 0: epochs only', type=whole_number(0), metavar='N')
    sample_step: int = of_run(100, 'pictures every N steps; 0: never', type=whole_number(0), metavar='N')
    save_period: int = of_run(20, 'keep weights of every Nth epoch', type=whole_number(1), metavar='N')
    verbose: bool = of_run(False, 'also log all options and the layers of the networks', action='store_true')

    def __post_init__(self):
        object.__setattr__(self, 'size', tuple(self.size))  # a list where it comes from a parser or a file

    @property
    def recipe(self) -> type[Stage]:
        """The stage's class: what it trains, and what stays frozen."""
        return STAGES[self.stage]

    @property
    def continues(self) -> bool:
        """True where a state, of ours or of the published code, brings the trained networks."""
        return self.run is not None or bool(self.begun)

    @property
    def epochs(self) -> int:
        """Number of epochs in all."""
        return self.niter + self.niter_decay

    @property
    def families(self) -> dict[str, str]:
        """Family, or pair `warp+generator`, of 'teacher' and 'student'; ValueError for an unknown one."""
        names = {'teacher': self.teacher, 'student': self.student}
        if self.warp or self.gen:
            role = self.trained_role
            family = find_family(names[role], role)
            names[role] = family_of(self.warp or family.warp, self.gen or family.generator).name
        return names

    @property
    def trained_role(self) -> str:
        """Role of the networks that the stage trains: 'teacher' or 'student'."""
        return NETWORKS[next(iter(self.recipe.lr_scale))].role

    def checkpoint(self, name: str) -> str | None:
        """The file that the network `name` starts with."""
        return getattr(self, f'{name}_checkpoint', None)

    def command(self, folder: Path, process: Process) -> str:
        """The command that continues the run in `folder`."""
        launcher = 'python' if process.world == 1 else f'torchrun --nproc_per_node={process.world}'
        return f'{launcher} train_{self.stage}.py --resume {shlex.quote(str(folder))}'

    def check_device(self, process: Process) -> None:
        """Raise `UserError` for settings that the process's device cannot follow."""
        if self.sync_bn and process.world > 1 and process.device.type != 'cuda':
            problem = f'PyTorch synchronises batch norm on CUDA devices only, not on {process.device}'
            raise UserError(f'--sync_bn: {problem}; leave it out')


def options_of(settings: type[TrainSettings] = TrainSettings) -> list[dataclasses.Field]:
    """The fields that are options, in the order of the help."""
    return [each for each in dataclasses.fields(settings) if 'help' in each.metadata]
