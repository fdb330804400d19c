"""A table in a narrow place: the least important columns go, so that the first keeps room for its words."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, Slot

from ui.theme import theme
from ui.widgets.column_widths import title_width
from ui.widgets.table import TableView


class FitColumns(QObject):
    """Folds columns of a table, the first of `order` first, while the stretching ones have less room than a label.

    What the user hid by hand takes no part, what the user asked for goes last.
    """

    def __init__(self, table: TableView, order: Sequence[str]) -> None:
        super().__init__(table)
        self._table, self._order = table, tuple(order)
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
        room = sum(max(theme().sizes.label, title_width(column)) for column in there if not column.room)
        widths = {column.key: chosen.width(column) for column in there}
        left = self._table.viewport().width() - chosen.strip - room - sum(widths.values())
        out: set[str] = set()
        for key in sorted((key for key in self._order if key in widths), key=lambda key: key in chosen.wanted):
            if left >= 0:
                break
            out.add(key)
            left += widths[key]
        return out
