"""The job kind "build_training_file": what its event writes. Light: the window imports it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from core.db import Database
from core.db.connection import free_name, now, transaction
from core.events import Changed
from core.jobs import Job, JobKind
from core.workspace.paths import Workspace

_COLUMNS = (
    "json_file_path", "jsonl_file_path", "conversation_count", "total_training_pairs", "json_file_size",
    "jsonl_file_size", "avg_quality_score", "min_quality_score", "max_quality_score", "human_reviewed_count",
    "version", "content_hash",
)  # fmt: skip


def apply(db: Database, workspace: Workspace, job: Job, event: Mapping[str, Any]) -> Changed:
    """Write file, version and members of a finished build in one transaction."""
    stamp, ident = now(), str(event["training_file_id"])
    values = {name: event[name] for name in _COLUMNS}
    values["scaffolding_distribution"] = orjson.dumps(event["scaffolding_distribution"]).decode()
    values |= {"status": "active", "updated_at": stamp}
    with transaction(db):
        if db.execute("select 1 from training_files where id = ?", [ident]).fetchone() is None:
            # It may have been given away while the file was built: what was built is not thrown away.
            name = free_name(db, "training_files", str(event["name"]))
            fresh = {"id": ident, "name": name, "description": event["description"], "created_at": stamp, **values}
            db.execute(
                f"insert into training_files({', '.join(fresh)}) values({', '.join('?' * len(fresh))})",
                list(fresh.values()),
            )
        else:
            sets = ", ".join(f"{name} = ?" for name in values)
            db.execute(f"update training_files set {sets} where id = ?", [*values.values(), ident])
        db.execute(
            "insert or replace into training_file_versions(training_file_id, version, json_file_path, jsonl_file_path,"
            " conversation_count, total_training_pairs, content_hash, created_at) values(?, ?, ?, ?, ?, ?, ?, ?)",
            [
                ident, event["version"], event["json_file_path"], event["jsonl_file_path"],
                event["conversation_count"], event["total_training_pairs"], event["content_hash"], stamp,
            ],
        )  # fmt: skip
        db.conn.executemany(
            "insert or ignore into training_file_conversations(training_file_id, conversation_id, added_at)"
            " values(?, ?, ?)",
            [(ident, member, stamp) for member in event["added"]],
        )
    return Changed.TRAINING_FILES


BUILD = JobKind(
    name="build_training_file",
    handler="core.training_files.work:run",
    events=("training_file",),
    apply=apply,
    page="training_files",
    counts=True,
)
