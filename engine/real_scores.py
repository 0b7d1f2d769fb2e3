"""Scores on photographs without a true result, by the parsing and each person's own garment.

- worn garment: a person is dressed in the garment that it wears; the warped garment is compared with the
  photograph.
- round trip: a person is dressed in another garment, and the result back in its own; that is compared with
  the photograph.
- left over: how much of the old garment can still be seen where the new one does not cover it.

Not part of any paper. Each score stands beside that of a baseline, the garment pasted without a warp.
"""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from data import records
from data.labels import ARMS, CLOTH, OTHERS, is_one_of
from data.transforms import ids_tensor
from data.viton import VITONDataset, create_loader
from engine.evaluate import Score
from engine.ground_truth import BASELINE, PASTED, paste
from engine.metrics import psnr, ssim
from models.outputs import TryOn
from utils.errors import MissingFileError
from utils.paths import expand

OWN_LIST = 'test_pairs_own.txt'
SAME = 0.06
"""Largest difference of a channel, in [-1, 1], up to which a pixel looks as in the photograph."""
FEWEST = 60
"""Old pixels that the new garment leaves bare, at 256 x 192, from which on a record counts for `left
over`.
"""
RIM = 20
"""Pixels around worn garment and arms, at height 256, that a new garment may change."""
_HEIGHT, _WIDTH = 256, 192
_REACH = 10  # pixels: half of SSIM's window, and its mirror at a border

_WORN = 'warped garment against photograph, where parsing shows upper clothes and the warped edge lies'
_SHOWN = 'garment shown (mask and edge above 0.5) and upper clothes of the parsing'
_BACK = 'dressed in another garment and back in the own one, against photograph'
_STAYS = 'where neither garment nor arms are near'
PROTOCOLS = {
    'worn garment SSIM': (f'torchmetrics, {_WORN}', ''),
    'worn garment L1': (f'in [-1, 1], {_WORN}', ''),
    'worn garment IoU': (_SHOWN, ''),
    'round trip SSIM': (f'torchmetrics, {_BACK}', ''),
    'round trip PSNR': (f'torchmetrics, {_BACK}', 'dB'),
    'round trip SSIM unchanged': (f'torchmetrics, {_BACK}, {_STAYS}', ''),
    'round trip PSNR unchanged': (f'torchmetrics, {_BACK}, {_STAYS}', 'dB'),
    'round trip changed': (f'share of the worn garment that the first step changes by {SAME} or more', ''),
    'left over': (f'share of bare old garment less than {SAME} off the photograph', ''),
}
"""Of each score what was measured, and its unit."""


class Dressing(NamedTuple):
    """A try-on of one person as far as it is scored: [1, C, H, W], pictures in [-1, 1]."""

    image: Tensor
    cloth: Tensor  # the warped garment
    edge: Tensor  # its mask, in [0, 1]
    shown: Tensor  # bool, where the garment is seen as it is


def looks_same(first: Tensor, second: Tensor) -> Tensor:
    """Mask [N, 1, H, W] of pixels whose channels differ by less than `SAME` in two pictures [N, 3, H, W]."""
    return (first - second).abs().amax(dim=1, keepdim=True) < SAME


def score_worn(person: Tensor, worn: Tensor, dressing: Dressing) -> dict[str, float]:
    """Compare the warped garment with the same garment in the photograph `person` [1, 3, H, W].

    worn [1, 1, H, W], bool: upper clothes by the parsing. No SSIM and L1 where it does not meet the garment.
    """
    either = (dressing.shown | worn).sum().item()
    scores = {'worn garment IoU': (dressing.shown & worn).sum().item() / either} if either else {}
    both = worn & (dressing.edge > 0.5)
    if both.any():
        shown = torch.where(both, dressing.cloth, person)
        scores['worn garment SSIM'] = ssim(*around(both, person, shown, both))
        scores['worn garment L1'] = (shown - person).abs()[both.expand_as(person)].mean().item()
    return scores


def around(region: Tensor, *pictures: Tensor) -> list[Tensor]:
    """Cut pictures [1, C, H, W] down to a region, bool [1, 1, H, W], and SSIM's windows of 11 x 11 around."""
    rows, columns = (region.any(dim=axis).flatten().nonzero().flatten().tolist() for axis in (3, 2))
    top, left = (max(0, places[0] - _REACH) for places in (rows, columns))
    bottom, right = rows[-1] + 1 + _REACH, columns[-1] + 1 + _REACH
    return [picture[..., top:bottom, left:right] for picture in pictures]


def score_round_trip(
    person: Tensor, first: Tensor, back: Tensor, *, worn: Tensor, stays: Tensor
) -> dict[str, float]:
    """Compare what came back with the photograph `person`; pictures [1, 3, H, W], masks bool [1, 1, H, W].

    first: the person in another garment; back: that picture dressed in the own one; worn: the upper clothes
    of the parsing; stays: where nothing may change. The score `changed` is of the first step, since one that
    does nothing brings all back.
    """
    scores = {'round trip SSIM': ssim(person, back), 'round trip PSNR': psnr(person, back)}
    if stays.any():
        kept = torch.where(stays, back, person)
        scores['round trip SSIM unchanged'] = ssim(person, kept, stays)
        scores['round trip PSNR unchanged'] = psnr(person, back, stays)
    if worn.any():
        scores['round trip changed'] = 1 - looks_same(first, person)[worn].float().mean().item()
    return scores


def score_left_over(person: Tensor, worn: Tensor, dressing: Dressing) -> dict[str, float]:
    """Share of the bare old garment that looks as in the photograph; empty where little of it is bare.

    Shapes as in `score_worn`.
    """
    bare = worn & ~dressing.shown
    if bare.sum().item() * _HEIGHT * _WIDTH <= FEWEST * bare.numel():
        return {}
    return {'left over': looks_same(dressing.image, person)[bare].float().mean().item()}


def read_parsing(dataset: VITONDataset, person: str) -> np.ndarray:
    """Parsing ids [h, w] of a person of a test set. Raises `DataError`."""
    return records.read_label(records.file_of(dataset.root, dataset.phase, 'label', person))


def regions(label: Tensor) -> tuple[Tensor, Tensor]:
    """Masks of parsing ids [N, 1, H, W]: upper clothes, and what may not change; both bool.

    The second leaves out upper and other clothes, arms, and `RIM` pixels around, where a garment may reach.
    """
    worn = is_one_of(label, CLOTH)
    rim = max(1, round(RIM * label.shape[2] / _HEIGHT))
    touched = (worn | is_one_of(label, ARMS)).float()
    near = functional.max_pool2d(touched, 2 * rim + 1, stride=1, padding=rim) > 0
    return worn, ~near & ~is_one_of(label, OTHERS)


class RealScores:
    """Collects the scores of try-ons over a test list with parsing, `test_label`.

    pipeline(person, cloth, edge) -> `TryOn` is what made the try-ons: it also dresses each person of an
    unpaired list in its own garment, if `test_pairs_own.txt` names it, and each result back. Scores of a
    person beside its own garment are of this alone.
    """

    def __init__(self, dataset: VITONDataset, pipeline: Callable[[Tensor, Tensor, Tensor], TryOn]):
        self.dataset, self.pipeline = dataset, pipeline
        own_list = dataset.root / OWN_LIST
        self.own = {pair.person: pair.garment for pair in dataset.pairs if records.wears(*pair)}
        if own_list.is_file():
            self.own |= dict(records.read_list(own_list))
        self.values: dict[str, list[float]] = defaultdict(list)
        self.records = 0

    @torch.no_grad()
    def __call__(self, batch: dict[str, Any], result: TryOn) -> None:
        """Score a batch of the loader and what the pipeline made of it."""
        pairs = zip(batch['person_name'], batch['garment_name'], strict=True)
        for index, (person, garment) in enumerate(pairs):
            worn, stays = regions(ids_tensor(read_parsing(self.dataset, person), self.dataset.size)[None])
            parts = (batch[name][index : index + 1] for name in ('image', 'color', 'edge'))
            photograph, cloth, edge = (part.cpu() for part in parts)
            made = [_dressing(result, index), _pasted(photograph, cloth, edge)]
            own = self.own.get(person)
            dressed_own, dressed_back = self._dress_in_own(own, garment, photograph, made)
            for number, suffix in enumerate(('', BASELINE)):
                if dressed_own:
                    self._add(score_worn(photograph, worn, dressed_own[number]), suffix)
                if own != garment:
                    self._add(score_left_over(photograph, worn, made[number]), suffix)
                    if dressed_back:
                        there, back = made[number].image, dressed_back[number].image
                        self._add(score_round_trip(photograph, there, back, worn=worn, stays=stays), suffix)
            self.records += 1

    def _dress_in_own(
        self, own: str | None, garment: str, photograph: Tensor, made: list[Dressing]
    ) -> tuple[list[Dressing] | None, list[Dressing] | None]:
        """The photograph and each try-on of `made` (network, baseline) in the own garment; None without."""
        if own is None:
            return None, None
        if own == garment:
            return made, None
        cloth, edge = (part[None] for part in self.dataset.garment(own))
        starts = (photograph, photograph), (made[0].image, made[1].image)
        dressed = [
            [_dressing(self.pipeline(start, cloth, edge)), _pasted(other, cloth, edge)]
            for start, other in starts
        ]
        return dressed[0], dressed[1]

    def _add(self, scores: dict[str, float], suffix: str) -> None:
        for label, value in scores.items():
            self.values[label + suffix].append(value)

    def scores(self) -> list[Score]:
        """Return the means over the records so far, each of the network followed by that of the baseline."""
        scores = []
        for label, (protocol, unit) in PROTOCOLS.items():
            for suffix, what in (('', ''), (BASELINE, f'{PASTED}: ')):
                values = self.values[label + suffix]
                if values:
                    counted = f'{what}{protocol}, {len(values)} of {self.records} records'
                    scores.append(Score(label + suffix, sum(values) / len(values), unit, counted))
        return scores


def find_real_scores(
    dataset: VITONDataset, pipeline: Callable, wanted: bool | None = None
) -> RealScores | None:
    """Return what scores the try-ons of a test set; None where it has no parsing, or `wanted` is False.

    Reads the maps once now. Raises `MissingFileError` where there is no parsing and `wanted` is True, and
    `DataError` where a map is missing or cannot be read.
    """
    folder = dataset.folder('label')
    if wanted and not folder.is_dir():
        raise MissingFileError(
            f'--real: no folder {folder}; leave --real out, or make it with `python -m data.convert`'
        )
    if wanted is False or not folder.is_dir():
        return None
    for person in dict.fromkeys(pair.person for pair in dataset.pairs):
        read_parsing(dataset, person)
    return RealScores(dataset, pipeline)


def score_photographs(
    pipeline: Callable[[Tensor, Tensor, Tensor], TryOn],
    root: str | Path,
    *,
    size: tuple[int, int] = (_HEIGHT, _WIDTH),
    batch_size: int = 8,
    limit: int | None = None,
    workers: int = 0,
) -> dict[str, float]:
    """Score a pipeline on the test set in the folder `root`; return the means by name, the baseline's too.

    pipeline(person, cloth, edge) -> `TryOn`, pictures [N, 3, H, W] in [-1, 1] and masks [N, 1, H, W] on the
    CPU; a network should be in eval mode. limit takes the first records only, `size` is (height, width).
    Files are not checked before.
    """
    dataset = VITONDataset(expand(root), 'test', size=size, check=False)
    count = min(limit or len(dataset), len(dataset))
    collect = RealScores(dataset, pipeline)
    loader = create_loader(dataset, batch_size=batch_size, workers=workers, sampler=range(count))
    with torch.no_grad():
        for batch in tqdm(loader, 'scoring photographs', leave=False, disable=None):
            collect(batch, pipeline(batch['image'], batch['color'], batch['edge']))
    return {score.label: score.value for score in collect.scores() if score.value is not None}


def _dressing(result: TryOn, index: int = 0) -> Dressing:
    parts = (result.image, result.warped_cloth, result.warped_edge, result.mask)
    image, cloth, edge, mask = (part[index : index + 1].cpu().float() for part in parts)
    return Dressing(image, cloth, edge, (mask > 0.5) & (edge > 0.5))


def _pasted(person: Tensor, cloth: Tensor, edge: Tensor) -> Dressing:
    return Dressing(paste(person, cloth, edge), cloth, edge, edge > 0.5)
