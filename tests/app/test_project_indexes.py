"""Indexes are kept up to date whichever page is open."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import orjson

from app.project_indexes import TRIES
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


def indexing(services: Any) -> list[jobs.Job]:
    return jobs.listing(services.connections.db, kind=INDEX_JOB)


def hold(qtbot: Any, services: Any, root: Path, project_id: str) -> None:
    """Its job runs until `.hold` is gone from the folder."""
    (root / ".hold").touch()
    services.indexes.start(project_id)
    qtbot.waitUntil(lambda: bool(services.queue.running()))


def test_a_job_that_failed_or_was_stopped_is_not_begun_again_by_itself(
    qtbot: Any, services: Any, tmp_path: Path
) -> None:
    code = use_double(services)
    root = write_project(tmp_path / "api")
    project = add_indexed(services, root)
    (root / ".fail").touch()
    services.indexes.start(project.id)
    qtbot.waitUntil(lambda: [job.status for job in indexing(services)] == [JobState.FAILED])
    code.behind.emit(project.id, 0)
    qtbot.waitUntil(lambda: not services.tasks.busy)
    assert len(indexing(services)) == 1
    (root / ".fail").unlink()
    hold(qtbot, services, root, project.id)
    services.queue.stop(services.queue.running()[0].id)
    qtbot.waitUntil(lambda: indexing(services)[0].status is JobState.CANCELLED)
    qtbot.waitUntil(lambda: not services.queue.busy)
    code.behind.emit(project.id, 2000)
    qtbot.waitUntil(lambda: not services.tasks.busy)
    assert len(indexing(services)) == 2


def test_a_job_whose_worker_ended_goes_on_by_itself_and_not_for_ever(qtbot: Any, services: Any, tmp_path: Path) -> None:
    code = use_double(services)
    root = write_project(tmp_path / "api")
    project = add_indexed(services, root)
    hold(qtbot, services, root, project.id)
    for _ in range(TRIES + 1):
        qtbot.waitUntil(lambda: bool(services.queue.running()) and services.queue.pid(indexing(services)[0].id) > 0)
        os.kill(services.queue.pid(indexing(services)[0].id), signal.SIGKILL)
        qtbot.waitUntil(lambda: [job.status for job in indexing(services)] == [JobState.INTERRUPTED])
        qtbot.waitUntil(lambda: not services.queue.busy and project.id not in services.indexes._starting)
        code.behind.emit(project.id, 2000)
        qtbot.waitUntil(lambda: not services.tasks.busy)
    # The user may, and then it is whole; a double click is no error.
    qtbot.waitUntil(lambda: not services.queue.busy)
    assert [(job.status, job.can_resume) for job in indexing(services)] == [(JobState.INTERRUPTED, True)]
    (root / ".hold").unlink()
    refused: list[Exception] = []
    services.queue.failed.connect(refused.append)
    for _ in range(2):
        services.queue.resume(indexing(services)[0].id)
    qtbot.waitUntil(lambda: completed(services, 1))
    assert refused == []


def test_a_new_job_takes_the_place_of_those_that_rest(qtbot: Any, services: Any, tmp_path: Path) -> None:
    use_double(services)
    root = write_project(tmp_path / "api")
    project = add_indexed(services, root)
    hold(qtbot, services, root, project.id)
    services.queue.stop(services.queue.running()[0].id)
    qtbot.waitUntil(lambda: [job.can_resume for job in indexing(services)] == [True])
    # Known here too, not in the database alone.
    qtbot.waitUntil(lambda: not services.queue.busy and project.id not in services.indexes._starting)
    (root / ".hold").unlink()
    services.indexes.start(project.id)
    qtbot.waitUntil(lambda: completed(services, 1))
    assert [job.can_resume for job in indexing(services)] == [False, False]


def test_a_job_that_could_embed_nothing_is_not_begun_again_by_itself(qtbot: Any, services: Any, tmp_path: Path) -> None:
    code, db = use_double(services), services.connections.db
    project = add_indexed(services, write_project(tmp_path / "api"))
    services.indexes.start(project.id)
    qtbot.waitUntil(lambda: completed(services, 1))
    for result, begun in (({"missing": 40, "embedded": 0}, 1), ({"missing": 40, "embedded": 512}, 2)):
        db.execute("update jobs set result = ?", [orjson.dumps(result).decode()])
        db.conn.commit()
        code.behind.emit(project.id, 2000)
        qtbot.waitUntil(lambda: not services.tasks.busy)
        assert len(indexing(services)) == begun
    qtbot.waitUntil(lambda: completed(services, 2))


def test_another_model_while_a_job_runs_is_not_lost(qtbot: Any, services: Any, tmp_path: Path) -> None:
    use_double(services)
    db, root = services.connections.db, write_project(tmp_path / "api")
    project = add_indexed(services, root)
    hold(qtbot, services, root, project.id)
    # Asked for once more as it is: nothing else is begun.
    services.indexes.start(project.id)
    qtbot.waitUntil(lambda: not services.tasks.busy)
    assert [job.status.active for job in indexing(services)] == [True]
    projects.update(db, project.id, embedder="other")
    services.indexes.start(project.id)
    qtbot.waitUntil(lambda: len(indexing(services)) == 2)
    (root / ".hold").unlink()
    qtbot.waitUntil(lambda: completed(services, 1))
    newest, first = indexing(services)
    assert (newest.params["project"]["embedder"], newest.status) == ("other", JobState.COMPLETED)
    assert first.status is JobState.CANCELLED


def test_another_model_of_the_workspace_while_a_job_runs_is_indexed_with_after_it(
    qtbot: Any, services: Any, tmp_path: Path
) -> None:
    use_double(services)
    db, root = services.connections.db, write_project(tmp_path / "api")
    project = add_indexed(services, root)
    hold(qtbot, services, root, project.id)
    settings.put(db, EMBEDDER, "other")
    (root / ".hold").unlink()
    qtbot.waitUntil(lambda: completed(services, 2))
    assert {job.params["project"]["embedder"] for job in indexing(services)} == {"", "other"}


def test_what_a_job_missed_is_still_said_after_a_change(qtbot: Any, services: Any, tmp_path: Path) -> None:
    code, db = use_double(services), services.connections.db
    project = add_indexed(services, write_project(tmp_path / "api"))
    projects.update(db, project.id, summary={**project.summary, "notices": ["The model is not here."]})
    code.changed.emit(project.id, {**project.summary, "files": 1204, "notices": []})
    qtbot.waitUntil(lambda: projects.get(db, project.id).summary["files"] == 1204)
    assert projects.get(db, project.id).summary["notices"] == ["The model is not here."]
