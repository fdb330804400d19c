"""Jobs: states, the job table, the kinds, and what a worker's events do to them.

The table `jobs` owns execution; domain rows point to it. A job's worker never writes the database: the
window's process (or the command line) applies its events, each exactly once, by `last_seq`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from core.db import Database
from core.db.connection import new_id, now, transaction
from core.errors import AppError
from core.events import Changed
from core.lanes import Lane
from core.registries import JOB_KINDS
from core.workspace import settings
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


ACTIVE = tuple(state for state in JobState if state.active)
UNDER_WAY = (JobState.INITIALIZING, JobState.RUNNING)
RESUMABLE = (JobState.PAUSED, JobState.INTERRUPTED, JobState.CANCELLED, JobState.FAILED)


@dataclass(frozen=True)
class Job:
    """One row of `jobs`."""

    id: str
    kind: str
    title: str
    status: JobState
    lane: Lane
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
    waits_for: tuple[str, ...]
    queued_at: str
    started_at: str | None
    finished_at: str | None

    @property
    def can_resume(self) -> bool:
        """Whether Resume may be offered; also for a job that never began because one it waited for failed."""
        never_began = self.error is not None and self.error.code == WAITED_IN_VAIN
        return (self.resumable or never_began) and self.status in RESUMABLE


WAITED_IN_VAIN = "waited_in_vain"

Apply = Callable[[Database, Workspace, Job, Mapping[str, Any]], Changed]
Hook = Callable[[Database, Workspace, Job], Changed]


def _no_change(_db: Database, _workspace: Workspace, _job: Job) -> Changed:
    return Changed.NOTHING


@dataclass(frozen=True)
class JobKind:
    """What the parent needs to know of a kind of job; its module must be light to import.

    `handler` is the dotted path of `run(context) -> result` in the worker. `apply` writes the rows of one of
    the kind's own `events` inside the transaction that also moves `last_seq`. `ended` is called in the same
    way after the final state was written. `counts` says that in, used, rejected and cut of its result are of interest.
    """

    name: str
    handler: str
    events: tuple[str, ...]
    apply: Apply
    worker: str = "data"
    lane: Lane = Lane.DATA
    resumable: bool = False
    page: str = ""
    counts: bool = False
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
        lane=Lane(row["lane"]), resumable=bool(row["resumable"]), page=row["page"],
        params=orjson.loads(row["params"]), progress=row["progress"], done=row["done"], total=row["total"],
        current_stage=row["current_stage"], message=row["message"],
        result=orjson.loads(row["result"]) if row["result"] else {},
        error=AppError.from_json(error) if error else None, last_seq=row["last_seq"],
        waits_for=tuple(orjson.loads(row["waits_for"])),
        queued_at=row["queued_at"], started_at=row["started_at"], finished_at=row["finished_at"],
    )  # fmt: skip


_LAST = "(select coalesce(max(position), 0) + 1 from jobs)"


def create(
    db: Database,
    kind_name: str,
    title: str,
    params: Mapping[str, Any],
    *,
    job_id: str | None = None,
    waits_for: Sequence[str] = (),
    key: str = "",
) -> Job:
    """Queue a job at the end of its lane. It starts when its turn comes and all jobs it waits for are completed.

    `key` names its inputs for `by_key`. Raises AppError `no_such_job` for one that is not there yet: no circle of
    jobs that wait for each other can come to be.
    """
    kind = job_kind(kind_name)
    for waited in waits_for:
        get(db, waited)
    ident = job_id or new_id()
    with transaction(db):
        db.execute(
            "insert into jobs(id, kind, title, status, lane, resumable, page, params, waits_for, key, queued_at,"
            f" position) values(?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?, {_LAST})",
            [
                ident, kind.name, title, str(kind.lane), int(kind.resumable), kind.page,
                orjson.dumps(dict(params)).decode(), orjson.dumps(list(waits_for)).decode(), key, now(),
            ],
        )  # fmt: skip
    return get(db, ident)


def key_of(*inputs: Any) -> str:
    """One hash of everything that goes into a job; `inputs` are JSON values."""
    return hashlib.sha256(orjson.dumps(inputs, option=orjson.OPT_SORT_KEYS)).hexdigest()


def by_key(db: Database, kind: str, key: str) -> list[Job]:
    """The jobs of a kind that these inputs went into, newest first."""
    sql = "select * from jobs where kind = ? and key = ? and deleted_at is null order by queued_at desc, rowid desc"
    return [from_row(row) for row in db.execute(sql, [kind, key]).fetchall()]


def restart(db: Database, job_id: str, params: Mapping[str, Any]) -> Job:
    """Queue a job again, in whatever state it ended; its worker finds what it had reported in the run's log."""
    with transaction(db):
        db.execute(
            f"update jobs set status = 'queued', error = null, params = ?, queued_at = ?, position = {_LAST}"
            " where id = ?", [orjson.dumps(dict(params)).decode(), now(), job_id],
        )  # fmt: skip
    return get(db, job_id)


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
    """Take the first queued job (or that one) whose lane is free and that waits for no other.

    One job a lane runs at a time; how many of the lane `network` do is the setting `network_jobs`.
    """
    with transaction(db):
        row = db.execute(
            "select * from jobs j where status = 'queued' and deleted_at is null and (?1 = '' or id = ?1)"
            " and (select count(*) from jobs r where r.status in ('initializing', 'running') and r.lane = j.lane)"
            " < case j.lane when 'network' then max(1, ?2) else 1 end"
            " and not exists(select 1 from json_each(j.waits_for) w left join jobs d on d.id = w.value"
            " where d.status is not 'completed') order by position, rowid limit 1",
            [job_id, int(settings.get(db, "network_jobs"))],
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
    """Put an interrupted, paused, failed or cancelled job back into the queue; one that is active stays as it is.

    Raises AppError `not_resumable`.
    """
    job = get(db, job_id)
    if job.status.active:
        # Asked twice.
        return job
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
        db.execute(
            f"update jobs set status = 'queued', error = null, queued_at = ?, position = {_LAST} where id = ?",
            [now(), job_id],
        )
    return get(db, job_id)


def give_up(db: Database, ids: Iterable[str]) -> Changed:
    """Jobs that rest are offered no more: another one does their work."""
    resting = ",".join(f"'{state}'" for state in RESUMABLE)
    with transaction(db):
        db.execute(
            f"update jobs set resumable = 0 where status in ({resting}) and id in (select value from json_each(?))",
            [orjson.dumps(list(ids)).decode()],
        )
    return Changed.JOBS


def those_paused(db: Database, ids: Iterable[str]) -> list[str]:
    """Those of the ids whose jobs are paused or interrupted, and not deleted."""
    rows = db.execute(
        "select id from jobs where status in ('paused', 'interrupted') and deleted_at is null"
        " and id in (select value from json_each(?)) order by queued_at, rowid",
        [orjson.dumps(list(ids)).decode()],
    ).fetchall()
    return [str(row["id"]) for row in rows]


def those_deleted(db: Database, ids: Iterable[str]) -> list[str]:
    """Those of the ids whose jobs are in the trash or gone for good."""
    rows = db.execute(
        "select w.value as id from json_each(?) w left join jobs j on j.id = w.value"
        " where j.id is null or j.deleted_at is not null",
        [orjson.dumps(list(ids)).decode()],
    ).fetchall()
    return [str(row["id"]) for row in rows]


def queued(db: Database) -> list[Job]:
    """Those that wait for their turn, in the order of their lanes."""
    sql = "select * from jobs where status = 'queued' and deleted_at is null order by lane, position, rowid"
    return [from_row(row) for row in db.execute(sql).fetchall()]


def titles(db: Database, ids: Iterable[str]) -> dict[str, str]:
    """The titles of these jobs, by id; those that are gone are missing."""
    sql = "select id, title from jobs where id in (select value from json_each(?))"
    return {row["id"]: row["title"] for row in db.execute(sql, [orjson.dumps(list(ids)).decode()])}


def move(db: Database, job_id: str, before: str | None) -> Job:
    """Put a queued job in front of another of its lane, or after all of them; what has begun meanwhile stays.

    Raises AppError `other_lane`.
    """
    with transaction(db):
        job = get(db, job_id)
        row = [found for found in queued(db) if found.lane is job.lane]
        ids = [found.id for found in row]
        if before is not None and before not in ids and get(db, before).lane is not job.lane:
            raise AppError(
                "other_lane", f"“{job.title}” can't be moved there: each lane has its own order.",
                hint="Move it within its own lane.",
            )  # fmt: skip
        if job_id in ids and before != job_id:
            ids.remove(job_id)
            ids.insert(ids.index(before) if before in ids else len(ids), job_id)
            places = sorted(r[0] for r in db.execute(
                "select position from jobs where id in (select value from json_each(?))", [orjson.dumps(ids).decode()]
            ))  # fmt: skip
            db.conn.executemany("update jobs set position = ? where id = ?", zip(places, ids, strict=True))
    return get(db, job_id)


def fail_waiting(db: Database) -> list[Job]:
    """Fail the queued jobs whose wait can't end: one they wait for failed, was stopped or deleted. Returns them."""
    failed: list[Job] = []
    with transaction(db):
        while rows := db.execute(
            "select j.id, d.title, d.status, d.deleted_at from jobs j, json_each(j.waits_for) w"
            " left join jobs d on d.id = w.value where j.status = 'queued' and j.deleted_at is null and (d.id is null"
            " or d.status in ('failed', 'cancelled') or (d.deleted_at is not null and d.status <> 'completed'))"
            " group by j.id"
        ).fetchall():
            for row in rows:
                set_state(db, row["id"], JobState.FAILED, error=_waited_in_vain(row))
                failed.append(get(db, row["id"]))
    return failed


def _waited_in_vain(row: Mapping[str, Any]) -> AppError:
    if row["title"] is None or row["deleted_at"]:
        how, hint = "was deleted", "Start this step again."
    else:
        how = "was stopped" if row["status"] == "cancelled" else "failed"
        hint = "Run that job again, then resume this one."
    name = f"“{row['title']}”" if row["title"] else "A job"
    return AppError(WAITED_IN_VAIN, f"{name}, which this job was waiting for, {how}.", hint=hint)


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
