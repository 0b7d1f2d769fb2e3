"""Paths: run folders with unique names, and atomic writes."""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from utils.errors import MissingFileError, UserError


def expand(path: str | Path) -> Path:
    """Return `path` with a leading ~ replaced by the home folder; unknown users stay as written."""
    return Path(os.path.expanduser(path))


def kind_of(path: str | Path) -> str:
    """Return 'file', 'folder' or 'pipe or device' without opening `path`, which may wait. Raises OSError."""
    mode = os.stat(path).st_mode
    return 'folder' if stat.S_ISDIR(mode) else 'file' if stat.S_ISREG(mode) else 'pipe or device'


def check_folder(path: Path, option: str) -> None:
    """Raise `UserError` for a file, or a link that leads nowhere, in the place of a folder to be written."""
    if os.path.lexists(path) and not path.is_dir():
        what = 'a file' if path.exists() else 'a link that leads nowhere'
        raise UserError(f'{option} {path}: {what}; give a folder')


@contextlib.contextmanager
def atomic_write(path: str | Path, *, sync: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; its content replaces `path` if the block succeeds.

    The name keeps the suffix of `path`, since many writers choose their format by it. The bytes are on the
    disk (fsync) before the name changes, so a reader finds the old file or the new one, never a part; without
    `sync` that holds for a killed process, but not for a power failure, and saves seconds with thousands of
    files. An exception of the block passes, a full disk with the file's name; the temporary file is removed
    and the old file untouched. A link is written through. Raises `MissingFileError` without the folder and
    `UserError` where `path` is a folder, a pipe or a device.
    """
    path = Path(path)
    final = path.resolve()
    if not final.parent.is_dir():
        raise MissingFileError(f'{path} cannot be written: there is no folder {path.parent}; create it first')
    if final.exists() and (kind := kind_of(final)) != 'file':  # which a file would take the place of
        raise UserError(f'{path} cannot be written: it is a {kind}; give the name of a file')
    # A name of our own instead of mkstemp, whose files nobody but their owner may read.
    temporary = final.with_name(f'.{secrets.token_hex(8)}.tmp{final.suffix}')  # short, whatever the name is
    try:
        yield temporary
        if sync:
            with open(temporary, 'r+b') as file:
                os.fsync(file.fileno())
        os.replace(temporary, final)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:
            error.filename = str(path)  # a full disk does not say where it is full
        raise


def increment_path(project: str | Path, name: str) -> Path:
    """Create and return the first free folder of `project/name`, `project/name-1`, `project/name-2`, ...

    Safe against other processes that start at the same moment: each gets a folder of its own. Raises
    `UserError` for an empty name or '..', and if no folder can be created.
    """
    if Path(name).name in ('', '..'):
        raise UserError(f'{name!r} is no name for a run folder; give one such as exp')
    first = expand(project) / name
    try:
        first.parent.mkdir(parents=True, exist_ok=True)
        number = 0
        while True:
            folder = first.with_name(f'{first.name}-{number}') if number else first
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
            else:
                return folder
    except OSError as error:
        raise UserError(
            f'no run folder can be created in {first.parent}: {error.strerror}; choose another'
        ) from error
