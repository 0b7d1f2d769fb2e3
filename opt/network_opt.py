"""Options that tryon.py, app.py and export.py share: which weights, where, and on what they run."""

import argparse
from collections.abc import Sequence

from data.records import valid_size
from models import TryOnModel, TryOnPipeline
from models.checkpoint.defaults import DEFAULTS, Weights, choose_weights
from opt.base_opt import add_device_option
from runtime import MODES, optimize
from utils.device import select_device

EAGER = 'torch'  # the backend that is PyTorch as it is


def add_checkpoint_option(parser: argparse.ArgumentParser, *, weights: str) -> None:
    """Add `--checkpoint`, empty by default, and `--weights`, which is `weights` by default."""
    files = 'warp network and generator, or the folder of one pair; None: those of --weights'
    parser.add_argument('--checkpoint', nargs='+', metavar='PATH', default=[], help=files)
    sets = 'viton: small model trained on photographs; drawn: on drawings; published: from download.sh'
    parser.add_argument('--weights', choices=DEFAULTS, default=weights, help=sets)


def checked_size(size: list[int] | None) -> tuple[int, int] | None:
    """`--size` as (H, W). Raises `UserError` for a size that no network takes."""
    return valid_size(size) if size else None


def add_device_options(parser: argparse.ArgumentParser, *, backend: str) -> None:
    """Add `--device`, and `--backend`, which is `backend` by default."""
    add_device_option(parser)
    modes = 'what the networks run on: torch as they are, auto the fastest, found by trying, or one by name'
    parser.add_argument('--backend', choices=(EAGER, 'auto', *MODES), default=backend, help=modes)


def load_pipeline(options: argparse.Namespace) -> tuple[Weights, TryOnPipeline]:
    """The weights that `--checkpoint` or `--weights` names, and their pipeline on `--device`."""
    weights = choose_weights(options.checkpoint, weights=options.weights)
    device = select_device(options.device)
    return weights, TryOnPipeline.from_checkpoints(warp=weights.warp, gen=weights.gen, device=device)


def on_backend(
    pipeline: TryOnPipeline,
    backend: str,
    *,
    size: tuple[int, int] | None = None,
    candidates: Sequence[str] | None = None,
) -> TryOnModel:
    """The pipeline on the backend of `--backend`; `size` and `candidates` are those of `runtime.optimize`."""
    if backend == EAGER:
        return pipeline
    return optimize(pipeline, backend, size=size, candidates=candidates)
