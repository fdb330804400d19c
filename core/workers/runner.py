"""Run one job to its end from a program without an event loop: the command line and tests."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from core import jobs
from core.cancel import CancelToken
from core.db import Database
from core.errors import AppError
from core.jobs import Job
from core.workers import protocol
from core.workers.session import LOG_TAIL, JobSession, prepare_run, run_folder, worker_environment
from core.workspace.paths import Workspace, source_root

GRACE_S = 10.0
Listener = Callable[[Mapping[str, Any]], None]


def run_to_end(
    db: Database,
    workspace: Workspace,
    job: Job,
    *,
    listen: Listener | None = None,
    token: CancelToken | None = None,
    grace_s: float = GRACE_S,
) -> Job:
    """Start the worker of a claimed job, apply its events, return the job in its final state.

    When `token` is cancelled the worker is asked to stop, and killed if it is still there after `grace_s` seconds.
    """
    session = JobSession(workspace, job)
    session.begin(db)
    command = prepare_run(workspace, jobs.get(db, job.id))
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=worker_environment(job.lane), cwd=source_root(),
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    lines: queue.Queue[bytes | None] = queue.Queue()
    tail: deque[str] = deque(maxlen=LOG_TAIL)
    log_path = run_folder(workspace, job.id) / "worker.log"
    readers = [
        threading.Thread(target=_pump, args=(process.stdout, lines), daemon=True),
        threading.Thread(target=_tail, args=(process.stderr, tail, log_path), daemon=True),
    ]
    for reader in readers:
        reader.start()
    try:
        _consume(db, session, process, lines, listen, token, grace_s)
    finally:
        with contextlib.suppress(OSError):
            process.stdin.close()
        code = process.wait()
        for reader in readers:
            reader.join()
        process.stdout.close()
        process.stderr.close()
    if session.final is None and token is not None and token.cancelled:
        # It had to be killed: the user's word counts, not how the process went.
        session.final = {"type": "stopped", "reason": token.reason}
    session.finish(db, _exit_text(code), "\n".join(tail))
    return jobs.get(db, job.id)


def _exit_text(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _pump(stream: BinaryIO, lines: queue.Queue[bytes | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _tail(stream: BinaryIO, tail: deque[str], path: Any) -> None:
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as handle:
        for line in stream:
            with contextlib.suppress(OSError):
                # The log may have no room left; the worker must not wait for a reader.
                handle.write(line)
            tail.append(line.decode("utf-8", "replace").rstrip())


def _consume(
    db: Database,
    session: JobSession,
    process: subprocess.Popen[bytes],
    lines: queue.Queue[bytes | None],
    listen: Listener | None,
    token: CancelToken | None,
    grace_s: float,
) -> None:
    assert process.stdin is not None
    asked = 0.0
    while True:
        try:
            batch = [lines.get(timeout=0.1)]
        except queue.Empty:
            batch = []
        while not lines.empty() and len(batch) < 500:
            batch.append(lines.get())
        ended = None in batch
        messages = []
        for line in batch:
            if line is not None:
                try:
                    messages.append(protocol.decode(line))
                except AppError as error:
                    session.error = error
        session.apply(db, messages)
        if any(message["type"] == "memory" and "asks" in message for message in messages):
            # Nothing else of this program holds memory beside the one job.
            with contextlib.suppress(OSError):
                process.stdin.write(protocol.encode(session.job_id, "memory", {"granted": True}))
                process.stdin.flush()
        for message in messages if listen else ():
            listen(message)  # type: ignore[misc]
        if token is not None and token.cancelled and not asked:
            asked = time.monotonic()
            with contextlib.suppress(OSError):
                process.stdin.write(protocol.encode(session.job_id, "stop", {}))
                process.stdin.flush()
        if asked and time.monotonic() - asked > grace_s:
            process.kill()
        if ended:
            return
