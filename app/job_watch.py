"""Notifies the system of jobs that end while the window is not active."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Slot

from app.jobs.queue import JobQueue
from app.system import System
from core.jobs import Job, JobState


class JobWatch(QObject):
    """Lives in the GUI thread. `looked_at()` says whether the window is in front."""

    def __init__(self, queue: JobQueue, system: System, looked_at: Callable[[], bool], parent: QObject) -> None:
        super().__init__(parent)
        self._system, self._looked_at = system, looked_at
        queue.finished.connect(self._on_finished)

    @Slot(object)
    def _on_finished(self, job: Job) -> None:
        if not self._looked_at() and job.status in (JobState.COMPLETED, JobState.FAILED):
            word = "done" if job.status == JobState.COMPLETED else "failed"
            if rejected := job.result.get("rejected"):
                word += f", {rejected:,} rejected"
            self._system.notify("Bright Run", f"{job.title}: {word}.")
