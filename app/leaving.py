"""Inference workers that were told to end: they write what they read of chats, give their memory back, and are gone."""

from __future__ import annotations

import time

from PySide6.QtCore import QObject, QProcess, QTimer, Signal, Slot

from core.inference.cache_files import forget_files


class Leaving(QObject):
    """Lives in the GUI thread. `gone()` whenever one has ended."""

    gone = Signal()

    def __init__(self, folder: str, grace_ms: int, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._folder, self._grace_ms = folder, grace_ms
        self._processes: list[QProcess] = []
        self._forgotten: set[str] = set()

    def __bool__(self) -> bool:
        """Whether one still has its memory."""
        return bool(self._processes)

    def add(self, process: QProcess) -> None:
        """Let it end in order; one that does not is killed."""
        self._processes.append(process)
        process.finished.connect(self._on_finished)
        process.closeWriteChannel()
        QTimer.singleShot(self._grace_ms, process, process.kill)

    def forget(self, chat: str) -> None:
        """A chat was deleted: what a leaving worker writes of it goes too."""
        if self._processes:
            self._forgotten.add(chat)

    def wait(self, timeout_ms: int) -> None:
        """At exit: wait for all of them, at most that long, then kill."""
        until = time.monotonic() + timeout_ms / 1000
        processes, self._processes = self._processes, []
        for process in processes:
            if not process.waitForFinished(max(1, round((until - time.monotonic()) * 1000))):
                process.kill()
                process.waitForFinished(1000)

    @Slot()
    def _on_finished(self) -> None:
        process = self.sender()
        if not isinstance(process, QProcess) or process not in self._processes:
            return
        self._processes.remove(process)
        for chat in self._forgotten:
            forget_files(self._folder, chat)
        if not self._processes:
            self._forgotten.clear()
        process.deleteLater()
        self.gone.emit()
