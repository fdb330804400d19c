"""The job kind of a training run: what its events write. Light; the worker's code is in `work.py`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from core.db import Database
from core.errors import AppError
from core.events import Changed
from core.jobs import Job, JobKind, JobState
from core.lanes import Lane
from core.registries import RUN_OWNERS
from core.training import store
from core.workspace.paths import Workspace

log = logging.getLogger(__name__)


def _apply(db: Database, _workspace: Workspace, job: Job, event: Mapping[str, Any]) -> Changed:
    if event["type"] == "metric":
        store.write_metric(db, job.id, event)
        return Changed.METRICS
    if event["type"] == "started":
        store.write_started(db, job.id, event)
        return Changed.JOBS
    if event["type"] == "artifact":
        return store.write_artifact(db, job.id, event)
    return Changed.NOTHING


def _ended(db: Database, workspace: Workspace, job: Job) -> Changed:
    """Tell who the run was for, in the transaction that completes it."""
    owner = job.params.get("owner")
    if not owner or job.status is not JobState.COMPLETED:
        return Changed.NOTHING
    try:
        told = RUN_OWNERS.get(str(owner["kind"]))
    except AppError as error:
        # Of a later version, or a plugin that is gone: the run has ended well all the same.
        log.warning("run %s: %s", job.id, error)
        return Changed.NOTHING
    changed: Changed = told(db, workspace, job)
    return changed


TRAINING = JobKind(
    name="training",
    handler="core.training.work:run",
    events=("started", "metric", "checkpoint", "resumed", "artifact"),
    apply=_apply,
    worker="training",
    lane=Lane.GPU,
    resumable=True,
    page="training",
    ended=_ended,
)
