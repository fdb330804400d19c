"""The bar below a table: what can be done with all selected rows at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from ui import format as fmt
from ui.models.paged import PagedRows
from ui.theme import theme
from ui.widgets.basic import Button, label, row
from ui.widgets.table import TableView


@dataclass(frozen=True)
class BulkAction:
    """One button; `name` is its object name."""

    text: str
    icon: str
    run: Callable[[], Any]
    name: str


class BulkBar(QWidget):
    """Shown while two or more rows are selected; `what` names them, such as "conversations".

    `all_wanted()`: also the rows that the table has not read yet.
    """

    all_wanted = Signal()

    def __init__(self, what: str, *actions: BulkAction) -> None:
        super().__init__()
        self.setObjectName("bulk_bar")
        self.setAccessibleName(f"Actions for the selected {what}")
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.half)
        self._count = label("", "strong")
        box.addWidget(self._count)
        self._all = Button("", "link", on_click=self.all_wanted.emit, name="select_all_rows")
        self._all.hide()
        box.addWidget(self._all)
        for action in actions:
            box.addWidget(Button(action.text, "ghost", action.icon, on_click=action.run, name=action.name))
        self.hide()

    def follow(self, table: TableView, pages: PagedRows | None = None) -> None:
        """Come and go with the rows selected there; of `pages` those that were not read yet are offered too."""

        def show(rows: Sequence[Any]) -> None:
            self.show_count(len(rows))
            more = pages is not None and not pages.all_read and len(rows) == table.rows.rowCount()
            self._all.setVisible(more)
            self._all.setText(f"Select all {fmt.count(pages.total)}" if pages is not None else "")

        table.selection_changed.connect(show)

    def show_all(self, count: int) -> None:
        """Every row that there is is selected."""
        self.show_count(count)
        self._all.hide()

    def show_count(self, count: int) -> None:
        """How many rows are selected."""
        self._count.setText(f"{fmt.count(count)} selected")
        self.setVisible(count > 1)


def delete_several(what: str, run: Callable[[], Any], *more: BulkAction) -> BulkBar:
    """The bar of a list: Delete, with Undo, after what else can be done."""
    return BulkBar(what, *more, BulkAction("Delete", "ph.trash", run, "bulk_delete"))


def table_foot(caption: QWidget, bar: BulkBar, *more: QWidget) -> QWidget:
    """The line below a table: what it says, and the bar; the table keeps its height when the bar comes."""
    foot = row(caption, *more, bar, stretch=caption)
    foot.setMinimumHeight(bar.sizeHint().height())
    return foot
