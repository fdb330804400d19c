"""What the user is shown: errors, bugs, toasts, and what can be undone."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

from core.db.connection import explain
from core.errors import Cancelled

log = logging.getLogger(__name__)
UNDO_DEPTH = 50
Undo = Callable[[], None]


@dataclass(frozen=True, eq=False)
class UndoEntry:
    """One step that can be taken back."""

    text: str
    undo: Undo


class Notifier(QObject):
    """The one door for messages; the window shows them. Lives in the GUI thread.

    `error(AppError, owner)`: owner is the QObject whose work failed, or the name of a page, or None.
    `bug(AppError)`: an unexpected exception with its traceback as detail. `toast(text, UndoEntry | None)`.
    """

    error = Signal(object, object)
    bug = Signal(object)
    toast = Signal(str, object)
    undo_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._undo: list[UndoEntry] = []

    def report(self, exc: BaseException, owner: QObject | str | None = None) -> None:
        """Show what went wrong: its message if expected, as a bug if not, nothing if the user stopped it."""
        if isinstance(exc, Cancelled):
            return
        error = explain(exc, "".join(traceback.format_exception(exc)))
        if error is not exc:
            log.error("%s", type(exc).__name__, exc_info=exc)
        if error.code == "internal_error":
            self.bug.emit(error)
            return
        log.warning("%s: %s", error.code, error)
        self.error.emit(error, owner)

    def say(self, text: str, undo: Undo | None = None) -> None:
        """A short notice that leaves by itself; with `undo` it offers to take the step back."""
        entry = UndoEntry(text, undo) if undo is not None else None
        if entry is not None:
            self._undo.append(entry)
            del self._undo[:-UNDO_DEPTH]
            self.undo_changed.emit()
        self.toast.emit(text, entry)

    @property
    def last_undo(self) -> UndoEntry | None:
        """What Edit > Undo would take back."""
        return self._undo[-1] if self._undo else None

    def take_back(self, entry: UndoEntry | None = None) -> bool:
        """Undo `entry`, else the newest step; False when there is none (or it was taken back already)."""
        chosen = entry or self.last_undo
        if chosen is None or chosen not in self._undo:
            return False
        self._undo.remove(chosen)
        self.undo_changed.emit()
        chosen.undo()
        return True

    def forget_undo(self) -> None:
        """Drop all steps: what they refer to is gone for good."""
        self._undo.clear()
        self.undo_changed.emit()
