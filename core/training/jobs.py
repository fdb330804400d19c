"""The job kind of a training run: what its events write. Light; the worker's code is in `work.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlite_utils import Database

from core.events import Changed
from core.jobs import Job, JobKind
from core.lanes import Lane
from core.training import store
from core.workspace.paths import Workspace


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


TRAINING = JobKind(
    name="training",
    handler="core.training.work:run",
    events=("started", "metric", "checkpoint", "resumed", "artifact"),
    apply=_apply,
    worker="training",
    lane=Lane.GPU,
    resumable=True,
    page="training",
)
