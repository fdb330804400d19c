"""Adapters that could not be loaded: tried again after a while that doubles, not at every question."""

from __future__ import annotations

import time
from collections.abc import Callable

from core.errors import AppError

FIRST_S, LONGEST_S = 2.0, 120.0
# What is wrong with the adapter; with anything else the base could not answer either.
CODES = ("bad_adapter", "wrong_base")


class Faults:
    """By adapter id: the error, how often, and when to try again. `clock` is read in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found: dict[str, tuple[AppError, int, float]] = {}

    def held(self, ident: str) -> AppError | None:
        """Its error while it is not to be tried, else None."""
        found = self._found.get(ident)
        return found[0] if found is not None and self._clock() < found[2] else None

    def add(self, ident: str, error: AppError) -> None:
        """It failed, again maybe."""
        times = self._found[ident][1] + 1 if ident in self._found else 1
        wait = min(LONGEST_S, FIRST_S * 2 ** (times - 1))
        self._found[ident] = (error, times, self._clock() + wait)

    def clear(self, ident: str) -> None:
        """It was loaded."""
        self._found.pop(ident, None)
