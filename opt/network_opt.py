"""Options that tryon.py, app.py and export.py share: which weights, where, and on what they run."""

import argparse

from data.records import valid_size
from models.checkpoint.defaults import DEFAULTS
from opt.base_opt import add_device_option
from runtime import MODES

EAGER = 'torch'  # the backend that is PyTorch as it is


def add_checkpoint_option(parser: argparse.ArgumentParser, *, weights: str) -> None:
    """Add `--checkpoint`, empty by default, and `--weights`, which is `weights` by default."""
    parser.add_argument(
        '--checkpoint',
        nargs='+',
        metavar='PATH',
        default=[],
        help='warp network and generator, or the folder of one pair; None: those of --weights',
    )
    parser.add_argument(
        '--weights',
        choices=DEFAULTS,
        default=weights,
        help='viton: small model trained on photographs; drawn: on drawings; published: from download.sh',
    )


def checked_size(size: list[int] | None) -> tuple[int, int] | None:
    """`--size` as (H, W). Raises `UserError` for a size that no network takes."""
    return valid_size(size) if size else None


def add_device_options(parser: argparse.ArgumentParser, *, backend: str) -> None:
    """Add `--device`, and `--backend`, which is `backend` by default."""
    add_device_option(parser)
    parser.add_argument(
        '--backend',
        choices=(EAGER, 'auto', *MODES),
        default=backend,
        help='what the networks run on: torch as they are, auto the fastest, found by trying, or one by name',
    )
