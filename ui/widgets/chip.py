"""Status pills (icon, word, colour) and removable filter chips."""

from __future__ import annotations

from math import ceil

from PySide6.QtCore import QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from ui.icons import draw_glyph, glyph
from ui.models.rows import Status
from ui.theme import theme
from ui.widgets.basic import Button
from ui.widgets.flow import FlowLayout

ICONS = {
    "ok": "ph.check", "warn": "ph.warning", "bad": "ph.x-circle", "info": "ph.info", "busy": "ph.circle-dashed",
    "neutral": "ph.minus-circle",
}  # fmt: skip
# More would take the place of the page's buttons.
CHIP_CHARACTERS = 24


def pill_width(word: str) -> float:
    """How wide a pill of that word is."""
    sizes = theme().sizes
    font = theme().font(sizes.caption, bold=True)
    return QFontMetricsF(font).horizontalAdvance(word) + sizes.caption + 2 * sizes.grid + sizes.half + 2


def paint_pill(painter: QPainter, area: QRectF, status: Status) -> None:
    """Paint a pill at the left of `area`, centred vertically; a word without room is elided."""
    sizes, tokens = theme().sizes, theme().tokens
    ink, ground = tokens.status("info" if status.kind == "busy" else status.kind)
    font = theme().font(sizes.caption, bold=True)
    width = min(pill_width(status.word), area.width())
    box = QRectF(area.left(), area.center().y() - sizes.pill / 2, width, sizes.pill)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(ground))
    painter.drawRoundedRect(box, sizes.pill / 2, sizes.pill / 2)
    mark = QRectF(box.left() + sizes.grid, box.center().y() - sizes.caption / 2 - 0.5, sizes.caption, sizes.caption + 1)
    draw_glyph(painter, mark, glyph(ICONS.get(status.kind, ICONS["neutral"])), QColor(ink))
    painter.setFont(font)
    painter.setPen(QColor(ink))
    words = box.adjusted(sizes.grid + sizes.caption + sizes.half, 0, -sizes.half, 0)
    text = QFontMetricsF(font).elidedText(status.word, Qt.TextElideMode.ElideRight, words.width())
    painter.drawText(words, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), text)
    painter.restore()


class StatusPill(QWidget):
    """A status as a widget."""

    def __init__(self, status: Status, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.status = status
        self.set_status(status)
        theme().changed.connect(self._relayout)

    def set_status(self, status: Status) -> None:
        """Show another status."""
        self.status = status
        self.setAccessibleName(status.word)
        self.updateGeometry()
        self.update()

    @Slot()
    def _relayout(self) -> None:
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(ceil(pill_width(self.status.word)), theme().sizes.pill)

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            paint_pill(painter, QRectF(self.rect()), self.status)


class ChipRow(QWidget):
    """Filters in force as chips; a click on one removes it: `removed(key)`."""

    removed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._box = FlowLayout(self, theme().sizes.half + 2)
        self._box.right = False
        self._chips: dict[str, Button] = {}

    def set_chips(self, chips: dict[str, str]) -> None:
        """Show these: key -> text ("Tier: Edge")."""
        for button in self._chips.values():
            self._box.removeWidget(button)
            button.deleteLater()
        self._chips = {}
        for key, text in chips.items():
            short = text if len(text) <= CHIP_CHARACTERS else f"{text[: CHIP_CHARACTERS - 1]}…"
            tip = "Remove this filter" if short == text else f"Remove this filter: {text}"
            button = Button(f"{short}  ×", "chip", tip=tip, accessible=f"Remove the filter {text}")
            button.setProperty("key", key)
            button.clicked.connect(self._on_clicked)
            self._box.addWidget(button)
            self._chips[key] = button

    @Slot()
    def _on_clicked(self) -> None:
        button = self.sender()
        if button is not None:
            self.removed.emit(str(button.property("key")))
