"""Datasets: what there is to train on, what is in it, what was left out."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from PySide6.QtCore import QTimer, Slot
from PySide6.QtWidgets import QFileDialog, QWidget

from app.services import Services
from core.datasets import store
from core.datasets.store import Dataset, DatasetStatus
from core.db import Database
from core.errors import AppError
from core.events import Changed
from core.jobs import Job, JobState
from core.reading.report import ImportItem
from ui import format as fmt
from ui import steps
from ui.dialogs.base import Dialog
from ui.models.paged import PagedRows, Query
from ui.models.rows import Column, RowModel
from ui.pages.datasets.conversations import ConversationReader
from ui.pages.datasets.inspector import FORMATS, STATES, DatasetInspector, dataset_status, format_words
from ui.steps import Offer, read_offer
from ui.widgets.basic import Button, column, label
from ui.widgets.bulk_bar import delete_several, table_foot
from ui.widgets.empty import EmptyState
from ui.widgets.fit_columns import FitColumns
from ui.widgets.forms import Form, text_field
from ui.widgets.import_result import ImportDesk
from ui.widgets.job_strip import JobStrip
from ui.widgets.page import Page
from ui.widgets.page_commands import DELETE_KEYS, PageCommand, nothing_selected
from ui.widgets.table import TableView

SEARCH_MS = 200
PURPOSE = "What adapters are trained on: conversations split into training and validation."


def _pairs(dataset: Dataset) -> str:
    return f"{fmt.count(dataset.total_training_pairs)} / {fmt.count(dataset.total_validation_pairs)}"


COLUMNS = (
    Column("name", "Name", role="strong", sort="name"),
    Column("format", "Format", tuple(FORMATS.values()), formatter=format_words, role="muted", sort="format"),
    Column("total_conversations", "Conversations", "120,400", "right", fmt.count, sort="total_conversations"),
    Column("pairs", "Pairs train / val.", "12,400 / 1,240", "right", value=_pairs, sort="total_training_pairs"),
    Column("total_tokens", "Tokens", "12,040,000", "right", fmt.count, sort="total_tokens"),
    Column("file_size", "Size", "999.9 MB", "right", fmt.size, sort="file_size"),
    Column("state", "State", STATES, formatter=dataset_status, role="status", sort="status", value=lambda row: row),
)
LEAVES_FIRST = ("file_size", "format", "pairs", "total_tokens", "total_conversations")


class RenameDialog(Dialog):
    """Another name for a dataset; `on_name(name)` when it was given."""

    def __init__(self, parent: QWidget, page: DatasetsPage, dataset: Dataset) -> None:
        super().__init__(parent, "Rename dataset")
        self.setObjectName("rename_dialog")
        self._page, self._dataset = page, dataset
        self.form = Form(narrow=True)
        self.name = text_field(dataset.name)
        self.form.add("name", "Name", self.name, check=lambda v: "" if v.strip() else "Enter a name.")
        self.body.addWidget(self.form)
        self.ok = Button("Rename", "main", on_click=self._rename, name="confirm_rename")
        self.set_buttons(self.ok)
        self.name.selectAll()

    def _rename(self) -> None:
        if not self.form.submit():
            return
        self.hold("Still saving.")
        ident, name = self._dataset.id, self.name.text()
        services = self._page.services
        services.write(self, lambda db: store.rename(db, ident, name), self._done, self._failed)

    def _done(self, _nothing: object) -> None:
        self.accept()

    def _failed(self, exc: Exception) -> None:
        self.hold("")
        if isinstance(exc, AppError):
            self.form.set_error("name", exc.message)
        else:
            self._page.services.notifier.report(exc, self._page)


class DatasetsPage(Page):
    """`open_item(id)` selects a dataset; `open_item({"dataset": id})` does so too."""

    watches: ClassVar[Changed] = Changed.DATASETS | Changed.TRAINING_FILES

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, parent)
        self.set_header("Datasets", PURPOSE)
        self.corrections = self.add_action("Corrections", "ph.check-circle", self._open_corrections)
        self.add_action("Import", "ph.download-simple", self.choose_files)
        self.train = self.add_action(
            "Train adapter", "ph.chart-line", self._train, primary=True, name="train_an_adapter"
        )
        self._search_soon = QTimer(self)
        self._search_soon.setSingleShot(True)
        self._search_soon.setInterval(SEARCH_MS)
        self._search_soon.timeout.connect(self._on_searched)
        self.add_search("Search names", lambda _text: self._search_soon.start())
        self.add_tool(None)
        self.model = RowModel(COLUMNS, self)
        self.table = TableView(self.model, "datasets_table", "Datasets")
        self.table.show_order("created_at", True)
        FitColumns(self.table, LEAVES_FIRST)
        self.table.remember(services.state)
        self.pages = PagedRows(
            services, self.model, self._fetch, self, count=self._count, keep=self.table, sort="created_at",
            descending=True,
        )  # fmt: skip
        self.caption = label("", "caption", name="datasets_caption")
        self.strip = JobStrip(services, ("import", "build_dataset"))
        self.bulk = delete_several("datasets", self.delete_selected)
        self.set_content(column(self.strip, self.table, table_foot(self.caption, self.bulk), stretch=self.table))
        self.reader = ConversationReader(services)
        self.inspector = DatasetInspector(self.reader)
        self.set_inspector(self.inspector, scroll=False)
        self.set_empty(self._empty_state(""))
        self.imports = ImportDesk(self)
        self._wanted = self._term = self._offered = ""
        self._connect()
        self.show_busy()

    def _connect(self) -> None:
        self.table.sort_requested.connect(self.pages.set_order)
        self.table.current_changed.connect(self._on_current)
        self.table.selection_changed.connect(self._on_selection)
        self.table.opened.connect(lambda _row: self.inspector.show_part("conversations"))
        self.table.previewed.connect(lambda _row: self.inspector.show_part("conversations"))
        self.pages.loaded.connect(self._on_loaded)
        self.inspector.delete_wanted.connect(self.delete_selected)
        self.inspector.rename_wanted.connect(self._rename)
        chosen = nothing_selected(self.table)
        delete = PageCommand("delete", "Delete the selected datasets", self.delete_selected, DELETE_KEYS, chosen)
        self.add_command(delete, self.table)
        self.add_command(PageCommand("rename", "Rename dataset…", self._rename, (), chosen))
        self.bulk.follow(self.table)

    def _empty_state(self, file: str) -> EmptyState:
        sentence = "A dataset is built from a training file, or imported from a JSON or JSONL file of conversations."
        importing = ("Import dataset", self.choose_files)
        if file:
            making = (f"Build dataset from “{file}”", lambda: steps.make_dataset(self.services))
            return EmptyState("ph.table", sentence, making, importing, title="No datasets yet", button_icon="ph.table")
        return EmptyState(
            "ph.table", sentence, importing,
            ("Open training files", lambda: self.services.navigator.open_page("training_files")),
            title="No datasets yet", button_icon="ph.download-simple",
        )  # fmt: skip

    def _show_empty(self, offer: Offer) -> None:
        file = offer.file.name if offer.file else ""
        if file != self._offered:
            self._offered = file
            self.set_empty(self._empty_state(file))
        (self.show_content if self.strip.jobs else self.show_empty)()

    # Rows

    def reload(self) -> None:
        self.pages.reload()

    @Slot()
    def _on_searched(self) -> None:
        self._term = self.search.text() if self.search is not None else ""
        self.pages.restart()

    def _fetch(self, db: Database, query: Query) -> list[Dataset]:
        return store.listing(
            db, search=self._term, order_by=query.sort, descending=query.descending, limit=query.limit,
            offset=query.offset,
        )  # fmt: skip

    def _count(self, db: Database) -> int:
        return store.count(db, search=self._term)

    @Slot(int)
    def _on_loaded(self, total: int) -> None:
        if not total and not self._term:
            self.inspector.show_dataset(None)
            self.train.setEnabled(False)
            self.read(read_offer, self._show_empty, "offer")
            self.caption.setText("")
            return
        self.show_content()
        if self._wanted and self.table.select_id(self._wanted):
            self._wanted = ""
        if self.table.current() is None and self.model.rows:
            self.table.step(0)
        self._on_current(self.table.current())
        self._show_caption(total)

    def _show_caption(self, total: int) -> None:
        chosen = len(self.table.selected())
        parts = [fmt.plural(total, "dataset"), f"{fmt.count(chosen)} selected" if chosen > 1 else ""]
        self.caption.setText(
            " · ".join([*filter(None, parts), "Enter reads the conversations"]) if total else "No match"
        )

    @Slot(object)
    def _on_selection(self, rows: list[Dataset]) -> None:
        self._show_caption(self.pages.total)
        self.inspector.delete.setText(f"Delete {fmt.count(len(rows))}" if len(rows) > 1 else "Delete")

    @Slot(object)
    def _on_current(self, dataset: Dataset | None) -> None:
        self.inspector.show_dataset(dataset)
        self.reader.show_dataset(dataset)
        self.train.setEnabled(dataset is not None and dataset.usable)
        self.train.setToolTip("" if dataset is None or dataset.usable else "This dataset can't be trained on")
        self._show_failure(dataset)
        if dataset is not None:
            self.read(lambda db: store.problems(db, dataset), self._show_problems, key="problems")

    def _show_problems(self, items: list[ImportItem]) -> None:
        self.inspector.show_problems(items)

    def _show_failure(self, dataset: Dataset | None) -> None:
        if dataset is not None and dataset.status is DatasetStatus.ERROR:
            self.show_error(_failure(dataset))

    # Actions

    def _open_corrections(self) -> None:
        self.services.navigator.open_page("corrections")

    def choose_files(self) -> None:
        """Ask which files to import; without blocking."""
        dialog = QFileDialog(self, "Import datasets")
        dialog.setObjectName("import_dialog")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.setNameFilters(["Datasets and conversations (*.json *.jsonl)", "All files (*)"])
        dialog.filesSelected.connect(self._on_files)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(list)
    def _on_files(self, names: list[str]) -> None:
        self.services.navigator.import_files([Path(name) for name in names])

    def show_end_of(self, job: Job) -> bool:
        if job.kind != "import" or job.status is JobState.FAILED:
            return False
        self.imports.announce(job)
        return True

    def _train(self) -> None:
        dataset = self.table.current()
        if dataset is not None:
            self.services.navigator.open_page("training", {"dataset": dataset.id})

    @Slot()
    def delete_selected(self) -> None:
        """Put the selected datasets into the trash."""
        rows = self.table.selected()
        if rows:
            text = f"Deleted {rows[0].name}" if len(rows) == 1 else f"Deleted {fmt.plural(len(rows), 'dataset')}"
            self.delete("datasets", [dataset.id for dataset in rows], text)

    @Slot()
    def _rename(self) -> None:
        dataset = self.table.current()
        if dataset is not None:
            RenameDialog(self.window(), self, dataset).open()

    def open_item(self, argument: object) -> None:
        """An id, or {"dataset": id}."""
        wanted = argument.get("dataset") if isinstance(argument, dict) else argument
        self._wanted = str(wanted or "")
        self.reload()


def _failure(dataset: Dataset) -> AppError:
    first = dataset.validation_errors[0] if dataset.validation_errors else {}
    return AppError(
        str(first.get("code") or "dataset_failed"),
        str(first.get("message") or f"The dataset {dataset.name} could not be built."),
        hint=str(first.get("hint") or "Fix the file and import it again. The problems are listed under Left out."),
    )
