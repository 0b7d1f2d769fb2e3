"""Frames a second and delay of the live tab in headless Chromium, with a clip as its camera, and where the
time goes.

    python -m benchmarks.live --clip clip.mkv --backend native
    python -m benchmarks.live --clip clip.mkv --backend native --parts

The first starts app.py, opens its page, and reads what the page says; then it changes the garment a few times
and measures the longest gap between two frames. Chromium and the server share the machine's cores, as they
would on a visitor's own; on a machine that does other work, too, their processor time a frame says what the
clock does not. The published student in plain PyTorch, timed before and after on the same cores, says how
fast the machine is. The second dresses the clip's frames in this process as the server does, and prints the
processor time of each part.
"""

import argparse
import contextlib
import functools
import itertools
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image

from benchmarks.browser import browser_with_camera, jpegs_of, processor_seconds, running
from benchmarks.inputs import made_up_pictures
from models import TryOnPipeline
from models.checkpoint.defaults import choose_weights
from models.interface import TryOnModel, TryOnWrapper
from models.outputs import GarmentCode, PersonCode, TryOn
from opt.base_opt import whole_number
from opt.network_opt import on_backend
from photo.dressing import PreparedGarment, prepare_garment
from photo.frames import FrameDresser
from synthetic.records import render_record
from utils.cli import OptionParser
from utils.errors import exit_cleanly
from utils.timing import time_calls

ROOT = Path(__file__).parents[1]
START_SECONDS = 180
PARTS = ('decode', 'view, motion and mixing', 'networks', 'compose and paste', 'encode')
WARM_FRAMES = 5  # that are not counted
SEED, RECORD, GARMENT_SIZE = 7, 9, (512, 384)  # a striped drawn garment
CALLS = 7  # of the published student, before and after
WARM_SECONDS, STEPS = 5, 5  # before the first reading; readings, two seconds apart
FRAMES = "Number(document.getElementById('live_view').dataset.frames || 0)"
GAPS = """async (seconds) => {
  const view = document.getElementById('live_view'), gaps = [];
  let count = view.dataset.frames, last = performance.now(), chosen = 0;
  const start = last;
  while (performance.now() - start < 1000 * seconds) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (view.dataset.frames !== count) {
      const now = performance.now();
      gaps.push(now - last);
      [last, count] = [now, view.dataset.frames];
    }
    if (performance.now() - start > 1000 * (chosen + 1) && chosen < seconds - 2)
      document.querySelectorAll('#garments button')[++chosen].click();
  }
  return gaps;
}"""


class Served(NamedTuple):
    """A page that is being served."""

    address: str
    process: int  # its id


@contextlib.contextmanager
def served(arguments: list[str], port: int) -> Iterator[Served]:
    """Run app.py until the block ends."""
    address = f'http://127.0.0.1:{port}'
    line = [sys.executable, 'app.py', '--port', str(port), *arguments]
    problem = 'app.py did not start; run it by hand to see why'
    with running(line, address, seconds=START_SECONDS, problem=problem, cwd=ROOT) as process:
        yield Served(address, process)


class Timed(TryOnWrapper):
    """A try-on model that adds up the processor time of its calls."""

    def __init__(self, model: TryOnModel):
        super().__init__(model)
        self.spent = 0.0

    def encode_person(self, person: torch.Tensor) -> PersonCode:
        start = time.process_time()
        code = super().encode_person(person)
        self.spent += time.process_time() - start
        return code

    def __call__(
        self,
        person: torch.Tensor | PersonCode,
        cloth: torch.Tensor | GarmentCode,
        edge: torch.Tensor | None = None,
    ) -> TryOn:
        start = time.process_time()
        result = super().__call__(person, cloth, edge)
        self.spent += time.process_time() - start
        return result


@torch.no_grad()
def measure_parts(model: TryOnModel, garment: PreparedGarment, jpegs: list[bytes]) -> dict[str, float]:
    """Milliseconds of processor time of each part of a frame in the server, medians over `jpegs`."""
    from webapp.live import decode, encode

    timed = Timed(model)
    dresser = FrameDresser(timed)
    spent: dict[str, list[float]] = {part: [] for part in PARTS}
    for jpeg in jpegs:
        timed.spent = 0.0
        moments = [time.process_time()]
        frame = decode(jpeg)
        assert frame is not None and dresser.steady is not None, 'a JPEG of this module, a steady dresser'
        moments.append(time.process_time())
        view = dresser.look(frame)
        moments.append(time.process_time())
        result = dresser.steady(view.code, garment.code)
        moments.append(time.process_time())
        dressed = dresser.paste(frame, view, result, garment)
        moments.append(time.process_time())
        encode(dressed)
        moments.append(time.process_time())
        decoding, looking, dressing, pasting, encoding = (
            1000 * (after - before) for before, after in itertools.pairwise(moments)
        )
        networks = 1000 * timed.spent
        parts = decoding, looking + dressing - networks, networks, pasting, encoding
        for part, value in zip(PARTS, parts, strict=True):
            spent[part].append(value)
    return {part: statistics.median(values[WARM_FRAMES:] or values) for part, values in spent.items()}


def print_parts(options: argparse.Namespace) -> None:
    """Dress a clip as the server does, on one thread, and print the processor time of each part."""
    import cv2

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    weights = choose_weights(weights=options.weights)
    loaded = TryOnPipeline.from_checkpoints(warp=weights.warp, gen=weights.gen)
    pipeline = on_backend(loaded, options.backend)
    picture = Image.fromarray(render_record(SEED, 'test', RECORD, size=GARMENT_SIZE).cloth)
    parts = measure_parts(pipeline, prepare_garment(pipeline, picture), list(jpegs_of(Path(options.clip))))
    print(f'milliseconds of processor time a frame, {pipeline.mode}, one thread, medians over the clip')
    for part, value in [*parts.items(), ('all', sum(parts.values()))]:
        print(f'{part:28} {value:6.1f}')


@torch.no_grad()
def published_seconds() -> list[float]:
    """Times of the published student's network in plain PyTorch on the CPU, its garment encoded."""
    pipeline = TryOnPipeline.untrained('dm_vton')
    device = torch.device('cpu')
    person, cloth, edge = made_up_pictures(1, pipeline.size, device)
    call = functools.partial(pipeline, person, pipeline.encode_garment(cloth, edge))
    return time_calls([call], device=device, repeats=CALLS, warm_up=2)[0]


def measure(page: Any, server: int) -> float:
    """Print frames a second and delay, then the gaps between frames while garments change; return the
    first.
    """
    page.wait_for_selector('#try_on')
    page.get_by_role('tab', name='Live').click()
    page.click('#live_start')
    page.wait_for_function(f'{FRAMES} > 10')
    time.sleep(WARM_SECONDS)
    readings, frames, spent = [], page.evaluate(FRAMES), processor_seconds(server)
    for _ in range(STEPS):
        time.sleep(2)
        readings.append((float(page.inner_text('#live_fps')), float(page.inner_text('#live_delay'))))
    fps, delay = (statistics.median(values) for values in zip(*readings, strict=True))
    print(f'frames a second: {fps:.1f}; delay: {delay:.0f} ms (medians of {STEPS} readings)')
    shown = max(1, page.evaluate(FRAMES) - frames)
    both = (after - before for after, before in zip(processor_seconds(server), spent, strict=True))
    server_ms, browser_ms = (1000 * x / shown for x in both)
    print(f'processor time a frame: server {server_ms:.0f} ms, browser {browser_ms:.0f} ms')
    gaps = sorted(page.evaluate(GAPS, 7))
    median, longest = statistics.median(gaps), gaps[-1]
    print(f'while garments change: {median:.0f} ms between frames, {longest:.0f} ms at most')
    return fps


@exit_cleanly
def main(arguments: list[str] | None = None) -> None:
    """Serve, open, measure."""
    parser = OptionParser('Measure the live tab in headless Chromium.')
    parser.add_argument('--clip', required=True, help='a video that is the camera')
    parser.add_argument('--backend', default='auto', help='as of app.py')
    parser.add_argument('--weights', default='drawn', help='as of app.py')
    parser.add_argument('--port', type=whole_number(1, 65535), default=7869, help='where the page is served')
    parser.add_argument('--parts', action='store_true', help='no browser: processor time of a frame by part')
    options = parser.parse_args(arguments)
    if options.parts:
        print_parts(options)
        return
    settings = ['--backend', options.backend, '--weights', options.weights, '--device', 'cpu']
    with browser_with_camera(Path(options.clip)) as browser:  # says first what is missing
        times = published_seconds()
        with served(settings, options.port) as page_served:
            page = browser.new_context(permissions=['camera']).new_page()
            page.set_default_timeout(1000 * START_SECONDS)
            page.goto(page_served.address)
            fps = measure(page, page_served.process)
    published = statistics.median([*times, *published_seconds()])
    print(f'published student, plain: {1000 * published:.0f} ms; frames in that time: {fps * published:.1f}')


if __name__ == '__main__':
    main(sys.argv[1:])
