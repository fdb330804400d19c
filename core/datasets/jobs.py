"""The job that builds a dataset from a training file.

Params: {"training_file_id", "name", optional "base_model_id"}; result: {"dataset_id", "in", "used", "rejected",
"cut"}, counted in training pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.db import Database
from core.events import Changed
from core.jobs import Job, JobKind
from core.workspace.paths import Workspace


def apply(db: Database, workspace: Workspace, job: Job, event: Mapping[str, Any]) -> Changed:
    """Write the row of a dataset, or a line of the report."""
    from core.datasets import store
    from core.reading import report

    if event["type"] == "dataset":
        return store.upsert(db, event["row"])
    if event["type"] == "file":
        return Changed.NOTHING
    return report.add(db, job.id, event)


BUILD = JobKind(
    "build_dataset",
    handler="core.datasets.work:run",
    events=("item", "dataset", "file"),
    apply=apply,
    page="datasets",
    counts=True,
)
