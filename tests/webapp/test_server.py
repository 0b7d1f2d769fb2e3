"""What the server gives to whom: no file but the page's own, nothing too large, nothing from elsewhere."""

import asyncio
import json
import socket
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from webapp.limits import GuardedApp

ROOT = Path(__file__).parents[2]


def fetch(address: str, data: bytes | None = None, headers: dict | None = None) -> tuple[int, bytes, dict]:
    request = urllib.request.Request(address, data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read(), dict(error.headers)


def call(server, *data) -> str:
    """Press the button without a browser; returns the events that came."""
    body = json.dumps({'data': data}).encode()
    status, answer, _ = fetch(
        f'{server.address}/gradio_api/call/try_on', body, {'Content-Type': 'application/json'}
    )
    assert status == 200, answer
    return fetch(f'{server.address}/gradio_api/call/try_on/{json.loads(answer)["event_id"]}')[1].decode()


def send(server, name: str, content: bytes) -> tuple[int, bytes]:
    """Upload a file."""
    limit = 'frontier'
    head = f'--{limit}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    body = head.encode() + content + f'\r\n--{limit}--\r\n'.encode()
    kind = {'Content-Type': f'multipart/form-data; boundary={limit}'}
    return fetch(f'{server.address}/gradio_api/upload', body, kind)[:2]


@pytest.mark.parametrize(
    'path',
    [
        '/etc/passwd',
        '/etc/hostname',
        str(ROOT / 'app.py'),
        str(ROOT / 'README.md'),
        '../../../../../../etc/passwd',
        '//etc/passwd',
    ],
)
@pytest.mark.parametrize(
    'route', ['/gradio_api/file=', '/file=', '/gradio_api/file/', '/gradio_api/stream/', '/assets/']
)
def test_no_file_of_the_machine_can_be_read(path, route, server):
    status, content, _ = fetch(f'{server.address}{route}{path}')
    assert status in (401, 403, 404, 405, 422) or b'<!doctype html>' in content[:200].lower(), (
        status,
        content[:200],
    )
    assert b'root:' not in content and b'exit_cleanly' not in content


def test_a_file_that_was_not_uploaded_cannot_be_tried_on(server, drawn):
    person = str(drawn / 'person0.png')
    for kind in ({'meta': {'_type': 'gradio.FileData'}}, {}):
        events = call(server, {'path': person, **kind}, {'path': '/etc/passwd', **kind})
        assert 'event: error' in events and 'event: complete' not in events and 'root:' not in events


def test_files_of_other_machines_are_not_fetched(server):
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        listener.listen()
        listener.setblocking(False)
        inner = f'http://127.0.0.1:{listener.getsockname()[1]}/secret.png'
        assert fetch(f'{server.address}/gradio_api/file={inner}')[0] == 403
        assert fetch(f'{server.address}/gradio_api/proxy={inner}')[0] == 403
        assert 'event: error' in call(server, {'path': inner, 'meta': {'_type': 'gradio.FileData'}}, None)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_an_upload_is_used_and_a_large_one_refused(server, drawn):
    pictures = []
    for path in (drawn / 'person0.png', drawn / 'garments' / 'shirt0.png'):
        status, answer = send(server, path.name, path.read_bytes())
        assert status == 200, answer
        pictures.append({'path': json.loads(answer)[0], 'meta': {'_type': 'gradio.FileData'}})
    events = call(server, *pictures)
    assert 'event: complete' in events and '192 x 256 pixels' in events
    status, answer = send(server, 'large.png', bytes(1_200_000))
    assert status == 413, answer


def test_every_answer_says_that_nothing_comes_from_elsewhere(server):
    status, content, headers = fetch(server.address)
    headers = {name.lower(): value for name, value in headers.items()}
    assert status == 200 and b'fonts.googleapis' not in content and b'cdnjs' not in content
    assert (
        "default-src 'self'" in headers['content-security-policy']
        and headers['x-content-type-options'] == 'nosniff'
    )
    config = json.loads(fetch(f'{server.address}/config')[1])
    assert config['analytics_enabled'] is False
    assert not [sheet for sheet in config.get('stylesheets') or [] if 'http' in sheet]


def test_a_visitor_who_goes_in_the_middle_of_an_upload_leaves_no_error():
    requests = pytest.importorskip('starlette.requests', reason='gradio is not installed')

    async def uploading(_scope, _receive, _send):
        raise requests.ClientDisconnect

    async def broken(_scope, _receive, _send):
        raise ZeroDivisionError

    def upload(app):
        """In a thread of its own: after tests with playwright a loop runs in this one."""
        call = GuardedApp(app)({'type': 'http', 'path': '/gradio_api/upload'}, None, None)
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, call).result()

    upload(uploading)
    with pytest.raises(ZeroDivisionError):
        upload(broken)
