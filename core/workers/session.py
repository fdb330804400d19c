"""The parent's side of one job's worker, without Qt: spec, command line, applying events, the final state."""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import jobs, registries
from core.db import Database
from core.db.connection import explain, transaction
from core.errors import AppError
from core.events import Changed
from core.jobs import Job, JobState
from core.lanes import ALLOWANCES, Lane
from core.workers import protocol
from core.workspace.files import write_json
from core.workspace.lock import FileLock
from core.workspace.paths import Workspace, source_root

LOG_TAIL = 200
log = logging.getLogger(__name__)


def worker_command(*args: str) -> list[str]:
    """How this program is started as a worker, from source or frozen."""
    if getattr(sys, "frozen", False):
        return [sys.executable, "--worker", *args]
    return [sys.executable, "-m", "app", "--worker", *args]


def worker_environment(lane: Lane | None = None) -> dict[str, str]:
    """The worker's environment: the source root importable, no network look-ups by libraries, the lane's threads."""
    env = dict(os.environ)
    if not getattr(sys, "frozen", False):
        paths = [str(source_root()), *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
        env["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    env |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    env["PYTHONUNBUFFERED"] = "1"
    return env | (ALLOWANCES[lane].environment() if lane else {})


def run_folder(workspace: Workspace, job_id: str) -> Path:
    """Where a job's spec, events, lock and log are."""
    return workspace.runs / job_id


def prepare_run(workspace: Workspace, job: Job) -> list[str]:
    """Write the spec file and return the command that starts the worker. A second start resumes."""
    kind = jobs.job_kind(job.kind)
    folder = run_folder(workspace, job.id)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(
        folder / "spec.json",
        {
            "job_id": job.id, "kind": job.kind, "handler": kind.handler, "params": job.params,
            "workspace": str(workspace.root.resolve()), "registries": registries.snapshot(), "last_seq": job.last_seq,
            "nice": ALLOWANCES[job.lane].nice, "memory_bytes": ALLOWANCES[job.lane].memory_bytes,
        },
    )  # fmt: skip
    return worker_command(kind.worker, str(folder))


class JobSession:
    """Applies one job's events to the database; lives on the thread that writes."""

    def __init__(self, workspace: Workspace, job: Job) -> None:
        self.workspace = workspace
        self.job_id = job.id
        self.kind = jobs.job_kind(job.kind)
        self.final: Mapping[str, Any] | None = None
        self.error: AppError | None = None

    def apply(self, db: Database, messages: Iterable[Mapping[str, Any]]) -> Changed:
        """Apply a batch in one transaction; events applied before (`seq` <= `last_seq`) are passed over.

        `last_seq` moves past a final event with the state that it makes: until then a replay has to find it again.
        """
        changed = Changed.NOTHING
        progress: Mapping[str, Any] | None = None
        with transaction(db):
            job = jobs.get(db, self.job_id)
            last = job.last_seq
            for message in messages:
                kind = str(message["type"])
                if kind == "progress":
                    progress = message
                    continue
                if kind == "error":
                    self.error = AppError.from_json(message["error"])
                    continue
                if kind in protocol.TRANSIENT:
                    continue
                if int(message["seq"]) <= last:
                    continue
                if kind in protocol.FINAL:
                    self.final = message
                    continue
                self.final = None
                last = int(message["seq"])
                changed |= self._apply_one(db, job, message)
            db.execute("update jobs set last_seq = ? where id = ?", [last, self.job_id])
            if progress is not None:
                jobs.set_progress(
                    db, self.job_id, int(progress["done"]), int(progress["total"]),
                    str(progress["stage"]), str(progress["message"]),
                )  # fmt: skip
                changed |= Changed.JOBS
        return changed

    def _apply_one(self, db: Database, job: Job, message: Mapping[str, Any]) -> Changed:
        kind = str(message["type"])
        if kind not in self.kind.events:
            self.error = protocol.protocol_error(f"the unknown event {kind!r}")
            return Changed.NOTHING
        return self.kind.apply(db, self.workspace, job, message)

    def finish(self, db: Database, exit_text: str, log_tail: str = "") -> Changed:
        """Write the final state once the worker has ended, and what it logged and could not send.

        `exit_text` says how it ended, for a crash. `final` set before applies where the log has no final event.
        """
        given, self.final = self.final, None
        try:
            # An end of the caller's making has no number; the log may hold the worker's own.
            if given is None or "seq" not in given or self._log_is_ahead(db):
                self.replay(db)
            self.final = self.final or given
        except (sqlite3.OperationalError, OSError):
            # A full disk: the caller tries again, or the next start does.
            self.final = given
            raise
        except Exception as exc:
            log.exception("the events of job %s can't be applied", self.job_id)
            error = explain(exc, traceback.format_exc())
            self.final = {"type": "failed", "error": error.to_json()}
        with transaction(db):
            self._write_final(db, exit_text, log_tail)
            return Changed.JOBS | self.kind.ended(db, self.workspace, jobs.get(db, self.job_id))

    def _write_final(self, db: Database, exit_text: str, log_tail: str) -> None:
        final = self.final or {}
        kind = final.get("type")
        if kind == "done":
            jobs.set_state(db, self.job_id, JobState.COMPLETED, result=final["result"])
        elif kind == "failed":
            jobs.set_state(db, self.job_id, JobState.FAILED, error=AppError.from_json(final["error"]))
        elif kind == "stopped":
            states = {"user": JobState.CANCELLED, "pause": JobState.PAUSED}
            jobs.set_state(db, self.job_id, states.get(str(final["reason"]), JobState.INTERRUPTED))
        else:
            state = JobState.INTERRUPTED if self.kind.resumable else JobState.FAILED
            jobs.set_state(db, self.job_id, state, error=self.error or self._crash(exit_text, log_tail))
        # Or the next attempt would take this end for its own.
        db.execute(
            "update jobs set last_seq = max(last_seq, ?) where id = ?", [int(final.get("seq", 0)), self.job_id]
        )  # fmt: skip

    def _crash(self, exit_text: str, log_tail: str) -> AppError:
        return AppError(
            "worker_crashed",
            f"The worker ended unexpectedly ({exit_text}).",
            hint="Resume it to continue where it stopped. Everything reported so far is kept."
            if self.kind.resumable
            else "Start the step again. Everything reported so far is kept.",
            detail=log_tail,
        )

    @property
    def _log(self) -> Path:
        return run_folder(self.workspace, self.job_id) / "events.jsonl"

    def _log_is_ahead(self, db: Database) -> bool:
        return protocol.last_seq(self._log) > jobs.get(db, self.job_id).last_seq

    def begin(self, db: Database) -> Changed:
        """Before the worker starts: apply what the log holds; an end that is in it was an earlier attempt's."""
        changed = self.replay(db)
        self.final, self.error = None, None
        return changed

    def replay(self, db: Database) -> Changed:
        """Apply what the log holds beyond `last_seq`."""
        if not self._log.exists():
            return Changed.NOTHING
        return self.apply(db, (message for message, _ in protocol.read_events(self._log)))


@dataclass(frozen=True)
class Recovered:
    """`jobs` were under way; `whole`: every event that was logged is written, so what no row names is left over."""

    jobs: list[Job]
    whole: bool


def recover(db: Database, workspace: Workspace, wait_s: float = 5.0) -> Recovered:
    """After a crash: replay the events of every run that was under way and write how it ended.

    Runs before anything is queued. A worker that outlived its parent notices the end of stdin and leaves;
    its lock is awaited for up to `wait_s` seconds, and a resume replays once more.
    """
    touched, whole = [], True
    for job in jobs.listing(db, states=jobs.UNDER_WAY, limit=10_000):
        session = JobSession(workspace, job)
        folder = run_folder(workspace, job.id)
        if folder.exists():
            lock = FileLock(folder / "lock")
            if lock.acquire(wait_s):
                lock.release()
            else:
                # It may still report what it makes; nothing of that is left over.
                whole = False
        try:
            session.finish(db, "Bright Run ended while the job was running")
        except Exception as exc:
            # One run whose events can't be applied must not keep the workspace from opening.
            error = explain(exc, traceback.format_exc())
            # What is expected, as a full disk, needs no traceback.
            unexpected = error.code == "internal_error"
            log.error("job %s could not be recovered: %s", job.id, error.message, exc_info=unexpected)
            jobs.set_state(db, job.id, JobState.FAILED, error=error)
        touched.append(jobs.get(db, job.id))
    # Jobs that ended may have logged more than was written then; a completed one was written to its end.
    for row in db.execute("select id from jobs where status <> 'completed'").fetchall():
        session = JobSession(workspace, jobs.get(db, row["id"]))
        try:
            if session._log_is_ahead(db):
                session.replay(db)
        except Exception:
            log.exception("the events of job %s could not be written", row["id"])
            whole = False
    return Recovered(touched, whole)
