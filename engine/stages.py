"""The frozen teacher and the training stages side by side: the published four, and one with true results.

PF-AFN (Ge et al., CVPR 2021), section 3, and DM-VTON (Nguyen-Ngoc et al., ISMAR 2023), section 3.
Parser-based stages (pb) train the teacher. Parser-free stages (pf) train the student, who never sees a
parsing: the teacher puts another garment on the person, and the student must restore the real picture from
this fake one. A warp stage trains the warp network alone, an end-to-end stage (e2e) both networks.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, cast

import torch
from torch import Tensor, nn

from data.batch import TrainingInputs, derive_keepable, derive_masks
from engine.augment import augment, own_inputs, truth_inputs
from engine.losses import (
    Perceptual,
    distillation_terms,
    generator_terms,
    is_closer,
    skin_terms,
    total,
    warp_terms,
)
from engine.panels import derived_panels, mask_panel
from engine.truth_losses import curvature_term, truth_picture_terms, truth_warp_terms
from models import WarpOutput, compose, create_generator, create_warp
from models.registry import choose, find_family
from models.warp_modules.pyramid import WarpNetwork

SMALLEST_SIDE = 64  # on smaller pictures the coarsest flow has no neighbours to be smooth with
FINE_TUNED = 0.2  # share of the learning rate for a warp network that the stage before has trained
PB_E2E_WARP_FACTOR, PF_E2E_WARP_FACTOR = 0.5, 0.25


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
    """Result of a training step."""

    loss: Tensor  # a scalar to call backward() on
    terms: dict[
        str, Tensor
    ]  # detached scalars: 'warp' and in e2e stages 'gen' before their factors, and their terms
    panels: dict[
        str, Tensor
    ]  # detached pictures [N, 3, H, W] in [-1, 1] for a sample sheet, in the order to show them


class Supervision(NamedTuple):
    """The teacher's results that the student learns from."""

    fake_person: Tensor  # [N, 3, H, W] in [-1, 1], the person in the unpaired garment
    fake_edge: Tensor  # [N, 1, H, W] in [0, 1], where the fake person wears that garment
    warped: (
        WarpOutput  # the paired garment on the person, with levels: what the student's warp is compared with
    )


class Teacher(nn.Module):
    """A trained parser-based warp network and generator, frozen: no gradients, always in eval mode."""

    def __init__(self, warp: WarpNetwork, generator: nn.Module):
        super().__init__()
        self.warp = warp
        self.generator = generator
        self.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> 'Teacher':
        """Stay in eval mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, inputs: TrainingInputs) -> Supervision:
        """Dress the person in the unpaired garment, and warp the paired one."""
        self.warp.check_size('person', inputs.person)
        condition = self.warp.encode_condition(inputs.condition)  # the same for both garments
        unpaired, paired = (inputs.unpaired_cloth, inputs.unpaired_edge), (inputs.cloth, inputs.edge)
        fake = self.warp.aflow_net(condition, self.warp.encode_cloth(unpaired[0]), *unpaired)
        warped = self.warp.aflow_net(condition, self.warp.encode_cloth(paired[0]), *paired, keep_levels=True)
        assert fake.edge is not None, 'the unpaired garment has an edge'
        bare_arms = inputs.arms * (1 - fake.edge)
        generated = self.generator(torch.cat([inputs.preserved, fake.cloth, fake.edge, bare_arms], dim=1))
        return Supervision(compose(fake, generated, inputs.preserved).image, fake.edge, warped)


class Stage:
    """Base of all stages: their networks, frozen or trained.

    `networks` are the bare networks by name ('pb_warp', 'pb_gen', 'pf_warp', 'pf_gen'), to load and save.
    `modules` are the trained ones as a step calls them, each once and by its forward: `wrap` puts, say,
    DistributedDataParallel around one. `lr_scale` is the share of the learning rate of each trained one.
    """

    lr_scale: ClassVar[
        Mapping[str, float]
    ]  # of every network that the stage trains; below 1: the stage before has trained it
    frozen: ClassVar[
        tuple[str, ...]
    ] = ()  # the trained teacher that the stage learns from, warp network first
    has_perceptual_terms: ClassVar[bool] = True
    validated: ClassVar[bool] = False  # whether the stage trains what test.py tests

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
        """Put the trained networks into training mode (or eval mode) and the frozen ones into eval mode."""
        for module in self.modules.values():
            module.train(mode)
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
                f'pictures are {height} x {width} (H x W), too small to train on; both sides must be '
                f'{SMALLEST_SIDE} or more'
            )
        return inputs

    @staticmethod
    def result(loss: Tensor, terms: dict[str, Tensor], panels: dict[str, Tensor]) -> StepResult:
        """The same with terms and panels detached."""
        terms, panels = ({name: x.detach() for name, x in group.items()} for group in (terms, panels))
        return StepResult(loss, terms, panels)


class PBWarp(Stage):
    """The teacher learns to warp the garment onto the person who wears it."""

    lr_scale = {'pb_warp': 1.0}

    def step(self, batch: Mapping[str, Any], epoch: int) -> StepResult:
        inputs = self.prepare(batch)

        warped = self.modules['pb_warp'](inputs.condition, inputs.cloth, inputs.edge, keep_levels=True)

        terms = warp_terms(warped.levels, inputs.person_cloth, inputs.person_cloth_mask, self.perceptual)
        loss = total(terms.values())

        panels = {
            'person': inputs.person,
            'cloth': inputs.cloth,
            'warped_cloth': warped.cloth,
            'person_cloth': inputs.person_cloth,
            **derived_panels(inputs),
        }
        return self.result(loss, {'warp': loss, **terms}, panels)


class PBEndToEnd(Stage):
    """The teacher learns to render the person in the garment, and fine-tunes its warp."""

    lr_scale = {'pb_warp': FINE_TUNED, 'pb_gen': 1.0}

    def step(self, batch: Mapping[str, Any], epoch: int) -> StepResult:
        inputs = self.prepare(batch)

        warped = self.modules['pb_warp'](inputs.condition, inputs.cloth, inputs.edge, keep_levels=True)

        bare_arms = inputs.arms * (1 - inputs.person_cloth_mask)
        generated = self.modules['pb_gen'](
            torch.cat([inputs.preserved, warped.cloth, warped.edge, bare_arms], dim=1)
        )
        tryon = compose(warped, generated, inputs.preserved)

        terms = warp_terms(warped.levels, inputs.person_cloth, inputs.person_cloth_mask, self.perceptual)
        gen_terms = generator_terms(tryon, inputs.person, self.perceptual)
        warp, gen = total(terms.values()), total(gen_terms.values())
        loss = PB_E2E_WARP_FACTOR * warp + gen

        panels = {
            'person': inputs.person,
            'cloth': inputs.cloth,
            'warped_cloth': warped.cloth,
            'rendered': tryon.rendered,
            'tryon': tryon.image,
            'mask': mask_panel(tryon.mask),
            **derived_panels(inputs),
            'bare_arms': mask_panel(bare_arms),
        }
        return self.result(loss, {'warp': warp, 'gen': gen, **terms, **gen_terms}, panels)


class PFWarp(Stage):
    """The student learns to warp from the fake person, by the real picture and, where better, the teacher."""

    lr_scale = {'pf_warp': 1.0}
    frozen = ('pb_warp', 'pb_gen')

    def step(self, batch: Mapping[str, Any], epoch: int) -> StepResult:
        inputs = self.prepare(batch)
        supervision = self.teacher(inputs)

        warped = self.modules['pf_warp'](supervision.fake_person, inputs.cloth, inputs.edge, keep_levels=True)

        terms = warp_terms(warped.levels, inputs.person_cloth, inputs.person_cloth_mask, self.perceptual)
        gate = is_closer(supervision.warped.cloth, warped.cloth, inputs.person_cloth)
        terms |= distillation_terms(supervision.warped.levels, warped.levels, gate)
        loss = total(terms.values())

        panels = {
            'person': inputs.person,
            'fake_person': supervision.fake_person,
            'cloth': inputs.cloth,
            'teacher_cloth': supervision.warped.cloth,
            'warped_cloth': warped.cloth,
            'person_cloth': inputs.person_cloth,
            **derived_panels(inputs),
        }
        return self.result(loss, {'warp': loss, 'open_gates': gate.mean(), **terms}, panels)


class PFEndToEnd(Stage):
    """The student learns to restore the real picture from the fake person, and fine-tunes its warp."""

    lr_scale = {'pf_warp': FINE_TUNED, 'pf_gen': 1.0}
    frozen = ('pb_warp', 'pb_gen')
    validated = True

    def step(self, batch: Mapping[str, Any], epoch: int) -> StepResult:
        inputs = self.prepare(batch)
        supervision = self.teacher(inputs)

        warped = self.modules['pf_warp'](supervision.fake_person, inputs.cloth, inputs.edge, keep_levels=True)

        generated = self.modules['pf_gen'](
            torch.cat([supervision.fake_person, warped.cloth, warped.edge], dim=1)
        )
        tryon = compose(warped, generated, supervision.fake_person)

        terms = warp_terms(warped.levels, inputs.person_cloth, inputs.person_cloth_mask, self.perceptual)
        gate = is_closer(supervision.warped.cloth, warped.cloth, inputs.person_cloth)
        terms |= distillation_terms(supervision.warped.levels, warped.levels, gate)
        gen_terms = generator_terms(tryon, inputs.person, self.perceptual)
        skin_mask = supervision.fake_edge * (1 - inputs.person_cloth_mask)
        gen_terms |= skin_terms(
            tryon.rendered, inputs.person, skin_mask, self.perceptual, late=epoch > self.niter
        )
        warp, gen = total(terms.values()), total(gen_terms.values())
        loss = PF_E2E_WARP_FACTOR * warp + gen

        panels = {
            'person': inputs.person,
            'fake_person': supervision.fake_person,
            'cloth': inputs.cloth,
            'warped_cloth': warped.cloth,
            'rendered': tryon.rendered,
            'tryon': tryon.image,
            'mask': mask_panel(tryon.mask),
            **derived_panels(inputs),
            'skin_mask': mask_panel(skin_mask),
        }
        return self.result(
            loss, {'warp': warp, 'gen': gen, 'open_gates': gate.mean(), **terms, **gen_terms}, panels
        )


class PFTruth(Stage):
    """The student learns from people whose picture in another garment is known, in both directions of a pair.

    Not part of the published recipe: it needs no teacher, and a set with truths (see `engine.truth_data`).
    """

    lr_scale = {'pf_warp': 1.0, 'pf_gen': 1.0}
    has_perceptual_terms = False
    augments = True  # False: the pictures as they come, every pair as listed

    def step(self, batch: Mapping[str, Any], epoch: int) -> StepResult:
        count = len(batch['image'])
        reversed_pairs = torch.rand(count, device=batch['image'].device) < 0.5
        inputs = truth_inputs(batch, reversed_pairs=reversed_pairs & self.augments | (batch['is_made'] > 0))
        if self.augments:
            inputs = augment(inputs)

        warped = self.modules['pf_warp'](inputs.person, inputs.cloth, inputs.edge, keep_levels=True)
        generated = self.modules['pf_gen'](torch.cat([inputs.person, warped.cloth, warped.edge], dim=1))
        tryon = compose(warped, generated, inputs.person)

        terms = truth_warp_terms(warped, inputs)
        gen_terms = truth_picture_terms(tryon, generated, inputs)
        warp, gen = total(terms.values()), total(gen_terms.values())

        panels = {
            'person': inputs.person,
            'cloth': inputs.cloth,
            'warped_cloth': warped.cloth,
            'rendered': tryon.rendered,
            'tryon': tryon.image,
            'truth': inputs.target,
        }
        return self.result(warp + gen, {'warp': warp, 'gen': gen, **terms, **gen_terms}, panels)


class PBTruth(Stage):
    """The teacher learns both its networks from people in their own garments, in one stage.

    Not part of the published recipe. Where a set has true flows (drawings), they teach the warp; on
    photographs the worn garment and the smoothness of the flow do. What the teacher sees of the person, and
    keeps, includes the background (`data.batch.derive_keepable`).
    """

    lr_scale = {'pb_warp': 1.0, 'pb_gen': 1.0}
    has_perceptual_terms = False

    def step(self, batch: Mapping[str, Any], epoch: int) -> StepResult:
        inputs = self.prepare(batch)
        keepable = derive_keepable(batch['label'], inputs.hand)
        kept = inputs.person * keepable
        truth = own_inputs(inputs, keepable, batch.get('own_flow'))

        warped = self.modules['pb_warp'](inputs.condition, inputs.cloth, inputs.edge, keep_levels=True)
        bare_arms = inputs.arms * (1 - warped.edge)
        generated = self.modules['pb_gen'](torch.cat([kept, warped.cloth, warped.edge, bare_arms], dim=1))
        tryon = compose(warped, generated, kept)

        terms = truth_warp_terms(warped, truth) | {'curvature': curvature_term(warped)}
        gen_terms = truth_picture_terms(tryon, generated, truth)
        warp, gen = total(terms.values()), total(gen_terms.values())

        panels = {
            'person': inputs.person,
            'cloth': inputs.cloth,
            'kept': kept,
            'warped_cloth': warped.cloth,
            'rendered': tryon.rendered,
            'tryon': tryon.image,
        }
        return self.result(warp + gen, {'warp': warp, 'gen': gen, **terms, **gen_terms}, panels)


STAGES: dict[str, type[Stage]] = {
    'pb_warp': PBWarp,
    'pb_e2e': PBEndToEnd,
    'pf_warp': PFWarp,
    'pf_e2e': PFEndToEnd,
    'pb_truth': PBTruth,
    'pf_truth': PFTruth,
}


def create_stage(
    name: str,
    *,
    teacher: str = 'fs_vton',
    student: str = 'dm_vton',
    align_corners: bool = True,
    niter: int = 50,
    perceptual: Perceptual | None = None,
) -> Stage:
    """Make a stage with newly initialised networks on the CPU: load into `networks`, then call `to(device)`.

    `name` is a key of `STAGES`; `teacher` and `student` are families or pairs `warp+generator` (parser-based
    stages have no student). After `niter` epochs, those of constant learning rate, the skin weighs more.
    `perceptual` is a distance of two pictures such as `VGGLoss()`; None drops its terms. Raises ValueError
    for an unknown stage, and for a family unknown or without the role.
    """
    recipe = STAGES[choose('stage', name, STAGES)]
    families = {
        role: find_family(family, role) for role, family in (('teacher', teacher), ('student', student))
    }
    networks: dict[str, nn.Module] = {}
    for network in recipe.network_names():
        role, part = NETWORKS[network]
        if part == 'warp':
            networks[network] = create_warp(families[role].warp, role, align_corners=align_corners)
        else:
            networks[network] = create_generator(families[role].generator, role)
    return recipe(networks, niter=niter, perceptual=perceptual)
