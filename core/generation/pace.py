"""How many requests run at once, and when: fewer when the service says so, more while all goes well.

One at first, so that the prompt cache is written once; then up to eight; then one more for each answer until the
service objects, and after that one more for each full round of answers. An objection halves the number and holds all.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from core.generation.provider import Limits
from core.generation.settings import Pace

FIRST_STEP = 8


class Limiter:
    """Used from one event loop. `clock` gives seconds; tests have their own."""

    def __init__(self, most: int, *, alone_first: bool, clock: Callable[[], float] | None = None) -> None:
        self.most = max(1, most)
        self.limit = 1.0 if alone_first else float(min(self.most, FIRST_STEP))
        self.running = 0
        self.successes = 0
        self._growing_fast = True
        self._not_before = 0.0
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._changed = asyncio.Condition()
        self.closed = False

    def close(self) -> None:
        """Give no more places; those who wait are told."""
        self.closed = True
        self._wake = asyncio.ensure_future(self._notify())

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def acquire(self) -> bool:
        """Wait for a place, and for the end of a wait that the service asked for; False once it is closed."""
        async with self._changed:
            while not self.closed:
                wait = self._not_before - self._clock()
                if wait <= 0 and self.running < int(self.limit):
                    self.running += 1
                    return True
                if wait > 0:
                    try:
                        await asyncio.wait_for(self._changed.wait(), wait)
                    except TimeoutError:
                        continue
                else:
                    await self._changed.wait()
        return False

    async def release(self) -> None:
        """Give the place back."""
        async with self._changed:
            self.running -= 1
            self._changed.notify_all()

    def succeeded(self, limits: Limits) -> None:
        """An answer came; grow, but not into a limit that is nearly used up."""
        self.successes += 1
        if self.successes == 1:
            self.limit = max(self.limit, min(self.most, FIRST_STEP))
            return
        remaining, total = limits.requests_remaining, limits.requests_limit
        if remaining is not None and total and remaining < max(1, total // 20):
            self.limit = max(1.0, self.limit - 1)
            self._growing_fast = False
            return
        self.limit = min(self.most, self.limit + (1.0 if self._growing_fast else 1.0 / self.limit))

    def slow_down(self, wait_s: float) -> None:
        """The service objects: half as many, and nobody before `wait_s` from now."""
        until = self._clock() + wait_s
        # Answers to requests that were under way together object to one thing, and count once.
        if self._not_before <= self._clock():
            self.limit = max(1.0, self.limit / 2)
        self._growing_fast = False
        self._not_before = max(self._not_before, until)


def backoff(pace: Pace, attempt: int, asked_s: float | None) -> float:
    """Seconds until the next try: what the service asks for, else doubling; with jitter, not to come all at once."""
    if asked_s is not None:
        return asked_s + random.random() * min(0.25, pace.base_s)
    wait = min(pace.longest_s, pace.base_s * 2.0**attempt)
    return float(wait * (0.75 + random.random() / 4))
