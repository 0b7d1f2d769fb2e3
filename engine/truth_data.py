"""Training records whose truth is known: those of `python -m synthetic --truths`, or what a teacher wrote in
the same layout.

The folder has, beside VITON's, `train_truths.txt` and `train_gt` (see `synthetic.dataset`).
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from data.records import Pair, read_label
from data.transforms import ids_tensor
from data.viton import EpochDataset, VITONDataset
from engine.distributed import Process
from engine.ground_truth import GroundTruth, read_flow, resize_flow
from engine.preparation import loader_of
from engine.settings import TrainSettings
from utils.errors import DataError, MissingFileError
from utils.paths import expand

LIST, FOLDER = 'train_truths.txt', 'train_gt'
TRUTH_PARTS = ('truth', 'truth_flow', 'truth_mask', 'truth_label', 'is_made')
MADE = 'made.json'  # in the folder where a teacher made the truths: only photographs are targets then


def read_truths(root: Path) -> dict[str, str]:
    """Read which garment each person's truth shows, by file names. Raises `MissingFileError`, `DataError`."""
    path = root / LIST
    if not path.is_file():
        raise MissingFileError(
            f'{path}: no such file; draw a training set with truths: python -m synthetic --truths'
        )
    pairs = [line.split() for line in path.read_text(encoding='utf-8').splitlines() if line.strip()]
    if wrong := next((pair for pair in pairs if len(pair) != 2), None):
        raise DataError(f'{path}: {" ".join(wrong)[:80]!r}, expected a person and a garment a line')
    return dict(pairs)


class TruthDataset(VITONDataset):
    """The persons of `train_truths.txt`, with what `VITONDataset` has of them, and the truth.

    The other garment, `color_un`, is that of the truth. Beside it a record has, float32 [C, H, W]: `truth`
    [3] in [-1, 1] the person in that garment; `truth_flow`, `own_flow` [2] the sampling grids (normalised x,
    y, NaN where no garment is seen) from `truth` to `color_un` and from `image` to `color`; `truth_mask`,
    `truth_label` [1] the values of `data.labels`. `is_made` is 1 where `truth` was made by a teacher, so that
    only `image` may be a target, else 0. Raises `UserError` for a set that cannot be used; with `check` each
    file is looked at now.
    """

    def __init__(
        self, root: str | Path, *, size: tuple[int, int] = (256, 192), seed: int = 0, check: bool = True
    ):
        super().__init__(root, 'train', size=size, seed=seed, check=check)
        self.partners = read_truths(self.root)
        self.pairs = [pair for pair in self.pairs if pair.person in self.partners]
        if not self.pairs:
            raise DataError(f'{self.root / LIST}: names no person of train_pairs.txt')
        pairs = [Pair(pair.person, self.partners[pair.person]) for pair in self.pairs]
        self.is_made = float((self.root / FOLDER / MADE).is_file())
        self.truths = GroundTruth(self.root / FOLDER, pairs, size=self.size, check=check)

    def unpaired_garment(self, index: int) -> str:
        """Return the file name of the garment that the truth of a record shows."""
        return self.partners[self.pairs[index].person]

    def __getitem__(self, index: int) -> dict[str, Any]:
        record = super().__getitem__(index)
        person, garment = record['person_name'], record['unpaired_name']
        stem = f'{Path(person).stem}__{Path(garment).stem}'
        truth, flow, mask = self.truths(person, garment)
        own_flow = read_flow(self.root / FOLDER / 'own_flow' / f'{stem}.npy')
        if own_flow.shape[1:] != self.size:
            own_flow = resize_flow(own_flow, self.size)
        label = ids_tensor(read_label(self.root / FOLDER / 'label' / f'{stem}.png'), self.size)
        record |= {'truth': truth, 'truth_flow': flow, 'truth_mask': mask, 'truth_label': label}
        return record | {
            'own_flow': torch.from_numpy(np.ascontiguousarray(own_flow)),
            'is_made': torch.tensor(self.is_made),
        }


class MixedDataset(EpochDataset):
    """A training set with records of a second one among its own, such as drawings among photographs.

    An epoch has every record of `first`, and as many of `second` as make `share` (0 to 1, both excluded) of
    all; the next epoch goes on where that one stopped. Records have what both sets give, and `own_flow`, NaN
    where a set has none: a photograph's flow is unknown.
    """

    def __init__(self, first: VITONDataset, second: VITONDataset, *, share: float):
        self.first, self.second = first, second
        self.added = max(1, round(len(first) * share / (1 - share)))
        complete = isinstance(first, TruthDataset) and isinstance(second, TruthDataset)
        self.lacking = () if complete else TRUTH_PARTS

    def __len__(self) -> int:
        return len(self.first) + self.added

    @property
    def epoch(self) -> int:
        """The epoch that the draws belong to."""
        return self.first.epoch

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch's records of the second set, and the garments that either set draws."""
        self.first.set_epoch(epoch)
        self.second.set_epoch(epoch)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index < len(self.first):
            record = self.first[index]
        else:
            place = (self.epoch - 1) * self.added + index - len(self.first)
            record = self.second[place % len(self.second)]
        if 'own_flow' not in record:
            record['own_flow'] = torch.full_like(record['image'][:2], torch.nan)
        return {name: value for name, value in record.items() if name not in self.lacking}


def create_truth_loader(settings: TrainSettings, process: Process) -> DataLoader:
    """Return the loader of this process's share of the training set and of what `mix_dataroot` adds to it.

    Seed and epoch alone decide the order. Both sets must have truths where the stage needs them. Raises
    `UserError` for a set that cannot be used; the first process looks at all of its files.
    """

    def open_set(root: str) -> VITONDataset:
        options: dict[str, Any] = {'size': settings.size, 'seed': settings.seed, 'check': process.is_first}
        if settings.recipe.needs_truths or (expand(root) / LIST).is_file():
            return TruthDataset(root, **options)
        return VITONDataset(root, 'train', **options)

    dataset = open_set(settings.dataroot or '')
    if settings.mix_dataroot is None:
        return loader_of(dataset, settings, process)
    mixed = MixedDataset(dataset, open_set(settings.mix_dataroot), share=settings.mix_share)
    return loader_of(mixed, settings, process)
