"""Options of tryon.py."""

import argparse
from typing import Any

from models.checkpoint.defaults import PHOTOGRAPHS
from opt.base_opt import add_size_option
from opt.network_opt import EAGER, add_checkpoint_option, add_device_options, checked_size
from photo.person import BACKGROUNDS
from utils.cli import OptionParser
from utils.errors import UserError
from utils.paths import expand

LARGEST_SIZE = 2048  # of what the networks see, whose memory grows with it


def parse_tryon_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line of tryon.py; a wrong option raises `UserError` with one line."""
    parser = OptionParser('Dress people on their own photographs, at the own size of each photograph.')
    several: dict[str, Any] = {'nargs': '+', 'action': 'extend', 'metavar': 'PATH'}
    parser.add_argument('--person', help='photographs of people, or folders of them', **several)
    parser.add_argument('--video', metavar='FILE', help='a video of a person, in the place of photographs')
    flat = 'photographs of garments on a plain background, or folders'
    parser.add_argument('--garment', required=True, help=flat, **several)
    parser.add_argument('--out', required=True, help='the result, a picture or video; for several a folder')
    masks = 'a mask for each {}, or their folder; None: {}'
    parser.add_argument('--person_mask', help=masks.format('person', 'as --background says'), **several)
    parser.add_argument('--garment_mask', help=masks.format('garment', 'by the background'), **several)
    behind = 'what the networks see behind people: auto replaces one that is not plain, keep none, '
    behind += 'the others any by that tool; the result keeps its own'
    parser.add_argument('--background', choices=BACKGROUNDS, default='auto', help=behind)
    skip = 'go on without unusable pictures, and end with status 1; None: where a folder is given'
    parser.add_argument('--skip_bad', action='store_true', default=None, help=skip)
    parser.add_argument('--no_skip_bad', dest='skip_bad', action='store_false', help='end at such a picture')
    parser.set_defaults(skip_bad=None)
    add_checkpoint_option(parser, weights=PHOTOGRAPHS)
    add_device_options(parser, backend=EAGER)
    add_size_option(parser)
    options = parser.parse_args(arguments)
    _check(options)
    if options.skip_bad is None:
        options.skip_bad = any(expand(path).is_dir() for path in (*(options.person or ()), *options.garment))
    options.size = checked_size(options.size)
    if options.size and max(options.size) > LARGEST_SIZE:
        raise UserError(f'--size {options.size[0]} {options.size[1]}: at most {LARGEST_SIZE} a side')
    return options


def _check(options: argparse.Namespace) -> None:
    """Raise `UserError` for options that do not fit each other."""
    if options.video is None and options.person is None:
        raise UserError('the following arguments are required: --person, or --video for a video of a person')
    if options.video is not None and (options.person is not None or options.person_mask is not None):
        raise UserError(
            '--video: not together with --person or --person_mask; dress photographs and videos one by one'
        )
