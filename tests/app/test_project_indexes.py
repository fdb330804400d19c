"""Indexes are kept up to date whichever page is open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core import jobs
from core.events import Changed
from core.jobs import JobState
from core.projects import projects
from core.projects.jobs import EMBEDDER, INDEX_JOB
from core.workspace import settings
from tests.support.project_page import add_indexed, use_double
from tests.support.refund_project import write_project


def completed(services: Any, count: int) -> bool:
    return len(jobs.listing(services.connections.db, kind=INDEX_JOB, states=(JobState.COMPLETED,))) == count


def test_without_the_page_what_changes_is_kept_and_what_is_behind_is_indexed(
    qtbot: Any, services: Any, tmp_path: Path
) -> None:
    code, db = use_double(services), services.connections.db
    project = add_indexed(services, write_project(tmp_path / "api"))
    code.changed.emit(project.id, {**project.summary, "files": 1204})
    qtbot.waitUntil(lambda: projects.get(db, project.id).summary["files"] == 1204)
    code.behind.emit(project.id, 2000)
    qtbot.waitUntil(lambda: completed(services, 1))
    qtbot.waitUntil(lambda: code.asked_for("job_ended") == [project.id])
    # Deleted meanwhile.
    services.indexes.start("gone")
    code.behind.emit("gone", 2000)
    qtbot.waitUntil(lambda: not services.tasks.busy)
    assert len(jobs.listing(db, kind=INDEX_JOB)) == 1


def test_another_model_of_the_workspace_indexes_the_projects_that_have_none_of_their_own(
    qtbot: Any, services: Any, tmp_path: Path
) -> None:
    use_double(services)
    db = services.connections.db
    project = add_indexed(services, write_project(tmp_path / "api"))
    own = add_indexed(services, write_project(tmp_path / "web"), embedder="mini")
    projects.update(db, own.id, embedder="mini")
    projects.add(db, write_project(tmp_path / "not indexed yet"))
    services.hub.announce(Changed.everything())
    qtbot.waitUntil(lambda: services.indexes._embedder == "")
    services.hub.announce(settings.put(db, "theme", "dark"))
    qtbot.waitUntil(lambda: not services.tasks.busy)
    assert jobs.listing(db, kind=INDEX_JOB) == []
    services.hub.announce(settings.put(db, EMBEDDER, "other"))
    qtbot.waitUntil(lambda: completed(services, 1))
    (job,) = jobs.listing(db, kind=INDEX_JOB)
    assert (job.params["project"]["id"], job.params["project"]["embedder"]) == (project.id, "other")
