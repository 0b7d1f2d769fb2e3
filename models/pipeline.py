"""From a person, a cloth and its edge to the try-on: the composition and the pipeline around a warp network and a generator.

The composition follows PF-AFN (Ge et al., CVPR 2021), section 3.3.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from models.outputs import TryOn, WarpOutput
from models.registry import FAMILIES, choose, create_generator, create_warp
from models.warp_modules.pyramid import WarpNetwork

PUBLISHED_SIZE = (256, 192)  # (H, W) of the pictures that published weights were trained on


def compose(warped: WarpOutput, generated: Tensor) -> TryOn:
    """Merge the warped cloth with the generator's raw output [N, 4, H, W] into the try-on.

    The first three channels become the rendered picture (tanh), the last one the composite mask (sigmoid), which may show the
    cloth only where its warped edge is.
    """
    rendered, mask = torch.tanh(generated[:, :3]), torch.sigmoid(generated[:, 3:4])
    mask = mask * warped.edge
    image = warped.cloth * mask + rendered * (1 - mask)
    return TryOn(image, rendered, mask, warped.cloth, warped.edge, warped.flow)


class TryOnPipeline(nn.Module):
    """A student's warp network and generator: person, cloth and edge in, the try-on out.

    Give networks in eval mode and of the student's role; `from_checkpoints` and `untrained` do. The pipeline is a plain
    module: `.to('cuda')`, `.half()`, `torch.autocast`, `torch.compile` and channels_last work on it. Flows stay float32.
    """

    def __init__(
        self,
        warp: WarpNetwork,
        generator: nn.Module,
        *,
        family: str | None = None,
        is_trained: bool = True,
        size: tuple[int, int] = PUBLISHED_SIZE,
    ):
        super().__init__()
        self.warp = warp
        self.generator = generator
        self.family = family
        self.is_trained = is_trained  # False: weights as initialised, whose pictures mean nothing
        self.size = size  # (H, W) of the pictures it was trained on, on which it is at its best

    @classmethod
    def untrained(cls, family: str, *, align_corners: bool = True, device: str | torch.device = 'cpu') -> 'TryOnPipeline':
        """A pipeline with weights as initialised: right shapes, meaningless pictures. Unknown family: ValueError."""
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

        `family` is recognised from the files where it is not given. `align_corners` None takes what the file says, and True where
        it says nothing, as published weights want. `size` is what the warp network's file says, else 256 x 192. Raises
        `utils.errors.CheckpointError` or `MissingFileError` with one line.
        """
        from utils.checkpoint import load_network, match_family  # imports the registry: at module level a circle

        warp_network, warp_info = load_network(
            warp, part='warp', family=family, role='student', align_corners=align_corners, device=device
        )
        generator, generator_info = load_network(gen, part='generator', family=family, role='student', device=device)
        family = match_family(warp_info.network, generator_info.network)
        is_trained = not any(info.extra.get('untrained') is True for info in (warp_info, generator_info))
        return cls(warp_network, generator, family=family, is_trained=is_trained, size=warp_info.size or PUBLISHED_SIZE).eval()

    @torch.no_grad()
    def forward(self, person: Tensor, cloth: Tensor, edge: Tensor) -> TryOn:
        """Dress `person` [N, 3, H, W] in `cloth` [N, 3, H, W], both in [-1, 1], with mask `edge` [N, 1, H, W] in [0, 1].

        Inputs are brought to the pipeline's device and dtype. Raises ValueError where shapes do not fit each other or the
        network.
        """
        self.check(person, cloth, edge)
        parameter = next(self.warp.parameters())
        person, cloth, edge = (x.to(parameter.device, parameter.dtype) for x in (person, cloth, edge))
        edge = (edge > 0.5).to(cloth.dtype)
        cloth = cloth * edge
        warped = self.warp(person, cloth, edge)
        generated = self.generator(torch.cat([person, warped.cloth, warped.edge], dim=1))  # [N, 4, H, W]
        return compose(warped, generated)

    def check(self, person: Tensor, cloth: Tensor, edge: Tensor) -> None:
        """Raise ValueError that says what came and what was expected, before any work."""
        for name, x, channels in (('person', person, 3), ('cloth', cloth, 3), ('edge', edge, 1)):
            if not isinstance(x, Tensor):
                raise ValueError(f'{name} is a {type(x).__name__}, expected a tensor [N, {channels}, H, W]')
            if x.shape[:1] == (0,):
                raise ValueError(f'{name} is {list(x.shape)}: there is nobody in it')
            if x.ndim != 4 or x.shape[1] != channels:
                raise ValueError(f'{name} is {list(x.shape)}, expected [N, {channels}, H, W]')
            if not x.is_floating_point():
                raise ValueError(f'{name} is {x.dtype}, expected a floating-point picture: [-1, 1], an edge [0, 1]')
            if x.shape[0] != person.shape[0] or x.shape[2:] != person.shape[2:]:
                raise ValueError(
                    f'{name} is {list(x.shape)} but person is {list(person.shape)}; batch, height and width must agree'
                )
        self.warp.check_size('person', person)
