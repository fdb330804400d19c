"""Small bars for a distribution: name, share as a bar, count."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QWidget

from ui import format as fmt
from ui.theme import theme
from ui.widgets.basic import ElidedLabel, label, plain_tip
from ui.widgets.scroll import empty_layout


class CountBar(QWidget):
    """One bar of a length between 0 and 1."""

    def __init__(self, share: float, token: str = "c1") -> None:
        super().__init__()
        self._share, self._token = share, token
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme().changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(theme().sizes.icon_large, theme().sizes.bar)

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            radius = self.height() / 2
            for width, token in ((self.width(), "line"), (max(self.height(), self.width() * self._share), self._token)):
                painter.setBrush(theme().colour(token))
                painter.drawRoundedRect(QRectF(0, 0, width, self.height()), radius, radius)


class CountBars(QWidget):
    """`set_counts([("David Chen", 12), ...])`: the longest bar is the greatest count."""

    def __init__(self, accessible: str, token: str = "c1") -> None:
        super().__init__()
        self._token, self._accessible = token, accessible
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(theme().sizes.grid)
        self._grid.setVerticalSpacing(theme().sizes.half)
        self._grid.setColumnStretch(0, 3)
        self._grid.setColumnStretch(1, 2)

    def set_counts(self, counts: Sequence[tuple[str, int]]) -> None:
        """New bars."""
        empty_layout(self._grid)
        greatest = max((count for _, count in counts), default=1) or 1
        for line, (name, count) in enumerate(counts):
            number = label(fmt.count(count))
            number.setFont(theme().font(tabular=True))
            number.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            words = ElidedLabel(name)
            words.setToolTip(plain_tip(f"{name}: {count:,}"))
            self._grid.addWidget(words, line, 0)
            self._grid.addWidget(CountBar(count / greatest, self._token), line, 1, Qt.AlignmentFlag.AlignVCenter)
            self._grid.addWidget(number, line, 2)
        told = ", ".join(f"{name} {count:,}" for name, count in counts)
        self.setAccessibleName(f"{self._accessible}: {told}" if told else self._accessible)
