"""What the window shows of enrichment: the stage reports of a conversation, and what would be enriched."""

from __future__ import annotations

import orjson

from core.db import Database
from core.enrichment.stage import Finding, StageReport
from core.registries import STAGES


def reports(db: Database, conversation_id: str) -> list[StageReport]:
    """The stored report of every stage that ran last time, in order."""
    rows = db.execute(
        "select * from enrichment_stages where conversation_id = ? order by position", [conversation_id]
    ).fetchall()
    return [
        StageReport(
            stage=row["stage"], title=_title(row["stage"]), position=row["position"], version=row["version"],
            status=row["status"], findings=tuple(Finding(**found) for found in orjson.loads(row["findings"])),
            duration_ms=row["duration_ms"], finished_at=row["finished_at"],
        )
        for row in rows
    ]  # fmt: skip


def _title(name: str) -> str:
    return str(STAGES.get(name).title) if name in STAGES.names() else name.replace("_", " ").capitalize()


def waiting(db: Database) -> list[str]:
    """Ids of the conversations that are not enriched yet or failed, oldest first."""
    rows = db.execute(
        "select id from conversations where deleted_at is null and enrichment_status in ('not_started', 'failed')"
        " order by created_at, id"
    ).fetchall()
    return [row["id"] for row in rows]
