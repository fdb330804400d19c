"""A strip on a page: the jobs under way that will change what it shows."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from app.services import Services
from core.jobs import Job
from ui.models.jobs import progress_line
from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel, row
from ui.widgets.card import Card

STEPS = 1000


class JobStrip(QWidget):
    """One line a job of these kinds, with progress and Stop; takes no room while none runs."""

    def __init__(self, services: Services, kinds: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("job_strip")
        self._services, self._kinds = services, frozenset(kinds)
        self._lines: dict[str, _Line] = {}
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(theme().sizes.half)
        self.hide()
        services.queue.job_changed.connect(self._on_job)
        services.queue.finished.connect(self._on_job)
        services.queue.progress.connect(self._on_progress)
        for job in services.queue.running():
            self._on_job(job)

    @property
    def jobs(self) -> list[Job]:
        """Those shown."""
        return [line.job for line in self._lines.values()]

    @Slot(object)
    def _on_job(self, job: Job) -> None:
        if job.kind not in self._kinds:
            return
        line = self._lines.get(job.id)
        if job.status.active and line is None:
            line = self._lines[job.id] = _Line(job, self._services)
            self._box.addWidget(line)
        elif not job.status.active and line is not None:
            del self._lines[job.id]
            self._box.removeWidget(line)
            line.hide()
            line.deleteLater()
        self.setVisible(bool(self._lines))

    @Slot(str, object, object, str, object)
    def _on_progress(self, job_id: str, done: int, total: int, message: str, left: float | None) -> None:
        if job_id in self._lines:
            self._lines[job_id].show_progress(done, total, message, left)


class _Line(Card):
    def __init__(self, job: Job, services: Services) -> None:
        super().__init__("", gap=theme().sizes.half)
        self.job, self._services = job, services
        self.setObjectName(f"strip_{job.id}")
        sizes = theme().sizes
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 0)
        self.bar.setMaximumWidth(sizes.search)
        self.text = ElidedLabel("Queued", "muted")
        self.stop = Button("Stop", "ghost", "ph.stop", on_click=self._stop, name="strip_stop")
        self.stop.setAccessibleName(f"Stop {job.title}")
        name = ElidedLabel(job.title, "strong")
        self.add(row(name, self.bar, self.text, self.stop, gap=sizes.grid + 4, stretch=self.text))
        self.body.setContentsMargins(2 * sizes.grid, sizes.half, sizes.grid, sizes.half)

    def show_progress(self, done: int, total: int, message: str, left: float | None) -> None:
        """How far it is."""
        if total > 0:
            self.bar.setRange(0, STEPS)
            self.bar.setValue(round(STEPS * min(1.0, done / total)))
        self.text.setText(progress_line(done, total, message, left))
        self.setAccessibleName(f"{self.job.title}: {self.text.text()}")

    def _stop(self) -> None:
        self.stop.setEnabled(False)
        self.text.setText("Stopping")
        self._services.queue.stop(self.job.id)
