"""Training and chat do not fight for memory: the idle chat engine is unloaded while a job of the lane `gpu` runs."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Slot

from app.inference import InferenceService
from app.jobs.queue import JobQueue
from core.jobs import Job
from core.lanes import Lane

IDLE_MS = 30_000


class GpuGuard(QObject):
    """Lives in the GUI thread. An answer is never cut; the engine leaves once it has been idle a while."""

    def __init__(self, engine: InferenceService, queue: JobQueue, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._engine, self._queue = engine, queue
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(IDLE_MS)
        self._soon.timeout.connect(self._on_idle)
        queue.job_changed.connect(self._on_job)
        engine.state_changed.connect(self._on_state)

    def _claimant(self) -> Job | None:
        return next((job for job in self._queue.running() if job.lane is Lane.GPU), None)

    @Slot(object)
    def _on_job(self, job: Job) -> None:
        if job.lane is not Lane.GPU:
            return
        if self._claimant() is None:
            self._soon.stop()
            self._engine.forget_reason()
        elif job.status.active and self._engine.idle:
            self._unload()

    @Slot(str)
    def _on_state(self, state: str) -> None:
        if state == "ready" and self._claimant() is not None:
            self._soon.start()
        else:
            self._soon.stop()

    @Slot()
    def _on_idle(self) -> None:
        if self._claimant() is not None and self._engine.idle:
            self._unload()

    def _unload(self) -> None:
        job = self._claimant()
        if job is not None:
            what = "training" if job.kind == "training" else f"“{job.title}”"
            self._engine.unload(f"while {what} runs")
