"""The live tab's other half: frames of a camera come in over a WebSocket, dressed ones go back, and the
newest one wins.

A message of the browser is either binary, a number and a JPEG, or a text that names the garment by its
ticket. A frame goes through two threads: the networks see one while the frame before is tied to its
predecessor, put together and packed. Nothing queues up: of the frames that come while the networks are busy
only the last is kept. No frame is written to the disk.
"""

import asyncio
import json
import secrets
import struct
import threading
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import cv2
import numpy as np
import torch
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from torch import Tensor

from models.interface import TryOnModel, TryOnWrapper
from models.outputs import GarmentCode, PersonCode, TryOn
from photo.dressing import PreparedGarment
from photo.frames import FrameDresser, View
from utils.errors import UserError
from webapp.studio import plain_message
from webapp.wardrobe import Encoder

ADDRESS = '/live'
SCRIPT = Path(__file__).with_name('live.js')
MOST_VISITORS = 8  # at once
MOST_BYTES = 2_000_000  # of a message
LONGEST_SIDE = 1280  # pixels of a frame
GARMENT_SIDE = 512
QUALITY = 85
TICKETS = 1000  # garments that are remembered
HEAD, ANSWER = struct.Struct('<I'), struct.Struct('<If')  # frame number; frame number and milliseconds
BUSY, BAD_MESSAGE = 1013, 1003  # codes of RFC 6455


class Shared(TryOnWrapper):
    """A try-on model for several threads: its calls, one at a time."""

    def __init__(self, model: TryOnModel):
        super().__init__(model)
        self._lock = threading.RLock()

    def __call__(
        self, person: Tensor | PersonCode, cloth: Tensor | GarmentCode, edge: Tensor | None = None
    ) -> TryOn:
        with self._lock:
            return super().__call__(person, cloth, edge)

    def encode_person(self, person: Tensor) -> PersonCode:
        with self._lock:
            return super().encode_person(person)

    def encode_garment(self, cloth: Tensor, edge: Tensor) -> GarmentCode:
        with self._lock:
            return super().encode_garment(cloth, edge)


class Wearing(NamedTuple):
    """A visitor's garment, or the reason why there is none."""

    garment: PreparedGarment | None
    problem: str = 'Choose a garment first.'


class Seen(NamedTuple):
    """A frame that the networks have seen, to be finished."""

    frame: np.ndarray  # uint8 [H, W, 3] RGB
    view: View
    result: TryOn
    garment: PreparedGarment
    number: int  # by which the browser knows it
    start: float  # when it was begun, by `time.perf_counter`


class LiveRoom:
    """All visitors before their cameras, dressed by one pipeline, in turns: one frame is predicted at a time,
    and one finished.
    """

    def __init__(self, pipeline: TryOnModel, garments: Encoder):
        self.pipeline, self.garments = pipeline, garments
        self._tickets: OrderedDict[str, str] = OrderedDict()  # ticket -> file
        # Everybody's frames, in turns: the networks' half, and the other one while the networks see the next.
        self.predicting = ThreadPoolExecutor(1, thread_name_prefix='predicting')
        self.finishing = ThreadPoolExecutor(1, thread_name_prefix='finishing')
        self._visitors = 0

    def routes(self) -> list[WebSocketRoute]:
        """Routes for the web server."""
        return [WebSocketRoute(ADDRESS, self.visit)]

    def ticket(self, path: str | None) -> str:
        """A name for a garment's file that says nothing of where it lies, and that nobody can guess; '' for
        none.
        """
        if not path:
            return ''
        ticket = secrets.token_urlsafe(16)
        self._tickets[ticket] = path
        while len(self._tickets) > TICKETS:
            self._tickets.popitem(last=False)
        return ticket

    def prepare(self, paths: list[Path]) -> None:
        """Encode garments beforehand, so that they can be put on at once."""
        for path in paths:
            self._encode(str(path))

    def wearing(self, ticket: str) -> Wearing:
        """The garment of a ticket, encoded."""
        path = self._tickets.get(ticket)
        if path is None:
            return Wearing(None)
        try:
            return Wearing(self._encode(path), '')
        except UserError as error:
            return Wearing(None, plain_message(str(error), path))

    @torch.no_grad()
    def _encode(self, path: str) -> PreparedGarment:
        return self.garments(path, longest=GARMENT_SIDE)

    async def visit(self, socket: WebSocket) -> None:
        """One visitor, from the camera's start to its end."""
        if not is_own_page(socket.headers.get('origin'), socket.headers.get('host')):
            await socket.close()
            return
        await socket.accept()
        if self._visitors >= MOST_VISITORS:
            await socket.send_text(
                json.dumps({'problem': 'Too many people stand before their cameras here; try again later.'})
            )
            await socket.close(BUSY)
            return
        self._visitors += 1
        visitor = Visitor(self, socket)
        dressing = asyncio.create_task(visitor.dress())
        try:
            await visitor.listen()
        except (
            WebSocketDisconnect,
            RuntimeError,
        ):  # the second comes where the line broke while an answer was sent
            pass
        finally:
            self._visitors -= 1
            dressing.cancel()


class Visitor:
    """A camera's connection: the newest frame that came, and the garment that is worn."""

    def __init__(self, room: LiveRoom, socket: WebSocket):
        self.room, self.socket = room, socket
        self.dresser = FrameDresser(room.pipeline)
        self.worn = Wearing(None)
        self.newest: bytes | None = None
        self.came = asyncio.Event()
        self.changes = 0

    async def listen(self) -> None:
        """Take messages until the visitor leaves or sends what is none."""
        preparing: set[asyncio.Task] = set()
        while True:
            message = await self.socket.receive()
            if message['type'] == 'websocket.disconnect':
                return
            data, text = message.get('bytes'), message.get('text')
            if data is not None and HEAD.size < len(data) <= MOST_BYTES:
                self.newest = data
                self.came.set()
            elif text is not None and len(text) < 200:
                self.changes += 1
                task = asyncio.create_task(self.wear(text, self.changes))
                preparing.add(task)
                task.add_done_callback(preparing.discard)
            else:
                await self.socket.close(BAD_MESSAGE)
                return

    async def wear(self, ticket: str, change: int) -> None:
        """Put a garment on as soon as it is ready; until then the one before is worn."""
        worn = await asyncio.to_thread(self.room.wearing, ticket)
        if change == self.changes:  # not, if another was chosen meanwhile
            self.worn = worn
            await self.say(worn.problem)

    async def say(self, problem: str) -> None:
        await self.socket.send_text(json.dumps({'problem': problem}))

    async def dress(self) -> None:
        """Dress the newest frame, again and again: one is finished while the networks see the next."""
        loop = asyncio.get_running_loop()
        finishing: asyncio.Task | None = None
        try:
            while True:
                await self.came.wait()
                self.came.clear()
                data, garment = self.newest, self.worn.garment
                assert data is not None, '`came` is set by a frame'
                seen = None
                if garment is not None:
                    seen = await loop.run_in_executor(self.room.predicting, self.see, data, garment)
                if finishing is not None:
                    await finishing  # answers go out in the order of the frames, and nothing queues up
                finishing = asyncio.create_task(self.answer(data, seen))
        finally:
            if finishing is not None:
                finishing.cancel()

    def see(self, data: bytes, garment: PreparedGarment) -> Seen | None:
        """A frame's message -> what the networks say of the frame; None if it is none."""
        start, (number,) = time.perf_counter(), HEAD.unpack_from(data)
        frame = decode(data[HEAD.size :])
        if frame is None:
            return None
        view = self.dresser.look(frame)
        return Seen(frame, view, self.dresser.predict(view, garment), garment, number, start)

    async def answer(self, data: bytes, seen: Seen | None) -> None:
        """Send what `finish` makes of a frame's message; its number alone where nothing was seen."""
        answer = ANSWER.pack(HEAD.unpack_from(data)[0], 0.0)
        if seen is not None:
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self.room.finishing, self.finish, seen)
        await self.socket.send_bytes(answer)

    def finish(self, seen: Seen) -> bytes:
        """A frame's number, the milliseconds since it was begun, and the dressed frame as a JPEG."""
        dressed = encode(self.dresser.finish(seen.frame, seen.view, seen.result, seen.garment))
        return ANSWER.pack(seen.number, 1000 * (time.perf_counter() - seen.start)) + dressed


def decode(data: bytes) -> np.ndarray | None:
    """A JPEG as uint8 [H, W, 3] RGB; None for what is none, or too large, which its head says before it is
    unpacked.
    """
    size = jpeg_size(data)
    if size is None or max(size) > LONGEST_SIDE or min(size) < 64:
        return None
    frame = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return None if frame is None else cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def encode(frame: np.ndarray) -> bytes:
    """A frame uint8 [H, W, 3] RGB as JPEG."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    return cv2.imencode('.jpg', cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), settings)[1].tobytes()


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) by a JPEG's frame header (ITU T.81, B.2.2); None where there is none."""
    place = 2
    while data[:2] == b'\xff\xd8' and place + 9 < len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from('>HH', data, place + 5)
            return width, height
        place += 2 + struct.unpack_from('>H', data, place + 2)[0]
    return None


def is_own_page(origin: str | None, host: str | None) -> bool:
    """Return True for connections from the page itself or from no page: pages of other origins are
    refused.
    """
    return origin is None or (host is not None and urlsplit(origin).netloc == host)
