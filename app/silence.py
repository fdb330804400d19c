"""A process that was asked something, says nothing and does nothing: it hangs."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer, Signal, Slot

SILENCE_S = 60.0
LOOK_MS = 2_000
# Whoever reads a large file or waits for the GPU is silent for long, but never without a hundredth of a processor.
IDLE_SHARE = 0.01


def cpu_seconds(pid: int) -> float:
    """What a process has computed so far; 0 when it is gone."""
    import psutil

    try:
        used = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(used.user + used.system)


class SilenceWatch(QObject):
    """Lives in the GUI thread. `hung()` once, after `silence_s` seconds without a word and without work."""

    hung = Signal()

    def __init__(
        self,
        parent: QObject | None = None,
        *,
        silence_s: float = SILENCE_S,
        look_ms: int = LOOK_MS,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[int], float] = cpu_seconds,
    ) -> None:
        super().__init__(parent)
        self._silence_s, self._clock, self._cpu_of = silence_s, clock, cpu
        self._pid = 0
        self._since = self._cpu = 0.0
        self._timer = QTimer(self)
        self._timer.setInterval(look_ms)
        self._timer.timeout.connect(self._look)

    def expect(self, pid: int) -> None:
        """That process was asked something."""
        if pid != self._pid or not self._timer.isActive():
            self._pid = pid
            self._begin()
            self._timer.start()

    def heard(self) -> None:
        """It said something."""
        if self._timer.isActive():
            self._begin()

    def rest(self) -> None:
        """Nothing is expected any more."""
        self._timer.stop()

    def _begin(self) -> None:
        self._since, self._cpu = self._clock(), -1.0

    @Slot()
    def _look(self) -> None:
        now, used = self._clock(), self._cpu_of(self._pid)
        if self._cpu < 0:
            # From here on: what it did while it was last heard says nothing about its silence.
            self._since, self._cpu = now, used
        elif used - self._cpu > IDLE_SHARE * (now - self._since):
            self._since, self._cpu = now, used
        elif now - self._since >= self._silence_s:
            self._timer.stop()
            self.hung.emit()
