"""Keeps the indexes of projects up to date, whichever page is open: what the code worker and the jobs report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol

from PySide6.QtCore import QObject, Signal, Slot

from app.changes import ChangeHub
from app.code_service import CodeService
from app.jobs.queue import JobQueue
from app.notify import Notifier
from core.code_index.spec import ProjectSpec
from core.db import Database
from core.db.connection import now
from core.errors import AppError
from core.events import Changed
from core.jobs import Job, JobState
from core.projects import projects
from core.projects.jobs import INDEX_JOB, give_up_older, index_params, jobs_of, project_of, workspace_embedder
from core.workspace.paths import Workspace

# So often a job whose worker ended goes on by itself; then it waits for the user.
TRIES = 2


class Work(Protocol):
    """What it needs of `app.services.Services`."""

    workspace: Workspace
    queue: JobQueue
    hub: ChangeHub
    notifier: Notifier

    def read(
        self, owner: QObject, fn: Callable[[Database], Any], done: Callable[[Any], None],
        failed: Callable[[Exception], None] | None = None,
    ) -> int:  # fmt: skip
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
        self._tries: dict[str, int] = {}
        # Their job was stopped for one with another model or folder.
        self._again: set[str] = set()
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
        values: dict[str, Any] = {"indexed_at": now()} if summary.get("files") else {}

        def keep(db: Database) -> Changed:
            # What a job found missing (its model, say) is still missing.
            known = next((one.summary for one in projects.listing(db) if one.id == project_id), {})
            told = {"notices": known.get("notices", ())} if not summary.get("notices") else {}
            return projects.update(db, project_id, summary={**summary, **told}, **values)

        self._work.write(self, keep)
        self.changed.emit(project_id)

    @Slot(str, int)
    def _on_behind(self, project_id: str, _chunks: int) -> None:
        self._work.read(self, lambda db: _next(db, self._work.workspace, project_id), partial(self._go_on, project_id))

    def _go_on(self, project_id: str, job_id: str | None) -> None:
        """Resume that job; a new one where its name is empty, nothing where there is none."""
        if job_id is None or project_id in self._starting:
            return
        if not job_id:
            self.start(project_id)
        elif self._tries.get(project_id, 0) < TRIES:
            self._tries[project_id] = self._tries.get(project_id, 0) + 1
            self._work.queue.resume(job_id)

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
        """Index it as a job; where one is on its way for another model or folder, after that one was stopped."""
        if project_id in self._starting:
            self._if_other(project_id, self._instead)
            return
        self._starting.add(project_id)

        def submit(found: tuple[str, dict[str, Any]] | None) -> None:
            if found is None:
                # Deleted meanwhile.
                self._starting.discard(project_id)
                return
            name, params = found
            self._work.write(self, lambda db: give_up_older(db, project_id))
            self._work.start_job(
                INDEX_JOB, f"Indexing {name}", params, lambda _job: self._starting.discard(project_id), self,
                refused=lambda: self._starting.discard(project_id),
            )  # fmt: skip

        def failed(exc: Exception) -> None:
            self._starting.discard(project_id)
            self._work.notifier.report(exc)

        self._work.read(self, lambda db: _wanted(db, self._work.workspace, project_id), submit, failed)

    def _if_other(self, project_id: str, then: Callable[[str], None], job: Job | None = None) -> None:
        """`then(id)` where the project is indexed otherwise by now than by `job`, or by that which is under way."""
        running = next((one for one in self._work.queue.running() if project_of(one) == project_id), None)
        before = job or running
        if before is None:
            return

        def looked(found: tuple[str, dict[str, Any]] | None) -> None:
            if found is not None and _how(found[1]) != _how(before.params):
                then(project_id)

        self._work.read(self, lambda db: _wanted(db, self._work.workspace, project_id), looked)

    def _instead(self, project_id: str) -> None:
        self._again.add(project_id)
        for job in self._work.queue.running():
            if project_of(job) == project_id:
                self._work.queue.stop(job.id)

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
        if not project:
            return
        self._code.job_ended(project)
        self.changed.emit(project)
        if project in self._again:
            self._again.discard(project)
            self._starting.discard(project)
            self.start(project)
        elif job.status is JobState.COMPLETED:
            self._tries.pop(project, None)
            # Another model was chosen meanwhile.
            self._if_other(project, self.start, job)

    @Slot(str, object, object, str, object)
    def _on_progress(self, job_id: str, done: int, total: int, message: str, _left: float | None) -> None:
        project, step = self._jobs.get(job_id, ""), Progress(done, total, message)
        if project and self.progress.get(project) != step:
            self.progress[project] = step
            self.progressed.emit(project)


def _rests(db: Database, project_id: str) -> bool:
    """Whether no job is to begin by itself: deleted meanwhile, one is on its way, the user stopped or paused the last,
    it failed, or it could do nothing about the chunks that wait (its model is not here)."""
    if project_id not in {project.id for project in projects.listing(db)}:
        return True
    mine = jobs_of(db, project_id)
    if any(job.status.active for job in mine):
        return True
    if not mine:
        return False
    last = mine[0]
    result = last.result or {}
    idle = last.status is JobState.COMPLETED and bool(result.get("missing")) and not result.get("embedded")
    return idle or last.status in (JobState.PAUSED, JobState.CANCELLED, JobState.FAILED)


def _next(db: Database, workspace: Workspace, project_id: str) -> str | None:
    """The interrupted job that goes on, "" where a new one is to begin, None where none is."""
    if _rests(db, project_id):
        return None
    last, wanted = next(iter(jobs_of(db, project_id)), None), _wanted(db, workspace, project_id)
    if last is None or wanted is None or last.status is not JobState.INTERRUPTED or not last.can_resume:
        return ""
    return last.id if _how(last.params) == _how(wanted[1]) else ""


def _wanted(db: Database, workspace: Workspace, project_id: str) -> tuple[str, dict[str, Any]] | None:
    """Name and parameters of the job that indexes it as it is set now; None for one that was deleted."""
    project = next((one for one in projects.listing(db) if one.id == project_id), None)
    return (project.name, index_params(workspace, project, workspace_embedder(db))) if project else None


def _how(params: Mapping[str, Any]) -> tuple[str, str]:
    """What decides the index: the folder and the model."""
    spec = ProjectSpec.from_json(params["project"])
    return spec.root, spec.embedder


def _embedded_by_default(db: Database) -> tuple[str, list[str]]:
    """The workspace's model, and the projects that are embedded with it and were indexed before."""
    theirs = [one.id for one in projects.listing(db) if not one.embedder and one.indexed_at]
    return workspace_embedder(db), [ident for ident in theirs if not _rests(db, ident)]
