"""Base of all training stages: their networks, frozen or trained, and the result of a step."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, cast

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from data.training_inputs import TrainingInputs, derive_masks
from engine.losses import Perceptual
from engine.teacher import Teacher
from models.registry import choose
from models.warp_modules.coarse_to_fine import WarpNetwork

SMALLEST_SIDE = 64  # on smaller pictures the coarsest flow has no neighbours to be smooth with


class NetworkKind(NamedTuple):
    """Role and part of a stage's network."""

    role: str  # 'teacher' | 'student'
    part: str  # 'warp' | 'generator'


NETWORKS: dict[str, NetworkKind] = {
    'pb_warp': NetworkKind('teacher', 'warp'),
    'pb_gen': NetworkKind('teacher', 'generator'),
    'pf_warp': NetworkKind('student', 'warp'),
    'pf_gen': NetworkKind('student', 'generator'),
}


class StepResult(NamedTuple):
    """Result of a training step; terms and panels are detached."""

    loss: Tensor  # a scalar to call backward() on
    terms: dict[str, Tensor]  # scalars: 'warp', in e2e stages 'gen' (before their factors), and their terms
    panels: dict[str, Tensor]  # pictures [N, 3, H, W] in [-1, 1] for a sample sheet, in the order to show


class Stage:
    """Base of all stages: their networks, frozen or trained.

    `networks` are the bare networks by name ('pb_warp', 'pb_gen', 'pf_warp', 'pf_gen'), to load and save.
    `modules` are the trained ones as a step calls them, each once and by its forward: `wrap` puts, say,
    DistributedDataParallel around one. `lr_scale` is the share of the learning rate of each trained one.
    """

    # Of every network that the stage trains; below 1: the stage before has trained it.
    lr_scale: ClassVar[Mapping[str, float]]
    # The trained teacher that the stage learns from, warp network first.
    frozen: ClassVar[tuple[str, ...]] = ()
    has_perceptual_terms: ClassVar[bool] = True
    validated: ClassVar[bool] = False  # whether the stage trains what test.py tests
    takes_truths: ClassVar[bool] = False  # whether it learns from sets with truths, also two of them mixed
    needs_truths: ClassVar[bool] = False  # whether sets without truths are refused
    freeze_bn = False  # whether the trained networks' batch norms stay in eval mode

    @classmethod
    def network_names(cls) -> tuple[str, ...]:
        """Names of the stage's networks: the frozen ones, which it must be given, then the trained ones."""
        return (*cls.frozen, *cls.lr_scale)

    def __init__(self, networks: dict[str, nn.Module], *, niter: int, perceptual: Perceptual | None):
        self._modules = {name: networks[name] for name in self.lr_scale}
        self.networks = MappingProxyType(networks)
        self.modules = MappingProxyType(self._modules)
        self._teacher: Teacher | None = None
        if self.frozen:
            warp, generator = (networks[name] for name in self.frozen)
            self._teacher = Teacher(cast(WarpNetwork, warp), generator)
        self.niter = niter
        self.perceptual = perceptual
        self.train()

    @property
    def teacher(self) -> Teacher:
        """The frozen teacher of a student's stage."""
        assert self._teacher is not None, 'this stage has no frozen networks'
        return self._teacher

    def wrap(self, name: str, wrapper: Callable[[nn.Module], nn.Module]) -> None:
        """Replace the trained `modules[name]` by `wrapper(module)`; `networks[name]` stays bare."""
        name = choose('trained network', name, self._modules)
        self._modules[name] = wrapper(self._modules[name])

    def to(self, *args, **kwargs) -> 'Stage':
        """Move networks and perceptual distance, with the arguments of `nn.Module.to`."""
        for part in (*self.networks.values(), self.perceptual):
            if isinstance(part, nn.Module):
                part.to(*args, **kwargs)
        return self

    def train(self, mode: bool = True) -> 'Stage':
        """Put the trained networks into training mode (or eval mode) and the frozen ones into eval mode.

        With `freeze_bn` batch norms normalise by their running statistics and leave them alone; their weights
        learn.
        """
        for module in self.modules.values():
            module.train(mode)
            for part in module.modules() if self.freeze_bn else ():
                if isinstance(part, _BatchNorm):
                    part.eval()
        if self._teacher is not None:
            self._teacher.train()
        return self

    def step(self, batch: Mapping[str, Any], epoch: int) -> StepResult:
        """Compute the loss of a train loader's batch on the networks' device; epochs count from 1.

        Raises ValueError for a batch that lacks an entry, and for pictures that the networks cannot take.
        """
        raise NotImplementedError

    @staticmethod
    def prepare(batch: Mapping[str, Any]) -> TrainingInputs:
        """All masks of a batch, pictures large enough to train on."""
        inputs = derive_masks(batch)
        height, width = inputs.person.shape[2:]
        if min(height, width) < SMALLEST_SIDE:
            raise ValueError(
                f'pictures are {height} x {width} (H x W), too small to train on; '
                f'both sides must be {SMALLEST_SIDE} or more'
            )
        return inputs

    @staticmethod
    def result(loss: Tensor, terms: dict[str, Tensor], panels: dict[str, Tensor]) -> StepResult:
        """The same with terms and panels detached."""
        terms, panels = ({name: x.detach() for name, x in group.items()} for group in (terms, panels))
        return StepResult(loss, terms, panels)
