"""Brings the layouts in which people have try-on data into ours.

    python -m data.convert SOURCE TARGET --layout cp_vton

Writes TARGET/VITON_traindata and TARGET/VITON_test, with annotations and an own-garment list for the test
part, and conversion.json in both, which says where everything comes from. The same command goes on after an
interruption.
"""

import json
import os
import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from data import convert_files as files
from data import layouts, records
from data.check import GARMENT_KINDS, PERSON_KINDS, check_dataset
from data.duplicates import digest_record, distinct
from data.layouts import LAYOUTS
from data.records import Pair, RecordError, attempt
from utils.cli import OptionParser
from utils.errors import DataError, MissingFileError, UserError, exit_cleanly
from utils.log import format_table
from utils.paths import atomic_write, expand
from utils.progress import map_in_threads

FOLDERS = {'train': 'VITON_traindata', 'test': 'VITON_test'}
MANIFEST = 'conversion.json'
OWN_LIST = 'test_pairs_own.txt'
DRAWN_PARTS = 'drawn from the pose: a stand-in (limbs as capsules, torso and head as polygons), not DensePose'
MENDED = 'holes filled'
_VERSION = 2  # of what the converted files hold: another one must not go on with older files
_NEEDED = {'train': ('img', 'label', 'pose'), 'test': ('img',)}
_SHOWN = 3


class Settings(NamedTuple):
    """Settings of a conversion."""

    source: Path
    layout: str
    clean: bool = False
    pairs: Path | None = None
    copy: bool = False
    mend_masks: bool = False

    @property
    def about(self) -> dict[str, Any]:
        """The settings as the manifest holds them: all but whether files are links or copies."""
        pairs, source = self.pairs and str(self.pairs.resolve()), str(self.source.resolve())
        about = {'source': source, 'layout': self.layout, 'clean': self.clean, 'mend_masks': self.mend_masks}
        return about | {'list': pairs, 'version': _VERSION}


@dataclass
class Part:
    """One part of the source, train or test: its list, the own garments, and remarks for the manifest."""

    name: str
    pairs: list[Pair]
    own: list[Pair] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)

    @property
    def persons(self) -> list[str]:
        return list(dict.fromkeys(pair.person for pair in self.pairs))

    @property
    def garments(self) -> list[str]:
        return list(dict.fromkeys(pair.garment for pair in self.pairs + self.own))


def read_parts(settings: Settings) -> list[Part]:
    """Return the parts of a source with their lists, cleaned if that is asked for.

    Training takes the garment that each person wears, whatever the list says. Raises `UserError`
    (`MissingFileError`, `DataError`) for a folder of another layout, and for unusable lists.
    """
    source, layout = settings.source, LAYOUTS[settings.layout]
    parts = []
    for name in layouts.PARTS:
        path = settings.pairs if name == 'test' and settings.pairs else layout.list_file(source, name)
        if path is None:
            continue
        pairs, bad = records.parse_list(path)
        if bad:
            raise bad[0]
        part = Part(name, pairs)
        part.own = [Pair(person, layout.own_garment(person)) for person in part.persons]
        part.own = [pair for pair in part.own if layout.file(source, name, 'color', pair.garment)]
        if name == 'train':
            _take_own_garments(part)
        parts.append(part)
    if not parts:
        raise _nothing_here(settings)
    return _clean(parts, settings) if settings.clean else parts


def _take_own_garments(part: Part) -> None:
    """Pair each person of a training list with what it wears; with the list's garment if that is unknown."""
    own = {pair.person: pair for pair in part.own}
    taken = [own.get(pair.person, pair) for pair in part.pairs]
    if other := sum(pair != worn for pair, worn in zip(part.pairs, taken, strict=True)):
        part.notes['lines whose garment was replaced by the one that the person wears'] = other
    part.pairs, part.own = list(dict.fromkeys(taken)), []


def _nothing_here(settings: Settings) -> UserError:
    source, layout = settings.source, LAYOUTS[settings.layout]
    if not source.is_dir():
        return MissingFileError(f'{source}: no such folder; give the folder of the {layout.title} data set')
    lists = ' or '.join(name for names in layout.lists.values() for name in names)
    return DataError(f'{source}: no {lists} here; give the folder of the {layout.title} data set that has it')


def _clean(parts: list[Part], settings: Settings) -> list[Part]:
    """Keep the first record of each content, and no test record whose content the training part has."""
    seen: set[tuple[str, str]] = set()
    for part in parts:
        worn = {pair.person: pair.garment for pair in (part.pairs if part.name == 'train' else part.own)}
        digest = partial(digest_record, settings.source, LAYOUTS[settings.layout], part.name)
        pairs = [(person, worn.get(person)) for person in part.persons]
        contents = list(map_in_threads(digest, pairs, f'comparing {part.name} records'))
        kept = set(distinct(dict(zip(part.persons, contents, strict=True)), seen))
        if dropped := len(part.persons) - len(kept):
            part.notes['persons dropped: content that another record has'] = dropped
        part.pairs = [pair for pair in part.pairs if pair.person in kept]
        part.own = [pair for pair in part.own if pair.person in kept]
        seen.update(contents)
        if not part.pairs:
            raise DataError(f'{settings.source}: --clean leaves no {part.name} pair; convert without it')
    return parts


def _check_files(part: Part, settings: Settings) -> None:
    """Raise one line about all the files that the source should have and has not."""
    layout, source = LAYOUTS[settings.layout], settings.source
    wanted = [(kind, person) for person in part.persons for kind in _NEEDED[part.name]]
    wanted += [('color', garment) for garment in part.garments]
    wanted += [('edge', garment) for garment in part.garments if layout.files['edge']]
    missing = [entry for entry in wanted if not layout.file(source, part.name, *entry)]
    if missing:
        places = [layout.candidates(source, part.name, *entry)[0] for entry in missing[:_SHOWN]]
        shown = ', '.join(str(place.relative_to(source)) for place in places)
        more = f' and {len(missing) - _SHOWN} more' if len(missing) > _SHOWN else ''
        raise DataError(
            f'{source}: {part.name}: {len(missing)} of {len(wanted)} files are missing: {shown}{more}; '
            f'add them, shorten the list, or choose another --layout than {settings.layout}'
        )


def _convert_person(
    root: Path, part: str, settings: Settings, person: str
) -> tuple[list[RecordError], str | None]:
    """Convert a person's files; return what could not be read, and how its DensePose map was made."""
    layout, made = LAYOUTS[settings.layout], None
    errors: list[RecordError] = []
    picture, label, pose, densepose = (
        layout.file(settings.source, part, kind, person) for kind in ('img', 'label', 'pose', 'densepose')
    )
    to = partial(records.file_of, root, part)
    assert picture is not None, 'the parts were read from the pictures'
    files.place(picture, to('img', person), copy=settings.copy)
    if label:
        attempt(errors, files.convert_label, label, to('label', person, suffix='.png'), layout.parsing)
    if pose:
        where = pose, to('pose', person), picture, layout.pose_frame
        attempt(errors, files.convert_pose, *where, copy=settings.copy)
    if densepose:
        made = 'taken from the source'
        attempt(errors, files.convert_densepose, densepose, to('densepose', person), copy=settings.copy)
    elif pose and not errors:
        made = DRAWN_PARTS
        points = to('pose', person) if layout.pose_frame else pose  # a fault is told of the user's own file
        attempt(errors, files.draw_densepose, points, to('densepose', person), picture)
    return errors, made


def _convert_garment(
    root: Path, part: str, settings: Settings, garment: str
) -> tuple[list[RecordError], str | None]:
    """Convert a garment's files; return what could not be read, and `MENDED` where its mask was."""
    layout = LAYOUTS[settings.layout]
    errors: list[RecordError] = []
    picture, edge = (layout.file(settings.source, part, kind, garment) for kind in ('color', 'edge'))
    assert picture is not None, 'the parts were read from the pictures'
    files.place(picture, root / f'{part}_color' / garment, copy=settings.copy)
    target = root / f'{part}_edge' / garment
    if edge is None:
        attempt(errors, files.draw_edge, picture, target)
    elif settings.mend_masks and attempt(errors, files.mend_edge, edge, picture, target):
        return errors, MENDED
    elif not errors:
        attempt(errors, files.convert_edge, edge, target, copy=settings.copy)
    return errors, None


def _kinds_of(part: Part, settings: Settings) -> list[str]:
    """The kinds of files of the converted part; a test part has those annotations the source has."""
    if part.name == 'train':
        return list(records.FOLDERS['train'])
    has = partial(LAYOUTS[settings.layout].file, settings.source, part.name)
    kinds = [kind for kind in PERSON_KINDS if any(has(kind, person) for person in part.persons)]
    drawn = ['densepose'] if 'pose' in kinds and 'densepose' not in kinds else []
    return [*kinds, *drawn, *GARMENT_KINDS]


def convert_part(root: Path, part: Part, settings: Settings) -> None:
    """Convert the files of one part into the folder `root`, then write its lists and its manifest."""
    for kind in _kinds_of(part, settings):
        (root / f'{part.name}_{kind}').mkdir(parents=True, exist_ok=True)
    _write_manifest(root, part, settings, finished=False)
    made: dict[str, dict[str, int]] = {'persons': {}, 'garments': {}}
    errors: list[RecordError] = []
    steps = (part.persons, _convert_person, 'persons'), (part.garments, _convert_garment, 'garments')
    for names, convert, what in steps:
        work = partial(convert, root, part.name, settings)
        for found, how in map_in_threads(work, names, f'converting {part.name} {what}'):
            errors += found
            if how:
                made[what][how] = made[what].get(how, 0) + 1
    if errors:
        more = f' ({len(errors)} such files in all)' if len(errors) > 1 else ''
        raise DataError(f'{errors[0]}{more}')
    _write_list(root / f'{part.name}_pairs.txt', part.pairs)
    if part.own:
        _write_list(root / OWN_LIST, part.own)
    _write_manifest(root, part, settings, finished=True, densepose=made['persons'], masks=made['garments'])


def _write_list(path: Path, pairs: Iterable[Pair]) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(''.join(f'{person} {garment}\n' for person, garment in pairs), encoding='utf-8')


def _write_manifest(root: Path, part: Part, settings: Settings, **about: Any) -> None:
    layout = LAYOUTS[settings.layout]
    drawn = 'drawn: what is not white and borders on the picture'
    content = settings.about | {
        'pairs': len(part.pairs),
        'persons': len(part.persons),
        'garments': len(part.garments),
        'own_pairs': len(part.own),
        'parsing': f'ids translated from those of {layout.title}',
        'edge': 'taken from the source' if layout.files['edge'] else drawn,
        'notes': part.notes,
        **about,
    }
    with atomic_write(root / MANIFEST) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')


def _refuse_other_content(root: Path, settings: Settings) -> None:
    """Raise `UserError` where a folder holds anything but an earlier run of this very conversion."""
    if not root.is_dir() or not os.listdir(root):
        return
    try:
        before = json.loads((root / MANIFEST).read_text(encoding='utf-8'))
        before = {'mend_masks': False} | before  # which older manifests lack
        differing = [key for key, value in settings.about.items() if before.get(key) != value]
        other = [f'{key} {before.get(key)}' for key in differing]
    except FileNotFoundError:
        raise UserError(
            f'{root}: not empty, and no earlier conversion; give another TARGET, or empty this folder'
        ) from None
    except (ValueError, AttributeError, TypeError):
        other = [f'a damaged {MANIFEST}']
    if other:
        raise UserError(
            f'{root}: holds a conversion with {", ".join(other)}; give another TARGET, or delete this folder'
        )


def convert(settings: Settings, target: Path) -> dict[Path, Part]:
    """Convert a data set and return the parts by their new folders.

    Raises `UserError` before work begins where no conversion is possible, `DataError` for unreadable files.
    """
    if settings.layout == 'dresscode' and layouts.holds_lower_body(settings.source):
        problem = 'no upper clothes, which is what the networks put on'
        raise DataError(f'{settings.source}: {problem}; give upper_body')
    nested = settings.source / layouts.CATEGORIES[0]
    if settings.layout == 'dresscode' and LAYOUTS['dresscode'].recognises(nested):
        settings = settings._replace(source=nested)
    if settings.source.is_file():
        raise UserError(f'{settings.source}: a file, expected the folder of a data set; give its folder')
    found = layouts.recognise(settings.source)
    if found and found[0] == settings.layout and found[1] != settings.source:
        raise DataError(
            f'{settings.source}: a part of the {LAYOUTS[found[0]].title} data set; give the whole, '
            f'{shlex.quote(str(found[1]))}'
        )
    if found and not LAYOUTS[settings.layout].recognises(settings.source):
        raise DataError(
            f'{settings.source}: the layout of {LAYOUTS[found[0]].title}, expected '
            f'{LAYOUTS[settings.layout].title}; give {shlex.quote(str(found[1]))} with --layout {found[0]}'
        )
    roots = {target / FOLDERS[part.name]: part for part in read_parts(settings)}
    for root, part in roots.items():
        _refuse_other_content(root, settings)
        _check_files(part, settings)
    for root, part in roots.items():
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            problem = f'{root}: no folder can be made there ({error.strerror})'
            raise UserError(f'{problem}; choose another TARGET') from error
        convert_part(root, part, settings)
    return roots


@exit_cleanly
def main(arguments: list[str] | None = None) -> int:
    """Convert and check the data set that the command line names; return 0 if it is good."""
    about = 'Bring a data set of another layout into that of VITON.'
    parser = OptionParser(about, prog='python -m data.convert')
    parser.add_argument('source', help='folder of the data set, with its lists of pairs')
    parser.add_argument('target', help='folder that gets VITON_traindata and VITON_test')
    parser.add_argument('--layout', required=True, choices=list(LAYOUTS), help='how the data set is laid out')
    once = 'one record for each content, none in test that training has'
    parser.add_argument('--clean', action='store_true', help=once)
    parser.add_argument('--pairs', help='list of test pairs; None: that of the data set')
    parser.add_argument('--copy', action='store_true', help='copy all files, where hard links would do')
    mend = 'fill the holes of damaged garment masks (VITON: one garment in eleven, light ones)'
    parser.add_argument('--mend_masks', action='store_true', help=mend)
    options = parser.parse_args(arguments)
    pairs = expand(options.pairs) if options.pairs else None
    how = options.clean, pairs, options.copy, options.mend_masks
    settings = Settings(expand(options.source), options.layout, *how)
    roots = convert(settings, expand(options.target))
    reports = [check_dataset(root, part.name) for root, part in roots.items()]
    print('\n'.join(map(str, reports)))
    rows = [[part.name, str(len(part.pairs)), str(len(part.own)), str(root)] for root, part in roots.items()]
    print(format_table(['part', 'pairs', 'own pairs', 'folder'], rows))
    return 0 if all(report.ok for report in reports) else 1


if __name__ == '__main__':
    sys.exit(main())
