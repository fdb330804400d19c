"""A small bar chart, painted by hand: how many of each length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QHelpEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from ui import format as fmt
from ui.theme import theme


@dataclass(frozen=True)
class Bar:
    """A bucket from `low` up to but without `high`."""

    low: int
    high: int
    count: int


class Bars(QWidget):
    """`set_bars(bars, "tokens", "conversation")`: the axis carries the bounds, a tooltip says each bar in words."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bars: list[Bar] = []
        self._unit, self._noun = "", ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme().changed.connect(self.update)

    def set_bars(self, bars: Sequence[Bar], unit: str, noun: str) -> None:
        """New bars."""
        self._bars, self._unit, self._noun = list(bars), unit, noun
        self.setAccessibleName(f"Lengths in {unit}")
        self.setAccessibleDescription("; ".join(self.words(bar) for bar in bars if bar.count))
        self.update()

    def words(self, bar: Bar) -> str:
        """ "200 to 399 tokens: 4 conversations"."""
        return f"{fmt.count(bar.low)} to {fmt.count(bar.high - 1)} {self._unit}: {fmt.plural(bar.count, self._noun)}"

    def sizeHint(self) -> QSize:
        return QSize(theme().sizes.field // 2, theme().sizes.icon_large * 2 + theme().sizes.pill)

    def _width(self) -> float:
        return self.width() / max(1, len(self._bars))

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            sizes = theme().sizes
            foot, head = self.height() - sizes.caption - sizes.half - 2, sizes.caption + sizes.half
            painter.setPen(theme().colour("line"))
            painter.drawLine(0, foot, self.width(), foot)
            most = max((bar.count for bar in self._bars), default=0)
            if not most:
                return
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setFont(theme().font(sizes.caption, tabular=True))
            wide = self._width()
            centre, left = int(Qt.AlignmentFlag.AlignCenter), int(Qt.AlignmentFlag.AlignLeft)
            right = int(Qt.AlignmentFlag.AlignRight)
            for i, bar in enumerate(self._bars):
                tall = (foot - head) * bar.count / most
                area = QRectF(i * wide + 1, foot - tall, wide - 2, tall)
                painter.fillRect(area, theme().colour("c1"))
                if bar.count:
                    painter.setPen(theme().colour("muted"))
                    painter.drawText(QRectF(i * wide, area.top() - head, wide, head), centre, fmt.count(bar.count))
            painter.setPen(theme().colour("muted"))
            axis = QRectF(0, foot + 2, self.width(), sizes.caption + sizes.half)
            painter.drawText(axis, left, fmt.count(self._bars[0].low))
            painter.drawText(axis, centre, self._unit)
            painter.drawText(axis, right, fmt.count(self._bars[-1].high))

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip and self._bars:
            at = min(len(self._bars) - 1, int(event.pos().x() / self._width()))
            QToolTip.showText(event.globalPos(), self.words(self._bars[at]), self)
            return True
        return super().event(event)
