"""A file's text with line numbers, the found lines marked, its words coloured as far as they can be seen."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt, Slot
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent, QTextBlock, QTextCharFormat, QTextLayout
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from ui.pages.projects.highlight import Spans
from ui.theme import theme

LINES_ABOVE = 3
LINES_SEEN = 8


class _Numbers(QWidget):
    """At the left of the text."""

    def __init__(self, text: SourceText) -> None:
        super().__init__(text)
        self._text = text

    def sizeHint(self) -> QSize:
        return QSize(self._text.numbers_width(), 0)

    def paintEvent(self, event: QPaintEvent) -> None:
        self._text.paint_numbers(event)


class SourceText(QPlainTextEdit):
    """Read-only; lines are 1-based and inclusive."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("source_text")
        self.setProperty("role", "source")
        self.setAccessibleName("Source")
        self.setReadOnly(True)
        self.setTabChangesFocus(True)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.setUndoRedoEnabled(False)
        self.marked: tuple[int, int] = (0, 0)
        # Where the bar was put for the marks; -1 once the user scrolled.
        self._at_mark = -1
        self._spans: dict[int, list[QTextLayout.FormatRange]] = {}
        self._coloured: set[int] = set()
        self._raw: Spans = {}
        self._numbers = _Numbers(self)
        self.updateRequest.connect(self._on_update)
        self.blockCountChanged.connect(self._place_margin)
        theme().changed.connect(self._restyle)
        self._restyle()

    def sizeHint(self) -> QSize:
        return QSize(theme().sizes.inspector, LINES_SEEN * self.fontMetrics().lineSpacing())

    def minimumSizeHint(self) -> QSize:
        return QSize(theme().sizes.label, LINES_SEEN // 2 * self.fontMetrics().lineSpacing())

    @Slot()
    def _restyle(self) -> None:
        self.setFont(theme().mono())
        self.setTabStopDistance(4 * self.fontMetrics().horizontalAdvance(" "))
        self._place_margin()
        self.show_spans(self._raw)

    # What is shown

    def show_text(self, text: str) -> None:
        """Another file, without colours yet."""
        self._raw, self._spans, self._coloured = {}, {}, set()
        self.setPlainText(text)

    def mark(self, start: int, end: int) -> None:
        """Mark these lines and bring the first of them into view."""
        self.marked = (start, end)
        self._to_mark()
        self.horizontalScrollBar().setValue(0)
        self.viewport().update()
        self._numbers.update()

    def _to_mark(self) -> None:
        self.verticalScrollBar().setValue(max(0, self.marked[0] - 1 - LINES_ABOVE))
        self._at_mark = self.verticalScrollBar().value()

    def show_spans(self, spans: Spans) -> None:
        """Colour these pieces, each line when it is first seen."""
        self._raw, self._coloured = spans, set()
        formats: dict[str, QTextCharFormat] = {}
        out: dict[int, list[QTextLayout.FormatRange]] = {}
        for line, pieces in spans.items():
            ranges = []
            for start, length, role in pieces:
                if role not in formats:
                    formats[role] = QTextCharFormat()
                    formats[role].setForeground(theme().colour(role))
                span = QTextLayout.FormatRange()
                span.start, span.length, span.format = start, length, formats[role]
                ranges.append(span)
            out[line] = ranges
        self._spans = out
        self._colour_seen()

    def _colour_seen(self) -> None:
        if not self._spans:
            return
        block = self.firstVisibleBlock()
        rows = self.viewport().height() // max(1, self.fontMetrics().lineSpacing()) + 2
        while block.isValid() and rows > 0:
            number = block.blockNumber()
            if number not in self._coloured:
                self._coloured.add(number)
                self._colour(block, self._spans.get(number, []))
            block, rows = block.next(), rows - 1

    def _colour(self, block: QTextBlock, ranges: list[QTextLayout.FormatRange]) -> None:
        if ranges:
            block.layout().setFormats(ranges)
            self.document().markContentsDirty(block.position(), block.length())

    def coloured_lines(self) -> int:
        """How many of the lines that were seen have colours."""
        return sum(1 for number in self._coloured if self._spans.get(number))

    # Numbers and marks

    def numbers_width(self) -> int:
        """What the numbers of this file need."""
        digits = len(str(max(99, self.blockCount())))
        return self.fontMetrics().horizontalAdvance("9") * digits + 2 * theme().sizes.grid

    @Slot()
    def _place_margin(self) -> None:
        self.setViewportMargins(self.numbers_width(), 0, 0, 0)
        self._place_numbers()

    def _place_numbers(self) -> None:
        area = self.contentsRect()
        self._numbers.setGeometry(QRect(area.left(), area.top(), self.numbers_width(), self.viewport().height()))

    @Slot(QRect, int)
    def _on_update(self, area: QRect, dy: int) -> None:
        if dy:
            self._numbers.scroll(0, dy)
        else:
            self._numbers.update(0, area.y(), self._numbers.width(), area.height())
        self._colour_seen()

    def resizeEvent(self, event: QResizeEvent) -> None:
        stays = self.verticalScrollBar().value() == self._at_mark
        super().resizeEvent(event)
        if stays:
            self._to_mark()
        self._place_numbers()
        self._colour_seen()

    def _rows(self, area: QRect) -> list[tuple[int, QRect]]:
        """Line numbers with their places, as far as they are in `area`."""
        out = []
        block = self.firstVisibleBlock()
        top = round(self.blockBoundingGeometry(block).translated(self.contentOffset()).top())
        while block.isValid() and top <= area.bottom():
            high = round(self.blockBoundingRect(block).height())
            out.append((block.blockNumber() + 1, QRect(0, top, self.viewport().width(), high)))
            block, top = block.next(), top + high
        return out

    def paintEvent(self, event: QPaintEvent) -> None:
        start, end = self.marked
        with QPainter(self.viewport()) as painter:
            for number, area in self._rows(event.rect()):
                if start <= number <= end:
                    painter.fillRect(area, theme().colour("tint"))
        super().paintEvent(event)

    def paint_numbers(self, event: QPaintEvent) -> None:
        """Paint the column of the numbers."""
        start, end = self.marked
        with QPainter(self._numbers) as painter:
            painter.setFont(self.font())
            for number, area in self._rows(event.rect()):
                line = QRect(0, area.top(), self._numbers.width(), area.height())
                found = start <= number <= end
                if found:
                    painter.fillRect(line, theme().colour("tint"))
                    painter.fillRect(QRect(0, line.top(), 3, line.height()), theme().colour("accent"))
                painter.setPen(theme().colour("text" if found else "muted"))
                words = line.adjusted(0, 0, -theme().sizes.grid, 0)
                painter.drawText(words, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop), str(number))
