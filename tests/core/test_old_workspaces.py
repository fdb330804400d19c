"""Workspaces as earlier versions left them open, and the work that was under way in them goes on.

`schema-5` was written by the version of commit d58c8d1: three conversations enriched, a training file, a dataset, an
adapter, a training interrupted behind its first checkpoint, a queued enrichment, a failed build.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlite_utils import Database

from core import jobs
from core.cancel import CancelToken
from core.db.connection import open_database, transaction
from core.enrichment import library
from core.enrichment.pipeline import run_conversation
from core.jobs import JobState
from core.lanes import Lane
from core.models.practice import ensure_practice_model
from core.training import store as training
from core.training.publish import read_published
from core.workers.runner import run_to_end
from core.workers.session import recover
from core.workspace.paths import Workspace

FIXTURES = Path(__file__).parent.parent / "fixtures" / "workspaces"


@pytest.fixture(params=["schema-5"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Workspace, Database]]:
    with tarfile.open(FIXTURES / f"{request.param}.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    workspace = Workspace(tmp_path / request.param)
    db = open_database(workspace.db_path, workspace.backups)
    # The one absolute path in it: base models are kept outside of workspaces.
    with transaction(db):
        db.execute("update base_models set path = ?", [str(ensure_practice_model())])
    yield workspace, db
    db.close()


def test_it_opens_with_a_backup_and_its_jobs_have_lanes(old: tuple[Workspace, Database]) -> None:
    workspace, db = old
    assert list(workspace.backups.glob("*before-migration.db"))
    lanes = {(job.kind, job.lane) for job in jobs.listing(db)}
    assert {lane for kind, lane in lanes if kind == "training"} == {Lane.GPU}
    assert {lane for kind, lane in lanes if kind != "training"} == {Lane.DATA}
    assert recover(db, workspace).jobs == []
    assert db.execute("select count(*) from conversations where enrichment_status = 'completed'").fetchone()[0] == 3
    adapter = training.list_adapters(db)[0]
    assert read_published(workspace.absolute(adapter.path)).sha256 == adapter.sha256


def test_its_conversations_are_enriched_as_they_were(old: tuple[Workspace, Database]) -> None:
    workspace, db = old
    known = library.load(db)
    assert known.vertical == "financial_planning_consultant"
    rows = db.execute("select * from conversations where enriched_file_path is not null").fetchall()
    assert len(rows) == 3
    for row in rows:
        path = workspace.absolute(row["enriched_file_path"])
        before = path.read_bytes()
        path.unlink()
        assert run_conversation(workspace, dict(row), known, CancelToken()).error is None
        assert path.read_bytes() == before


def test_its_interrupted_training_is_resumed_and_its_queued_job_runs(old: tuple[Workspace, Database]) -> None:
    workspace, db = old
    (cut,) = [job for job in jobs.listing(db, kind="training") if job.status is JobState.INTERRUPTED]
    steps: list[int] = []
    job = jobs.claim_next(db, jobs.requeue(db, cut.id).id)
    assert job is not None
    ended = run_to_end(
        db, workspace, job, listen=lambda m: steps.append(m["step"]) if m["type"] == "metric" else None
    )  # fmt: skip
    assert ended.status is JobState.COMPLETED, ended.error
    assert min(steps) == 3
    waiting = jobs.claim_next(db)
    assert waiting is not None
    assert waiting.kind == "enrich"
    assert run_to_end(db, workspace, waiting).result["used"] == 1
