"""Errors of a user, and the decorator that turns them into one line and an exit status."""

import contextlib
import errno
import functools
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator

# Refusals of the file system with causes outside the program: reported in one line, without a traceback.
DISK_REASONS = {
    getattr(errno, name)
    for name in (
        *('ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM', 'ENAMETOOLONG', 'ENOTDIR', 'EISDIR'),
        *('ELOOP', 'EFBIG', 'EIO'),
    )
    if hasattr(errno, name)
}

CONTROL = re.compile(r'[\x00-\x1f\x7f]')
LONGEST_NAME = 300  # characters of a path that are shown


def one_line(text: str) -> str:
    """A text without line breaks and other control characters, which names of files may have."""
    return CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


class UserError(ValueError):
    """A mistake in what the user gave. The message is one line: what came, what was expected, the fix."""

    exit_status = 2

    def __str__(self) -> str:
        return one_line(super().__str__())


class DataError(UserError):
    """A data set that cannot be used as it is."""

    exit_status = 1


class CheckpointError(UserError):
    """A file that is not a checkpoint, or not the one that was asked for."""


class MissingFileError(UserError, FileNotFoundError):
    """A missing file or folder."""


def first_line(error: BaseException) -> str:
    """First line of an error's message; the system's words for an OSError, the class without message."""
    text = getattr(error, 'strerror', None) or str(error).strip() or type(error).__name__
    return text.splitlines()[0]


@contextlib.contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """In the block, SIGTERM raises SystemExit to remove half-written files. Handlers of others stay."""
    handled = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    )
    if handled:
        signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        yield
    finally:
        if handled:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def exit_cleanly(main: Callable) -> Callable:
    """Decorate a main function: a `UserError` becomes `error: ...` on stderr and its exit status.

    A refusal of the file system (full, read-only, no permission) exits with 1. Any other exception is a bug
    and keeps its traceback. Ctrl-C exits with 130 and SIGTERM with 143, as shells expect, after clean-up.
    """

    @functools.wraps(main)
    def guarded(*args, **kwargs):
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, 'reconfigure'):
                stream.reconfigure(errors='backslashreplace')  # names that the terminal cannot show
        try:
            with _ending_on_sigterm():
                return main(*args, **kwargs)
        except UserError as error:
            print(f'error: {error}', file=sys.stderr)
            sys.exit(error.exit_status)
        except BrokenPipeError:  # the reader of the output has gone, as in `... | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(141)
        except OSError as error:
            if error.errno not in DISK_REASONS:
                raise
            where = f'{one_line(str(error.filename)[:LONGEST_NAME])}: ' if error.filename else ''
            fix = 'shorten it' if error.errno == errno.ENAMETOOLONG else 'make room, or give another folder'
            print(f'error: {where}{error.strerror}; {fix}', file=sys.stderr)
            sys.exit(1)
        except KeyboardInterrupt:
            print('interrupted', file=sys.stderr)
            sys.exit(130)

    return guarded
