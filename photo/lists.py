"""Several people in several garments: what is computed of each alone is computed once."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm import tqdm

from models.interface import TryOnModel
from photo import files
from photo.dressing import dress, prepare_garment, prepare_person


class Task(NamedTuple):
    """Photographs, a mask or None for each, and the file for each person (row) and garment (column)."""

    persons: Sequence[Path]
    person_masks: Sequence[Path | None]
    garments: Sequence[Path]
    garment_masks: Sequence[Path | None]
    results: Sequence[Sequence[Path]]


@torch.no_grad()
def dress_every_pair(
    pipeline: TryOnModel, task: Task, *, size: tuple[int, int], background: str = 'auto', sheet: Path, remark: str = ''
) -> list[str]:
    """Write every result and the sheet, with `remark` below it; returns notes for the user, each once.

    All garments are prepared before the first person is, so that a bad one ends the work before it begins. Raises `UserError`.
    """
    pairs = zip(task.garments, task.garment_masks, strict=True)
    garments = [prepare_garment(pipeline, path, mask=mask, size=size) for path, mask in pairs]
    notes, rows = [note for garment in garments for note in garment.notes], []
    persons = list(zip(task.persons, task.person_masks, task.results, strict=True))
    for path, mask, names in tqdm(persons, 'dressing', disable=len(persons) == 1, unit='person'):
        person = prepare_person(pipeline, path, mask=mask, background=background, size=size)
        row = [files.cell(person.photo.picture)]
        for garment, name in zip(garments, names, strict=True):
            dressed = dress(pipeline, person, garment)
            name.parent.mkdir(parents=True, exist_ok=True)
            files.save_result(dressed.picture, name)
            notes += dressed.notes
            row.append(files.cell(dressed.picture))
        rows.append(row)
    pictures = [files.cell(garment.garment.picture) for garment in garments]
    files.save_result(files.build_sheet(pictures, rows, note=remark), sheet)
    return list(dict.fromkeys(notes))
