"""The frozen teacher of the parser-free stages (PF-AFN, Ge et al., CVPR 2021, section 3).

It puts another garment on the person; the student must restore the real picture from this fake one.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from data.training_inputs import TrainingInputs
from models import WarpOutput, compose
from models.warp_modules.coarse_to_fine import WarpNetwork


class Supervision(NamedTuple):
    """The teacher's results that the student learns from."""

    fake_person: Tensor  # [N, 3, H, W] in [-1, 1], the person in the unpaired garment
    fake_edge: Tensor  # [N, 1, H, W] in [0, 1], where the fake person wears that garment
    warped: WarpOutput  # the paired garment on the person, with levels for the student's warp to follow


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
        fake = self.warp.warp_onto(condition, inputs.unpaired_cloth, inputs.unpaired_edge)
        warped = self.warp.warp_onto(condition, inputs.cloth, inputs.edge, keep_levels=True)
        assert fake.edge is not None, 'the unpaired garment has an edge'
        bare_arms = inputs.arms * (1 - fake.edge)
        generated = self.generator(torch.cat([inputs.preserved, fake.cloth, fake.edge, bare_arms], dim=1))
        return Supervision(compose(fake, generated, inputs.preserved).image, fake.edge, warped)
