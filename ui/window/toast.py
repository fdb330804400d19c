"""Toasts: short notices above the tray that leave by themselves; with Undo."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QTimer, Signal, Slot
from PySide6.QtGui import QAccessible, QAccessibleEvent, QEnterEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QWidget

from app.notify import UndoEntry
from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel


class Toast(QFrame):
    """One at a time, at the foot of its parent. `undo_requested(UndoEntry)`."""

    undo_requested = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setProperty("role", "toast")
        self.setObjectName("toast")
        self._entry: UndoEntry | None = None
        sizes = theme().sizes
        self.text = ElidedLabel()
        self.text.setObjectName("toast_text")
        self._undo = Button("Undo", on_click=self._on_undo, name="toast_undo")
        self._box = QHBoxLayout(self)
        self._box.addWidget(self.text)
        self._box.addWidget(self._undo)
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
        sizes = theme().sizes
        right = sizes.grid if entry is not None else 2 * sizes.grid
        self._box.setContentsMargins(2 * sizes.grid, sizes.grid, right, sizes.grid)
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
            # At the left, where captions are: at the right are the buttons of inspectors.
            self.move(theme().sizes.margin, parent.height() - self.height() - gap)

    @Slot()
    def stop(self) -> None:
        """Hide at once."""
        self._timer.stop()
        self.hide()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize and self.isVisible():
            self._place()
        return False

    def enterEvent(self, event: QEnterEvent) -> None:
        super().enterEvent(event)
        # Undo does not leave from under the pointer.
        self._timer.stop()

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._timer.start()
