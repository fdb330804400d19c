"""What there is, as a heat map: conversations by persona and arc, or by topic and persona; a click plans one more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPoint, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from ui import format as fmt
from ui.theme import theme
from ui.widgets.basic import plain_tip

Place = tuple[str, str]
LOW_QUALITY = 3.5
KEYS = {Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1), Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0)}


@dataclass(frozen=True)
class Count:
    """One cell: conversations that are there, their mean quality (None before enrichment), and how many are planned."""

    there: int = 0
    quality: float | None = None
    planned: int = 0


@dataclass(frozen=True)
class Coverage:
    """Rows and columns as (key, name), and the cells that are not empty by (row key, column key)."""

    rows: Sequence[tuple[str, str]]
    columns: Sequence[tuple[str, str]]
    cells: Mapping[Place, Count]
    row_noun: str = "persona"
    column_noun: str = "arc"


class CoverageGrid(QWidget):
    """Paints a `Coverage`; `chosen(row key, column key)` by click, Enter or Space. Arrow keys move.

    Where its columns have no room, rows and columns change places: `turned()`.
    """

    chosen = Signal(str, str)
    turned = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("coverage_grid")
        self.setMouseTracking(True)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setSizePolicy(policy)
        self.coverage = Coverage((), (), {})
        self._at = (0, 0)
        self._hover: tuple[int, int] | None = None
        self._turned = False
        theme().changed.connect(self.updateGeometry)

    def show_coverage(self, coverage: Coverage) -> None:
        """Other numbers."""
        if coverage == self.coverage:
            return
        self.coverage = coverage
        self._turned = self._should_turn()
        there = bool(self.rows and self.columns)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus if there else Qt.FocusPolicy.NoFocus)
        last = max(0, len(self.rows) - 1), max(0, len(self.columns) - 1)
        self._at = min(self._at[0], last[0]), min(self._at[1], last[1])
        self.setAccessibleName(f"Coverage by {coverage.row_noun} and {coverage.column_noun}")
        self._describe()
        self.updateGeometry()
        self.update()

    @property
    def rows(self) -> Sequence[tuple[str, str]]:
        """The rows as they are painted."""
        return self.coverage.columns if self._turned else self.coverage.rows

    @property
    def columns(self) -> Sequence[tuple[str, str]]:
        """The columns as they are painted."""
        return self.coverage.rows if self._turned else self.coverage.columns

    def _place(self, row: int, column: int) -> Place:
        row_key, column_key = self.rows[row][0], self.columns[column][0]
        return (column_key, row_key) if self._turned else (row_key, column_key)

    # Geometry

    def _wide(self, rows: Sequence[tuple[str, str]], columns: Sequence[tuple[str, str]]) -> float:
        return self._side(rows) + self._least() * len(columns)

    def _should_turn(self) -> bool:
        found = self.coverage
        return len(found.columns) > len(found.rows) and self.width() < self._wide(found.rows, found.columns)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._should_turn() != self._turned:
            self._turned = not self._turned
            self._at, self._hover = (0, 0), None
            self._describe()
            self.updateGeometry()
            self.turned.emit()

    def _metrics(self) -> QFontMetricsF:
        return QFontMetricsF(theme().font(theme().sizes.caption))

    def _side(self, rows: Sequence[tuple[str, str]] | None = None) -> float:
        named = self.rows if rows is None else rows
        widest = max((self._metrics().horizontalAdvance(name) for _, name in named), default=0.0)
        return min(widest + 2 * theme().sizes.grid, theme().sizes.label + 4 * theme().sizes.grid)

    def _top(self) -> float:
        return 2 * self._metrics().lineSpacing() + theme().sizes.half

    def _least(self) -> float:
        """The width of a column; a name that is longer is elided, and whole in the tooltip."""
        return theme().sizes.row * 2.1

    def _cell(self, row: int, column: int) -> QRectF:
        sizes, side = theme().sizes, self._side()
        wide = max(self._least(), (self.width() - side) / max(1, len(self.columns)))
        top = self._top() + row * (sizes.row + sizes.half)
        return QRectF(side + column * wide, top, wide - sizes.half, sizes.row)

    def sizeHint(self) -> QSize:
        sizes = theme().sizes
        high = self._top() + len(self.rows) * (sizes.row + sizes.half)
        found = self.coverage
        wide = min(self._wide(found.rows, found.columns), self._wide(found.columns, found.rows))
        return QSize(round(wide), round(high) + 2)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def _hit(self, point: QPoint) -> tuple[int, int] | None:
        for row in range(len(self.rows)):
            for column in range(len(self.columns)):
                if self._cell(row, column).contains(point.toPointF()):
                    return row, column
        return None

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        found, sizes = self.coverage, theme().sizes
        most = max((count.there for count in found.cells.values()), default=0)
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setFont(theme().font(sizes.caption))
            painter.setPen(theme().colour("muted"))
            metrics = self._metrics()
            for column, (_, name) in enumerate(self.columns):
                area = self._cell(0, column)
                text = "\n".join(
                    metrics.elidedText(line, Qt.TextElideMode.ElideRight, area.width()) for line in _lines(name)
                )
                place = QRectF(area.left(), 0, area.width(), self._top() - sizes.half)
                painter.drawText(place, int(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignBottom), text)
            painter.setPen(theme().colour("text"))
            for row, (_, name) in enumerate(self.rows):
                area = self._cell(row, 0)
                place = QRectF(0, area.top(), self._side() - sizes.grid, area.height())
                text = metrics.elidedText(name, Qt.TextElideMode.ElideRight, place.width())
                painter.drawText(place, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), text)
            for row in range(len(self.rows)):
                for column in range(len(self.columns)):
                    count = found.cells.get(self._place(row, column), Count())
                    self._paint_cell(painter, (row, column), count, count.there / most if most else 0.0)

    def _paint_cell(self, painter: QPainter, place: tuple[int, int], count: Count, share: float) -> None:
        sizes = theme().sizes
        area = self._cell(*place).adjusted(1, 1, -1, -1)
        empty = not count.there and not count.planned
        ground = theme().colour("bg") if empty else _mix(theme().colour("tint"), theme().colour("accent"), 0.85 * share)
        if self._hover == place:
            ground = _mix(ground, theme().colour("accent"), 0.15)
        pen = QPen(theme().colour("edge" if empty else "line"), 1, Qt.PenStyle.DashLine)
        low = count.quality is not None and count.quality < LOW_QUALITY
        painter.setPen(QPen(theme().colour("warn"), 2) if low else pen if empty else Qt.PenStyle.NoPen)
        painter.setBrush(ground)
        painter.drawRoundedRect(area, sizes.half, sizes.half)
        ink = theme().colour("muted" if empty else "on" if share > 0.6 else "text")
        painter.setPen(ink)
        painter.setFont(theme().font(sizes.caption, bold=bool(count.planned), tabular=True))
        painter.drawText(area, int(Qt.AlignmentFlag.AlignCenter), cell_text(count))
        if self.hasFocus() and self._at == place:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(theme().colour("accent"), 2))
            painter.drawRoundedRect(area.adjusted(-1, -1, 1, 1), sizes.half, sizes.half)

    # Words

    def words(self, row: int, column: int) -> str:
        """One cell in a sentence."""
        row_name, column_name = self.rows[row][1], self.columns[column][1]
        count = self.coverage.cells.get(self._place(row, column), Count())
        parts = [fmt.plural(count.there, "conversation")]
        if count.quality is not None:
            parts.append(f"mean quality {fmt.decimal(count.quality, 1)}")
        if count.planned:
            parts.append(f"{fmt.count(count.planned)} planned")
        return f"{row_name}, {column_name}: {', '.join(parts)}. Click to plan one."

    def _describe(self) -> None:
        if self.coverage.rows and self.coverage.columns:
            self.setAccessibleDescription(self.words(*self._at))

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            hit = self._hit(event.pos())
            QToolTip.showText(event.globalPos(), plain_tip(self.words(*hit)) if hit else "", self)
            return True
        return super().event(event)

    # Choosing

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        hit = self._hit(event.position().toPoint())
        if hit != self._hover:
            self._hover = hit
            self.setCursor(Qt.CursorShape.PointingHandCursor if hit else Qt.CursorShape.ArrowCursor)
            self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._hover = None
        self.update()
        super().leaveEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        hit = self._hit(event.position().toPoint())
        if hit is not None and event.button() == Qt.MouseButton.LeftButton:
            self._at = hit
            self._choose()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if step := KEYS.get(Qt.Key(event.key())):
            rows, columns = len(self.rows), len(self.columns)
            row, column = self._at[0] + step[0], self._at[1] + step[1]
            self._at = max(0, min(rows - 1, row)), max(0, min(columns - 1, column))
            self._describe()
            self.update()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and not event.modifiers():
            self._choose()
        else:
            super().keyPressEvent(event)

    def _choose(self) -> None:
        if self.coverage.rows and self.coverage.columns:
            self._describe()
            self.update()
            self.chosen.emit(*self._place(*self._at))


def cell_text(count: Count) -> str:
    """ "12", "12 +2" with two planned, "+" for an empty one."""
    if not count.there and not count.planned:
        return "+"
    return " ".join(filter(None, (str(count.there or ""), f"+{count.planned}" if count.planned else "")))


def _lines(name: str) -> list[str]:
    start, arrow, end = name.partition("→")
    if arrow:
        return [f"{start.strip()},", end.strip()]
    words = name.split()
    half = (len(words) + 1) // 2
    return [" ".join(words[:half]), " ".join(words[half:])] if len(words) > 1 else [name]


def _mix(low: QColor, high: QColor, share: float) -> QColor:
    def between(a: int, b: int) -> int:
        return round(a + (b - a) * share)

    return QColor(between(low.red(), high.red()), between(low.green(), high.green()), between(low.blue(), high.blue()))
