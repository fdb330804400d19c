"""Tells screens what kind of data a write changed."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from core.events import Changed


class ChangeHub(QObject):
    """Lives in the GUI thread. No widget calls another one: all of them listen here."""

    changed = Signal(object)

    def announce(self, what: Changed) -> None:
        """Emit `changed` unless nothing did."""
        if what:
            self.changed.emit(what)
