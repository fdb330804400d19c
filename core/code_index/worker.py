"""The code worker: searches the code of projects and keeps their indexes up to date. `python -m app --worker code`.

Commands: configure, watch, forget, reopen, search, context, grep, read, status, relieve, stop, quit; each but stop and
quit is answered by exactly one of done, failed or stopped with its id. Without an id come `changed {project, summary}`,
`behind {project, chunks}` where a job is needed, `ready {project}` when a model came that a search did not wait for,
`notice {project, error}`, `memory {asks}`, which the parent answers with `memory {granted}`, and `memory {holds}`.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from core import registries
from core.cancel import CancelToken
from core.code_index.gated import Models
from core.code_index.reader import ProjectIndex
from core.code_index.spec import ProjectSpec
from core.code_index.updating import Updating
from core.errors import AppError, Cancelled, bug_report
from core.inference.arbiter import EMBEDDER
from core.workers import protocol
from core.workers.host import Channel, claim_stdout

log = logging.getLogger(__name__)
COMMANDS = (
    "configure", "watch", "forget", "reopen", "search", "context", "grep", "read", "status", "relieve",
)  # fmt: skip
MEMORY_WAIT_S = 10.0
# Measured on code: 3.5 characters a token (notes); a little less errs on the safe side.
CHARACTERS_A_TOKEN = 3.2


def count_tokens(text: str) -> int:
    """An estimate: the tokenizer is that of the model that answers, in another process."""
    return round(len(text) / CHARACTERS_A_TOKEN) + 1


class CodeWorker:
    """Questions on the main thread, in order; changes of files on another."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._tokens: dict[str, CancelToken] = {}
        self._answered = threading.Event()
        self._granted = False
        self._asking = threading.Lock()
        self._held = 0
        self.models = Models(self._ask_memory, self._hold)
        self._projects: dict[str, ProjectIndex] = {}
        self._told: set[str] = set()
        self._updating: Updating | None = None

    def send(self, ident: str, kind: str, **fields: Any) -> None:
        """One event to the parent."""
        self._channel.send(protocol.encode(ident, kind, fields))

    # Memory

    def _ask_memory(self, size_bytes: int) -> bool:
        with self._asking:
            self._answered.clear()
            self._granted = False
            self.send("", "memory", asks=size_bytes)
            return self._answered.wait(MEMORY_WAIT_S) and self._granted

    def _hold(self, size_bytes: int) -> None:
        self._held = size_bytes
        self.send("", "memory", holds={EMBEDDER: size_bytes} if size_bytes else {})

    # Commands

    def read_stdin(self) -> None:
        """Reader thread: commands into the queue; end of stdin ends the worker."""
        buffer = b""
        while chunk := os.read(0, 65536):
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                self._take(line)
        self._queue.put(None)
        # The main thread may be deep in a computation; the parent is gone, so nobody needs its result.
        time.sleep(5.0)
        os._exit(3)

    def _take(self, line: bytes) -> None:
        try:
            message = protocol.decode(line)
        except AppError as error:
            self.send("", "error", error=error.to_json())
            return
        kind, ident = message["type"], str(message.get("id", ""))
        if kind == "stop":
            if (token := self._tokens.get(ident)) is not None:
                token.cancel("user")
        elif kind == "memory":
            self._granted = bool(message["granted"])
            self._answered.set()
        elif kind == "quit":
            self._queue.put(None)
        elif kind in COMMANDS:
            self._tokens[ident] = CancelToken()
            self._queue.put(message)
        else:
            unknown = protocol.protocol_error(f"the unknown command {kind!r}")
            self.send(ident, "failed", error=unknown.to_json())

    def run(self) -> int:
        """Serve until the parent closes."""
        self.send("", "hello", pid=os.getpid(), protocol=protocol.VERSION)
        beat = time.monotonic()
        while True:
            try:
                message = self._queue.get(timeout=protocol.HEARTBEAT_S)
            except queue.Empty:
                message = {}
            if time.monotonic() - beat >= protocol.HEARTBEAT_S:
                beat = time.monotonic()
                self.send("", "heartbeat")
            if message is None:
                self._close()
                return 0
            if message:
                self._serve(message)

    def _close(self) -> None:
        if self._updating is not None:
            self._updating.close()
        for project in self._projects.values():
            project.close()

    def _serve(self, message: Mapping[str, Any]) -> None:
        ident = str(message["id"])
        handler: Callable[[Mapping[str, Any], CancelToken], Mapping[str, Any]] = getattr(self, f"_{message['type']}")
        token = self._tokens[ident]
        try:
            token.raise_if_cancelled()
            result = handler(message, token)
        except Cancelled:
            self.send(ident, "stopped", reason="user")
        except AppError as error:
            self.send(ident, "failed", error=error.to_json())
        except Exception as exc:
            log.exception("command %s", message["type"])
            self.send(ident, "failed", error=bug_report(exc, traceback.format_exc()).to_json())
        else:
            self.send(ident, "done", result=result)
        del self._tokens[ident]

    def _configure(self, message: Mapping[str, Any], _token: CancelToken) -> Mapping[str, Any]:
        registries.restore(message.get("registries", {}))
        for spec in message.get("watch", ()):
            self._keep(ProjectSpec.from_json(spec))
        return {}

    def _keep(self, spec: ProjectSpec) -> None:
        if self._updating is None:
            self._updating = Updating(self.models, lambda kind, **fields: self.send("", kind, **fields))
        self._updating.watch(spec)

    def _watch(self, message: Mapping[str, Any], _token: CancelToken) -> Mapping[str, Any]:
        project = self._project(message)
        if not project.spec.root_path.is_dir():
            raise AppError(
                "no_project_folder", f"The folder {project.spec.root} can't be found.",
                hint="Say where it is now, or connect the disk it is on. The index is kept.",
            )  # fmt: skip
        self._keep(project.spec)
        return {"there": project.there}

    def _forget(self, message: Mapping[str, Any], _token: CancelToken) -> Mapping[str, Any]:
        ident = str(message["project_id"])
        if self._updating is not None:
            self._updating.forget(ident)
        if (project := self._projects.pop(ident, None)) is not None:
            project.close()
        return {}

    def _reopen(self, message: Mapping[str, Any], _token: CancelToken) -> Mapping[str, Any]:
        ident = str(message["project_id"])
        if (project := self._projects.get(ident)) is not None:
            project.close()
        self._told.discard(ident)
        if self._updating is not None:
            self._updating.look_again(ident)
        return {}

    def _project(self, message: Mapping[str, Any]) -> ProjectIndex:
        """The project of a command; what is wrong with its index is told once, and mended by a job."""
        spec = ProjectSpec.from_json(message["project"])
        found = self._projects.get(spec.id)
        if found is None or found.spec != spec:
            if found is not None:
                found.close()
            found = self._projects[spec.id] = ProjectIndex(spec, self.models, self._on_loaded)
        if not found.there and found.damaged and spec.id not in self._told:
            self._told.add(spec.id)
            if found.notice is not None:
                self.send("", "notice", project=spec.id, error=found.notice.to_json())
            self.send("", "behind", project=spec.id, chunks=0)
        return found

    def _on_loaded(self, spec: ProjectSpec) -> None:
        """The model is there that a search did not wait for: who shows what was found asks again."""
        self.send("", "ready", project=spec.id)

    def _search(self, message: Mapping[str, Any], _token: CancelToken) -> Mapping[str, Any]:
        wait = bool(message.get("wait", True))
        return self._project(message).search(str(message["text"]), int(message.get("k", 10)), wait=wait)

    def _context(self, message: Mapping[str, Any], _token: CancelToken) -> Mapping[str, Any]:
        return self._project(message).context(str(message["text"]), int(message["budget"]), count_tokens)

    def _grep(self, message: Mapping[str, Any], token: CancelToken) -> Mapping[str, Any]:
        known = ("regex", "ignore_case", "whole_word", "languages", "paths", "limit", "context")
        options = {key: message[key] for key in known if key in message}
        return self._project(message).grep(str(message["pattern"]), options, token)

    def _read(self, message: Mapping[str, Any], _token: CancelToken) -> Mapping[str, Any]:
        return self._project(message).read(str(message["path"]), [int(line) for line in message.get("lines", ())])

    def _status(self, message: Mapping[str, Any], _token: CancelToken) -> Mapping[str, Any]:
        return self._project(message).status()

    def _relieve(self, _message: Mapping[str, Any], _token: CancelToken) -> Mapping[str, Any]:
        before = self._held
        self.models.relieve()
        self.send("", "memory", holds={})
        return {"bytes": before}


def main(_args: list[str]) -> int:
    """Entry of the code worker."""
    channel = Channel(claim_stdout())
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    worker = CodeWorker(channel)
    threading.Thread(target=worker.read_stdin, name="stdin", daemon=True).start()
    return worker.run()
