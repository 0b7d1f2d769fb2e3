"""Command line of `python -m synthetic`, and contact sheets of drawn records."""

import argparse
from pathlib import Path

import cv2
import numpy as np

from synthetic.dataset import check_drawing, jpeg_bytes, png_bytes, using, write_dataset
from synthetic.records import flat_garment, partner, render_record
from utils.cli import OptionParser
from utils.errors import UserError, exit_cleanly
from utils.paths import atomic_write, expand

SHEET_SUFFIXES = ('.png', '.jpg', '.jpeg')
MOST_ON_SHEET = 200


def draw_sheet(
    seed: int, count: int, *, size: tuple[int, int] = (256, 192), varied: bool = False
) -> np.ndarray:
    """A contact sheet, uint8 RGB, of `count` test records: person | garment | truth, at most five a row."""
    rows = []
    for index in range(count):
        record = render_record(seed, 'test', index, size=size, other=partner(index, count), varied=varied)
        worn = flat_garment(seed, 'test', partner(index, count), size, varied).picture
        assert record.truth is not None, 'asked for by `other`'
        strip = np.concatenate([record.person, worn, record.truth.image], axis=1)
        rows.append(cv2.copyMakeBorder(strip, 0, 8, 0, 8, cv2.BORDER_CONSTANT, value=(255, 255, 255)))
    columns = min(5, max(1, count // 4))
    rows += [np.full_like(rows[0], 255)] * (-count % columns)
    starts = range(0, len(rows), columns)
    return np.concatenate([np.concatenate(rows[start : start + columns], axis=1) for start in starts])


def _write_sheet(target: Path, count: int, seed: int, size: tuple[int, int], varied: bool) -> None:
    if target.suffix.lower() not in SHEET_SUFFIXES:
        raise UserError(
            f'--sheet {target}: unknown suffix {target.suffix!r}; choose from {", ".join(SHEET_SUFFIXES)}'
        )
    if not 2 <= count <= MOST_ON_SHEET:
        raise UserError(
            f'--sheet_records {count}: a person tries on the garment of another one; give 2 to '
            f'{MOST_ON_SHEET}'
        )
    check_drawing(seed, size)
    with using('--sheet', target), atomic_write(target) as temporary:
        sheet = draw_sheet(seed, count, size=size, varied=varied)
        temporary.write_bytes(png_bytes(sheet) if target.suffix.lower() == '.png' else jpeg_bytes(sheet))
    print(f'sheet of {count} records: {target}')


def _parse() -> argparse.Namespace:
    about = 'Draw a synthetic data set in the layout of VITON, with all annotations and true results.'
    parser = OptionParser(about, prog='python -m synthetic')
    parser.add_argument('--root', help='folder to write to: new, empty, or made by this command before')
    parser.add_argument('--train', type=int, default=2000, help='training records')
    parser.add_argument('--test', type=int, default=200, help='test records, each with its truth')
    truths = 'truths of training records, too, for train_pf_truth.py'
    parser.add_argument('--truths', action='store_true', help=truths)
    varied = 'people and garments with the variety of photographs'
    parser.add_argument('--varied', action='store_true', help=varied)
    parser.add_argument('--seed', type=int, default=0, help='another seed draws other people')
    parser.add_argument('--workers', type=int, default=1, help='processes that draw')
    sides = ('HEIGHT', 'WIDTH')
    parser.add_argument('--size', type=int, nargs=2, default=(256, 192), metavar=sides, help='in pixels')
    sheet = 'also write a contact sheet of test records: person | garment | truth'
    parser.add_argument('--sheet', metavar='FILE', help=sheet)
    parser.add_argument('--sheet_records', type=int, default=20, help='records on the sheet')
    args = parser.parse_args()
    if not args.root and not args.sheet:
        parser.error('nothing to do: give --root, --sheet or both')
    return args


@exit_cleanly
def main() -> None:
    """The command line."""
    args = _parse()
    if args.sheet:
        _write_sheet(expand(args.sheet), args.sheet_records, args.seed, tuple(args.size), args.varied)
    if args.root:
        asked = {'train': args.train, 'test': args.test, 'truths': args.truths, 'varied': args.varied}
        write_dataset(args.root, **asked, seed=args.seed, size=tuple(args.size), workers=args.workers)
