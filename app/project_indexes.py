"""Keeps the indexes of projects up to date, whichever page is open: what the code worker and the jobs report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from PySide6.QtCore import QObject, Signal, Slot
from sqlite_utils import Database

from app.changes import ChangeHub
from app.code_service import CodeService
from app.jobs.queue import JobQueue
from core import jobs
from core.code_index.spec import ProjectSpec
from core.db.connection import now
from core.errors import AppError
from core.events import Changed
from core.jobs import Job, JobState
from core.projects import projects
from core.projects.jobs import INDEX_JOB, index_params, project_of, workspace_embedder
from core.workspace.paths import Workspace


class Work(Protocol):
    """What it needs of `app.services.Services`."""

    workspace: Workspace
    queue: JobQueue
    hub: ChangeHub

    def read(self, owner: QObject, fn: Callable[[Database], Any], done: Callable[[Any], None]) -> int:
        """Query off the window's thread."""
        ...

    def write(self, owner: QObject, fn: Callable[[Database], Any]) -> None:
        """Write off the window's thread."""
        ...

    def start_job(
        self, kind: str, title: str, params: Mapping[str, Any], then: Callable[[Job], None], owner: QObject, *,
        refused: Callable[[], None],
    ) -> str:  # fmt: skip
        """Queue a job."""
        ...


class Progress(NamedTuple):
    """How far an indexing job is; `said` is its stage, or its rate in words."""

    done: int
    total: int
    said: str


class ProjectIndexes(QObject):
    """`progressed(id)` when `progress.get(id)` is another; `changed(id)` when the index holds something else.

    `told(id, AppError)` for what the user should know of a project.
    """

    progressed = Signal(str)
    changed = Signal(str)
    told = Signal(str, object)

    def __init__(self, work: Work, code: CodeService, parent: QObject) -> None:
        super().__init__(parent)
        self._work, self._code = work, code
        self.progress: dict[str, Progress] = {}
        self._watched: dict[str, ProjectSpec] = {}
        self._jobs: dict[str, str] = {}
        self._starting: set[str] = set()
        self._embedder: str | None = None
        code.changed.connect(self._on_changed)
        code.behind.connect(self._on_behind)
        # What was found without the model is looked for again with it.
        code.ready.connect(self.changed)
        code.told.connect(self.told)
        work.queue.progress.connect(self._on_progress)
        work.queue.job_changed.connect(self._on_job)
        work.queue.finished.connect(self._on_finished)
        work.hub.changed.connect(self._on_data)

    # Watching

    def watch(self, spec: ProjectSpec) -> None:
        """Keep that project's index up to date from now on."""
        if self._watched.get(spec.id) == spec:
            return
        self._watched[spec.id] = spec

        def failed(error: AppError) -> None:
            # Asked again when it is shown next.
            self._watched.pop(spec.id, None)
            self.told.emit(spec.id, error)

        self._code.watch(spec, failed=failed)

    def forget(self, project_id: str) -> None:
        """Let its index go, as before the project is deleted."""
        self._watched.pop(project_id, None)
        self._code.forget(project_id)

    @Slot(str, object)
    def _on_changed(self, project_id: str, summary: Mapping[str, Any]) -> None:
        values: dict[str, Any] = {"summary": dict(summary)}
        if summary.get("files"):
            values["indexed_at"] = now()
        self._work.write(self, lambda db: projects.update(db, project_id, **values))
        self.changed.emit(project_id)

    @Slot(str, int)
    def _on_behind(self, project_id: str, _chunks: int) -> None:
        self._work.read(
            self, lambda db: _rests(db, project_id), lambda rests: None if rests else self.start(project_id)
        )

    @Slot(object)
    def _on_data(self, what: Changed) -> None:
        """Another embedding model of the workspace: projects without one of their own are indexed with it."""
        if not what & Changed.SETTINGS:
            return
        before = self._embedder

        def found(answer: tuple[str, list[str]]) -> None:
            embedder, theirs = answer
            if embedder == self._embedder or self._embedder != before:
                return
            self._embedder = embedder
            for project_id in theirs if before is not None else ():
                self.start(project_id)

        self._work.read(self, _embedded_by_default, found)

    # Jobs

    def start(self, project_id: str) -> None:
        """Index it as a job, unless one is on its way."""
        if project_id in self._starting:
            return
        self._starting.add(project_id)
        workspace = self._work.workspace

        def ask(db: Database) -> tuple[str, dict[str, Any]] | None:
            project = next((one for one in projects.listing(db) if one.id == project_id), None)
            return (project.name, index_params(workspace, project, workspace_embedder(db))) if project else None

        def submit(found: tuple[str, dict[str, Any]] | None) -> None:
            if found is None:
                # Deleted meanwhile.
                self._starting.discard(project_id)
                return
            name, params = found
            self._work.start_job(
                INDEX_JOB, f"Indexing {name}", params, lambda _job: self._starting.discard(project_id), self,
                refused=lambda: self._starting.discard(project_id),
            )  # fmt: skip

        self._work.read(self, ask, submit)

    @Slot(object)
    def _on_job(self, job: Job) -> None:
        project = project_of(job)
        if not project:
            return
        self._jobs[job.id] = project
        if not job.status.active:
            # One that rests may be followed by another.
            self._starting.discard(project)
            if self.progress.pop(project, None):
                self.progressed.emit(project)

    @Slot(object)
    def _on_finished(self, job: Job) -> None:
        project = project_of(job)
        if project:
            self._code.job_ended(project)
            self.changed.emit(project)

    @Slot(str, object, object, str, object)
    def _on_progress(self, job_id: str, done: int, total: int, message: str, _left: float | None) -> None:
        project, step = self._jobs.get(job_id, ""), Progress(done, total, message)
        if project and self.progress.get(project) != step:
            self.progress[project] = step
            self.progressed.emit(project)


def _rests(db: Database, project_id: str) -> bool:
    """Whether no job is wanted: deleted meanwhile, one is on its way, or the user lets it rest."""
    if project_id not in {project.id for project in projects.listing(db)}:
        return True
    mine = [job for job in jobs.listing(db, kind=INDEX_JOB) if project_of(job) == project_id]
    return any(job.status.active for job in mine) or (bool(mine) and mine[0].status is JobState.PAUSED)


def _embedded_by_default(db: Database) -> tuple[str, list[str]]:
    """The workspace's model, and the projects that are embedded with it and were indexed before."""
    theirs = [one.id for one in projects.listing(db) if not one.embedder and one.indexed_at]
    return workspace_embedder(db), [ident for ident in theirs if not _rests(db, ident)]
