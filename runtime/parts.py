"""A pipeline as three networks of plain tensors: person encoder, garment encoder, and the rest.

Compilers, exporters and CUDA graphs need this form: no options, no nested tuples, each weight in one part
only. Order and names of inputs and outputs are those of `input_names` and `output_names`.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.composition import compose
from models.extractors.mobile_fpn import MobileFPN
from models.generators.lite_unet import LiteHead
from models.outputs import TryOn
from models.pipeline import TryOnPipeline, clean_garment
from models.warp_modules.coarse_to_fine import LEVELS, FlowNetwork, WarpNetwork
from runtime.fold import folded, replace
from runtime.lite_head import SplitHead
from runtime.smooth import SmoothedPyramid

Call = Callable[..., tuple[Tensor, ...]]  # a part that is ready to run: tensors in, tensors out

PARTS = ('person', 'garment', 'dress', 'try_on')


def _features(of: str, levels: int) -> tuple[str, ...]:
    return tuple(f'{of}_feature_{level}' for level in range(levels))  # coarse to fine


def input_names(levels: int = LEVELS) -> dict[str, tuple[str, ...]]:
    """Names of each part's inputs, for a warp network with so many levels."""
    garment = output_names(levels)['garment']
    return {
        'person': ('person',),
        'garment': ('cloth', 'edge'),
        'dress': ('person', *_features('person', levels), *garment),
        'try_on': ('person', *garment),
    }


def output_names(levels: int = LEVELS) -> dict[str, tuple[str, ...]]:
    """Names of each part's outputs, for a warp network with so many levels."""
    return {
        'person': _features('person', levels),
        'garment': ('garment_cloth', 'garment_edge', *_features('garment', levels)),
        'dress': TryOn._fields,
        'try_on': TryOn._fields,
    }


class PersonEncoder(nn.Module):
    """person [N, 3, H, W] -> the maps of the person, [N, C, h, w], one a level."""

    def __init__(self, warp: WarpNetwork):
        super().__init__()
        self.encoder = warp.condition_encoder()

    def forward(self, person: Tensor) -> tuple[Tensor, ...]:
        return self.encoder(person)


class GarmentEncoder(nn.Module):
    """cloth [N, 3, H, W], edge [N, 1, H, W] -> the cloth to sample, binary edge, the garment's maps."""

    def __init__(self, warp: WarpNetwork):
        super().__init__()
        self.encoder = warp.cloth_encoder()
        self.prefilter = warp.prefilter

    def forward(self, cloth: Tensor, edge: Tensor) -> tuple[Tensor, ...]:
        cloth, edge = clean_garment(cloth, edge)
        return self.prefilter(cloth, edge), edge, *self.encoder(cloth)


class Dresser(nn.Module):
    """The codes of person and garment -> the tensors of `TryOn`."""

    def __init__(self, flow: FlowNetwork, generator: nn.Module):
        super().__init__()
        self.flow = flow
        self.generator = generator

    def forward(self, person: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        levels = (len(tensors) - 2) // 2
        cloth, edge = tensors[levels : levels + 2]
        warped = self.flow(tensors[:levels], tensors[levels + 2 :], cloth, edge)
        generated = self.generator(torch.cat([person, warped.cloth, warped.edge], dim=1))  # [N, 4 or 5, H, W]
        # Planes: tanh of channels that lie apart takes ten times as long on a CPU.
        generated = generated.contiguous()
        return tuple(x for x in compose(warped, generated, person) if x is not None)


class TryOnPart(nn.Module):
    """person [N, 3, H, W] and a garment's code -> the tensors of `TryOn`: the work per video frame."""

    def __init__(self, person: nn.Module, dress: nn.Module):
        super().__init__()
        self.person = person
        self.dress = dress

    def forward(self, person: Tensor, *garment: Tensor) -> tuple[Tensor, ...]:
        return self.dress(person, *self.person(person), *garment)


class Parts(nn.Module):
    """A pipeline's parts by name: 'person', 'garment', 'dress', and 'try_on', the first and third in one."""

    def __init__(self, person: nn.Module, garment: nn.Module, dress: nn.Module, *, levels: int = LEVELS):
        super().__init__()
        self.person = person
        self.garment = garment
        self.dress = dress
        self.levels = levels

    @property
    def try_on(self) -> TryOnPart:
        """Person encoder and dresser as one network; it shares their weights."""
        return TryOnPart(self.person, self.dress)

    def part(self, name: str) -> nn.Module:
        """The network called `name`."""
        return getattr(self, name)


class WrappedFlow(FlowNetwork):
    """Base of flow networks with replaced operations; `network` has the weights and the coarse offset.

    A subclass's `compare` takes the place of `models.warp_modules.afwm.compare`, the cost volume.
    """

    compare: Callable[[Tensor, Tensor], Tensor] | None = None

    def __init__(self, network: FlowNetwork):
        nn.Module.__init__(self)  # the weights are those of `network`
        self.network = network
        self.align_corners = network.align_corners
        self.netRefine = network.netRefine
        if self.compare is not None and hasattr(network, 'compare'):
            setattr(network, 'compare', self.compare)  # noqa: B010 - to a type checker any attribute of a module is one

    def context(
        self, condition_features: tuple[Tensor, ...], cloth_features: tuple[Tensor, ...]
    ) -> Tensor | None:
        return self.network.context(condition_features, cloth_features)

    def coarse_offset(
        self, level: int, aligned: Tensor, condition_feature: Tensor, context: Tensor | None
    ) -> Tensor:
        return self.network.coarse_offset(level, aligned, condition_feature, context)


def split(pipeline: TryOnPipeline) -> Parts:
    """Copy a pipeline into its parts, folded (see `runtime.fold`); the pipeline stays as it is."""
    warp, generator = folded(pipeline.warp), replace(folded(pipeline.generator), LiteHead, SplitHead)
    dresser = Dresser(warp.aflow_net, generator)
    return Parts(PersonEncoder(warp), GarmentEncoder(warp), dresser, levels=warp.levels).eval()


def save_arithmetic(parts: Parts) -> Parts:
    """Give mobile pyramids a third of the arithmetic, in place; return `parts`. Faster on CPUs."""
    return replace(parts, MobileFPN, SmoothedPyramid)
