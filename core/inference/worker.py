"""The inference worker: keeps an engine resident, streams tokens. `python -m app --worker inference`.

Commands: configure, load, prepare, generate, score, status, stop, quit. Every command but stop and quit is
answered by exactly one of done, failed or stopped with its id; generate sends `token` events before that.
All engine calls happen on the main thread; a reader thread takes commands and serves `stop` at once.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core import registries
from core.errors import AppError, bug_report
from core.inference.engine import AdapterRef, GenerateRequest
from core.registries import ENGINES
from core.workers import protocol
from core.workers.host import Channel, claim_stdout

log = logging.getLogger(__name__)
COMMANDS = ("configure", "load", "prepare", "generate", "score", "status")
TOKEN_INTERVAL_S = 0.02


class InferenceWorker:
    """One engine, one queue of commands."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._stopped: set[str] = set()
        self._engines: dict[str, Any] = {}
        self._engine: Any = None
        self._max_resident = 3

    def send(self, ident: str, kind: str, **fields: Any) -> None:
        """One event to the parent."""
        self._channel.send(protocol.encode(ident, kind, fields))

    def read_stdin(self) -> None:
        """Reader thread: commands into the queue; end of stdin ends the worker."""
        buffer = b""
        while chunk := os.read(0, 65536):
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                self._take(line)
        self._queue.put(None)
        # The main thread may be deep in a computation; the parent is gone, so nobody needs its result.
        time.sleep(1.0)
        os._exit(3)

    def _take(self, line: bytes) -> None:
        try:
            message = protocol.decode(line)
        except AppError as error:
            self.send("", "error", error=error.to_json())
            return
        if message["type"] == "stop":
            self._stopped.add(str(message["id"]))
        elif message["type"] == "quit":
            self._queue.put(None)
        elif message["type"] in COMMANDS:
            self._queue.put(message)
        else:
            unknown = protocol.protocol_error(f"the unknown command {message['type']!r}")
            self.send(str(message.get("id", "")), "failed", error=unknown.to_json())

    def run(self) -> int:
        """Serve until the parent closes."""
        self.send("", "hello", pid=os.getpid(), protocol=protocol.VERSION)
        while True:
            try:
                message = self._queue.get(timeout=protocol.HEARTBEAT_S)
            except queue.Empty:
                self.send("", "heartbeat")
                continue
            if message is None:
                return 0
            self._serve(message)

    def _serve(self, message: Mapping[str, Any]) -> None:
        ident = str(message["id"])
        handler: Callable[[Mapping[str, Any]], Mapping[str, Any] | None] = getattr(self, f"_{message['type']}")
        try:
            result = handler(message)
        except AppError as error:
            self.send(ident, "failed", error=error.to_json())
        except Exception as exc:
            log.exception("command %s", message["type"])
            self.send(ident, "failed", error=bug_report(exc, traceback.format_exc()).to_json())
        else:
            if result is not None:
                self.send(ident, "done", result=result)
        self._stopped.discard(ident)

    def _configure(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        registries.restore(message.get("registries", {}))
        self._max_resident = int(message.get("max_resident", 3))
        return {"engines": ENGINES.names()}

    def _load(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        name = str(message["engine"])
        if name not in self._engines:
            self._engines[name] = ENGINES.get(name)(max_resident=self._max_resident)
        if self._engine is not None and self._engine is not self._engines[name]:
            self._engine.close()
        self._engine = self._engines[name]
        facts: Mapping[str, Any] = self._engine.load(Path(message["base"]))
        return facts

    def _loaded(self) -> Any:
        if self._engine is None:
            raise AppError("no_base_loaded", "No base model is loaded.", hint="Choose a base model first.")
        return self._engine

    def _prepare(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        facts: Mapping[str, Any] = self._loaded().prepare(AdapterRef(**message["adapter"]))
        return facts

    def _status(self, _message: Mapping[str, Any]) -> Mapping[str, Any]:
        facts: Mapping[str, Any] = self._loaded().status()
        return facts

    def _score(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        adapter = AdapterRef(**message["adapter"]) if message.get("adapter") else None
        return {"logprobs": list(self._loaded().score(message["messages"], adapter))}

    def _generate(self, message: Mapping[str, Any]) -> Mapping[str, Any] | None:
        ident = str(message["id"])
        request = GenerateRequest.from_json(message["request"])
        pending, last, reason = "", time.monotonic(), "stop"
        stats: Mapping[str, Any] = {}
        for piece in self._loaded().generate(request):
            pending += piece.text
            if piece.finish_reason:
                reason, stats = piece.finish_reason, piece.stats
            if ident in self._stopped:
                self.send(ident, "token", text=pending)
                self.send(ident, "stopped", reason="user")
                return None
            # Fast models make more tokens than anybody can see; text is sent at most 50 times a second.
            if time.monotonic() - last >= TOKEN_INTERVAL_S:
                self.send(ident, "token", text=pending)
                pending, last = "", time.monotonic()
        if pending:
            self.send(ident, "token", text=pending)
        return {"finish_reason": reason, "stats": stats}


def main(_args: list[str]) -> int:
    """Entry of the worker process."""
    worker = InferenceWorker(Channel(claim_stdout()))
    threading.Thread(target=worker.read_stdin, daemon=True).start()
    return worker.run()
