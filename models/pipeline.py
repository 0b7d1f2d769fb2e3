"""From person, cloth and edge to the try-on: the pipeline of a warp network and a generator."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.checkpoint import load_network, match_family
from models.composition import compose
from models.input_checks import check_agreement, check_picture
from models.outputs import GarmentCode, PersonCode, TryOn
from models.registry import FAMILIES, choose, create_generator, create_warp
from models.warp_modules.coarse_to_fine import WarpNetwork
from utils.errors import UserError

PUBLISHED_SIZE = (256, 192)  # (H, W) of the pictures that published weights were trained on


def clean_garment(cloth: Tensor, edge: Tensor) -> tuple[Tensor, Tensor]:
    """The cloth times its edge, and the edge made binary: the form in which networks take a garment."""
    edge = (edge > 0.5).to(cloth.dtype)
    return cloth * edge, edge


def given(edge: Tensor | None) -> Tensor:
    """The edge that must come with a cloth. Raises `UserError`, a ValueError, where it is missing."""
    if edge is None:
        raise UserError(
            'there is no edge: give person, cloth and edge, or a person and what encode_garment returned'
        )
    return edge


def check_garment(cloth: Tensor, edge: Tensor | None) -> None:
    """Raise ValueError unless `cloth` and `edge` are pictures of one batch and size."""
    edge = given(edge)
    check_picture('cloth', cloth, 3)
    check_picture('edge', edge, 1)
    check_agreement('edge', edge, 'cloth', cloth)


def check_inputs(
    person: Tensor | PersonCode,
    cloth: Tensor | GarmentCode,
    edge: Tensor | None,
    check_size: Callable[[str, Tensor], None],
) -> None:
    """Raise ValueError for unfit inputs before any work; `check_size` is the warp network's.

    Pictures must be of one batch. A single person or garment goes with any number of codes of the other.
    """
    if isinstance(person, GarmentCode) or isinstance(cloth, PersonCode):
        swapped = 'a garment code came as the person, or a person code as the garment'
        raise UserError(f'{swapped}; the person is the first argument')
    has_code = isinstance(person, PersonCode) or isinstance(cloth, GarmentCode)
    if isinstance(person, PersonCode):
        person = person.person
    check_picture('person', person, 3)
    if isinstance(cloth, GarmentCode):
        if edge is not None:
            raise UserError('an edge came beside a garment code, which has its own; leave the edge out')
        check_agreement('the garment of the code', cloth.cloth, 'person', person, one_for_all=True)
    else:
        check_picture('cloth', cloth, 3)
        check_agreement('cloth', cloth, 'person', person, one_for_all=has_code)
        check_garment(cloth, edge)
    check_size('person', person)


def match_batch(person: PersonCode, garment: GarmentCode) -> tuple[PersonCode, GarmentCode]:
    """Repeat a code that stands for a batch of one, as a view, for every sample of the other code."""
    count = max(person.person.shape[0], garment.cloth.shape[0])
    if person.person.shape[0] != count:
        person = PersonCode(_repeat(person.person, count), tuple(_repeat(x, count) for x in person.features))
    if garment.cloth.shape[0] != count:
        features = tuple(_repeat(x, count) for x in garment.features)
        garment = GarmentCode(_repeat(garment.cloth, count), _repeat(garment.edge, count), features)
    return person, garment


def _repeat(x: Tensor, count: int) -> Tensor:
    return x.expand(count, *x.shape[1:])


class TryOnPipeline(nn.Module):
    """A student's warp network and generator: person, cloth and edge in, the try-on out.

    What is computed of the garment alone, or of the person alone, can be kept: `code =
    pipeline.encode_garment(cloth, edge)`, then `pipeline(person, code)` for every frame of a video.
    `runtime.optimize` makes the same pipeline fast.

    Give networks in eval mode and of the student's role; `from_checkpoints` and `untrained` do. It is a
    plain module: `.to('cuda')`, `.half()`, `torch.autocast`, `torch.compile`, channels_last work. Flows stay
    float32 in all of them.
    """

    mode = 'torch'

    def __init__(
        self,
        warp: WarpNetwork,
        generator: nn.Module,
        *,
        family: str | None = None,
        is_trained: bool = True,
        size: tuple[int, int] = PUBLISHED_SIZE,
        notes: tuple[str, ...] = (),
    ):
        super().__init__()
        self.warp = warp
        self.generator = generator
        self.family = family
        self.is_trained = is_trained  # False: weights as initialised, whose pictures mean nothing
        self.size = size  # (H, W) of the pictures it was trained on, on which it is at its best
        self.notes = notes  # what a user may want to know of the files, a line each

    @property
    def align_corners(self) -> bool:
        """Convention by which the flows of results are sampled."""
        return self.warp.aflow_net.align_corners

    @classmethod
    def untrained(
        cls, family: str, *, align_corners: bool = True, device: str | torch.device = 'cpu'
    ) -> 'TryOnPipeline':
        """A pipeline as initialised: right shapes, meaningless pictures. ValueError for unknown families."""
        parts = FAMILIES[choose('family', family, FAMILIES)]
        warp = create_warp(parts.warp, 'student', align_corners=align_corners)
        generator = create_generator(parts.generator, 'student')
        return cls(warp, generator, family=family, is_trained=False).eval().to(device)

    @classmethod
    def from_checkpoints(
        cls,
        *,
        warp: str | Path,
        gen: str | Path,
        family: str | None = None,
        align_corners: bool | None = None,
        device: str | torch.device = 'cpu',
    ) -> 'TryOnPipeline':
        """Load a student from its two files, published or own.

        `family` is recognised from the files where it is not given; a pair that is no published family is
        asked for as `warp+generator`, such as mobile_afwm+res_unet. `align_corners` None takes what the file
        says, and True where it says nothing, as published weights want. `size` is what the warp network's
        file says, else 256 x 192. Raises `CheckpointError` or `MissingFileError` of `utils.errors`.
        """
        asked: dict[str, Any] = {'family': family, 'device': device}
        warp_network, warp_info = load_network(warp, part='warp', align_corners=align_corners, **asked)
        generator, generator_info = load_network(gen, part='generator', **asked)
        if family is None:
            family = match_family(warp_info.network, generator_info.network)
        infos = warp_info, generator_info
        is_trained = not any(info.extra.get('untrained') is True for info in infos)
        notes = [note for info in infos for note in info.notes]
        terms = {str(info.extra['license']) for info in infos if 'license' in info.extra}
        notes += [f'licence of these weights: {term}' for term in sorted(terms)]
        if family not in FAMILIES:
            notes.append(f'{family}: this pair of networks is no published method')
        size = warp_info.size or PUBLISHED_SIZE
        assert isinstance(warp_network, WarpNetwork)
        return cls(
            warp_network, generator, family=family, is_trained=is_trained, size=size, notes=tuple(notes)
        ).eval()

    @torch.no_grad()
    def forward(
        self, person: Tensor | PersonCode, cloth: Tensor | GarmentCode, edge: Tensor | None = None
    ) -> TryOn:
        """Dress `person` in `cloth`, both [N, 3, H, W] in [-1, 1], with mask `edge` [N, 1, H, W] in [0, 1].

        What `encode_person` returned can stand in the person's place, and what `encode_garment` returned in
        that of cloth and edge; then one of the two, person or garment, may be a single one for N of the
        other. Inputs are brought to the pipeline's device and dtype. Raises ValueError where shapes do not
        fit each other or the network.
        """
        check_inputs(person, cloth, edge, self.warp.check_size)
        if not isinstance(person, PersonCode):
            person = self.encode_person(person)
        if not isinstance(cloth, GarmentCode):
            cloth = self.encode_garment(cloth, given(edge))
        return self.dress(*match_batch(person, cloth))

    @torch.no_grad()
    def encode_person(self, person: Tensor) -> PersonCode:
        """Compute once what any garment needs of `person` [N, 3, H, W] in [-1, 1]."""
        check_picture('person', person, 3)
        self.warp.check_size('person', person)
        person = self._place(person)
        return PersonCode(person, self.warp.encode_condition(person))

    @torch.no_grad()
    def encode_garment(self, cloth: Tensor, edge: Tensor) -> GarmentCode:
        """Compute once the part of `cloth` [N, 3, H, W] in [-1, 1] and `edge` [N, 1, H, W] in [0, 1]."""
        check_garment(cloth, edge)
        self.warp.check_size('cloth', cloth)
        cloth, edge = clean_garment(self._place(cloth), self._place(edge))
        return GarmentCode(self.warp.prefilter(cloth, edge), edge, self.warp.encode_cloth(cloth))

    def dress(self, person: PersonCode, garment: GarmentCode) -> TryOn:
        """Warp and render encoded persons and garments of equal batch sizes."""
        warped = self.warp.aflow_net(person.features, garment.features, garment.cloth, garment.edge)
        generated = self.generator(torch.cat([person.person, warped.cloth, warped.edge], dim=1))
        return compose(warped, generated, person.person)

    @property
    def device(self) -> torch.device:
        """Device of the networks."""
        return next(self.warp.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the networks; flows stay float32."""
        return next(self.warp.parameters()).dtype

    def _place(self, x: Tensor) -> Tensor:
        return x.to(self.device, self.dtype)
