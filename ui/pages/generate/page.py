"""Generate: plan conversations along their arcs, see what they cost, and follow a batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from PySide6.QtCore import QTimer, Slot
from PySide6.QtWidgets import QApplication, QStackedWidget, QWidget

from app.services import Services
from core.db import Database
from core.errors import AppError
from core.events import Changed
from core.generation import store
from core.generation.store import Batch, Failure
from core.jobs import Job, JobState
from ui import format as fmt
from ui.models.rows import Status
from ui.pages.generate.batch import BatchShown, BatchSide, BatchView, ItemRow, read_shown
from ui.pages.generate.batches import BatchesView
from ui.pages.generate.data import Snapshot, batch_status, read_snapshot
from ui.pages.generate.desk import PlanDesk
from ui.pages.generate.side import MODES
from ui.pages.generate.start_dialogs import CapDialog
from ui.widgets.banner import Action, Banner
from ui.widgets.chip import StatusPill
from ui.widgets.page import Page
from ui.widgets.page_commands import DELETE_KEYS, PageCommand, nothing_selected

PURPOSE = "Plan conversations along their arcs, see the price, and stop at a cap."
UNDER_WAY = (JobState.QUEUED, JobState.INITIALIZING, JobState.RUNNING)


class GeneratePage(Page):
    """`open_item`: a batch's id or {"batch": id}, {"batches": True}, {"plan": True}."""

    watches: ClassVar[Changed] = (
        Changed.GENERATION | Changed.SCAFFOLDING | Changed.CONVERSATIONS | Changed.MODELS | Changed.SETTINGS
        | Changed.JOBS
    )  # fmt: skip

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, parent)
        self._ident, self._bannered = "", ("", "")
        self._banner_text, self._left = "", ""
        self._began = False
        self._shown: BatchShown | None = None
        self.pill = StatusPill(Status("neutral", ""))
        self.add_header_widget(self.pill)
        self.earlier = self.add_action("Earlier batches", "ph.clock-counter-clockwise", self.show_batches)
        self.resume = self.add_action("Resume", "ph.play", self._resume)
        self.retry = self.add_action("Retry failed", "ph.arrow-clockwise", self._retry_all)
        self.pause = self.add_action("Pause", "ph.pause", self._pause)
        self.halt = self.add_action("Stop", "ph.stop", self.stop)
        self.halt.setToolTip("Ends after the replies under way; what is written stays, and the batch can be resumed")
        self.new = self.add_action("New plan", "ph.plus", self.show_plan)
        self.begin = self.add_action("Start", "ph.sparkle", self._start, primary=True, name="start_batch")
        self.desk = PlanDesk(self)
        self.desk.changed.connect(self._show_start)
        self.desk.started.connect(self._on_started)
        self.batch, self.side = BatchView(services), BatchSide(services)
        self.batches = BatchesView(services)
        self._views, self._sides = QStackedWidget(), QStackedWidget()
        for view in (self.desk.view, self.batch, self.batches):
            self._views.addWidget(view)
        for side in (self.desk.side, self.side, QWidget()):
            self._sides.addWidget(side)
        self.set_content(self._views)
        self.set_inspector(self._sides)
        self._connect()
        self._show_view(self.desk.view)
        self._show_start()
        self.show_busy()

    def _connect(self) -> None:
        self.batch.item_chosen.connect(self._on_item)
        self.batch.read_wanted.connect(self._read_conversation)
        self.side.read_wanted.connect(self._read_conversation)
        self.side.retry_wanted.connect(lambda ident: self._retry([ident]))
        self.side.follow.connect(self.services.navigator.follow)
        self.batches.opened.connect(lambda batch: self.open_batch(batch.id))
        self.batches.delete_wanted.connect(self._delete)
        table = self.desk.view.table
        delete = PageCommand("delete", "Delete selected", self._delete_selected, DELETE_KEYS, self._nothing_to_delete)
        self.add_command(delete, table, self.batches.table)
        self.add_command(PageCommand("retry", "Retry what failed", self._retry_all, ("R",)), self.batch.table)
        self.add_command(PageCommand("fill_gaps", "Fill the gaps", self.desk.fill_gaps))
        self.services.queue.progress.connect(self._on_progress)

    # Views

    def _show_view(self, view: QWidget) -> None:
        self._views.setCurrentWidget(view)
        self._sides.setCurrentIndex(self._views.currentIndex())
        self._beside_shown(view is not self.batches)
        on_batch, on_plan = view is self.batch, view is self.desk.view
        if not on_batch:
            self._ident, self._shown = "", None
            self._drop_banner()
            self.set_header("Generate" if on_plan else "Batches", PURPOSE)
        for button in (self.pill, self.resume, self.retry, self.pause, self.halt):
            button.setVisible(on_batch)
        self.new.setVisible(not on_plan)
        self.begin.setVisible(on_plan)
        self.earlier.setVisible(view is not self.batches)
        self.primary = self.begin if on_plan else None

    def _beside_shown(self, shown: bool) -> None:
        if self._beside is not None:
            self._beside.setVisible(shown)

    def show_plan(self) -> None:
        """The plan, as it was left."""
        self._began = True
        self._show_view(self.desk.view)
        self.reload()

    def show_batches(self) -> None:
        """What was generated before."""
        self._began = True
        self._show_view(self.batches)
        self.batches.table.setFocus()
        self.reload()

    @Slot(str)
    def _on_started(self, ident: str) -> None:
        self.open_batch(ident)
        # A second click of a double click was meant for the button that was there.
        self.new.setEnabled(False)
        QTimer.singleShot(QApplication.doubleClickInterval(), self, lambda: self.new.setEnabled(True))

    @Slot(str)
    def open_batch(self, ident: str) -> None:
        """One batch."""
        self._began = True
        self._drop_banner()
        self._ident, self._left = ident, ""
        self._show_view(self.batch)
        self.reload()

    def open_item(self, argument: object) -> None:
        wanted = argument if isinstance(argument, dict) else {"batch": argument}
        if wanted.get("batch"):
            self.open_batch(str(wanted["batch"]))
        elif wanted.get("batches"):
            self.show_batches()
        else:
            self.show_plan()

    def back(self) -> bool:
        """Esc: from a batch to the list, from the list to the plan."""
        view = self._views.currentWidget()
        if view is self.desk.view:
            return False
        (self.show_batches if view is self.batch else self.show_plan)()
        return True

    # Data

    def reload(self) -> None:
        ident = self._ident
        if self._views.currentWidget() is self.batch and ident:
            self.read(lambda db: read_shown(db, ident), self._show_batch, key="batch")
        else:
            self.read(read_snapshot, self._show_snapshot)

    def _show_snapshot(self, found: Snapshot) -> None:
        self.desk.show_snapshot(found)
        self.batches.show_batches(found.batches)
        self.earlier.setEnabled(bool(found.batches))
        self.earlier.setToolTip("" if found.batches else "Nothing was generated yet")
        active = next((batch for batch in found.batches if batch.job.status in UNDER_WAY), None)
        if not self._began and active is not None:
            self.open_batch(active.id)
            return
        self._began = True
        self.show_content()

    @Slot()
    def _show_start(self) -> None:
        held = self.desk.held
        self.begin.setText("Starting…" if self.desk.starting else self.desk.start_words)
        self.begin.setEnabled(not held and not self.desk.starting)
        self.begin.setToolTip(held)

    def _start(self) -> None:
        self.desk.start()

    # The batch that is shown

    def _show_batch(self, shown: BatchShown) -> None:
        batch = shown.batch
        if batch.id != self._ident:
            return
        self._shown = shown
        self.earlier.setEnabled(True)
        self.set_header(batch.name, " · ".join((batch.model, MODES.get(batch.mode, batch.mode).lower(),
                                                "every reply is on disk before the next request")))  # fmt: skip
        self.pill.set_status(batch_status(batch))
        under_way = batch.job.status in UNDER_WAY
        for button, visible in (
            (self.pause, under_way), (self.halt, under_way), (self.resume, _can_resume(batch)),
            (self.retry, not batch.job.status.active and shown.reopen > 0),
        ):  # fmt: skip
            button.setVisible(visible)
            button.setEnabled(visible)
        self.retry.setText(f"Retry {fmt.count(shown.reopen)} failed")
        self.primary = self.resume if _can_resume(batch) else self.retry if shown.reopen else None
        self.batch.show_batch(shown, self._left if under_way else "")
        self.side.show_money(shown)
        self.show_content()
        self._show_banner(batch)

    @Slot(str, object, object, str, object)
    def _on_progress(self, job_id: str, _done: int, _total: int, _message: str, left: float | None) -> None:
        if job_id == self._ident:
            self._left = fmt.time_left(left)

    @Slot(object)
    def _on_item(self, row: ItemRow | None) -> None:
        busy = self._shown is not None and self._shown.batch.job.status.active
        ident = self._ident
        if row is None or row.item.status != "failed":
            self.side.show_item(row, None, busy)
            return

        def read(db: Database) -> Sequence[Failure]:
            return store.failures(db, ident, item=row.id)

        self.read(read, lambda found: self.side.show_item(row, found[0] if found else None, busy), key="failure")

    @Slot(object)
    def _read_conversation(self, row: ItemRow) -> None:
        if row.item.conversation_id:
            self.services.navigator.open_page("conversations", row.item.conversation_id)

    def show_end_of(self, job: Job) -> bool:
        # The batch that is shown follows its job by itself.
        if job.id == self._ident or job.kind == "ask_claude":
            return True
        if job.error is None or job.page != "generate":
            return False
        text = f"“{job.title}” ended: {job.error.message}"
        self.banners.add(Banner("bad", text, job.error.hint, action=("Open batch", partial(self.open_batch, job.id))))
        return True

    def _show_banner(self, batch: Batch) -> None:
        state = batch.id, str(batch.job.status)
        if state == self._bannered:
            return
        self._drop_banner()
        self._bannered = state
        error = batch.job.error
        if batch.job.status is JobState.INTERRUPTED:
            text = "This batch was interrupted. Resume continues with the next request; what is written stays."
            self._banner_text = text
            self.banners.add(Banner("warn", text, action=("Resume", self._resume)))
        elif batch.job.status is JobState.FAILED and error is not None:
            self._banner_text = self.banners.show_error(error, self.action_of(error)).text

    def action_of(self, error: AppError) -> Action | None:
        if error.code == "budget_reached" and self._shown is not None:
            return "Raise the cap…", self.raise_cap
        actions: dict[str, Action] = {"generate:resume": ("Resume", self._resume),
                                      "generate:retry": ("Retry failed", self._retry_all)}  # fmt: skip
        return actions.get(error.action) or super().action_of(error)

    def _drop_banner(self) -> None:
        self._bannered = ("", "")
        for banner in self.banners.banners:
            if self._banner_text and banner.text == self._banner_text:
                banner.dismiss()
        self._banner_text = ""

    # Actions

    @Slot()
    def _resume(self) -> None:
        self._restart([])

    def _retry_all(self) -> None:
        self._retry(store.ALL)

    def _retry(self, which: str | Sequence[str]) -> None:
        self._restart(which)

    def raise_cap(self) -> None:
        """A higher cap, and on."""
        if self._shown is not None:
            dialog = CapDialog(self, self._shown.batch)
            dialog.chosen.connect(lambda cap: self._restart([], cap))
            dialog.open()

    def _restart(self, which: str | Sequence[str], cap: str | None = "keep") -> None:
        ident = self._ident
        if not ident:
            return
        for button in (self.resume, self.retry):
            button.setEnabled(False)
        self._drop_banner()

        def again(db: Database) -> tuple[Changed, Job]:
            return Changed.JOBS | Changed.GENERATION, store.retry(db, ident, which, max_cost_usd=cap)

        self.write(again, lambda _job: self.services.queue.kick())

    def _pause(self) -> None:
        self.pause.setEnabled(False)
        self.services.queue.pause(self._ident)

    def stop(self) -> bool:
        """Cmd+.: stop the batch that is shown."""
        if not self._ident or not self.halt.isVisibleTo(self) or not self.halt.isEnabled():
            return False
        self.halt.setEnabled(False)
        self.services.queue.stop(self._ident)
        return True

    def _delete_selected(self) -> None:
        view = self._views.currentWidget()
        (self.batches.delete_selected if view is self.batches else self.desk.view.remove_selected)()

    def _nothing_to_delete(self) -> str:
        view = self._views.currentWidget()
        if view is self.batch:
            return "Batches are deleted in their list"
        return nothing_selected(self.batches.table if view is self.batches else self.desk.view.table)()

    @Slot(object)
    def _delete(self, batches: Sequence[Batch]) -> None:
        active = next((batch for batch in batches if batch.job.status.active), None)
        if active is not None:
            self.show_error(AppError("job_active", f"“{active.name}” is running.", hint="Stop it first."))
            return
        words = f"“{batches[0].name}”" if len(batches) == 1 else fmt.plural(len(batches), "batch", "batches")
        self.delete("batch_jobs", [batch.id for batch in batches], f"{words} moved to the trash; conversations stay")


def _can_resume(batch: Batch) -> bool:
    return not batch.job.status.active and batch.not_reached > 0
