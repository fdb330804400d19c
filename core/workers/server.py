"""A long-lived worker: commands on stdin, each answered by exactly one of done, failed or stopped with its id.

The main thread does one command after the other; a reader thread takes them, and does at once what can't wait.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
import traceback
from collections.abc import Mapping
from typing import Any, ClassVar

from core.errors import AppError, Cancelled, bug_report
from core.workers import protocol
from core.workers.host import Channel, claim_stdout

log = logging.getLogger(__name__)
# Without a parent nobody needs what the main thread is deep in.
BUSY_S = 1.0


class CommandServer:
    """A command `name` is done by the method `_name(message)`; what it returns is the result, None for no answer."""

    COMMANDS: ClassVar[tuple[str, ...]] = ()
    # How long its end may take; after how long without a command it begins with what can wait.
    CLOSE_S: ClassVar[float] = 3.0
    REST_S: ClassVar[float] = protocol.HEARTBEAT_S

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._leaving = threading.Event()
        # Commands that are not answered yet: a stop that comes later than the answer stops nothing.
        self._open: set[str] = set()

    def send(self, ident: str, kind: str, **fields: Any) -> None:
        """One event to the parent. Any thread."""
        self._channel.send(protocol.encode(ident, kind, fields))

    # For the worker itself

    def _taken(self, message: Mapping[str, Any]) -> bool:
        """Whether it was done at once, on the reader thread: `stop`, and what the main thread may be waiting for."""
        raise NotImplementedError

    def _answer(self, message: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Do a command. Raises AppError, or Cancelled where it was stopped."""
        found: Mapping[str, Any] | None = getattr(self, f"_{message['type']}")(message)
        return found

    def _served(self, ident: str) -> None:
        """A command was answered."""

    def _rest(self) -> bool:
        """Nothing is asked: do a piece of what can wait; whether there is more of it."""
        return False

    def _close(self) -> None:
        """The parent has closed: end in order."""

    # The reader thread

    def read_stdin(self) -> None:
        """Commands into the queue; end of stdin ends the worker."""
        buffer = b""
        while chunk := os.read(0, 65536):
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                self._take(line)
        self._queue.put(None)
        if self._leaving.wait(BUSY_S):
            time.sleep(self.CLOSE_S)
        os._exit(3)

    def _take(self, line: bytes) -> None:
        try:
            message = protocol.decode(line)
        except AppError as error:
            self.send("", "error", error=error.to_json())
            return
        kind = message["type"]
        if kind == "quit":
            self._queue.put(None)
        elif kind in self.COMMANDS:
            self._open.add(str(message["id"]))
            self._queue.put(message)
        elif not self._taken(message):
            unknown = protocol.protocol_error(f"the unknown command {kind!r}")
            self.send(str(message.get("id", "")), "failed", error=unknown.to_json())

    # The main thread

    def run(self) -> int:
        """Serve until the parent closes."""
        self.send("", "hello", pid=os.getpid(), protocol=protocol.VERSION)
        beat, more = time.monotonic(), True
        while True:
            try:
                message = self._queue.get(timeout=self.REST_S if more else protocol.HEARTBEAT_S)
            except queue.Empty:
                more = self._rest()
                if time.monotonic() - beat >= protocol.HEARTBEAT_S:
                    beat = time.monotonic()
                    self.send("", "heartbeat")
                continue
            if message is None:
                self._leaving.set()
                self._close()
                return 0
            self._serve(message)
            more = True

    def _serve(self, message: Mapping[str, Any]) -> None:
        ident = str(message["id"])
        try:
            result = self._answer(message)
        except Cancelled:
            self.send(ident, "stopped", reason="user")
        except AppError as error:
            self.send(ident, "failed", error=error.to_json())
        except Exception as exc:
            log.exception("command %s", message["type"])
            self.send(ident, "failed", error=bug_report(exc, traceback.format_exc()).to_json())
        else:
            if result is not None:
                self.send(ident, "done", result=result)
        self._open.discard(ident)
        self._served(ident)


def serve(kind: type[CommandServer]) -> int:
    """Entry of such a worker: claim stdout, read commands, serve until the parent closes."""
    channel = Channel(claim_stdout())
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    worker = kind(channel)
    threading.Thread(target=worker.read_stdin, name="stdin", daemon=True).start()
    return worker.run()
