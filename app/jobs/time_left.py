"""How long a job will still take, from how far it came how fast."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW_S = 60.0
MIN_ELAPSED_S = 1.5


class TimeLeft:
    """Rate over the last minute of one stage; None until it can be known."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._points: deque[tuple[float, int]] = deque()
        self._stage = ""

    def update(self, done: int, total: int, stage: str = "") -> float | None:
        """Note a report and estimate the seconds left."""
        moment = self._clock()
        if stage != self._stage or (self._points and done < self._points[-1][1]):
            self._points.clear()
            self._stage = stage
        self._points.append((moment, done))
        while len(self._points) > 2 and moment - self._points[0][0] > WINDOW_S:
            self._points.popleft()
        start, first = self._points[0]
        elapsed, steps = moment - start, done - first
        if not total or steps <= 0 or elapsed < MIN_ELAPSED_S:
            return None
        return max(0.0, (total - done) * elapsed / steps)
