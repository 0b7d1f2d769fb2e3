"""Work on many files at once with a progress bar, which Ctrl-C ends after the files in hand."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tqdm import tqdm

MOST_THREADS = 8


def map_in_threads(function: Callable, items: Iterable, description: str) -> Iterator[Any]:
    """Yield function(item) for each item in order, while threads work ahead; the bar shows after a second.

    Pillow and NumPy work outside the interpreter lock, so threads do. Whatever is raised, an interrupt
    included, cancels what has not begun.
    """
    items = list(items)
    pool = ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1))
    try:
        yield from tqdm(
            pool.map(function, items), description, len(items), leave=False, disable=None, delay=1
        )
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
