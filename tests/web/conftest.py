"""The exported page on a static server, and a browser to open it in."""

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from benchmarks.browser import BROWSERS, camera_flags, find_chromium, write_camera
from models import TryOnPipeline
from models.checkpoint.defaults import choose_weights
from synthetic.records import render_record

SIZE = (128, 96)  # of the exported networks: half of what they were trained for, and quick
CAMERA = (480, 640)
SITE = 'TRYON_SITE'  # environment variable: a folder that export.py --format web wrote, to save minutes


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without a word."""

    extensions_map = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        '.mjs': 'text/javascript',
        '.js': 'text/javascript',
    }

    def log_message(self, *args) -> None:
        pass


class Exported(NamedTuple):
    """A page and the pipeline whose page it is."""

    url: str
    folder: Path
    pipeline: TryOnPipeline
    size: tuple[int, int]


def serve(folder: Path) -> Iterator[str]:
    """Yield the address of a static server of a folder."""
    server = http.server.ThreadingHTTPServer(
        ('127.0.0.1', 0), functools.partial(QuietHandler, directory=folder)
    )
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f'http://127.0.0.1:{server.server_port}/'
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope='session')
def exported(tmp_path_factory) -> Iterator[Exported]:
    """The page of the weights in the box; skips where something is missing that exporting needs."""
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(package, reason=f'{package} is not installed')
    for program in ('node', 'npm'):
        if shutil.which(program) is None:
            pytest.skip(f'{program} is not installed')
    from webapp.static_page import write_site

    weights = choose_weights(weights='drawn')
    pipeline = TryOnPipeline.from_checkpoints(warp=weights.warp, gen=weights.gen)
    folder, size = Path(os.environ.get(SITE, '')), pipeline.size
    if not os.environ.get(SITE):
        folder, size = tmp_path_factory.mktemp('web') / 'site', SIZE
        write_site(pipeline, folder, size=size, about=f'Weights: {weights.about}.')
    for url in serve(folder):
        yield Exported(url, folder, pipeline, size)


def camera_frame() -> np.ndarray:
    """What the fake camera sees: a drawn person in the middle of a wide picture, uint8 [H, W, 3]."""
    person = render_record(7, 'test', 10, size=(480, 360)).person
    frame = np.empty((*CAMERA, 3), np.uint8)
    frame[:] = person[2, 2]
    frame[:, 140:500] = person
    return frame


def through_video(frame: np.ndarray) -> tuple[bytes, np.ndarray]:
    """A frame as video stores it (planes of brightness and half as fine colours), and what is left of it,
    uint8 [H, W, 3].
    """
    planes = cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420)
    return planes.tobytes(), cv2.cvtColor(planes, cv2.COLOR_YUV2RGB_I420)


@pytest.fixture(scope='session')
def browser(tmp_path_factory):
    """A headless Chromium whose fake camera sees `camera_frame`; skips without one."""
    playwright = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
    found = find_chromium()
    if found is None:
        pytest.skip(f'none of {", ".join(BROWSERS)} is installed')
    clip = tmp_path_factory.mktemp('camera') / 'person.y4m'
    write_camera(30 * [camera_frame()], clip)
    arguments = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', *camera_flags(clip)]
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()
