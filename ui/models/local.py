"""A list that is read whole: ordered here by any column, where a long one is ordered in SQL (`ui.models.paged`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QObject, Slot

from core.db.connection import fold
from ui.models.rows import Column, RowModel, Status


class LocalRows(QObject):
    """Feeds a `RowModel`; connect `TableView.sort_requested` to `set_order`.

    Without an order the rows stay as they were read. Rows without a value are last either way.
    """

    def __init__(self, model: RowModel, parent: QObject) -> None:
        super().__init__(parent)
        self._model = model
        self._rows: list[Any] = []
        self._column: Column | None = None
        self._descending = False

    def show(self, rows: Sequence[Any]) -> None:
        """Show these, in the order in force."""
        self._rows = list(rows)
        self._model.set_rows(self._ordered())

    @Slot(str, bool)
    def set_order(self, sort: str, descending: bool) -> None:
        """Another order; `sort` is a `Column.sort`."""
        self._column = next((column for column in self._model.columns if column.sort == sort), None)
        self._descending = descending
        self._model.set_rows(self._ordered())

    def _ordered(self) -> list[Any]:
        column = self._column
        if column is None:
            return self._rows
        there = [row for row in self._rows if column.raw(row) is not None]
        there.sort(key=lambda row: _key(column, row), reverse=self._descending)
        return [*there, *(row for row in self._rows if column.raw(row) is None)]


def _key(column: Column, row: Any) -> tuple[float, str]:
    """By number where the value is one, else by what is read."""
    value = column.order(row) if column.order is not None else column.raw(row)
    if isinstance(value, int | float):
        return float(value), ""
    if isinstance(value, str):
        return 0.0, fold(value) or ""
    cell = column.cell(row)
    return 0.0, fold(cell.word if isinstance(cell, Status) else cell) or ""
