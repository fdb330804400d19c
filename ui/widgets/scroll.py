"""A column of widgets that scrolls, as inspectors and long details use it."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QFrame, QLayout, QScrollArea, QVBoxLayout, QWidget

from ui.theme import theme


class ScrollColumn(QScrollArea):
    """Widgets one below the other on the background of its parent; `set_items` replaces them."""

    def __init__(self, *items: QWidget, gap: int = 8, name: str = "", accessible: str = "") -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(accessible)
        self._inner = QWidget()
        self._inner.setObjectName("scrolled")
        self.body = QVBoxLayout(self._inner)
        # Room for the scroll bar, so that it never covers the text.
        self.body.setContentsMargins(0, 0, theme().sizes.half, 0)
        self.body.setSpacing(gap)
        self.setWidget(self._inner)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.verticalScrollBar().setSingleStep(theme().sizes.row)
        self.set_items(*items)

    def set_items(self, *items: QWidget) -> None:
        """Show these from the top; what was shown before is deleted."""
        empty_layout(self.body)
        for item in items:
            self.body.addWidget(item)
        self.body.addStretch(1)
        self.verticalScrollBar().setValue(0)

    def sizeHint(self) -> QSize:
        # It takes the room that is left; its parent need not be as high as its items.
        return QSize(super().sizeHint().width(), self.minimumSizeHint().height())

    def add_item(self, item: QWidget) -> None:
        """Append a widget."""
        self.body.insertWidget(self.body.count() - 1, item)


class Tall(QScrollArea):
    """Scrolls up and down what is higher than its place, and asks for the width it needs."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__()
        widget.setObjectName(widget.objectName() or "scrolled")
        self.setWidget(widget)
        self.setWidgetResizable(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QFrame.Shape.NoFrame)

    def minimumSizeHint(self) -> QSize:
        inner = self.widget()
        wide = inner.minimumSizeHint().width() if inner is not None else 0
        return QSize(wide, super().minimumSizeHint().height())


def empty_layout(box: QLayout) -> None:
    """Take everything out of a layout and delete it."""
    while box.count():
        item = box.takeAt(0)
        widget = item.widget() if item is not None else None
        if widget is not None:
            # A widget that waits for its deletion is still a child: hidden, it can't be clicked any more.
            widget.hide()
            widget.deleteLater()
