"""Limits of the page: sizes of uploads, and response headers that keep everything on this machine."""

import warnings
from pathlib import Path

from PIL import Image

from utils.errors import UserError

# The page needs nothing from elsewhere, and nobody else's page may show it in a frame.
HEADERS = {
    b'content-security-policy': b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    b"style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    b"font-src 'self' data:; "
    b"connect-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    b"frame-ancestors 'self'",
    b'referrer-policy': b'no-referrer',
    b'x-content-type-options': b'nosniff',
}


def check_pixels(path: str | Path, megapixels: float) -> None:
    """Raise `UserError` for a picture with more pixels than allowed, before any is unpacked; what is no
    picture passes.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                count = picture.width * picture.height
    except Image.DecompressionBombError:
        count = 2 * (Image.MAX_IMAGE_PIXELS or 0)
    except (
        Exception
    ):  # on damaged bytes Pillow raises nearly anything; whoever reads the picture says it best
        return
    if count > megapixels * 1e6:
        raise UserError(
            f'{Path(path).name}: {count / 1e6:.0f} megapixels, at most {megapixels:g} are taken here; '
            'make the picture smaller'
        )


class GuardedApp:
    """Adds HEADERS to every answer, refuses to fetch other machines' files on a visitor's behalf, and is
    quiet where a visitor has gone; an ASGI middleware.
    """

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        if scope['type'] != 'http':
            await self.app(scope, receive, send)
            return

        async def send_guarded(message) -> None:
            if message['type'] == 'http.response.start':
                own = [
                    (name, value) for name, value in message.get('headers', []) if name.lower() not in HEADERS
                ]
                message = {**message, 'headers': [*own, *HEADERS.items()]}
            await send(message)

        target = scope['path'].lower()
        if 'file=http' in target or '/proxy=' in target:
            await send_guarded({'type': 'http.response.start', 'status': 403, 'headers': []})
            await send_guarded({'type': 'http.response.body', 'body': b'files of this page only'})
            return
        # Not installed where only an export needs this module.
        from starlette.requests import ClientDisconnect

        try:
            await self.app(scope, receive, send_guarded)
        except ClientDisconnect:  # an upload was cut off: nobody waits for an answer, nothing is wrong here
            return
