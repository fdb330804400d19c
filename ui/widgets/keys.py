"""Single keys as commands of one widget: A approves, Delete removes; only while it has the focus."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QWidget

from ui.widgets.page_commands import PageCommand


class Keys(QObject):
    """Belongs to the widget and runs the command by its keys; those with Cmd, Ctrl or Alt are left to the menus."""

    def __init__(self, widget: QWidget, command: PageCommand) -> None:
        super().__init__(widget)
        self._run = command.run
        self._keys = [QKeySequence(key) for key in command.keys]
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() != QEvent.Type.KeyPress or not isinstance(event, QKeyEvent):
            return False
        held = event.modifiers() & ~(Qt.KeyboardModifier.KeypadModifier | Qt.KeyboardModifier.ShiftModifier)
        if held or event.isAutoRepeat() or QKeySequence(event.key()) not in self._keys:
            return False
        self._run()
        return True
