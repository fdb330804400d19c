"""Adapters that could not be loaded: tried again after a while that doubles, not at every question."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from core.errors import AppError
from core.inference.engine import AdapterRef

FIRST_S, LONGEST_S = 2.0, 120.0
# What is wrong with the adapter; with anything else the base could not answer either.
CODES = ("bad_adapter", "wrong_base")


@dataclass(frozen=True)
class _Fault:
    error: AppError
    times: int
    until: float
    state: frozenset[tuple[str, int, int]]


def _state(adapter: AdapterRef) -> frozenset[tuple[str, int, int]]:
    """The files of its folder as they are now, empty where there are none."""
    try:
        with os.scandir(adapter.path) as entries:
            return frozenset((e.name, e.stat().st_mtime_ns, e.stat().st_size) for e in entries)
    except OSError:
        return frozenset()


class Faults:
    """By adapter id: the error, how often, and when to try again. `clock` is read in seconds.

    Other files in its folder are another adapter: they are tried at once.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found: dict[str, _Fault] = {}

    def held(self, adapter: AdapterRef) -> AppError | None:
        """Its error while it is not to be tried, else None."""
        found = self._found.get(adapter.id)
        if found is None or self._clock() >= found.until or found.state != _state(adapter):
            return None
        return found.error

    def add(self, adapter: AdapterRef, error: AppError) -> None:
        """It failed, again maybe."""
        before, state = self._found.get(adapter.id), _state(adapter)
        times = before.times + 1 if before is not None and before.state == state else 1
        wait = min(LONGEST_S, FIRST_S * 2 ** (times - 1))
        self._found[adapter.id] = _Fault(error, times, self._clock() + wait, state)

    def clear(self, ident: str) -> None:
        """It was loaded."""
        self._found.pop(ident, None)
