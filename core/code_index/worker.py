"""The code worker: searches the code of projects and keeps their indexes up to date. `python -m app --worker code`.

Commands: configure, watch, forget, reopen, search, context, grep, read, status, relieve, stop, quit; each but stop and
quit is answered by exactly one of done, failed or stopped with its id. Without an id come `changed {project, summary}`,
`behind {project, chunks}` where a job is needed, `ready {project}` when a model came that a search did not wait for,
`notice {project, error}`, `memory {asks}`, which the parent answers with `memory {granted}`, and `memory {holds}`.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from core import registries
from core.cancel import CancelToken
from core.code_index.gated import Models
from core.code_index.reader import ProjectIndex
from core.code_index.spec import ProjectSpec
from core.code_index.updating import Updating
from core.errors import AppError
from core.inference.arbiter import EMBEDDER
from core.workers.host import Channel
from core.workers.server import CommandServer, serve

MEMORY_WAIT_S = 10.0
# Measured on code: 3.5 characters a token (notes); a little less errs on the safe side.
CHARACTERS_A_TOKEN = 3.2


def count_tokens(text: str) -> int:
    """An estimate: the tokenizer is that of the model that answers, in another process."""
    return round(len(text) / CHARACTERS_A_TOKEN) + 1


class CodeWorker(CommandServer):
    """Questions on the main thread, in order; changes of files on another."""

    COMMANDS = (
        "configure", "watch", "forget", "reopen", "search", "context", "grep", "read", "status", "relieve",
    )  # fmt: skip
    # What is being written of an index is written.
    CLOSE_S = 5.0

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel)
        self._tokens: defaultdict[str, CancelToken] = defaultdict(CancelToken)
        self._answered = threading.Event()
        self._granted = False
        self._asking = threading.Lock()
        self._held = 0
        self.models = Models(self._ask_memory, self._hold)
        self._projects: dict[str, ProjectIndex] = {}
        self._told: set[str] = set()
        self._updating: Updating | None = None

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

    def _taken(self, message: Mapping[str, Any]) -> bool:
        if message["type"] == "stop":
            if str(message["id"]) in self._open:
                self._token(message).cancel("user")
        elif message["type"] == "memory":
            self._granted = bool(message["granted"])
            self._answered.set()
        else:
            return False
        return True

    def _answer(self, message: Mapping[str, Any]) -> Mapping[str, Any] | None:
        self._token(message).raise_if_cancelled()
        return super()._answer(message)

    def _served(self, ident: str) -> None:
        self._tokens.pop(ident, None)

    def _close(self) -> None:
        if self._updating is not None:
            self._updating.close()
        for project in self._projects.values():
            project.close()

    def _token(self, message: Mapping[str, Any]) -> CancelToken:
        return self._tokens[str(message["id"])]

    def _configure(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        registries.restore(message.get("registries", {}))
        for spec in message.get("watch", ()):
            self._keep(ProjectSpec.from_json(spec))
        return {}

    def _keep(self, spec: ProjectSpec) -> None:
        if self._updating is None:
            self._updating = Updating(self.models, lambda kind, **fields: self.send("", kind, **fields))
        self._updating.watch(spec)

    def _watch(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        project = self._project(message)
        if not project.spec.root_path.is_dir():
            raise AppError(
                "no_project_folder", f"The folder {project.spec.root} can't be found.",
                hint="Say where it is now, or connect the disk it is on. The index is kept.",
            )  # fmt: skip
        self._keep(project.spec)
        return {"there": project.there}

    def _forget(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        ident = str(message["project_id"])
        if self._updating is not None:
            self._updating.forget(ident)
        if (project := self._projects.pop(ident, None)) is not None:
            project.close()
        return {}

    def _reopen(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
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

    def _search(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        wait = bool(message.get("wait", True))
        return self._project(message).search(str(message["text"]), int(message.get("k", 10)), wait=wait)

    def _context(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._project(message).context(str(message["text"]), int(message["budget"]), count_tokens)

    def _grep(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        known = ("regex", "ignore_case", "whole_word", "languages", "paths", "limit", "context")
        options = {key: message[key] for key in known if key in message}
        return self._project(message).grep(str(message["pattern"]), options, self._token(message))

    def _read(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._project(message).read(str(message["path"]), [int(line) for line in message.get("lines", ())])

    def _status(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._project(message).status()

    def _relieve(self, _message: Mapping[str, Any]) -> Mapping[str, Any]:
        before = self._held
        self.models.relieve()
        self.send("", "memory", holds={})
        return {"bytes": before}


def main(_args: list[str]) -> int:
    """Entry of the code worker."""
    return serve(CodeWorker)
