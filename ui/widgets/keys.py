"""Single keys as commands of one widget: A approves, Delete removes; only while it has the focus."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QWidget


class Keys(QObject):
    """Belongs to the widget; keys with Cmd, Ctrl or Alt are left to the menus."""

    def __init__(self, widget: QWidget, slots: Mapping[Qt.Key, Callable[[], Any]]) -> None:
        super().__init__(widget)
        self._slots = dict(slots)
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() != QEvent.Type.KeyPress or not isinstance(event, QKeyEvent):
            return False
        slot = self._slots.get(Qt.Key(event.key()))
        held = event.modifiers() & ~(Qt.KeyboardModifier.KeypadModifier | Qt.KeyboardModifier.ShiftModifier)
        if slot is None or held or event.isAutoRepeat():
            return False
        slot()
        return True
