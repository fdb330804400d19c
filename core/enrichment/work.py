"""The worker's side of "enrich": the pipeline over every conversation of the job."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from core.db import Database
from core.enrichment import library
from core.enrichment.pipeline import Result, run_conversation
from core.errors import AppError
from core.workers.host import JobContext

_COLUMNS = (
    "id, conversation_id, title, raw_response_path, file_path, human_reviewed, reviewer_notes, created_at, content_hash"
)  # fmt: skip
_PROGRESS_S = 0.1


def run(ctx: JobContext) -> dict[str, Any]:
    """Enrich `conversation_ids`; a conversation that fails is counted as rejected and does not stop the others."""
    ids = list(dict.fromkeys(str(ident) for ident in ctx.params["conversation_ids"]))
    used = rejected = 0
    reported = 0.0
    with contextlib.closing(ctx.open_db()) as db:
        scaffolding = library.load(db)
        for index, ident in enumerate(ids):
            ctx.token.raise_if_cancelled()
            row = _row(db, ident)
            title = row["title"] if row else ""
            if time.monotonic() - reported >= _PROGRESS_S:
                reported = time.monotonic()
                ctx.progress(index, len(ids), "enrich", title)
            ctx.emit("stage", conversation_id=ident)
            result = run_conversation(ctx.workspace, row, scaffolding, ctx.token) if row else _gone(ident)
            _emit(ctx, result, row["content_hash"] if row else "")
            used += result.error is None
            rejected += result.error is not None
    ctx.progress(len(ids), len(ids), "enrich")
    return {"in": len(ids), "used": used, "rejected": rejected, "cut": 0}


def _row(db: Database, ident: str) -> dict[str, Any] | None:
    row = db.execute(f"select {_COLUMNS} from conversations where id = ? and deleted_at is null", [ident]).fetchone()
    return dict(row) if row else None


def _gone(ident: str) -> Result:
    error = AppError(
        "no_such_conversation",
        f"There is no conversation {ident}; it was deleted after the job was queued.",
        hint="Restore it from the trash and enrich it again.",
    )
    return Result(ident, (), {}, "fetch", error)


def _emit(ctx: JobContext, result: Result, content_hash: str) -> None:
    common = {
        "conversation_id": result.conversation_id, "warnings": result.warnings,
        "reports": [report.to_json() for report in result.reports], "resumed_at": result.resumed_at,
        "content_hash": content_hash,
    }  # fmt: skip
    if result.error is None:
        ctx.emit("enriched", columns=dict(result.columns), **common)
    else:
        ctx.emit("enrich_failed", failed_stage=result.failed_stage, error=result.error.to_json(), **common)
