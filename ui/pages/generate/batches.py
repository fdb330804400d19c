"""Earlier batches: what came of them and what they cost."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.services import Services
from core.generation.store import Batch
from ui import format as fmt
from ui.format import usd
from ui.models.local import LocalRows
from ui.models.rows import RowModel
from ui.pages.generate.data import BATCH_COLUMNS, BATCH_FOLDS
from ui.theme import theme
from ui.widgets.basic import label
from ui.widgets.bulk_bar import delete_several, table_foot
from ui.widgets.fit_columns import FitColumns
from ui.widgets.table import TableView


class BatchesView(QWidget):
    """`opened(Batch)` by Enter or double click; `delete_wanted([Batch, ...])`."""

    opened = Signal(object)
    delete_wanted = Signal(object)

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.setObjectName("batches_view")
        self.model = RowModel(BATCH_COLUMNS, self)
        self.rows = LocalRows(self.model, self)
        self.table = TableView(self.model, "batches_table", "Batches")
        self.table.sort_requested.connect(self.rows.set_order)
        FitColumns(self.table, BATCH_FOLDS)
        self.table.remember(services.state)
        self.table.opened.connect(self.opened)
        self.caption = label("", "caption", name="batches_caption")
        self.bulk = delete_several("batches", self.delete_selected)
        self.bulk.follow(self.table)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.half)
        box.addWidget(self.table, 1)
        box.addWidget(table_foot(self.caption, self.bulk))

    def show_batches(self, batches: Sequence[Batch]) -> None:
        """Newest first."""
        self.rows.show(batches)
        if self.table.current() is None and self.model.rows:
            self.table.select_id(self.model.rows[0].id)
        spent = sum((batch.spent for batch in batches), start=type(batches[0].spent)(0)) if batches else None
        words = f"{fmt.plural(len(batches), 'batch', 'batches')}"
        self.caption.setText(f"{words} · {usd(spent)} spent · Enter opens" if batches else "No batches yet")

    @Slot()
    def delete_selected(self) -> None:
        """The selected batches go to the trash; their conversations stay."""
        if chosen := self.table.selected():
            self.delete_wanted.emit(chosen)
