"""Masks and maps derived from a batch, as pictures for a sample sheet: masks grey, DensePose in colours."""

import colorsys

from torch import Tensor

from data.labels import DensePosePart
from data.training_inputs import TrainingInputs

PARTS = len(DensePosePart)
FIRST_PART = 2  # channel of the teacher's condition at which the one-hot DensePose begins


def mask_panel(mask: Tensor) -> Tensor:
    """Return a mask [N, 1, H, W] in [0, 1] as a picture [N, 3, H, W] in [-1, 1], white inside."""
    return (mask * 2 - 1).expand(-1, 3, -1, -1)


def densepose_panel(condition: Tensor) -> Tensor:
    """Return the DensePose parts of a teacher's condition [N, 45, H, W] as a picture, one hue a part."""
    hues = [colorsys.hsv_to_rgb((part * 7 % PARTS) / PARTS, 0.75, 0.95) for part in range(1, PARTS)]
    colours = condition.new_tensor([(0.0, 0.0, 0.0), *hues]) * 2 - 1  # [25, 3]
    parts = condition[:, FIRST_PART : FIRST_PART + PARTS].argmax(dim=1)  # [N, H, W]
    return colours[parts].permute(0, 3, 1, 2)


def derived_panels(inputs: TrainingInputs) -> dict[str, Tensor]:
    """The masks and maps that all stages derive of a batch, in the order to show them."""
    return {
        'edge': mask_panel(inputs.edge),
        'worn_mask': mask_panel(inputs.person_cloth_mask),
        'preserved': inputs.preserved,
        'densepose': densepose_panel(inputs.condition),
    }
