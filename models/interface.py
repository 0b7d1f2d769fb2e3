"""The interface of try-on models, in PyTorch, in a fast mode of `runtime`, or from an exported graph."""

from typing import Protocol, runtime_checkable

from torch import Tensor

from models.outputs import GarmentCode, PersonCode, TryOn


@runtime_checkable
class TryOnModel(Protocol):
    """Dresses persons in garments.

    `TryOnPipeline`, `runtime.OptimizedPipeline` (also made of exported graphs) and
    `photo.steady.SteadyPipeline` are such models. Pictures are [N, 3, H, W] in [-1, 1], edges [N, 1, H, W] in
    [0, 1]. A code can be read by the model that made it only.
    """

    @property
    def family(self) -> str | None:
        """Name of the method, a key of `models.FAMILIES`; None where no checkpoint says it."""

    @property
    def is_trained(self) -> bool:
        """False for weights as initialised, whose pictures mean nothing."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the pictures that the networks were trained on."""

    @property
    def align_corners(self) -> bool:
        """Convention by which the flow of a result is sampled."""

    @property
    def mode(self) -> str:
        """Execution of the networks: 'torch', a mode of `runtime.MODES`, or an exported format."""

    def encode_person(self, person: Tensor) -> PersonCode:
        """Compute once what any garment needs of `person`."""

    def encode_garment(self, cloth: Tensor, edge: Tensor) -> GarmentCode:
        """Compute once what any person needs of `cloth` with its mask `edge`."""

    def __call__(
        self, person: Tensor | PersonCode, cloth: Tensor | GarmentCode, edge: Tensor | None = None
    ) -> TryOn:
        """Dress persons; codes may replace pictures, and one code goes with any number of the other kind."""


class TryOnWrapper:
    """A `TryOnModel` around another one, which it resembles in all that a subclass does not define anew."""

    def __init__(self, model: TryOnModel):
        self.model = model
        self.family, self.is_trained, self.mode = model.family, model.is_trained, model.mode
        self.size, self.align_corners = model.size, model.align_corners

    def encode_person(self, person: Tensor) -> PersonCode:
        """Compute once what any garment needs of `person`."""
        return self.model.encode_person(person)

    def encode_garment(self, cloth: Tensor, edge: Tensor) -> GarmentCode:
        """Compute once what any person needs of `cloth` with its mask `edge`."""
        return self.model.encode_garment(cloth, edge)

    def __call__(
        self, person: Tensor | PersonCode, cloth: Tensor | GarmentCode, edge: Tensor | None = None
    ) -> TryOn:
        """Dress persons as the other model does."""
        return self.model(person, cloth, edge)
