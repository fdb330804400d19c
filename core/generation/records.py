"""What the events of a batch write: items, failures, money. Each event is applied once; a record's key is unique."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson

from core.conversations import store as conversations
from core.conversations import versions
from core.db import Database
from core.db.connection import now
from core.errors import AppError
from core.events import Changed
from core.jobs import Job, JobState
from core.workspace.paths import Workspace

_TOKENS = (
    "input_tokens", "output_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens",
    "thinking_tokens",
)  # fmt: skip
_JOB_STATES = {
    JobState.COMPLETED: "completed", JobState.FAILED: "failed", JobState.CANCELLED: "cancelled",
    JobState.QUEUED: "queued", JobState.PAUSED: "queued", JobState.INTERRUPTED: "queued",
}  # fmt: skip
# Written and paid for, and not put into its conversation: to write it again would change nothing.
NOT_APPLIED = "not_applied"
ITEM_STATES = ("queued", "processing", "completed", "failed")


def apply(db: Database, workspace: Workspace, batch: str, event: Mapping[str, Any]) -> Changed:
    """Write one event of the batch's worker."""
    if event["type"] == "conversation":
        return _conversation(db, workspace, batch, event)
    if event["type"] == "rewritten":
        return _rewritten(db, workspace, batch, event)
    return _HANDLERS[str(event["type"])](db, batch, event)


def ended(db: Database, job: Job) -> Changed:
    """The job came to an end: the batch's status follows, and what was under way is queued again."""
    status = _JOB_STATES.get(job.status, "processing")
    db.execute("update batch_jobs set status = ?, updated_at = ? where id = ?", [status, now(), job.id])
    db.execute("update batch_items set status = 'queued' where batch_job_id = ? and status = 'processing'", [job.id])
    return Changed.GENERATION


def _started(db: Database, batch: str, _event: Mapping[str, Any]) -> Changed:
    db.execute("update batch_jobs set status = 'processing', updated_at = ? where id = ?", [now(), batch])
    return Changed.GENERATION


def _asked(db: Database, _batch: str, event: Mapping[str, Any]) -> Changed:
    db.execute("update batch_items set status = 'processing', updated_at = ? where id = ?", [now(), event["item"]])
    return Changed.GENERATION


def _add(db: Database, table: str, ident: str, column: str, amount: str | None) -> None:
    if amount is None:
        return
    row = db.execute(f"select {column} from {table} where id = ?", [ident]).fetchone()
    if row is not None:
        total = str(Decimal(row[0]) + Decimal(amount))
        db.execute(f"update {table} set {column} = ? where id = ?", [total, ident])


def _record(db: Database, batch: str, event: Mapping[str, Any], outcome: str) -> bool:
    """Write a cost record; False when it is there already."""
    reply = event.get("reply") or {}
    usage = reply.get("usage") or event.get("usage") or {}
    row: dict[str, Any] = {
        "batch_job_id": batch, "record_key": f"{batch}/{event['record']}", "batch_item_id": event["item"],
        "provider": event["provider"], "model": reply.get("model") or event["model"], "outcome": outcome,
        "request_id": reply.get("request_id") or event.get("request_id", ""), "message_id": reply.get("message_id", ""),
        "remote_batch_id": event.get("batch_id", ""), "service_tier": usage.get("service_tier", ""),
        "inference_geo": usage.get("inference_geo", ""), "stop_reason": reply.get("stop_reason") or "",
        "usd": event["usd"], "most_usd": event.get("most_usd"), "price_date": event.get("price_date", ""),
        "created_at": event.get("at_text") or now(), **{name: usage.get(name) for name in _TOKENS},
    }  # fmt: skip
    return bool(db.execute(
        f"insert into cost_records({', '.join(row)}) values({', '.join('?' * len(row))})"
        " on conflict(record_key) do nothing", list(row.values()),
    ).rowcount)  # fmt: skip


def _reply(db: Database, batch: str, event: Mapping[str, Any]) -> Changed:
    if _record(db, batch, event, "reply"):
        _add(db, "batch_jobs", batch, "spent_usd", event["usd"])
        _add(db, "batch_jobs", batch, "saved_usd", event.get("saved_usd"))
        _add(db, "batch_items", event["item"], "cost_usd", event["usd"])
        unknown = int(event["usd"] is None)
        if unknown:
            _add(db, "batch_jobs", batch, "unsure_usd", event.get("most_usd"))
        db.execute(
            "update batch_jobs set requests = requests + 1, unknown_prices = unknown_prices + ?, updated_at = ?"
            " where id = ?", [unknown, now(), batch],
        )  # fmt: skip
    return Changed.GENERATION


def _lost(db: Database, batch: str, event: Mapping[str, Any]) -> Changed:
    if _record(db, batch, event, "lost"):
        _add(db, "batch_jobs", batch, "unsure_usd", event.get("most_usd"))
        db.execute("update batch_jobs set lost_requests = lost_requests + 1 where id = ?", [batch])
    return Changed.GENERATION


def _nothing(_db: Database, _batch: str, _event: Mapping[str, Any]) -> Changed:
    return Changed.NOTHING


def _turn(db: Database, _batch: str, event: Mapping[str, Any]) -> Changed:
    db.execute(
        "update batch_items set turns_done = ?, beats = ?, updated_at = ? where id = ?",
        [event["done"], orjson.dumps(event["beats"]).decode(), now(), event["item"]],
    )
    return Changed.GENERATION


def _conversation(db: Database, workspace: Workspace, batch: str, event: Mapping[str, Any]) -> Changed:
    row = dict(event["row"])
    there = db.execute("select 1 from prompt_templates where id = ?", [row.get("template_id")]).fetchone()
    row["template_id"] = row.get("template_id") if there else None
    if not conversations.insert(db, workspace, row):
        # It was paid for, so it is kept; review decides which of the two stays.
        row["content_hash"] = hashlib.sha256(f"{row['content_hash']} {row['id']}".encode()).hexdigest()
        row["import_notes"] = [*row["import_notes"], "Another conversation has exactly the same words."]
        conversations.insert(db, workspace, row)
    _complete(db, batch, event["item"], {
        "conversation_id": row["id"], "title": row["title"], "turns_done": row["turn_count"],
        "beats": orjson.dumps(event["beats"]).decode(),
    })  # fmt: skip
    return Changed.GENERATION | Changed.CONVERSATIONS


def _rewritten(db: Database, workspace: Workspace, batch: str, event: Mapping[str, Any]) -> Changed:
    """A turn in other words is a version of its conversation; where it can't be, the words stay with the failure."""
    try:
        versions.edit(db, workspace, event["conversation"], event["turn"], event["content"], event["before"])
    except AppError as error:
        told = AppError(
            error.code, f"{error.message} The words that came for turn {event['turn']} are kept with their batch.",
            hint="Copy them from there, or regenerate the turn.", action=f"page:generate/{batch}",
        )  # fmt: skip
        return _item_failed(db, batch, {
            **event, "failure": NOT_APPLIED, "error": told.to_json(), "category": "", "asked": {},
            "raw": event["content"], "transient": False,
        })  # fmt: skip
    _complete(db, batch, event["item"], {"turns_done": 1})
    return Changed.GENERATION | Changed.CONVERSATIONS


def _complete(db: Database, batch: str, item: str, values: Mapping[str, Any]) -> None:
    stamp = now()
    columns = ", ".join(f"{name} = ?" for name in values)
    done = db.execute(
        f"update batch_items set status = 'completed', {columns}, failure = '', message = '', updated_at = ?"
        " where id = ? and status <> 'completed'", [*values.values(), stamp, item],
    ).rowcount  # fmt: skip
    db.execute(
        "update failed_generations set resolved_at = ? where batch_item_id = ? and resolved_at is null", [stamp, item]
    )
    _count(db, batch, "completed_items", done)


def _count(db: Database, batch: str, column: str, by: int) -> None:
    db.execute(f"update batch_jobs set {column} = {column} + ?, updated_at = ? where id = ?", [by, now(), batch])


def _item_failed(db: Database, batch: str, event: Mapping[str, Any]) -> Changed:
    stamp, error = now(), event["error"]
    done = db.execute(
        "update batch_items set status = 'failed', failure = ?, message = ?, updated_at = ? where id = ?"
        " and status not in ('failed', 'completed')",
        [event["failure"], error["message"], stamp, event["item"]],
    ).rowcount
    db.execute(
        "insert into failed_generations(batch_job_id, batch_item_id, seq, kind, turn, category, error, asked, raw,"
        " transient, created_at) values(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict(batch_job_id, seq) do nothing",
        [
            batch, event["item"], event["seq"], event["failure"], event["turn"], event["category"],
            orjson.dumps(error).decode(), orjson.dumps(event["asked"]).decode(), event["raw"],
            int(event["transient"]), stamp,
        ],
    )  # fmt: skip
    _count(db, batch, "failed_items", done)
    return Changed.GENERATION


def _reopened(db: Database, batch: str, event: Mapping[str, Any]) -> Changed:
    wanted = orjson.dumps(event["items"]).decode()
    done = db.execute(
        "update batch_items set status = 'queued', failure = '', message = '', updated_at = ? where status = 'failed'"
        " and id in (select value from json_each(?))", [now(), wanted],
    ).rowcount  # fmt: skip
    _count(db, batch, "failed_items", -done)
    return Changed.GENERATION


def _notice(db: Database, batch: str, event: Mapping[str, Any]) -> Changed:
    return _append(db, batch, "notices", {"code": event["code"], "message": event["message"]})


def _append(db: Database, batch: str, column: str, value: Mapping[str, Any]) -> Changed:
    row = db.execute(f"select {column} from batch_jobs where id = ?", [batch]).fetchone()
    listed = orjson.loads(row[0]) if row else []
    if value not in listed:
        text = orjson.dumps([*listed, value]).decode()
        db.execute(f"update batch_jobs set {column} = ?, updated_at = ? where id = ?", [text, now(), batch])
    return Changed.GENERATION


def _remote(db: Database, batch: str, event: Mapping[str, Any]) -> Changed:
    """How the batches at the service stand: one entry a batch, by its number."""
    row = db.execute("select remote from batch_jobs where id = ?", [batch]).fetchone()
    listed = {entry["number"]: entry for entry in orjson.loads(row[0])} if row else {}
    entry = listed.setdefault(event["number"], {"number": event["number"]})
    entry |= {"state": event["type"].removeprefix("batch_")}
    entry |= {name: event[name] for name in ("batch_id", "counts", "at") if name in event}
    if "keys" in event:
        entry["requests"] = len(event["keys"])
    text = orjson.dumps(list(listed.values())).decode()
    db.execute("update batch_jobs set remote = ?, updated_at = ? where id = ?", [text, now(), batch])
    return Changed.GENERATION


_HANDLERS = {
    "started": _started, "asked": _asked, "reply": _reply, "lost": _lost, "rejected": _nothing, "turn": _turn,
    "item_failed": _item_failed, "reopened": _reopened, "notice": _notice,
    "batch_asked": _remote, "batch_created": _remote, "batch_status": _remote, "batch_cancel": _remote,
    "batch_ended": _remote,
}  # fmt: skip
