"""One training at a time in a run folder: a second one would delete the first one's half-written files."""

from pathlib import Path

from filelock import FileLock, Timeout

from utils.errors import UserError

LOCK_FILE = '.lock'
PATIENCE = 15.0  # seconds: the loader's processes outlive a killed training by some, and hold its lock


def claim(run: Path) -> FileLock | None:
    """Keep other trainings out of the folder of a run until `release()`, or until this process ends in any
    way; within one process as often as wanted.

    Waits a while for one that is just ending. Returns None on a disk that knows no locks. Raises `UserError`
    where another training stays.
    """
    lock = FileLock(run / LOCK_FILE, is_singleton=True)
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        raise UserError(
            f'{run}: another process trains in this folder; wait for its end, or begin a run of another '
            '--name'
        ) from None
    except (OSError, NotImplementedError):
        return None
    return lock


def release(lock: FileLock | None) -> None:
    """Let others in."""
    if lock is not None:
        lock.release()
