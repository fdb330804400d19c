"""The tray at the foot: the running jobs with progress, time left and Stop; one that is paused here waits there too."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from app.services import Services
from core import jobs
from core.events import Changed
from core.jobs import UNDER_WAY, Job, JobState
from ui import format as fmt
from ui.models.jobs import progress_line
from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel, label
from ui.window.memory_bar import MemoryBar
from ui.window.queue_panel import QueuePanel

STEPS = 1000
# More are on Home.
MOST_PAUSED = 3


class LineButton(Button):
    """Not hit by the second half of a double click, which was meant for the button whose place it has taken."""

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        # A button that is not down lets it go on to the line, which would open its page.
        event.accept()


class JobLine(QWidget):
    """One running or paused job; a click opens the page that owns it."""

    clicked = Signal(str)
    stop_clicked = Signal(str)
    pause_clicked = Signal(str)
    resume_clicked = Signal(str)
    hidden = Signal(str)

    def __init__(self, job: Job, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        sizes = theme().sizes
        self.job = job
        # A button that was hit stays enabled: the focus would go to the one beside it. It does nothing more.
        self.asked = False
        self.setObjectName(f"job_{job.id}")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.name = ElidedLabel(job.title)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 0)
        self.bar.setMinimumWidth(sizes.icon_large * 2)
        self.bar.setMaximumWidth(sizes.search)
        self.text = ElidedLabel("Starting", "muted")
        self.stop = LineButton("Stop", "ghost", "ph.stop", on_click=self._on_stop, name="job_stop")
        self.stop.setAccessibleName(f"Stop {job.title}")
        self.pause = LineButton("Pause", "ghost", "ph.pause", on_click=self._on_pause, name="job_pause")
        self.pause.setAccessibleName(f"Pause {job.title}")
        self.resume = LineButton("Resume", "ghost", "ph.play", on_click=self._on_resume, name="job_resume")
        self.resume.setAccessibleName(f"Resume {job.title}")
        self.hide_it = LineButton("Hide", "ghost", "ph.x", on_click=self._on_hide, name="job_hide")
        self.hide_it.setAccessibleName(f"Hide {job.title}")
        self.hide_it.setToolTip("It stays paused. Its page and Home resume it.")
        box = QHBoxLayout(self)
        box.setContentsMargins(2 * sizes.grid, sizes.half, 2 * sizes.grid, sizes.half)
        box.setSpacing(sizes.grid + 4)
        box.addWidget(self.name)
        box.addWidget(self.bar, 1)
        box.addWidget(self.text, 1)
        box.addWidget(self.pause)
        box.addWidget(self.stop)
        box.addWidget(self.resume)
        box.addWidget(self.hide_it)
        # Once they have a parent: without one they would be windows of their own for a moment.
        self.show_job(job)
        box.addStretch(1)

    def _describe(self, text: str) -> None:
        self.text.setText(text)
        self.setAccessibleName(f"{self.job.title}: {text}")

    def show_progress(self, done: int, total: int, message: str, left: float | None) -> None:
        """How far it is."""
        if total > 0:
            if self.bar.maximum() == 0:
                self.bar.setRange(0, STEPS)
            self.bar.setValue(round(STEPS * min(1.0, done / total)))
        self._describe(progress_line(done, total, message, left))

    @property
    def runs(self) -> bool:
        """Whether it was under way when it was last heard of."""
        return self.job.status in UNDER_WAY

    @property
    def paused(self) -> bool:
        """Whether it rests until it is resumed."""
        return self.job.status is JobState.PAUSED

    def show_job(self, job: Job) -> None:
        """The state it is in now; while it is paused, Resume has the place and the focus of Pause."""
        self.job, self.asked = job, False
        running, resting = (self.pause, self.stop), (self.resume, self.hide_it)
        focused = any(button.hasFocus() for button in running + resting)
        for button in resting if self.paused else running:
            button.setVisible(button is not self.pause or job.resumable)
        if focused:
            (self.resume if self.paused else self.pause).setFocus()
        for button in running if self.paused else resting:
            button.setVisible(False)
        if self.paused and self.bar.maximum() == 0:
            self.bar.setRange(0, STEPS)
        self._describe("Paused" if self.paused else "Starting" if self.runs else "Waiting for its turn")

    def _on_resume(self) -> None:
        if not self.asked:
            self.asked = True
            self.resume_clicked.emit(self.job.id)

    def _on_hide(self) -> None:
        self.hidden.emit(self.job.id)

    def _on_stop(self) -> None:
        if not self.asked:
            self.asked = True
            self._describe("Stopping")
            self.stop_clicked.emit(self.job.id)

    def _on_pause(self) -> None:
        if not self.asked:
            self.asked = True
            self._describe("Pausing")
            self.pause_clicked.emit(self.job.id)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        if self.job.page:
            self.clicked.emit(self.job.page)


class Tray(QWidget):
    """Running jobs, how many wait, and the memory at the right. Hidden parts leave no gap."""

    page_requested = Signal(str)

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("tray")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName("Jobs")
        self._services, self._queue = services, services.queue
        queue = services.queue
        self._lines: dict[str, JobLine] = {}
        self._waiting = 0
        self._handle: int | None = None
        sizes = theme().sizes
        self._quiet = label("No jobs running", "muted", name="tray_quiet")
        self._more = Button("", "ghost", "ph.list-numbers", on_click=self.show_waiting, name="tray_waiting")
        self.panel = QueuePanel(services, self._more)
        self.memory = MemoryBar(services)
        self._list = QVBoxLayout()
        self._list.setSpacing(0)
        foot = QHBoxLayout()
        foot.setContentsMargins(2 * sizes.grid, 0, 2 * sizes.grid, 0)
        foot.addWidget(self._more)
        self._quiet.setContentsMargins(2 * sizes.grid, 0, 0, 0)
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addWidget(self._quiet)
        box.addLayout(self._list, 1)
        box.addLayout(foot)
        box.addWidget(self.memory)
        box.addSpacing(2 * sizes.grid)
        queue.job_changed.connect(self._on_job)
        queue.progress.connect(self._on_progress)
        queue.failed.connect(self._on_failed)
        services.hub.changed.connect(self._on_changed)
        theme().changed.connect(self._update)
        self._update()

    def show_waiting(self) -> None:
        """The queued jobs in order, to be reordered or taken out."""
        self.panel.open()

    @property
    def lines(self) -> dict[str, JobLine]:
        """The lines shown, by job."""
        return dict(self._lines)

    @Slot(object)
    def _on_changed(self, what: Changed) -> None:
        # Asked, not counted along: jobs were queued before this window was there.
        if what & Changed.JOBS:
            self._services.forget(self._handle)
            shown = list(self._lines)
            self._handle = self._services.read(
                self, lambda db: (len(jobs.queued(db)), jobs.those_deleted(db, shown)), self._on_found
            )

    def _on_found(self, found: tuple[int, list[str]]) -> None:
        self._waiting, deleted = found
        for job_id in deleted:
            self._drop(job_id)
        self._update()

    @Slot(object)
    def _on_job(self, job: Job) -> None:
        line = self._lines.get(job.id)
        if line is None:
            if job.status in UNDER_WAY:
                self._add(job)
        elif job.status not in (*UNDER_WAY, JobState.QUEUED, JobState.PAUSED):
            self._drop(job.id)
        elif not (line.runs and job.status in UNDER_WAY):
            self._lines[job.id] = self._lines.pop(job.id)
            line.show_job(job)
            for old in [one for one in self._lines.values() if one.paused][:-MOST_PAUSED]:
                self._drop(old.job.id)
        self._update()

    def _add(self, job: Job) -> None:
        line = JobLine(job, self)
        line.clicked.connect(self.page_requested)
        line.stop_clicked.connect(self._queue.stop)
        line.pause_clicked.connect(self._queue.pause)
        line.resume_clicked.connect(self._queue.resume)
        line.hidden.connect(self._on_hidden)
        self._lines[job.id] = line
        self._list.addWidget(line)

    def _drop(self, job_id: str) -> None:
        line = self._lines.pop(job_id, None)
        if line is not None:
            self._list.removeWidget(line)
            line.hide()
            line.deleteLater()

    @Slot(object)
    def _on_failed(self, _error: Exception) -> None:
        for line in self._lines.values():
            if line.asked and not line.runs:
                line.show_job(line.job)

    def _on_hidden(self, job_id: str) -> None:
        self._drop(job_id)
        self._update()

    @Slot(str, object, object, str, object)
    def _on_progress(self, job_id: str, done: int, total: int, message: str, left: float | None) -> None:
        line = self._lines.get(job_id)
        if line is not None and line.runs and not line.asked:
            line.show_progress(done, total, message, left)

    def stop_newest(self) -> bool:
        """Stop the job that started last; False if none runs."""
        for line in reversed(self._lines.values()):
            if line.runs and not line.asked:
                line.stop.click()
                return True
        return False

    @Slot()
    def _update(self) -> None:
        self._quiet.setVisible(not self._lines and not self._waiting)
        self._more.setVisible(bool(self._waiting))
        self._more.setText(f"{fmt.count(self._waiting)} waiting")
        self.setMinimumHeight(theme().sizes.tray)
