"""One run: figures, curves, settings, what was left out, the log, the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QTimer, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QWidget

from app.services import Services
from core.db import Database
from core.events import Changed
from core.jobs import JobState
from core.training import store
from core.training.history import Entry, History
from core.training.store import Adapter, TrainingRun
from ui import format as fmt
from ui.pages.training.curves import Curves
from ui.theme import theme
from ui.widgets.basic import Button, column, label, row, scrolled
from ui.widgets.card import Card, Figure
from ui.widgets.chip import StatusPill
from ui.widgets.facts import Facts
from ui.words import training as words
from ui.words.counts import sum_words

METRICS_MS, LOG_MS = 100, 1000
LOG_LINES = 60
CALM_STEPS = 10


@dataclass(frozen=True)
class Shown:
    """A run with its adapter, if it has one."""

    run: TrainingRun
    adapter: Adapter | None


def read_shown(db: Database, run_id: str) -> Shown:
    """Both, by one reader. Raises AppError `no_such_run`."""
    run = store.get_run(db, run_id)
    return Shown(run, store.get_adapter(db, run.artifact_id) if run.artifact_id else None)


class Side(QWidget):
    """The column at the right."""

    def __init__(self, on_talk: Callable[[], Any], on_again: Callable[[], Any]) -> None:
        super().__init__()
        sizes = theme().sizes
        self.pill = StatusPill(words.verdict_status("unmeasured"))
        self.verdict = label("", wrap=True, selectable=True, name="result_words")
        self.losses = label("", "big", name="result_losses")
        self.talk = Button("Start chat", "main", "ph.chat-teardrop-text", on_click=on_talk, name="talk")
        self.again = Button("Train again", "", "ph.arrow-clockwise", on_click=on_again, name="train_again")
        buttons = row(self.talk, self.again, None)
        loss_title = label("Validation loss, before and after", "caption")
        self.result = Card("Result", row(self.pill, None), loss_title, self.losses, self.verdict, buttons)
        self.result.setObjectName("result_card")
        self.now = label("", wrap=True, name="state_words")
        self.state = Card("Now", self.now)
        self.settings = Facts()
        self.sum = label("", "strong", wrap=True, name="run_sum")
        self.left_out = label("", "caption", wrap=True, selectable=True, name="left_out")
        self.counts = Card("Conversations", self.sum, self.left_out, gap=sizes.half)
        self.log = label("", "caption", wrap=True, selectable=True, name="run_log")
        self.log.setFont(theme().font(sizes.caption, tabular=True))
        self.log_card = Card("Log", self.log, gap=sizes.half)
        column_ = column(
            self.result, self.state, Card("Settings", self.settings, gap=sizes.half), self.counts, self.log_card, None,
            gap=sizes.grid + 4,
        )  # fmt: skip
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(scrolled(column_))
        self.setFixedWidth(sizes.field - sizes.grid)

    def show_run(self, shown: Shown) -> None:
        """Settings, state and result."""
        run, adapter = shown.run, shown.adapter
        self.result.setVisible(adapter is not None)
        if adapter is not None:
            self.pill.set_status(words.verdict_status(adapter.verdict))
            before, after = adapter.passport.get("loss_before"), adapter.passport.get("loss_after")
            self.losses.setText(words.losses(before, after))
            self.verdict.setText(words.result_words(adapter))
        text = words.STATE_WORDS.get(run.job.status, "")
        self.state.setVisible(bool(text))
        self.now.setText(text)
        self.settings.set_facts(words.settings_facts(run))
        self.counts.setVisible(bool(run.counts))
        self.sum.setText(sum_words(run.counts))
        left_out = int(run.counts.get("rejected", 0)) + int(run.counts.get("cut", 0))
        self.left_out.setText(words.left_out_words(run.left_out, left_out) or "Nothing was left out.")

    def show_log(self, entries: Sequence[Entry]) -> None:
        """Newest on top."""
        lines = [words.log_line(entry) for entry in reversed(entries[-LOG_LINES:])]
        self.log.setText("\n".join(lines) or "No entries yet.")


class RunView(QWidget):
    """Follows one run live: `show_run` for its row, new metric points by itself."""

    def __init__(
        self, services: Services, on_talk: Callable[[], Any], on_again: Callable[[], Any], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("run_view")
        self._services = services
        self.shown: Shown | None = None
        self.points: list[Mapping[str, Any]] = []
        self._left: float | None = None
        self._history: History | None = None
        self._entries: list[Entry] = []
        self._reading, self._reading_log, self._again = False, False, False
        self.step = Figure("Step")
        self.loss = Figure("Validation loss")
        self.speed = Figure("Speed")
        self.memory = Figure("Peak memory")
        for name, figure in (("step", self.step), ("loss", self.loss), ("speed", self.speed), ("memory", self.memory)):
            figure.setObjectName(f"figure_{name}")
            figure.add(None)
        self.curves = Curves(services)
        self.side = Side(on_talk, on_again)
        self._wide: bool | None = None
        self._build()
        self._metrics_soon = self._timer(METRICS_MS, self._read_metrics)
        self._log_soon = self._timer(LOG_MS, self._read_log)
        services.hub.changed.connect(self._on_changed)
        services.queue.progress.connect(self._on_progress)

    def _timer(self, milliseconds: int, slot: Callable[[], None]) -> QTimer:
        out = QTimer(self)
        out.setSingleShot(True)
        out.setInterval(milliseconds)
        out.timeout.connect(slot)
        return out

    def _build(self) -> None:
        gap = theme().sizes.grid + 4
        self._figures = QWidget()
        box = QHBoxLayout(self._figures)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(gap)
        for figure in (self.step, self.loss, self.speed, self.memory):
            box.addWidget(figure, 1)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(2 * theme().sizes.grid)
        self._grid.setVerticalSpacing(gap)
        self._grid.setColumnStretch(0, 1)
        self._grid.setRowStretch(1, 1)
        self._grid.addWidget(self.curves, 1, 0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        sizes = theme().sizes
        wide = self.width() - self.side.width() >= 4 * sizes.label
        if wide != self._wide:
            # Four figures need the whole width where the window is small.
            self._wide = wide
            self._grid.addWidget(self._figures, 0, 0, 1, 1 if wide else 2)
            self._grid.addWidget(self.side, 0 if wide else 1, 1, 2 if wide else 1, 1)

    # One run

    def show_run(self, shown: Shown) -> None:
        """Its row as it is now; another run begins from its first point."""
        other = self.shown is None or self.shown.run.id != shown.run.id
        self.shown = shown
        if other:
            self._begin(shown.run)
        self.side.show_run(shown)
        self._show_figures()
        self.curves.prepare()
        if other:
            self._read_metrics()
            self._read_log()
        elif not self._log_soon.isActive():
            self._log_soon.start()

    def _begin(self, run: TrainingRun) -> None:
        self.points = []
        self._left = None
        self._entries = []
        self._again = False
        self._history = History(self._services.workspace, run.id)
        self.curves.begin(run.config, run.total_steps)
        self.side.show_log([])

    # Live

    @Slot(object)
    def _on_changed(self, what: Changed) -> None:
        if what & Changed.METRICS and self.isVisible() and not self._metrics_soon.isActive():
            self._metrics_soon.start()

    @Slot(str, object, object, str, object)
    def _on_progress(self, job_id: str, _done: int, _total: int, _message: str, left: float | None) -> None:
        if self.shown is not None and job_id == self.shown.run.id:
            self._left = left
            if self.isVisible():
                self._show_step()

    def _read_metrics(self) -> None:
        if self.shown is None:
            return
        if self._reading:
            self._again = True
            return
        run_id, after = self.shown.run.id, self.curves.last_step
        self._reading = True
        self._services.read(
            self, lambda db: store.metrics(db, run_id, after), lambda points: self._on_metrics(run_id, points),
            self._on_unread,
        )  # fmt: skip

    def _on_unread(self, exc: Exception) -> None:
        self._reading = False
        self._services.notifier.report(exc, self)

    def _on_metrics(self, run_id: str, points: Sequence[Mapping[str, Any]]) -> None:
        self._reading = False
        again, self._again = self._again, False
        if self.shown is not None and run_id == self.shown.run.id:
            self.points.extend(p for p in points if p["step"] > self.curves.last_step)
            self.curves.add(points)
            self._show_figures()
        elif self.shown is not None:
            again = True
        if again:
            self._metrics_soon.start()

    def _read_log(self) -> None:
        history = self._history
        if history is None or not self.isVisible():
            return
        if self._reading_log:
            self._log_soon.start()
            return
        self._reading_log = True
        self._services.run(self, history.read_on, lambda entries: self._on_log(history, entries), self._on_log_unread)

    def _on_log_unread(self, exc: Exception) -> None:
        self._reading_log = False
        self._services.notifier.report(exc, self)

    def _on_log(self, history: History, entries: list[Entry]) -> None:
        self._reading_log = False
        if history is self._history:
            self._entries.extend(entries)
            self.side.show_log(self._entries)
        else:
            self._log_soon.start()

    def showEvent(self, event: Any) -> None:
        super().showEvent(event)
        self._read_metrics()
        self._read_log()

    # Figures

    def _show_figures(self) -> None:
        if self.shown is None:
            return
        self._show_step()
        self._show_loss()
        trained = [p for p in self.points[-CALM_STEPS:] if p["tokens_per_second"]]
        if trained:
            speed = sum(p["tokens_per_second"] for p in trained) / len(trained)
            last = trained[-1]
            self.speed.show_values(f"{fmt.decimal(speed, 0)} tok/s", f"{fmt.count(last['tokens'])} trained tokens")
            peak = max((p["peak_memory"] or 0) for p in trained)
            self.memory.show_values(fmt.size(peak), "during training")
        else:
            self.speed.show_values(fmt.NOTHING, "trained tokens per second")
            self.memory.show_values(fmt.NOTHING, "during training")

    def _show_step(self) -> None:
        if self.shown is None:
            return
        run = self.shown.run
        last = self.points[-1] if self.points else None
        step = max(run.current_step, last["step"]) if last and run.job.status.active else run.current_step
        parts = []
        if last is not None and step:
            epoch = min(run.total_epochs, int(-(-last["epoch"] // 1)) or 1)
            parts.append(f"epoch {epoch} of {run.total_epochs}")
        if run.job.status == JobState.RUNNING:
            parts.append(fmt.time_left(self._left))
        elif run.job.status == JobState.COMPLETED and last is not None:
            parts.append(f"took {fmt.duration(last['elapsed_s'])}")
        remark = " · ".join(filter(None, parts)) or run.job.message or "not started"
        self.step.show_values(f"{fmt.count(step)} of {fmt.count(run.total_steps)}", remark)

    def _show_loss(self) -> None:
        if self.shown is None:
            return
        run = self.shown.run
        measured = [p for p in self.points if p["validation_loss"] is not None]
        now = measured[-1]["validation_loss"] if measured else run.final_loss
        if now is None:
            nothing = bool(run.counts) and run.job.status == JobState.COMPLETED
            self.loss.show_values(fmt.NOTHING, "no validation conversations" if nothing else "base not yet measured")
            return
        base = next((p["validation_loss"] for p in measured if p["step"] == 0), run.baseline_loss)
        after = [p for p in measured if p["step"] > 0]
        best = min(after, key=lambda p: p["validation_loss"], default=None)
        parts = [f"base {fmt.decimal(base)}"]
        if best is not None:
            parts.append(f"best {fmt.decimal(best['validation_loss'])} at step {fmt.count(best['step'])}")
        self.loss.show_values(fmt.decimal(now), " · ".join(parts))
