"""A job's handler run in this process, its events applied as the window does: for the many cases of one handler.

A worker of its own takes seconds to load its libraries; each handler has a test that runs it in one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from sqlite_utils import Database

from core import jobs
from core.jobs import Job
from core.workers import host, protocol
from core.workers.session import JobSession, prepare_run, run_folder
from core.workspace.files import read_json
from core.workspace.paths import Workspace


def run_in_process(db: Database, workspace: Workspace, kind: str, params: Mapping[str, Any]) -> Job:
    return run_claimed(db, workspace, jobs.create(db, kind, "Test", params))


def run_claimed(db: Database, workspace: Workspace, queued: Job) -> Job:
    """A queued job."""
    kind = queued.kind
    job = jobs.claim_next(db, queued.id)
    assert job is not None
    session = JobSession(workspace, job)
    session.begin(db)
    prepare_run(workspace, job)
    folder = run_folder(workspace, job.id)
    events = protocol.EventLog(folder / "events.jsonl")
    with open(os.devnull, "wb", buffering=0) as nobody:
        context = host.JobContext(read_json(folder / "spec.json"), folder, host.Channel(nobody), events)
        outcome, fields, _code = host._outcome(context, jobs.job_kind(kind).handler)
        context.emit(outcome, **fields)
    events.close()
    session.finish(db, "in this process")
    return jobs.get(db, job.id)
