"""A table in a narrow place: the least important columns go, so that the first keeps room for its words."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, Slot

from ui.theme import theme
from ui.tokens import Sizes
from ui.widgets.table import TableView


class FitColumns(QObject):
    """Hides columns of a table, the first of `order` first, while the stretching ones have less than `room` pixels."""

    def __init__(self, table: TableView, order: Sequence[str], room: int = 0) -> None:
        super().__init__(table)
        self._table, self._order = table, tuple(order)
        self._room = room or Sizes().label
        table.viewport().installEventFilter(self)
        theme().changed.connect(self._fit)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._fit()
        return False

    @Slot()
    def _fit(self) -> None:
        columns = self._table.rows.columns
        scale = theme().scale
        widths = {column.key: round(column.width * scale) for column in columns}
        stretching = sum(1 for column in columns if not column.width)
        left = self._table.viewport().width() - round(self._room * scale) * stretching
        hidden: set[str] = set()
        for key in self._order:
            if sum(width for name, width in widths.items() if name not in hidden) <= left:
                break
            hidden.add(key)
        for place, column in enumerate(columns):
            wanted = column.key in hidden
            if self._table.isColumnHidden(place) != wanted:
                self._table.setColumnHidden(place, wanted)
