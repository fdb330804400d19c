"""The parent's side of a long-lived worker without Qt: blocking calls for the command line and tests."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from core.cancel import CancelToken
from core.errors import AppError, Cancelled
from core.lanes import Lane
from core.workers import protocol
from core.workers.session import worker_command, worker_environment
from core.workspace.paths import source_root

# How often a stop is looked for, and how long a worker may take to obey it.
LOOK_S = 0.5
STOP_GRACE_S = 5.0
Told = Callable[[Mapping[str, Any]], None]


class WorkerClient:
    """Owns one worker process; used as a context manager, from one thread."""

    WORKER: ClassVar[str]
    LANE: ClassVar[Lane | None] = None
    WHO: ClassVar[str]

    def __init__(self, configuration: Mapping[str, Any], log: Path | None = None) -> None:
        self._numbers = itertools.count(1)
        self._log = log.open("ab") if log else subprocess.DEVNULL
        self._process = subprocess.Popen(
            worker_command(self.WORKER), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            env=worker_environment(self.LANE), cwd=source_root(),
        )  # fmt: skip
        self._rest = b""
        try:
            self.call("configure", **configuration)
        except BaseException:
            self.close()
            raise

    def call(
        self, kind: str, told: Told | None = None, token: CancelToken | None = None, **fields: Any
    ) -> dict[str, Any]:
        """Send a command, wait for its answer; `told` gets what comes before it.

        Raises the worker's AppError, `worker_crashed`, or Cancelled.
        """
        ident = f"c{next(self._numbers)}"
        self._write(ident, kind, fields)
        for line in self._lines(ident, token):
            message = protocol.decode(line)
            if message["id"] != ident:
                self._heard(message)
            elif message["type"] == "stopped":
                raise Cancelled(token.reason if token is not None else "user")
            elif message["type"] == "failed":
                raise AppError.from_json(message["error"])
            elif message["type"] == "done":
                return dict(message["result"])
            elif told is not None:
                told(message)
        if token is not None and token.cancelled:
            raise Cancelled(token.reason)
        raise AppError(
            "worker_crashed", f"{self.WHO} ended unexpectedly.", hint="Ask again; the process restarts."
        )  # fmt: skip

    def _heard(self, message: Mapping[str, Any]) -> None:
        """An event that belongs to no call of this client."""

    def _lines(self, ident: str, token: CancelToken | None) -> Iterator[bytes]:
        """What the worker says, line by line; one that is asked to stop and does not is killed."""
        stdout = self._process.stdout
        assert stdout is not None
        stopping = 0.0
        while True:
            if token is not None and token.cancelled:
                if not stopping:
                    stopping = time.monotonic()
                    self._write(ident, "stop", {})
                elif time.monotonic() - stopping > STOP_GRACE_S:
                    self._process.kill()
            if b"\n" in self._rest:
                line, _, self._rest = self._rest.partition(b"\n")
                yield line
            elif select.select([stdout], [], [], LOOK_S)[0]:
                data = os.read(stdout.fileno(), 65536)
                if not data:
                    return
                self._rest += data

    def _write(self, ident: str, kind: str, fields: Mapping[str, Any]) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with contextlib.suppress(BrokenPipeError):
            stdin.write(protocol.encode(ident, kind, fields))
            stdin.flush()

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid

    def close(self) -> None:
        """End the worker."""
        process = self._process
        if process.stdin:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()
        if not isinstance(self._log, int):
            self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()
