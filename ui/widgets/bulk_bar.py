"""The bar below a table: what can be done with all selected rows at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtWidgets import QHBoxLayout, QWidget

from ui import format as fmt
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
    """Shown while two or more rows are selected; `what` names them, such as "conversations"."""

    def __init__(self, what: str, *actions: BulkAction) -> None:
        super().__init__()
        self.setObjectName("bulk_bar")
        self.setAccessibleName(f"Actions for the selected {what}")
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.half)
        self._count = label("", "strong")
        box.addWidget(self._count)
        for action in actions:
            box.addWidget(Button(action.text, "ghost", action.icon, on_click=action.run, name=action.name))
        self.hide()

    def follow(self, table: TableView) -> None:
        """Come and go with the rows that are selected there."""
        table.selection_changed.connect(lambda rows: self.show_count(len(rows)))

    def show_count(self, count: int) -> None:
        """How many rows are selected."""
        self._count.setText(f"{fmt.count(count)} selected")
        self.setVisible(count > 1)


def delete_several(what: str, run: Callable[[], Any]) -> BulkBar:
    """The bar of a list whose rows share no other action: Delete, with Undo."""
    return BulkBar(what, BulkAction("Delete", "ph.trash", run, "bulk_delete"))


def table_foot(caption: QWidget, bar: BulkBar, *more: QWidget) -> QWidget:
    """The line below a table: what it says, and the bar; the table keeps its height when the bar comes."""
    foot = row(caption, *more, bar, stretch=caption)
    foot.setMinimumHeight(bar.sizeHint().height())
    return foot
