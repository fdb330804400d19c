"""One job's worker process: started, read, stopped; its events are applied on the serial lane."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QProcess, QTimer, Signal, Slot

from app.changes import ChangeHub
from app.jobs.tasks import TaskRunner
from app.jobs.time_left import TimeLeft
from app.worker_process import set_up
from core import jobs
from core.db.connection import Connections, explain
from core.errors import AppError
from core.events import Changed
from core.jobs import Job, JobState
from core.workers import protocol
from core.workers.session import LOG_TAIL, JobSession, prepare_run, run_folder
from core.workspace.paths import Workspace

log = logging.getLogger(__name__)
BATCH_MS = 100
GRACE_MS = 10_000
TAIL_BYTES = 64 * 1024
RETRY_MS = 3_000


@dataclass(frozen=True)
class _Applied:
    changed: Changed
    progress: Mapping[str, Any] | None
    memory: Sequence[Mapping[str, Any]]


class ProcessJob(QObject):
    """Lives in the GUI thread; never blocks it. Exactly one `ended(Job)`, after the process is gone.

    `unwritten(AppError)`: the end could not be written, as on a full disk; it is tried again until it can.
    `progressed(done, total, stage, message, seconds_left | None)` comes at most every 100 ms.
    `memory_asked(bytes, model)` waits for `answer_memory`; `memory_told(bytes)` is what the worker has.
    """

    started = Signal(object)
    progressed = Signal(object, object, str, str, object)
    ended = Signal(object)
    unwritten = Signal(object)
    memory_asked = Signal(object, str)
    memory_told = Signal(object)

    def __init__(
        self,
        job: Job,
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
        self.job = job
        self._workspace, self._connections, self._tasks, self._hub = workspace, connections, tasks, hub
        self._session: JobSession | None = None
        self._time_left = TimeLeft()
        self._rest = b""
        self._lines: list[bytes] = []
        self._applying = False
        self._exit_text = ""
        self._gone = False
        self._launched = False
        self._asked = ""
        self._error: AppError | None = None
        self._log_from = 0
        self._silence_s = silence_s
        self._heard = time.monotonic()
        self._process = QProcess(self)
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.finished.connect(self._on_finished)
        self._process.errorOccurred.connect(self._on_error)
        self._batch = self._timer(BATCH_MS, self._flush, single=True)
        self._killer = self._timer(grace_ms, self._process.kill, single=True)
        self._retry = self._timer(RETRY_MS, lambda: self._end_on_lane(self._exit_text), single=True)
        self._told = False
        self._watch = self._timer(max(50, min(2000, int(silence_s * 250))), self._check_silence)

    def _timer(self, interval_ms: int, slot: Any, *, single: bool = False) -> QTimer:
        timer = QTimer(self)
        timer.setInterval(interval_ms)
        timer.setSingleShot(single)
        timer.timeout.connect(slot)
        return timer

    @property
    def pid(self) -> int:
        """The worker's process id, 0 before it runs."""
        return int(self._process.processId())

    @property
    def stopping(self) -> bool:
        """Whether it was asked to end."""
        return bool(self._asked)

    def start(self) -> None:
        """Replay what an earlier run reported, write the spec, start the worker."""
        self._tasks.run(self, self._prepare, self._launch, self._on_not_prepared, serial=True)

    def stop(self) -> None:
        """Ask the worker to stop; killed after the grace period. Never blocks."""
        self._ask("user")

    def pause(self) -> None:
        """Ask the worker to checkpoint and leave; the job can be resumed."""
        self._ask("pause")

    def answer_memory(self, granted: bool, words: str = "") -> None:
        """Let the worker take what it asked for, or say what it waits for."""
        if self._process.state() == QProcess.ProcessState.Running:
            self._process.write(protocol.encode(self.job.id, "memory", {"granted": granted, "words": words}))

    def close(self) -> None:
        """Close its stdin: checkpoint and exit, to be resumed at the next start."""
        self._ask("orphan")

    def _ask(self, reason: str) -> None:
        stop_after_pause = self._asked == "pause" and reason == "user"
        if self._asked and reason != "orphan" and not stop_after_pause:
            return
        self._asked = reason if not self._asked or stop_after_pause else self._asked
        if reason == "orphan" and self._retry.isActive():
            # The next start finds it under way, and writes its end.
            self._retry.stop()
            self.ended.emit(self.job)
        if self._process.state() == QProcess.ProcessState.Running:
            self._tell(reason)

    def _tell(self, reason: str) -> None:
        if reason == "orphan":
            self._process.closeWriteChannel()
        else:
            self._process.write(protocol.encode(self.job.id, "stop" if reason == "user" else "pause", {}))
        if not self._killer.isActive():
            self._killer.start()

    # Preparation, on the serial lane

    def _prepare(self) -> tuple[list[str], Changed]:
        db = self._connections.db
        session = JobSession(self._workspace, self.job)
        changed = session.begin(db)
        command = prepare_run(self._workspace, jobs.get(db, self.job.id))
        self._session = session
        log_path = self._log_path()
        self._log_from = log_path.stat().st_size if log_path.exists() else 0
        return command, changed

    def _log_path(self) -> Path:
        return run_folder(self._workspace, self.job.id) / "worker.log"

    def _launch(self, prepared: tuple[list[str], Changed]) -> None:
        command, changed = prepared
        self._hub.announce(changed)
        if self._asked:
            self._end_on_lane("it was stopped before it started")
            return
        self._launched = True
        set_up(self._process, self._log_path(), self.job.lane)
        self._process.started.connect(self._on_started)
        self._process.start(command[0], command[1:])

    @Slot()
    def _on_started(self) -> None:
        self._heard = time.monotonic()
        self._watch.start()
        self.started.emit(self.job)
        if self._asked:
            self._tell(self._asked)

    def _on_not_prepared(self, exc: Exception) -> None:
        self._error = explain(exc)
        self._end_on_lane("it could not be prepared")

    # Reading

    @Slot()
    def _read(self) -> None:
        data = bytes(self._process.readAllStandardOutput().data())
        if not data:
            return
        self._heard = time.monotonic()
        if b"\n" not in data:
            self._rest += data
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._lines.extend(lines)
        if not self._batch.isActive() and not self._applying:
            self._batch.start()

    @Slot()
    def _flush(self) -> None:
        if self._applying or (not self._lines and not self._gone):
            return
        if not self._lines:
            self._end_on_lane(self._exit_text)
            return
        lines, self._lines = self._lines, []
        self._applying = True
        self._tasks.run(self, lambda: self._apply(lines), self._on_applied, self._on_apply_failed, serial=True)

    def _apply(self, lines: list[bytes]) -> _Applied:
        assert self._session is not None
        messages = []
        for line in lines:
            try:
                messages.append(protocol.decode(line))
            except AppError as error:
                self._session.error = error
        progress = next((m for m in reversed(messages) if m["type"] == "progress"), None)
        memory = [m for m in messages if m["type"] == "memory"]
        return _Applied(self._session.apply(self._connections.db, messages), progress, memory)

    def _on_applied(self, applied: _Applied) -> None:
        self._applying = False
        if applied.progress is not None:
            done, total = int(applied.progress["done"]), int(applied.progress["total"])
            stage, message = str(applied.progress["stage"]), str(applied.progress["message"])
            self.progressed.emit(done, total, stage, message, self._time_left.update(done, total, stage))
        self._hub.announce(applied.changed)
        for told in applied.memory:
            if "asks" in told:
                self.memory_asked.emit(int(told["asks"]), str(told.get("served", "")))
            else:
                self.memory_told.emit(int(told["holds"]))
        if self._gone:
            self._flush()
        elif self._lines and not self._batch.isActive():
            self._batch.start()

    def _on_apply_failed(self, exc: Exception) -> None:
        log.error("events of job %s could not be applied", self.job.id, exc_info=exc)
        self._applying = False
        self._lines.clear()
        self._error = self._error or explain(exc)
        if self._gone:
            self._flush()
        else:
            self._process.kill()

    @Slot()
    def _check_silence(self) -> None:
        self._read()
        if time.monotonic() - self._heard < self._silence_s or self._asked:
            return
        self._error = AppError(
            "worker_silent",
            f"The worker of “{self.job.title}” did not respond for {self._silence_s:g} s and was stopped.",
            hint="Resume it, or start the step again. Everything reported so far is kept.",
        )
        self._watch.stop()
        self._process.kill()

    # The end

    @Slot(QProcess.ProcessError)
    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._error = AppError(
                "worker_not_started",
                f"The background worker could not be started ({self._process.errorString()}).",
                hint="Check that the installation of Bright Run is complete, then start the step again.",
            )
            self._end_on_lane("it did not start")

    @Slot(int, QProcess.ExitStatus)
    def _on_finished(self, code: int, status: QProcess.ExitStatus) -> None:
        self._killer.stop()
        self._watch.stop()
        self._read()
        crashed = status == QProcess.ExitStatus.CrashExit
        self._exit_text = f"signal {code}" if crashed else f"exit code {code}"
        self._gone = True
        self._batch.stop()
        self._flush()

    def _end_on_lane(self, exit_text: str) -> None:
        self._exit_text = exit_text
        self._tasks.run(self, lambda: self._finish(exit_text), self._on_ended, self._on_end_failed, serial=True)

    def _finish(self, exit_text: str) -> tuple[Job, Changed]:
        db = self._connections.db
        session = self._session
        if session is None:
            jobs.set_state(db, self.job.id, JobState.FAILED, error=self._error)
            return jobs.get(db, self.job.id), Changed.JOBS
        if self._asked == "orphan" and not self._launched:
            jobs.set_state(db, self.job.id, JobState.QUEUED)
            return jobs.get(db, self.job.id), Changed.JOBS
        if self._error is not None:
            session.final, session.error = None, self._error
        elif session.final is None and self._asked:
            # It had to be killed, or never began: the user's word counts, not how the process went.
            session.final = {"type": "stopped", "reason": self._asked}
        elif session.final and session.final.get("reason") == "pause" and self._asked == "user":
            # Stopped while it was about to pause.
            session.final = {**session.final, "reason": "user"}
        changed = session.finish(db, exit_text, self._log_tail())
        return jobs.get(db, self.job.id), changed

    def _log_tail(self) -> str:
        with contextlib.suppress(OSError), self._log_path().open("rb") as handle:
            size = handle.seek(0, os.SEEK_END)
            handle.seek(max(self._log_from, size - TAIL_BYTES))
            return "\n".join(handle.read().decode("utf-8", "replace").splitlines()[-LOG_TAIL:])
        return ""

    def _on_ended(self, outcome: tuple[Job, Changed]) -> None:
        self.job, changed = outcome
        self.ended.emit(self.job)
        self._hub.announce(changed)

    def _on_end_failed(self, exc: Exception) -> None:
        log.error("the end of job %s could not be written", self.job.id, exc_info=exc)
        if not self._told:
            self._told = True
            self.unwritten.emit(explain(exc))
        if self._asked == "orphan":
            self.ended.emit(self.job)
        else:
            self._retry.start()
