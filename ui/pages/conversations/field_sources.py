"""Where every field of an enriched conversation comes from, as a table to search and copy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from PySide6.QtCore import Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLineEdit, QWidget

from ui import format as fmt
from ui.dialogs.base import Dialog
from ui.models.rows import Column, RowModel
from ui.pages.conversations.data import Detail
from ui.pages.conversations.enrichment_report import SOURCE_WORDS
from ui.theme import theme
from ui.widgets.basic import Button, label
from ui.widgets.table import TableView


@dataclass(frozen=True)
class Source:
    """One field and its origin."""

    id: str
    source: str
    reason: str


COLUMNS = (
    Column("id", "Field", "training_pairs[12].emotional_context.behavioral"),
    Column("source", "Source", tuple(SOURCE_WORDS.values()), role="muted"),
    Column("reason", "Reason"),
)


def rows_of(fields: Mapping[str, Mapping[str, str]]) -> list[Source]:
    """In the order of the document."""
    return [
        Source(path, SOURCE_WORDS.get(entry.get("source", ""), entry.get("source", "")), entry.get("reason", ""))
        for path, entry in fields.items()
    ]


class SourcesDialog(Dialog):
    """Opens beside the work, without blocking."""

    def __init__(self, parent: QWidget, detail: Detail) -> None:
        super().__init__(parent, "Where every field comes from")
        self.setObjectName("sources_dialog")
        sizes = theme().sizes
        self.resize(2 * sizes.inspector + sizes.sidebar, sizes.inspector + sizes.sidebar)
        self._all = rows_of(detail.sources.get("fields") or {})
        self.body.addWidget(label(detail.row.title, "section", wrap=True))
        hint = "“training_pairs[]” applies to every pair, “training_pairs[0]” only to the first."
        self.body.addWidget(label(hint, "muted", wrap=True))
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search fields and reasons")
        self.search.setAccessibleName("Search fields and reasons")
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._filter)
        self.body.addWidget(self.search)
        self.model = RowModel(COLUMNS, self)
        self.table = TableView(self.model, "sources", "Fields and their sources")
        self.body.addWidget(self.table, 1)
        self._count = label("", "caption")
        copy = Button("Copy as table", "", "ph.copy", on_click=self._copy, name="copy_sources")
        close = Button("Close", "main", on_click=self.accept, name="close")
        self.set_buttons(close, self._count, copy, cancel="")
        self._filter("")

    @Slot(str)
    def _filter(self, text: str) -> None:
        words = text.lower().split()
        found = [s for s in self._all if all(word in f"{s.id} {s.source} {s.reason}".lower() for word in words)]
        self.model.set_rows(found)
        self._count.setText(f"{fmt.count(len(found))} of {fmt.plural(len(self._all), 'field')}")

    def _copy(self) -> None:
        lines = ["Field\tSource\tReason", *(f"{s.id}\t{s.source}\t{s.reason}" for s in self.model.rows)]
        QGuiApplication.clipboard().setText("\n".join(lines))
