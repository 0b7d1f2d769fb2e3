"""One training at a time in a run folder: a second one would delete the first one's half-written files."""

from pathlib import Path

from filelock import FileLock, Timeout

from utils.errors import UserError

LOCK_FILE = '.lock'
PATIENCE = 15.0  # seconds: the loader's processes outlive a killed training by some, and hold its lock


def claim(run: Path) -> FileLock | None:
    """Lock the folder of a run against other processes until `release()` or the end of this process.

    The same process may lock it again. Waits a while for a training that is just ending. Returns None on a
    disk that knows no locks. Raises `UserError` where another training goes on.
    """
    lock = FileLock(run / LOCK_FILE, is_singleton=True)
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        raise UserError(
            f'{run}: another process trains in this folder; wait for its end, or give another --name'
        ) from None
    except (OSError, NotImplementedError):
        return None
    return lock


def release(lock: FileLock | None) -> None:
    """End a claim, if there is one."""
    if lock is not None:
        lock.release()
