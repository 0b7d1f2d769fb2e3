"""Photographs on the disk: which are meant, where results go, and the sheet that shows them side by side."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from photo.colour import shown
from utils.errors import MissingFileError, UserError, first_line
from utils.paths import expand
from utils.visual import contact_sheet, panel_row, save_picture

WRITABLE = ('.png', '.jpg', '.jpeg', '.webp', '.tif', '.tiff', '.bmp')
WITHOUT_ALPHA = ('.jpg', '.jpeg', '.bmp')
LOSSLESS = {'.webp': {'lossless': True}}
FULL_COLOUR = {'.jpg': {'subsampling': 0}, '.jpeg': {'subsampling': 0}}
LONGEST_STEM = 100
CELL = (288, 384)  # width and height of a picture on the sheet
MOST_COLUMNS, MOST_ROWS = 13, 40  # of the sheet; a longer list shows its beginning


def find_pictures(paths: Sequence[str | Path], option: str) -> list[Path]:
    """The pictures that files and folders mean, each once; a folder's in the order of their names.

    A file is taken whatever its name is, since reading it says best what is wrong. Raises `UserError` for a folder without any.
    """
    Image.init()
    found: list[Path] = []
    for path in map(expand, paths):
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if _is_picture(file))
            if not inside:
                raise UserError(f'{option} {path}: no picture in this folder; give one that holds JPEG or PNG files')
            found += inside
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def match_masks(pictures: Sequence[Path], masks: Sequence[str | Path] | None, option: str) -> list[Path | None]:
    """The mask of each picture: one each in their order, or those of the same name (but for the suffix) in a folder.

    Raises `UserError` where the numbers differ or a folder has none for a picture.
    """
    if not masks:
        return [None] * len(pictures)
    paths = [expand(path) for path in masks]
    if len(paths) == 1 and paths[0].is_dir():
        by_name = {file.stem: file for file in sorted(paths[0].iterdir()) if _is_picture(file)}
        for picture in pictures:
            if picture.stem not in by_name:
                raise MissingFileError(f'{option} {paths[0]}: no mask named {picture.stem}, for {picture}; add it')
        return [by_name[picture.stem] for picture in pictures]
    if len(paths) != len(pictures):
        raise UserError(f'{option}: {len(paths)} mask(s) for {len(pictures)} picture(s); give one each, or a folder of them')
    return list(paths)


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in Image.registered_extensions() and not file.name.startswith('.') and file.is_file()


def name_results(
    out: str | Path, persons: Sequence[Path], garments: Sequence[Path], *, suffixes: Sequence[str] = WRITABLE
) -> list[list[Path]]:
    """Paths of the results of each person (row) and garment (column): `out` itself, or `<person>__<garment>.png` in it.

    `out` is a file for one result, whose suffix is one of `suffixes`, and a folder for several, whose results get the first.
    Names that would be equal get a number. Raises `UserError` where it is neither, and where nothing can be written there.
    """
    out, count = expand(out), len(persons) * len(garments)
    is_folder = out.is_dir() or not out.suffix
    if not is_folder and out.suffix.lower() not in suffixes:
        raise UserError(f'--out {out}: unknown suffix {out.suffix!r}; choose from {", ".join(suffixes)}')
    if not is_folder and count > 1:
        raise UserError(f'--out {out}: one file for {count} results; give a folder')
    if not is_folder:
        if not out.parent.is_dir():
            raise MissingFileError(f'--out {out}: there is no folder {out.parent}; create it first')
        _check_writable(out.parent)
        return [[out]]
    if os.path.lexists(out) and not out.is_dir():
        raise UserError(f'--out {out}: a file without a suffix; give the name of a picture or a folder')
    _check_writable(out)
    taken: set[str] = set()
    names = [[f'{_short(person)}__{_short(garment)}' for garment in garments] for person in persons]
    return [[_free(out, name, suffixes[0], taken) for name in row] for row in names]


def check_results(results: Sequence[Path], sources: Sequence[Path | None]) -> None:
    """Raise `UserError` where a result would replace one of the files that were given, by whatever name or link."""
    given = {os.path.realpath(path) for path in sources if path is not None}
    for path in results:
        if os.path.realpath(path) in given:
            raise UserError(f'--out: the result {path} would replace a picture that was given; choose another name')


def _check_writable(folder: Path) -> None:
    """Raise `UserError` unless files can be made in a folder, which may itself have to be made."""
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not there.is_dir():
        raise UserError(f'--out {folder}: {there} is no folder; choose another place')
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f'--out {folder}: no permission to write in {there}; choose another place')
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:  # some folders of the system seem writable, and take no files
        raise UserError(f'--out {folder}: cannot write in {there} ({first_line(error)}); choose another place') from error


def _short(path: Path) -> str:
    return path.stem[:LONGEST_STEM]


def _free(folder: Path, stem: str, suffix: str, taken: set[str]) -> Path:
    name, number = stem, 1
    while name.lower() in taken:  # a disk may take capital and small letters for the same
        number += 1
        name = f'{stem}-{number}'
    taken.add(name.lower())
    return folder / f'{name}{suffix}'


def sheet_path(results: Sequence[Sequence[Path]], out: str | Path) -> Path:
    """Path of the side-by-side sheet: beside a single result, or in the folder of several."""
    first, out = results[0][0], expand(out)
    return first.with_name(f'{first.stem}_sheet.jpg') if first == out else out / 'sheet.jpg'


def save_result(picture: Image.Image, path: Path) -> None:
    """Write a picture without loss, JPEG with little, and with its colour profile; JPEG and BMP show transparency as white."""
    suffix = path.suffix.lower()
    options = {**LOSSLESS.get(suffix, {}), **FULL_COLOUR.get(suffix, {})}
    if profile := picture.info.get('icc_profile'):
        options['icc_profile'] = profile
    if picture.mode == 'RGBA' and suffix in WITHOUT_ALPHA:
        white = Image.new('RGB', picture.size, 'white')
        white.paste(picture, mask=picture.getchannel('A'))
        picture = white
    save_picture(picture, path, **options)


def cell(picture: Image.Image) -> Image.Image:
    """A picture on a white cell of the sheet, as large as it fits."""
    picture = shown(picture).convert('RGBA')
    scale = min(CELL[0] / picture.width, CELL[1] / picture.height)
    small = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.LANCZOS)
    view = Image.new('RGB', CELL, 'white')
    view.paste(small, ((CELL[0] - small.width) // 2, (CELL[1] - small.height) // 2), small)
    return view


def build_sheet(garments: Sequence[Image.Image], rows: Sequence[Sequence[Image.Image]], *, note: str) -> Image.Image:
    """The sheet of cells: garments above, a row for each person: the person and the try-ons.

    A single try-on is one row: person, garment, try-on.
    """
    if len(rows) == 1 and len(garments) == 1:
        person, dressed = rows[0]
        return contact_sheet([panel_row([person, garments[0], dressed])], titles=('person', 'garment', 'try-on'), note=note)
    shown = [list(row)[:MOST_COLUMNS] for row in rows][:MOST_ROWS]
    head = [Image.new('RGB', CELL, 'white'), *garments][:MOST_COLUMNS]
    titles = ('person', *(f'garment {number}' for number in range(1, len(head))))
    return contact_sheet([panel_row(row) for row in (head, *shown)], titles=titles, note=note)
