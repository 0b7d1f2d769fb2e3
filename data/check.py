"""Looks at every file of a data set before it is used: `check_dataset`, and `python -m data.check ROOT`."""

import os
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from data import records
from data.labels import DensePosePart, Parsing
from data.records import RecordError
from utils.cli import OptionParser
from utils.errors import DataError, UserError, exit_cleanly
from utils.paths import expand

_SHOWN = 10
_NO_PERSON = 'poses without a person'
_OUTSIDE = 'poses with key points outside the picture (made at another size?)'
_EMPTY_EDGE = 'edges without a garment (nothing above half of white)'
_LOSSY = 'label maps stored as JPEG (ids may have changed at outlines)'


class Problem(NamedTuple):
    """One thing that is wrong: its kind, and one line that begins with the file, relative to the data set."""

    kind: str
    text: str


@dataclass
class Report:
    """What a check has found: problems, and a summary of what there is. `error` is set where no check was possible."""

    root: Path
    problems: list[Problem] = field(default_factory=list)
    summary: list[str] = field(default_factory=list)
    error: UserError | None = None

    @property
    def ok(self) -> bool:
        """Whether the data set can be used."""
        return self.error is None and not self.problems

    def raise_if_bad(self) -> None:
        """Raise a one-line `UserError` (a `DataError` where files are bad) unless the data set can be used."""
        if self.error:
            raise self.error
        if len(self.problems) == 1:
            raise DataError(f'{self.root}: {self.problems[0].text}')
        if self.problems:
            raise DataError(
                f'{self.root}: {len(self.problems)} problems, first: {self.problems[0].text}; '
                f'run `python -m data.check {shlex.quote(str(self.root))}` for all'
            )

    def __str__(self) -> str:
        if self.error:
            return str(self.error)
        lines = []
        for kind in dict.fromkeys(problem.kind for problem in self.problems):
            texts = [problem.text for problem in self.problems if problem.kind == kind]
            lines.append(f'{kind} ({len(texts)})')
            lines += [f'  {text}' for text in texts[:_SHOWN]]
            if len(texts) > _SHOWN:
                lines.append(f'  ... and {len(texts) - _SHOWN} more')
        state = f'{len(self.problems)} problem(s)' if self.problems else 'good'
        return '\n'.join([*lines, *self.summary, f'{self.root}: {state}'])


class _Finding(NamedTuple):
    """What one person or garment gave: errors, the picture's (height, width), label ids, and remarks to be counted."""

    errors: list[RecordError]
    size: tuple[int, int] | None
    ids: frozenset[int]
    remarks: list[str]


def check_dataset(root: str | Path, phase: str | None = None, *, size: tuple[int, int] = (256, 192)) -> Report:
    """Look at each file that the pair lists name, and report all that would break a run or spoil it silently.

    phase is 'train', 'test', or None for those whose lists are there; size is the (height, width) that the records are
    to be resized to. Pictures are decoded wholly, for a truncated one shows only then. Bad data raises nothing here
    (`Report.raise_if_bad` does); a size that no data set could have raises `UserError`.
    """
    size = records.valid_size(size)
    report = Report(expand(root))
    try:
        phases = records.find_phases(report.root, phase)
    except UserError as error:
        report.error = error
        return report
    for name in phases:
        _check_phase(report, name, size)
    return report


def _check_phase(report: Report, phase: str, size: tuple[int, int]) -> None:
    root = report.root
    errors: list[RecordError] = []
    pairs, bad_lines = _attempt(errors, records.parse_pairs, root, phase) or ([], [])
    errors += bad_lines
    if phase == 'train' and pairs:
        _attempt(errors, records.require_other_garments, root, pairs)
    missing = [kind for kind in records.FOLDERS[phase] if not os.path.isdir(root / f'{phase}_{kind}')]
    errors += [_missing_folder(root, phase, kind) for kind in missing] if pairs else []
    persons = _look_at_all(root, phase, dict.fromkeys(pair.person for pair in pairs), _look_at_person, missing)
    garments = _look_at_all(root, phase, dict.fromkeys(pair.garment for pair in pairs), _look_at_garment, missing)
    for finding in persons + garments:
        errors += finding.errors
    report.problems += [Problem(error.kind, str(error).removeprefix(f'{root}{os.sep}')) for error in errors]
    report.summary += _summary(phase, pairs, persons, garments, size)


def _missing_folder(root: Path, phase: str, kind: str) -> RecordError:
    return RecordError(f'{root / f"{phase}_{kind}"}: no such folder', kind=records.MISSING)


def _look_at_all(
    root: Path, phase: str, names: Iterable[str], look: Callable[..., _Finding], missing: list[str]
) -> list[_Finding]:
    names = list(names)
    kinds = [kind for kind in records.FOLDERS[phase] if kind not in missing]
    what = look.__name__.rpartition('_')[2]
    # Pillow decodes outside the interpreter lock, so threads do.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        findings = pool.map(lambda name: look(root, phase, kinds, name), names)
        return list(tqdm(findings, f'checking {phase} {what}s', len(names), leave=False, disable=None, delay=1))


def _look_at_garment(root: Path, phase: str, kinds: list[str], name: str) -> _Finding:
    errors, remarks = [], []
    picture_path, edge_path = (records.file_of(root, phase, kind, name) for kind in ('color', 'edge'))
    picture = _attempt(errors, records.read_picture, picture_path) if 'color' in kinds else None
    size = picture and (picture.height, picture.width)
    edge = _attempt(errors, records.read_edge, edge_path) if 'edge' in kinds else None
    if edge:
        if size:
            _attempt(errors, records.match_size, edge_path, (edge.height, edge.width), size, picture_path)
        if edge.getextrema()[1] <= 127:
            remarks.append(_EMPTY_EDGE)
    return _Finding(errors, size, frozenset(), remarks)


def _look_at_person(root: Path, phase: str, kinds: list[str], name: str) -> _Finding:
    errors, remarks, label_ids = [], [], frozenset()
    paths = {kind: records.file_of(root, phase, kind, name) for kind in kinds}
    picture = _attempt(errors, records.read_picture, paths['img']) if 'img' in kinds else None
    size = picture and (picture.height, picture.width)
    maps = {'label': (records.read_label, Parsing), 'densepose': (records.read_densepose, DensePosePart)}
    for kind, (read, known) in maps.items():
        ids = _attempt(errors, read, paths[kind]) if kind in kinds else None
        if ids is None:
            continue
        if size:
            _attempt(errors, records.match_size, paths[kind], ids.shape, size, paths['img'])
        present = frozenset(np.unique(ids).tolist())
        _attempt(errors, records.require_known_ids, paths[kind], ids, known)
        if kind == 'label':
            label_ids = present
            remarks += [_LOSSY] if paths[kind].suffix == '.jpg' else []
    points = _attempt(errors, records.read_pose, paths['pose']) if 'pose' in kinds else None
    if points is not None:
        remarks += [_NO_PERSON] if not points.any() else []
        remarks += [_OUTSIDE] if size and (points > (size[1], size[0])).any() else []
    return _Finding(errors, size, label_ids, remarks)


def _attempt(errors: list[RecordError], function: Callable, *arguments: Any) -> Any:
    """Return what the function returns for the arguments; or None, and its error goes to the list."""
    try:
        return function(*arguments)
    except RecordError as error:
        errors.append(error)
        return None


def _summary(
    phase: str,
    pairs: list[records.Pair],
    persons: list[_Finding],
    garments: list[_Finding],
    size: tuple[int, int],
) -> list[str]:
    if not pairs:
        return []
    lines = [f'{phase}: {len(pairs)} records, {len(persons)} persons, {len(garments)} garments']
    kind = records.list_kind(pairs)
    hint = '; training takes the garment of a line for the one that the person wears' if phase == 'train' else ''
    lines.append(f'  list: {kind} (by file names){hint if kind != "paired" else ""}')
    sizes = Counter(finding.size for finding in persons + garments if finding.size)
    shown = ', '.join(f'{height} x {width} ({count})' for (height, width), count in sizes.most_common(5))
    more = f' and {len(sizes) - 5} more' if len(sizes) > 5 else ''
    resized = f'; resized to {size[0]} x {size[1]}' if set(sizes) - {size} else ''
    lines.append(f'  sizes (height x width): {shown or "none read"}{more}{resized}')
    if ids := sorted(frozenset().union(*(finding.ids for finding in persons))):
        lines.append(f'  label ids: {" ".join(map(str, ids[:20]))}')
    remarks = Counter(remark for finding in persons + garments for remark in finding.remarks)
    return lines + [f'  note: {remark}: {count}' for remark, count in remarks.items()]


@exit_cleanly
def main(arguments: list[str] | None = None) -> int:
    """Check the data set that the command line names and print the report; return 0 if it is good, 1 if it is not."""
    parser = OptionParser('Check each file of a data set in the VITON layout.', prog='python -m data.check')
    parser.add_argument('root', help='folder that holds train_pairs.txt or test_pairs.txt')
    parser.add_argument('--phase', choices=records.PHASES, help='check this list only (default: those that are there)')
    parser.add_argument(
        '--size', nargs=2, type=int, default=(256, 192), metavar=('H', 'W'), help='size to train at'
    )
    options = parser.parse_args(arguments)
    report = check_dataset(options.root, options.phase, size=options.size)
    if report.error:
        raise report.error
    print(report)
    return 0 if report.ok else 1


if __name__ == '__main__':
    sys.exit(main())
