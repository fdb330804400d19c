"""200 conversations against a local server with 1 s latency and 8 requests at once: share of the ideal, memory."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from core import jobs
from core.generation import bill
from core.generation.create import create_batch
from core.generation.sampling import spread
from core.generation.settings import RunSettings
from core.jobs import JobState
from core.workers.runner import run_to_end
from tests.contract.anthropic_server import AnthropicServer
from tests.core.factories import place

CONVERSATIONS = int(os.environ.get("BENCH_GENERATED", "200"))
AT_ONCE, LATENCY_S = 8, 1.0


class Watch:
    """Resident memory of the worker, sampled."""

    def __init__(self) -> None:
        self.samples: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        me = psutil.Process()
        while not self._stop.wait(0.25):
            try:
                self.samples += [child.memory_info().rss for child in me.children() if "--worker" in child.cmdline()]
            except psutil.Error:
                continue

    def close(self) -> list[int]:
        self._stop.set()
        self._thread.join()
        return self.samples


def run(folder: Path) -> dict[str, Any]:
    here = place(folder)
    with AnthropicServer(latency_s=LATENCY_S, most_at_once=AT_ONCE) as server:
        os.environ.update(server.environment() | {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"})
        settings = RunSettings("claude", "claude-sonnet-5-5", max_in_flight=AT_ONCE)
        create_batch(here.db, here.workspace, spread(here.db, CONVERSATIONS, 1), settings)
        job = jobs.claim_next(here.db)
        if job is None:
            raise RuntimeError("nothing is queued")
        watch = Watch()
        done = run_to_end(here.db, here.workspace, job)
        ended = time.time()
        samples = watch.close()
        if done.status is not JobState.COMPLETED:
            raise RuntimeError(f"it ended as {done.status}: {done.error}")
        times = sorted(entry.at for entry in server.answered)
        found = bill.summary(here.db, job.id)
    here.db.close()
    # From the first request to the last reply; how long a process takes to start is no matter of throughput.
    took = times[-1] - times[0] + LATENCY_S
    ideal = CONVERSATIONS / AT_ONCE * LATENCY_S
    tail = samples[len(samples) // 4 :]
    return {
        "conversations; made": f"{CONVERSATIONS}; {found['made']}",
        "first request to last reply, s": f"{took:.1f}",
        "ideal at 8 in flight, s": f"{ideal:.1f}",
        "share of the ideal throughput": f"{ideal / took:.3f}",
        "refused with 429; busiest": f"{len(server.asked) - len(server.answered)}; {server.busiest}",
        "last reply to job's end, s": f"{ended - times[-1]:.1f}",
        "worker's memory after a quarter of the run, and at most, MB": f"{tail[0] / 1e6:.0f}; {max(tail) / 1e6:.0f}",
    }
