"""The table of every list: rows of 28 px, pills, sorting by header, keyboard, elided text with tooltip."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QPoint, QRect, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QHelpEvent, QKeyEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QToolTip,
    QWidget,
)

from app.window_state import WindowState
from ui.models.rows import KIND_ROLE, STYLE_ROLE, RowModel, Status
from ui.theme import theme
from ui.widgets.basic import plain_tip
from ui.widgets.chip import paint_pill
from ui.widgets.column_chooser import ColumnChooser
from ui.widgets.column_widths import title_width

Index = QModelIndex | QPersistentModelIndex


class CellDelegate(QStyledItemDelegate):
    """Paints cells from the model's cached texts."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.restyle()

    def restyle(self) -> None:
        """Take the fonts of the theme; to make one for each cell takes longer than to paint it."""
        self._plain, self._strong = theme().font(tabular=True), theme().font(bold=True, tabular=True)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        sizes = theme().sizes
        state, rect = option.state, option.rect
        view = self.parent()
        selected = bool(state & QStyle.StateFlag.State_Selected)
        painter.save()
        if selected:
            painter.fillRect(rect, theme().colour("tint"))
        elif isinstance(view, TableView) and view.hovered_row == index.row():
            painter.fillRect(rect, theme().colour("hover"))
        painter.setPen(theme().colour("line"))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        if isinstance(view, TableView) and view.hasFocus() and view.marks(index):
            painter.fillRect(QRect(rect.left(), rect.top(), 3, rect.height()), theme().colour("accent"))
        inner = rect.adjusted(sizes.grid, 0, -sizes.grid, 0)
        style, kind = index.data(STYLE_ROLE), index.data(KIND_ROLE)
        text = str(index.data(Qt.ItemDataRole.DisplayRole) or "")
        if kind:
            paint_pill(painter, QRectF(inner), Status(kind, text))
        elif isinstance(style, float | int):
            self._bar(painter, inner, float(style))
        elif isinstance(style, tuple):
            self._dots(painter, inner, style)
        else:
            painter.setFont(self._strong if style == "strong" else self._plain)
            painter.setPen(theme().colour("muted" if style == "muted" else "text"))
            shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, inner.width())
            painter.drawText(inner, int(index.data(Qt.ItemDataRole.TextAlignmentRole)), shown)
        painter.restore()

    @staticmethod
    def _bar(painter: QPainter, area: QRect, share: float) -> None:
        height = theme().sizes.bar
        box = QRectF(area.left(), area.center().y() - height / 2, area.width(), height)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        for width, token in ((box.width(), "line"), (box.width() * max(0.0, min(1.0, share)), "accent")):
            painter.setBrush(theme().colour(token))
            painter.drawRoundedRect(QRectF(box.left(), box.top(), width, height), height / 2, height / 2)

    @staticmethod
    def _dots(painter: QPainter, area: QRect, kinds: tuple[str, ...]) -> None:
        side = theme().sizes.grid + 2
        step = min(side + theme().sizes.half - 1, max(side / 3, area.width() / max(1, len(kinds))))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for place, kind in enumerate(kinds):
            colour = {"ok": "ok", "warn": "warn", "bad": "bad", "done": "accent", "busy": "accent"}.get(kind, "edge")
            painter.setPen(QPen(theme().colour(colour), 1.5))
            filled = kind in ("ok", "warn", "bad", "done")
            painter.setBrush(theme().colour(colour) if filled else Qt.BrushStyle.NoBrush)
            box = QRectF(area.left() + place * step, area.center().y() - side / 2, side, side)
            painter.drawEllipse(box.adjusted(1, 1, -1, -1))

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(theme().sizes.row, theme().sizes.row)

    def helpEvent(self, event: QHelpEvent, view: QAbstractItemView, option: QStyleOptionViewItem, index: Index) -> bool:
        text = index.data(Qt.ItemDataRole.ToolTipRole)
        if not text and index.isValid() and not index.data(KIND_ROLE):
            shown = str(index.data(Qt.ItemDataRole.DisplayRole) or "")
            area = view.visualRect(index)
            room = area.width() - 2 * theme().sizes.grid
            if view.fontMetrics().horizontalAdvance(shown) > room:
                text = shown
        QToolTip.showText(event.globalPos(), plain_tip(str(text or "")), view)
        return True


class TableView(QTableView):
    """A view on a `RowModel`.

    Signals: `opened(row)` by Enter or double click, `previewed(row)` by Space, `current_changed(row | None)`,
    `selection_changed([row, ...])`, `sort_requested(key, descending)`: sort in SQL. J and K move when `review_keys`.
    `columns` says which are shown; with `remember(state)` the user chooses, and the choice is kept under the view's
    object name.
    """

    opened = Signal(object)
    previewed = Signal(object)
    current_changed = Signal(object)
    selection_changed = Signal(object)
    sort_requested = Signal(str, bool)

    def __init__(self, model: RowModel, name: str, accessible: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = model
        self.review_keys = False
        self.hovered_row = -1
        self._sorted: tuple[str, bool] = ("", False)
        self._stretching = False
        self.setObjectName(name)
        self.setAccessibleName(accessible)
        self.setModel(model)
        self.columns = ColumnChooser(self, model.columns)
        self.columns.changed.connect(self._stretch)
        self._delegate = CellDelegate(self)
        self.setItemDelegate(self._delegate)
        self._set_up_view()
        self._set_up_header()
        self.selectionModel().selectionChanged.connect(self._on_selection)
        self.selectionModel().currentRowChanged.connect(self._on_current)
        self.doubleClicked.connect(self._on_double_click)
        self._restyle()
        theme().changed.connect(self._restyle)

    def _set_up_view(self) -> None:
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setMouseTracking(True)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(False)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)

    def _set_up_header(self) -> None:
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionsClickable(True)
        header.setMinimumSectionSize(theme().sizes.icon_large)
        header.setSortIndicatorShown(False)
        header.sectionClicked.connect(self._on_header_clicked)
        header.sectionResized.connect(self._on_resized)

    @Slot()
    def _restyle(self) -> None:
        sizes = theme().sizes
        self._delegate.restyle()
        self.setFont(theme().font(tabular=True))
        self.verticalHeader().setDefaultSectionSize(sizes.row)
        header = self.horizontalHeader()
        self._stretching = True
        for i, column in enumerate(self.rows.columns):
            header.setSectionResizeMode(i, QHeaderView.ResizeMode.Interactive)
            if column.room:
                self.setColumnWidth(i, self.columns.width(column))
        self._stretching = False
        self._stretch()
        self.viewport().update()

    @Slot()
    def _stretch(self) -> None:
        """Give the columns without a width what is left, but never less than can be read."""
        wide = [i for i, column in enumerate(self.rows.columns) if not column.room]
        rest = sum(self.columnWidth(i) for i in range(len(self.rows.columns)) if i not in wide)
        wide = [i for i in wide if not self.isColumnHidden(i)]
        if not wide:
            return
        share = (self.viewport().width() - self.columns.strip - rest) // len(wide)
        self._stretching = True
        for i in wide:
            self.setColumnWidth(i, max(share, theme().sizes.label * 5 // 8, title_width(self.rows.columns[i])))
        self._stretching = False

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._stretch()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        left = self.horizontalHeader().length()
        if not self.columns.strip or left >= self.viewport().width():
            return
        # Below the button of the header, rows go on to the edge.
        with QPainter(self.viewport()) as painter:
            first, last = self.rowAt(0), self.rowAt(self.viewport().height() - 1)
            for row in range(max(first, 0), (last if last >= 0 else self.rows.rowCount() - 1) + 1):
                area = QRect(left, self.rowViewportPosition(row), self.viewport().width() - left, self.rowHeight(row))
                if self.selectionModel().isRowSelected(row):
                    painter.fillRect(area, theme().colour("tint"))
                elif row == self.hovered_row:
                    painter.fillRect(area, theme().colour("hover"))
                painter.setPen(theme().colour("line"))
                painter.drawLine(area.bottomLeft(), area.bottomRight())

    # What is selected

    def marks(self, index: Index) -> bool:
        """Whether the bar of the current row is drawn in this cell: its leftmost one."""
        return self.currentIndex().row() == index.row() and self.columns.leads(index.column())

    def place(self) -> int:
        """The position of the current row, -1 without one."""
        return self.currentIndex().row()

    def current(self) -> Any | None:
        """The current row, None if there is none."""
        return self.rows.row_at(self.currentIndex())

    def let_go(self) -> None:
        """No row is current or selected."""
        self.setCurrentIndex(QModelIndex())
        self.clearSelection()

    def selected(self) -> list[Any]:
        """The selected rows, from top to bottom."""
        # By ranges: an index a row makes selecting everything slow.
        ranges = self.selectionModel().selection()
        places = (range(ranges.at(i).top(), ranges.at(i).bottom() + 1) for i in range(ranges.size()))
        positions = {place for span in places for place in span}
        return [self.rows.rows[position] for position in sorted(positions)]

    def select_id(self, row_id: Any) -> bool:
        """Make the row of that id the current one and show it; False if it is not here."""
        position = self.rows.position(row_id)
        if position < 0:
            return False
        self.setCurrentIndex(self.rows.index(position, 0))
        self.scrollTo(self.rows.index(position, 0))
        return True

    def step(self, by: int) -> None:
        """Move the current row up or down."""
        target = max(0, min(self.rows.rowCount() - 1, self.currentIndex().row() + by))
        if self.rows.rowCount():
            self.setCurrentIndex(self.rows.index(target, 0))

    # Order

    def show_order(self, sort: str, descending: bool) -> None:
        """Show the arrow of the order in force without asking for it."""
        self._sorted = (sort, descending)
        header = self.horizontalHeader()
        for i, column in enumerate(self.rows.columns):
            if column.sort and column.sort == sort:
                header.setSortIndicatorShown(True)
                order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
                header.setSortIndicator(i, order)

    @Slot(int)
    def _on_header_clicked(self, section: int) -> None:
        sort = self.rows.columns[section].sort
        if not sort:
            return
        descending = not self._sorted[1] if self._sorted[0] == sort else False
        self.show_order(sort, descending)
        self.sort_requested.emit(sort, descending)

    # Columns

    def remember(self, state: WindowState) -> None:
        """Let the user choose the columns; restore the choice with order and widths, and keep it from now on."""
        self.columns.remember(state)
        self.show_order(*self._sorted)
        self._restyle()

    @Slot(int, int, int)
    def _on_resized(self, section: int, before: int, after: int) -> None:
        # A column that is hidden or shown again has a size of 0 here, and is no wish for a width.
        if self._stretching or not self.isVisible() or not before or not after:
            return
        column = self.rows.columns[section]
        width = max(after, title_width(column))
        self._stretching = True
        self.setColumnWidth(section, width)
        self._stretching = False
        self.columns.note_width(column.key, width)
        self._stretch()
        self.columns.save()

    # Events

    @Slot()
    def _on_selection(self) -> None:
        # Qt paints the cells that changed; the strip beside them is none.
        self.viewport().update(self.viewport().rect().adjusted(self.horizontalHeader().length(), 0, 0, 0))
        self.selection_changed.emit(self.selected())

    @Slot(QModelIndex)
    def _on_current(self, index: QModelIndex) -> None:
        self.current_changed.emit(self.rows.row_at(index))

    @Slot(QModelIndex)
    def _on_double_click(self, index: QModelIndex) -> None:
        row = self.rows.row_at(index)
        if row is not None:
            self.opened.emit(row)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, plain = event.key(), not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        row = self.current()
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and plain and row is not None:
            self.opened.emit(row)
        elif key == Qt.Key.Key_Space and plain and row is not None:
            self.previewed.emit(row)
        elif self.review_keys and plain and key in (Qt.Key.Key_J, Qt.Key.Key_K):
            self.step(1 if key == Qt.Key.Key_J else -1)
        else:
            super().keyPressEvent(event)

    def keyboardSearch(self, search: str) -> None:
        """Letters are commands here, and search has its field."""

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.HoverMove, QEvent.Type.HoverEnter):
            self._hover(self.rowAt(event.position().toPoint().y()))  # type: ignore[attr-defined]
        elif event.type() in (QEvent.Type.HoverLeave, QEvent.Type.Leave):
            self._hover(-1)
        return super().viewportEvent(event)

    def _hover(self, row: int) -> None:
        if row == self.hovered_row:
            return
        before, self.hovered_row = self.hovered_row, row
        for changed in (before, row):
            if 0 <= changed < self.rows.rowCount():
                top = self.rowViewportPosition(changed)
                self.viewport().update(QRect(QPoint(0, top), QSize(self.viewport().width(), self.rowHeight(changed))))
