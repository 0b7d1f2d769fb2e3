"""A data set in the VITON layout as PyTorch sees it: `VITONDataset`, one record an item, and its loader."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from data import records
from data.check import check_dataset
from data.phases import find_phases
from data.transforms import edge_tensor, ids_tensor, picture_tensor, pose_maps
from utils.errors import DataError, UserError
from utils.paths import expand


class EpochDataset(Dataset[dict[str, Any]]):
    """A data set of a known length whose draws depend on an epoch."""

    @property
    def epoch(self) -> int:
        """The epoch that the draws belong to."""
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def set_epoch(self, epoch: int) -> None:
        """Draw as that epoch does from now on."""
        raise NotImplementedError


class VITONDataset(EpochDataset):
    """Persons, each beside a garment: the pairs of `<phase>_pairs.txt` in `root`, or of the list `pairs`.

    A record is a dict of float32 tensors [C, H, W] and of file names:

    - image, color [3, H, W] in [-1, 1]: the person, the garment on white; edge [1, H, W] in [0, 1]: the
    garment's mask
    - in training also color_un, edge_un: another garment of the set
    - in training, and with `annotated`, label, densepose [1, H, W]: ids; pose [18, H, W] in {-1, 1}: a square
    at each key point
    - person_name, garment_name, in training also unpaired_name: file names

    The other garment is drawn at random, never one that the list gives to the same person. The draw depends
    on seed, epoch and index alone: neither on the number of workers nor on what was drawn before.

    Raises `UserError` (`MissingFileError`, `DataError`) where the data set cannot be used. With `check` all
    files are looked at now (of a test set those that `test.py` reads), without it when their record is read.
    """

    def __init__(
        self,
        root: str | Path,
        phase: str,
        *,
        size: tuple[int, int] = (256, 192),
        seed: int = 0,
        check: bool = True,
        annotated: bool = False,
        pairs: str | Path | None = None,
    ):
        if seed < 0:
            raise UserError(f'seed {seed}: expected 0 or more')
        self.root = expand(root)
        self.phase = phase
        self.size = records.valid_size(size)
        self.seed = seed
        self.annotated = annotated or phase == 'train'
        if pairs is None:
            find_phases(self.root, phase)
        self.list = self.root / f'{phase}_pairs.txt' if pairs is None else expand(pairs)
        if check:
            wanted: dict[str, Any] = {'size': self.size, 'pairs': pairs, 'annotated': self.annotated}
            check_dataset(self.root, phase, **wanted).raise_if_bad()
        self.pairs = records.read_list(self.list)
        if phase == 'train':
            records.require_other_garments(self.root, self.pairs)
        # Shared memory: persistent workers hold a copy of this object and still see the epoch change.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Any]:
        index = range(len(self))[index]
        person, garment = self.pairs[index]
        path = self._file('img', person)
        picture = records.read_picture(path)
        color, edge = self.garment(garment)
        record: dict[str, Any] = {'image': picture_tensor(picture, self.size), 'color': color, 'edge': edge}
        record |= {'person_name': person, 'garment_name': garment}
        if self.phase == 'train':
            unpaired = self.unpaired_garment(index)
            record['color_un'], record['edge_un'] = self.garment(unpaired)
            record['unpaired_name'] = unpaired
        if self.annotated:
            record |= self._maps(person, path, (picture.height, picture.width))
        return record

    @property
    def list_kind(self) -> str:
        """'paired' if persons already wear the listed garment by the file names, 'unpaired' or 'mixed'."""
        return records.list_kind(self.pairs)

    @property
    def epoch(self) -> int:
        """The epoch that the draws belong to."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Draw other garments from now on. Call it between two passes of a loader; it reaches workers."""
        self._epoch.fill_(epoch)

    def folder(self, kind: str) -> Path:
        """Return the folder of a kind of files: 'img', 'color', 'edge', 'label', 'densepose' or 'pose'."""
        return self.root / f'{self.phase}_{kind}'

    def unpaired_garment(self, index: int) -> str:
        """Return the file name of the garment drawn for a record in this epoch: none of the person's own."""
        names, own_positions = self._garments
        own = own_positions[self.pairs[index].person]
        position = int(np.random.default_rng([self.seed, self.epoch, index]).integers(len(names) - len(own)))
        for skipped in own:
            position += position >= skipped
        return names[position]

    @cached_property
    def _garments(self) -> tuple[list[str], dict[str, list[int]]]:
        """The distinct garments, and for each person the sorted positions of its own among them."""
        names = list(dict.fromkeys(pair.garment for pair in self.pairs))
        position = {name: number for number, name in enumerate(names)}
        own: dict[str, set[int]] = {}
        for person, garment in self.pairs:
            own.setdefault(person, set()).add(position[garment])
        return names, {person: sorted(positions) for person, positions in own.items()}

    def _file(self, kind: str, name: str) -> Path:
        return records.file_of(self.root, self.phase, kind, name)

    def garment(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a garment's picture [3, H, W] in [-1, 1] and mask [1, H, W] in [0, 1], by file name."""
        picture_path, edge_path = self._file('color', name), self._file('edge', name)
        picture, edge = records.read_picture(picture_path), records.read_edge(edge_path)
        sizes = (edge.height, edge.width), (picture.height, picture.width)
        records.match_size(edge_path, *sizes, picture_path)
        return picture_tensor(picture, self.size), edge_tensor(edge, self.size)

    def _maps(self, person: str, picture_path: Path, source: tuple[int, int]) -> dict[str, torch.Tensor]:
        maps = {}
        for kind, read in (('label', records.read_label), ('densepose', records.read_densepose)):
            path = self._file(kind, person)
            ids = read(path)
            records.match_size(path, ids.shape, source, picture_path)
            maps[kind] = ids_tensor(ids, self.size)
        points = records.read_pose(self._file('pose', person))
        return maps | {'pose': pose_maps(points, source, self.size)}


class EpochShuffle(Sampler[int]):
    """All records of a data set in an order that depends on the seed and on the data set's epoch alone."""

    def __init__(self, dataset: EpochDataset, *, seed: int = 0):
        self.dataset = dataset
        self.seed = seed

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[int]:
        # The third number is no record's index, so the stream is none of those that draw garments.
        stream = np.random.default_rng([self.seed, self.dataset.epoch, len(self.dataset)])
        return iter(stream.permutation(len(self.dataset)).tolist())


class RecordLoader(DataLoader):
    """A `DataLoader` that passes on a worker's `DataError` as one line, without the worker's traceback."""

    # PyTorch's own annotation is its private iterator class.
    def __iter__(self) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        return _with_plain_errors(super().__iter__())


def create_loader(
    dataset: EpochDataset,
    *,
    batch_size: int,
    workers: int,
    shuffle: bool = False,
    drop_last: bool = False,
    seed: int = 0,
    sampler: Sampler | range | None = None,
    pin_memory: bool = False,
) -> DataLoader:
    """Return a loader of batches: tensors [N, C, H, W] and lists of file names, named as in the records.

    shuffle orders the records by seed and epoch (`VITONDataset.set_epoch`), so that a resumed run goes on
    like an uninterrupted one; a sampler orders them itself, and excludes it. Workers persist, each with its
    own seeds for torch, NumPy and random. Raises `UserError` where drop_last would leave no batch.
    """
    if shuffle and sampler is not None:
        raise ValueError('shuffle and sampler exclude each other: give one')
    if shuffle:
        sampler = EpochShuffle(dataset, seed=seed)
    count = len(dataset) if sampler is None else len(sampler)  # type: ignore[arg-type]  # all of ours have a length
    if drop_last and count < batch_size:
        raise UserError(
            f'batch_size {batch_size}: more than the {count} records there are, so no batch would be full'
        )
    return RecordLoader(
        dataset,
        batch_size=batch_size,
        num_workers=workers,
        sampler=sampler,
        drop_last=drop_last,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        # From this PyTorch seeds torch, NumPy and random in each worker.
        generator=torch.Generator().manual_seed(seed),
    )


def _with_plain_errors(batches: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    try:
        yield from batches
    except DataError as error:
        if not str(error).startswith('Caught '):
            raise
        # A worker's error is its whole traceback, of which `str` would make one line; the last line is
        # `module.Class: message`.
        raise DataError(error.args[0].rstrip().splitlines()[-1].partition(': ')[2]) from None
