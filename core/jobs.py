"""Jobs: states, the job table, the kinds, and what a worker's events do to them.

The table `jobs` owns execution; domain rows point to it. A job's worker never writes the database: the
window's process (or the command line) applies its events, each exactly once, by `last_seq`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson
from sqlite_utils import Database

from core.db.connection import new_id, now, transaction
from core.errors import AppError
from core.events import Changed
from core.registries import JOB_KINDS
from core.workspace.paths import Workspace


class JobState(StrEnum):
    """States of execution; the last four are final, though some can be resumed."""

    QUEUED = "queued"
    INITIALIZING = "initializing"
    RUNNING = "running"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def active(self) -> bool:
        """Queued or under way."""
        return self in (JobState.QUEUED, JobState.INITIALIZING, JobState.RUNNING)


UNDER_WAY = (JobState.INITIALIZING, JobState.RUNNING)
RESUMABLE = (JobState.PAUSED, JobState.INTERRUPTED, JobState.CANCELLED, JobState.FAILED)


@dataclass(frozen=True)
class Job:
    """One row of `jobs`."""

    id: str
    kind: str
    title: str
    status: JobState
    needs_gpu: bool
    resumable: bool
    page: str
    params: Mapping[str, Any]
    progress: float
    done: int
    total: int
    current_stage: str
    message: str
    result: Mapping[str, Any]
    error: AppError | None
    last_seq: int
    queued_at: str
    started_at: str | None
    finished_at: str | None

    @property
    def can_resume(self) -> bool:
        """Whether Resume may be offered."""
        return self.resumable and self.status in RESUMABLE


Apply = Callable[[Database, Workspace, Job, Mapping[str, Any]], Changed]
Hook = Callable[[Database, Workspace, Job], Changed]


def _no_change(_db: Database, _workspace: Workspace, _job: Job) -> Changed:
    return Changed.NOTHING


@dataclass(frozen=True)
class JobKind:
    """What the parent needs to know of a kind of job; its module must be light to import.

    `handler` is the dotted path of `run(context) -> result` in the worker. `apply` writes the rows of one of
    the kind's own `events` inside the transaction that also moves `last_seq`. `ended` is called in the same
    way after the final state was written.
    """

    name: str
    handler: str
    events: tuple[str, ...]
    apply: Apply
    worker: str = "data"
    needs_gpu: bool = False
    resumable: bool = False
    page: str = ""
    ended: Hook = field(default=_no_change)


def job_kind(name: str) -> JobKind:
    """The registered kind of that name."""
    kind: JobKind = JOB_KINDS.get(name)
    return kind


def from_row(row: Mapping[str, Any]) -> Job:
    """A row of `jobs` as a value."""
    error = orjson.loads(row["error"]) if row["error"] else None
    return Job(
        id=row["id"], kind=row["kind"], title=row["title"], status=JobState(row["status"]),
        needs_gpu=bool(row["needs_gpu"]), resumable=bool(row["resumable"]), page=row["page"],
        params=orjson.loads(row["params"]), progress=row["progress"], done=row["done"], total=row["total"],
        current_stage=row["current_stage"], message=row["message"],
        result=orjson.loads(row["result"]) if row["result"] else {},
        error=AppError.from_json(error) if error else None, last_seq=row["last_seq"],
        queued_at=row["queued_at"], started_at=row["started_at"], finished_at=row["finished_at"],
    )  # fmt: skip


def create(db: Database, kind_name: str, title: str, params: Mapping[str, Any], *, job_id: str | None = None) -> Job:
    """Queue a job. It starts when the queue gives it a slot."""
    kind = job_kind(kind_name)
    ident = job_id or new_id()
    with transaction(db):
        db.execute(
            "insert into jobs(id, kind, title, status, needs_gpu, resumable, page, params, queued_at)"
            " values(?, ?, ?, 'queued', ?, ?, ?, ?, ?)",
            [
                ident, kind.name, title, int(kind.needs_gpu), int(kind.resumable), kind.page,
                orjson.dumps(dict(params)).decode(), now(),
            ],
        )  # fmt: skip
    return get(db, ident)


def get(db: Database, job_id: str) -> Job:
    """One job. Raises AppError `no_such_job`."""
    row = db.execute("select * from jobs where id = ?", [job_id]).fetchone()
    if row is None:
        raise AppError("no_such_job", f"There is no job {job_id}.", hint="It may have been deleted; refresh the list.")
    return from_row(row)


def listing(db: Database, *, states: tuple[JobState, ...] = (), kind: str = "", limit: int = 200) -> list[Job]:
    """Newest first."""
    where, args = ["deleted_at is null"], []
    if states:
        where.append(f"status in ({','.join('?' * len(states))})")
        args += [str(s) for s in states]
    if kind:
        where.append("kind = ?")
        args.append(kind)
    sql = f"select * from jobs where {' and '.join(where)} order by queued_at desc, rowid desc limit {int(limit)}"
    return [from_row(row) for row in db.execute(sql, args).fetchall()]


def claim_next(db: Database, job_id: str = "") -> Job | None:
    """Take the oldest queued job (or that one) whose slot is free: one job with the GPU, one without, at a time."""
    with transaction(db):
        row = db.execute(
            "select * from jobs j where status = 'queued' and deleted_at is null and (?1 = '' or id = ?1)"
            " and not exists(select 1 from jobs r where r.status in ('initializing', 'running')"
            " and r.needs_gpu = j.needs_gpu) order by queued_at, rowid limit 1",
            [job_id],
        ).fetchone()
        if row is None:
            return None
        db.execute(
            "update jobs set status = 'initializing', started_at = coalesce(started_at, ?), finished_at = null,"
            " error = null, message = '' where id = ?",
            [now(), row["id"]],
        )
    return get(db, row["id"])


def requeue(db: Database, job_id: str) -> Job:
    """Put an interrupted, paused, failed or cancelled job back into the queue. Raises AppError `not_resumable`."""
    job = get(db, job_id)
    if db.execute("select 1 from jobs where id = ? and deleted_at is not null", [job_id]).fetchone():
        raise AppError(
            "in_the_trash", f"“{job.title}” is in the trash.", hint="Restore it first, then resume it.",
        )  # fmt: skip
    if not job.can_resume:
        raise AppError(
            "not_resumable",
            f"“{job.title}” can't be resumed: it is {job.status}.",
            hint="Only paused, interrupted, failed and stopped runs can be resumed.",
        )
    with transaction(db):
        db.execute("update jobs set status = 'queued', queued_at = ? where id = ?", [now(), job_id])
    return get(db, job_id)


def set_state(
    db: Database,
    job_id: str,
    state: JobState,
    *,
    error: AppError | None = None,
    result: Mapping[str, Any] | None = None,
) -> None:
    """Write a state; a final one gets its time."""
    finished = None if state.active else now()
    with transaction(db):
        db.execute(
            "update jobs set status = ?, error = ?, result = coalesce(?, result), finished_at = ?,"
            " progress = case when ? = 'completed' then 1.0 else progress end where id = ?",
            [
                str(state), orjson.dumps(error.to_json()).decode() if error else None,
                orjson.dumps(dict(result)).decode() if result is not None else None, finished, str(state), job_id,
            ],
        )  # fmt: skip


def set_progress(db: Database, job_id: str, done: int, total: int, stage: str, message: str) -> None:
    """Write how far a running job is; `total` 0 means unknown."""
    share = min(1.0, done / total) if total else 0.0
    with transaction(db):
        db.execute(
            "update jobs set status = 'running', done = ?, total = ?, progress = ?, current_stage = ?, message = ?"
            " where id = ? and status in ('initializing', 'running')",
            [done, total, share, stage, message, job_id],
        )
