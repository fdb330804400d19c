"""The dialogs that edit a turn, and that show the versions of a conversation and go back to one."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Slot

from app.services import Services
from core.conversations import versions
from core.conversations.parse import Turn
from core.conversations.versions import Version
from ui import format as fmt
from ui.dialogs.writing import WritingDialog
from ui.models.rows import Column, RowModel
from ui.pages.conversations.data import Detail
from ui.theme import theme
from ui.widgets.basic import Button, label
from ui.widgets.forms import text_area
from ui.widgets.page import Page
from ui.widgets.table import TableView

LINES = 12


def undo_edit(services: Services, ident: str, before: int, after: int) -> None:
    """Put version `before` in force again, unless another than `after` has come into force since."""
    workspace = services.workspace
    services.write(services.root, lambda db: versions.restore(db, workspace, ident, before, instead_of=after))


class EditTurnDialog(WritingDialog):
    """Saves other words for one turn; the toast takes it back."""

    def __init__(self, page: Page, detail: Detail, number: int) -> None:
        super().__init__(page, page.services, f"Edit turn {number}")
        self.setObjectName("edit_turn_dialog")
        self._ident, self._number = detail.row.id, number
        turn = detail.turns[number - 1]
        self._before = turn.content or ""
        self._client = turn.role == "user"
        self.body.addWidget(label(f"{detail.speaker(turn.role)}, turn {number}", "section"))
        self.body.addWidget(self.banners)
        self.text = text_area(turn.content or "", LINES)
        self.text.setObjectName("turn_text")
        self.text.setAccessibleName(f"Words of turn {number}")
        self.text.document().setModified(False)
        self.text.textChanged.connect(self._check)
        self.body.addWidget(self.text)
        hint = "Saved as a new version; the raw file stays as it came."
        hint += " It has to be enriched again." if detail.row.enriched_at else ""
        self.body.addWidget(label(hint, "caption", wrap=True))
        self.set_buttons(Button("Save", "main", "ph.check", on_click=self._save, name="save_turn"))
        self.setMinimumWidth(theme().sizes.inspector + theme().sizes.label)
        self.text.setFocus()

    @Slot()
    def _check(self) -> None:
        empty = self._client and not self.text.toPlainText().strip()
        self.hold("Write what the client says." if empty else "")

    def _save(self) -> None:
        text, ident, number, workspace = self.text.toPlainText(), self._ident, self._number, self.services.workspace
        self.write(lambda db: versions.edit(db, workspace, ident, number, text, self._before), self._saved)

    def _saved(self, step: tuple[int, int] | None) -> None:
        if step is not None:
            services, ident = self.services, self._ident
            services.notifier.say(f"Turn {self._number} edited", lambda: undo_edit(services, ident, *step))
        self.accept()


def _words(turns: Sequence[Turn], detail: Detail) -> str:
    return "\n\n".join(f"{detail.speaker(turn.role)}\n{turn.content or 'No answer yet.'}" for turn in turns)


COLUMNS = (
    Column("version", "Version", "Version 123", formatter=lambda v: f"Version {v}"),
    Column("turn_count", "Turns", "1,204", "right", fmt.count),
    Column("created_at", "Saved", formatter=fmt.moment_long),
    Column("current", "", "In force", formatter=lambda v: "In force" if v else ""),
)


class VersionsDialog(WritingDialog):
    """Every version with its words; the primary action goes back to the one that is shown."""

    def __init__(self, page: Page, detail: Detail) -> None:
        super().__init__(page, page.services, "Versions")
        self.setObjectName("versions_dialog")
        sizes = theme().sizes
        self.resize(2 * sizes.inspector, sizes.inspector + sizes.sidebar)
        self._ident, self._detail = detail.row.id, detail
        self._shown: Version | None = None
        self._reading: int | None = None
        self.body.addWidget(label(detail.row.title, "section", wrap=True))
        self.body.addWidget(self.banners)
        self.model = RowModel(COLUMNS, self)
        self.table = TableView(self.model, "versions", "Versions")
        self.model.set_rows(list(detail.versions))
        self.table.setMaximumHeight(6 * sizes.row)
        self.table.current_changed.connect(self._show)
        self.words = text_area("", LINES)
        self.words.setReadOnly(True)
        self.words.setObjectName("version_words")
        self.words.setAccessibleName("Words of the version")
        self.body.addWidget(self.table)
        self.body.addWidget(self.words, 1)
        self.set_buttons(
            Button("Go back to this version", "main", on_click=self._restore, name="restore_version"), cancel="Close"
        )
        current = next((row.version for row in detail.versions if row.current), None)
        self.table.select_id(current)

    @Slot(object)
    def _show(self, version: Version | None) -> None:
        self._shown = version
        if version is None:
            return
        self.hold("This version is in force." if version.current else "")
        workspace, path = self.services.workspace, version.file_path
        # The words of the version chosen before may still be on their way.
        self.services.forget(self._reading)
        self._reading = self.services.run(
            self, lambda: _words(versions.read_version(workspace, path), self._detail), self.words.setPlainText,
            self.failed,
        )  # fmt: skip

    def _restore(self) -> None:
        if self._shown is None:
            return
        ident, number, workspace = self._ident, self._shown.version, self.services.workspace
        before = next((row.version for row in self.model.rows if row.current), number)
        services = self.services

        def done(_nothing: object) -> None:
            services.notifier.say(f"Version {number} is in force", lambda: undo_edit(services, ident, before, number))
            self.accept()

        self.write(lambda db: versions.restore(db, workspace, ident, number), done)
