"""What pages get: one workspace's data, background work, and ways to speak to the user."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import shiboken6
from PySide6.QtCore import QObject

from app.base_siblings import BaseSiblings
from app.changes import ChangeHub
from app.code_service import CodeService
from app.inference import InferenceService
from app.jobs.queue import JobQueue
from app.jobs.tasks import TaskRunner
from app.memory_arbiter import MemoryArbiter
from app.memory_watch import MemoryWatch
from app.navigator import Navigator
from app.notify import Notifier
from app.ollama_service import OllamaService
from app.opening import PAUSED_FOR_CHAT
from app.project_indexes import ProjectIndexes
from app.window_state import WindowState
from core import jobs, memory
from core.db import Database
from core.db.connection import Connections, new_id
from core.events import Changed
from core.inference.arbiter import cache_budget
from core.inference.engine import EngineOptions
from core.jobs import Job
from core.workspace import settings
from core.workspace.paths import Workspace

log = logging.getLogger(__name__)
T = TypeVar("T")
Written = Changed | tuple[Changed, T]
Failed = Callable[[Exception], None]


@dataclass(eq=False)
class Services:
    """Handed to every page. Lives in the GUI thread; only `engine` is ever set again.

    `engine` is the client of the inference worker, whose process starts with the first question; `close_engine`
    ends it in order.
    """

    workspace: Workspace
    connections: Connections
    tasks: TaskRunner
    queue: JobQueue
    hub: ChangeHub
    notifier: Notifier
    navigator: Navigator
    state: WindowState
    root: QObject
    arbiter: MemoryArbiter
    code: CodeService
    indexes: ProjectIndexes = field(init=False)
    siblings: BaseSiblings = field(init=False)
    ollama: OllamaService = field(init=False)
    engine: Any = None
    close_engine: Callable[[], None] | None = None
    spoken_for: set[str] = field(default_factory=set)
    _waiting: dict[str, list[tuple[QObject, Callable[[Job], None]]]] = field(default_factory=dict)

    def read(
        self,
        owner: QObject,
        fn: Callable[[Database], T],
        done: Callable[[T], None],
        failed: Failed | None = None,
    ) -> int:
        """Query on a thread of the read lane; `done(result)` on the GUI thread unless `owner` is gone.

        Returns a handle for `forget`. Without `failed`, an error is shown as the owner's banner.
        """
        return self.tasks.run(owner, lambda: fn(self.connections.db), done, failed)

    def run(
        self,
        owner: QObject,
        fn: Callable[[], T],
        done: Callable[[T], None] | None = None,
        failed: Failed | None = None,
    ) -> int:
        """Like `read` for work without the database: files, hashing, HTTP."""
        return self.tasks.run(owner, fn, done, failed)

    def forget(self, handle: int | None) -> None:
        """Don't call back: a newer question was asked."""
        if handle is not None:
            self.tasks.forget(handle)

    def write(
        self,
        owner: QObject,
        fn: Callable[[Database], Written[T]],
        done: Callable[[Any], None] | None = None,
        failed: Failed | None = None,
    ) -> None:
        """Write on the serial lane; `fn` returns what changed, or (what changed, result).

        Screens are notified through the hub, also when `owner` is gone by then; `done(result | None)` comes after.
        """

        def on_done(written: Written[T]) -> None:
            changed, result = written if isinstance(written, tuple) else (written, None)
            self.hub.announce(changed)
            if done is not None and shiboken6.isValid(owner):
                done(result)

        def on_failed(exc: Exception) -> None:
            if failed is not None and shiboken6.isValid(owner):
                failed(exc)
            else:
                self.notifier.report(exc, owner if shiboken6.isValid(owner) else None)

        self.tasks.run(self.root, lambda: fn(self.connections.db), on_done, on_failed, serial=True)

    def start_job(
        self,
        kind: str,
        title: str,
        params: Mapping[str, Any],
        then: Callable[[Job], None] | None = None,
        owner: QObject | None = None,
        waits_for: Sequence[str] = (),
        refused: Callable[[], None] | None = None,
    ) -> str:
        """Queue a job and return its id; `then(job)` once it is done, in whatever state, unless `owner` is gone.

        `refused()` when it could not even be queued, as on a full disk; the error is reported before.
        """
        job_id = new_id()
        if then is not None:
            self._waiting.setdefault(job_id, []).append((owner or self.root, then))

        def on_refused(exc: Exception) -> None:
            self._waiting.pop(job_id, None)
            self.notifier.report(exc)
            if refused is not None:
                refused()

        self.queue.submit(kind, title, params, job_id, waits_for, on_refused)
        return job_id

    def speaks_for(self, job_id: str) -> None:
        """Whoever started that job says itself how it ended, where it ended well."""
        self.spoken_for.add(job_id)

    def when_finished(self, job_id: str, owner: QObject, then: Callable[[Job], None]) -> None:
        """Call `then(job)` once, when that job ends in this session."""
        self._waiting.setdefault(job_id, []).append((owner, then))

    def tell_waiting(self, job: Job) -> None:
        """Call who waits for this job; connected to the queue."""
        for owner, then in self._waiting.pop(job.id, []):
            if shiboken6.isValid(owner):
                then(job)

    def close(self, timeout_ms: int = 5000) -> None:
        """After the queue is idle: end the engine, let queued writes end, close the connections."""
        if self.close_engine is not None:
            self.close_engine()
        self.code.shutdown()
        self.ollama.stop_starting()
        self.tasks.shutdown(timeout_ms)
        self.connections.close_current()
        self.root.deleteLater()


def build_services(workspace: Workspace, connections: Connections, state: WindowState) -> Services:
    """Wire one workspace's services; they belong to a fresh root object."""
    root = QObject()
    tasks = TaskRunner(root, on_thread_exit=connections.close_current)
    hub = ChangeHub(root)
    queue = JobQueue(workspace, connections, tasks, hub, root)
    notifier = Notifier(root)
    engine = InferenceService(
        workspace.logs / "inference.log",
        EngineOptions(cache_folder=str(workspace.prompt_caches), cache_bytes=cache_budget(memory.read().budget)),
        root,
    )
    code = CodeService(workspace.logs / "code.log", root)
    arbiter = MemoryArbiter(engine, queue, root, search=code)
    MemoryWatch(engine, root)
    services = Services(
        workspace, connections, tasks, queue, hub, notifier, Navigator(root), state, root, arbiter, code, engine,
        engine.shutdown,
    )  # fmt: skip
    services.indexes = ProjectIndexes(services, code, root)
    services.siblings = BaseSiblings(services, root)
    services.ollama = OllamaService(services, workspace.logs / "ollama.log", root)
    arbiter.attend(services.ollama)
    services.ollama.moved.connect(engine.served_elsewhere)
    tasks.error.connect(notifier.report)
    queue.failed.connect(notifier.report)
    queue.finished.connect(services.tell_waiting)
    arbiter.paused.connect(
        lambda job: notifier.say(f"“{job.title}” paused to make room for your question; it resumes by itself")
    )
    arbiter.owes.connect(lambda ids: services.write(root, lambda db: settings.put(db, PAUSED_FOR_CHAT, ids)))
    arbiter.still_paused = lambda ids, then: services.read(root, lambda db: jobs.those_paused(db, ids), then)
    return services
