"""A job that reports what its worker process may use."""

from __future__ import annotations

import os
import time
from typing import Any

from core.events import Changed
from core.jobs import JobKind
from core.lanes import THREAD_VARIABLES, Lane
from core.workers.host import JobContext


def run(context: JobContext) -> dict[str, Any]:
    while context.params.get("until_stopped"):
        context.token.raise_if_cancelled()
        time.sleep(0.02)
    return {"threads": {name: os.environ.get(name) for name in THREAD_VARIABLES}, "nice": os.nice(0)}


PROBE = JobKind("probe", "tests.plugins.probe_job:run", (), lambda *_: Changed.NOTHING, lane=Lane.INDEX)
