"""Everybody in everything, as a page to look through: for shops, and to see what a training has come to.

    python -m scripts.lookbook --persons people/ --garments shirts/ --out book/

Reads photographs as tryon.py does. Writes a folder for any static web server, or to open from the disk:
`index.html`, which needs no script and fetches nothing from elsewhere, and the pictures, each also as a small
one that is loaded when it is seen.
"""

import html
import sys
from argparse import Namespace
from pathlib import Path
from string import Template
from typing import Any, NamedTuple
from urllib.parse import quote

import torch
from PIL import Image
from tqdm import tqdm

from models import TryOnModel
from models.checkpoint.defaults import PHOTOGRAPHS
from opt.base_opt import add_size_option
from opt.network_opt import (
    EAGER,
    add_checkpoint_option,
    add_device_options,
    checked_size,
    load_pipeline,
    on_backend,
)
from photo.dressing import dress, prepare_garment, prepare_person
from photo.files import find_pictures, name_results, save_result
from photo.person import BACKGROUNDS
from utils.cli import OptionParser
from utils.errors import UserError, exit_cleanly
from utils.paths import atomic_write, expand

TEMPLATE = Path(__file__).with_name('lookbook.html')
SMALL = (480, 640)  # width and height that a small picture fits into
SUFFIX = '.jpg'


class Look(NamedTuple):
    """A picture of the book."""

    path: Path  # relative to the book
    small: Path
    size: tuple[int, int]  # of the small one
    caption: str


class Book(NamedTuple):
    """Content of the page."""

    garments: list[Look]
    rows: list[tuple[Look, list[Look]]]  # a person, and the person in each garment
    notes: list[str]


@exit_cleanly
def main(arguments: list[str] | None = None) -> None:
    """Dress everybody in everything, then write the page."""
    options = parse_options(arguments)
    persons = find_pictures(options.persons, '--persons')
    garments = find_pictures(options.garments, '--garments')
    out = expand(options.out)
    if out.suffix:
        raise UserError(f'--out {out}: expected the name of a folder, without a suffix')
    if (out / 'index.html').exists() and not (out / 'pictures').is_dir():
        raise UserError(f'--out {out}: there is a page of another kind in it; give a new folder')
    names = name_results(out / 'pictures', persons, garments, suffixes=(SUFFIX,))
    weights, pipeline = load_pipeline(options)
    size = options.size or pipeline.size
    runner = on_backend(pipeline, options.backend, size=size)
    print(f'weights: {weights.about} ({pipeline.family}, {size[0]} x {size[1]})')
    book = make_book(runner, persons, garments, names, out=out, size=size, background=options.background)
    write_page(book, out / 'index.html', title=options.title, about=f'{pipeline.family}; {weights.about}')
    for note in book.notes:
        print(f'note: {note}')
    print(f'{len(book.rows)} people in {len(book.garments)} garments: {out / "index.html"}')


def parse_options(arguments: list[str] | None) -> Namespace:
    """Read the command line; a wrong option raises `UserError` with one line."""
    parser = OptionParser('Dress everybody in everything and make a page of it.')
    several: dict[str, Any] = {'nargs': '+', 'action': 'extend', 'metavar': 'PATH', 'required': True}
    parser.add_argument('--persons', help='photographs of people, or folders of them', **several)
    parser.add_argument(
        '--garments', help='photographs of garments on a plain background, or folders', **several
    )
    parser.add_argument('--out', required=True, metavar='FOLDER', help='where the page and its pictures go')
    parser.add_argument('--title', default='Lookbook', help='heading of the page')
    parser.add_argument('--background', choices=BACKGROUNDS, default='auto', help='as of tryon.py')
    add_checkpoint_option(parser, weights=PHOTOGRAPHS)
    add_device_options(parser, backend=EAGER)
    add_size_option(parser)
    options = parser.parse_args(arguments)
    options.size = checked_size(options.size)
    return options


@torch.no_grad()
def make_book(
    pipeline: TryOnModel,
    persons: list[Path],
    garments: list[Path],
    names: list[list[Path]],
    *,
    out: Path,
    size: tuple[int, int],
    background: str = 'auto',
) -> Book:
    """Write all pictures; `names` are the files for each person (row) and garment (column).

    A photograph that cannot be used is left out, and a note says why. Raises `UserError` where none is left.
    """
    notes: list[str] = []
    worn = {}
    for column, path in enumerate(garments):
        try:
            worn[column] = prepare_garment(pipeline, path, size=size)
        except UserError as error:
            notes.append(f'left out: {error}')
    rows: list[tuple[Look, list[Look]]] = []
    for path, row in zip(tqdm(persons, 'dressing', unit='person', disable=None), names, strict=True):
        try:
            person = prepare_person(pipeline, path, size=size, background=background)
        except UserError as error:
            notes.append(f'left out: {error}')
            continue
        looks = []
        for column, garment in worn.items():
            dressed = dress(pipeline, person, garment)
            caption = f'{caption_of(path)} in {caption_of(garments[column])}'
            looks.append(save_look(dressed.picture, row[column], out, caption))
            notes += dressed.notes
        original = row[0].with_name(f'person_{len(rows) + 1:03d}{SUFFIX}')
        rows.append((save_look(person.photo.picture, original, out, caption_of(path)), looks))
    if not worn or not rows:
        what, given = ('garment', garments) if not worn else ('person', persons)
        first = notes[0].removeprefix('left out: ')
        raise UserError(f'no {what} can be used of {len(given)}; the first: {first}')
    heads = []
    for column, garment in worn.items():
        path = names[0][0].with_name(f'garment_{column + 1:03d}{SUFFIX}')
        heads.append(save_look(garment.garment.picture, path, out, caption_of(garments[column])))
    return Book(heads, rows, list(dict.fromkeys(notes)))


def save_look(picture: Image.Image, path: Path, out: Path, caption: str) -> Look:
    """Write a picture, and a small one beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_result(picture, path)
    small, small_path = picture.convert('RGB'), path.with_name(f'{path.stem}_small{SUFFIX}')
    small.thumbnail(SMALL, Image.Resampling.LANCZOS)
    save_result(small, small_path)
    return Look(path.relative_to(out), small_path.relative_to(out), small.size, caption)


def caption_of(path: Path) -> str:
    """A file's name as words."""
    return ' '.join(path.stem.replace('_', ' ').replace('-', ' ').split()) or path.name


def write_page(book: Book, path: Path, *, title: str, about: str) -> None:
    """Write the page around the pictures."""
    rows = []
    for person, looks in book.rows:
        cells = ''.join(f'<td>{_figure(look)}</td>' for look in looks)
        rows.append(f'<tr><th scope="row">{_figure(person)}</th>{cells}</tr>')
    heads = ''.join(f'<th scope="col">{_figure(look)}</th>' for look in book.garments)
    notes = ''.join(f'<li>{html.escape(note)}</li>' for note in book.notes)
    page = Template(TEMPLATE.read_text(encoding='utf-8')).substitute(
        title=html.escape(title),
        about=html.escape(f'{len(book.rows)} people in {len(book.garments)} garments; {about}'),
        heads=heads,
        rows='\n'.join(rows),
        notes=f'<h2>Notes</h2><ul>{notes}</ul>' if notes else '',
    )
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding='utf-8')


def _figure(look: Look) -> str:
    """A small picture that links to the large one, with its caption."""
    caption, (width, height) = html.escape(look.caption), look.size
    size = f'width="{width}" height="{height}" loading="lazy" decoding="async"'
    image = f'<img src="{_link(look.small)}" {size} alt="{caption}">'
    return f'<figure><a href="{_link(look.path)}">{image}</a><figcaption>{caption}</figcaption></figure>'


def _link(path: Path) -> str:
    return html.escape(quote(path.as_posix()))


if __name__ == '__main__':
    main(sys.argv[1:])
