"""A table in a narrow place: the least important columns go, so that the first keeps room for its words."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, Slot

from ui.theme import theme
from ui.tokens import Sizes
from ui.widgets.table import TableView


class FitColumns(QObject):
    """Folds columns of a table, the first of `order` first, while the stretching ones have less than `room` pixels.

    What the user hid by hand takes no part, what the user asked for goes last.
    """

    def __init__(self, table: TableView, order: Sequence[str], room: int = 0) -> None:
        super().__init__(table)
        self._table, self._order = table, tuple(order)
        self._room = room or Sizes().label
        table.columns.fold = self.folded
        table.viewport().installEventFilter(self)
        theme().changed.connect(self._fit)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._fit()
        return False

    @Slot()
    def _fit(self) -> None:
        self._table.columns.apply()

    def folded(self) -> set[str]:
        """The columns that have no room now."""
        chosen = self._table.columns
        there = [column for column in self._table.rows.columns if column.key not in chosen.hidden]
        stretching = sum(1 for column in there if not column.width)
        room = round(self._room * theme().scale) * stretching
        left = self._table.viewport().width() - chosen.strip - room - sum(chosen.width(column) for column in there)
        widths = {column.key: chosen.width(column) for column in there}
        out: set[str] = set()
        for key in sorted((key for key in self._order if key in widths), key=lambda key: key in chosen.wanted):
            if left >= 0:
                break
            out.add(key)
            left += widths[key]
        return out
