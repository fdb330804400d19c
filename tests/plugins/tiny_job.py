"""A job kind that does next to nothing, in a real worker process."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from sqlite_utils import Database

from core.errors import AppError
from core.events import Changed
from core.jobs import Job, JobKind
from core.lanes import Lane
from core.workers.host import JobContext
from core.workspace.paths import Workspace


def apply(db: Database, _workspace: Workspace, job: Job, event: Mapping[str, Any]) -> Changed:
    """One row a tick; the same event twice changes nothing."""
    if event.get("poison"):
        raise RuntimeError("a bug in apply")
    db.execute("insert or replace into settings(key, value) values(?, ?)", [f"tick/{job.id}/{event['n']}", "1"])
    return Changed.SETTINGS


def run(context: JobContext) -> dict[str, Any]:
    """Asks for memory, ticks `n` times, then does what `mode` says."""
    mode, n = str(context.params.get("mode", "done")), int(context.params.get("n", 3))
    pause = float(context.params.get("pause", 0))
    if asks := int(context.params.get("asks", 0)):
        context.ask_memory(asks, str(context.params.get("served", "")))
        context.hold_memory(asks)
    for number in range(n):
        context.token.raise_if_cancelled()
        context.emit("tick", n=number, poison=mode == "poison")
        context.progress(number + 1, n, "ticking", f"tick {number + 1}")
        time.sleep(pause)
    if mode == "fail":
        raise AppError("tiny_failed", "The tiny job failed as it was told.", hint="Tell it something else.")
    if mode == "bug":
        raise ValueError("a bug in the worker")
    if mode == "linger":
        # As a library's thread that waits for what never comes.
        threading.Thread(target=threading.Event().wait, name="lingers").start()
    while mode == "loop":
        context.token.raise_if_cancelled()
        time.sleep(0.02)
    while mode == "deaf":
        time.sleep(0.05)
    return {"in": n, "used": n, "rejected": 0, "cut": 0}


TINY = JobKind("tiny", "tests.plugins.tiny_job:run", ("tick",), apply, page="demo", counts=True)
TINY_GPU = JobKind("tiny_gpu", "tests.plugins.tiny_job:run", ("tick",), apply, lane=Lane.GPU, resumable=True)
TINY_QUESTION = JobKind("tiny_question", "tests.plugins.tiny_job:run", ("tick",), apply, lane=Lane.QUESTION)
