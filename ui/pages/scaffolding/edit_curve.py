"""The curve of beats whose points are dragged, and moved by the keyboard."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QKeyEvent, QMouseEvent, QPainter

from core.scaffolding.beats import STEP
from ui import format as fmt
from ui.theme import theme
from ui.widgets.beat_curve import BeatCurve

LEVELS = (0.0, 0.5, 1.0)


class EditCurve(BeatCurve):
    """`put(intensity)` of the chosen beat, `rested()` when a drag or a key is over, `moved(by)`, `removed()`."""

    put = Signal(float)
    rested = Signal()
    moved = Signal(int)
    removed = Signal()

    def __init__(self) -> None:
        super().__init__("Beat", "Intensity of the beats", names=True)
        self.setMouseTracking(True)
        self._held = False

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), 5 * theme().sizes.row)

    def area(self) -> QRectF:
        metrics = QFontMetricsF(theme().font(theme().sizes.caption))
        # Room for the levels on the left, and for the number above a point that is at the top.
        left = metrics.horizontalAdvance(fmt.decimal(LEVELS[1], 1)) + 2 * theme().sizes.grid
        return super().area().adjusted(left, metrics.height(), -theme().sizes.grid, 0)

    def paint_over(self, painter: QPainter) -> None:
        area, sizes = self.area(), theme().sizes
        font = theme().font(sizes.caption, tabular=True)
        high = QFontMetricsF(font).height()
        painter.setFont(font)
        painter.setPen(theme().colour("muted"))
        for level in LEVELS:
            spot = QRectF(0, area.bottom() - level * area.height() - high / 2, area.left() - 2 * sizes.grid, high)
            painter.drawText(spot, int(Qt.AlignmentFlag.AlignRight), fmt.decimal(level, 1))
        if 0 <= self.at < len(self.points):
            point, wide = self.point(self.at), sizes.icon_large
            left = min(max(0.0, point.x() - wide / 2), self.width() - float(wide))
            painter.setPen(theme().colour("text"))
            spot = QRectF(left, point.y() - sizes.grid - high, wide, high)
            painter.drawText(spot, int(Qt.AlignmentFlag.AlignHCenter), fmt.decimal(self.points[self.at][1]))

    # The pointer

    def _at_point(self, place: QPointF) -> bool:
        reach = self.point(self.nearest(place.x())) - place
        return reach.manhattanLength() <= 2 * theme().sizes.grid

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        self._held = bool(self.points) and event.button() is Qt.MouseButton.LeftButton
        self._held = self._held and self._at_point(event.position())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._held:
            area = self.area()
            share = (area.bottom() - event.position().y()) / area.height()
            self.put.emit(round(max(0.0, min(1.0, share)), 2))
        over = self._held or (bool(self.points) and self._at_point(event.position()))
        self.setCursor(Qt.CursorShape.SizeVerCursor if over else Qt.CursorShape.ArrowCursor)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._held:
            self._held = False
            self.rested.emit()

    # The keyboard

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, alt = event.key(), bool(event.modifiers() & Qt.KeyboardModifier.AltModifier)
        up = {Qt.Key.Key_Up: 1, Qt.Key.Key_Down: -1}.get(Qt.Key(key), 0)
        along = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(key), 0)
        ends = {Qt.Key.Key_Home: 0, Qt.Key.Key_End: len(self.points) - 1}
        if not self.points or self.at < 0:
            super().keyPressEvent(event)
        elif up and not alt:
            value = self.points[self.at][1] + up * STEP
            self.put.emit(round(max(0.0, min(1.0, value)), 2))
        elif along and alt:
            self.moved.emit(along)
        elif key in ends:
            self.chosen.emit(ends[Qt.Key(key)])
        elif key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.removed.emit()
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        # A key that is held is one step of Undo, as a drag is.
        if not event.isAutoRepeat() and event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self.rested.emit()
        super().keyReleaseEvent(event)
