"""Training files: versioned documents of enriched conversations, ready to export or to make a dataset of."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QAction, QCursor
from PySide6.QtWidgets import QFileDialog, QMenu, QStackedWidget, QWidget

from app.services import Services
from core.cancel import CancelToken
from core.db import Database
from core.errors import AppError
from core.events import Changed
from core.jobs import Job, JobState
from core.registries import EXPORT_FORMATS
from core.training_files import store
from core.training_files.export import export_to, suggested_name
from core.training_files.store import TrainingFile
from ui import format as fmt
from ui import steps
from ui.models.jobs import counted
from ui.models.local import LocalRows
from ui.models.rows import RowModel
from ui.pages.training_files.data import COLUMNS, FOLD_ORDER, Detail, read_detail
from ui.pages.training_files.dialogs import DatasetDialog, RenameDialog
from ui.pages.training_files.inspector import Inspector
from ui.steps import Offer, read_offer
from ui.widgets.banner import Banner
from ui.widgets.basic import ElidedLabel, column
from ui.widgets.bulk_bar import delete_several, table_foot
from ui.widgets.empty import EmptyState
from ui.widgets.fit_columns import FitColumns
from ui.widgets.job_strip import JobStrip
from ui.widgets.page import Page
from ui.widgets.page_commands import DELETE_KEYS, PageCommand, nothing_selected
from ui.widgets.table import TableView


class TrainingFilesPage(Page):
    """`open_item`: the id of a training file."""

    watches: ClassVar[Changed] = Changed.TRAINING_FILES | Changed.CONVERSATIONS

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, parent)
        self._wanted_id = ""
        self._search_text = ""
        self._enriched = 0
        self._token: CancelToken | None = None
        self.set_header("Training files", "Enriched conversations gathered into one versioned document.")
        self.export_button = self.add_action("Export", "ph.export", self.export)
        self.make_button = self.add_action(
            "Build dataset", "ph.table", self.make_dataset, primary=True, name="make_a_dataset"
        )
        self.add_search("Search names", self._on_search)
        self.add_tool(None)
        self._build_content()
        self.set_empty(self._empty_state(0))
        self.show_busy()

    def _empty_state(self, enriched: int) -> EmptyState:
        navigator, title = self.services.navigator, "No training files yet"
        choose = ("Choose conversations", lambda: navigator.open_page("conversations"))
        if not enriched:
            text, importing = "Enriched conversations are gathered here.", lambda: navigator.run_command("import")
            return EmptyState("ph.stack", text, choose, ("Import conversations", importing), title=title)
        return EmptyState(
            "ph.stack", f"{fmt.plural(enriched, 'enriched conversation')} can be gathered here.",
            ("Build training file", lambda: steps.build_training_file(self.services)), choose, title=title,
            button_icon="ph.stack",
        )  # fmt: skip

    def _show_empty(self, offer: Offer) -> None:
        if offer.enriched != self._enriched:
            self._enriched = offer.enriched
            self.set_empty(self._empty_state(offer.enriched))
        (self.show_content if self.strip.jobs else self.show_empty)()

    def _build_content(self) -> None:
        self.model = RowModel(COLUMNS, self)
        self.table = TableView(self.model, "training_files", "Training files")
        self.files = LocalRows(self.model, self)
        self.table.sort_requested.connect(self.files.set_order)
        self.table.previewed.connect(lambda _row: self.focus_inspector())
        self.table.review_keys = True
        FitColumns(self.table, FOLD_ORDER)
        self.table.current_changed.connect(self._on_current)
        self.table.opened.connect(lambda _row: self.make_dataset())
        self.table.remember(self.services.state)
        chosen = nothing_selected(self.table)
        delete = PageCommand("delete", "Delete the selected training files", self.delete_selected, DELETE_KEYS, chosen)
        self.add_command(delete, self.table)
        self.add_command(PageCommand("rename", "Rename training file…", self.rename, (), chosen))
        self.add_command(PageCommand("rebuild", "Build new version", self.rebuild, (), chosen))
        self.bulk = delete_several("training files", self.delete_selected)
        self.bulk.follow(self.table)
        self.strip = JobStrip(self.services, ("build_training_file",))
        nothing = EmptyState("ph.stack", "No training file with that name.", None, ("Clear search", self._clear))
        self._views = QStackedWidget()
        self._views.addWidget(self.table)
        self._views.addWidget(nothing)
        self.caption = ElidedLabel("", "caption")
        foot = table_foot(self.caption, self.bulk)
        self.set_content(column(self.strip, self._views, foot, gap=4, stretch=self._views))
        self.inspector = Inspector()
        self.inspector.rename.connect(self.rename)
        self.inspector.rebuild.connect(self.rebuild)
        self.inspector.deleted.connect(self.delete_selected)
        self.inspector.export_version.connect(self._export_version)
        self.inspector.member_opened.connect(lambda ident: self.services.navigator.open_page("conversations", ident))
        self.set_inspector(self.inspector, scroll=False)

    # Reading

    def reload(self) -> None:
        search = self._search_text
        self.read(lambda db: store.listing(db, search=search), self._show)

    def _show(self, files: list[TrainingFile]) -> None:
        self.files.show(files)
        if not files and not self._search_text:
            self.read(read_offer, self._show_empty, "offer")
        else:
            self.show_content()
        self._views.setCurrentIndex(0 if files else 1)
        self.caption.setText(fmt.plural(len(files), "training file"))
        if self._wanted_id and self.table.select_id(self._wanted_id):
            self._wanted_id = ""
        elif files and not self.table.currentIndex().isValid():
            self.table.select_id(files[0].id)
        self.inspector.setVisible(bool(files))
        self._show_buttons()
        self._read_detail()

    def _show_buttons(self) -> None:
        file = self._current
        self.make_button.setEnabled(file is not None and file.status == "active" and file.total_training_pairs > 0)
        self.export_button.setEnabled(file is not None and file.version > 0 and self._token is None)
        self.export_button.setText("Export" if self._token is None else "Exporting")

    @property
    def _current(self) -> TrainingFile | None:
        found = self.table.current()
        return found if isinstance(found, TrainingFile) else None

    @Slot(object)
    def _on_current(self, _row: object) -> None:
        self._show_buttons()
        self._read_detail()

    def _read_detail(self) -> None:
        file = self._current
        if file is not None:
            self.read(lambda db: read_detail(db, file.id), self._show_detail, "detail")

    def _show_detail(self, detail: Detail) -> None:
        if self._current is not None and self._current.id == detail.file.id:
            self.inspector.show_detail(detail)

    @Slot(str)
    def _on_search(self, text: str) -> None:
        self._search_text = text
        self.reload()

    def _clear(self) -> None:
        if self.search is not None:
            self.search.clear()

    def open_item(self, argument: object) -> None:
        if isinstance(argument, str):
            self._clear()
            self._wanted_id = "" if self.table.select_id(argument) else argument

    # Datasets and versions

    def make_dataset(self) -> None:
        """Ask for a name, then build."""
        file = self._current
        if file is None or not self.make_button.isEnabled():
            return
        dialog = DatasetDialog(self, file)
        dialog.chosen.connect(lambda name: self._start_dataset(file, name))
        dialog.open()

    def _start_dataset(self, file: TrainingFile, name: str) -> None:
        params = {"training_file_id": file.id, "name": name}
        self.services.start_job("build_dataset", f"Building dataset {name}", params)

    def show_end_of(self, job: Job) -> bool:
        if job.kind != "build_dataset" or job.status != JobState.COMPLETED:
            return False
        ident, navigator = str(job.result["dataset_id"]), self.services.navigator
        text = f"The dataset “{job.params['name']}” is ready: {counted(job)}"
        self.banners.add(Banner("ok", text, action=("Open dataset", lambda: navigator.open_page("datasets", ident))))
        return True

    def rebuild(self) -> None:
        """A new version of the same members, as they are enriched now."""
        file = self._current
        if file is not None:
            params = {"training_file_id": file.id, "name": file.name, "conversation_ids": []}
            title = f"Building {file.name} version {file.version + 1}"
            self.inspector.again.setEnabled(False)
            self.services.start_job("build_training_file", title, params, self._on_rebuilt, self)

    def _on_rebuilt(self, _job: Job) -> None:
        self.inspector.again.setEnabled(True)

    # Export

    def export(self) -> None:
        """The newest version: choose a format, then a place."""
        self._open_formats(None)

    @Slot(int)
    def _export_version(self, version: int) -> None:
        self._open_formats(version)

    def _open_formats(self, version: int | None) -> None:
        file = self._current
        if file is None or self._token is not None:
            return
        menu = QMenu(self)
        menu.setObjectName("export_menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for name, found in EXPORT_FORMATS.items():
            action = QAction(f"{found.title} (*{found.suffix})", menu)
            action.setObjectName(f"export_{name}")
            action.setData(name)
            menu.addAction(action)
        menu.triggered.connect(lambda action: self._ask_place(file, str(action.data()), version))
        button = self.export_button
        menu.popup(button.mapToGlobal(button.rect().bottomLeft()) if version is None else QCursor.pos())

    def _ask_place(self, file: TrainingFile, format_name: str, version: int | None) -> None:
        suffix = EXPORT_FORMATS.get(format_name).suffix
        dialog = QFileDialog(self, "Export training file")
        dialog.setObjectName("export_dialog")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setFileMode(QFileDialog.FileMode.AnyFile)
        dialog.setDefaultSuffix(suffix.removeprefix("."))
        dialog.setNameFilters([f"*{suffix}", "All files (*)"])
        dialog.selectFile(suggested_name(file.name, version or file.version, format_name))
        dialog.fileSelected.connect(lambda name: self.export_file(file, format_name, Path(name), version))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def export_file(self, file: TrainingFile, format_name: str, path: Path, version: int | None = None) -> None:
        """Write it off the GUI thread; Cmd+. stops it."""
        token = self._token = CancelToken()
        workspace = self.services.workspace
        self._show_buttons()

        def work(db: Database) -> int:
            return export_to(db, workspace, file.id, path, format_name, version=version, token=token)

        def done(rows: int) -> None:
            self._token = None
            self._show_buttons()
            self.services.notifier.say(f"{fmt.plural(rows, 'pair')} exported to {path.name}")

        def failed(exc: Exception) -> None:
            self._token = None
            self._show_buttons()
            self.services.notifier.report(exc, self)

        self.services.read(self, work, done, failed)

    def stop(self) -> bool:
        if self._token is None:
            return False
        self._token.cancel()
        self._token = None
        self._show_buttons()
        return True

    # Rename and trash

    def rename(self) -> None:
        """Name and description."""
        file = self._current
        if file is None:
            return
        dialog = RenameDialog(self, file)

        def failed(exc: Exception) -> None:
            dialog.hold("")
            if isinstance(exc, AppError) and exc.where.field == "name":
                dialog.show_problem(exc)
            else:
                self.services.notifier.report(exc, self)

        def done(_nothing: object) -> None:
            dialog.accept()

        def store_it(name: str, description: str) -> None:
            self.services.write(dialog, lambda db: store.rename(db, file.id, name, description), done, failed)

        dialog.chosen.connect(store_it)
        dialog.open()

    def delete_selected(self) -> None:
        """The selected files go to the trash, with Undo."""
        files = self.table.selected()
        if files:
            one = f"Training file “{files[0].name}”"
            text = one if len(files) == 1 else fmt.plural(len(files), "training file")
            self.delete("training_files", [file.id for file in files], f"{text} moved to the trash")
