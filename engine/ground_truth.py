"""Scores against the true result of every pair: the folder `test_gt` that `synthetic.dataset` describes.

Not part of any paper: VITON has no picture of a person in another garment. Flows are as in PF-AFN (Ge et al.,
CVPR 2021), see `models.ops.flow`.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from data import records
from data.labels import CHANGED, GARMENT, KEPT
from data.transforms import ids_tensor, picture_tensor
from data.viton import VITONDataset
from engine.evaluate import Evaluation, Score
from engine.metrics import PSNR_CEILING, psnr, ssim
from models.baselines import BaselineTryOn
from models.ops.flow import offset_to_flow, sampled_pixels
from models.outputs import TryOn
from utils.errors import DataError, MissingFileError, first_line

FOLDER = 'test_gt'
REGIONS = {
    'whole': 'whole picture',
    'garment': 'where the truth shows the garment',
    'unchanged': 'where nothing may change',
}
MEASURES = {
    'SSIM': ('torchmetrics', ''),
    'PSNR': (f'torchmetrics, at most {PSNR_CEILING:.0f} dB', 'dB'),
    'LPIPS': ('lpips, VGG, v0.1', ''),
}
WARP_ERROR = 'warp error'
BASELINE, PASTED = ' baseline', 'unwarped garment pasted onto the person'  # end of a label, and what it is
FOLD = 4  # pixels; places further from the nearest old pixel's are means over a fold
SHOWN = 3  # problems that the one line of a refusal names


class Truth(NamedTuple):
    """The true result of one pair."""

    picture: Tensor  # [3, H, W] in [-1, 1], the person in the garment
    # [2, H, W], sampling grid in normalised (x, y) as with align_corners, float32; NaN where no garment is
    # seen
    flow: Tensor
    mask: Tensor  # [1, H, W], KEPT, CHANGED or GARMENT of data.labels


def _read_mask(path: Path) -> np.ndarray:
    mask = records.read_label(path)
    if unknown := sorted(set(np.unique(mask).tolist()) - {KEPT, CHANGED, GARMENT}):
        raise DataError(
            f'{path}: value {unknown[0]}, expected only {KEPT}, {CHANGED} and {GARMENT}; save it without loss'
        )
    return mask


def read_flow(path: Path) -> np.ndarray:
    """Read a flow, float32 [2, H, W]. Raises `DataError` with one line."""
    try:
        flow = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f'{path}: no such file') from None
    except Exception as error:  # on damaged bytes NumPy raises nearly anything
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise DataError(f'{path}: cannot be read ({reason}), replace the file') from error
    if not isinstance(flow, np.ndarray) or flow.ndim != 3 or flow.shape[0] != 2 or flow.dtype.kind != 'f':
        came = f'{flow.dtype} {list(flow.shape)}' if isinstance(flow, np.ndarray) else 'an archive'
        raise DataError(f'{path}: {came}, expected a flow, floating-point [2, H, W]')
    return flow.astype(np.float32)


READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    'img': ('.png', records.read_picture),
    'flow': ('.npy', read_flow),
    'mask': ('.png', _read_mask),
}
"""Folder of each part of a `Truth`, in its order: suffix, and what reads a file."""


def resize_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a truth's mask [h, w] at `size` (H, W), to match what `picture_tensor` makes of pictures.

    KEPT where a new pixel sees kept pixels alone, GARMENT where most it sees are the garment's, else CHANGED.
    """
    width_height = (size[1], size[0])
    masks = mask != KEPT, mask == GARMENT
    changed, garment = (Image.fromarray((where * 255.0).astype(np.float32)) for where in masks)
    # Exactly zero where only kept pixels contribute; the kernel's negative lobes count as changes.
    kept = np.asarray(changed.resize(width_height, Image.Resampling.BICUBIC)) == 0
    covered = np.asarray(garment.resize(width_height, Image.Resampling.BOX)) >= 255 / 2
    return np.where(kept, KEPT, np.where(covered, GARMENT, CHANGED)).astype(mask.dtype)


def resize_flow(flow: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a truth's flow [2, h, w] at `size` (H, W), interpolated bilinearly at the new pixels' centres.

    NaN where a contributing pixel is NaN or lies on another side of a fold. Old and new coordinates differ by
    half a pixel, since pictures are resized by their borders and align_corners counts from centre to centre.
    """
    sides = flow.shape[1:]
    old, new = (np.array([width, height], np.float32)[:, None, None] for height, width in (sides, size))
    places = torch.from_numpy((flow + 1) / 2 * (old - 1))
    pixels = F.interpolate(places[None], size=size, mode='bilinear', align_corners=False)[0].numpy()
    rows, columns = (((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip(size, sides, strict=True))
    nearest = places.numpy()[:, rows][:, :, columns]
    folded = (np.abs(pixels - nearest) > FOLD).any(axis=0)
    return np.where(folded, np.nan, ((pixels + 0.5) * new / old - 0.5) / (new - 1) * 2 - 1)


class GroundTruth:
    """The truths of `pairs` in `folder`: `img`, `flow` and `mask`, named `<person stem>__<garment stem>`.

    They come at `size` (height, width), resized like the pictures where necessary. With `check` every file is
    read now. Raises `DataError` for missing and damaged files, and for parts of a truth that differ in size.
    """

    def __init__(
        self, folder: Path, pairs: Sequence[tuple[str, str]], *, size: tuple[int, int], check: bool = True
    ):
        self.folder, self.size = folder, (size[0], size[1])
        problems = []
        for pair in tqdm(pairs if check else (), 'checking truths', leave=False, disable=None, delay=1):
            problems += [problem.removeprefix(f'{folder}{os.sep}') for problem in self._problems(*pair)]
        if problems:
            more = f'; and {len(problems) - SHOWN} more' if len(problems) > SHOWN else ''
            raise DataError(
                f'{folder}: {len(problems)} problem(s): {"; ".join(problems[:SHOWN])}{more}; or use --no-gt'
            )

    def __call__(self, person: str, garment: str) -> Truth:
        """Return the truth of one pair, by the file names of its person and its garment."""
        picture = records.read_picture(self._path('img', person, garment))
        flow, mask = (READERS[kind][1](self._path(kind, person, garment)) for kind in ('flow', 'mask'))
        if mask.shape != self.size:
            flow, mask = resize_flow(flow, self.size), resize_mask(mask, self.size)
        return Truth(picture_tensor(picture, self.size), torch.from_numpy(flow), ids_tensor(mask, self.size))

    def _problems(self, person: str, garment: str) -> list[str]:
        """Problems of the files of one pair."""
        sides: dict[str, tuple[int, int]] = {}
        problems = []
        for kind in READERS:
            try:
                part = READERS[kind][1](self._path(kind, person, garment))
                sides[kind] = part.shape[-2:] if isinstance(part, np.ndarray) else (part.height, part.width)
            except DataError as error:
                problems.append(str(error))
        expected = Counter(sides.values()).most_common(1)[0][0] if sides else None
        for kind, found in sides.items():
            if expected and found != expected:
                problems.append(
                    f'{self._path(kind, person, garment)}: {found[0]} x {found[1]} (H x W), '
                    f'expected {expected[0]} x {expected[1]} like its other parts; replace the file'
                )
        return problems

    def _path(self, kind: str, person: str, garment: str) -> Path:
        return self.folder / kind / f'{Path(person).stem}__{Path(garment).stem}{READERS[kind][0]}'


def find_truths(dataset: VITONDataset, wanted: bool | None = None) -> GroundTruth | None:
    """Return the checked truths of a test set; None where it has none, or `wanted` is False.

    Raises `MissingFileError` where there are none and `wanted` is True, and as `GroundTruth`.
    """
    folder = dataset.root / FOLDER
    if wanted and not folder.is_dir():
        raise MissingFileError(
            f'--gt: no folder {folder}; leave --gt out, or draw a set with truths: `python -m synthetic`'
        )
    if wanted is False or not folder.is_dir():
        return None
    return GroundTruth(folder, dataset.pairs, size=dataset.size)


def warp_error(flow: Tensor, truth: Tensor, *, align_corners: bool) -> float:
    """Mean distance, in pixels of the full size, of where a flow and the true one [2, H, W] sample.

    The mean is over the pixels where the true flow is finite, of which there must be some. `align_corners`
    says how the first flow is sampled; the true one is sampled with align_corners on.
    """
    sampled = sampled_pixels(flow.float(), align_corners=align_corners)
    distances = (sampled - sampled_pixels(truth, align_corners=True)).norm(dim=0)  # [H, W]
    return distances[truth.isfinite().all(dim=0)].mean().item()


def paste(person: Tensor, cloth: Tensor, edge: Tensor) -> Tensor:
    """The baseline: the garment pasted on the person unwarped. Shapes and ranges as in `TryOnPipeline`."""
    return torch.where(edge > 0.5, cloth, person)


class Comparison:
    """Scores of try-ons, and of the unwarped garment pasted onto the person, against the truths.

    SSIM, PSNR and LPIPS are of the whole picture and of two regions of it. For those the rest of the try-on
    is replaced by the truth and the libraries' maps are averaged over the region, so what is wrong elsewhere
    does not reach in. LPIPS is that of `evaluation`: left out, or unavailable with the reason, as there.
    `align_corners` says how the network's flow is sampled.
    """

    def __init__(self, truths: GroundTruth, evaluation: Evaluation, *, align_corners: bool):
        self.truths, self.align_corners = truths, align_corners
        self.with_lpips = 'lpips' in evaluation.metrics
        self.reasons = {'LPIPS': evaluation.reasons['lpips']} if 'lpips' in evaluation.reasons else {}
        self.measures = {'SSIM': ssim, 'PSNR': psnr}
        self.measures |= {'LPIPS': evaluation.lpips} if evaluation.lpips else {}
        # SSIM is computed in float64, which a CUDA GPU does fast and MPS cannot do.
        self.device = evaluation.device if evaluation.device.type == 'cuda' else torch.device('cpu')
        self.values: dict[str, list[float]] = defaultdict(list)
        self.pairs = 0

    def __call__(self, batch: dict[str, Any], result: TryOn | BaselineTryOn) -> Tensor:
        """Score a batch of the loader and its try-ons; return the true pictures [N, 3, H, W]."""
        pairs = zip(batch['person_name'], batch['garment_name'], strict=True)
        truths = [self.truths(*pair) for pair in pairs]
        baseline = paste(batch['image'], batch['color'], batch['edge'])
        unwarped = offset_to_flow(torch.zeros(2, *baseline.shape[2:])[None])[0]
        flows = [None] * len(truths) if result.flow is None else result.flow
        for truth, made, flow, pasted in zip(truths, result.image, flows, baseline, strict=True):
            self._add('', truth, made, flow, align_corners=self.align_corners)
            self._add(BASELINE, truth, pasted, unwarped, align_corners=True)
            self.pairs += 1
        return torch.stack([truth.picture for truth in truths])

    def _add(
        self, suffix: str, truth: Truth, picture: Tensor, flow: Tensor | None, *, align_corners: bool
    ) -> None:
        if flow is None:
            self.reasons[WARP_ERROR] = 'not applicable: the method has no single flow'
        elif truth.flow.isfinite().all(dim=0).any():
            error = warp_error(flow.cpu(), truth.flow, align_corners=align_corners)
            self.values[WARP_ERROR + suffix].append(error)
        parts = truth.picture, picture, truth.mask
        true, picture, mask = (x[None].to(self.device, torch.float32) for x in parts)
        regions = {'whole': None, 'garment': mask == GARMENT, 'unchanged': mask == KEPT}
        for name, region in regions.items():
            if region is None or region.any():
                shown = picture if region is None else torch.where(region, picture, true)
                for measure in [measure for measure in self.measures if measure not in self.reasons]:
                    try:
                        value = self.measures[measure](true, shown, region)
                    except Exception as error:  # a measure that fails costs that measure, not the pictures
                        self.reasons[measure] = f'unavailable: {first_line(error)}'
                    else:
                        self.values[f'{measure} {name}{suffix}'].append(value)

    def scores(self) -> list[Score]:
        """Return the means over all pairs so far, each of the network followed by that of the baseline."""
        scores = []
        for measure, (library, unit) in MEASURES.items():
            if measure == 'LPIPS' and not self.with_lpips:
                continue
            reason = self.reasons.get(measure)
            for name, region in REGIONS.items():
                for suffix, what in (('', 'try-on before JPEG'), (BASELINE, PASTED)):
                    protocol = f'{library}, {what} against truth, {region}'
                    scores.append(self._score(f'{measure} {name}{suffix}', unit, protocol, reason))
        protocol = f'against true flow, mean distance in pixels of the picture, {REGIONS["garment"]}'
        reason = self.reasons.get(WARP_ERROR)
        scores.append(self._score(WARP_ERROR, 'px', f"network's flow {protocol}", reason))
        return [*scores, self._score(WARP_ERROR + BASELINE, 'px', f'no warp {protocol}')]

    def _score(self, label: str, unit: str, protocol: str, reason: str | None = None) -> Score:
        values = self.values[label]
        if reason or not values:
            return Score(label, None, unit, protocol, reason or 'not applicable: no truth has such a region')
        counted = f'{protocol}, {len(values)} of {self.pairs} pairs'
        return Score(label, sum(values) / len(values), unit, counted)
