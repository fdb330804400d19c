"""The history: every run with what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.services import Services
from core.training.store import TrainingRun
from ui import format as fmt
from ui.models.jobs import JOB_STATES, job_status
from ui.models.rows import Column, RowModel
from ui.pages.training.words import losses, preset_title
from ui.theme import theme
from ui.widgets.basic import Button, label, row
from ui.widgets.fit_columns import FitColumns
from ui.widgets.keys import Keys
from ui.widgets.table import TableView


def _progress(run: TrainingRun) -> str:
    return f"{fmt.count(run.current_step)} / {fmt.count(run.total_steps)}"


def _begun(run: TrainingRun) -> str | None:
    return run.job.started_at or run.job.queued_at


COLUMNS = (
    Column("name", "Name", role="strong"),
    Column("base_name", "Base", "Qwen2.5 7B 4-bit", role="muted"),
    Column("dataset_name", "Dataset", "Planner, second part", role="muted"),
    Column("preset", "Preset", "Balanced", formatter=preset_title),
    Column("steps", "Steps", "1,250 / 12,500", "right", value=_progress),
    Column(
        "loss", "Loss before → after", "12.87 → 11.09", "right",
        value=lambda run: losses(run.baseline_loss, run.best_loss),
    ),
    Column("state", "State", JOB_STATES, formatter=job_status, role="status", value=lambda run: run.job),
    Column(
        "date", "Started", "28 Nov 2024", "right", fmt.moment, value=_begun,
        tooltip=lambda run: fmt.moment_long(_begun(run)),
    ),
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
        self.table.remember(services.state)
        FitColumns(self.table, LEAVES_FIRST)
        self.caption = label("", "caption", name="runs_caption")
        self.open = Button("Open", "", "ph.chart-line", on_click=self._open, name="open_run")
        self.delete = Button("Delete", "", "ph.trash", on_click=self._delete, name="delete_run")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.grid)
        box.addWidget(self.table, 1)
        box.addWidget(row(self.caption, None, self.open, self.delete))
        self.table.opened.connect(self.opened)
        self.table.selection_changed.connect(self._on_selection)
        Keys(self.table, dict.fromkeys((Qt.Key.Key_Delete, Qt.Key.Key_Backspace), self._delete))
        self._on_selection([])

    def show_runs(self, runs: Sequence[TrainingRun]) -> None:
        """Newest first."""
        self.model.set_rows(runs)
        if self.table.current() is None and runs:
            self.table.step(0)
        self._on_selection(self.table.selected())

    @Slot(object)
    def _on_selection(self, rows: list[TrainingRun]) -> None:
        self.open.setEnabled(len(rows) == 1)
        self.delete.setEnabled(bool(rows))
        self.delete.setText(f"Delete {fmt.count(len(rows))}" if len(rows) > 1 else "Delete")
        parts = [fmt.plural(len(self.model.rows), "run"), f"{fmt.count(len(rows))} selected" if len(rows) > 1 else ""]
        self.caption.setText(" · ".join([*filter(None, parts), "Enter opens"]))

    def _open(self) -> None:
        run = self.table.current()
        if run is not None:
            self.opened.emit(run)

    @Slot()
    def _delete(self) -> None:
        rows = self.table.selected()
        if rows:
            self.delete_wanted.emit(rows)
