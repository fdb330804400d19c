"""Everything in the window comes late: finds tests that assert something else than what they awaited.

    LATE_MS=150 make test ARGS="tests/ui tests/app"

Reads and writes begin, and are known in the window, up to so many milliseconds later, each lane in its order as ever;
what a job's worker says comes in larger heaps. On a fast machine the order of such things is nearly always the same.
"""

from __future__ import annotations

import os
import random
import time
from typing import Any

LATE_MS = float(os.environ.get("LATE_MS", "0"))


class _Late:
    """A signal that is emitted late, on the thread that emits it."""

    def __init__(self, signal: Any) -> None:
        self._signal = signal

    def emit(self, *values: Any) -> None:
        _dawdle()
        self._signal.emit(*values)


def _dawdle() -> None:
    # Mostly not at all: two things that are both late are in the usual order again.
    if random.random() < 0.5:
        time.sleep(random.uniform(0, LATE_MS / 1000))


def install() -> None:
    """For the whole run, where `LATE_MS` asks for it."""
    if not LATE_MS:
        return
    from app.jobs import process, tasks

    lane, do = tasks._Lane.__init__, tasks._Lane._do

    def late_lane(self: Any, name: str, threads: int, finished: Any, on_exit: Any) -> None:
        lane(self, name, threads, _Late(finished), on_exit)

    def late_do(self: Any, work: Any) -> None:
        _dawdle()
        do(self, work)

    tasks._Lane.__init__ = late_lane  # type: ignore[method-assign,assignment]
    tasks._Lane._do = late_do  # type: ignore[method-assign]
    process.BATCH_MS = round(2 * LATE_MS)
