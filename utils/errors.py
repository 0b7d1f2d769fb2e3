"""Mistakes a user can make, and the one place where a command line turns them into one line and an exit status."""

import functools
import sys
from collections.abc import Callable


class UserError(ValueError):
    """A mistake in what the user gave. The message is one line: what came, what was expected, the fix."""

    exit_status = 2


class DataError(UserError):
    """A data set that cannot be used as it is."""

    exit_status = 1


class CheckpointError(UserError):
    """A file that is not a checkpoint, or not the one that was asked for."""


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder that is not there."""


def exit_cleanly(main: Callable) -> Callable:
    """Decorate a command's main function: a `UserError` becomes `error: ...` on stderr and its exit status, no traceback.

    Every other exception is a fault of the program and keeps its traceback. Ctrl-C exits with 130, as shells expect.
    """

    @functools.wraps(main)
    def guarded(*args, **kwargs):
        try:
            return main(*args, **kwargs)
        except UserError as error:
            print(f'error: {error}', file=sys.stderr)
            sys.exit(error.exit_status)
        except KeyboardInterrupt:
            print('interrupted', file=sys.stderr)
            sys.exit(130)

    return guarded
