"""Training pairs with known truth, and their augmentation: batched, on the batch's device, with flows and
masks.

Not part of any paper. Drawings are plainer than photographs; a network that learns from them meets people of
other sizes and places, light, noise and backgrounds here.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from data.labels import CLOTH, KEPT, Parsing, is_one_of
from data.training_inputs import TrainingInputs
from models.ops.flow import sample

PERSON_ZOOM = (0.8, 1.6)  # drawn people are smaller in their pictures than VITON's
PERSON_SHIFT, PERSON_TURN = 0.12, 0.1  # shares of the picture's sides, radians
CLOTH_ZOOM, CLOTH_SHIFT, CLOTH_TURN = (0.85, 1.2), 0.06, 0.1
# Drawn garments are two thirds of their pictures high, with sleeves held out; those of shops mostly 0.87.
CLOTH_STRETCH, STRETCHED = (1.0, 1.4), 0.6  # the height's factor where it fits, and the share of garments
OTHER_BACKGROUND, DEGRADED, RECOMPRESSED, MATCHED_LIGHT = 0.6, 0.4, 0.3, 0.5  # probabilities
FOLD = 0.06  # neighbours whose flow differs more, in normalised units, lie on two sides of a fold

TRUTH_ENTRIES = (
    'image', 'truth', 'color', 'edge', 'color_un', 'edge_un', 'own_flow', 'truth_flow', 'label',
    'truth_label', 'truth_mask', 'is_made',
)  # fmt: skip
# The luminance table of the JPEG standard (ITU-T T.81, annex K), for quality 50.
LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)


class TruthInputs(NamedTuple):
    """A batch with its truth. Pictures [N, 3, H, W] in [-1, 1], masks [N, 1, H, W] in {0, 1}."""

    person: Tensor  # in some garment
    cloth: Tensor  # another garment, times its edge
    edge: Tensor  # the mask of that garment
    target: Tensor  # the person in the other garment
    # [N, 2, H, W], the sampling grid in normalised (x, y) from the target to the garment, NaN where none is
    # seen
    flow: Tensor
    garment: Tensor  # where the target shows the garment
    kept: Tensor  # where person and target are equal
    body: Tensor  # where the person's picture shows no background
    target_body: Tensor  # where the target shows no background


def truth_inputs(batch: Mapping[str, Any], *, reversed_pairs: Tensor) -> TruthInputs:
    """Turn a batch of the loader into the person, the garment to put on, and the truth.

    As listed: the person as photographed puts on the truth's garment. Where `reversed_pairs` (bool [N]) the
    person of the truth puts on the own one. Raises ValueError where the batch lacks an entry.
    """
    if missing := [name for name in TRUTH_ENTRIES if name not in batch]:
        raise ValueError(f'batch without {", ".join(missing)}: expected what the loader of truths yields')
    dtype, turned = batch['image'].dtype, reversed_pairs[:, None, None, None]

    def either(where_turned: str, elsewhere: str) -> Tensor:
        return torch.where(turned, batch[where_turned], batch[elsewhere])

    edge = (either('edge', 'edge_un') > 0.5).to(dtype)
    person_label, target_label = either('truth_label', 'label'), either('label', 'truth_label')
    # Parsings of photographs leave out necks, so there nothing counts as background.
    is_made = batch['is_made'].to(dtype)[:, None, None, None]
    return TruthInputs(
        person=either('truth', 'image'),
        cloth=either('color', 'color_un') * edge,
        edge=edge,
        target=either('image', 'truth'),
        flow=either('own_flow', 'truth_flow'),
        garment=is_one_of(target_label, CLOTH).to(dtype),
        kept=(batch['truth_mask'] == KEPT).to(dtype),
        body=torch.maximum((person_label != Parsing.BACKGROUND).to(dtype), is_made),
        target_body=torch.maximum((target_label != Parsing.BACKGROUND).to(dtype), is_made),
    )


def own_inputs(inputs: TrainingInputs, keepable: Tensor, flow: Tensor | None) -> TruthInputs:
    """People in their own garments, photographs included: `flow` [N, 2, H, W] where it is known, `keepable`
    what stays.
    """
    everywhere = torch.ones_like(keepable)
    return TruthInputs(
        person=inputs.person,
        cloth=inputs.cloth,
        edge=inputs.edge,
        target=inputs.person,
        flow=torch.full_like(inputs.person[:, :2], math.nan) if flow is None else flow,
        garment=inputs.person_cloth_mask,
        kept=keepable,
        body=everywhere,
        target_body=everywhere,
    )


def uniform(like: Tensor, low: float, high: float, *, channels: int = 1) -> Tensor:
    """A random number for each sample and channel, [N, channels, 1, 1]."""
    share = torch.rand(like.shape[0], channels, 1, 1, device=like.device, dtype=like.dtype)
    return low + (high - low) * share


def chance(like: Tensor, probability: float) -> Tensor:
    """True for some of the samples: [N, 1, 1, 1]."""
    return torch.rand(like.shape[0], 1, 1, 1, device=like.device) < probability


class Affine(NamedTuple):
    """An affine map for each sample, from places in the new picture to those in the old one, in pixels
    around the centre.
    """

    matrix: Tensor  # [N, 2, 2]
    shift: Tensor  # [N, 2]
    size: tuple[int, int]  # (H, W)

    @classmethod
    def random(
        cls,
        like: Tensor,
        *,
        zoom: tuple[float, float],
        shift: float,
        turn: float,
        mirrored: Tensor | None = None,
        stretch: Tensor | None = None,
    ) -> 'Affine':
        """Draw zooms (on a logarithmic scale), shifts and turns; `mirrored` [N, 1, 1, 1] says which samples
        to mirror, `stretch` [N, 1, 1, 1] how much higher they get beside that.
        """
        height, width = like.shape[2:]
        scale = uniform(like, *(math.log(bound) for bound in zoom)).exp().flatten()
        angle = uniform(like, -turn, turn).flatten()
        cos, sin = angle.cos() / scale, angle.sin() / scale
        matrix = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)  # [N, 2, 2]
        one = torch.ones_like(scale)
        across = one if mirrored is None else 1 - 2 * mirrored.flatten().to(like.dtype)
        down = one if stretch is None else 1 / stretch.flatten()
        matrix = matrix * torch.stack([across, down], 1)[:, None]
        reach = like.new_tensor([width, height])
        return cls(matrix, uniform(like, -shift, shift, channels=2).flatten(1) * reach, (height, width))

    def apply(self, places: Tensor) -> Tensor:
        """Old places of new ones, normalised [N, 2, h, w] -> the same."""
        return self._move(places, self.matrix, self.shift)

    def invert(self, places: Tensor) -> Tensor:
        """New places of old ones, normalised [N, 2, h, w] -> the same."""
        inverse = torch.linalg.inv(self.matrix)
        return self._move(places, inverse, -(inverse @ self.shift[:, :, None])[:, :, 0])

    def grid(self) -> Tensor:
        """The old place of each new pixel: [N, 2, H, W]."""
        (height, width), like = self.size, self.matrix
        x = torch.linspace(-1, 1, width, device=like.device, dtype=like.dtype).expand(height, width)
        y = torch.linspace(-1, 1, height, device=like.device, dtype=like.dtype)[:, None].expand(height, width)
        return self.apply(torch.stack([x, y]).expand(like.shape[0], 2, height, width))

    def _move(self, places: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
        height, width = self.size
        half = places.new_tensor([(width - 1) / 2, (height - 1) / 2])[:, None]
        moved = matrix @ (places.flatten(2) * half) + shift[:, :, None]  # [N, 2, h * w]
        return (moved / half).view_as(places)


def move_flow(flow: Tensor, grid: Tensor) -> Tensor:
    """Sample a flow that is NaN in places at a grid; NaN where a neighbour is NaN or on another side of a
    fold.
    """
    known = flow.isfinite().all(dim=1, keepdim=True)
    filled = torch.where(known, flow, 0)
    take = partial(sample, flow=grid, align_corners=True, padding_mode='zeros')
    share, moved = take(known.to(flow.dtype)), take(filled)
    spread = (take(filled.square()) - moved.square()).clamp(min=0).sum(dim=1, keepdim=True)
    return torch.where((share > 0.999) & (spread < FOLD**2), moved, math.nan)


def draw_stretch(edge: Tensor) -> Tensor:
    """How much higher garments get, [N, 1, 1, 1]: not at all, or as far as their pictures hold them."""
    share = edge.amax(dim=3, keepdim=True).mean(dim=2, keepdim=True)  # of the rows
    fits = 1 / share.clamp(min=1 / CLOTH_STRETCH[1])
    higher = torch.minimum(uniform(edge, *CLOTH_STRETCH), fits)
    return torch.where(chance(edge, STRETCHED), higher, 1)


def move(inputs: TruthInputs) -> TruthInputs:
    """Mirror both pictures; zoom, shift and turn people and garments."""
    mirrored = chance(inputs.person, 0.5)
    person = Affine.random(
        inputs.person, zoom=PERSON_ZOOM, shift=PERSON_SHIFT, turn=PERSON_TURN, mirrored=mirrored
    )
    cloth = Affine.random(
        inputs.cloth,
        zoom=CLOTH_ZOOM,
        shift=CLOTH_SHIFT,
        turn=CLOTH_TURN,
        mirrored=mirrored,
        stretch=draw_stretch(inputs.edge),
    )
    grid, cloth_grid = person.grid(), cloth.grid()
    pictures = sample(torch.cat([inputs.person, inputs.target], 1), grid, align_corners=True)
    masks = torch.cat([inputs.garment, 1 - inputs.kept, inputs.body, inputs.target_body], 1)
    garment, changed, body, target_body = sample(masks, grid, align_corners=True).chunk(4, 1)
    garments = torch.cat([inputs.cloth, inputs.edge], 1)
    worn = sample(garments, cloth_grid, align_corners=True, padding_mode='zeros')
    edge = (worn[:, 3:] > 0.5).to(worn.dtype)
    return TruthInputs(
        person=pictures[:, :3],
        cloth=worn[:, :3] * edge,
        edge=edge,
        target=pictures[:, 3:],
        flow=cloth.invert(move_flow(inputs.flow, grid)),
        garment=(garment > 0.5).to(garment.dtype),
        kept=(changed < 0.01).to(changed.dtype),
        body=body,
        target_body=target_body,
    )


def texture(like: Tensor) -> Tensor:
    """Random pictures [N, 3, H, W] in [-1, 1]: a colour, a slope of light, and noise of three grains, soft or
    in steps.
    """
    count, _, height, width = like.shape
    options: dict[str, Any] = {'device': like.device, 'dtype': like.dtype}
    y, x = (torch.linspace(-1, 1, n, **options) for n in (height, width))
    picture = uniform(like, -0.9, 0.95) + uniform(like, -0.25, 0.25, channels=3)
    for axis in (x, y[:, None]):
        picture = picture + uniform(like, -0.4, 0.4, channels=3) * axis
    for cells in (2, 5, 16):
        noise = torch.randn(count, 3, cells * 4 // 3 + 1, cells, **options)
        noise = 0.5 * (noise + noise.mean(dim=1, keepdim=True))
        soft = F.interpolate(noise, size=(height, width), mode='bicubic', align_corners=False)
        steps = F.interpolate(noise, size=(height, width), mode='nearest')
        strength = uniform(like, 0, 0.35) * chance(like, 0.6)
        picture = picture + strength * torch.where(chance(like, 0.4), steps, soft)
    return picture.clamp(-1, 1)


def replace_background(inputs: TruthInputs) -> TruthInputs:
    """Put something else behind some of the people, the same in both pictures."""
    behind = texture(inputs.person)
    chosen = chance(inputs.person, OTHER_BACKGROUND).to(behind.dtype)
    person, target = (
        picture + chosen * (1 - F.avg_pool2d(body, 3, 1, 1, count_include_pad=False)) * (behind - picture)
        for picture, body in ((inputs.person, inputs.body), (inputs.target, inputs.target_body))
    )
    return inputs._replace(person=person, target=target)


def colour_change(like: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """A random affine map of colours, [N, 3, 3] and [N, 3, 1]: contrast, saturation, tint, brightness."""
    options: dict[str, Any] = {'device': like.device, 'dtype': like.dtype}
    eye, grey = torch.eye(3, **options), torch.full((3, 3), 1 / 3, **options)
    saturation = uniform(like, 1 - 2 * strength, 1 + 2 * strength)[:, 0]
    contrast = uniform(like, 1 - strength, 1 + strength)[:, 0]
    mixed = eye * saturation + grey * (1 - saturation)
    tint = 1 + uniform(like, -0.3 * strength, 0.3 * strength, channels=3)[:, :, 0]  # [N, 3, 1]
    twist = strength * 0.15 * torch.randn(like.shape[0], 3, 3, **options)
    twist = twist - twist.mean(dim=2, keepdim=True)  # grey stays grey
    brightness = uniform(like, -strength, strength)[:, 0] * 0.6
    return (mixed + twist) * contrast * tint, brightness.expand(-1, 3, -1)


def recolour(picture: Tensor, change: tuple[Tensor, Tensor]) -> Tensor:
    """Apply what `colour_change` drew."""
    return (change[0] @ picture.flatten(2) + change[1]).view_as(picture).clamp(-1, 1)


def relight(inputs: TruthInputs) -> TruthInputs:
    """Other light and colours: the same for both pictures and the garment, a little of its own for the
    garment.
    """
    shared, own = colour_change(inputs.person, 0.25), colour_change(inputs.person, 0.06)
    cloth = recolour(inputs.cloth, shared)
    cloth = torch.where(chance(cloth, MATCHED_LIGHT), cloth, recolour(cloth, own))
    return inputs._replace(
        person=recolour(inputs.person, shared),
        target=recolour(inputs.target, shared),
        cloth=cloth * inputs.edge,
    )


def cosines(like: Tensor) -> Tensor:
    """The orthonormal 8 x 8 matrix of the discrete cosine transform."""
    k = torch.arange(8, device=like.device, dtype=like.dtype)
    matrix = torch.cos(math.pi * (2 * k + 1) * k[:, None] / 16) / 2
    return torch.cat([matrix[:1] / math.sqrt(2), matrix[1:]])


def recompress(picture: Tensor, quality: Tensor) -> Tensor:
    """JPEG compression of each colour channel at a quality [N, 1, 1, 1] in (0, 100], without chroma
    subsampling.
    """
    count, channels, height, width = picture.shape
    blocks = picture.view(count, channels, height // 8, 8, width // 8, 8).transpose(3, 4) * 127.5
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)[..., None, None]
    table = (torch.tensor(LUMINANCE, device=picture.device, dtype=picture.dtype) * scale).clamp(min=1)
    transform = cosines(picture)
    rounded = (transform @ blocks @ transform.T / table).round() * table
    blocks = transform.T @ rounded @ transform / 127.5
    return blocks.transpose(3, 4).reshape_as(picture).clamp(-1, 1)


def degrade(inputs: TruthInputs) -> TruthInputs:
    """Blur, noise and compression, the same in both pictures where they are equal."""
    person, target = inputs.person, inputs.target
    blurred = chance(person, DEGRADED / 2)
    soft = [F.avg_pool2d(F.pad(x, [1] * 4, mode='replicate'), 3, 1) for x in (person, target)]
    person, target = torch.where(blurred, soft[0], person), torch.where(blurred, soft[1], target)
    noise = torch.randn_like(person) * uniform(person, 0.005, 0.06) * chance(person, DEGRADED)
    person, target = (person + noise).clamp(-1, 1), (target + noise).clamp(-1, 1)
    compressed, quality = chance(person, RECOMPRESSED), uniform(person, 30, 95)
    person, target = (torch.where(compressed, recompress(x, quality), x) for x in (person, target))
    return inputs._replace(person=person, target=target)


@torch.no_grad()
def augment(inputs: TruthInputs) -> TruthInputs:
    """All of the above, drawn from torch's global random numbers."""
    return degrade(relight(replace_background(move(inputs))))
