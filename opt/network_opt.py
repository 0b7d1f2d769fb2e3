"""Options that tryon.py, app.py and export.py share: which weights, at which size, where, and on what they run."""

import argparse

from data.records import valid_size
from opt.base_opt import whole_number
from runtime import MODES

EAGER = 'torch'  # the backend that is PyTorch as it is


def add_weights_options(parser: argparse.ArgumentParser) -> None:
    """Add `--checkpoint`, empty by default."""
    parser.add_argument(
        '--checkpoint',
        nargs='+',
        metavar='PATH',
        default=[],
        help='warp network and generator, or the folder of one pair; None: the published ones if there, else the shipped',
    )


def add_size_option(parser: argparse.ArgumentParser) -> None:
    """Add `--size`, None by default; `checked_size` reads it."""
    parser.add_argument(
        '--size',
        nargs=2,
        type=whole_number(1),
        metavar=('H', 'W'),
        help='size of the pictures that the networks see; None: as the checkpoint says, and 256 192 where it says nothing',
    )


def checked_size(size: list[int] | None) -> tuple[int, int] | None:
    """What `--size` gave, as (H, W). Raises `UserError` for a size that no network takes."""
    return valid_size(size) if size else None


def add_device_options(parser: argparse.ArgumentParser, *, backend: str) -> None:
    """Add `--device`, and `--backend`, which is `backend` by default."""
    parser.add_argument('--device', default='', help="'' = first GPU if there is one, else CPU; or 0, 0,1, cpu, mps")
    parser.add_argument(
        '--backend',
        choices=(EAGER, 'auto', *MODES),
        default=backend,
        help='what the networks run on: torch as they are, auto the fastest, found by trying, or one by name',
    )
