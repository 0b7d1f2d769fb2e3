"""Several people in several garments: all are looked at before anybody is dressed, and what is computed of
each is kept.
"""

import contextlib
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from PIL import Image
from tqdm import tqdm

from models.checkpoint.defaults import size_note
from models.interface import TryOnModel
from photo import files
from photo.dressing import PreparedGarment, dress, encode_garment, encode_person
from photo.inspection import SeenGarment, SeenPerson, look_at_garment, look_at_person
from utils.errors import UserError

KEPT_PEOPLE = (
    4  # photographs that are kept from the look at all of them until their turn; others are read twice
)
Seen = TypeVar('Seen')


class Task(NamedTuple):
    """Photographs, a mask or None for each, and the file for each person (row) and garment (column)."""

    persons: Sequence[Path]
    person_masks: Sequence[Path | None]
    garments: Sequence[Path]
    garment_masks: Sequence[Path | None]
    results: Sequence[Sequence[Path]]


class Looked(NamedTuple):
    """What a look at all photographs of a task found; None where one cannot be used."""

    people: Sequence[Callable[[], SeenPerson] | None]
    garments: Sequence[SeenGarment | None]
    faults: tuple[str, ...]

    @property
    def possible(self) -> int:
        """How many results there can be."""
        return sum(person is not None for person in self.people) * sum(
            garment is not None for garment in self.garments
        )


def look_at_all(task: Task, *, size: tuple[int, int], background: str = 'auto') -> Looked:
    """Look at every photograph and mask before any is dressed, for networks that see `size` (H, W)."""
    faults: list[str] = []
    total = len(task.persons) + len(task.garments)
    with tqdm(
        total=total,
        desc='looking',
        disable=True if total <= 2 else None,
        unit='picture',
        leave=False,
        delay=1,
    ) as bar:

        def attempt(look: Callable[[], Seen]) -> Seen | None:
            try:
                return look()
            except UserError as error:
                faults.append(str(error))
                return None
            finally:
                bar.update()

        garments = [
            attempt(partial(look_at_garment, path, size=size, mask=mask))
            for path, mask in zip(task.garments, task.garment_masks, strict=True)
        ]
        people: list[Callable[[], SeenPerson] | None] = []
        for path, mask in zip(task.persons, task.person_masks, strict=True):
            again = _later(path, size=size, mask=mask, background=background)
            seen = attempt(again)
            keep = seen is not None and len(people) < KEPT_PEOPLE
            people.append(None if seen is None else _kept(seen) if keep else again)
    return Looked(people, garments, tuple(faults))


def _kept(seen: SeenPerson) -> Callable[[], SeenPerson]:
    return lambda: seen


def _later(path: Path, **options: Any) -> Callable[[], SeenPerson]:
    return lambda: look_at_person(path, **options)


def report_faults(looked: Looked, task: Task, *, skip_bad: bool) -> None:
    """Say what cannot be used, a line each on stderr. Raises `UserError` unless the good ones are enough to
    go on with.
    """
    faults, total = looked.faults, len(task.persons) + len(task.garments)
    if not faults:
        return
    if len(faults) == 1 and not (skip_bad and looked.possible):
        raise UserError(faults[0])
    for fault in faults:
        print(f'bad: {fault}', file=sys.stderr)
    share = f'{len(faults)} of {total} pictures cannot be used, for the reasons above'
    if not looked.possible:
        raise UserError(f'{share}; no person and garment are left')
    if not skip_bad:
        raise UserError(f'{share}; mend them, or give --skip_bad to go on without them')


@torch.no_grad()
def dress_every_pair(
    pipeline: TryOnModel,
    task: Task,
    looked: Looked,
    *,
    size: tuple[int, int],
    skip_bad: bool = False,
    sheet: Path,
    remark: str = '',
) -> tuple[list[str], list[str]]:
    """Write every result that `looked` has the photographs for, and the sheet, with `remark` below it.

    Returns notes for the user, each once, and what went bad since the look at it; without `skip_bad` that
    raises `UserError`. The sheet shows what there is, also where the work ends early.
    """
    columns = [column for column, seen in enumerate(looked.garments) if seen is not None]
    garments = [encode_garment(pipeline, seen, size) for seen in looked.garments if seen is not None]
    notes = [note for garment in garments for note in garment.notes]
    faults: list[str] = []
    rows: list[list[Image.Image]] = []
    people = [
        (look, names) for look, names in zip(looked.people, task.results, strict=True) if look is not None
    ]
    with (
        _written_in_the_end(rows, garments, sheet, remark),
        tqdm(
            total=looked.possible,
            desc='dressing',
            disable=True if looked.possible == 1 else None,
            unit='picture',
        ) as bar,
    ):
        for look, names in people:
            try:
                person = encode_person(pipeline, look(), size)
            except UserError as error:  # it was there a moment ago
                if not skip_bad:
                    raise
                faults.append(str(error))
                bar.update(len(garments))
                continue
            rows.append([files.cell(person.photo.picture)])
            for garment, column in zip(garments, columns, strict=True):
                dressed = dress(pipeline, person, garment)
                names[column].parent.mkdir(parents=True, exist_ok=True)
                files.save_result(dressed.picture, names[column])
                notes += dressed.notes
                rows[-1].append(files.cell(dressed.picture))
                bar.update()
    return list(dict.fromkeys(notes)), faults


@contextlib.contextmanager
def _written_in_the_end(rows: list, garments: Iterable[PreparedGarment], sheet: Path, remark: str):
    """Write the sheet of `rows` when the block ends, also where it ends early; then of what is there, and
    without a word.
    """
    pictures = [files.cell(garment.garment.picture) for garment in garments]
    try:
        yield
    except BaseException:
        if sum(map(len, rows)) > len(rows):  # somebody is dressed
            blank = Image.new('RGB', files.CELL, 'white')
            full = [row + [blank] * (1 + len(pictures) - len(row)) for row in rows]
            with contextlib.suppress(OSError, UserError):  # what ended the block is the reason to be told
                files.save_result(files.build_sheet(pictures, full, note=f'{remark}, ended early'), sheet)
        raise
    if rows:
        files.save_result(files.build_sheet(pictures, rows, note=remark), sheet)


def about(pipeline: TryOnModel, size: tuple[int, int]) -> tuple[str, list[str]]:
    """The sheet's caption, and notes for the user, of weights that see pictures of `size` (H, W)."""
    caption, notes = f'{pipeline.family}, {size[0]} x {size[1]}', []
    if other := size_note(pipeline, size):
        caption += f' with weights of {pipeline.size[0]} x {pipeline.size[1]}'
        notes.append(other)
    if not pipeline.is_trained:
        caption += ', UNTRAINED weights: the pictures mean nothing yet'
        notes.append('UNTRAINED weights: the pictures mean nothing yet')
    return caption, notes


def end(task: Task, looked: Looked, faults: Sequence[str], *, out: str, sheet: Path) -> None:
    """Say where the results are, and what was left out: then the exit status is 1."""
    for fault in faults:
        print(f'bad: {fault}', file=sys.stderr)
    skipped, garments = (
        len(looked.faults) + len(faults),
        sum(garment is not None for garment in looked.garments),
    )
    count = looked.possible - garments * len(faults)
    print(f'results: {count}, {out}; side by side: {sheet}')
    if skipped:
        total = len(task.persons) + len(task.garments)
        print(f'left out: {skipped} of {total} pictures, for the reasons above', file=sys.stderr)
        sys.exit(1)
