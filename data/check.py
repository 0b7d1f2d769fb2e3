"""Looks at every file of a data set before it is used: `check_dataset`, and `python -m data.check ROOT`."""

import os
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data import records
from data.check_cache import Memory, signature
from data.labels import CLOTH, DensePosePart, Parsing
from data.mask_faults import BLACK, INVERTED, WHITE, judge_edge
from data.phases import PHASES, find_phases
from data.records import RecordError, attempt
from utils.cli import OptionParser
from utils.errors import DataError, UserError, exit_cleanly
from utils.paths import expand
from utils.progress import map_in_threads

_SHOWN = 10
PERSON_KINDS, GARMENT_KINDS = ('img', 'label', 'densepose', 'pose'), ('color', 'edge')
_LEAST_CLOTHES = 0.01  # of a label map's pixels; in VITON the smallest share is 0.06
_NO_PERSON = 'poses without a person'
_OUTSIDE = 'poses with key points outside the picture (made at another size?)'
_AGAIN = 'pairs that the list has more than once (each line is a record)'
_IN_NO_MASK = f'label maps with ids above {max(Parsing)} (they are in no mask)'
_LOSSY = 'label maps stored as JPEG (ids may have changed at outlines)'


class Problem(NamedTuple):
    """One thing that is wrong: its kind, and one line that begins with the file, relative to the data set."""

    kind: str
    text: str


@dataclass
class Report:
    """Result of a check: problems, and counts of what there is. With `error` set, nothing was checked."""

    root: Path
    problems: list[Problem] = field(default_factory=list)
    summary: list[str] = field(default_factory=list)
    error: UserError | None = None

    @property
    def ok(self) -> bool:
        """True if the data set can be used."""
        return self.error is None and not self.problems

    def raise_if_bad(self) -> None:
        """Raise a one-line `UserError` (`DataError` for bad files) unless the data set can be used."""
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
    """Findings about one person or garment: problems, the picture's (height, width), label ids, remarks.

    `bare`: the file of a label map in which hardly a pixel shows upper clothes.
    """

    problems: list[Problem]
    size: tuple[int, int] | None
    ids: list[int]
    remarks: list[tuple[str, str]]
    bare: str | None = None


class _Looking(NamedTuple):
    """Scope of one check: folder, phase, kinds of files present, and what earlier checks found."""

    root: Path
    phase: str
    kinds: tuple[str, ...]
    memory: Memory

    def short(self, path: Path | str) -> str:
        """Return a path, or a message that begins with one, without the folder of the data set."""
        return str(path).removeprefix(f'{self.root}{os.sep}')


def check_dataset(
    root: str | Path,
    phase: str | None = None,
    *,
    size: tuple[int, int] = (256, 192),
    pairs: str | Path | None = None,
    annotated: bool | None = None,
    anew: bool = False,
) -> Report:
    """Look at each file that the pair lists name, and report all that would break a run or spoil it silently.

    phase is 'train', 'test', or None for those whose lists are there; pairs is another list, which needs a
    phase. size is the (height, width) that the records are to be resized to. annotated: also at parsing,
    DensePose and pose of a test set; None: if it has them. Pictures are decoded wholly, for a truncated one
    shows only then. Files that have not changed since an earlier check (size and time) are not opened again,
    unless `anew`. Bad data raises nothing here (`Report.raise_if_bad` does); a size that no data set could
    have raises `UserError`.
    """
    size = records.valid_size(size)
    report = Report(expand(root))
    try:
        phases = (phase,) if pairs and phase else find_phases(report.root, phase)
    except UserError as error:
        report.error = error
        return report
    memory = Memory(report.root)
    if anew:
        memory.forget()
    try:
        for name in phases:
            kinds = records.FOLDERS['train' if _is_annotated(report.root, name, annotated) else name]
            path = expand(pairs or report.root / f'{name}_pairs.txt')
            _check_phase(report, _Looking(report.root, name, kinds, memory), size, path)
    finally:
        memory.save()  # an interrupted check goes on where it was
    return report


def _is_annotated(root: Path, phase: str, wanted: bool | None) -> bool:
    folders = [root / f'{phase}_{kind}' for kind in ('label', 'densepose', 'pose')]
    return all(map(os.path.isdir, folders)) if wanted is None else wanted


def _check_phase(report: Report, looking: _Looking, size: tuple[int, int], path: Path) -> None:
    root, phase = looking.root, looking.phase
    errors: list[RecordError] = []
    pairs, bad_lines = attempt(errors, records.parse_list, path) or ([], [])
    errors += bad_lines
    if phase == 'train' and pairs:
        attempt(errors, records.require_other_garments, root, pairs)
    missing = [kind for kind in looking.kinds if not os.path.isdir(root / f'{phase}_{kind}')]
    for kind in missing if pairs else ():
        errors.append(RecordError(f'{root / f"{phase}_{kind}"}: no such folder', kind=records.MISSING))
    looking = looking._replace(kinds=tuple(kind for kind in looking.kinds if kind not in missing))
    person_names = dict.fromkeys(pair.person for pair in pairs)
    garment_names = dict.fromkeys(pair.garment for pair in pairs)
    persons = _look_at_all(looking, person_names, _look_at_person, PERSON_KINDS)
    garments = _look_at_all(looking, garment_names, _look_at_garment, GARMENT_KINDS)
    report.problems += [_problem(looking, error) for error in errors]
    for finding in persons + garments:
        report.problems += finding.problems
    report.problems += _whole_set_problems(looking, persons, garments)
    report.summary += _summary(looking, path, pairs, persons, garments, size)


def _problem(looking: _Looking, error: RecordError) -> Problem:
    return Problem(error.kind, looking.short(str(error)))


def _look_at_all(
    looking: _Looking, names: Iterable[str], look: Callable[..., _Finding], wanted: tuple[str, ...]
) -> list[_Finding]:
    kinds = [kind for kind in wanted if kind in looking.kinds]
    what = look.__name__.rpartition('_')[2]

    def finding(name: str) -> _Finding:
        paths = {kind: records.file_of(looking.root, looking.phase, kind, name) for kind in kinds}
        key, state = f'{looking.phase} {what} {name} {" ".join(kinds)}', signature(list(paths.values()))
        if known := looking.memory.recall(key, state):
            size, ids, remarks, bare = known
            return _Finding([], size and tuple(size), ids, [tuple(remark) for remark in remarks], bare)
        found = look(looking, paths)
        if not found.problems:  # what is broken now may have been repaired without a trace next time
            looking.memory.keep(key, state, found[1:])
        return found

    return list(map_in_threads(finding, names, f'checking {looking.phase} {what}s'))


def _look_at_garment(looking: _Looking, paths: dict[str, Path]) -> _Finding:
    errors: list[RecordError] = []
    remarks: list[tuple[str, str]] = []
    notes: list[str] = []
    picture = attempt(errors, records.read_picture, paths['color']) if 'color' in paths else None
    size = picture and (picture.height, picture.width)
    edge = attempt(errors, records.read_edge, paths['edge'], notes=notes) if 'edge' in paths else None
    if edge:
        if size:
            sizes = (edge.height, edge.width), size
            attempt(errors, records.match_size, paths['edge'], *sizes, paths['color'], notes=notes)
        notes += [fault] if (fault := judge_edge(edge)) else []
        remarks = [(note, looking.short(paths['edge'])) for note in notes]
    return _Finding([_problem(looking, error) for error in errors], size, [], remarks)


def _look_at_person(looking: _Looking, paths: dict[str, Path]) -> _Finding:
    errors: list[RecordError] = []
    remarks: list[tuple[str, str]] = []
    label_ids: list = []
    bare = None
    picture = attempt(errors, records.read_picture, paths['img']) if 'img' in paths else None
    size = picture and (picture.height, picture.width)
    for kind, read in {'label': records.read_label, 'densepose': records.read_densepose}.items():
        notes: list[str] = []
        ids = attempt(errors, read, paths[kind], notes=notes) if kind in paths else None
        if ids is None:
            continue
        if size:
            attempt(errors, records.match_size, paths[kind], ids.shape, size, paths['img'], notes=notes)
        present = np.unique(ids).tolist()
        if kind == 'label':
            label_ids = present
            bare = looking.short(paths[kind]) if np.isin(ids, CLOTH).mean() < _LEAST_CLOTHES else None
            notes += [_LOSSY] if paths[kind].suffix == '.jpg' else []
            notes += [_IN_NO_MASK] if set(present) - set(Parsing) else []
        else:
            attempt(errors, records.require_known_ids, paths[kind], present, DensePosePart)
        remarks += [(note, looking.short(paths[kind])) for note in notes]
    notes = []
    points = attempt(errors, records.read_pose, paths['pose'], notes=notes) if 'pose' in paths else None
    if points is not None:
        notes += [_NO_PERSON] if not points.any() else []
        notes += [_OUTSIDE] if size and (points > (size[1], size[0])).any() else []
        remarks += [(note, looking.short(paths['pose'])) for note in notes]
    return _Finding([_problem(looking, error) for error in errors], size, label_ids, remarks, bare)


def _whole_set_problems(
    looking: _Looking, persons: list[_Finding], garments: list[_Finding]
) -> list[Problem]:
    """Report oddities that single files may have, but not most of them: training would learn nonsense."""
    problems = []
    bare = [finding.bare for finding in persons if finding.bare]
    maps = sum(bool(finding.ids) for finding in persons)
    if len(bare) > maps / 2:
        ids = sorted({number for finding in persons for number in finding.ids})
        cloth = ' and '.join(str(int(number)) for number in CLOTH)
        above = f'; ids up to {ids[-1]} occur' if ids[-1] > max(Parsing) else ''
        text = (
            f'{bare[0]}: hardly a pixel of upper clothes (ids {cloth}), as in {len(bare)} of {maps} '
            f'maps{above}; ids of another parsing, such as LIP? translate them: '
            '`python -m data.convert SOURCE TARGET --layout cp_vton`, or viton_hd, dresscode'
        )
        problems.append(Problem(records.UNKNOWN_IDS, text))
    for fault in (INVERTED, BLACK, WHITE):
        files = [file for finding in garments for remark, file in finding.remarks if remark == fault]
        if len(files) > len(garments) / 2:
            text = f'{files[0]}: {fault}; {len(files)} of {len(garments)} are so'
            problems.append(Problem(records.WRONG_FORMAT, text))
    return problems


def _summary(
    looking: _Looking,
    path: Path,
    pairs: list[records.Pair],
    persons: list[_Finding],
    garments: list[_Finding],
    size: tuple[int, int],
) -> list[str]:
    if not pairs:
        return []
    phase = looking.phase
    lines = [f'{phase}: {len(pairs)} records, {len(persons)} persons, {len(garments)} garments']
    kind, hint = records.list_kind(pairs), ''
    if phase == 'train' and kind != 'paired':
        hint = '; training takes the garment of a line for the one that the person wears'
    lines.append(f'  list: {kind} (by file names){hint}')
    sizes = Counter(finding.size for finding in persons + garments if finding.size)
    shown = ', '.join(f'{height} x {width} ({count})' for (height, width), count in sizes.most_common(5))
    more = f' and {len(sizes) - 5} more' if len(sizes) > 5 else ''
    resized = f'; resized to {size[0]} x {size[1]}' if set(sizes) - {size} else ''
    lines.append(f'  sizes (height x width): {shown or "none read"}{more}{resized}')
    if ids := sorted({number for finding in persons for number in finding.ids}):
        lines.append(f'  label ids: {" ".join(map(str, ids[:20]))}')
    files: dict[str, list[str]] = {}
    if again := [pair for pair, count in Counter(pairs).items() if count > 1]:
        files[_AGAIN] = [f'{path.name}: {" ".join(pair)}' for pair in again]
    for finding in persons + garments:
        for remark, file in finding.remarks:
            files.setdefault(remark, []).append(file)
    return lines + [f'  note: {remark}: {len(found)}, first {found[0]}' for remark, found in files.items()]


@exit_cleanly
def main(arguments: list[str] | None = None) -> int:
    """Check the data set that the command line names, print the report, return 0 if it is good, else 1."""
    parser = OptionParser('Check each file of a data set in the VITON layout.', prog='python -m data.check')
    parser.add_argument('root', help='folder that holds train_pairs.txt or test_pairs.txt')
    parser.add_argument('--phase', choices=PHASES, help='check this list only (default: all that exist)')
    parser.add_argument(
        '--size', nargs=2, type=int, default=(256, 192), metavar=('H', 'W'), help='training size'
    )
    parser.add_argument('--anew', action='store_true', help='open unchanged files again, too')
    options = parser.parse_args(arguments)
    report = check_dataset(options.root, options.phase, size=options.size, anew=options.anew)
    if report.error:
        raise report.error
    print(report)
    return 0 if report.ok else 1


if __name__ == '__main__':
    sys.exit(main())
