"""Job kinds about projects; light, the work is in `core.code_index.work`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core import jobs
from core.code_index.spec import ProjectSpec
from core.db import Database
from core.db.connection import now
from core.events import Changed
from core.jobs import Job, JobKind
from core.lanes import Lane
from core.projects import projects
from core.projects.projects import Project
from core.workspace import settings
from core.workspace.paths import Workspace

EMBEDDER = "embedder"
INDEX_JOB = "index_project"


def spec_of(workspace: Workspace, project: Project, embedder: str = "") -> ProjectSpec:
    """A project as a worker gets it; `embedder` is the workspace's, where the project has none of its own."""
    return ProjectSpec(
        project.id, project.name, str(project.root), str(project.folder(workspace).resolve()),
        str(workspace.embeddings.resolve()), project.embedder or embedder,
    )  # fmt: skip


def workspace_embedder(db: Database) -> str:
    """The model that projects are embedded with which name none, "" for the best there is."""
    return str(settings.get(db, EMBEDDER, ""))


def index_params(workspace: Workspace, project: Project, embedder: str = "") -> dict[str, Any]:
    """Parameters of `index_project`."""
    return {"project": spec_of(workspace, project, embedder).to_json()}


def project_of(job: Job) -> str:
    """The id of the project that an indexing job is about, empty for another kind."""
    named = job.params.get("project") if job.kind == INDEX_JOB else None
    return str(named.get("id", "")) if isinstance(named, Mapping) else ""


def jobs_of(db: Database, project_id: str) -> list[Job]:
    """Its indexing jobs, newest first."""
    return [job for job in jobs.listing(db, kind=INDEX_JOB) if project_of(job) == project_id]


def give_up_older(db: Database, project_id: str) -> Changed:
    """A new job does what those that rest had left: they are not resumed beside it."""
    return jobs.give_up(db, [job.id for job in jobs_of(db, project_id)])


def _apply(db: Database, _workspace: Workspace, job: Job, event: Mapping[str, Any]) -> Changed:
    project_id = str(job.params["project"]["id"])
    return projects.update(db, project_id, summary=event["summary"], indexed_at=now())


INDEX = JobKind(
    name=INDEX_JOB, handler="core.code_index.work:index_project", events=("indexed",), apply=_apply,
    worker="index", lane=Lane.INDEX, resumable=True, page="projects",
)  # fmt: skip
