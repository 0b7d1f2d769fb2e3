"""Treat the page as many and impatient visitors do, and see whether it stays up: `python -m
tests.webapp.browser_hour`.

Serves app.py and opens it in headless Chromium: visitors at once who all dress a photograph, uploads cut off
in the middle, pages closed during work, cameras that are refused or go away, lines of the live tab torn
during a frame, more cameras than the page takes. After each the page must dress a photograph for somebody
new. Prints the server's memory, open files, threads, and the files in its temporary folder after each; ends
with status 1 where something failed. Needs Chromium, playwright, psutil and websockets.
"""

import argparse
import contextlib
import json
import os
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import cv2
import numpy as np
import psutil
from PIL import Image

from benchmarks.browser import find_chromium
from benchmarks.live import served
from synthetic.records import render_record

PATIENCE = 300_000  # milliseconds; the machine may do other work
CLEAR = ('Clear', 'Remove Image')  # what versions of Gradio call the button that empties a picture
PEOPLE = (7, 10, 23, 6)  # records of the drawings
UPLOAD = 5_000_000  # bytes of a picture, of which half arrives
MOST_CAMERAS = 8  # as webapp.live.MOST_VISITORS
MEGA = 1e6


class State(NamedTuple):
    """What the server takes."""

    megabytes: float  # resident memory
    files: int  # open
    threads: int
    left: int  # files in its temporary folder


class Hour:
    """A page that is being served, and a browser to visit it with."""

    def __init__(self, address: str, process: int, browser: Any, folder: Path):
        self.address, self.process, self.browser = address, psutil.Process(process), browser
        self.folder = folder
        self.problems: list[str] = []

    def state(self) -> State:
        """The server's, now."""
        kept = Path(self.process.environ()['TMPDIR'])
        return State(
            self.process.memory_info().rss / MEGA,
            self.process.num_fds(),
            self.process.num_threads(),
            sum(path.is_file() for path in kept.rglob('*')),
        )

    def photograph(self, number: int) -> Path:
        """A drawn person of a size and content of its own."""
        path = self.folder / f'visitor{number}.jpg'
        picture = Image.fromarray(
            render_record(7, 'test', PEOPLE[number % len(PEOPLE)], size=(512, 384)).person
        )
        picture.resize((390 + number, 520)).save(path)
        return path

    def open_page(self, script: str = '') -> Any:
        """A visitor's own window."""
        context = self.browser.new_context(permissions=['camera'])
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on('pageerror', lambda error: self.problems.append(f'in the page: {error}'))
        if script:
            page.add_init_script(script)
        page.goto(self.address)
        page.wait_for_selector('#person img')
        return page

    def ask(self, page: Any, number: int) -> None:
        """Give a photograph and press the button."""
        page.locator(', '.join(f'#person button[aria-label="{name}"]' for name in CLEAR)).first.click()
        page.locator('#person input[type=file]').set_input_files(self.photograph(number))
        page.wait_for_selector('#person img')
        page.click('#try_on')

    def dressed(self, page: Any, number: int) -> None:
        """Wait for the picture of `ask`, which must be that of this visitor."""
        page.wait_for_selector('#result img')
        page.wait_for_function(
            f"document.querySelector('#about').innerText.includes('{390 + number} x 520 pixels')"
        )

    def dress_one(self) -> None:
        """Somebody new comes, is dressed, and goes."""
        page = self.open_page()
        self.ask(page, 0)
        self.dressed(page, 0)
        page.context.close()


def many_at_once(hour: Hour, count: int) -> None:
    """All press the button before the first is done; each gets a picture of its own."""
    pages = [hour.open_page() for _ in range(count)]
    for number, page in enumerate(pages):
        hour.ask(page, number)
    for number, page in enumerate(pages):
        hour.dressed(page, number)
        page.context.close()


def cut_uploads(hour: Hour, count: int) -> None:
    """Half a picture arrives, then the line is dead."""
    address = urlsplit(hour.address)
    head = '--cut\r\nContent-Disposition: form-data; name="files"; filename="half.jpg"\r\n\r\n'
    request = (
        f'POST /gradio_api/upload HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {UPLOAD}\r\n'
        f'Content-Type: multipart/form-data; boundary=cut\r\n\r\n{head}'
    ).encode()
    for _ in range(count):
        with socket.create_connection((address.hostname, address.port)) as line:
            line.sendall(request)
            line.sendall(os.urandom(UPLOAD // 2))
            reset(line)


def reset(line: socket.socket) -> None:
    """Make the line end without a farewell, as where a phone loses its network."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))


def closed_during_work(hour: Hour, count: int) -> None:
    """The button is pressed and the page is gone."""
    for number in range(count):
        page = hour.open_page()
        hour.ask(page, number)
        page.context.close()


def start_camera(page: Any) -> None:
    page.get_by_role('tab', name='Live').click()
    page.click('#live_start')


def cameras_refused_and_gone(hour: Hour, count: int) -> None:
    """Half of the visitors refuse the camera, and one of the others' is pulled out again and again."""
    refuse = (
        "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotAllowedError') }"
    )
    keep = (
        'const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);'
        'navigator.mediaDevices.getUserMedia = async (wanted) => (window.stream = await ask(wanted));'
    )
    for number in range(count):
        page = hour.open_page(refuse if number % 2 else keep)
        start_camera(page)
        if number % 2:
            page.get_by_text('The camera was refused').wait_for()
        else:
            page.wait_for_function("Number(document.querySelector('#live_view').dataset.frames) > 1")
            page.evaluate("window.stream.getVideoTracks()[0].dispatchEvent(new Event('ended'))")
            page.get_by_text('The camera went away').wait_for()
        page.context.close()


def torn_lines(hour: Hour, count: int) -> None:
    """Frames are sent and the line is reset, nobody waits for an answer; then all places are free again."""
    from websockets.exceptions import WebSocketException
    from websockets.sync.client import connect

    ok, jpeg = cv2.imencode('.jpg', np.full((480, 640, 3), 90, np.uint8))
    assert ok, 'OpenCV writes JPEGs'
    url = hour.address.replace('http', 'ws') + '/live'
    for _ in range(count):
        with contextlib.suppress(OSError, WebSocketException), connect(url) as line:
            for frame in range(3):
                line.send(struct.pack('<I', frame) + jpeg.tobytes())
            reset(line.socket)
            line.socket.close()
    time.sleep(2)
    with contextlib.ExitStack() as open_lines:
        lines = [open_lines.enter_context(connect(url)) for _ in range(MOST_CAMERAS + 1)]
        said = json.loads(lines[-1].recv(timeout=60))
        if 'Too many people' not in said['problem']:
            raise AssertionError(f'a camera too many was told {said}')
        for number, line in enumerate(lines[:-1]):
            line.send(struct.pack('<I', number) + jpeg.tobytes())
            answer = line.recv(timeout=60)
            if not isinstance(answer, bytes):
                raise AssertionError(f'camera {number} of {MOST_CAMERAS} was told {answer}')


ORDEALS: dict[str, Callable[[Hour, int], None]] = {
    'visitors at once': many_at_once,
    'uploads cut off': cut_uploads,
    'pages closed during work': closed_during_work,
    'cameras refused or gone': cameras_refused_and_gone,
    'lines torn during a frame': torn_lines,
}


def endure(hour: Hour, counts: dict[str, int]) -> bool:
    """Run the ordeals and print a row for each; returns whether all was well."""
    print(
        f'{"":28} {"count":>6} {"seconds":>8} {"MB":>7} {"open files":>11} {"threads":>8} {"files kept":>11}'
    )

    def row(name: str, count: int, seconds: float) -> None:
        state = hour.state()
        numbers = f'{state.megabytes:7.0f} {state.files:11} {state.threads:8} {state.left:11}'
        print(f'{name:28} {count:6} {seconds:8.0f} {numbers}', flush=True)

    hour.dress_one()
    row('one visitor', 1, 0)
    for name, ordeal in ORDEALS.items():
        start = time.monotonic()
        try:
            ordeal(hour, counts[name])
            hour.dress_one()
        except Exception as error:  # the next ordeal tells more
            hour.problems.append(f'{name}: {type(error).__name__}: {error}')
        row(name, counts[name], time.monotonic() - start)
    for problem in hour.problems:
        print(problem)
    return not hour.problems


def main() -> None:
    """Serve, visit, and say how it went."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--visitors', type=int, default=20, help='at once; the others follow from it')
    parser.add_argument('--port', type=int, default=7871)
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    chromium = find_chromium()
    if chromium is None:
        sys.exit('Chromium is not installed; apt install chromium')
    counts = {name: options.visitors for name in ORDEALS} | {'uploads cut off': 5 * options.visitors}
    flags = [
        '--no-sandbox',
        '--disable-gpu',
        '--use-fake-device-for-media-stream',
        '--use-fake-ui-for-media-stream',
    ]
    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        kept, own = Path(name) / 'server', Path(name) / 'visitors'
        kept.mkdir()
        own.mkdir()
        os.environ['TMPDIR'] = str(kept)  # of the server, whose leftovers are counted
        with served(['--backend', 'torch', '--weights', 'drawn', '--device', 'cpu'], options.port) as page:
            browser = driver.chromium.launch(executable_path=chromium, args=flags)
            is_well = endure(Hour(page.address, page.process, browser, own), counts)
            browser.close()
        if left := [path.name for path in kept.iterdir()]:
            print(f'left in the temporary folder after the end: {", ".join(left)}')
    sys.exit(not is_well)


if __name__ == '__main__':
    main()
