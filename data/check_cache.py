"""Findings of earlier checks about unchanged files, so that a resumed run need not look at them again."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from utils.paths import atomic_write

_SOURCES = ('check.py', 'labels.py', 'mask_faults.py', 'records.py')


def cache_folder() -> Path:
    """Return where this project keeps what can be had again: in $XDG_CACHE_HOME, or in ~/.cache."""
    base = os.environ.get('XDG_CACHE_HOME') or os.path.join(os.path.expanduser('~'), '.cache')
    return Path(base) / 'dm-vton'


def signature(paths: list[Path]) -> list[list]:
    """Return name, size and time of change of each file; nulls for one that is not there."""
    return [_state(path) for path in paths]


def _state(path: Path) -> list:
    try:
        found = os.stat(path)
    except OSError:
        return [path.name, None, None]
    return [path.name, found.st_size, found.st_mtime_ns]


class Memory:
    """Findings (what JSON holds) by key and signature, for one data set; kept in the user's cache folder.

    Another version of the checking code begins anew. A cache that cannot be read or written costs only time.
    """

    def __init__(self, root: Path):
        digest = hashlib.sha256()
        for name in _SOURCES:
            digest.update((Path(__file__).parent / name).read_bytes())
        self.version = digest.hexdigest()
        name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:24]
        self.path = cache_folder() / 'checked' / f'{name}.json'
        self.changed = False
        self.known: dict[str, list] = {}
        try:
            content = json.loads(self.path.read_text(encoding='utf-8'))
            if content['version'] == self.version:
                self.known = content['known']
        except (OSError, ValueError, KeyError, TypeError):
            pass  # none yet, or a damaged one

    def recall(self, key: str, state: list) -> Any | None:
        """Return the finding kept under a key, or None where there is none or a file has changed."""
        before = self.known.get(key)
        return before[1] if before and before[0] == state else None

    def keep(self, key: str, state: list, finding: Any) -> None:
        """Keep a finding until `save`."""
        self.known[key] = [state, finding]
        self.changed = True

    def forget(self) -> None:
        """Drop all findings."""
        self.known, self.changed = {}, True

    def save(self) -> None:
        """Write what is kept, unless nothing is new."""
        if not self.changed:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            content = json.dumps({'version': self.version, 'known': self.known})
            with atomic_write(self.path) as temporary:
                temporary.write_text(content, encoding='utf-8')
        except OSError:
            pass  # a home that is read-only or full: the next check takes its time
