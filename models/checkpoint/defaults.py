"""Default weights: those asked for, else the small model's, of which two sets come with the project."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from models.checkpoint.formats import SUFFIXES
from models.registry import choose
from utils.errors import MissingFileError, UserError
from utils.paths import expand

FOLDER = Path(__file__).parents[2] / 'checkpoints'
DEFAULTS = {
    'viton': ('dm_vton_lite_viton_warp.safetensors', 'dm_vton_lite_viton_gen.safetensors'),
    'drawn': ('dm_vton_lite_drawn_warp.safetensors', 'dm_vton_lite_drawn_gen.safetensors'),
    'published': ('dmvton_pf_warp.pt', 'dmvton_pf_gen.pt'),
}
ABOUT = {
    'viton': 'small model trained on VITON: for research, non-commercial; --weights drawn saw no photograph',
    'drawn': 'the small model, trained on drawings alone: free to use, as the code is',
    'published': 'the published weights of DM-VTON: for research, non-commercial',
}
PHOTOGRAPHS, DRAWINGS = 'viton', 'drawn'  # what is taken for them unless something else is asked for


class Weights(NamedTuple):
    """The two files of a student."""

    warp: Path
    gen: Path
    about: str  # one line for the user


def choose_weights(
    given: Sequence[str | Path] = (), *, weights: str = PHOTOGRAPHS, folder: Path = FOLDER
) -> Weights:
    """Return a student's files: `given` as two files (warp, generator) or a folder with both, else `weights`.

    `weights` is a key of `DEFAULTS`, with files in `folder`. Raises `UserError` unless there is one pair.
    """
    paths = [expand(path) for path in given]
    if len(paths) in (1, 2):
        warp, gen = paths if len(paths) == 2 else _pair_in(paths[0])
        return Weights(warp, gen, f'{warp} and {gen}')
    if paths:
        raise UserError(
            f'{len(paths)} checkpoints: expected the warp network and the generator, or their folder'
        )
    names = DEFAULTS[choose('set of weights', weights, DEFAULTS)]
    warp, gen = (folder / name for name in names)
    if missing := [path for path in (warp, gen) if not path.is_file()]:
        raise MissingFileError(
            f'{missing[0]}: no such file; bash scripts/download.sh checkpoints brings the published weights, '
            'git pull those in the box; or give --checkpoint'
        )
    return Weights(warp, gen, ABOUT[weights])


def _pair_in(folder: Path) -> tuple[Path, Path]:
    """The warp network and generator in a folder: `..warp..` and the same name with `gen`; no `pb_..`."""
    if not folder.exists():
        raise MissingFileError(
            f'{folder}: no such folder; give the folder of a warp network and a generator, or the two files'
        )
    if not folder.is_dir():
        raise UserError(
            f'{folder}: one file, but a try-on needs two; give warp network and generator, or their folder'
        )
    pairs = []
    for warp in sorted(folder.iterdir()):
        gen = warp.with_name(warp.name.replace('warp', 'gen'))
        is_student = 'warp' in warp.name and warp.suffix in SUFFIXES and not warp.name.startswith('pb_')
        if is_student and gen.is_file():
            pairs.append((warp, gen))
    if len(pairs) != 1:
        names = ', '.join(warp.name for warp, _ in pairs[:3])
        found = f'{len(pairs)} pairs ({names}, ...)' if pairs else 'no pair'
        raise UserError(f'{folder}: {found} of files named ..warp.. and ..gen..; give the two files')
    return pairs[0]


def size_note(pipeline: Any, size: tuple[int, int]) -> str | None:
    """Note on a try-on at `size` (H, W) by weights of another size; None if it is theirs."""
    if tuple(size) == tuple(pipeline.size):
        return None
    asked, known = (f'{height} x {width}' for height, width in (size, pipeline.size))
    return (
        f'the weights know pictures of {known} (height x width), not of {asked}; they are best at their own'
    )
