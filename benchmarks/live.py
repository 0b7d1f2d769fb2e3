"""Frames a second and delay of the live tab in headless Chromium, with a clip as its camera.

    python -m benchmarks.live --clip clip.mkv --backend native

Starts app.py, opens its page, and reads what the page says; then changes the garment a few times and measures
the longest gap between two frames. Chromium and the server share the machine's cores, as they would on a
visitor's own.
"""

import contextlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opt.base_opt import whole_number
from photo.clip import open_clip
from utils.cli import OptionParser
from utils.errors import UserError, exit_cleanly

ROOT = Path(__file__).parents[1]
START_SECONDS = 180
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


@contextlib.contextmanager
def served(arguments: list[str], port: int) -> Iterator[str]:
    """Run app.py; yields the page's address."""
    address = f'http://127.0.0.1:{port}'
    line = [sys.executable, 'app.py', '--port', str(port), *arguments]
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise UserError('app.py did not start; run it by hand to see why')
            with contextlib.suppress(OSError):
                urllib.request.urlopen(address, timeout=5).close()
                break
            time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


def write_camera(clip: Path, path: Path) -> None:
    """Write a clip as Motion JPEG, which Chromium shows again and again as its camera."""
    import cv2

    reader = open_clip(clip)
    with open(path, 'wb') as file, contextlib.closing(reader):
        for frame in reader.frames():
            file.write(
                cv2.imencode('.jpg', frame.pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
            )


def measure(page: Any) -> None:
    """Print frames a second and delay, then the gaps between frames while garments change."""
    page.wait_for_selector('#try_on')
    page.get_by_role('tab', name='Live').click()
    page.click('#live_start')
    page.wait_for_function(f'{FRAMES} > 10')
    time.sleep(WARM_SECONDS)
    readings = []
    for _ in range(STEPS):
        time.sleep(2)
        readings.append((float(page.inner_text('#live_fps')), float(page.inner_text('#live_delay'))))
    fps, delay = (statistics.median(values) for values in zip(*readings, strict=True))
    print(f'frames a second: {fps:.1f}; delay: {delay:.0f} ms (medians of {STEPS} readings)')
    gaps = sorted(page.evaluate(GAPS, 7))
    print(
        f'while garments change: {statistics.median(gaps):.0f} ms between frames, {gaps[-1]:.0f} ms at most'
    )


@exit_cleanly
def main(arguments: list[str] | None = None) -> None:
    """Serve, open, measure."""
    parser = OptionParser('Measure the live tab in headless Chromium.')
    parser.add_argument('--clip', required=True, help='a video that is the camera')
    parser.add_argument('--backend', default='auto', help='as of app.py')
    parser.add_argument('--weights', default='drawn', help='as of app.py')
    parser.add_argument(
        '--port', type=whole_number(1, 65535), default=7869, help='that the page is served on'
    )
    options = parser.parse_args(arguments)
    chromium = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if chromium is None:
        raise UserError('Chromium is not installed; apt install chromium')
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise UserError('playwright is not installed; pip install playwright') from error
    with tempfile.TemporaryDirectory() as folder:
        camera = Path(folder) / 'camera.mjpeg'
        write_camera(Path(options.clip), camera)
        flags = ['--no-sandbox', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream']
        flags.append(f'--use-file-for-fake-video-capture={camera}')
        settings = ['--backend', options.backend, '--weights', options.weights, '--device', 'cpu']
        with served(settings, options.port) as address, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=flags)
            page = browser.new_context(permissions=['camera']).new_page()
            page.set_default_timeout(1000 * START_SECONDS)
            page.goto(address)
            measure(page)
            browser.close()


if __name__ == '__main__':
    main(sys.argv[1:])
