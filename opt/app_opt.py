"""Options of app.py."""

import argparse

from models.checkpoint.defaults import PHOTOGRAPHS
from opt.base_opt import whole_number
from opt.network_opt import add_checkpoint_option, add_device_options
from utils.cli import OptionParser

PORTS = 65535


def parse_app_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line of app.py; a wrong option raises `UserError` with one line."""
    parser = OptionParser('Serve a page to try garments on: on photographs, or before the camera.')
    parser.add_argument('--host', default='127.0.0.1', help='address to listen on; 0.0.0.0: all of them')
    parser.add_argument('--port', type=whole_number(1, PORTS), default=7860, help='port to listen on')
    public = "also give the page a public address, through Gradio's servers"
    parser.add_argument('--share', action='store_true', help=public)
    wardrobe = 'garments of the wardrobe, on plain backgrounds; None: drawn ones'
    parser.add_argument('--garments', metavar='FOLDER', help=wardrobe)
    add_checkpoint_option(parser, weights=PHOTOGRAPHS)
    add_device_options(parser, backend='auto')
    positive = whole_number(1)
    parser.add_argument('--max_upload', type=positive, default=20, metavar='MB', help='largest file taken')
    largest = 'largest picture taken'
    parser.add_argument('--max_megapixels', type=positive, default=25, metavar='MP', help=largest)
    return parser.parse_args(arguments)
