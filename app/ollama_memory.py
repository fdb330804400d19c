"""Ollama's part in the memory: what it holds for others is counted, and it is asked for it where there is no room."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.ollama_service import OllamaService
from core.inference.arbiter import OLLAMA, Arbiter

PATIENCE_MS = 15_000
KEPT = 20


class OllamaMemory(QObject):
    """`counted()`: it holds more or less. `gave(bytes)`: it has answered. `over()`: it has, or takes too long to.

    `ours()` are its models that somebody here has asked for, whose memory is counted for whoever did.
    """

    counted = Signal()
    gave = Signal(object)
    over = Signal()

    def __init__(self, ollama: OllamaService, book: Arbiter, ours: Callable[[], set[str]], parent: QObject) -> None:
        super().__init__(parent)
        self._ollama, self._book, self._ours = ollama, book, ours
        self._asked: deque[object] = deque(maxlen=KEPT)
        self._rounds = 0
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(PATIENCE_MS)
        self._patience.timeout.connect(self.over)
        ollama.changed.connect(self.count)

    def leaves(self, who: object) -> bool:
        """Whether it is being asked for its memory: once for each load and job that finds no room."""
        if self._patience.isActive():
            return True
        if who in self._asked:
            return False
        self._asked.append(who)
        self._patience.start()
        self._rounds += 1
        self._ollama.give_back(self._ours(), partial(self._on_given_back, self._rounds))
        return True

    def forget(self, who: object) -> None:
        """It got its memory; the next time Ollama is asked again."""
        if who in self._asked:
            self._asked.remove(who)

    def _on_given_back(self, number: int, size_bytes: int) -> None:
        self.gave.emit(size_bytes)
        self.count()
        # An answer to an earlier request ends nobody's patience with this one.
        if number == self._rounds:
            self._patience.stop()
        self.over.emit()

    def look(self) -> None:
        """Ask it what it holds: somebody here has done with it."""
        self._ollama.look()

    @Slot()
    def count(self) -> None:
        """Write down what it holds for others."""
        size_bytes = self._ollama.held_bytes(self._ours())
        if size_bytes == self._book.holds(OLLAMA):
            return
        if size_bytes:
            self._book.book(OLLAMA, size_bytes)
            self._book.tell(OLLAMA, {OLLAMA: size_bytes})
        else:
            self._book.release(OLLAMA)
        self.counted.emit()
