"""Results of the networks: names, shapes and ranges of the tensors."""

from typing import NamedTuple

from torch import Tensor


class WarpLevel(NamedTuple):
    """One level of the coarse-to-fine loop, kept for training; feature size (h, w), level 0 the coarsest.

    The flow and what is sampled with it are (2h, 2w): each level ends by upsampling its flow; the last level
    of the small model enlarges it to the picture's size. C is 256, of the small model 64.
    """

    cloth: Tensor  # [N, 3, 2h, 2w] in [-1, 1], the scaled cloth sampled at this level's flow
    edge: Tensor | None  # [N, 1, 2h, 2w] in [0, 1], the scaled edge sampled at this level's flow
    flow: Tensor  # [N, 2, 2h, 2w], sampling grid in normalised (x, y)
    coarse_offset: Tensor  # [N, 2, h, w] in pixels of this level
    refine_offset: Tensor  # [N, 2, h, w] in pixels of this level
    condition_feature: Tensor  # [N, C, h, w]
    cloth_feature: Tensor  # [N, C, h, w]


class WarpOutput(NamedTuple):
    """Result of a warp network."""

    cloth: Tensor  # [N, 3, H, W] in [-1, 1], the cloth warped onto the person
    edge: Tensor | None  # [N, 1, H, W] in [0, 1], its mask; None where no edge was given
    flow: Tensor  # [N, 2, H, W], sampling grid in normalised (x, y), float32 or wider
    levels: tuple[WarpLevel, ...]  # coarse to fine; empty unless keep_levels=True


class PersonCode(NamedTuple):
    """A person, encoded for any number of garments. It fits the pipeline that made it only."""

    person: Tensor  # [N, 3, H, W] in [-1, 1]
    features: tuple[Tensor, ...]  # the condition's half of the pyramid: maps [N, C, h, w], coarse to fine


class GarmentCode(NamedTuple):
    """A garment, encoded for any number of persons. It fits the pipeline that made it only."""

    cloth: Tensor  # [N, 3, H, W] in [-1, 1], what is sampled: the cloth times its edge, or smoothed
    edge: Tensor  # [N, 1, H, W] in {0, 1}
    features: tuple[Tensor, ...]  # the cloth's half of the pyramid: maps [N, C, h, w], coarse to fine


class TryOn(NamedTuple):
    """Result of a try-on."""

    image: Tensor  # [N, 3, H, W] in [-1, 1], the person wearing the garment
    # [N, 3, H, W] in [-1, 1], what is seen beside the cloth: the generator's picture, or what is kept
    rendered: Tensor
    mask: Tensor  # [N, 1, H, W] in [0, 1], 1 where the warped cloth is shown as it is
    warped_cloth: Tensor  # [N, 3, H, W] in [-1, 1]
    warped_edge: Tensor  # [N, 1, H, W] in [0, 1]
    flow: Tensor  # [N, 2, H, W], sampling grid in normalised (x, y)
    # [N, 1, H, W] in [0, 1], 1 where `rendered` is the person; 0 without a keep mask
    keep: Tensor | None = None

    @property
    def warped_on_white(self) -> Tensor:
        """The warped cloth as panels show it, [N, 3, H, W] in [-1, 1]."""
        return self.warped_cloth * self.warped_edge + (1 - self.warped_edge)
