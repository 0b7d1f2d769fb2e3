"""Temporal consistency of a dressed clip: flicker and lag, with and without the tie between frames.

    python -m benchmarks.steadiness --clips clips/ --garment shirt.jpg --out runs/steadiness/

*Flicker* is the mean absolute difference (levels of 255) of successive dressed frames inside the garment,
after the person's own optical flow (OpenCV's DIS, between the frames as they came) is taken out. *Lag* is the
number of frames after which a person who stands still in a new place is dressed, but for SAME levels on
average inside the garment, as if there from the start; the new places are other moments of the clip, and the
frame moved aside. Writes contact sheets of every tenth frame and a JSON file.
"""

import json
import sys
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from models.checkpoint.defaults import PHOTOGRAPHS
from models.interface import TryOnModel, TryOnWrapper
from models.outputs import GarmentCode, PersonCode, TryOn
from opt.network_opt import EAGER, add_checkpoint_option, add_device_options, load_pipeline, on_backend
from photo.clip import open_clip
from photo.dressing import PreparedGarment, prepare_garment
from photo.files import find_pictures
from photo.frames import FrameDresser
from utils.cli import OptionParser
from utils.errors import UserError, exit_cleanly
from utils.paths import expand

SAME = 2.0  # levels of 255: smaller differences are invisible
LONGEST = 12  # frames that a lag is looked for
STILL = 4  # frames that a person stands before moving
MOVES = ((24, 0), (60, 10))  # pixels of the frame (x, y) that a person is moved by
EVERY = 10  # frames a picture of a contact sheet
KINDS = ('off', 'on')


class Clip(NamedTuple):
    """Measurements of a clip."""

    name: str
    flicker: dict[str, float]  # levels of 255, for each of KINDS
    lag: float  # frames with the tie, the mean over new places; without it there is none
    longest_lag: int


class Recorded(TryOnWrapper):
    """A try-on model that computes everything once, however often the same picture comes; of one garment."""

    def __init__(self, model: TryOnModel):
        super().__init__(model)
        self._results: dict[int, TryOn] = {}

    def encode_person(self, person: torch.Tensor) -> PersonCode:
        return PersonCode(person, ())  # encoded when it is dressed

    def __call__(
        self,
        person: torch.Tensor | PersonCode,
        cloth: torch.Tensor | GarmentCode,
        edge: torch.Tensor | None = None,
    ) -> TryOn:
        """The result for codes; pictures are not taken."""
        assert isinstance(person, PersonCode)
        key = hash(person.person.numpy().tobytes())
        if key not in self._results:
            self._results[key] = self.model(self.model.encode_person(person.person), cloth)
        return self._results[key]


def garment_region(dresser: FrameDresser, frame: np.ndarray, result: TryOn) -> np.ndarray:
    """Mask of the garment in a frame, bool [H, W]."""
    window = dresser.look(frame).window
    mask = cv2.resize(result.mask[0, 0].float().numpy(), (window.width, window.height)) > 0.5
    whole, part = np.zeros(frame.shape[:2], bool), window.part(frame.shape[1::-1])
    rows, columns = (part.top, part.bottom), (part.left, part.right)
    inner = mask[slice(*(y - window.top for y in rows)), slice(*(x - window.left for x in columns))]
    whole[slice(*rows), slice(*columns)] = inner
    return whole


def flicker(frames: list[np.ndarray], dressed: list[np.ndarray], regions: list[np.ndarray]) -> float:
    """Mean difference of successive dressed frames, motion taken out, in both garment regions, levels."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    x, y = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in grey[0].shape[::-1]))
    total, count = 0.0, 0
    for new in range(1, len(frames)):
        places = dis.calc(grey[new], grey[new - 1], None) + np.dstack([x, y])
        last = cv2.remap(dressed[new - 1], places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        before = cv2.remap(regions[new - 1].astype(np.uint8), places, None, cv2.INTER_NEAREST) > 0
        inside = regions[new] & before
        total += float(cv2.absdiff(dressed[new], last)[inside].astype(np.float32).mean(axis=1).sum())
        count += int(inside.sum())
    return total / max(1, count)


def lag(pipeline: Recorded, garment: PreparedGarment, start: np.ndarray, end: np.ndarray) -> int:
    """Frames until `end`, repeated after `start`, is dressed as from the start; LONGEST if never."""
    dresser, fresh = FrameDresser(pipeline), FrameDresser(pipeline, steady=False)
    wanted = fresh(end, garment).astype(np.float32)
    region = garment_region(fresh, end, pipeline(fresh.look(end).code, garment.code))
    for _ in range(STILL):
        dresser(start, garment)
    for count in range(LONGEST):
        if np.abs(dresser(end, garment) - wanted)[region].mean() <= SAME:
            return count
    return LONGEST


def moved(frame: np.ndarray, by: tuple[int, int]) -> np.ndarray:
    """The frame moved by (x, y) pixels, its border repeated."""
    matrix = np.array([[1, 0, by[0]], [0, 1, by[1]]], np.float32)
    return cv2.warpAffine(frame, matrix, frame.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)


@torch.no_grad()
def measure(pipeline: TryOnModel, garment: PreparedGarment, path: Path, out: Path) -> Clip:
    """Dress a clip with and without the tie, write its sheets, and measure both."""
    clip = open_clip(path)
    frames = [frame.pixels for frame in clip.frames()]
    clip.close()
    recorded, regions = Recorded(pipeline), []
    dressers = {'off': FrameDresser(recorded, steady=False), 'on': FrameDresser(recorded)}
    dressed: dict[str, list[np.ndarray]] = {kind: [] for kind in KINDS}
    for frame in tqdm(frames, path.stem, unit='frame'):
        for kind, dresser in dressers.items():
            dressed[kind].append(dresser(frame, garment))
        result = recorded(dressers['off'].look(frame).code, garment.code)
        regions.append(garment_region(dressers['off'], frame, result))
    for kind in KINDS:
        contact_sheet(dressed[kind][::EVERY]).save(out / f'{path.stem}_{kind}.png')
    step = len(frames) // 4
    places = [(frames[index], frames[index + step]) for index in (0, step, 2 * step)]
    places += [(frames[step], moved(frames[step], by)) for by in MOVES]
    lags = [lag(recorded, garment, *pair) for pair in places]
    flickers = {kind: flicker(frames, dressed[kind], regions) for kind in KINDS}
    return Clip(path.stem, flickers, float(np.mean(lags)), max(lags))


def contact_sheet(frames: list[np.ndarray], columns: int = 4) -> Image.Image:
    """Frames at half their size, row after row."""
    small = [Image.fromarray(frame).reduce(2) for frame in frames]
    width, height = small[0].size
    sheet = Image.new('RGB', (columns * width, -(-len(small) // columns) * height))
    for number, picture in enumerate(small):
        sheet.paste(picture, (number % columns * width, number // columns * height))
    return sheet


def table(clips: list[Clip]) -> str:
    """The clips and their mean as Markdown."""
    rows = ['| clip | flicker without | with | ratio | lag, mean | longest |', '|---|---|---|---|---|---|']
    for clip in clips:
        off, on = clip.flicker['off'], clip.flicker['on']
        rows.append(
            f'| {clip.name} | {off:.2f} | {on:.2f} | {on / off:.2f} | {clip.lag:.1f} | {clip.longest_lag} |'
        )
    off, on = (float(np.mean([clip.flicker[kind] for clip in clips])) for kind in KINDS)
    lags, longest = np.mean([clip.lag for clip in clips]), max(clip.longest_lag for clip in clips)
    return '\n'.join([*rows, f'| mean | {off:.2f} | {on:.2f} | {on / off:.2f} | {lags:.1f} | {longest} |'])


@exit_cleanly
def main(arguments: list[str] | None = None) -> None:
    """Measure every clip of a folder."""
    parser = OptionParser(
        'Measure flicker and lag of dressed clips, with and without the tie between frames.'
    )
    files = 'video files, or a folder of them'
    parser.add_argument('--clips', nargs='+', required=True, metavar='PATH', help=files)
    parser.add_argument('--garment', required=True, help='a garment on a plain background')
    parser.add_argument('--out', required=True, metavar='FOLDER', help='for the sheets and steadiness.json')
    add_checkpoint_option(parser, weights=PHOTOGRAPHS)
    add_device_options(parser, backend=EAGER)
    options = parser.parse_args(arguments)
    given = [sorted(path.iterdir()) if path.is_dir() else [path] for path in map(expand, options.clips)]
    paths = [path for files in given for path in files if path.suffix not in ('.md', '.txt')]
    if not paths:
        raise UserError('--clips: no file in this folder; give one that holds videos')
    pipeline = on_backend(load_pipeline(options)[1], options.backend)
    garment = prepare_garment(pipeline, find_pictures([options.garment], '--garment')[0])
    out = expand(options.out)
    out.mkdir(parents=True, exist_ok=True)
    clips = [measure(pipeline, garment, path, out) for path in paths]
    (out / 'steadiness.json').write_text(json.dumps([clip._asdict() for clip in clips], indent=1))
    print(table(clips))


if __name__ == '__main__':
    main(sys.argv[1:])
