"""Options of export.py."""

import argparse

from models.checkpoint.defaults import DRAWINGS
from opt.base_opt import add_size_option
from opt.network_opt import add_checkpoint_option, checked_size
from runtime.export.graphs import FORMATS, PRECISIONS
from utils.cli import OptionParser

WEB = 'web'


def parse_export_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line of export.py; a wrong option raises `UserError` with one line."""
    parser = OptionParser('Write a try-on as files that run without Python; compare them with the pipeline.')
    formats = 'ONNX, which many programs read, that of OpenVINO, or a page for any static web server'
    parser.add_argument('--format', choices=(*FORMATS, WEB), required=True, help=formats)
    parser.add_argument('--out', required=True, help='folder for the page, or for a folder of each precision')
    add_checkpoint_option(parser, weights=DRAWINGS)
    precisions = list(PRECISIONS)
    parser.add_argument(
        '--precision', nargs='+', choices=precisions, default=precisions, help='which to write'
    )
    add_size_option(parser)
    parser.add_argument('--dataroot', help='test set in the VITON layout to compare on; None: drawn pictures')
    options = parser.parse_args(arguments)
    options.size = checked_size(options.size)
    options.precision = list(dict.fromkeys(options.precision))
    return options
