"""The training stages side by side: the published four, and a table of all.

PF-AFN (Ge et al., CVPR 2021), section 3, and DM-VTON (Nguyen-Ngoc et al., ISMAR 2023), section 3.
Parser-based stages (pb) train the teacher. Parser-free stages (pf) train the student, which sees no
parsing: the teacher puts another garment on the person, and the student must restore the real picture from
this fake one. A warp stage trains the warp network alone, an end-to-end stage (e2e) both networks.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from engine.base_stage import NETWORKS, Stage, StepResult
from engine.losses import (
    Perceptual,
    distillation_terms,
    generator_terms,
    is_closer,
    skin_terms,
    total,
    warp_terms,
)
from engine.map_pictures import derived_panels, mask_panel
from engine.truth_stages import PBTruth, PFTruth
from models import compose, create_generator, create_warp
from models.registry import choose, find_family

FINE_TUNED = 0.2  # share of the learning rate for a warp network that the stage before has trained
PB_E2E_WARP_FACTOR, PF_E2E_WARP_FACTOR = 0.5, 0.25


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
        seen = torch.cat([inputs.preserved, warped.cloth, warped.edge, bare_arms], dim=1)
        generated = self.modules['pb_gen'](seen)
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

        seen = torch.cat([supervision.fake_person, warped.cloth, warped.edge], dim=1)
        generated = self.modules['pf_gen'](seen)
        tryon = compose(warped, generated, supervision.fake_person)

        terms = warp_terms(warped.levels, inputs.person_cloth, inputs.person_cloth_mask, self.perceptual)
        gate = is_closer(supervision.warped.cloth, warped.cloth, inputs.person_cloth)
        terms |= distillation_terms(supervision.warped.levels, warped.levels, gate)
        gen_terms = generator_terms(tryon, inputs.person, self.perceptual)
        skin_mask = supervision.fake_edge * (1 - inputs.person_cloth_mask)
        late = epoch > self.niter
        gen_terms |= skin_terms(tryon.rendered, inputs.person, skin_mask, self.perceptual, late=late)
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
        sums = {'warp': warp, 'gen': gen, 'open_gates': gate.mean()}
        return self.result(loss, {**sums, **terms, **gen_terms}, panels)


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
    families = {'teacher': find_family(teacher, 'teacher'), 'student': find_family(student, 'student')}
    networks: dict[str, nn.Module] = {}
    for network in recipe.network_names():
        role, part = NETWORKS[network]
        if part == 'warp':
            networks[network] = create_warp(families[role].warp, role, align_corners=align_corners)
        else:
            networks[network] = create_generator(families[role].generator, role)
    return recipe(networks, niter=niter, perceptual=perceptual)
