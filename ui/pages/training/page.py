"""Training: start a run, follow it, look at those before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QStackedWidget, QWidget

from app.services import Services
from core.datasets import store as datasets
from core.db import Database
from core.errors import AppError
from core.events import Changed
from core.jobs import Job, JobState
from core.models import store as models
from core.training import store
from core.training.store import TrainingRun
from ui import format as fmt
from ui import steps
from ui.models.jobs import job_status
from ui.models.rows import Status
from ui.pages.training.form import Choices, NewRunForm
from ui.pages.training.run import RunView, Shown, read_shown
from ui.pages.training.run_list import RunsView
from ui.practice import add_practice
from ui.steps import Offer, read_offer
from ui.widgets.banner import Banner
from ui.widgets.basic import restyle
from ui.widgets.chip import StatusPill
from ui.widgets.empty import EmptyState
from ui.widgets.page import Page
from ui.widgets.page_commands import DELETE_KEYS, PageCommand, nothing_selected
from ui.words.training import run_line

PURPOSE = "Turn a dataset into a LoRA adapter: a small file that changes how the base answers."
MOST_DATASETS = 2_000


@dataclass(frozen=True)
class Snapshot:
    """The runs, and what a new one can be made of."""

    runs: tuple[TrainingRun, ...]
    choices: Choices
    offer: Offer


def read_snapshot(db: Database) -> Snapshot:
    """All of it, by one reader."""
    bases = tuple(base for base in models.listing(db) if base.trains)
    default = models.default(db)
    rates = {base.id: store.seconds_per_token(db, base.id) for base in bases}
    found = tuple(datasets.listing(db, usable_only=True, limit=MOST_DATASETS))
    choices = Choices(found, bases, default.id if default else "", rates)
    return Snapshot(tuple(store.list_runs(db)), choices, read_offer(db))


class TrainingPage(Page):
    """`open_item({"dataset": id})` and `{"base": id}` open the form, a run's id or `{"run": id}` the run.

    `{"new": True}` opens the form, `{"runs": True}` the history. `"visible_effect": True` beside a dataset chooses the
    settings whose effect can be seen on the practice model, where that is the base.
    """

    watches: ClassVar[Changed] = (
        Changed.JOBS | Changed.TRAINING_FILES | Changed.DATASETS | Changed.MODELS | Changed.ADAPTERS | Changed.SETTINGS
    )  # fmt: skip

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, parent)
        self._snapshot: Snapshot | None = None
        self._run_id, self._bannered = "", ("", "")
        self._banner_text = ""
        self._asked = ("", "")
        self._visible_effect = False
        self._began = self._starting = False
        self._empty_kind = ("", "")
        self.pill = StatusPill(Status("neutral", ""))
        self.add_header_widget(self.pill)
        self.all_runs = self.add_action("All runs", "ph.list-bullets", self.show_runs)
        self.resume = self.add_action("Resume", "ph.play", self._resume)
        self.pause = self.add_action("Pause", "ph.pause", self._pause)
        self.pause.setToolTip("Save a checkpoint and free the memory")
        self.halt = self.add_action("Stop", "ph.stop", self.stop)
        self.halt.setToolTip("Stop and keep the progress; the run can be resumed later")
        self.new = self.add_action("New run", "ph.plus", self.new_run, primary=True)
        self.start = self.add_action("Start training", "ph.play", self._start, primary=True)
        self.runs, self.form = RunsView(services), NewRunForm()
        self.run = RunView(services, self._talk, self._train_again)
        self._views = QStackedWidget()
        for view in (self.runs, self.form, self.run):
            self._views.addWidget(view)
        self.set_content(self._views)
        self.runs.opened.connect(lambda run: self.open_run(run.id))
        self.runs.delete_wanted.connect(self._delete)
        delete = PageCommand(
            "delete", "Delete the selected runs", self.runs.delete_selected, DELETE_KEYS,
            nothing_selected(self.runs.table),
        )  # fmt: skip
        self.add_command(delete, self.runs.table)
        self.form.edited.connect(self._on_edited)
        self._show_view(self.runs)
        self.show_busy()

    # Views

    def _show_view(self, view: QWidget) -> None:
        self._views.setCurrentWidget(view)
        on_run = view is self.run
        if not on_run:
            self._run_id = ""
            self._drop_banner()
            self.set_header("New training run" if view is self.form else "Training", PURPOSE)
        for button in (self.pill, self.resume, self.pause, self.halt):
            button.setVisible(on_run)
        self.all_runs.setVisible(view is not self.runs)
        self.new.setVisible(view is not self.form)
        self.start.setVisible(view is self.form)
        self.primary = self.start if view is self.form else self.new
        # On a run the main step is to talk to its adapter, or to resume it.
        self.new.setProperty("role", "" if on_run else "main")
        self.new.set_icon("ph.plus")
        restyle(self.new)

    def show_runs(self) -> None:
        """The history."""
        self._began = True
        self._show_view(self.runs)
        self.reload()

    def new_run(self) -> None:
        """The form, as it was left."""
        self._began = True
        self._show_view(self.form)
        self.reload()

    def open_run(self, run_id: str) -> None:
        """One run."""
        self._began = True
        self._drop_banner()
        self._run_id = run_id
        self._show_view(self.run)
        self.reload()

    def open_item(self, argument: object) -> None:
        """See the class."""
        wanted = argument if isinstance(argument, dict) else {"run": argument}
        if wanted.get("run"):
            self.open_run(str(wanted["run"]))
        elif wanted.get("runs"):
            self.show_runs()
        else:
            self.form.renew()
            self._asked = str(wanted.get("dataset") or ""), str(wanted.get("base") or "")
            self._visible_effect = bool(wanted.get("visible_effect"))
            self.new_run()

    def back(self) -> bool:
        """Esc: from a run or the form to the history."""
        if self._views.currentWidget() is self.runs:
            return False
        self.show_runs()
        return True

    # Data

    def reload(self) -> None:
        if self._views.currentWidget() is self.run and self._run_id:
            run_id = self._run_id
            self.read(lambda db: read_shown(db, run_id), self._show_run, key="run")
        else:
            self.read(read_snapshot, self._show_snapshot)

    def _show_snapshot(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        dataset_id, base_id = self._asked
        self._asked = ("", "")
        self.form.set_choices(snapshot.choices, dataset_id, base_id)
        if self._visible_effect and self.form.chosen_base is not None:
            self._visible_effect = False
            if self.form.chosen_base.is_practice:
                self.form.use_practice_settings()
        self.runs.show_runs(snapshot.runs)
        active = next((run for run in snapshot.runs if run.job.status.active), None)
        if not self._began and active is not None:
            self.open_run(active.id)
            return
        self._began = True
        if self._views.currentWidget() is self.run:
            return
        self._show_state(snapshot)

    def _show_state(self, snapshot: Snapshot) -> None:
        on_form = self._views.currentWidget() is self.form
        lacking = not snapshot.choices.datasets or not snapshot.choices.bases
        if lacking and (on_form or not snapshot.runs):
            file = snapshot.offer.file.name if snapshot.offer.file else ""
            self._show_empty("base" if snapshot.choices.datasets else "dataset", file)
        elif not on_form and not snapshot.runs:
            self._show_empty("first")
        else:
            self.show_content()
        self.new.setEnabled(not lacking)
        self.start.setVisible(on_form and not lacking)
        self.new.setVisible(not on_form and not (lacking and not snapshot.runs))

    def _show_empty(self, kind: str, file: str = "") -> None:
        # Made again only when it differs: a refresh must not take the button from under the pointer.
        if (kind, file) != self._empty_kind:
            self._empty_kind = (kind, file)
            self.set_empty(self._first() if kind == "first" else self._lacking(kind, file))
        self.show_empty()

    def _first(self) -> EmptyState:
        return EmptyState(
            "ph.chart-line", "A run trains an adapter on one of your datasets, on this machine.",
            ("New run", self.new_run), ("Show datasets", lambda: self.services.navigator.open_page("datasets")),
            title="No training runs yet", button_icon="ph.plus",
        )  # fmt: skip

    def _lacking(self, kind: str, file: str) -> EmptyState:
        navigator = self.services.navigator
        if kind == "dataset" and file:
            return EmptyState(
                "ph.table", "Training needs a dataset: a training file split and counted in a base model's tokens.",
                (f"Build dataset from “{file}”", lambda: steps.make_dataset(self.services)),
                ("Import dataset", lambda: navigator.run_command("import")), title="No dataset to train on",
            )  # fmt: skip
        if kind == "dataset":
            return EmptyState(
                "ph.table", "Training needs a dataset that is ready: build one from a training file, or import one.",
                ("Open Datasets", lambda: navigator.open_page("datasets")),
                ("Open Training files", lambda: navigator.open_page("training_files")), title="No dataset to train on",
            )  # fmt: skip
        return EmptyState(
            "ph.swap", "Training needs a base model: a folder in MLX or Hugging Face format, or the practice model.",
            ("Add practice model", self._add_practice),
            ("Open Adapters", lambda: navigator.open_page("adapters")), title="No base model yet",
        )  # fmt: skip

    def _add_practice(self) -> None:
        add_practice(self.services)

    # The run that is shown

    def _show_run(self, shown: Shown) -> None:
        run = shown.run
        if run.id != self._run_id:
            return
        self.set_header(run.name, run_line(run))
        self.pill.set_status(job_status(run.job))
        under_way = run.job.status in (JobState.QUEUED, JobState.INITIALIZING, JobState.RUNNING)
        for button, shown_ in ((self.pause, under_way), (self.halt, under_way), (self.resume, run.job.can_resume)):
            button.setVisible(shown_)
            button.setEnabled(shown_)
        self.run.show_run(shown)
        self.primary = self.run.side.talk if shown.adapter is not None else self.resume if run.job.can_resume else None
        self.show_content()
        self._show_banner(run)

    def show_end_of(self, job: Job) -> bool:
        # The run that is shown follows its job by itself.
        return job.id == self._run_id

    def _show_banner(self, run: TrainingRun) -> None:
        state = run.id, str(run.job.status)
        if state == self._bannered:
            return
        self._drop_banner()
        self._bannered = state
        if run.job.status == JobState.INTERRUPTED:
            step = fmt.count(run.current_step)
            text = f"This run was interrupted at step {step}. Resume continues exactly where it stopped."
            self._banner_text = text
            details = run.job.error.detail if run.job.error is not None else ""
            self.banners.add(Banner("warn", text, action=("Resume", self._resume), details=details))
        elif run.job.status == JobState.FAILED and run.job.error is not None:
            error = run.job.error
            self._banner_text = self.banners.show_error(error, self.action_of(error)).text

    def _drop_banner(self) -> None:
        self._bannered = ("", "")
        for banner in self.banners.banners:
            if self._banner_text and banner.text == self._banner_text:
                banner.dismiss()
        self._banner_text = ""

    # Actions

    @Slot()
    def _on_edited(self) -> None:
        self.start.setEnabled(self.form.valid and not self._starting)

    def _start(self) -> None:
        if self._starting or not self.form.submit():
            return
        self._starting = True
        wanted = self.form.wanted()
        self.start.setEnabled(False)

        def create(db: Database) -> tuple[Changed, Job]:
            job = store.create_run(
                db, name=wanted.name, dataset_id=wanted.dataset_id, base_model_id=wanted.base_model_id,
                preset=wanted.preset, config=wanted.config,
            )  # fmt: skip
            return Changed.JOBS, job

        self.services.write(self, create, self._on_created, self._on_refused)

    def _on_created(self, job: Job) -> None:
        self._starting = False
        self.services.queue.kick()
        self.form.renew()
        self.open_run(job.id)

    def _on_refused(self, exc: Exception) -> None:
        self._starting = False
        self.start.setEnabled(True)
        self.services.notifier.report(exc, self)

    @Slot()
    def _resume(self) -> None:
        self.resume.setEnabled(False)
        self._drop_banner()
        self.services.queue.resume(self._run_id)

    def _pause(self) -> None:
        self.pause.setEnabled(False)
        self.halt.setEnabled(False)
        self.services.queue.pause(self._run_id)

    def stop(self) -> bool:
        """Stop the run that is shown; it keeps what is there."""
        if self._views.currentWidget() is not self.run or not self.halt.isEnabled() or self.halt.isHidden():
            return False
        self.pause.setEnabled(False)
        self.halt.setEnabled(False)
        self.services.queue.stop(self._run_id)
        return True

    def _talk(self) -> None:
        shown = self.run.shown
        if shown is not None and shown.adapter is not None:
            self.services.navigator.open_page("chat", {"adapter": shown.adapter.id})

    def _train_again(self) -> None:
        shown = self.run.shown
        if shown is not None:
            run = shown.run
            self.form.renew()
            self.form.use(run.preset, run.config)
            self._asked = run.dataset_id, run.base_model_id
            self.new_run()

    @Slot(object)
    def _delete(self, runs: Sequence[TrainingRun]) -> None:
        active = next((run for run in runs if run.job.status.active), None)
        if active is not None:
            self.show_error(AppError("job_active", f"“{active.name}” is running.", hint="Stop it, then delete it."))
            return
        text = f"Deleted {runs[0].name}" if len(runs) == 1 else f"Deleted {fmt.plural(len(runs), 'run')}"
        self.delete("training_jobs", [run.id for run in runs], text)
