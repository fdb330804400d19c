"""Toasts: short notices above the tray that leave by themselves; with Undo."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QTimer, Signal, Slot
from PySide6.QtGui import QAccessible, QAccessibleEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QWidget

from app.notify import UndoEntry
from ui.theme import theme
from ui.widgets.basic import Button, label


class Toast(QFrame):
    """One at a time, at the foot of its parent. `undo_requested(UndoEntry)`."""

    undo_requested = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setProperty("role", "toast")
        self.setObjectName("toast")
        self._entry: UndoEntry | None = None
        sizes = theme().sizes
        self.text = label("", name="toast_text")
        self._undo = Button("Undo", on_click=self._on_undo, name="toast_undo")
        box = QHBoxLayout(self)
        box.setContentsMargins(2 * sizes.grid, sizes.grid, sizes.grid, sizes.grid)
        box.addWidget(self.text)
        box.addWidget(self._undo)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(sizes.toast_ms)
        self._timer.timeout.connect(self.hide)
        parent.installEventFilter(self)
        self.hide()

    def say(self, text: str, entry: UndoEntry | None) -> None:
        """Show a notice; it replaces the one before."""
        self._entry = entry
        self.text.setText(text)
        self.setAccessibleName(text)
        self._undo.setVisible(entry is not None)
        self.show()
        self.raise_()
        self._place()
        self._timer.start()
        QAccessible.updateAccessibility(QAccessibleEvent(self, QAccessible.Event.Alert))

    def _on_undo(self) -> None:
        self.hide()
        if self._entry is not None:
            self.undo_requested.emit(self._entry)

    def _place(self) -> None:
        self.adjustSize()
        parent = self.parentWidget()
        if parent is not None:
            gap = 2 * theme().sizes.grid
            width = min(self.sizeHint().width(), parent.width() - 2 * gap)
            self.resize(width, self.height())
            self.move((parent.width() - width) // 2, parent.height() - self.height() - gap)

    @Slot()
    def stop(self) -> None:
        """Hide at once."""
        self._timer.stop()
        self.hide()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize and self.isVisible():
            self._place()
        if event.type() in (QEvent.Type.Enter, QEvent.Type.Leave) and watched is self:
            self._timer.start()
        return False
