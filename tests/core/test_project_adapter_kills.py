"""Killed while a run for a project ends: its adapter becomes the project's once, or not at all until the next start."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlite_utils import Database

from app.opening import settle
from core import jobs
from core.db.connection import open_database
from core.jobs import Job, JobState
from core.models import store as models
from core.models.work import practice_row
from core.projects import adapter_state, projects
from core.projects.adapter_state import Decision
from core.projects.projects import Project
from core.workers.session import JobSession, recover
from core.workspace.paths import Workspace, source_root
from tests.core.factories import Place
from tests.support.code_adapters import under_way
from tests.support.codebase import files, write


@pytest.fixture
def project(here: Place, tmp_path: Path) -> Project:
    models.upsert(here.db, practice_row())
    return projects.add(here.db, write(tmp_path / "brightrun-api", files(8)))


@pytest.mark.parametrize("applied", range(6))
def test_a_window_killed_anywhere_makes_it_the_projects_once(here: Place, project: Project, applied: int) -> None:
    job, events = under_way(here, project, "better")
    JobSession(here.workspace, job).apply(here.db, events[:applied])
    calls: list[str] = []
    for _ in range(3):
        settle(here.db, here.workspace)
        calls.append(str(projects.get(here.db, project.id).updated_at))
    assert jobs.get(here.db, job.id).status is JobState.COMPLETED
    assert len(set(calls)) == 1
    now = projects.get(here.db, project.id)
    assert now.artifact_id == jobs.get(here.db, job.id).result["artifact_id"]
    assert here.db.execute("select count(*) from model_artifacts").fetchone()[0] == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from core.db.connection import open_database
from core.projects import {module}
from core.workers.session import recover
from core.workspace.paths import Workspace
workspace = Workspace(Path(sys.argv[1]))
db = open_database(workspace.db_path, workspace.backups)
whole = {module}.{function}
def killed(*args, **kwargs):
    whole(*args, **kwargs) if {after} else None
    os.kill(os.getpid(), signal.SIGKILL)
{module}.{function} = killed
recover(db, workspace)
"""


@pytest.mark.parametrize(("module", "function", "after"), [
    ("adapters", "_keep", False), ("adapters", "_keep", True), ("projects", "update", True),
    ("adapters", "run_completed", True),
])  # fmt: skip
def test_killed_while_it_is_decided_nothing_is_half_done(
    here: Place, project: Project, module: str, function: str, after: bool
) -> None:
    job, _ = under_way(here, project, "better")
    here.db.close()
    script = KILLED.format(module=module, function=function, after=after)
    done = subprocess.run(
        [sys.executable, "-c", script, str(here.workspace.root)], cwd=source_root(), capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    db = open_database(here.workspace.db_path, here.workspace.backups)
    assert (projects.get(db, project.id).artifact_id is None) == (jobs.get(db, job.id).status != "completed")
    _again(db, here.workspace)
    now = projects.get(db, project.id)
    assert now.artifact_id == jobs.get(db, job.id).result["artifact_id"]
    record = adapter_state.record_of(now)
    assert record is not None
    assert record.decision is Decision.IN_USE
    assert _again(db, here.workspace) == []
    assert projects.get(db, project.id).updated_at == now.updated_at
    db.close()


def _again(db: Database, workspace: Workspace) -> list[Job]:
    return recover(db, workspace).jobs
