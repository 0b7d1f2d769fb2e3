"""Options that training and testing share."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from utils.cli import run_name, whole_number
from utils.paths import atomic_write

SETTINGS_FILE = 'opt.yaml'


class Obsolete(argparse.Action):
    """A flag of the published scripts that makes no sense any more: accepted, and said so."""

    def __init__(self, option_strings, dest, *, why: str, nargs: int | None = 0, **settings):
        settings |= {'default': argparse.SUPPRESS}  # no setting, so nothing of it in the run's records
        settings |= {'help': f'kept for old scripts, changes nothing: {why}'}
        super().__init__(option_strings, dest, nargs=nargs, **settings)
        self.why = why

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        print(f'note: {option_string} changes nothing: {self.why}', file=sys.stderr)


def add_align_corners(parser, *, default: bool | None, explanation: str) -> None:
    """Add --align_corners and its opposite, spelt with a hyphen or an underscore."""
    both = argparse.BooleanOptionalAction
    parser.add_argument('--align_corners', action=both, default=default, help=explanation)
    hidden: dict[str, Any] = {'default': argparse.SUPPRESS, 'help': argparse.SUPPRESS}
    parser.add_argument('--no_align_corners', action='store_false', dest='align_corners', **hidden)


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Add --device, which `utils.device.select_device` reads."""
    parser.add_argument('--device', type=str, default='', help="'': first GPU, else CPU; or 0, 0,1, cpu, mps")


def add_size_option(parser: argparse.ArgumentParser) -> None:
    """Add --size, None by default, for scripts whose weights know a size."""
    parser.add_argument(
        '--size',
        nargs=2,
        type=whole_number(1),
        metavar=('H', 'W'),
        help='pictures are resized to this; None: as the checkpoint says, else 256 192 (published weights)',
    )


def add_base_options(parser: argparse.ArgumentParser, *, project: str) -> None:
    """Add the options that every script has; names and defaults are those of the published scripts."""
    parser.add_argument('--project', default=project, help='folder in which run folders are made')
    new = 'run folder: project/name, or name-1, name-2 if it exists'
    parser.add_argument('--name', default='exp', type=run_name, help=new)
    add_device_option(parser)
    parser.add_argument('--batch_size', type=whole_number(1), default=32, help='records a step')
    parser.add_argument('--workers', type=whole_number(0), default=8, help='processes that load records')
    parser.add_argument('--no_flip', action=Obsolete, why='pictures are never mirrored')


def write_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Write the options of a run as `opt.yaml`, paths as text and tuples as lists."""
    plain = {
        name: str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
        for name, value in settings.items()
    }
    with atomic_write(folder / SETTINGS_FILE) as temporary:
        temporary.write_text(yaml.safe_dump(plain, sort_keys=False), encoding='utf-8')
