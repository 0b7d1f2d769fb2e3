"""Headless Chromium with a clip as its camera, and servers for it: shared by the benchmarks of pages.

Needs Chromium, playwright and psutil.
"""

import contextlib
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from photo.clip import open_clip
from utils.errors import UserError

CAMERA_RATE = 30  # frames a second
BROWSERS = ('chromium', 'chromium-browser', 'google-chrome')


def find_chromium() -> str | None:
    """The path of an installed Chromium, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def frames_of(clip: Path) -> Iterator[np.ndarray]:
    """The frames of a clip, uint8 [H, W, 3]."""
    reader = open_clip(clip)
    with contextlib.closing(reader):
        for frame in reader.frames():
            yield frame.pixels


def write_camera(frames: Iterable[np.ndarray], path: Path) -> None:
    """Write frames, uint8 [H, W, 3], as YUV4MPEG2, 30 a second, which Chromium shows again and again as its
    camera: it need not decode what a real camera hands over.
    """
    import cv2

    with path.open('wb') as file:
        for number, pixels in enumerate(frames):
            height, width = (side // 2 * 2 for side in pixels.shape[:2])
            if number == 0:
                file.write(f'YUV4MPEG2 W{width} H{height} F{CAMERA_RATE}:1 Ip A1:1 C420jpeg\n'.encode())
            even = np.ascontiguousarray(pixels[:height, :width])
            file.write(b'FRAME\n' + cv2.cvtColor(even, cv2.COLOR_RGB2YUV_I420).tobytes())


def jpegs_of(clip: Path) -> Iterator[bytes]:
    """The frames of a clip as JPEGs."""
    import cv2

    for pixels in frames_of(clip):
        yield cv2.imencode('.jpg', pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def camera_flags(camera: Path) -> list[str]:
    """Chromium's flags for a camera that shows what `write_camera` wrote, and that nobody is asked about."""
    flags = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream']
    return [*flags, f'--use-file-for-fake-video-capture={camera}']


@contextlib.contextmanager
def browser_with_camera(clip: Path) -> Iterator[Any]:
    """Yield playwright's browser, a Chromium whose camera shows `clip` again and again.

    Raises `UserError` where the clip cannot be read or something is not installed.
    """
    chromium = find_chromium()
    if chromium is None:
        raise UserError('Chromium is not installed; apt install chromium')
    try:
        import psutil  # noqa: F401 - used by `processor_seconds`; missing, it is said before minutes of work
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise UserError(f'{error.name} is not installed; pip install playwright psutil') from error
    with tempfile.TemporaryDirectory() as folder:
        camera = Path(folder) / 'camera.y4m'
        write_camera(frames_of(clip), camera)
        flags = ['--no-sandbox', *camera_flags(camera)]
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=flags)
            try:
                yield browser
            finally:
                browser.close()


@contextlib.contextmanager
def running(line: Sequence[str], address: str, *, seconds: float, problem: str, **settings) -> Iterator[int]:
    """Run a server until the block ends; yields its process id once it answers at `address`.

    `settings` are those of `subprocess.Popen`. Raises `UserError` with `problem` where it ends or does not
    answer within `seconds`.
    """
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, **settings)
    try:
        deadline = time.monotonic() + seconds
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise UserError(problem)
            with contextlib.suppress(OSError):
                urllib.request.urlopen(address, timeout=5).close()
                break
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


def processor_seconds(server: int) -> tuple[float, float]:
    """Processor time so far of the server, and of the browser: of all else that this process started."""
    import psutil

    spent = [0.0, 0.0]
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # ended meanwhile
            times = process.cpu_times()
            spent[process.pid != server] += times.user + times.system
    return spent[0], spent[1]
