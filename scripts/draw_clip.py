"""Draw a clip of a person who moves, to try video and the live tab on where no photograph may go.

    python -m scripts.draw_clip --out person.mp4 --index 23
    python -m scripts.draw_clip --out docs/live.webp --dressed drawn.mp4 dressed.mp4

The second command puts clips side by side into an animation for a page.
"""

import contextlib
import itertools
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from opt.base_opt import whole_number
from photo.clip import WRITABLE, open_clip
from photo.clip_types import ClipInfo, Frame
from photo.video import clip_file
from synthetic.moving import moving_person
from utils.cli import OptionParser
from utils.errors import UserError, exit_cleanly
from utils.paths import atomic_write, expand

RATE = Fraction(25)
SIZE = (512, 384)
ANIMATIONS = ('.webp', '.gif')
GAP = 6  # pixels between clips of an animation
EVERY = 2  # frames of a clip a picture of an animation
HEIGHT = 320  # of an animation


@exit_cleanly
def main(arguments: list[str] | None = None) -> None:
    """Draw a clip, or put clips side by side."""
    parser = OptionParser('Draw a clip of a person who moves, or make an animation of clips.')
    parser.add_argument('--out', required=True, help='the clip (.mp4), with --dressed an animation (.webp)')
    beside = 'clips of one length that the animation shows side by side'
    parser.add_argument('--dressed', nargs='+', metavar='CLIP', help=beside)
    parser.add_argument('--seed', type=whole_number(0), default=7, help='of the drawn people')
    parser.add_argument('--index', type=whole_number(0), default=23, help='number of the person')
    parser.add_argument('--frames', type=whole_number(2), default=100, help='frames of the clip, 25 a second')
    options = parser.parse_args(arguments)
    out = expand(options.out)
    suffixes = ANIMATIONS if options.dressed else WRITABLE
    if out.suffix.lower() not in suffixes:
        raise UserError(f'--out {out}: unknown suffix {out.suffix!r}; choose from {", ".join(suffixes)}')
    if options.dressed:
        animate([expand(path) for path in options.dressed], out)
    else:
        draw(out, seed=options.seed, index=options.index, count=options.frames)
    print(f'{out}: {out.stat().st_size / 1e6:.2f} MB')


def draw(out: Path, *, seed: int, index: int, count: int, size: tuple[int, int] = SIZE) -> None:
    """Write a clip of `count` frames of (height, width) `size`."""
    info = ClipInfo(out, size[1], size[0], rate=RATE, count=count, has_sound=False)
    with clip_file(out, info) as writer:
        pictures = moving_person(seed, index, count, size=size)
        for number, picture in enumerate(tqdm(pictures, 'drawing', total=count, unit='frame')):
            writer.write(Frame(picture, number / RATE))


def animate(paths: list[Path], out: Path) -> None:
    """Write clips side by side as an animation that begins again and again."""
    columns = []
    for path in paths:
        with contextlib.closing(open_clip(path)) as clip:
            columns.append([small(frame.pixels) for frame in itertools.islice(clip.frames(), 0, None, EVERY)])
    first, *others = (Image.fromarray(joined(row)) for row in zip(*columns, strict=False))
    options: dict[str, Any] = {'duration': round(1000 * EVERY / RATE), 'loop': 0}
    options |= {'quality': 70, 'method': 4} if out.suffix.lower() == '.webp' else {'optimize': True}
    with atomic_write(out) as temporary:
        first.save(temporary, save_all=True, append_images=others, **options)


def small(pixels: np.ndarray) -> np.ndarray:
    """A frame at the animation's height."""
    picture = Image.fromarray(pixels)
    size = round(picture.width * HEIGHT / picture.height), HEIGHT
    return np.asarray(picture.resize(size, Image.Resampling.LANCZOS))


def joined(row: tuple[np.ndarray, ...]) -> np.ndarray:
    """Pictures side by side on white."""
    gap = np.full((HEIGHT, GAP, 3), 255, np.uint8)
    parts = [part for picture in row for part in (picture, gap)]
    return np.concatenate(parts[:-1], axis=1)


if __name__ == '__main__':
    main(sys.argv[1:])
