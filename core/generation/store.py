"""Batches: listed, opened, started again; their items and failures. They are made by `core/generation/create.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import orjson

from core import jobs
from core.db import Database
from core.db.connection import now, transaction
from core.errors import AppError
from core.generation.create import no_such_batch
from core.generation.plan import PlanItem
from core.generation.records import NOT_APPLIED
from core.generation.settings import RunSettings
from core.jobs import Job

TRANSIENT, ALL = "transient", "all"


@dataclass(frozen=True)
class Batch:
    """One row of `batch_jobs` with its job. Money in USD; `unsure` may have been charged for replies that were lost."""

    id: str
    name: str
    job: Job
    total: int
    completed: int
    failed: int
    provider: str
    model: str
    mode: str
    settings: RunSettings
    spent: Decimal
    unsure: Decimal
    saved: Decimal
    requests: int
    lost_requests: int
    unknown_prices: int
    estimate: Mapping[str, Any] | None
    remote: Sequence[Mapping[str, Any]]
    notices: Sequence[Mapping[str, str]]
    created_at: str

    @property
    def not_reached(self) -> int:
        """Planned, and neither written nor failed."""
        return self.total - self.completed - self.failed


@dataclass(frozen=True)
class BatchItem:
    """One conversation of a batch. `beats` says turn by turn whether the beat was met (None: not known)."""

    id: str
    position: int
    plan: PlanItem
    status: str
    conversation_id: str | None
    title: str
    turns_done: int
    beats: Sequence[bool | None]
    failure: str
    message: str
    cost: Decimal


@dataclass(frozen=True)
class Failure:
    """One row of `failed_generations`: what was asked, what came, why it was not taken."""

    id: int
    item_id: str
    kind: str
    turn: int
    category: str
    error: AppError
    asked: Mapping[str, Any]
    raw: str
    transient: bool
    resolved_at: str | None
    created_at: str


def get_batch(db: Database, ident: str) -> Batch:
    """One batch. Raises AppError `no_such_batch`."""
    row = db.execute("select * from batch_jobs where id = ?", [ident]).fetchone()
    if row is None:
        raise no_such_batch()
    return _batch(db, row)


def list_batches(db: Database, limit: int = 200) -> list[Batch]:
    """Newest first, those in the trash left out."""
    sql = "select * from batch_jobs where deleted_at is null order by created_at desc, rowid desc limit ?"
    return [_batch(db, row) for row in db.execute(sql, [limit]).fetchall()]


def _batch(db: Database, row: Mapping[str, Any]) -> Batch:
    return Batch(
        id=row["id"], name=row["name"], job=jobs.get(db, row["id"]), total=row["total_items"],
        completed=row["completed_items"], failed=row["failed_items"], provider=row["provider"], model=row["model"],
        mode=row["mode"], settings=RunSettings.from_json(orjson.loads(row["settings"])),
        spent=Decimal(row["spent_usd"]), unsure=Decimal(row["unsure_usd"]), saved=Decimal(row["saved_usd"]),
        requests=row["requests"], lost_requests=row["lost_requests"], unknown_prices=row["unknown_prices"],
        estimate=orjson.loads(row["estimate"]) if row["estimate"] else None, remote=orjson.loads(row["remote"]),
        notices=orjson.loads(row["notices"]), created_at=row["created_at"],
    )  # fmt: skip


def items(db: Database, batch: str, *, status: str = "", limit: int = 200, offset: int = 0) -> list[BatchItem]:
    """A page of a batch's conversations in the order of the plan."""
    where = " and status = ?" if status else ""
    sql = f"select * from batch_items where batch_job_id = ?{where} order by position limit ? offset ?"
    rows = db.execute(sql, [batch, *([status] if status else []), limit, offset]).fetchall()
    return [
        BatchItem(
            row["id"], row["position"], PlanItem.from_json(orjson.loads(row["spec"])), row["status"],
            row["conversation_id"], row["title"], row["turns_done"], orjson.loads(row["beats"]), row["failure"],
            row["message"], Decimal(row["cost_usd"]),
        )
        for row in rows
    ]  # fmt: skip


def failures(db: Database, batch: str, *, unresolved: bool = True, item: str = "") -> list[Failure]:
    """What failed in a batch, newest first."""
    where = " and resolved_at is null" if unresolved else ""
    where += " and batch_item_id = ?" if item else ""
    sql = f"select * from failed_generations where batch_job_id = ?{where} order by seq desc limit 1000"
    return [
        Failure(
            row["id"], row["batch_item_id"], row["kind"], row["turn"], row["category"],
            AppError.from_json(orjson.loads(row["error"])), orjson.loads(row["asked"]), row["raw"],
            bool(row["transient"]), row["resolved_at"], row["created_at"],
        )
        for row in db.execute(sql, [batch, *([item] if item else [])]).fetchall()
    ]  # fmt: skip


def can_reopen(db: Database, batch: str, which: str | Sequence[str] = TRANSIENT) -> list[str]:
    """The failed items that a retry of that kind takes up again: `transient`, `all`, or those ids."""
    rows = db.execute(
        "select i.id, (select f.transient from failed_generations f where f.batch_item_id = i.id order by f.seq desc"
        " limit 1) as transient from batch_items i where i.batch_job_id = ? and i.status = 'failed'"
        " and i.failure <> ? order by i.position", [batch, NOT_APPLIED],
    ).fetchall()  # fmt: skip
    if which == TRANSIENT:
        return [row["id"] for row in rows if row["transient"]]
    return [row["id"] for row in rows if which == ALL or row["id"] in which]


def retry(db: Database, batch: str, which: str | Sequence[str] = ALL, *, max_cost_usd: str | None = "keep") -> Job:
    """Queue the batch again, failed conversations included; each continues with the request that failed.

    Costs what failed and no more. Raises AppError `job_active`.
    """
    job = jobs.get(db, batch)
    if job.status.active:
        raise AppError("job_active", f"“{job.title}” is under way.", hint="Wait until it is done, or stop it first.")
    if max_cost_usd != "keep":
        set_cap(db, batch, max_cost_usd)
    wanted = can_reopen(db, batch, which)
    params = {**job.params}
    if wanted:
        params |= {"round": int(params.get("round", 0)) + 1, "reopen": wanted}
    return jobs.restart(db, batch, params)


def set_cap(db: Database, batch: str, max_cost_usd: str | None) -> None:
    """Another cap for what is still to come; None for no cap."""
    put_settings(db, batch, replace(get_batch(db, batch).settings, max_cost_usd=max_cost_usd))


def put_settings(db: Database, batch: str, settings: RunSettings) -> None:
    """Other settings for what is still to come."""
    with transaction(db):
        text = orjson.dumps(settings.to_json()).decode()
        db.execute("update batch_jobs set settings = ?, updated_at = ? where id = ?", [text, now(), batch])
