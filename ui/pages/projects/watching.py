"""Keeps the indexes of the projects that were shown up to date: what the code worker and the indexing jobs report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot
from sqlite_utils import Database

from core import jobs
from core.code_index.spec import ProjectSpec
from core.db.connection import now
from core.errors import AppError
from core.jobs import Job, JobState
from core.projects import projects
from core.projects.jobs import index_params, workspace_embedder
from ui.pages.projects.data import INDEX_JOB, project_of
from ui.pages.projects.words import progress_words
from ui.widgets.page import Page

# The user let it rest: what is behind stays so until it goes on.
_RESTING = JobState.PAUSED


class Watching(QObject):
    """`progressed(id)` when `progress[id]` is another; `changed(id)` when the index holds something else.

    `told(id, AppError)` for what the user should know of a project.
    """

    progressed = Signal(str)
    changed = Signal(str)
    told = Signal(str, object)

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self._page, self._services = page, page.services
        self.progress: dict[str, str] = {}
        self._watched: dict[str, ProjectSpec] = {}
        self._jobs: dict[str, str] = {}
        self._starting: set[str] = set()
        code, queue = self._services.code, self._services.queue
        code.changed.connect(self._on_changed)
        code.behind.connect(self._on_behind)
        # What was found without the model is looked for again with it.
        code.ready.connect(self.changed)
        code.told.connect(self.told)
        queue.progress.connect(self._on_progress)
        queue.job_changed.connect(self._on_job)
        queue.finished.connect(self._on_finished)
        for job in queue.running():
            self._on_job(job)

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

        self._services.code.watch(spec, failed=failed)

    def forget(self, project_id: str) -> None:
        """Let its index go, as before the project is deleted."""
        self._watched.pop(project_id, None)
        self._services.code.forget(project_id)

    @Slot(str, object)
    def _on_changed(self, project_id: str, summary: Mapping[str, Any]) -> None:
        values: dict[str, Any] = {"summary": dict(summary)}
        if summary.get("files"):
            values["indexed_at"] = now()
        self._page.write(lambda db: projects.update(db, project_id, **values))
        self.changed.emit(project_id)

    @Slot(str, int)
    def _on_behind(self, project_id: str, _chunks: int) -> None:
        def resting(db: Database) -> bool:
            if project_id not in {project.id for project in projects.listing(db)}:
                # Deleted meanwhile.
                return True
            mine = [job for job in jobs.listing(db, kind=INDEX_JOB) if project_of(job) == project_id]
            return any(job.status.active for job in mine) or (bool(mine) and mine[0].status is _RESTING)

        self._services.read(self, resting, lambda rests: None if rests else self.start(project_id))

    # Jobs

    def start(self, project_id: str) -> None:
        """Index it as a job, unless one is on its way."""
        if project_id in self._starting:
            return
        self._starting.add(project_id)
        workspace = self._services.workspace

        def ask(db: Database) -> tuple[str, dict[str, Any]]:
            project = projects.get(db, project_id)
            return project.name, index_params(workspace, project, workspace_embedder(db))

        def submit(found: tuple[str, dict[str, Any]]) -> None:
            name, params = found
            self._services.start_job(
                INDEX_JOB, f"Indexing {name}", params, lambda _job: self._starting.discard(project_id), self,
                refused=lambda: self._starting.discard(project_id),
            )  # fmt: skip

        def failed(exc: Exception) -> None:
            self._starting.discard(project_id)
            self._services.notifier.report(exc, self._page)

        self._services.read(self, ask, submit, failed)

    @Slot(object)
    def _on_job(self, job: Job) -> None:
        project = project_of(job)
        if not project:
            return
        self._jobs[job.id] = project
        if not job.status.active:
            # One that rests may be followed by another.
            self._starting.discard(project)
            if self.progress.pop(project, ""):
                self.progressed.emit(project)

    @Slot(object)
    def _on_finished(self, job: Job) -> None:
        project = project_of(job)
        if project:
            self._services.code.job_ended(project)
            self.changed.emit(project)

    @Slot(str, object, object, str, object)
    def _on_progress(self, job_id: str, done: int, total: int, message: str, _left: float | None) -> None:
        project = self._jobs.get(job_id, "")
        words = progress_words(done, total, message)
        if project and self.progress.get(project) != words:
            self.progress[project] = words
            self.progressed.emit(project)
