"""Time to the first picture, and live frames a second, of the exported page in headless Chromium on loopback.

    python export.py --format web --out site/
    python -m benchmarks.page --site site/ --clip clip.mkv

Each visit begins with an empty cache. *First picture*: from the start of the navigation until the page has
dressed the first sample, by the page's own mark. *Live*: frames put onto the page's canvas, with the clip as
camera. Both are measured on the processor (WASM); on a first visit with one thread, and after a reload, which
the service worker isolates from other origins, with as many as there are cores.
"""

import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.browser import browser_with_camera, processor_seconds, running
from opt.base_opt import whole_number
from utils.cli import OptionParser
from utils.errors import UserError, exit_cleanly
from utils.paths import expand

START_SECONDS, MOST_SECONDS = 20, 180
WARM_SECONDS, LIVE_SECONDS = 5, 15
COUNT = """
  window.framesShown = 0;
  const put = CanvasRenderingContext2D.prototype.putImageData;
  CanvasRenderingContext2D.prototype.putImageData = function (...rest) {
    if (this.canvas.id === 'result') window.framesShown++;
    return put.apply(this, rest);
  };
"""
FIRST = "performance.getEntriesByName('dressed')[0]?.startTime"


@contextlib.contextmanager
def served(folder: Path, port: int) -> Iterator[str]:
    """Serve a folder as a static server does, until the block ends; yields its address."""
    address = f'http://127.0.0.1:{port}/'
    line = [sys.executable, '-m', 'http.server', str(port), '--bind', '127.0.0.1', '--directory', str(folder)]
    problem = f'--port {port}: nothing can be served there; give another'
    with running(line, address, seconds=START_SECONDS, problem=problem, stderr=subprocess.DEVNULL):
        yield address


def first_picture(page: Any) -> float:
    """Seconds from the navigation's start to the first dressed picture."""
    page.wait_for_function(FIRST)
    return page.evaluate(FIRST) / 1000


def live(page: Any) -> tuple[float, float]:
    """Frames a second of the live camera, and the browser's milliseconds of processor time for each."""
    page.click('text=Camera')
    page.click('#start')
    page.wait_for_selector('#pace:not([hidden])')
    time.sleep(WARM_SECONDS)
    start, count, spent = time.monotonic(), page.evaluate('framesShown'), sum(processor_seconds(0))
    time.sleep(LIVE_SECONDS)
    shown = page.evaluate('framesShown') - count
    seconds = time.monotonic() - start
    return shown / seconds, 1000 * (sum(processor_seconds(0)) - spent) / max(1, shown)


def measure(browser: Any, address: str, visits: int) -> None:
    """Print the first pictures of some first visits, then a first and a second visit's live frames."""
    seconds = []
    for visit in range(visits):
        context = browser.new_context(bypass_csp=True, permissions=['camera'])
        context.add_init_script(COUNT)
        page = context.new_page()
        page.set_default_timeout(1000 * MOST_SECONDS)
        page.goto(address)
        seconds.append(first_picture(page))
        if visit < visits - 1:
            context.close()
    listed = ', '.join(f'{value:.2f}' for value in seconds)
    print(f'first picture: {statistics.median(seconds):.2f} s (median of {listed})')
    print_live(page, 'first visit')
    page.reload()  # so that the service worker has seen every file
    first_picture(page)
    page.reload()
    print(f'first picture of a later visit: {first_picture(page):.2f} s')
    print_live(page, 'later visit')


def print_live(page: Any, name: str) -> None:
    """Print what `live` says of a page."""
    isolated = 'isolated' if page.evaluate('crossOriginIsolated') else 'not isolated, one thread'
    pace, spent = live(page)
    print(f'live, {name} ({isolated}): {pace:.1f} frames a second, {spent:.0f} ms of processor time a frame')


@exit_cleanly
def main(arguments: list[str] | None = None) -> None:
    """Serve, open, measure."""
    parser = OptionParser('Measure the exported page in headless Chromium.')
    parser.add_argument('--site', required=True, metavar='FOLDER', help='what export.py --format web wrote')
    parser.add_argument('--clip', required=True, help='a video that is the camera')
    parser.add_argument('--visits', type=whole_number(1), default=5, help='first visits that are timed')
    parser.add_argument(
        '--port', type=whole_number(1, 65535), default=7868, help='that the page is served on'
    )
    options = parser.parse_args(arguments)
    site = expand(options.site)
    if not (site / 'site.json').is_file():
        raise UserError(f'--site {site}: no page; write one with export.py --format web --out {site}')
    with browser_with_camera(expand(options.clip)) as browser, served(site, options.port) as address:
        measure(browser, f'{address}?engine=wasm', options.visits)


if __name__ == '__main__':
    main(sys.argv[1:])
