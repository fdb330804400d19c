"""The job that imports files and folders.

Params: {"files": [absolute path, ...], "use_known": bool, default false}; with `use_known` a conversation that is in
the workspace already counts as used instead of as a duplicate. Result: {"in", "used", "rejected", "cut",
"conversations", "datasets", "ignored_files"}. A stopped import can be resumed: finished files are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.db import Database
from core.events import Changed
from core.jobs import Job, JobKind
from core.workspace.paths import Workspace


def apply(db: Database, workspace: Workspace, job: Job, event: Mapping[str, Any]) -> Changed:
    """Write what the worker reported: a conversation, a dataset, a line of the report."""
    from core.conversations import store as conversations
    from core.datasets import store as datasets
    from core.reading import report

    kind = event["type"]
    if kind == "dataset":
        return datasets.upsert(db, event["row"])
    if kind == "file":
        return Changed.NOTHING
    if kind == "item":
        return report.add(db, job.id, event)
    row = event["row"]
    place = {"seq": event["seq"], "file": event["file"], "line": event["line"]}
    if conversations.insert(db, workspace, row):
        notes = " ".join(row["import_notes"])
        report.add(db, job.id, {**place, "outcome": "used", "target": row["id"], "message": notes})
    else:
        message = "The same conversation was added to the workspace while this import ran."
        report.add(db, job.id, {**place, "outcome": "rejected", "code": "duplicate", "message": message})
    return Changed.CONVERSATIONS | Changed.JOBS


IMPORT = JobKind(
    "import", handler="core.importing.work:run", events=("item", "conversation", "dataset", "file"),
    apply=apply, resumable=True, page="conversations", counts=True,
)  # fmt: skip
