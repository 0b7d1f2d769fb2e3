"""The page, served by its own command to a browser on this machine."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from PIL import Image

from benchmarks.browser import find_chromium
from models import TryOnPipeline
from synthetic.records import render_record

ROOT = Path(__file__).parents[2]
START_SECONDS = 120
LIMITS = {'max_upload': 1, 'max_megapixels': 2}
SIZE = (64, 64)


class Server(NamedTuple):
    """A page that is being served."""

    address: str
    garments: Path


@pytest.fixture(scope='session')
def drawn(tmp_path_factory):
    """A drawn person and two garments on the disk."""
    folder = tmp_path_factory.mktemp('drawn')
    (folder / 'garments').mkdir()
    for index in (0, 9):
        record = render_record(7, 'test', index, size=(256, 192))
        Image.fromarray(record.cloth).save(folder / 'garments' / f'shirt{index}.png')
        Image.fromarray(record.person).save(folder / f'person{index}.png')
    return folder


@pytest.fixture(scope='session')
def pipeline():
    """DM-VTON as initialised, for small pictures."""
    torch.manual_seed(0)
    pipeline = TryOnPipeline.untrained('dm_vton')
    pipeline.size = SIZE
    return pipeline


KEPT = 6  # seconds instead of an hour


@pytest.fixture(scope='session')
def server(drawn, small_checkpoints, tmp_path_factory):
    """The page of networks as initialised."""
    pytest.importorskip('gradio', reason='gradio is not installed')
    with _serving(
        [sys.executable, 'app.py'], drawn, small_checkpoints, tmp_path_factory.mktemp('page')
    ) as server:
        yield server


@pytest.fixture
def patient_server(drawn, small_checkpoints, tmp_path):
    """The same page whose hours are KEPT seconds long."""
    pytest.importorskip('gradio', reason='gradio is not installed')
    program = (
        'import sys; from webapp import retention; '
        f'retention.SAY_SECONDS = {KEPT / 3}; retention.Keeper.__init__.__kwdefaults__["seconds"] = {KEPT}; '
        'import app; app.main(sys.argv[1:])'
    )
    with _serving([sys.executable, '-c', program], drawn, small_checkpoints, tmp_path) as server:
        yield server


@contextlib.contextmanager
def _serving(command: list[str], drawn: Path, checkpoints: Path, folder: Path) -> Iterator[Server]:
    """The page, from its command to its end."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    line = [*command, '--port', str(port), '--backend', 'torch', '--device', 'cpu']
    line += ['--checkpoint', str(checkpoints), '--garments', str(drawn / 'garments')]
    line += [str(word) for key, value in LIMITS.items() for word in (f'--{key}', value)]
    with open(folder / 'log', 'w') as log:
        process = subprocess.Popen(line, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT)
    address = f'http://127.0.0.1:{port}'
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(address, timeout=5).close()
                break
            except OSError:
                said = (folder / 'log').read_text()
                assert process.poll() is None and time.monotonic() < deadline, said
                time.sleep(0.3)
        yield Server(address, drawn / 'garments')
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope='session')
def browser():
    """A headless Chromium with a camera that shows a test picture."""
    playwright = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
    chromium = os.environ.get('CHROMIUM') or find_chromium()
    if chromium is None:
        pytest.skip('Chromium is not installed')
    arguments = [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
    ]
    arguments += ['--disable-component-update', '--disable-sync']
    arguments += ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream']
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()
