"""Export to a JSON file and import from one, with the dialogs that ask where and what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from app.services import Services
from core.scaffolding import exchange
from core.scaffolding.exchange import Decision, Plan, Taken
from core.scaffolding.store import Entry, consultant_profile
from ui import format as fmt
from ui.pages.scaffolding.import_dialog import ImportDialog

WHOLE = "library"
NAMED = 3
FILTERS = ["Scaffolding (*.json)", "All files (*)"]


def entries_word(count: int) -> str:
    """ "3 entries"."""
    return fmt.plural(count, "entry", "entries")


class Exchange:
    """Asks and does it; `page` owns the dialogs and shows the errors."""

    def __init__(self, services: Services, page: QWidget) -> None:
        self._services, self._page = services, page

    def open_menu(self, choices: Mapping[str, tuple[str, Sequence[Entry]]], button: QWidget) -> None:
        """Below the button: what is exported, as name -> (words, entries)."""
        menu = QMenu(self._page)
        menu.setObjectName("export_menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for name, (words, entries) in choices.items():
            action = menu.addAction(f"{words} ({len(entries):,})")
            action.setObjectName(f"export_{name}")
            action.setEnabled(bool(entries))
            action.triggered.connect(
                lambda _checked=False, chosen=entries, whole=name == WHOLE: self.ask_place(chosen, whole=whole)
            )
        menu.popup(button.mapToGlobal(button.rect().bottomLeft()))

    def ask_place(self, entries: Sequence[Entry], *, whole: bool = False) -> None:
        """Choose the file to write; the whole library goes with the consultant profile."""
        dialog = QFileDialog(self._page, f"Export {entries_word(len(entries))}")
        dialog.setObjectName("export_dialog")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setFileMode(QFileDialog.FileMode.AnyFile)
        dialog.setDefaultSuffix("json")
        dialog.setNameFilters(FILTERS)
        dialog.selectFile(f"{entries[0].key if len(entries) == 1 else 'Scaffolding'}.json")
        dialog.fileSelected.connect(lambda path: self.export(entries, Path(path), whole=whole))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def export(self, entries: Sequence[Entry], path: Path, *, whole: bool = False) -> None:
        """Write the entries to that file."""
        profile = " and the consultant profile" if whole else ""
        self._services.read(
            self._page, lambda db: exchange.write_file(path, entries, consultant_profile(db) if whole else None),
            lambda count: self._services.notifier.say(f"{entries_word(count)}{profile} exported to {path.name}"),
        )  # fmt: skip

    def choose_file(self) -> None:
        """Choose the file to import."""
        dialog = QFileDialog(self._page, "Import scaffolding")
        dialog.setObjectName("import_dialog")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilters(FILTERS)
        dialog.fileSelected.connect(lambda path: self.open_file(Path(path)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def open_file(self, path: Path) -> None:
        """Read a file and show what it would do."""
        self._services.read(self._page, lambda db: exchange.read_plan(db, path), self._show)

    def _show(self, plan: Plan) -> None:
        dialog = ImportDialog(self._page, plan)
        dialog.chosen.connect(lambda decisions: self.take(plan, decisions))
        dialog.open()

    def take(self, plan: Plan, decisions: Mapping[str, Decision]) -> None:
        """Write what was confirmed."""
        services = self._services

        def done(taken: Taken) -> None:
            def undone(left: Sequence[str]) -> None:
                if left:
                    more = f" and {len(left) - NAMED:,} more" if len(left) > NAMED else ""
                    named = ", ".join(left[:NAMED])
                    services.notifier.say(f"Changed since the import, so left as it is: {named}{more}")

            def undo() -> None:
                services.write(services.root, lambda db: exchange.undo(db, taken), undone)

            parts = (
                (len(taken.added), "added"), (len(taken.replaced), "replaced"), (taken.kept, "kept"),
                (taken.same, "same"), (taken.rejected, "rejected"),
            )  # fmt: skip
            words = ", ".join(f"{count:,} {word}" for count, word in parts if count)
            services.notifier.say(f"{plan.file}: {words}", undo if taken.added or taken.replaced else None)

        services.write(self._page, lambda db: exchange.take(db, plan, decisions), done)
