"""The library as the page reads it, and the list of each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QPushButton, QStackedWidget, QVBoxLayout, QWidget

from app.window_state import WindowState
from core.db import Database
from core.scaffolding import store
from core.scaffolding.store import Entry
from ui import format as fmt
from ui.models.local import LocalRows
from ui.models.rows import RowModel
from ui.pages.scaffolding.kinds import KINDS, Kind
from ui.theme import theme
from ui.widgets.basic import ElidedLabel
from ui.widgets.bulk_bar import BulkBar, table_foot
from ui.widgets.empty import EmptyState
from ui.widgets.fit_columns import FitColumns
from ui.widgets.table import TableView

FOLD_ORDER = ("is_active", "title", "category", "beats", "age", "complexity", "tier")


@dataclass(frozen=True)
class Library:
    """Every entry by the name of its kind."""

    entries: Mapping[str, Sequence[Entry]]

    def keys(self, kind: str) -> dict[str, str]:
        """Key -> id."""
        return {entry.key: str(getattr(entry, "id", "")) for entry in self.entries[kind]}


def read_library(db: Database) -> Library:
    """All of it: a library is some hundred entries."""
    return Library({kind.name: store.listing(db, kind.entry) for kind in KINDS.values()})


class KindTable(QWidget):
    """The list of one kind, with what is shown when the search finds nothing."""

    def __init__(self, kind: Kind, state: WindowState, bulk: BulkBar, show_all: Callable[[], None]) -> None:
        super().__init__()
        self.kind = kind
        self.model = RowModel(kind.columns, self)
        self.table = TableView(self.model, f"scaffolding_{kind.name}", kind.title)
        self.table.review_keys = True
        self.entries = LocalRows(self.model, self)
        self.table.sort_requested.connect(self.entries.set_order)
        FitColumns(self.table, (*FOLD_ORDER, kind.entry.KEY))
        self.table.remember(state)
        self.bulk = bulk
        self.bulk.follow(self.table)
        self.table.selection_changed.connect(self._offer)
        sentence = f"No {kind.one} with that name, key, or state."
        self.nothing = EmptyState("ph.books", sentence, None, ("Show all", show_all))
        self._views = QStackedWidget()
        self._views.addWidget(self.table)
        self._views.addWidget(self.nothing)
        self.caption = ElidedLabel("", "caption")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.half)
        box.addWidget(self._views, 1)
        box.addWidget(table_foot(self.caption, self.bulk))

    def show_rows(self, entries: Sequence[Entry], search: str, active: bool | None) -> None:
        """The entries whose name or key has the words, in use or not; None for both."""
        words = search.lower().split()
        kept = [e for e in entries if active is None or e.is_active is active]
        found = [e for e in kept if all(w in f"{getattr(e, 'name', '')} {e.key}".lower() for w in words)]
        fewer = bool(words) or active is not None
        self.entries.show(found)
        self._offer(self.table.selected())
        self._views.setCurrentIndex(0 if found or not fewer else 1)
        shown = fmt.plural(len(found), self.kind.one)
        self.caption.setText(
            f"{fmt.count(len(found))} of {fmt.plural(len(entries), self.kind.one)}" if fewer else shown
        )

    @Slot(object)
    def _offer(self, selected: Sequence[Entry]) -> None:
        """One of Switch off and Switch on: there is no room for both in a narrow window."""
        off = any(entry.is_active for entry in selected)
        for name, wanted in (("bulk_switch_off", off), ("bulk_switch_on", not off)):
            button = self.bulk.findChild(QPushButton, name)
            if button is not None:
                button.setVisible(wanted)
