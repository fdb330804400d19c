"""How long the event loop was held up at worst."""

from __future__ import annotations

import time

from PySide6.QtCore import QObject, QTimer, Slot


class Ticker(QObject):
    """Ticks every 5 ms from now on; `stop` gives the longest gap in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._worst, self._last = 0.0, time.perf_counter()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._tick)
        self._timer.start(5)

    @Slot()
    def _tick(self) -> None:
        now = time.perf_counter()
        self._worst, self._last = max(self._worst, now - self._last), now

    def stop(self) -> float:
        self._timer.stop()
        return self._worst
