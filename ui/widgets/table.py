"""The table of every list: rows of 28 px, pills, sorting by header, keyboard, elided text with tooltip."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QPoint, QRect, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QHelpEvent, QKeyEvent, QPainter, QResizeEvent
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
from ui.tokens import Sizes
from ui.widgets.basic import plain_tip
from ui.widgets.chip import paint_pill
from ui.widgets.column_widths import column_width, title_width

Index = QModelIndex | QPersistentModelIndex


class CellDelegate(QStyledItemDelegate):
    """Paints cells from the model's cached texts."""

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
        if isinstance(view, TableView) and view.hasFocus() and index.column() == 0 and view.current_is(index.row()):
            painter.fillRect(QRect(rect.left(), rect.top(), 3, rect.height()), theme().colour("accent"))
        inner = rect.adjusted(sizes.grid, 0, -sizes.grid, 0)
        style, kind = index.data(STYLE_ROLE), index.data(KIND_ROLE)
        text = str(index.data(Qt.ItemDataRole.DisplayRole) or "")
        if kind:
            paint_pill(painter, QRectF(inner), Status(kind, text))
        elif isinstance(style, float | int):
            self._bar(painter, inner, float(style))
        else:
            font = theme().font(bold=style == "strong", tabular=True)
            painter.setFont(font)
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
    Column widths are kept under the view's object name when `remember(state)` was called.
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
        self._state: WindowState | None = None
        self._sorted: tuple[str, bool] = ("", False)
        self._putting = False
        self._given: dict[int, int] = {}
        self._sized: Sizes | None = None
        self.setObjectName(name)
        self.setAccessibleName(accessible)
        self.setModel(model)
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
        self.setFont(theme().font(tabular=True))
        self.verticalHeader().setDefaultSectionSize(sizes.row)
        header = self.horizontalHeader()
        # Other colours leave the widths that the user gave; in another font they would mean nothing.
        if sizes != self._sized:
            self._sized = sizes
            self._given.clear()
            for i, column in enumerate(self.rows.columns):
                header.setSectionResizeMode(i, QHeaderView.ResizeMode.Interactive)
                if column.room:
                    self._put_width(i, column_width(column))
        self._stretch()
        self.viewport().update()

    def _stretch(self) -> None:
        """Give the columns without a width what is left, but never less than can be read."""
        wide = [i for i, column in enumerate(self.rows.columns) if not column.room]
        rest = sum(self.columnWidth(i) for i in range(len(self.rows.columns)) if i not in wide)
        if not wide:
            return
        share = (self.viewport().width() - rest) // len(wide)
        for i in wide:
            self._put_width(i, max(share, theme().sizes.label * 5 // 8, title_width(self.rows.columns[i])))

    def _put_width(self, section: int, width: int) -> None:
        self._putting = True
        self.setColumnWidth(section, width)
        self._putting = False

    def _take_width(self, section: int) -> None:
        """Keep the width that the user gave a column; it never cuts the title."""
        column = self.rows.columns[section]
        width = max(self.columnWidth(section), title_width(column))
        self._put_width(section, width)
        if column.room:
            self._given[section] = width

    def wanted_width(self, section: int) -> int:
        """What a column has when it is shown: what the user gave it, or what its text needs; 0 if it takes the rest."""
        return self._given.get(section) or column_width(self.rows.columns[section])

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._stretch()

    # What is selected

    def current_is(self, position: int) -> bool:
        """Whether that row is the current one."""
        return self.currentIndex().row() == position

    def place(self) -> int:
        """Where the current row stands, -1 without one."""
        return self.currentIndex().row()

    def current(self) -> Any | None:
        """The current row, None if there is none."""
        return self.rows.row_at(self.currentIndex())

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

    # Kept widths

    def remember(self, state: WindowState) -> None:
        """Restore the column widths and keep them from now on."""
        saved = state.bytes(f"table/{self.objectName()}")
        if not saved.isEmpty():
            self.horizontalHeader().restoreState(saved)
            for section in range(len(self.rows.columns)):
                if not self.isColumnHidden(section):
                    self._take_width(section)
            self.horizontalHeader().setSortIndicatorShown(bool(self._sorted[0]))
        self._state = state

    @Slot(int, int, int)
    def _on_resized(self, section: int, before: int, after: int) -> None:
        # From or to nothing: the column was shown or hidden.
        if self._putting or not self.isVisible():
            return
        by_user = bool(before and after)
        if by_user:
            self._take_width(section)
        self._stretch()
        if by_user and self._state is not None:
            self._state.put_bytes(f"table/{self.objectName()}", self.horizontalHeader().saveState())

    # Events

    @Slot()
    def _on_selection(self) -> None:
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
