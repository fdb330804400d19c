"""The history: every run with what came of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.services import Services
from core.training.store import TrainingRun
from ui import format as fmt
from ui.models.jobs import JOB_STATES, job_status
from ui.models.local import LocalRows
from ui.models.rows import Column, RowModel
from ui.theme import theme
from ui.widgets.basic import Button, label
from ui.widgets.bulk_bar import delete_several, table_foot
from ui.widgets.fit_columns import FitColumns
from ui.widgets.table import TableView
from ui.words.training import losses, preset_title


def _progress(run: TrainingRun) -> str:
    return f"{fmt.count(run.current_step)} / {fmt.count(run.total_steps)}"


def _began(run: TrainingRun) -> str:
    return run.job.started_at or run.job.queued_at


COLUMNS = (
    Column("name", "Name", role="strong", sort="name"),
    Column("base_name", "Base", "Qwen2.5 7B 4-bit", role="muted", sort="base"),
    Column("dataset_name", "Dataset", "Planner, second part", role="muted", sort="dataset"),
    Column("preset", "Preset", "Balanced", formatter=preset_title, sort="preset"),
    Column("steps", "Steps", "1,250 / 12,500", "right", value=_progress, sort="steps",
           order=lambda run: run.current_step),
    Column("loss", "Loss before → after", "12.87 → 11.09", "right", sort="loss",
           value=lambda run: losses(run.baseline_loss, run.best_loss),
           order=lambda run: math.inf if run.best_loss is None else run.best_loss),
    Column("state", "State", JOB_STATES, formatter=job_status, role="status", value=lambda run: run.job, sort="state"),
    Column("date", "Started", "28 Nov 2024", "right", fmt.moment, sort="date", value=_began,
           tooltip=lambda run: fmt.moment_long(_began(run))),
)  # fmt: skip
LEAVES_FIRST = ("base_name", "preset", "steps", "dataset_name")


class RunsView(QWidget):
    """`opened(run)` by Enter or double click; `delete_wanted([run, ...])`."""

    opened = Signal(object)
    delete_wanted = Signal(object)

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("runs_view")
        self.model = RowModel(COLUMNS, self)
        self.table = TableView(self.model, "runs_table", "Training runs")
        self.runs = LocalRows(self.model, self)
        self.table.sort_requested.connect(self.runs.set_order)
        FitColumns(self.table, LEAVES_FIRST)
        self.table.remember(services.state)
        self.caption = label("", "caption", name="runs_caption")
        self.open = Button("Open", "", "ph.chart-line", on_click=self._open, name="open_run")
        self.delete = Button("Delete", "", "ph.trash", on_click=self.delete_selected, name="delete_run")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.grid)
        box.addWidget(self.table, 1)
        self.bulk = delete_several("runs", self.delete_selected)
        self.bulk.follow(self.table)
        box.addWidget(table_foot(self.caption, self.bulk, self.open, self.delete))
        self.table.opened.connect(self.opened)
        self.table.previewed.connect(self.opened)
        self.table.selection_changed.connect(self._on_selection)
        self._on_selection([])

    def show_runs(self, runs: Sequence[TrainingRun]) -> None:
        """Newest first."""
        self.runs.show(runs)
        if self.table.current() is None and runs:
            self.table.step(0)
        self._on_selection(self.table.selected())

    @Slot(object)
    def _on_selection(self, rows: list[TrainingRun]) -> None:
        for button in (self.open, self.delete):
            button.setEnabled(bool(rows))
            # What can be done with several is in the bar.
            button.setVisible(len(rows) < 2)
        self.caption.setText(f"{fmt.plural(len(self.model.rows), 'run')} · Enter opens")

    def _open(self) -> None:
        run = self.table.current()
        if run is not None:
            self.opened.emit(run)

    @Slot()
    def delete_selected(self) -> None:
        """Ask for the selected runs to go to the trash."""
        rows = self.table.selected()
        if rows:
            self.delete_wanted.emit(rows)
