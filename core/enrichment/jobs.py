"""The job kind "enrich": what its events write. Light: the window imports it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from core.db import Database
from core.db.connection import now, transaction
from core.events import Changed
from core.jobs import Job, JobKind
from core.workspace.paths import Workspace

_SCAFFOLDING = {"persona_id": "personas", "emotional_arc_id": "emotional_arcs", "training_topic_id": "training_topics"}
_PLAIN = (
    "persona_key", "emotional_arc_key", "training_topic_key", "tier", "quality_score", "enriched_file_path",
)  # fmt: skip


def apply(db: Database, workspace: Workspace, job: Job, event: Mapping[str, Any]) -> Changed:
    """Write the rows of one event: "stage" (a conversation begins), "enriched", "enrich_failed"."""
    ident = str(event["conversation_id"])
    with transaction(db):
        if event["type"] == "stage":
            _begin(db, ident)
        elif _may_write(db, ident, event):
            _write_reports(db, ident, event["reports"])
            if event["type"] == "enriched":
                _succeed(db, ident, event)
            else:
                _fail(db, ident, event)
    return Changed.CONVERSATIONS


def _may_write(db: Database, ident: str, event: Mapping[str, Any]) -> bool:
    """Not for a conversation that is purged, nor the failure of one that was trashed before its turn came."""
    row = db.execute("select deleted_at from conversations where id = ?", [ident]).fetchone()
    return row is not None and not (row["deleted_at"] and event["type"] == "enrich_failed")


def ended(db: Database, workspace: Workspace, job: Job) -> Changed:
    """Conversations of this job that were under way when it ended are what they were before."""
    ids = [str(ident) for ident in job.params.get("conversation_ids", [])]
    with transaction(db):
        for start in range(0, len(ids), 500):
            part = ids[start : start + 500]
            db.execute(
                "update conversations set enrichment_status = case when failed_stage is not null then 'failed'"
                " when coalesce(enriched_file_path, '') <> '' then 'completed' else 'not_started' end, updated_at = ?"
                f" where enrichment_status = 'enrichment_in_progress' and id in ({','.join('?' * len(part))})",
                [now(), *part],
            )
    return Changed.CONVERSATIONS


def _begin(db: Database, ident: str) -> None:
    db.execute(
        "update conversations set enrichment_status = 'enrichment_in_progress', updated_at = ?"
        " where id = ? and deleted_at is null",
        [now(), ident],
    )


def _write_reports(db: Database, ident: str, reports: list[Mapping[str, Any]]) -> None:
    db.execute("delete from enrichment_stages where conversation_id = ?", [ident])
    for report in reports:
        db.execute(
            "insert into enrichment_stages(conversation_id, stage, position, status, findings, duration_ms, version,"
            " finished_at) values(?, ?, ?, ?, ?, ?, ?, ?)",
            [
                ident, report["stage"], report["position"], report["status"],
                orjson.dumps(report["findings"]).decode(), report["duration_ms"], report["version"],
                report["finished_at"],
            ],
        )  # fmt: skip


def _succeed(db: Database, ident: str, event: Mapping[str, Any]) -> None:
    columns = event["columns"]
    row = db.execute("select source_ids, content_hash from conversations where id = ?", [ident]).fetchone()
    source = event.get("content_hash") or row["content_hash"]
    stamp = now()
    values: dict[str, Any] = {name: columns[name] for name in _PLAIN if name in columns}
    values |= {
        "source_ids": orjson.dumps(orjson.loads(row["source_ids"]) | columns.get("source_ids", {})).decode(),
        "quality_criteria": orjson.dumps(columns.get("quality_criteria", {})).decode(),
        "warning_count": event["warnings"], "enrichment_status": "completed", "failed_stage": None,
        "enrichment_error": None, "enriched_at": stamp, "updated_at": stamp,
        "enriched_hash": source,
    }  # fmt: skip
    if source != row["content_hash"]:
        # It was edited after the worker had read it: what came out is of the earlier words.
        values |= {"enrichment_status": "not_started", "enriched_file_path": None}
    sets = [f"{name} = ?" for name in values]
    args = list(values.values())
    for name, table in _SCAFFOLDING.items():
        # A subquery: an entry purged while the job ran leaves null, not a broken reference.
        sets.append(f"{name} = (select id from {table} where id = ?)")
        args.append(columns.get(name))
    sets.append("status = case when status = 'draft' then 'needs_review' else status end")
    db.execute(f"update conversations set {', '.join(sets)} where id = ?", [*args, ident])


def _fail(db: Database, ident: str, event: Mapping[str, Any]) -> None:
    db.execute(
        "update conversations set enrichment_status = 'failed', failed_stage = ?, enrichment_error = ?,"
        " warning_count = ?, updated_at = ? where id = ?",
        [event["failed_stage"], orjson.dumps(event["error"]).decode(), event["warnings"], now(), ident],
    )


ENRICH = JobKind(
    name="enrich",
    handler="core.enrichment.work:run",
    events=("stage", "enriched", "enrich_failed"),
    apply=apply,
    page="conversations",
    counts=True,
    ended=ended,
)
