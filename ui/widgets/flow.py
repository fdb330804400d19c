"""Widgets side by side that take another line where they have no room."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QSize
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QLayout, QLayoutItem, QSizePolicy, QWidget


class FlowLayout(QLayout):
    """Items in reading order on as many lines as they need, each line at the right edge, or at the left."""

    def __init__(self, parent: QWidget, gap: int) -> None:
        super().__init__(parent)
        self._items: list[QLayoutItem] = []
        self._gap = gap
        self.right = True
        self.setContentsMargins(0, 0, 0, 0)

    def addItem(self, item: QLayoutItem) -> None:
        self._items.append(item)

    def count(self) -> int:
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return self._arrange(QRect(0, 0, width, 0), move=False)

    def setGeometry(self, area: QRect) -> None:
        super().setGeometry(area)
        spare = area.height() - self._arrange(area, move=False)
        self._arrange(area.adjusted(0, max(0, spare // 2), 0, 0), move=True)

    def sizeHint(self) -> QSize:
        hints = [item.sizeHint() for item in self._items if not item.isEmpty()]
        return QSize(
            sum(hint.width() for hint in hints) + self._gap * max(0, len(hints) - 1),
            max((hint.height() for hint in hints), default=0),
        )

    def minimumSize(self) -> QSize:
        hints = [item.sizeHint() for item in self._items]
        return QSize(max((h.width() for h in hints), default=0), max((h.height() for h in hints), default=0))

    def _arrange(self, area: QRect, *, move: bool) -> int:
        lines: list[list[QLayoutItem]] = [[]]
        used = 0
        for item in self._items:
            if item.isEmpty():
                # Hidden: no room, and no gap either.
                continue
            wide = item.sizeHint().width()
            if lines[-1] and used + self._gap + wide > area.width():
                lines.append([])
                used = 0
            used += wide + (self._gap if lines[-1] else 0)
            lines[-1].append(item)
        top = area.top()
        for line in lines:
            high = max((item.sizeHint().height() for item in line), default=0)
            whole = sum(item.sizeHint().width() for item in line) + self._gap * max(0, len(line) - 1)
            left = max(area.left(), area.right() + 1 - whole) if self.right else area.left()
            for item in line:
                if move:
                    hint = item.sizeHint()
                    item.setGeometry(QRect(QPoint(left, top + (high - hint.height()) // 2), hint))
                left += item.sizeHint().width() + self._gap
            top += high + self._gap
        return top - area.top() - self._gap


class Flow(QWidget):
    """`Flow(button, chip, ...)`; `align(right=False)` puts the lines to the left edge."""

    def __init__(self, *items: QWidget, gap: int = 8) -> None:
        super().__init__()
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.flow = FlowLayout(self, gap)
        for item in items:
            self.flow.addWidget(item)

    def align(self, *, right: bool) -> None:
        """At the right edge, or at the left."""
        self.flow.right = right
        self.flow.invalidate()


class WholeFlow(Flow):
    """Claims the height of all its lines, which a page that scrolls, as in the largest fonts, would not leave it."""

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.claim()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.claim()

    def claim(self) -> None:
        """After other items came."""
        # Before it is shown it has a width that nobody gave it.
        self.setMinimumHeight(max(0, self.flow.heightForWidth(self.width())) if self.isVisible() else 0)
