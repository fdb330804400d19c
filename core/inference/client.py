"""The parent's side of the inference worker without Qt: blocking calls for the command line and tests."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core import registries
from core.cancel import CancelToken
from core.errors import AppError, Cancelled
from core.inference.engine import AdapterRef, Answer, EngineOptions, GenerateRequest
from core.workers import protocol
from core.workers.session import worker_command, worker_environment
from core.workspace.paths import source_root

# How often a stop is looked for, and how long a worker may take to obey it.
LOOK_S = 0.5
STOP_GRACE_S = 5.0


class InferenceClient:
    """Owns one worker process; used as a context manager, from one thread."""

    def __init__(self, log: Path | None = None, options: EngineOptions | None = None) -> None:
        self._numbers = itertools.count(1)
        self._log = log.open("ab") if log else subprocess.DEVNULL
        self._process = subprocess.Popen(
            worker_command("inference"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            env=worker_environment(), cwd=source_root(),
        )  # fmt: skip
        self._rest = b""
        try:
            self.call("configure", registries=registries.snapshot(), options=(options or EngineOptions()).to_json())
        except BaseException:
            self.close()
            raise

    def call(
        self,
        kind: str,
        on_text: Callable[[str], None] | None = None,
        token: CancelToken | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """Send a command, wait for its answer. Raises the worker's AppError, `worker_crashed`, or Cancelled."""
        ident = f"c{next(self._numbers)}"
        self._write(ident, kind, fields)
        for line in self._lines(ident, token):
            message = protocol.decode(line)
            if message["id"] != ident:
                continue
            if message["type"] == "stopped":
                raise Cancelled(token.reason if token is not None else "user")
            if message["type"] == "token" and on_text:
                on_text(message["text"])
            elif message["type"] == "failed":
                raise AppError.from_json(message["error"])
            elif message["type"] == "done":
                return dict(message["result"])
        if token is not None and token.cancelled:
            raise Cancelled(token.reason)
        raise AppError(
            "worker_crashed", "The model's process ended unexpectedly.", hint="Ask again; the process restarts."
        )

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

    def load(self, base: Path, engine: str = "mlx", token: CancelToken | None = None) -> Mapping[str, Any]:
        """Load a base model."""
        return self.call("load", None, token, base=str(base), engine=engine)

    def generate(self, request: GenerateRequest, token: CancelToken | None = None) -> tuple[str, Mapping[str, Any]]:
        """The whole answer and its stats. Raises Cancelled when `token` asks to end it."""
        parts: list[str] = []
        result = self.call("generate", parts.append, token, request=request.to_json())
        return "".join(parts), result

    def answers(self, request: GenerateRequest, count: int, token: CancelToken | None = None) -> list[Answer]:
        """So many answers to one question; those that were not ready when `token` asked to end are cut there."""
        found = self.call("answers", None, token, request=request.to_json(), count=count)
        return [Answer(**answer) for answer in found["answers"]]

    def score(
        self, conversations: Sequence[Sequence[Mapping[str, Any]]], adapter: AdapterRef | None = None
    ) -> list[list[float]]:
        """Log-probabilities of each conversation's supervised tokens."""
        reference = asdict(adapter) if adapter else None
        found = self.call("score", conversations=[list(messages) for messages in conversations], adapter=reference)
        return [list(values) for values in found["logprobs"]]

    def close(self) -> None:
        """End the worker."""
        process = self._process
        if process.stdin:
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

    def __enter__(self) -> InferenceClient:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()
