"""From a raw training batch to every picture and mask that the training stages use, on the batch's device."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from data.labels import ARMS, CLOTH, DENSEPOSE_ARMS, DENSEPOSE_HANDS, FACE, OTHERS, DensePosePart, is_one_of

_EDGE_THRESHOLD = 0.5
RIM = 9
"""Pixels around upper clothes and arms, of pictures 256 high, that a new garment may change."""


class TrainingInputs(NamedTuple):
    """Inputs of a training step. Pictures [N, 3, H, W] in [-1, 1], masks [N, 1, H, W] in {0, 1}.

    A picture times a mask is 0 (grey) outside the mask.
    """

    person: Tensor
    """The real picture."""
    cloth: Tensor
    """The garment that the person wears, times its edge."""
    edge: Tensor
    """The mask of that garment."""
    unpaired_cloth: Tensor
    """Another garment, times its edge."""
    unpaired_edge: Tensor
    """The mask of the other garment."""
    person_cloth: Tensor
    """The upper clothes as they sit on the person: the picture times their mask."""
    person_cloth_mask: Tensor
    """Upper clothes and dress."""
    face: Tensor
    """Face and hair."""
    others: Tensor
    """Clothes other than the upper ones."""
    hand: Tensor
    """Arm in the parsing and hand in the DensePose map."""
    preserved: Tensor
    """The part of the picture that try-on keeps: face, others and hand."""
    arms: Tensor
    """Upper and lower arms of the DensePose map."""
    condition: Tensor
    """The teacher's condition [N, 45, H, W]: face, others, DensePose one-hot (25), pose (18) in {-1, 1}."""


@torch.no_grad()
def derive_masks(batch: Mapping[str, Any]) -> TrainingInputs:
    """Derive all masks of a train loader's batch (see `VITONDataset`), on its device and in its precision.

    Unknown ids are in no mask. No gradient flows through. Raises `ValueError` where the batch lacks an entry.
    """
    names = ('image', 'color', 'edge', 'color_un', 'edge_un', 'label', 'densepose', 'pose')
    if missing := [name for name in names if name not in batch]:
        raise ValueError(f'batch without {", ".join(missing)}: expected what the train loader yields')
    person, label, densepose = batch['image'], batch['label'], batch['densepose']
    edge, unpaired_edge = ((batch[name] > _EDGE_THRESHOLD).to(person.dtype) for name in ('edge', 'edge_un'))
    person_cloth_mask = is_one_of(label, CLOTH).to(person.dtype)
    face = is_one_of(label, FACE).to(person.dtype)
    others = is_one_of(label, OTHERS).to(person.dtype)
    hand = (is_one_of(label, ARMS) & is_one_of(densepose, DENSEPOSE_HANDS)).to(person.dtype)
    parts = torch.cat([densepose == part for part in DensePosePart], dim=1).to(person.dtype)  # [N, 25, H, W]
    return TrainingInputs(
        person=person,
        cloth=batch['color'] * edge,
        edge=edge,
        unpaired_cloth=batch['color_un'] * unpaired_edge,
        unpaired_edge=unpaired_edge,
        person_cloth=person * person_cloth_mask,
        person_cloth_mask=person_cloth_mask,
        face=face,
        others=others,
        hand=hand,
        preserved=person * (face + others + hand),
        arms=is_one_of(densepose, DENSEPOSE_ARMS).to(person.dtype),
        condition=torch.cat([face, others, parts, batch['pose']], dim=1),  # [N, 45, H, W]
    )


@torch.no_grad()
def derive_keepable(label: Tensor, hand: Tensor) -> Tensor:
    """Mask [N, 1, H, W] of pixels that stay whatever the upper garment is, 1 or 0.

    Face, hair, other clothes, hands, and the background more than `RIM` pixels from upper clothes and arms.
    """
    worn = is_one_of(label, CLOTH).to(hand.dtype)
    reach = max(1, round(RIM * label.shape[2] / 256))
    touched = torch.maximum(worn, is_one_of(label, ARMS).to(hand.dtype))
    near = F.max_pool2d(touched, 2 * reach + 1, stride=1, padding=reach)
    named = torch.maximum(is_one_of(label, (*FACE, *OTHERS)).to(hand.dtype), hand)
    return torch.maximum(named, 1 - near) * (1 - worn)
