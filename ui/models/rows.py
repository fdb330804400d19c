"""One item model for every table: frozen rows, columns declared as values, refreshed by difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

Index = QModelIndex | QPersistentModelIndex
KIND_ROLE = int(Qt.ItemDataRole.UserRole) + 1
ROW_ROLE = int(Qt.ItemDataRole.UserRole) + 2
STYLE_ROLE = int(Qt.ItemDataRole.UserRole) + 3


@dataclass(frozen=True)
class Status:
    """A cell or pill of icon, word and colour; `kind` is ok, warn, bad, info, busy or neutral."""

    kind: str
    word: str


Room = str | Status | tuple[str | Status, ...]


@dataclass(frozen=True)
class Column:
    """One column.

    `key` names the attribute (or mapping key) of a row, `value(row)` replaces it. `formatter(value)` gives text or
    a `Status`. `room` is what the column has room for: text, a pill, or several of them of which the widest counts;
    its title always has room. Without `room` the column takes what is left. `role` is "text", "muted", "strong",
    "status", "progress" (value 0 to 1) or "dots" (value: a tuple of "ok", "warn", "bad", "busy", "done" or "").
    `sort` is what `sort_requested` says, empty if the column can't be sorted;
    `order(row)` is what `ui.models.local` sorts by, where that is not the value. Units go into `title`.
    """

    key: str
    title: str
    room: Room = ""
    align: str = "left"
    formatter: Callable[[Any], str | Status] = str
    role: str = "text"
    sort: str = ""
    value: Callable[[Any], Any] | None = None
    tooltip: Callable[[Any], str] | None = None
    order: Callable[[Any], Any] | None = None

    def raw(self, row: Any) -> Any:
        """The value of this column in a row."""
        if self.value is not None:
            return self.value(row)
        return row[self.key] if isinstance(row, Mapping) else getattr(row, self.key)

    def cell(self, row: Any) -> str | Status:
        """What is shown; None reads as a dash unless the formatter takes it."""
        value = self.raw(row)
        if value is None and self.formatter is str:
            return "–"
        return self.formatter(value)


def _id_of(row: Any) -> Any:
    return row["id"] if isinstance(row, Mapping) else row.id


class RowModel(QAbstractTableModel):
    """Rows with an `id` that compare by value. Lives in the GUI thread.

    `set_rows` keeps selection and scroll: it removes, moves, inserts and repaints only what differs.
    `more_wanted(count)` asks for the rows after the first `count`; answer with `append_rows`.
    """

    more_wanted = Signal(int)

    def __init__(
        self,
        columns: Sequence[Column],
        parent: QObject | None = None,
        *,
        row_id: Callable[[Any], Any] = _id_of,
    ) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self.row_id = row_id
        self._rows: list[Any] = []
        self._cells: list[tuple[str | Status, ...] | None] = []
        self._more = False
        self._asking = False

    # What there is

    @property
    def rows(self) -> Sequence[Any]:
        """The rows shown; don't change the list."""
        return self._rows

    def row_at(self, index: Index) -> Any | None:
        """The row of an index, None if it is invalid."""
        return self._rows[index.row()] if index.isValid() and index.row() < len(self._rows) else None

    def position(self, row_id: Any) -> int:
        """The position of the row of that id, -1 if it is not here."""
        return next((i for i, row in enumerate(self._rows) if self.row_id(row) == row_id), -1)

    # New rows

    def set_rows(self, rows: Sequence[Any], *, more: bool = False) -> None:
        """Show these rows; `more` says that others follow."""
        self._more, self._asking = more, False
        new_ids = [self.row_id(row) for row in rows]
        self._remove_missing(set(new_ids))
        self._reorder(new_ids)
        self._insert_new(rows, new_ids)
        self._repaint(rows)

    def not_appended(self) -> None:
        """The rows that were asked for could not be had; they are asked for again."""
        self._asking = False

    def append_rows(self, rows: Sequence[Any], *, more: bool = False) -> None:
        """Add the next page; rows that are here already are passed over."""
        self._more, self._asking = more, False
        have = {self.row_id(row) for row in self._rows}
        fresh = [row for row in rows if self.row_id(row) not in have]
        if fresh:
            start = len(self._rows)
            self.beginInsertRows(QModelIndex(), start, start + len(fresh) - 1)
            self._rows.extend(fresh)
            self._cells.extend([None] * len(fresh))
            self.endInsertRows()

    def _remove_missing(self, wanted: set[Any]) -> None:
        last = len(self._rows) - 1
        while last >= 0:
            if self.row_id(self._rows[last]) in wanted:
                last -= 1
                continue
            first = last
            while first > 0 and self.row_id(self._rows[first - 1]) not in wanted:
                first -= 1
            self.beginRemoveRows(QModelIndex(), first, last)
            del self._rows[first : last + 1]
            del self._cells[first : last + 1]
            self.endRemoveRows()
            last = first - 1

    def _reorder(self, new_ids: list[Any]) -> None:
        place = {ident: i for i, ident in enumerate(new_ids)}
        order = sorted(range(len(self._rows)), key=lambda i: place[self.row_id(self._rows[i])])
        if order == list(range(len(order))):
            return
        self.layoutAboutToBeChanged.emit()
        moved = {old: new for new, old in enumerate(order)}
        before = self.persistentIndexList()
        after = [self.index(moved[i.row()], i.column()) for i in before]
        self._rows = [self._rows[i] for i in order]
        self._cells = [self._cells[i] for i in order]
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def _insert_new(self, rows: Sequence[Any], new_ids: list[Any]) -> None:
        here = {self.row_id(row) for row in self._rows}
        at = 0
        while at < len(rows):
            if new_ids[at] in here:
                at += 1
                continue
            end = at
            while end < len(rows) and new_ids[end] not in here:
                end += 1
            self.beginInsertRows(QModelIndex(), at, end - 1)
            self._rows[at:at] = rows[at:end]
            self._cells[at:at] = [None] * (end - at)
            self.endInsertRows()
            at = end

    def _repaint(self, rows: Sequence[Any]) -> None:
        changed = [i for i, row in enumerate(rows) if row != self._rows[i]]
        for i in changed:
            self._rows[i] = rows[i]
            self._cells[i] = None
        start = 0
        while start < len(changed):
            end = start + 1
            while end < len(changed) and changed[end] == changed[end - 1] + 1:
                end += 1
            last = len(self.columns) - 1
            self.dataChanged.emit(self.index(changed[start], 0), self.index(changed[end - 1], last))
            start = end

    # QAbstractTableModel

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.columns)

    def canFetchMore(self, parent: Index) -> bool:
        return not parent.isValid() and self._more and not self._asking

    def fetchMore(self, parent: Index) -> None:
        if self.canFetchMore(parent):
            self._asking = True
            self.more_wanted.emit(len(self._rows))

    def _cell(self, index: Index) -> str | Status:
        cells = self._cells[index.row()]
        if cells is None:
            row = self._rows[index.row()]
            cells = self._cells[index.row()] = tuple(column.cell(row) for column in self.columns)
        return cells[index.column()]

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        column = self.columns[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            cell = self._cell(index)
            return cell.word if isinstance(cell, Status) else cell
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        if role == KIND_ROLE:
            cell = self._cell(index)
            return cell.kind if isinstance(cell, Status) else ""
        if role == STYLE_ROLE:
            drawn = column.role in ("progress", "dots")
            return column.raw(self._rows[index.row()]) if drawn else column.role
        if role == ROW_ROLE:
            return self._rows[index.row()]
        if role == Qt.ItemDataRole.AccessibleTextRole:
            cell = self._cell(index)
            return f"{column.title}: {cell.word if isinstance(cell, Status) else cell}"
        if role == Qt.ItemDataRole.ToolTipRole and column.tooltip is not None:
            return column.tooltip(self._rows[index.row()])
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(self.columns):
            return None
        column = self.columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.title
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        return None


def _alignment(column: Column) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column.align == "right" else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter
