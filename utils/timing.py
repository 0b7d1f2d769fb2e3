"""Wall-clock times of calls, taken in turns so that all of them meet the same load of the machine."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from tqdm import tqdm

from utils.device import synchronise

LEAST_TURNS = 3  # that are timed, whatever the budget of seconds is


def time_calls(
    calls: Sequence[Callable[[], Any]],
    *,
    device: torch.device,
    repeats: int,
    warm_up: int,
    seconds: float | None = None,
    title: str | None = None,
) -> list[list[float]]:
    """Call each of `calls` once a turn, waiting for `device`; return each call's times in seconds.

    `warm_up` turns are not timed, then `repeats` turns are, or fewer where the timed calls reach `seconds`,
    but not fewer than `LEAST_TURNS`. A `title` shows a progress bar where somebody looks at a terminal.
    """
    times: list[list[float]] = [[] for _ in calls]
    for turn in tqdm(range(warm_up + repeats), desc=title, disable=None if title else True, leave=False):
        for call, values in zip(calls, times, strict=True):
            synchronise(device)
            start = time.perf_counter()
            call()
            synchronise(device)
            if turn >= warm_up:
                values.append(time.perf_counter() - start)
        if seconds is not None and turn - warm_up + 1 >= LEAST_TURNS and sum(map(sum, times)) >= seconds:
            break
    return times
