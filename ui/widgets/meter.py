"""A stacked bar: shares of a whole, with a legend in words."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from ui.theme import theme
from ui.widgets.basic import plain_tip

COLOURS = ("c1", "c2", "c3", "c4", "muted")


class Meter(QWidget):
    """`set_parts([("Base", 0.26), ("Adapters", 0.02)])`; shares of 1, what is missing stays empty."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._parts: list[tuple[str, float]] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme().changed.connect(self.update)

    def set_parts(self, parts: Sequence[tuple[str, float]]) -> None:
        """New shares."""
        self._parts = list(parts)
        self.setAccessibleName(", ".join(f"{name} {share:.0%}" for name, share in parts))
        self.setToolTip(plain_tip(self.accessibleName()))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(theme().sizes.field // 2, theme().sizes.grid + 2)

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            frame = QPainterPath()
            area = QRectF(self.rect())
            frame.addRoundedRect(area, area.height() / 2, area.height() / 2)
            painter.setClipPath(frame)
            painter.fillRect(area, theme().colour("line"))
            x = 0.0
            for i, (_, share) in enumerate(self._parts):
                width = share * area.width()
                colour = QColor(theme().colour(COLOURS[min(i, len(COLOURS) - 1)]))
                painter.fillRect(QRectF(x, 0, max(0.0, width - 1), area.height()), colour)
                x += width
