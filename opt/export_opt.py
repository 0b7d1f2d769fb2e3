"""Options of export.py."""

import argparse

from data.records import valid_size
from opt.base_opt import whole_number
from runtime.export import FORMATS, PRECISIONS
from utils.cli import OptionParser
from utils.errors import UserError


def parse_export_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line of export.py; a wrong option raises `UserError` with one line."""
    parser = OptionParser('Write a try-on as files that run without Python, and compare them with the pipeline.')
    parser.add_argument('--format', choices=FORMATS, required=True, help='ONNX, which many programs read, or that of OpenVINO')
    parser.add_argument('--out', required=True, help='folder for the files, with a folder for each precision in it')
    parser.add_argument(
        '--checkpoint',
        nargs='+',
        metavar='PATH',
        default=[],
        help='warp network and generator, or the folder of one pair; None: the published ones if there, else the shipped',
    )
    parser.add_argument('--precision', nargs='+', choices=list(PRECISIONS), default=list(PRECISIONS), help='which to write')
    parser.add_argument(
        '--size',
        nargs=2,
        type=whole_number(1),
        metavar=('H', 'W'),
        help='size of the pictures; None: as the checkpoint says, and 256 192 where it says nothing',
    )
    parser.add_argument('--dataroot', help='compare on this test set in the VITON layout; None: on drawn pictures')
    options = parser.parse_args(arguments)
    if not options.out.strip():
        raise UserError('--out: an empty name; give a folder')
    options.size = valid_size(options.size) if options.size else None
    options.precision = list(dict.fromkeys(options.precision))
    return options
