"""Default weights: those asked for, else the published ones, else those that come with the project."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from models.checkpoint.formats import SUFFIXES
from utils.errors import MissingFileError, UserError
from utils.paths import expand

FOLDER = Path(__file__).parents[2] / 'checkpoints'
DEFAULTS = {
    'published': ('dmvton_pf_warp.pt', 'dmvton_pf_gen.pt'),
    'shipped': ('dm_vton_synthetic_warp.safetensors', 'dm_vton_synthetic_gen.safetensors'),
}
ABOUT = {
    'published': 'the published weights of DM-VTON',
    'shipped': 'the weights that come with the project, made for drawn pictures; for photographs get the published ones: '
    'bash scripts/download.sh checkpoints',
}


class Weights(NamedTuple):
    """The two files of a student."""

    warp: Path
    gen: Path
    about: str  # one line for the user


def choose_weights(given: Sequence[str | Path] = (), *, folder: Path = FOLDER) -> Weights:
    """Return the files of a student: `given` two files (warp network, generator) or a folder with one such pair, else a default.

    Defaults lie in `folder`; the published pair comes before the shipped one. Raises `UserError` where there is no pair, or more
    than one.
    """
    paths = [expand(path) for path in given]
    if len(paths) == 2:
        return Weights(*paths, f'{paths[0]} and {paths[1]}')
    if len(paths) == 1:
        warp, gen = _pair_in(paths[0])
        return Weights(warp, gen, f'{warp} and {gen}')
    if paths:
        raise UserError(f'{len(paths)} checkpoints: expected the warp network and the generator, or their folder')
    for kind, names in DEFAULTS.items():
        warp, gen = (folder / name for name in names)
        if warp.is_file() and gen.is_file():
            return Weights(warp, gen, ABOUT[kind])
    names = ' nor '.join(f'{warp} and {gen}' for warp, gen in DEFAULTS.values())
    raise MissingFileError(f'{folder}: neither {names} is there; run bash scripts/download.sh checkpoints, or give --checkpoint')


def _pair_in(folder: Path) -> tuple[Path, Path]:
    """The warp network and the generator in a folder: `..warp..` and the same name with `gen`; no teachers (`pb_..`)."""
    if not folder.exists():
        raise MissingFileError(f'{folder}: no such folder; give the folder of a warp network and a generator, or the two files')
    if not folder.is_dir():
        raise UserError(f'{folder}: one file, but a try-on needs two; give the warp network and the generator, or their folder')
    pairs = []
    for warp in sorted(folder.iterdir()):
        gen = warp.with_name(warp.name.replace('warp', 'gen'))
        is_student = 'warp' in warp.name and warp.suffix in SUFFIXES and not warp.name.startswith('pb_')
        if is_student and gen.is_file():
            pairs.append((warp, gen))
    if len(pairs) != 1:
        found = f'{len(pairs)} pairs ({", ".join(warp.name for warp, _ in pairs[:3])}, ...)' if pairs else 'no pair'
        raise UserError(f'{folder}: {found} of files named ..warp.. and ..gen..; give the two files')
    return pairs[0]


def size_note(pipeline: Any, size: tuple[int, int]) -> str | None:
    """What to say of a try-on at `size` (H, W) by a pipeline whose weights know another one; None where they know it."""
    if tuple(size) == tuple(pipeline.size):
        return None
    asked, known = (f'{height} x {width}' for height, width in (size, pipeline.size))
    return f'the weights know pictures of {known} (height x width), not of {asked}; they are at their best at their own'
