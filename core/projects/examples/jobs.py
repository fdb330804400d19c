"""Job kinds that make examples of a project's code; light, the work is in `work.py`.

`look_at_examples` only counts what would be made; its result is `Made.counts()` with `left_out`. With `start` in its
params the training is queued when it ends. `project_examples` makes the dataset that the run of `run` waits for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.datasets.jobs import apply
from core.db import Database
from core.events import Changed
from core.jobs import Job, JobKind, JobState
from core.lanes import Lane
from core.projects import adapters
from core.workspace.paths import Workspace


def _no_events(_db: Database, _workspace: Workspace, _job: Job, _event: Mapping[str, Any]) -> Changed:
    return Changed.NOTHING


def _looked(db: Database, workspace: Workspace, job: Job) -> Changed:
    return adapters.look_completed(db, workspace, job) if job.status is JobState.COMPLETED else Changed.NOTHING


def _made(db: Database, workspace: Workspace, job: Job) -> Changed:
    return adapters.examples_completed(db, workspace, job) if job.status is JobState.COMPLETED else Changed.NOTHING


LOOK = JobKind(
    name="look_at_examples", handler="core.projects.examples.work:look", events=(), apply=_no_events,
    lane=Lane.QUESTION, page="projects", ended=_looked,
)  # fmt: skip

EXAMPLES = JobKind(
    name="project_examples", handler="core.projects.examples.work:run", events=("item", "dataset", "file"), apply=apply,
    resumable=True, page="datasets", counts=True, ended=_made,
)  # fmt: skip
