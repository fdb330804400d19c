"""The worker's side: claim stdout, watch stdin, run one job's handler, report.

`python -m app --worker data|training RUN_DIR` runs the job described in `RUN_DIR/spec.json`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from core import registries, registry
from core.cancel import CancelToken
from core.db import Database
from core.db.connection import connect, database_error
from core.errors import AppError, Cancelled, bug_report
from core.hardware import keep_awake, resident_memory
from core.redact import RedactingFormatter
from core.workers import protocol
from core.workspace.files import disk_error, read_json
from core.workspace.lock import FileLock
from core.workspace.paths import Workspace

log = logging.getLogger(__name__)
ORPHAN_S = 60.0
# How often a worker that waits for memory looks whether it has to leave.
LOOK_S = 0.1
TOO_MUCH_MEMORY = "too_much_memory"


def claim_stdout() -> BinaryIO:
    """Keep stdout for the protocol; every stray print goes to stderr."""
    sys.stdout.flush()
    channel = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return channel


class Channel:
    """Writes whole lines to the parent from any thread; a parent that is gone is not an error."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._guard = threading.Lock()

    def send(self, line: bytes) -> None:
        """Write one line; dropped silently once the pipe is broken, since the event log keeps it."""
        with self._guard:
            try:
                view = memoryview(line)
                while view:
                    view = view[self._stream.write(view) or 0 :]
            except OSError:
                self._stream = open(os.devnull, "wb", buffering=0)  # noqa: SIM115 - lives as long as the process


class JobContext:
    """What a job's handler gets: parameters, a token, and ways to report."""

    def __init__(self, spec: Mapping[str, Any], run_dir: Path, channel: Channel, events: protocol.EventLog) -> None:
        self.job_id: str = spec["job_id"]
        self.params: Mapping[str, Any] = spec["params"]
        self.workspace = Workspace(Path(spec["workspace"]))
        self.run_dir = run_dir
        self.token = CancelToken()
        self._channel = channel
        self._events = events
        self._guard = threading.Lock()
        self._granted = threading.Event()
        self._held = 0

    def emit(self, kind: str, **fields: Any) -> None:
        """Record an event, then send it. The parent applies it exactly once."""
        with self._guard:
            self._channel.send(self._events.append(self.job_id, kind, fields))

    def progress(self, done: int, total: int, stage: str = "", message: str = "") -> None:
        """Report how far the work is; not recorded."""
        self._channel.send(
            protocol.encode(self.job_id, "progress", {"done": done, "total": total, "stage": stage, "message": message})
        )

    def send_transient(self, kind: str, **fields: Any) -> None:
        """Send without recording: heartbeat, hello, error."""
        self._channel.send(protocol.encode(self.job_id, kind, fields))

    def ask_memory(self, size_bytes: int, served: str = "") -> None:
        """Wait until the parent lets this worker take so many bytes. Raises Cancelled when it is asked to leave.

        `served` is the model of Ollama's that takes them, where it is Ollama that does.
        """
        self._granted.clear()
        self.send_transient("memory", asks=size_bytes, served=served)
        while not self._granted.wait(LOOK_S):
            self.token.raise_if_cancelled()

    def answer_memory(self, granted: bool, words: str) -> None:
        """What the parent says to it; while it has to wait, why."""
        if granted:
            self._granted.set()
        elif words:
            self.progress(0, 0, "Waiting for memory", words)

    def hold_memory(self, size_bytes: int) -> None:
        """Tell what this worker has taken at most so far."""
        if size_bytes > self._held:
            self._held = size_bytes
            self.send_transient("memory", holds=size_bytes)

    def when_full(self, make_room: Callable[[], bool]) -> None:
        """On a full disk, ask `make_room` once for room for what has to be recorded."""
        self._events.make_room = make_room

    def sync(self) -> None:
        """Force the recorded events to disk."""
        with self._guard:
            self._events.sync()

    def open_db(self) -> Database:
        """A read-only connection to the workspace's database."""
        return connect(self.workspace.db_path, read_only=True)


def watch_stdin(context: JobContext, orphan_s: float = ORPHAN_S) -> None:
    """Take commands; end of stdin means the parent closed or died: checkpoint and exit within `orphan_s`."""
    buffer = b""
    while True:
        # os.read, not sys.stdin: a daemon thread blocked in the buffered reader aborts the interpreter at exit.
        chunk = os.read(0, 65536)
        if not chunk:
            context.token.cancel("orphan")
            # Code that never looks at the token would keep running without a parent, and keep the run's lock.
            time.sleep(orphan_s)
            os._exit(3)
        *lines, buffer = (buffer + chunk).split(b"\n")
        for line in lines:
            _command(context, line)


def _command(context: JobContext, line: bytes) -> None:
    try:
        message = protocol.decode(line)
    except AppError as error:
        context.send_transient("error", error=error.to_json())
        return
    if message["type"] == "stop":
        context.token.cancel("user")
    elif message["type"] == "pause":
        context.token.cancel("pause")
    elif message["type"] == "memory":
        context.answer_memory(bool(message["granted"]), str(message.get("words", "")))
    else:
        unknown = protocol.protocol_error(f"the unknown command {message['type']!r}")
        context.send_transient("error", error=unknown.to_json())


def _heartbeat(context: JobContext, stop: threading.Event, memory_bytes: int) -> None:
    while not stop.wait(protocol.HEARTBEAT_S):
        context.send_transient("heartbeat")
        if memory_bytes and resident_memory() > memory_bytes:
            context.token.cancel(TOO_MUCH_MEMORY)


def _too_much_memory(memory_bytes: int) -> AppError:
    return AppError(
        TOO_MUCH_MEMORY,
        f"The job needed more than the {memory_bytes / 1e9:.1f} GB of memory that it may use, and was stopped.",
        hint="Split the input into smaller files, then start it again. Everything reported so far is kept.",
    )


def _heed_signals(context: JobContext) -> None:
    """Ctrl-C and a closed terminal reach the parent too, which decides; SIGTERM means: checkpoint and exit."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: context.token.cancel("orphan"))


def _log_to_stderr() -> None:
    """Warnings and worse go to the run's worker.log, without secrets."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter("%(levelname)s %(name)s: %(message)s"))
    handler.setLevel(logging.WARNING)
    logging.getLogger().addHandler(handler)


def run_job(args: list[str]) -> int:
    """Entry of the data, training and generation workers. Exit codes: 0 done, 1 failed, 2 usage or lock, 3 stopped."""
    channel = Channel(claim_stdout())
    _log_to_stderr()
    run_dir = Path(args[0])
    spec = read_json(run_dir / "spec.json")
    registries.restore(spec.get("registries", {}))
    lock = FileLock(run_dir / "lock")
    if not lock.acquire(timeout_s=float(spec.get("lock_wait_s", 30))):
        error = AppError(
            "run_busy",
            "An earlier worker of this run is still finishing.",
            hint="Wait a moment and resume again.",
        )
        channel.send(protocol.encode(spec["job_id"], "error", {"error": error.to_json()}))
        return 2
    events = protocol.EventLog(run_dir / "events.jsonl", int(spec.get("last_seq", 0)))
    context = JobContext(spec, run_dir, channel, events)
    _heed_signals(context)
    context.send_transient("hello", pid=os.getpid(), protocol=protocol.VERSION, seq=events.seq)
    orphan_s = float(spec.get("orphan_s", ORPHAN_S))
    threading.Thread(target=watch_stdin, args=(context, orphan_s), daemon=True).start()
    stop = threading.Event()
    os.nice(int(spec.get("nice", 0)))
    memory_bytes = int(spec.get("memory_bytes", 0))
    threading.Thread(target=_heartbeat, args=(context, stop, memory_bytes), daemon=True).start()
    try:
        with keep_awake():
            return _run_handler(context, spec["handler"], memory_bytes)
    finally:
        stop.set()
        with contextlib.suppress(OSError):
            events.close()
        lock.release()


def _run_handler(context: JobContext, handler: str, memory_bytes: int) -> int:
    kind, fields, code = _outcome(context, handler)
    if kind == "stopped" and context.token.reason == TOO_MUCH_MEMORY:
        kind, fields, code = "failed", {"error": _too_much_memory(memory_bytes).to_json()}, 1
    try:
        context.emit(kind, **fields)
    except OSError as exc:
        # No room to record it; the parent at least gets the reason.
        error = fields.get("error") or disk_error(exc, context.run_dir).to_json()
        context.send_transient("error", error=error)
        return 1
    return code


def _outcome(context: JobContext, handler: str) -> tuple[str, dict[str, Any], int]:
    """How the handler ended: the final event, its fields, the exit code."""
    try:
        return "done", {"result": registry.resolve(handler)(context) or {}}, 0
    except Cancelled:
        return "stopped", {"reason": context.token.reason}, 3
    except AppError as exc:
        error = exc
    except OSError as exc:
        error = disk_error(exc, Path(exc.filename or context.run_dir))
        error.detail = traceback.format_exc()
    except sqlite3.Error as exc:
        error = database_error(exc, context.workspace.db_path)
        error.detail = traceback.format_exc()
    except Exception as exc:
        log.exception("job %s", context.job_id)
        error = bug_report(exc, traceback.format_exc())
    return "failed", {"error": error.to_json()}, 1
