"""What the user decides about conversations: review, scores, tags, words, trash."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject, Slot

from core.conversations import store
from core.conversations.store import Conversation, ReviewStatus
from ui import format as fmt
from ui.pages.conversations.edit import EditTurnDialog, VersionsDialog
from ui.pages.conversations.inspector import Inspector
from ui.pages.conversations.rate import RateDialog
from ui.pages.conversations.regenerate import RegenerateDialog
from ui.pages.conversations.tags import TagDialog, take_off
from ui.widgets.page import Page
from ui.widgets.table import TableView


class Decisions(QObject):
    """On what is selected in the table, or on the conversation that is shown beside it. `tags()` are those in use."""

    def __init__(self, page: Page, table: TableView, inspector: Inspector, tags: Callable[[], Sequence[str]]) -> None:
        super().__init__(page)
        self._page, self._table, self._inspector, self._tags = page, table, inspector, tags
        self._everything: list[str] = []
        table.selection_changed.connect(self._on_selection)
        inspector.reviewed.connect(self._on_reviewed)
        inspector.notes_changed.connect(self._on_notes)
        inspector.turns.edit_wanted.connect(self.edit_turn)
        inspector.turns.again_wanted.connect(self.regenerate_turn)
        inspector.rate_wanted.connect(self.rate)
        inspector.tags.add_wanted.connect(self._tag_shown)
        inspector.tags.removed.connect(self._on_tag_removed)
        inspector.versions_wanted.connect(self.show_versions)

    def selected_ids(self) -> list[str]:
        """The ids of the selected rows, from top to bottom."""
        return self._everything or [found.id for found in self._table.selected()]

    @property
    def all_taken(self) -> bool:
        """Whether more is selected than the table shows."""
        return bool(self._everything)

    def take_all(self, ids: Sequence[str]) -> None:
        """These are selected, until the selection of the table changes."""
        self._everything = list(ids)

    @Slot(object)
    def _on_selection(self, _rows: object) -> None:
        self._everything = []

    # Review

    def approve(self) -> None:
        """What is selected."""
        self._review(self.selected_ids(), ReviewStatus.APPROVED, None)

    def reject(self) -> None:
        """What is selected."""
        self._review(self.selected_ids(), ReviewStatus.REJECTED, None)

    @Slot(object, str)
    def _on_reviewed(self, found: Conversation, status: str) -> None:
        notes = self._inspector.notes.toPlainText()
        self._review([found.id], ReviewStatus(status), notes if notes != (found.reviewer_notes or "") else None)

    def _review(self, ids: Sequence[str], status: ReviewStatus, notes: str | None) -> None:
        if ids:
            self._page.write(lambda db: store.set_status(db, ids, status, notes))

    @Slot(object, str)
    def _on_notes(self, found: Conversation, notes: str) -> None:
        self._page.write(lambda db: store.set_notes(db, found.id, notes))

    @Slot()
    def rate(self) -> None:
        """Score the shown conversation by hand."""
        if self._inspector.detail is not None:
            RateDialog(self._page, self._inspector.detail.row).open()

    # Words

    @Slot(int)
    def edit_turn(self, number: int) -> None:
        """Write a turn of the shown conversation anew."""
        if self._inspector.detail is not None:
            EditTurnDialog(self._page, self._inspector.detail, number).open()

    @Slot(int)
    def regenerate_turn(self, number: int) -> None:
        """Have a turn of the shown conversation written anew."""
        if self._inspector.detail is not None:
            RegenerateDialog(self._page, self._inspector.detail, number).open()

    @Slot()
    def show_versions(self) -> None:
        """The earlier words of the shown conversation."""
        if self._inspector.detail is not None:
            VersionsDialog(self._page, self._inspector.detail).open()

    # Tags

    def tag_selected(self) -> None:
        """Add a tag to what is selected, or take one off."""
        if ids := self.selected_ids():
            self._tag(ids)

    @Slot()
    def _tag_shown(self) -> None:
        if self._inspector.detail is not None:
            self._tag([self._inspector.detail.row.id])

    def _tag(self, ids: Sequence[str]) -> None:
        TagDialog(self._page, ids, self._tags()).open()

    @Slot(str)
    def _on_tag_removed(self, tag: str) -> None:
        if self._inspector.detail is not None:
            take_off(self._page.services, [self._inspector.detail.row.id], tag)

    # Trash

    def delete_selected(self) -> None:
        """What is selected goes to the trash, with Undo."""
        if ids := self.selected_ids():
            self._page.delete("conversations", ids, f"{fmt.plural(len(ids), 'conversation')} moved to the trash")
