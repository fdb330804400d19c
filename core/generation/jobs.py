"""The job kinds of generation, one a lane, with one handler: what a worker's events write. Light to import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.db import Database
from core.events import Changed
from core.generation import records
from core.jobs import Job, JobKind
from core.lanes import Lane
from core.workspace.paths import Workspace

EVENTS = (
    "started", "asked", "reply", "lost", "rejected", "turn", "conversation", "rewritten", "item_failed", "reopened",
    "notice", "batch_asked", "batch_created", "batch_status", "batch_cancel", "batch_ended",
)  # fmt: skip


def _apply(db: Database, workspace: Workspace, job: Job, event: Mapping[str, Any]) -> Changed:
    return records.apply(db, workspace, job.id, event)


def _ended(db: Database, _workspace: Workspace, job: Job) -> Changed:
    return records.ended(db, job)


def _kind(name: str, lane: Lane, page: str = "generate") -> JobKind:
    return JobKind(
        name, handler="core.generation.work:run", events=EVENTS, apply=_apply, worker="generation", lane=lane,
        resumable=True, page=page, ended=_ended,
    )  # fmt: skip


# One turn is looked at while it is written: it does not wait behind a batch.
REWRITE = _kind("rewrite", Lane.QUESTION, "conversations")
GENERATE = _kind("generate", Lane.NETWORK)
GENERATE_LOCAL = _kind("generate_local", Lane.GPU)
