"""Starts the page: with a folder of its own for uploads and results, which goes with it, and nothing sent to
anybody.
"""

import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from utils.errors import UserError, first_line

VISITORS_WAITING = 20


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """Yield a temporary folder that Gradio, imported after this only, takes for its files; it is removed at
    the end.
    """
    with tempfile.TemporaryDirectory(prefix='try-on-', ignore_cleanup_errors=True) as name:
        os.environ |= {'GRADIO_TEMP_DIR': str(Path(name) / 'files'), 'GRADIO_ANALYTICS_ENABLED': 'False'}
        (Path(name) / 'files').mkdir()
        yield Path(name)


def check_free(host: str, port: int) -> None:
    """Raise `UserError` where nobody can listen on `host` and `port`."""
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise UserError(
                f'--host {host} --port {port}: cannot listen there ({first_line(error)}); give another '
                'port or address'
            ) from error


def serve(page, room, *, host: str, port: int, share: bool, max_upload: int, block: bool = True) -> str:
    """Serve a page and its live room until Ctrl-C, or in the background without `block`; returns its
    address.
    """
    from starlette.middleware import Middleware

    from webapp.limits import GuardedApp
    from webapp.live import SCRIPT
    from webapp.page import CSS, theme

    page.queue(max_size=VISITORS_WAITING, default_concurrency_limit=1)
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        share=share,
        max_file_size=f'{max_upload}mb',
        allowed_paths=[],
        blocked_paths=[str(Path(__file__).parents[1])],
        app_kwargs={'middleware': [Middleware(GuardedApp)], 'routes': room.routes()},
        head=f'<script>{SCRIPT.read_text()}</script>',
        theme=theme(),
        css_paths=CSS,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
        show_error=False,
        quiet=True,
        prevent_thread_lock=True,
    )
    # Frames are JPEGs, which nothing makes smaller: trying costs two milliseconds a frame at either end.
    page.server.config.ws_per_message_deflate = False
    print(f'open {address}' + (f' or {page.share_url}' if share and page.share_url else ''), flush=True)
    if block:
        page.block_thread()
    return address
