"""Trainings of a project's adapter for tests: examples made in this process, the log of a run as a worker writes it."""

from __future__ import annotations

from typing import Any

from core import jobs
from core.db.connection import new_id
from core.jobs import Job, JobState
from core.projects import adapter_state, adapters, projects
from core.projects.adapters import Chain, Wanted
from core.projects.projects import Project
from core.workers import protocol
from core.workers.session import run_folder
from tests.core.factories import Place
from tests.support.in_process import run_claimed

SMALL = Wanted(limits={"total": 40, "least_training": 10})


def state(here: Place, project: Project) -> adapter_state.AdapterState:
    return adapter_state.state(here.db, projects.get(here.db, project.id))


def made(here: Place, project: Project, wanted: Wanted = SMALL) -> Chain:
    """The chain with its examples made."""
    _, chain = adapters.start(here.db, here.workspace, project.id, wanted)
    done = run_claimed(here.db, here.workspace, chain.examples)
    assert done.status is JobState.COMPLETED, done.error
    return Chain(done, jobs.get(here.db, chain.training.id))


def events_of(job: Job, verdict: str, before: float = 2.5, after: float = 2.0) -> list[tuple[str, dict[str, Any]]]:
    artifact = new_id()
    passport = {"verdict": verdict, "created_at": "2026-11-26T12:00:00+00:00", "loss_after": after}
    return [
        ("started", {"total_steps": 2, "total_epochs": 1, "counts": {}, "left_out": [], "hardware": {}}),
        ("metric", {"step": 0, "epoch": 0.0, "validation_loss": before}),
        ("metric", {"step": 2, "epoch": 1.0, "train_loss": after, "validation_loss": after}),
        ("artifact", {
            "id": artifact, "path": f"adapters/{artifact}", "sha256": "s", "size_bytes": 3, "passport": passport,
        }),
        ("done", {"result": {
            "artifact_id": artifact, "verdict": verdict, "baseline_loss": before, "loss": after, "steps": 2,
        }}),
    ]  # fmt: skip


def under_way(here: Place, project: Project, verdict: str, **losses: float) -> tuple[Job, list[Any]]:
    """A claimed run with the log that its worker wrote."""
    chain = made(here, project)
    job = jobs.claim_next(here.db, chain.training.id)
    assert job is not None
    folder = run_folder(here.workspace, job.id)
    folder.mkdir(parents=True)
    written = protocol.EventLog(folder / "events.jsonl", 0)
    for kind, fields in events_of(job, verdict, **losses):
        written.append(job.id, kind, fields)
    written.close()
    return job, [message for message, _ in protocol.read_events(folder / "events.jsonl")]
