"""The arc of a conversation as a small curve: where it was planned to be at each exchange, and where it was heard."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from ui import format as fmt
from ui.pages.conversations.arc import ArcReading, plain
from ui.theme import theme
from ui.widgets.basic import ElidedLabel, plain_tip
from ui.widgets.beat_curve import draw_levels, draw_names, names_height

MOST_MARKS = 40


class Curve(QWidget):
    """The drawing; the way along the arc is up, the exchanges are to the right."""

    def __init__(self) -> None:
        super().__init__()
        self._arc = ArcReading()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme().changed.connect(self.updateGeometry)

    def show_arc(self, arc: ArcReading) -> None:
        """Another conversation's."""
        self._arc = arc
        self.update()

    def sizeHint(self) -> QSize:
        sizes = theme().sizes
        return QSize(sizes.field, 2 * sizes.row + names_height())

    def paintEvent(self, event: QPaintEvent) -> None:
        arc, sizes = self._arc, theme().sizes
        if len(arc.beats) < 2:
            return
        mark = sizes.half
        area = QRectF(self.rect()).adjusted(2 * mark, mark + 1, -2 * mark, -names_height() - mark)
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            draw_levels(painter, area, 0, self.width())
            self._line(
                painter, area, list(enumerate(arc.planned)), QPen(theme().colour("muted"), 1, Qt.PenStyle.DashLine)
            )
            heard = [(place, beat) for place, beat in enumerate(arc.heard) if beat is not None]
            self._line(painter, area, heard, QPen(theme().colour("accent"), 2))
            for place, beat in heard if len(heard) <= MOST_MARKS else ():
                met = arc.planned[place] == beat
                painter.setPen(QPen(theme().colour("accent" if met else "warn"), 2))
                painter.setBrush(theme().colour("card" if met else "warn"))
                painter.drawEllipse(self._point(area, place, beat), mark, mark)
            line = QRectF(0, self.height() - names_height(), self.width(), names_height())
            draw_names(painter, area, [plain(beat.emotion) for beat in arc.beats], line)

    def _point(self, area: QRectF, exchange: int, beat: int) -> QPointF:
        across = exchange / max(1, len(self._arc.planned) - 1)
        return QPointF(
            area.left() + across * area.width(), area.bottom() - beat / (len(self._arc.beats) - 1) * area.height()
        )

    def _line(self, painter: QPainter, area: QRectF, points: list[tuple[int, int]], pen: QPen) -> None:
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline([self._point(area, place, beat) for place, beat in points])


class ArcView(QWidget):
    """The curve with a line that says what it shows; hidden for a conversation whose arc is not known."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("arc")
        self.curve, self.line = Curve(), ElidedLabel("", "caption")
        self.line.setObjectName("arc_line")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.half)
        box.addWidget(self.curve)
        box.addWidget(self.line)
        self.hide()

    def show_arc(self, arc: ArcReading) -> None:
        """Another conversation's."""
        self.setVisible(len(arc.beats) > 1 and bool(arc.planned))
        self.curve.show_arc(arc)
        exchanges = fmt.plural(len(arc.heard), "exchange")
        if not arc.heard:
            told = "What was heard is known after enrichment"
        elif all(place is None for place in arc.heard):
            told = f"Nothing of it was heard in {exchanges}"
        else:
            told = f"Line: heard, as planned in {arc.met} of {exchanges}"
        self.line.setText(f"Dashed: planned. {told}")
        planned = ", ".join(plain(arc.beats[place].emotion) for place in arc.planned)
        heard = ", ".join("nothing of it" if place is None else plain(arc.beats[place].emotion) for place in arc.heard)
        self.curve.setToolTip(plain_tip(f"Planned: {planned}" + (f". Heard: {heard}" if heard else "")))
        self.curve.setAccessibleName(f"Emotional arc. Planned: {planned}. Heard: {heard or 'not enriched yet'}")
