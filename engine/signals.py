"""Ctrl-C and SIGTERM during a training run: noted, so that the step can be finished and saved."""

import signal
import threading
from typing import Any


class StopSignals:
    """Between entering and leaving, Ctrl-C and SIGTERM are noted in `received` instead of ending the program.

    A second Ctrl-C raises KeyboardInterrupt if `impatient`. Only the main thread receives signals.
    """

    def __init__(self, *, impatient: bool):
        self.impatient = impatient
        self.received = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> 'StopSignals':
        if threading.current_thread() is threading.main_thread():
            self._before = {
                number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)
            }
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _frame) -> None:
        if self.received and self.impatient and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number


def outlive_signals(_worker: int) -> None:
    """Ignore Ctrl-C and the first SIGTERM in a loader's process; the trainer handles them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _frame: signal.signal(number, signal.SIG_DFL))
