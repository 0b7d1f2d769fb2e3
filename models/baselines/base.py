"""Base of the compared methods that are no family: named inputs in, the try-on out."""

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from models.input_checks import check_agreement, check_picture
from utils.errors import UserError

FIXED_SIZE = (256, 192)  # (H, W) that a linear layer or a spline ties a network to


class BaselineTryOn(NamedTuple):
    """Result of a compared method."""

    image: Tensor  # [N, 3, H, W] in [-1, 1], the person wearing the garment
    warped_cloth: Tensor  # [N, 3, H, W] in [-1, 1], the garment brought onto the person
    flow: Tensor | None  # [N, 2, H, W], sampling grid in normalised (x, y); None: there is no single one

    @property
    def warped_on_white(self) -> Tensor:
        """The warped garment as panels show it; these methods have no mask of it."""
        return self.warped_cloth


class BaselineNetwork(nn.Module):
    """A whole published method as one module, called with keyword tensors and in eval mode.

    `inputs` names the tensors [N, channels, H, W] that `forward` takes, all of one batch and size; `parts`
    names the modules that are published in a file of their own, empty where one file holds everything.
    """

    inputs: ClassVar[dict[str, int]] = {}
    parts: ClassVar[tuple[str, ...]] = ()
    fixed_size: ClassVar[tuple[int, int] | None] = None
    multiple: ClassVar[int] = 32
    align_corners: bool = False  # how a flow of the results is to be sampled

    def check_inputs(self, **tensors: Tensor) -> None:
        """Raise `UserError` unless the tensors are those of `inputs`, of one batch and a suitable size."""
        if tensors.keys() != self.inputs.keys():
            raise UserError(f'inputs {", ".join(tensors) or "none"}: expected {", ".join(self.inputs)}')
        first = next(iter(self.inputs))
        for name, channels in self.inputs.items():
            check_picture(name, tensors[name], channels)
            check_agreement(name, tensors[name], first, tensors[first])
        self.check_size(first, tensors[first])

    def made_up(self, batch: int, size: tuple[int, int] = FIXED_SIZE, *, seed: int = 0) -> dict[str, Tensor]:
        """Inputs of noise in [-1, 1], for measuring what the method costs."""
        generator = torch.Generator().manual_seed(seed)
        return {
            name: torch.rand(batch, n, *size, generator=generator) * 2 - 1 for name, n in self.inputs.items()
        }

    def check_size(self, name: str, x: Tensor) -> None:
        """Raise `UserError` for a picture [N, C, H, W] of a size that the network cannot take."""
        size = tuple(x.shape[2:])
        if self.fixed_size and size != self.fixed_size:
            expected = f'{self.fixed_size[0]} x {self.fixed_size[1]}, the only size these weights take'
            raise UserError(f'{name} is {size[0]} x {size[1]}, expected {expected}; give no other --size')
        if any(side % self.multiple or side == 0 for side in size):
            raise UserError(
                f'{name} is {size[0]} x {size[1]}, expected multiples of {self.multiple}; resize it'
            )
