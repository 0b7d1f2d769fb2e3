"""Uploads and results stay as long as somebody looks at them, and go an hour later.

Gradio's own `delete_cache` counts from the upload, so that pictures vanish from open pages, those of the
wardrobe included (https://github.com/gradio-app/gradio/issues/8098). Here every open page says at intervals
what it shows.
"""

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

KEPT_SECONDS = 3600
SAY_SECONDS = (
    300  # between two words of a page; browsers slow the timers of hidden pages down to one a minute
)
GONE = (
    'This picture is no longer here: pictures go when their page has been away for an hour. Please '
    'choose it again.'
)


class Keeper:
    """Keeps the files in the folders of `folder` until nobody has shown them for `seconds`."""

    def __init__(self, folder: Path, *, seconds: float = KEPT_SECONDS):
        self.folder = folder.resolve()
        self.seconds = seconds
        self._own: frozenset[Path] = frozenset()

    def protect(self) -> None:
        """Keep for ever what is there now: the wardrobe, and the copies of it that the page begins with."""
        self._own = frozenset(self._files())

    def touch(self, paths: Iterable[str | None]) -> list[bool]:
        """Note that files are being shown; returns which of them are here. None is."""
        return [path is None or self._touch(Path(path).resolve()) for path in paths]

    def _touch(self, path: Path) -> bool:
        if not path.is_relative_to(self.folder):  # a file of somebody else, which nobody deletes here
            return path.is_file()
        try:
            os.utime(path)
        except OSError:
            return False
        return True

    def sweep(self) -> None:
        """Delete what nobody has shown for long enough."""
        now = time.time()
        for path in set(self._files()) - self._own:
            with contextlib.suppress(OSError):  # another thread was quicker, or the file is being written
                if now - path.stat().st_mtime > self.seconds:
                    path.unlink()
                    if path.parent != self.folder:
                        path.parent.rmdir()

    def _files(self) -> list[Path]:
        # Gradio writes an upload beside the folders, and leaves what it has where the upload is cut off.
        return [path for pattern in ('*', '*/*') for path in self.folder.glob(pattern) if path.is_file()]
