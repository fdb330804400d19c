"""The queue of jobs, kept in the database: each lane runs one at a time, beside the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot

from app.changes import ChangeHub
from app.jobs.process import GRACE_MS, ProcessJob
from app.jobs.tasks import TaskRunner
from core import jobs
from core.db.connection import Connections
from core.events import Changed
from core.jobs import Job, JobState
from core.workers import protocol
from core.workspace.paths import Workspace

log = logging.getLogger(__name__)


class JobQueue(QObject):
    """Lives in the GUI thread; every read and write of the table goes through the serial lane.

    `job_changed(Job)`: queued, under way, or done. `finished(Job)`: done, once.
    `progress(job_id, done, total, message, seconds_left | None)`. `idle()`: nothing runs any more.
    `failed(exception)`: the queue itself could not do what it was asked.
    `memory_told(job_id, bytes)`: what a worker holds. One that asks gets what it wants, unless `on_memory_asked`
    (job, bytes, model of Ollama's) is set, which answers by `answer_memory`.
    """

    job_changed = Signal(object)
    finished = Signal(object)
    progress = Signal(str, object, object, str, object)
    idle = Signal()
    failed = Signal(object)
    memory_told = Signal(str, object)

    def __init__(
        self,
        workspace: Workspace,
        connections: Connections,
        tasks: TaskRunner,
        hub: ChangeHub,
        parent: QObject | None = None,
        *,
        grace_ms: int = GRACE_MS,
        silence_s: float = protocol.SILENCE_S,
    ) -> None:
        super().__init__(parent)
        self._workspace, self._connections, self._tasks, self._hub = workspace, connections, tasks, hub
        self._grace_ms, self._silence_s = grace_ms, silence_s
        self._running: dict[str, ProcessJob] = {}
        self._open = False
        self._closing = False
        self._claiming = False
        self._again = False
        # Taken out of the queue here, and not yet told; asked twice, a job ends once.
        self._left: set[str] = set()
        self.on_memory_asked: Callable[[Job, int, str], None] | None = None

    # What runs

    @property
    def busy(self) -> bool:
        """Whether a worker runs or is about to."""
        return bool(self._running) or self._claiming

    def running(self) -> list[Job]:
        """The jobs whose workers run now."""
        return [process.job for process in self._running.values()]

    def pid(self, job_id: str) -> int:
        """The process id of a job's worker, 0 if none runs."""
        process = self._running.get(job_id)
        return process.pid if process else 0

    # Commands

    def start(self) -> None:
        """Begin to claim jobs, once what the last run left behind was recovered."""
        self._open = True
        self.kick()

    def submit(
        self,
        kind: str,
        title: str,
        params: Mapping[str, Any],
        job_id: str | None = None,
        waits_for: Sequence[str] = (),
        refused: Callable[[Exception], None] | None = None,
    ) -> None:
        """Queue a job; it starts when its lane is free and the jobs it waits for are completed.

        `refused(error)` instead of `failed` when it could not be written down.
        """
        self._write(
            lambda: jobs.create(self._connections.db, kind, title, params, job_id=job_id, waits_for=waits_for),
            refused=refused,
        )

    def move(self, job_id: str, before: str | None) -> None:
        """Put a queued job in front of another of its lane, or after all of them."""
        self._write(lambda: jobs.move(self._connections.db, job_id, before))

    def resume(self, job_id: str) -> None:
        """Put a paused, interrupted, failed or stopped job back into the queue."""
        self._write(lambda: jobs.requeue(self._connections.db, job_id))

    def stop(self, job_id: str) -> None:
        """Stop a running job in order, or take a queued one out of the queue."""
        if job_id in self._running:
            self._running[job_id].stop()
        else:
            self._write(lambda: self._leave_queue(job_id, JobState.CANCELLED), partial(self._on_left, self.stop))

    def pause(self, job_id: str) -> None:
        """Let a running job checkpoint and leave, or hold back a queued one."""
        if job_id in self._running:
            self._running[job_id].pause()
        else:
            self._write(lambda: self._leave_queue(job_id, JobState.PAUSED), partial(self._on_left, self.pause))

    def kick(self) -> None:
        """Claim what can run now."""
        if not self._open or self._closing:
            return
        if self._claiming:
            self._again = True
            return
        self._claiming = True
        self._tasks.run(self, self._claim, self._on_claimed, self._on_claim_failed, serial=True)

    def shutdown(self) -> None:
        """Stop claiming, close the workers' stdin so that they checkpoint and exit; `idle` follows."""
        self._closing = True
        for process in list(self._running.values()):
            process.close()
        if not self.busy:
            self.idle.emit()

    # On the serial lane

    def _leave_queue(self, job_id: str, state: JobState) -> Job:
        job = jobs.get(self._connections.db, job_id)
        if job.status != JobState.QUEUED:
            return job
        jobs.set_state(self._connections.db, job_id, state)
        self._left.add(job_id)
        return jobs.get(self._connections.db, job_id)

    def _claim(self) -> tuple[Job | None, list[Job]]:
        return jobs.claim_next(self._connections.db), jobs.fail_waiting(self._connections.db)

    def _unclaim(self, job_id: str) -> Job:
        jobs.set_state(self._connections.db, job_id, JobState.QUEUED)
        return jobs.get(self._connections.db, job_id)

    # Back in the GUI thread

    def _write(
        self,
        fn: Callable[[], Job],
        done: Callable[[Job], None] | None = None,
        refused: Callable[[Exception], None] | None = None,
    ) -> None:
        self._tasks.run(self, fn, done or self._on_written, refused or self.failed.emit, serial=True)

    def _on_written(self, job: Job) -> None:
        self.job_changed.emit(job)
        self._hub.announce(Changed.JOBS)
        if job.id in self._left and job.status == JobState.CANCELLED:
            self.finished.emit(job)
        self._left.discard(job.id)
        self.kick()

    def _on_left(self, ask: Callable[[str], None], job: Job) -> None:
        # Claimed after it was asked and before the lane came to it: its worker is the one to ask.
        if job.id in self._running:
            ask(job.id)
        else:
            self._on_written(job)

    def _on_claimed(self, found: tuple[Job | None, list[Job]]) -> None:
        self._claiming = False
        job, in_vain = found
        for waited in in_vain:
            self.job_changed.emit(waited)
            self.finished.emit(waited)
            self._hub.announce(Changed.JOBS)
        if job is not None and self._closing:
            self._write(lambda: self._unclaim(job.id), self._on_unclaimed)
            return
        if job is None:
            again, self._again = self._again, False
            if again:
                self.kick()
            else:
                self._tell_if_idle()
            return
        self._run(job)
        self.kick()

    def _on_unclaimed(self, _job: Job) -> None:
        self._tell_if_idle()

    def _on_claim_failed(self, exc: Exception) -> None:
        self._claiming = False
        self.failed.emit(exc)
        self._tell_if_idle()

    def _run(self, job: Job) -> None:
        process = ProcessJob(
            job, self._workspace, self._connections, self._tasks, self._hub, self,
            grace_ms=self._grace_ms, silence_s=self._silence_s,
        )  # fmt: skip
        self._running[job.id] = process
        process.progressed.connect(self._on_progressed)
        process.ended.connect(self._on_ended)
        process.unwritten.connect(self.failed)
        process.memory_asked.connect(partial(self._on_memory_asked, job))
        process.memory_told.connect(partial(self.memory_told.emit, job.id))
        self.job_changed.emit(job)
        self._hub.announce(Changed.JOBS)
        process.start()

    def _on_memory_asked(self, job: Job, size_bytes: int, served: str) -> None:
        if self.on_memory_asked is not None:
            self.on_memory_asked(job, size_bytes, served)
        else:
            self.answer_memory(job.id, True)

    def answer_memory(self, job_id: str, granted: bool, words: str = "") -> None:
        """Let a job's worker take what it asked for, or say what it waits for."""
        if (process := self._running.get(job_id)) is not None:
            process.answer_memory(granted, words)

    @Slot(object, object, str, str, object)
    def _on_progressed(self, done: int, total: int, stage: str, message: str, left: float | None) -> None:
        sender = self.sender()
        if isinstance(sender, ProcessJob):
            self.progress.emit(sender.job.id, done, total, message or stage, left)

    @Slot(object)
    def _on_ended(self, job: Job) -> None:
        process = self._running.pop(job.id, None)
        if process is not None:
            process.deleteLater()
        log.info("job %s (%s) ended: %s", job.id, job.kind, job.status)
        self.job_changed.emit(job)
        self.finished.emit(job)
        self.kick()
        self._tell_if_idle()

    def _tell_if_idle(self) -> None:
        if not self.busy:
            self.idle.emit()
