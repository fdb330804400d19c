"""The window's side of the worker that knows the code of projects: search, reading, what a question is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.engine_calls import Call, ignore, nothing
from app.leaving import Leaving
from app.worker_service import WorkerService
from core import registries
from core.code_index.spec import ProjectSpec
from core.errors import AppError
from core.lanes import Lane
from core.workers import protocol

Done = Callable[[Mapping[str, Any]], None]
Failed = Callable[[AppError], None]


class CodeService(WorkerService):
    """States: off, starting, ready. Each command names its project; a project that is watched stays so over a crash.

    `changed(project id, summary)` when its index holds something else; `behind(project id, chunks)` when so many
    chunks wait for their vectors that a job should make them; `ready(project id)` when a search by meaning is possible
    that was not before; `told(project id, AppError)` for what the user should know.
    """

    changed = Signal(str, object)
    behind = Signal(str, int)
    ready = Signal(str)
    told = Signal(str, object)

    WORKER = "code"
    LANE = Lane.INDEX
    WHO = "The process that searches code"
    AGAIN = "Search again; the process restarts. The index is kept."

    def __init__(self, log_path: Path, parent: QObject | None = None, **more: Any) -> None:
        super().__init__(log_path, Leaving("", 5_000), parent, **more)
        self._watched: dict[str, ProjectSpec] = {}
        # Asked before an embedding model is loaded, with its bytes; says whether there is room for it.
        self.gate: Callable[[int], bool] = lambda _bytes: True

    def _configuration(self) -> Mapping[str, Any]:
        watch = [spec.to_json() for spec in self._watched.values()]
        return {"registries": registries.snapshot(), "watch": watch}

    def _closed(self) -> AppError:
        return AppError("engine_closed", "The search was ended.", hint="Search again.")

    def _heard(self, kind: str, message: Mapping[str, Any]) -> None:
        project = str(message.get("project", ""))
        if kind == "memory" and self._process is not None:
            granted = self.gate(int(message["asks"]))
            self._process.write(protocol.encode("", "memory", {"granted": granted}))
        elif kind == "changed":
            self.changed.emit(project, message["summary"])
        elif kind == "behind":
            self.behind.emit(project, int(message["chunks"]))
        elif kind == "ready":
            self.ready.emit(project)
        elif kind == "notice":
            self.told.emit(project, AppError.from_json(message["error"]))

    def watch(self, spec: ProjectSpec, done: Done = nothing, failed: Failed = ignore) -> None:
        """Keep the index of a project up to date from now on, whatever changes in its folder."""
        if self._watched.get(spec.id) == spec and self._process is not None:
            return
        self._watched[spec.id] = spec
        self._send(Call("watch", {"project": spec.to_json()}, self, done, failed))

    def forget(self, project_id: str) -> None:
        """Watch a project no more and let its index go, as before it is deleted or made anew."""
        self._watched.pop(project_id, None)
        if self._process is not None:
            self._send(Call("forget", {"project_id": project_id}, self, nothing, ignore))

    def job_ended(self, project_id: str) -> None:
        """A job has written to the index of that project: what is open is looked at again."""
        if self._process is not None:
            self._send(Call("reopen", {"project_id": project_id}, self, nothing, ignore))

    def search(self, owner: QObject, spec: ProjectSpec, text: str, done: Done, failed: Failed, *, k: int = 10) -> str:
        """Symbols that fit a text; `done({"found": [...], "notices": [...], "total", "seconds"})`. Returns the id.

        It never waits for an embedding model: words and names answer until `ready`.
        """
        return self._ask(owner, spec, "search", done, failed, text=text, k=k, wait=False)

    def context(
        self, owner: QObject, spec: ProjectSpec, text: str, budget_tokens: int, done: Done, failed: Failed
    ) -> str:
        """What a question is given, packed to a budget: `core.projects.assistant.Given` as JSON."""
        return self._ask(owner, spec, "context", done, failed, text=text, budget=budget_tokens)

    def grep(self, owner: QObject, spec: ProjectSpec, pattern: str, done: Done, failed: Failed, **options: Any) -> str:
        """Lines that hold a text, from the files as they are: `done({"lines": [...], "more": bool})`."""
        return self._ask(owner, spec, "grep", done, failed, pattern=pattern, **options)

    def read(
        self, owner: QObject, spec: ProjectSpec, path: str, done: Done, failed: Failed, lines: Sequence[int] = ()
    ) -> str:
        """A file with its symbols, and what is called by and calls those of `lines` (first, last)."""
        return self._ask(owner, spec, "read", done, failed, path=path, lines=list(lines))

    def relieve(self) -> None:
        """Give the embedding model's memory back; it is loaded again when it is needed."""
        if self._process is not None:
            self._send(Call("relieve", {}, self, nothing, ignore))

    def drop(self, ident: str) -> None:
        """The answer to a search is not wanted any more: a newer one was asked, which does not wait for it."""
        call = self._calls.pop(ident, None)
        if call is not None and call.written and self._process is not None:
            self._process.write(protocol.encode(ident, "stop", {}))
        self._refresh()

    def _ask(self, owner: QObject, spec: ProjectSpec, kind: str, done: Done, failed: Failed, **fields: Any) -> str:
        return self._send(Call(kind, {"project": spec.to_json(), **fields}, owner, done, failed))
