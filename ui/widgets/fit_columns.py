"""A table in a narrow place: the least important columns go, so that the first keeps room for its words."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, Slot

from ui.theme import theme
from ui.widgets.column_widths import title_width
from ui.widgets.table import TableView


class FitColumns(QObject):
    """Hides columns of a table, the first of `order` first, while the stretching ones have less room than a label."""

    def __init__(self, table: TableView, order: Sequence[str]) -> None:
        super().__init__(table)
        self._table, self._order = table, tuple(order)
        table.viewport().installEventFilter(self)
        theme().changed.connect(self._fit)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._fit()
        return False

    @Slot()
    def _fit(self) -> None:
        columns = self._table.rows.columns
        widths = {column.key: self._table.wanted_width(place) for place, column in enumerate(columns)}
        room = theme().sizes.label
        left = self._table.viewport().width() - sum(
            max(room, title_width(column)) for column in columns if not column.room
        )
        hidden: set[str] = set()
        for key in self._order:
            if sum(width for name, width in widths.items() if name not in hidden) <= left:
                break
            hidden.add(key)
        for place, column in enumerate(columns):
            wanted = column.key in hidden
            if self._table.isColumnHidden(place) != wanted:
                self._table.setColumnHidden(place, wanted)
