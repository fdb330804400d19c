"""The worker's side of "build_training_file": one new version folder, complete or not there."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.db import Database
from core.db.connection import new_id
from core.errors import AppError
from core.registries import EXPORT_FORMATS
from core.training_files import store
from core.training_files.aggregate import Aggregation, Member, read_lines
from core.training_files.exports import ExportFormat, TrainingData
from core.workers.host import JobContext
from core.workers.protocol import read_events
from core.workspace import settings
from core.workspace.files import new_folder

JSON_NAME, JSONL_NAME = "training.json", "training.jsonl"
_PROGRESS_S = 0.1


@dataclass(frozen=True)
class _Plan:
    """What is to be built."""

    ident: str
    name: str
    description: str
    version: int
    members: list[Member]
    added: list[str]
    vertical: str


def run(ctx: JobContext) -> dict[str, Any]:
    """Build the version and report it.

    `in` counts pairs; `cut` are those without an answer: they are in both files, but nothing learns from them.
    """
    with contextlib.closing(ctx.open_db()) as db:
        if built := _built_before(ctx, db):
            return built
        plan = _plan(db, ctx.params)
    final = ctx.workspace.training_files / plan.ident / f"v{plan.version}"
    if final.exists():
        # Left by a build whose end was never recorded; the database does not name it.
        shutil.rmtree(final)
    aggregation = Aggregation(ctx.workspace, plan.name, plan.vertical, ctx.token)
    with new_folder(final) as folder:
        _write(ctx, plan, aggregation, folder)
    totals = aggregation.totals
    result = {
        "training_file_id": plan.ident, "version": plan.version, "in": totals.pairs,
        "used": totals.pairs - totals.without_answer, "rejected": 0, "cut": totals.without_answer,
        "mixed_profiles": aggregation.mixed_profiles,
    }  # fmt: skip
    ctx.emit("training_file", **_event(ctx, plan, aggregation, final), result=result)
    ctx.sync()
    return result


def _built_before(ctx: JobContext, db: Database) -> dict[str, Any] | None:
    """The result of an earlier attempt at this job that was interrupted after its version."""
    log = ctx.run_dir / "events.jsonl"
    for event, _ in read_events(log) if log.exists() else ():
        if event["type"] == "training_file" and "result" in event:
            result: dict[str, Any] = event["result"]
            if store.has_version(db, result["training_file_id"], int(result["version"])):
                return result
    return None


def _plan(db: Database, params: Mapping[str, Any]) -> _Plan:
    ids = [str(ident) for ident in params.get("conversation_ids", [])]
    vertical = str(settings.get(db, "vertical") or settings.DEFAULTS["vertical"])
    ident = params.get("training_file_id")
    if not ident:
        name = store.check_name(db, str(params.get("name") or ""))
        description = str(params.get("description") or "").strip()
        return _Plan(new_id(), name, description, 1, store.check_conversations(db, ids), ids, vertical)
    found = store.get(db, str(ident))
    kept = store.current_members(db, found.id)
    # Without new ones the same members are built again, as they are enriched now.
    added = store.check_conversations(db, ids, found.id) if ids or not kept else []
    return _Plan(found.id, found.name, found.description, found.version + 1, kept + added, ids, vertical)


def _write(ctx: JobContext, plan: _Plan, aggregation: Aggregation, folder: Path) -> None:
    total = len(plan.members)
    lines = folder / ".lines"
    aggregation.write_lines(plan.members, lines, _throttled(ctx, total))
    ctx.progress(total, total, "write", "Writing the files")
    data = TrainingData(aggregation.frame(), aggregation.totals.pairs, lambda: read_lines(lines))
    wanted = {"v4_json": JSON_NAME, "v4_jsonl": JSONL_NAME}
    for name in ctx.params.get("formats", []):
        found: ExportFormat = EXPORT_FORMATS.get(name)
        wanted.setdefault(name, f"training.{name}{found.suffix}")
    for name, file_name in wanted.items():
        target: ExportFormat = EXPORT_FORMATS.get(name)
        rows = target.write(data, folder / file_name, ctx.token)
        if name in ("v4_json", "v4_jsonl") and rows != aggregation.totals.pairs:
            raise AppError(
                "rows_missing",
                f"{file_name} has {rows:,} of {aggregation.totals.pairs:,} pairs, so nothing was kept.",
                hint="Start again. If it happens again, the export format has an error.",
            )
    lines.unlink()


def _throttled(ctx: JobContext, total: int) -> Callable[[int, str], None]:
    last = 0.0

    def progress(done: int, title: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _PROGRESS_S:
            last = time.monotonic()
            ctx.progress(done, total, "aggregate", title)

    return progress


def _event(ctx: JobContext, plan: _Plan, aggregation: Aggregation, final: Path) -> dict[str, Any]:
    totals = aggregation.totals
    json_path, jsonl_path = final / JSON_NAME, final / JSONL_NAME
    return {
        "training_file_id": plan.ident, "name": plan.name, "description": plan.description, "version": plan.version,
        "json_file_path": ctx.workspace.relative(json_path), "jsonl_file_path": ctx.workspace.relative(jsonl_path),
        "json_file_size": json_path.stat().st_size, "jsonl_file_size": jsonl_path.stat().st_size,
        "conversation_count": totals.conversations, "total_training_pairs": totals.pairs,
        "content_hash": aggregation.content_hash, "added": plan.added,
        "scaffolding_distribution": totals.distribution(), **totals.quality_summary(),
    }  # fmt: skip
