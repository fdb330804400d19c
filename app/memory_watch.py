"""The machine runs short of memory: the chat's model gives back what nobody waits for, in a stated order.

First what can be had again without reading the base anew: adapters that do not answer, and what was read of chats,
which goes to the disk. While it stays critical and nothing is asked, the base too; the next question loads it again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from PySide6.QtCore import QObject, QTimer, Slot

from app.inference import InferenceService
from core import memory
from core.memory import Memory, Pressure

log = logging.getLogger(__name__)
LOOK_MS = 5_000
AGAIN_S = 30.0
# Looks in a row at which it has to be critical, and the model idle, before the base leaves.
PATIENCE = 3
REASON = "because memory is short"


class MemoryWatch(QObject):
    """Lives in the GUI thread and looks only while a model is loaded."""

    def __init__(
        self,
        engine: InferenceService,
        parent: QObject | None = None,
        *,
        look_ms: int = LOOK_MS,
        read: Callable[[], Memory] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(parent)
        self._engine, self._read, self._clock = engine, read, clock
        self._relieved = -AGAIN_S
        self._critical = 0
        self._timer = QTimer(self)
        self._timer.setInterval(look_ms)
        self._timer.timeout.connect(self.look)
        engine.state_changed.connect(self._on_state)

    @Slot(str)
    def _on_state(self, state: str) -> None:
        if state == "off":
            self._timer.stop()
            self._critical = 0
        elif not self._timer.isActive():
            self._timer.start()

    @Slot()
    def look(self) -> None:
        """Read the numbers and act on them."""
        found = (self._read or memory.read)()
        idle = found.pressure is Pressure.CRITICAL and self._engine.idle
        self._critical = self._critical + 1 if idle else 0
        if self._critical >= PATIENCE:
            log.warning("memory is critical, %d MB available: the model is unloaded", found.available >> 20)
            self._engine.unload(REASON)
        elif found.pressure is not Pressure.NORMAL and self._clock() - self._relieved >= AGAIN_S:
            self._relieved = self._clock()
            log.info("memory is short, %d MB available: asking the model to give some back", found.available >> 20)
            self._engine.relieve(self._on_relieved)

    def _on_relieved(self, result: Mapping[str, Any]) -> None:
        log.info("the model gave back %d MB", int(result.get("bytes", 0)) >> 20)
