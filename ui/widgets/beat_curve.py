"""The beats of an arc as a curve: intensity is up, the way through the conversation is to the right."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from ui import format as fmt
from ui.theme import theme
from ui.widgets.basic import plain_tip

Point = tuple[str, float]


def names_height() -> int:
    """The room that `draw_names` takes."""
    return theme().sizes.caption + theme().sizes.grid


def draw_levels(painter: QPainter, area: QRectF, left: float, right: float) -> None:
    """Three fine lines: none, half, full."""
    painter.setPen(QPen(theme().colour("line"), 1))
    for share in (0.0, 0.5, 1.0):
        height = area.bottom() - share * area.height()
        painter.drawLine(QPointF(left, height), QPointF(right, height))


def draw_names(painter: QPainter, area: QRectF, names: Sequence[str], line: QRectF) -> None:
    """Names below the points that are spread over `area`, as many as `line` has room for, always the first and last."""
    font = theme().font(theme().sizes.caption)
    metrics = QFontMetricsF(font)
    painter.setFont(font)
    painter.setPen(theme().colour("muted"))
    half = line.width() / 2 - theme().sizes.grid
    names = [metrics.elidedText(name, Qt.TextElideMode.ElideRight, half) for name in names]
    last, taken = len(names) - 1, line.left() - 1.0
    ends = line.right() - metrics.horizontalAdvance(names[last])
    for place, name in enumerate(names):
        wide = metrics.horizontalAdvance(name)
        centre = area.left() + place / max(1, last) * area.width()
        left = min(max(line.left(), centre - wide / 2), line.right() - wide)
        if place in (0, last) or (left > taken and left + wide + theme().sizes.grid < ends):
            spot = QRectF(left, line.top(), wide + 1, line.height())
            painter.drawText(spot, int(Qt.AlignmentFlag.AlignBottom), name)
            taken = left + wide + theme().sizes.grid


class BeatCurve(QWidget):
    """One point a beat; `chosen(place)` by click or Left and Right. `names` writes the emotions below the points."""

    chosen = Signal(int)

    def __init__(self, noun: str, accessible: str, *, names: bool = False) -> None:
        super().__init__()
        self.setObjectName("beat_curve")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(accessible)
        self._noun, self._names = noun, names
        self.points: list[Point] = []
        self.at = -1
        theme().changed.connect(self.update)

    def show_points(self, points: Sequence[Point], at: int = -1) -> None:
        """(emotion, intensity) of each, and the place of the one that is marked; -1 marks none."""
        self.points, self.at = list(points), at
        words = ", ".join(fmt.word(emotion) for emotion, _ in points)
        if 0 <= at < len(points):
            emotion, intensity = points[at]
            named = f"{fmt.word(emotion)}, intensity {fmt.decimal(intensity)}"
            words = f"{self._noun} {at + 1} of {len(points)}: {named}"
        self.setAccessibleDescription(words)
        self.setToolTip(plain_tip(words))
        self.update()

    def sizeHint(self) -> QSize:
        sizes = theme().sizes
        return QSize(sizes.label, 2 * sizes.row + sizes.grid + (names_height() if self._names else 0))

    # Geometry

    def area(self) -> QRectF:
        """Where the points can be."""
        edge = theme().sizes.grid
        below = names_height() if self._names else 0
        return QRectF(self.rect()).adjusted(edge, edge, -edge, -edge - below)

    def point(self, place: int) -> QPointF:
        """The middle of a beat's mark."""
        area = self.area()
        # One alone stands in the middle.
        share = place / (len(self.points) - 1) if len(self.points) > 1 else 0.5
        return QPointF(area.left() + share * area.width(), area.bottom() - self.points[place][1] * area.height())

    def nearest(self, x: float) -> int:
        """The beat that is nearest from left to right."""
        return min(range(len(self.points)), key=lambda place: abs(self.point(place).x() - x))

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            area = self.area()
            draw_levels(painter, area, area.left() - theme().sizes.grid, self.width())
            points = [self.point(place) for place in range(len(self.points))]
            painter.setPen(QPen(theme().colour("accent"), 2))
            painter.drawPolyline(points)
            for place, point in enumerate(points):
                here = place == self.at
                painter.setBrush(theme().colour("warn" if here else "card"))
                painter.setPen(QPen(theme().colour("warn" if here else "accent"), 2))
                painter.drawEllipse(point, theme().sizes.half, theme().sizes.half)
            if self._names and points:
                half = theme().sizes.half
                line = QRectF(half, self.height() - names_height(), self.width() - 2 * half, names_height() - half)
                draw_names(painter, area, [fmt.word(emotion) for emotion, _ in self.points], line)
            self.paint_over(painter)
            if self.hasFocus():
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.setPen(QPen(theme().colour("accent"), 1))
                painter.drawRoundedRect(self.rect().adjusted(0, 0, -1, -1), theme().sizes.half, theme().sizes.half)

    def paint_over(self, painter: QPainter) -> None:
        """What a curve that does more draws over the rest."""

    # What the user does

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if self.points:
            self.chosen.emit(self.nearest(event.position().x()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()), 0)
        if step and self.points:
            self.chosen.emit(max(0, min(len(self.points) - 1, self.at + step)))
        else:
            super().keyPressEvent(event)
