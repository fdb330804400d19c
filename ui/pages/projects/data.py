"""What the page reads: projects with the branch of their folder, their newest indexing job, and their adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core import jobs
from core.code_index.branch import branch_of
from core.code_index.spec import ProjectSpec
from core.db import Database
from core.jobs import Job, JobState
from core.projects import projects
from core.projects.jobs import INDEX_JOB, project_of, spec_of, workspace_embedder
from core.projects.projects import Project
from core.training import store as training
from core.training.store import Adapter
from core.workspace.paths import Workspace


@dataclass(frozen=True)
class Entry:
    """A project as it is shown. `there` says that its folder can be reached; `job` is its newest one, if any."""

    project: Project
    spec: ProjectSpec
    there: bool
    branch: str = ""
    job: Job | None = None
    adapter: Adapter | None = None

    @property
    def id(self) -> str:
        """For lists."""
        return self.project.id

    @property
    def running(self) -> Job | None:
        """The job that is queued or under way."""
        return self.job if self.job is not None and self.job.status.active else None

    @property
    def halted(self) -> Job | None:
        """The job that can go on where it was left."""
        return self.job if self.job is not None and self.job.can_resume else None

    @property
    def summary(self) -> Summary:
        """Its index as it was last seen."""
        return Summary.from_json(self.project.summary)


@dataclass(frozen=True)
class Summary:
    """`projects.summary` as values; `known` is False for a project that was never indexed."""

    known: bool = False
    files: int = 0
    symbols: int = 0
    chunks: int = 0
    embedded: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    languages: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    changed_today: int = 0
    disk_bytes: int = 0
    last_change: float = 0.0
    embedder: str = ""
    notices: Sequence[str] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Summary:
        """What is missing reads as nothing."""
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__ and value is not None}
        languages = {str(key): (int(value[0]), int(value[1])) for key, value in (data.get("languages") or {}).items()}
        return cls(**known | {"languages": languages, "known": bool(data)})

    @property
    def all_embedded(self) -> bool:
        """Whether the index that answers has a vector for all there is, and there is something."""
        return 0 < self.chunks <= self.embedded

    @property
    def total_left_out(self) -> int:
        """Files and folders that are not indexed, whatever the reason."""
        return sum(self.left_out.values()) + sum(self.errors.values())


@dataclass(frozen=True)
class Overview:
    """Everything the page shows but the searches."""

    entries: Sequence[Entry]
    embedder: str
    last_opened: str

    def entry(self, project_id: str) -> Entry | None:
        """The project of that id."""
        return next((entry for entry in self.entries if entry.id == project_id), None)


def read_overview(db: Database, workspace: Workspace) -> Overview:
    """Reads folders too: never on the GUI thread."""
    embedder = workspace_embedder(db)
    newest: dict[str, Job] = {}
    for job in jobs.listing(db, kind=INDEX_JOB):
        ident = project_of(job)
        # One that waits or runs counts before one that ended later than it was asked for.
        if ident not in newest or (job.status.active and not newest[ident].status.active):
            newest[ident] = job
    adapters = {adapter.id: adapter for adapter in training.list_adapters(db)}
    entries = []
    for project in projects.listing(db):
        there = project.root.is_dir()
        adapter = adapters.get(project.artifact_id or "")
        branch = branch_of(project.root) if there else ""
        spec = spec_of(workspace, project, embedder)
        entries.append(Entry(project, spec, there, branch, newest.get(project.id), adapter))
    opened = max(entries, key=lambda entry: entry.project.opened_at or "", default=None)
    return Overview(entries, embedder, opened.id if opened else "")


def ended_badly(job: Job | None) -> bool:
    """Whether its error is of interest."""
    return job is not None and job.error is not None and job.status in (JobState.FAILED, JobState.INTERRUPTED)
