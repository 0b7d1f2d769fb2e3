"""The live tab's connection: the newest frame wins, garments change beside the frames, and nonsense ends
it.
"""

import json
import struct
import threading

import cv2
import numpy as np
import pytest
from PIL import Image

starlette = pytest.importorskip(
    'starlette.testclient', reason='gradio, which brings starlette, is not installed'
)
pytest.importorskip('gradio', reason='gradio is not installed')

from starlette.applications import Starlette  # noqa: E402

from webapp import live  # noqa: E402
from webapp.live import LiveRoom, Shared, decode, encode, is_own_page, jpeg_size  # noqa: E402
from webapp.wardrobe import Encoder  # noqa: E402


@pytest.fixture
def room(pipeline):
    shared = Shared(pipeline)
    return LiveRoom(shared, Encoder(shared, megapixels=2))


@pytest.fixture
def client(room):
    return starlette.TestClient(Starlette(routes=room.routes()))


def frame(value: int = 0, size: tuple[int, int] = (480, 640)) -> np.ndarray:
    picture = np.full((*size, 3), 60 + 20 * value, np.uint8)
    return cv2.GaussianBlur(
        cv2.circle(picture, (size[1] // 2, size[0] // 2), 90, (200, 60, 30), -1), (9, 9), 3
    )


def message(number: int, picture: np.ndarray) -> bytes:
    return struct.pack('<I', number) + encode(picture)


def number_of(data: bytes) -> int:
    return struct.unpack_from('<I', data)[0]


def answer(socket) -> tuple[int, np.ndarray | None]:
    data = socket.receive_bytes()
    number, _ = struct.unpack_from('<If', data)
    return number, decode(data[8:]) if len(data) > 8 else None


def test_a_frame_comes_back_dressed_under_its_number(client, room, drawn):
    with client.websocket_connect('/live') as socket:
        socket.send_text(room.ticket(str(drawn / 'garments' / 'shirt0.png')))
        assert json.loads(socket.receive_text()) == {'problem': ''}
        for number in (7, 8):
            socket.send_bytes(message(number, frame()))
            came, picture = answer(socket)
            assert came == number and picture.shape == (480, 640, 3)


def test_of_frames_that_wait_only_the_newest_is_dressed(client, room, drawn, monkeypatch):
    gate, seen = threading.Event(), []

    def slow(self, data, garment):
        gate.wait(20)
        seen.append(number_of(data))

    monkeypatch.setattr(live.Visitor, 'see', slow)
    with client.websocket_connect('/live') as socket:
        socket.send_text(room.ticket(str(drawn / 'garments' / 'shirt0.png')))
        socket.receive_text()
        for number in range(6):
            socket.send_bytes(message(number, frame()))
        socket.send_text('-')  # answered when everything before it was taken
        socket.receive_text()
        gate.set()
        answer(socket)
    assert len(seen) <= 2 and seen[-1] in (0, 5)


def test_the_networks_see_a_frame_while_the_one_before_is_finished(client, room, drawn, monkeypatch):
    see, finish = live.Visitor.see, live.Visitor.finish
    begun, met = {0: threading.Event(), 1: threading.Event()}, []

    def watched_see(self, data, garment):
        begun[number_of(data)].set()
        return see(self, data, garment)

    def watched_finish(self, seen):
        met.append(begun[1].wait(20))
        return finish(self, seen)

    monkeypatch.setattr(live.Visitor, 'see', watched_see)
    monkeypatch.setattr(live.Visitor, 'finish', watched_finish)
    with client.websocket_connect('/live') as socket:
        socket.send_text(room.ticket(str(drawn / 'garments' / 'shirt0.png')))
        socket.receive_text()
        socket.send_bytes(message(0, frame()))
        assert begun[0].wait(20)
        socket.send_bytes(message(1, frame()))
        assert [answer(socket)[0] for _ in range(2)] == [0, 1]
    assert met == [True, True]


def test_what_cannot_be_worn_is_said_and_the_next_garment_is_put_on(client, room, drawn, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)).save(
        tmp_path / 'noise.png'
    )
    with client.websocket_connect('/live') as socket:
        socket.send_text('no ticket')
        assert 'Choose a garment' in socket.receive_text()
        socket.send_bytes(message(0, frame()))
        assert answer(socket) == (0, None)
        socket.send_text(room.ticket(str(tmp_path / 'noise.png')))
        said = json.loads(socket.receive_text())['problem']
        assert 'the background is not plain' in said and str(tmp_path) not in said
        socket.send_text(room.ticket(str(drawn / 'garments' / 'shirt9.png')))
        assert json.loads(socket.receive_text()) == {'problem': ''}
        socket.send_bytes(message(1, frame()))
        assert answer(socket)[1] is not None


def test_bytes_that_are_no_frame_are_answered_without_one(client, room, drawn):
    with client.websocket_connect('/live') as socket:
        socket.send_text(room.ticket(str(drawn / 'garments' / 'shirt0.png')))
        socket.receive_text()
        for number, data in enumerate(
            (b'nothing', encode(frame())[:300], encode(np.zeros((2000, 100, 3), np.uint8)))
        ):
            socket.send_bytes(struct.pack('<I', number) + data)
            assert answer(socket) == (number, None)


@pytest.mark.parametrize('nonsense', [b'abc', b'x' * (live.MOST_BYTES + 1), 'x' * 500])
def test_nonsense_ends_the_connection(nonsense, client):
    with client.websocket_connect('/live') as socket:
        (socket.send_text if isinstance(nonsense, str) else socket.send_bytes)(nonsense)
        with pytest.raises(starlette.WebSocketDisconnect):
            socket.receive_text()


def test_other_peoples_pages_get_no_connection(client):
    with pytest.raises(starlette.WebSocketDisconnect):
        with client.websocket_connect('/live', headers={'origin': 'https://elsewhere.example'}):
            pass
    assert (
        is_own_page(None, 'a:1') and is_own_page('http://a:1', 'a:1') and not is_own_page('http://b:1', 'a:1')
    )


def test_only_so_many_people_are_dressed_at_once(client, room, monkeypatch):
    monkeypatch.setattr(live, 'MOST_VISITORS', 1)
    with client.websocket_connect('/live') as first, client.websocket_connect('/live') as second:
        assert 'Too many people' in second.receive_text()
        first.send_text('-')
        assert 'Choose a garment' in first.receive_text()
    with client.websocket_connect('/live') as third:
        third.send_text('-')
        assert 'Choose a garment' in third.receive_text()


def test_a_jpegs_size_is_read_from_its_head():
    assert jpeg_size(encode(frame(size=(120, 90)))) == (90, 120)
    for data in (b'', b'\xff\xd8', b'\xff\xd8\xff\xe0\0\x02', encode(frame())[:100]):
        assert jpeg_size(data) is None


def test_a_ticket_says_nothing_of_where_the_garment_lies(room, tmp_path):
    first, second = room.ticket(str(tmp_path)), room.ticket(str(tmp_path))
    assert first != second and str(tmp_path) not in first and room.ticket(None) == ''
