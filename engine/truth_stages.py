"""The stages that true results teach, beside the published recipe: they need no trained teacher."""

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from data.training_inputs import derive_keepable
from engine.augment import TruthInputs, augment, chance, own_inputs, truth_inputs
from engine.base_stage import Stage, StepResult
from engine.losses import total
from engine.truth_losses import (
    WARPED_STRUCTURE,
    bare_term,
    curvature_term,
    truth_mask_terms,
    truth_picture_terms,
    truth_warp_terms,
)
from models import compose
from models.outputs import TryOn

RESTS = {'warp': 'pf_gen', 'generator': 'pf_warp'}
"""Which network rests while a part learns alone."""
SELF_DRESSED = 0.3
"""Share of photographs that start from themselves where the warp network learns alone."""
MASKS_FROM_PHOTOGRAPHS = 0.5
"""Share of made records whose photograph the generator sees where it learns alone: they teach its masks."""
AS_THEY_COME = 0.4
"""Share of the records that `augment` leaves alone."""


Maps = TypeVar('Maps', TruthInputs, TryOn)


def rows(maps: Maps, chosen: Tensor) -> Maps:
    """The chosen records, bool [N], of tensors [N, ...]."""
    return type(maps)(*(one if one is None else one[chosen] for one in maps))  # type: ignore[arg-type]


class PFTruth(Stage):
    """The student learns from people whose picture in another garment is known, in both directions of a pair.

    It needs a set with truths (see `engine.truth_data`). Of pairs that a teacher made the photograph is the
    truth. A generator that starts from made pictures alone learns to find what was made, and keeps old
    garments in photographs. So half of its made pairs are turned around: the made picture is no truth, but
    its masks are, and what the teacher drew where the old garment came off is nearer to one than that
    garment.
    """

    lr_scale = {'pf_warp': 1.0, 'pf_gen': 1.0}
    has_perceptual_terms = False
    takes_truths = needs_truths = True
    warped_structure = WARPED_STRUCTURE  # weight of the warped garment's structural term
    augments = True  # False: the pictures as they come, every pair as listed
    part = 'both'  # the networks that learn

    def learn_alone(self, part: str) -> None:
        """Let only the 'warp' network or the 'generator' learn: the other one stays as it is, in eval mode.

        Without the generator a step takes half the time. It has no picture of its own to keep then, so some
        photographs are dressed in the garment that they show: their flow is unknown, but what it must lead
        to is seen exactly.
        """
        self.part = part
        self._modules[RESTS[part]].requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> 'PFTruth':
        """Put the networks that learn into training mode (or eval mode)."""
        super().train(mode)
        if self.part in RESTS:
            self._modules[RESTS[self.part]].eval()
        return self

    def _reversed_pairs(self, made: Tensor) -> Tensor:
        """Which records start from the truth's picture, bool [N]; `made` bool [N]: those that were made."""
        chosen = torch.rand(len(made), device=made.device)
        if not self.augments:
            return made
        if self.part == 'generator':
            photographs = made & (chosen < MASKS_FROM_PHOTOGRAPHS)
            photographs[0] &= ~photographs.all()  # one picture to learn from
            return torch.where(made, ~photographs, chosen < 0.5)
        return made | (chosen < 0.5)

    def _inputs(self, batch: Mapping[str, Any], reversed_pairs: Tensor) -> TruthInputs:
        made = batch['is_made'] > 0
        inputs = truth_inputs(batch, reversed_pairs=reversed_pairs)
        if self.part == 'warp':
            own = chance(inputs.person, SELF_DRESSED) & made[:, None, None, None]
            inputs = inputs._replace(person=torch.where(own, inputs.target, inputs.person))
        if self.augments:
            changed, listed = augment(inputs), chance(inputs.person, AS_THEY_COME)
            pairs = zip(inputs, changed, strict=True)
            inputs = TruthInputs(*(torch.where(listed, before, after) for before, after in pairs))
        return inputs

    def step(self, batch: Mapping[str, Any], epoch: int) -> StepResult:
        made = batch['is_made'] > 0
        reversed_pairs = self._reversed_pairs(made)
        inputs = self._inputs(batch, reversed_pairs)

        warp_learns = self.part != 'generator'
        garment = inputs.cloth, inputs.edge
        with torch.set_grad_enabled(warp_learns):
            warped = self.modules['pf_warp'](inputs.person, *garment, keep_levels=warp_learns)
        terms = {}
        if warp_learns:
            terms = truth_warp_terms(warped, inputs, structure=self.warped_structure)
            if made.any():  # photographs, whose flow is the teacher's guess or unknown
                terms['curvature'] = curvature_term(warped)
            terms['warp'] = total(terms.values())
        panels = {'person': inputs.person, 'cloth': inputs.cloth, 'warped_cloth': warped.cloth}
        if self.part == 'warp':
            return self.result(terms['warp'], terms, panels | {'truth': inputs.target})

        generated = self.modules['pf_gen'](torch.cat([inputs.person, warped.cloth, warped.edge], dim=1))
        tryon = compose(warped, generated, inputs.person)
        true = reversed_pairs | ~made
        seen = rows(tryon, true), generated[true], rows(inputs, true)
        gen_terms = truth_picture_terms(*seen) | truth_mask_terms(generated, inputs)
        if not true.all():
            gen_terms['bare_l1'] = bare_term(generated[~true], rows(inputs, ~true))
        gen = total(gen_terms.values())
        loss = terms['warp'] + gen if warp_learns else gen
        panels |= {'rendered': tryon.rendered, 'tryon': tryon.image, 'truth': inputs.target}
        return self.result(loss, terms | gen_terms | {'gen': gen}, panels)


class PBTruth(Stage):
    """The teacher learns both its networks from people in their own garments, in one stage.

    Where a set has true flows (drawings), they teach the warp; on photographs the worn garment and the
    smoothness of the flow do. What the teacher sees of the person, and keeps, includes the background
    (`data.training_inputs.derive_keepable`).
    """

    lr_scale = {'pb_warp': 1.0, 'pb_gen': 1.0}
    has_perceptual_terms = False
    takes_truths = True
    warped_structure = WARPED_STRUCTURE

    def step(self, batch: Mapping[str, Any], epoch: int) -> StepResult:
        inputs = self.prepare(batch)
        keepable = derive_keepable(batch['label'], inputs.hand)
        kept = inputs.person * keepable
        truth = own_inputs(inputs, keepable, batch.get('own_flow'))

        warped = self.modules['pb_warp'](inputs.condition, inputs.cloth, inputs.edge, keep_levels=True)
        bare_arms = inputs.arms * (1 - warped.edge)
        generated = self.modules['pb_gen'](torch.cat([kept, warped.cloth, warped.edge, bare_arms], dim=1))
        tryon = compose(warped, generated, kept)

        terms = truth_warp_terms(warped, truth, structure=self.warped_structure)
        terms['curvature'] = curvature_term(warped)
        gen_terms = truth_picture_terms(tryon, generated, truth) | truth_mask_terms(generated, truth)
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
