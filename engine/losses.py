"""Training losses of the warp, the distillation, the generator and the skin.

PF-AFN (Ge et al., "Parser-Free Virtual Try-on via Distilling Appearance Flows", CVPR 2021): warp, generator
and adjustable knowledge distillation; DM-VTON (Nguyen-Ngoc et al., ISMAR 2023): skin; perceptual distance
after Johnson et al. (ECCV 2016). Each `..._terms` function returns weighted terms by name, whose sum is the
loss. All compute in float32 or wider: squares and long means do not fit into 16 bits.
"""

import functools
import operator
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.ops.flow import rescale, second_differences
from models.outputs import TryOn, WarpLevel
from utils.errors import CheckpointError, MissingFileError, UserError, first_line

# The distance of a picture from a target, [N, 3, H, W] in [-1, 1] each: a scalar.
Perceptual = Callable[[Tensor, Tensor], Tensor]

OFFSET_TV, CLOTH_L1, CLOTH_VGG, EDGE_L1, FLOW_CURVATURE = 0.01, 1.0, 0.2, 2.0, 6.0
CHARBONNIER_EPSILON, CHARBONNIER_POWER = 0.001, 0.45
FEATURE_DISTILLATION = 0.04
FIRST_DISTILLED_FLOW = 2  # flows of coarser levels are not distilled
PICTURE_L1, PICTURE_VGG = 5.0, 1.0
SKIN_L1, SKIN_VGG = 30.0, 2.0
LATE_SKIN = 2.0  # factor of both while the learning rate decays

POOL = None
VGG19_CHANNELS = (64, 64, POOL, 128, 128, POOL, *[256] * 4, POOL, *[512] * 4, POOL, 512)  # up to conv5_1
VGG19_LAST_CONVS = (30, 32, 34)  # conv5_2 .. conv5_4: in files, of no use here
VGG19_WEIGHTS = {1: 1 / 32, 6: 1 / 16, 11: 1 / 8, 20: 1 / 4, 29: 1.0}  # relu1_1, 2_1, 3_1, 4_1, 5_1, by place
VGG19_FILE = 'vgg19-dcbb9e9d.pth'
VGG_WAY_OUT = 'give a file by --vgg_weights PATH, or train without the perceptual terms by --vgg_weights none'


# ---- Distances


def widen(x: Tensor) -> Tensor:
    """The same in float32 or wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def l1(picture: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference."""
    return F.l1_loss(widen(picture), widen(target))


def total_variation(offset: Tensor) -> Tensor:
    """Mean absolute difference of vertical plus that of horizontal neighbours of a map [N, C, h, w]."""
    offset = widen(offset)
    return offset.diff(dim=2).abs().mean() + offset.diff(dim=3).abs().mean()


def curvature(flow: Tensor) -> Tensor:
    """Charbonnier penalty of a flow's [N, 2, h, w] second differences: its mean for x plus its mean for y."""
    penalty = (second_differences(widen(flow)).square() + CHARBONNIER_EPSILON**2) ** CHARBONNIER_POWER
    return penalty.mean(dim=(0, 2, 3, 4)).sum()


# ---- Losses


def total(terms: Iterable[Tensor]) -> Tensor:
    """Sum of terms, at least one."""
    return functools.reduce(operator.add, terms)


def warp_terms(
    levels: tuple[WarpLevel, ...],
    person_cloth: Tensor,
    person_cloth_mask: Tensor,
    perceptual: Perceptual | None,
) -> dict[str, Tensor]:
    """The warp loss: each level's cloth and edge against the worn cloth [N, 3, H, W] and mask [N, 1, H, W].

    Finer levels weigh more; offsets and flows are kept smooth. PF-AFN.
    """
    by_level: list[dict[str, Tensor]] = []
    for n, level in enumerate(levels):
        factor = level.cloth.shape[2] / person_cloth.shape[2]
        assert level.edge is not None, 'training gives an edge'
        cloth, mask = (x if factor == 1 else rescale(x, factor) for x in (person_cloth, person_cloth_mask))
        roughness = total_variation(level.coarse_offset) + total_variation(level.refine_offset)
        terms = {
            'offset_tv': OFFSET_TV * roughness,
            'cloth_l1': (n + 1) * CLOTH_L1 * l1(level.cloth, cloth),
            'edge_l1': (n + 1) * EDGE_L1 * l1(level.edge, mask),
            'flow_curvature': (n + 1) * FLOW_CURVATURE * curvature(level.flow),
        }
        if perceptual is not None:
            terms['cloth_vgg'] = (n + 1) * CLOTH_VGG * perceptual(level.cloth, cloth)
        by_level.append(terms)
    return {name: total(terms[name] for terms in by_level) for name in by_level[0]}


def is_closer(first: Tensor, second: Tensor, target: Tensor) -> Tensor:
    """[N]: 1 for samples where `first` [N, C, H, W] is strictly closer to `target` than `second`, else 0."""
    distances = [(widen(x) - widen(target)).abs().mean(dim=(1, 2, 3)) for x in (first, second)]
    return (distances[0] < distances[1]).to(distances[0].dtype)


def gated_mean(values: Tensor, gate: Tensor) -> Tensor:
    """Mean of `values` [N] over the samples whose `gate` [N] is 1; zero where there is none."""
    return (gate * values).sum() / gate.sum().clamp(min=1)


def distillation_terms(
    teacher: tuple[WarpLevel, ...], student: tuple[WarpLevel, ...], gate: Tensor
) -> dict[str, Tensor]:
    """The distillation loss: the student's features and flows against the teacher's where `gate` [N] is 1.

    Coarse features and fine flows weigh more. PF-AFN. Networks of different pyramids are compared where there
    is something to compare: flows of equal size, features of equal shape.
    """
    by_size = {level.flow.shape[2:]: level for level in student}
    feature_terms, flow_terms = [gate.sum() * 0], [gate.sum() * 0]
    for n, wanted in enumerate(teacher):
        level = by_size.get(wanted.flow.shape[2:])
        if level is None:
            continue
        if level.condition_feature.shape == wanted.condition_feature.shape:
            features = (
                (wanted.condition_feature, level.condition_feature),
                (wanted.cloth_feature, level.cloth_feature),
            )
            squares = total((widen(x) - widen(y)).square().mean(dim=(1, 2, 3)) for x, y in features)  # [N]
            feature_terms.append((len(teacher) - n) * FEATURE_DISTILLATION * gated_mean(squares, gate))
        if n >= FIRST_DISTILLED_FLOW:
            # Where the flows agree, vector_norm has a gradient of zero; a square root would have none.
            distances = torch.linalg.vector_norm(widen(wanted.flow) - widen(level.flow), dim=1)  # [N, h, w]
            flow_terms.append((n + 1) * gated_mean(distances.mean(dim=(1, 2)), gate))
    return {'distil_feature': total(feature_terms), 'distil_flow': total(flow_terms)}


def generator_terms(tryon: TryOn, person: Tensor, perceptual: Perceptual | None) -> dict[str, Tensor]:
    """The generator's loss: try-on and rendered picture against the real one; a pull to the cloth."""
    terms = {'mask_l1': widen(1 - tryon.mask).abs().mean()}
    for name, picture in (('tryon', tryon.image), ('rendered', tryon.rendered)):
        terms[f'{name}_l1'] = PICTURE_L1 * l1(picture, person)
        if perceptual is not None:
            terms[f'{name}_vgg'] = PICTURE_VGG * perceptual(picture, person)
    return terms


def skin_terms(
    rendered: Tensor, person: Tensor, skin_mask: Tensor, perceptual: Perceptual | None, *, late: bool
) -> dict[str, Tensor]:
    """The skin loss: the rendered picture against the real one where `skin_mask` [N, 1, H, W] is 1.

    Skin that the fake person's garment hides. `late`, while the learning rate decays, it weighs twice.
    """
    factor = LATE_SKIN if late else 1.0
    rendered_skin, skin = rendered * skin_mask, person * skin_mask
    terms = {'skin_l1': factor * SKIN_L1 * l1(rendered_skin, skin)}
    if perceptual is not None:
        terms['skin_vgg'] = factor * SKIN_VGG * perceptual(rendered_skin, skin)
    return terms


# ---- Perceptual distance


class VGGLoss(nn.Module):
    """Perceptual distance of two pictures: weighted L1 between features of a frozen VGG19, up to relu5_1.

    `weights`: 'imagenet' takes torchvision's, downloaded once into torch's hub cache; a path takes a file in
    torchvision's format, of the whole VGG19 or of its `features`; None leaves them random. `vgg` has the
    parameter names of torchvision's `vgg19().features`; it holds nothing after relu5_1, and passes over later
    layers in a state dict.

    Raises `MissingFileError`, `CheckpointError` for an unsuitable file, `UserError` for a failed download.
    """

    def __init__(self, weights: str | Path | None = 'imagenet'):
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for out_channels in VGG19_CHANNELS:
            if out_channels is POOL:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
            else:
                layers += [nn.Conv2d(channels, out_channels, 3, padding=1), nn.ReLU(inplace=True)]
                channels = out_channels
        self.vgg = nn.Sequential(*layers)
        self.vgg.register_load_state_dict_pre_hook(_ignore_last_convs)
        if weights is not None:
            found = _imagenet_weights() if weights == 'imagenet' else _weights_of_file(Path(weights))
            _load_vgg(self.vgg, *found)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> 'VGGLoss':
        """Stay in eval mode: the network is frozen."""
        return super().train(False)

    def features(self, picture: Tensor) -> list[Tensor]:
        """The five maps after relu1_1, 2_1, 3_1, 4_1, 5_1 of a picture [N, 3, H, W] in [-1, 1]."""
        maps, x = [], picture
        for place, layer in enumerate(self.vgg):
            x = layer(x)
            if place in VGG19_WEIGHTS:
                maps.append(x)
        return maps

    def forward(self, picture: Tensor, target: Tensor) -> Tensor:
        """The distance of two pictures [N, 3, H, W] in [-1, 1]; no gradient flows into the target."""
        with torch.no_grad():
            wanted = self.features(target)
        weights = VGG19_WEIGHTS.values()
        pairs = zip(weights, self.features(picture), wanted, strict=True)
        return total(weight * l1(x, y) for weight, x, y in pairs)


def _ignore_last_convs(vgg: nn.Module, state_dict: dict, prefix: str, *_) -> None:
    for place in VGG19_LAST_CONVS:
        state_dict.pop(f'{prefix}{place}.weight', None)
        state_dict.pop(f'{prefix}{place}.bias', None)


def _imagenet_weights() -> tuple[dict[str, Tensor], str]:
    from torchvision.models import VGG19_Weights  # takes a second to import; no other loss needs it

    published = VGG19_Weights.IMAGENET1K_V1
    try:
        state = published.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except Exception as error:  # network, proxy, disk, checksum, cache: each has its own kind of error
        reason = f"VGG19's weights could not be fetched from {published.url} ({first_line(error)})"
        raise UserError(f'{reason}; {VGG_WAY_OUT}') from error
    return state, published.url


def _weights_of_file(path: Path) -> tuple[dict[str, Tensor], str]:
    expected = f"expected a state dict of torchvision's vgg19 or of its features, for example {VGG19_FILE}"
    if not path.is_file():
        raise MissingFileError(f'{path}: there is no such file; {expected}')
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # a damaged pickle may raise anything at all
        raise CheckpointError(f'{path} is damaged or was not written by torch.save; {expected}') from error
    if not isinstance(state, dict) or not all(isinstance(x, Tensor) for x in state.values()):
        raise CheckpointError(f'{path} holds a {type(state).__name__} that is no state dict; {expected}')
    return state, str(path)


def _load_vgg(vgg: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Load a whole vgg19 or its features, strictly."""
    of_features = {name: x for name, x in state.items() if name.startswith('features.')}
    state = {name.removeprefix('features.'): x for name, x in of_features.items()} or state
    try:
        vgg.load_state_dict(state)
    except RuntimeError as error:
        faults = '; '.join(line.strip() for line in str(error).splitlines()[1:])
        raise CheckpointError(
            f"{source} does not fit torchvision's vgg19 ({faults[:200]}); give its file, like {VGG19_FILE}"
        ) from error
