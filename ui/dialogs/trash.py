"""The trash: what was deleted, restore it or delete it for good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QStackedWidget, QWidget

from app.services import Services
from core import trash
from core.db import Database
from core.errors import AppError
from core.events import Changed
from core.trash import Trashed
from ui import format as fmt
from ui.dialogs.base import Dialog, confirm
from ui.models.rows import Column, RowModel
from ui.theme import theme
from ui.widgets.banner import BannerArea
from ui.widgets.basic import Button, label
from ui.widgets.empty import EmptyState
from ui.widgets.table import TableView

COLUMNS = (
    Column("label", "Name"),
    Column("noun", "Kind", "Conversation file", formatter=fmt.word),
    Column("deleted_at", "Deleted", "28 Nov 2024", formatter=fmt.moment, role="muted"),
)
WHY_STAYS = "Some items were kept because others use them"


def restore_all(db: Database, items: list[Trashed]) -> Changed:
    """Take rows of any tables out of the trash."""
    changed = Changed.NOTHING
    for table in dict.fromkeys(item.table for item in items):
        changed |= trash.restore(db, table, [item.id for item in items if item.table == table])
    return changed


class TrashDialog(Dialog):
    """Edit > Trash."""

    def __init__(self, services: Services, parent: QWidget) -> None:
        super().__init__(parent, "Trash")
        self.setObjectName("trash_dialog")
        self.services = services
        sizes = theme().sizes
        self.banners = BannerArea()
        self.model = RowModel(COLUMNS, self, row_id=lambda item: (item.table, item.id))
        self.table = TableView(self.model, "trash_table", "Items in the trash")
        self._states = QStackedWidget()
        self._states.addWidget(self.table)
        self._states.addWidget(
            EmptyState("ph.trash", "The trash is empty. Deleted items stay here until you empty it.")
        )
        self.restore = Button("Restore", "", "ph.arrow-counter-clockwise", on_click=self._restore, name="restore")
        self.purge = Button("Delete permanently", "", "ph.trash", on_click=self._ask_purge, name="purge")
        self.empty = Button("Empty trash", "", on_click=self._ask_empty, name="empty_trash")
        close = Button("Close", "main", on_click=self.accept, name="close")
        self.body.addWidget(label("Trash", "title"))
        self.body.addWidget(label("Files stay on disk until items are permanently deleted.", "muted", wrap=True))
        self.body.addWidget(self.banners)
        self.body.addWidget(self._states, 1)
        self.set_buttons(close, self.restore, self.purge, self.empty, cancel="")
        self.resize(sizes.inspector * 2, sizes.inspector + sizes.search // 2)
        self.table.selection_changed.connect(self._on_selection)
        self.table.opened.connect(self._restore)
        services.hub.changed.connect(self._reload)
        self._on_selection()
        self._reload()

    @Slot()
    def _reload(self) -> None:
        self.services.read(self, trash.listing, self._show, self._failed)

    def _show(self, items: list[Trashed]) -> None:
        self.model.set_rows(items)
        self._states.setCurrentIndex(0 if items else 1)
        self.empty.setEnabled(bool(items))
        self._on_selection()

    @Slot()
    def _on_selection(self) -> None:
        some = bool(self.table.selected())
        self.restore.setEnabled(some)
        self.purge.setEnabled(some)

    @Slot()
    def _restore(self) -> None:
        items = self.table.selected()
        if items:
            self.services.write(self, lambda db: restore_all(db, items), failed=self._failed)

    def _ask_purge(self) -> None:
        items = self.table.selected()
        what = f"“{items[0].label}”" if len(items) == 1 else fmt.plural(len(items), "item")
        self._confirm(f"Delete {what} permanently?", lambda: self._purge(items), items)

    def _ask_empty(self) -> None:
        self._confirm("Empty the trash?", self._purge_all, self.model.rows)

    def _confirm(self, text: str, on_yes: Any, items: Sequence[Trashed]) -> None:
        hint = "The files will be removed from disk. This can't be undone."
        if left := ", ".join(item.stays.replace(",", ", ") for item in items if item.stays):
            hint += f" In Ollama stays what was shared: {left}. Restore the adapter to take it out, or delete it there."
        confirm(self, "Trash", text, "Delete permanently", on_yes, hint=hint)

    def _purge(self, items: list[Trashed]) -> None:
        workspace = self.services.workspace

        def work(db: Database) -> Changed:
            changed = Changed.NOTHING
            for item in items:
                changed |= trash.purge(db, workspace, item.table, [item.id])
            return changed

        self.services.write(self, work, self._purged, self._failed)

    def _purge_all(self) -> None:
        workspace = self.services.workspace
        self.services.write(self, lambda db: trash.purge_all(db, workspace), self._purged_all, self._failed)

    def _purged(self, _nothing: object = None) -> None:
        self.services.notifier.forget_undo()

    def _purged_all(self, errors: list[AppError]) -> None:
        self._purged()
        if errors:
            text = "\n".join(str(error) for error in errors)
            self.banners.show_error(
                AppError("in_use", f"{WHY_STAYS} ({len(errors)}).", hint=errors[0].message, detail=text)
            )

    def _failed(self, exc: Exception) -> None:
        # What was done before the failure is done: show the list as it is now.
        self._reload()
        if isinstance(exc, AppError):
            self.banners.show_error(exc)
        else:
            self.services.notifier.report(exc)
