"""A list whose order is the user's: rows moved by drag or Alt+Up and Alt+Down, taken out by Delete."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QApplication, QListWidget, QListWidgetItem

from ui.widgets.basic import plain_tip

ID_ROLE = Qt.ItemDataRole.UserRole


class OrderList(QListWidget):
    """`moved(id, id of the row it is before now | None)` and `removed(id)`: whoever listens changes what is shown."""

    moved = Signal(str, object)
    removed = Signal(str)

    def __init__(self, name: str, accessible: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(accessible)
        self._before: list[str] | None = None
        self._pressed: QPoint | None = None
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)

    def show_rows(self, rows: Sequence[tuple[str, str]]) -> None:
        """Rows as (id, text), keeping the current one."""
        if list(rows) == [(str(item.data(ID_ROLE)), item.text()) for item in map(self.item, range(self.count()))]:
            # A row that is being dragged must not be taken away by news of others.
            return
        current = self.current_id()
        self._before = self._pressed = None
        self.clear()
        for ident, text in rows:
            item = QListWidgetItem(text)
            item.setToolTip(plain_tip(text))
            item.setData(ID_ROLE, ident)
            self.addItem(item)
            if ident == current:
                self.setCurrentItem(item)
        if self.currentItem() is None and self.count():
            self.setCurrentRow(0)

    def ids(self) -> list[str]:
        """The rows in the order shown."""
        return [str(self.item(place).data(ID_ROLE)) for place in range(self.count())]

    def current_id(self) -> str:
        """The current row's id, empty if there is none."""
        item = self.currentItem()
        return str(item.data(ID_ROLE)) if item is not None else ""

    def move_current(self, by: int) -> None:
        """One place up (-1) or down (1)."""
        ids, ident = self.ids(), self.current_id()
        target = ids.index(ident) + by if ident in ids else -1
        if not 0 <= target < len(ids):
            return
        ids.remove(ident)
        ids.insert(target, ident)
        self.moved.emit(ident, ids[target + 1] if target + 1 < len(ids) else None)

    # Not the view's own drag and drop, which waits in a loop of its own. Here the row goes along with the pointer.

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        place = event.position().toPoint()
        self._pressed = place if self.itemAt(place) is not None else None

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        item, place = self.currentItem(), event.position().toPoint()
        if not event.buttons() & Qt.MouseButton.LeftButton or item is None or self._pressed is None:
            super().mouseMoveEvent(event)
            return
        if self._before is None:
            if (place - self._pressed).manhattanLength() < QApplication.startDragDistance():
                return
            self._before = self.ids()
            self.viewport().setCursor(Qt.CursorShape.ClosedHandCursor)
        target = self._row_at(place.y())
        if target != self.row(item):
            self.blockSignals(True)
            self.takeItem(self.row(item))
            self.insertItem(target, item)
            self.setCurrentItem(item)
            self.blockSignals(False)
        self.scrollToItem(item)

    def _row_at(self, height: int) -> int:
        """The row at that height, the first or last one beyond them."""
        tops = [self.visualItemRect(self.item(place)).top() for place in range(self.count())]
        return max((place for place, top in enumerate(tops) if top <= height), default=0)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        before, self._before = self._before, None
        if before is not None:
            self.viewport().unsetCursor()
            self.report_move(before)

    def report_move(self, before: Sequence[str]) -> None:
        """Tell where the current row is now, if the order is not the one `before`."""
        ident, after = self.current_id(), self.ids()
        if ident in after and after != list(before):
            place = after.index(ident) + 1
            self.moved.emit(ident, after[place] if place < len(after) else None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        alt = event.modifiers() & Qt.KeyboardModifier.AltModifier
        if alt and event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self.move_current(-1 if event.key() == Qt.Key.Key_Up else 1)
        elif event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace) and self.current_id():
            self.removed.emit(self.current_id())
        else:
            super().keyPressEvent(event)
