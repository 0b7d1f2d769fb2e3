"""Calls that take turns, and when timing stops."""

import pytest
import torch

from utils import timing
from utils.timing import time_calls

CPU = torch.device('cpu')


def test_calls_take_turns_and_the_warm_up_is_not_counted():
    calls = []
    times = time_calls(
        [lambda: calls.append('a'), lambda: calls.append('b')], device=CPU, repeats=3, warm_up=10
    )
    assert calls == ['a', 'b'] * 13 and [len(values) for values in times] == [3, 3]


@pytest.fixture
def clock(monkeypatch):
    """A clock that calls move by hand."""

    class Clock:
        now = 0.0

        def perf_counter(self):
            return self.now

        def wait(self, seconds):
            self.now += seconds

    clock = Clock()
    monkeypatch.setattr(timing, 'time', clock)
    return clock


def test_times_are_those_of_each_call(clock):
    slow, quick = time_calls(
        [lambda: clock.wait(2), lambda: clock.wait(0.5)], device=CPU, repeats=2, warm_up=1
    )
    assert slow == [2, 2] and quick == [0.5, 0.5]


@pytest.mark.parametrize('seconds, timed', [(1, 3), (8, 4), (100, 6), (None, 6)])
def test_timing_stops_when_the_seconds_are_spent_but_not_before_three_turns(seconds, timed, clock):
    (times,) = time_calls([lambda: clock.wait(2)], device=CPU, repeats=6, warm_up=1, seconds=seconds)
    assert len(times) == timed
