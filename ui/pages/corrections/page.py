"""Corrections: answers from Chat that are worth training on, as they were given or in better words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QWidget

from app.services import Services
from core.datasets import store as datasets
from core.db import Database
from core.db.connection import free_name
from core.events import Changed
from core.jobs import Job, JobState
from core.projects import corrections
from core.projects.corrections import Correction
from core.training import store as training
from ui import format as fmt
from ui.models.local import LocalRows
from ui.models.rows import Column, RowModel, Status
from ui.pages.corrections.inspector import CorrectionInspector
from ui.widgets.basic import column, label
from ui.widgets.bulk_bar import delete_several, table_foot
from ui.widgets.empty import EmptyState
from ui.widgets.fit_columns import FitColumns
from ui.widgets.job_strip import JobStrip
from ui.widgets.page import Page
from ui.widgets.page_commands import DELETE_KEYS, PageCommand, nothing_selected
from ui.widgets.table import TableView

PURPOSE = "Answers you kept in Chat, as they were or in your words, to train the next adapter on."
GOOD, CORRECTED = Status("ok", "Good"), Status("info", "Corrected")
DATASET = "Corrections"
# In the workspace: the file of a dataset that is being made.
FOLDER = "corrections"


@dataclass(frozen=True)
class CorrectionRow:
    """A correction with the name of who answered."""

    correction: Correction
    who: str

    @property
    def id(self) -> str:
        """For tables."""
        return self.correction.id


COLUMNS = (
    Column("title", "Question", role="strong", sort="title", value=lambda row: row.correction.title),
    Column("kind", "Kind", (GOOD, CORRECTED), sort="kind", formatter=lambda status: status, role="status",
           value=lambda row: CORRECTED if row.correction.corrected else GOOD),
    Column("who", "Answered by", "Empathy v3", role="muted", sort="who"),
    Column("dataset_name", "In dataset", "Corrections 2", role="muted", sort="dataset_name",
           value=lambda row: row.correction.dataset_name),
    Column("created_at", "Kept", "18 Nov 2024", role="muted", sort="created_at", formatter=fmt.moment,
           value=lambda row: row.correction.created_at),
)  # fmt: skip


class CorrectionsPage(Page):
    """`open_item(id)` selects one."""

    watches: ClassVar[Changed] = Changed.DATASETS

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, parent)
        self.set_header("Corrections", PURPOSE)
        self.add_action("Datasets", "ph.arrow-left", self._go_back, name="back_to_datasets")
        self.make = self.add_action("Make dataset", "ph.table", self.make_dataset, primary=True)
        self.add_search("Search questions and answers", lambda _text: self.reload())
        self.add_tool(None)
        self.model = RowModel(COLUMNS, self)
        self.table = TableView(self.model, "corrections_table", "Corrections")
        self.rows = LocalRows(self.model, self)
        FitColumns(self.table, ("dataset_name", "who", "created_at"))
        self.table.remember(services.state)
        self.caption = label("", "caption", name="corrections_caption")
        self.bulk = delete_several("corrections", self.delete_selected)
        self.strip = JobStrip(services, ("import",))
        self.set_content(column(self.strip, self.table, table_foot(self.caption, self.bulk), stretch=self.table))
        self.inspector = CorrectionInspector(self)
        self.set_inspector(self.inspector, scroll=False)
        self.set_empty(
            EmptyState(
                "ph.check-circle",
                "Keep a good answer in Chat with one click, or write what it should have been.",
                ("Open Chat", lambda: services.navigator.open_page("chat")), ("Open Datasets", self._go_back),
                title="No answers kept yet", button_icon="ph.chat-teardrop-text",
            )
        )  # fmt: skip
        self._wanted = ""
        self._making = False
        self.table.sort_requested.connect(self.rows.set_order)
        self.table.current_changed.connect(self._on_current)
        self.table.selection_changed.connect(lambda _rows: self._judge())
        self.inspector.delete_wanted.connect(self.delete_selected)
        chosen = nothing_selected(self.table)
        self.add_command(
            PageCommand("delete", "Delete the selected corrections", self.delete_selected, DELETE_KEYS, chosen),
            self.table,
        )
        self.bulk.follow(self.table)
        self.show_busy()

    def _go_back(self) -> None:
        self.services.navigator.open_page("datasets")

    # Rows

    @Slot()
    def reload(self) -> None:
        term = self.search.text() if self.search is not None else ""

        def ask(db: Database) -> list[CorrectionRow]:
            names = {adapter.id: adapter.name for adapter in training.list_adapters(db)}
            return [CorrectionRow(found, _who(found, names)) for found in corrections.listing(db, term)]

        self.read(ask, self._show)

    def _show(self, rows: Sequence[CorrectionRow]) -> None:
        self.rows.show(rows)
        if not rows and not (self.search is not None and self.search.text()):
            self.inspector.show_correction(None)
            self.show_empty()
            return
        self.show_content()
        if self._wanted and self.table.select_id(self._wanted):
            self._wanted = ""
        if self.table.current() is None and self.model.rows:
            self.table.step(0)
        self._on_current(self.table.current())
        self._judge()

    @Slot(object)
    def _on_current(self, row: CorrectionRow | None) -> None:
        self.inspector.show_correction(row.correction if row is not None else None)

    def _chosen(self) -> list[Correction]:
        """Several that are selected, else all that are shown."""
        selected = self.table.selected()
        return [row.correction for row in (selected if len(selected) > 1 else self.model.rows)]

    def _judge(self) -> None:
        chosen = len(self._chosen())
        self.make.setText(f"Make dataset of {fmt.count(chosen)}" if chosen else "Make dataset")
        self.make.setEnabled(bool(chosen) and not self._making)
        total = self.model.rowCount()
        self.caption.setText(fmt.plural(total, "answer") if total else "No match")

    # Actions

    @Slot()
    def delete_selected(self) -> None:
        """Put them into the trash."""
        rows = self.table.selected()
        if rows:
            words = f"Deleted “{rows[0].correction.title}”" if len(rows) == 1 else f"Deleted {len(rows)} corrections"
            self.delete("corrections", [row.id for row in rows], words)

    @Slot()
    def make_dataset(self) -> None:
        """Write them as a file and import that: the dataset is checked and split as every other one."""
        idents = [found.id for found in self._chosen()]
        if not idents or self._making:
            return
        self._making = True
        self._judge()
        folder = self.services.workspace.root / FOLDER

        def write(db: Database) -> Path:
            folder.mkdir(exist_ok=True)
            path = folder / f"{free_name(db, 'datasets', DATASET)}.jsonl"
            corrections.write_file(path, corrections.whole(db, idents))
            return path

        self.services.read(self, write, lambda path: self._import(path, idents), self._failed)

    def _failed(self, exc: Exception) -> None:
        self._end()
        self.services.notifier.report(exc, self)

    def _end(self) -> None:
        self._making = False
        self._judge()

    def _import(self, path: Path, idents: list[str]) -> None:
        def done(job: Job) -> None:
            self._end()
            made = job.result.get("datasets") or []
            if job.status is JobState.COMPLETED:
                # Until then it may be resumed, and needs its file.
                path.unlink(missing_ok=True)
            if made:
                self.services.write(self, lambda db: _note(db, idents, made[0]), lambda _nothing: self._open(made[0]))

        title = f"Making dataset {path.stem}"
        self.services.start_job("import", title, {"files": [str(path)]}, done, self, refused=self._end)

    def _open(self, dataset: str) -> None:
        self.services.navigator.open_page("datasets", dataset)

    def open_item(self, argument: object) -> None:
        self._wanted = str(argument or "")
        self.reload()


def _note(db: Database, idents: Sequence[str], dataset: str) -> Changed:
    return corrections.note_dataset(db, idents, datasets.get(db, dataset).name)


def _who(found: Correction, names: Mapping[str, str]) -> str:
    if found.artifact_id is None:
        return "Base, no adapter"
    return names.get(found.artifact_id, "Deleted adapter")
