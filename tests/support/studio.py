"""A workspace with a dataset, runs in every state and an adapter, made through the real stores and jobs."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import orjson
from sqlite_utils import Database

from core import jobs
from core.jobs import Job, JobState
from core.models import store as models
from core.models.work import practice_row
from core.training import store
from core.training.config import PRACTICE_OVERRIDES, configure
from core.workers import protocol
from core.workers.runner import run_to_end
from core.workers.session import run_folder
from core.workspace.paths import Workspace
from tests.support.training import sample_messages

BROKEN = (
    b"{not json",
    orjson.dumps({"messages": [{"role": "assistant", "content": "I speak first."}]}),
    orjson.dumps({"messages": [{"role": "user", "content": ""}, {"role": "assistant", "content": "Yes?"}]}),
)


def dataset_file(
    folder: Path, name: str = "planner-2026-11", *, limit: int = 24, broken: bool = True, messages: int = 100
) -> Path:
    """Chat messages as JSONL, three of its lines broken if wanted; each conversation is cut after `messages`."""
    lines = [orjson.dumps({"messages": talk[:messages]}) for talk in sample_messages(limit)]
    path = folder / f"{name}.jsonl"
    path.write_bytes(b"\n".join([*lines[:5], *(BROKEN if broken else ()), *lines[5:]]) + b"\n")
    return path


def run_job(db: Database, workspace: Workspace, kind: str, params: dict[str, Any]) -> Job:
    """A job in a real worker process, to its end."""
    job = jobs.claim_next(db, jobs.create(db, kind, kind, params).id)
    assert job is not None
    return run_to_end(db, workspace, job)


def add_dataset(db: Database, workspace: Workspace, path: Path) -> str:
    """Import the file; the dataset's id."""
    job = run_job(db, workspace, "import", {"files": [str(path)]})
    assert job.status == JobState.COMPLETED, job.error
    return str(job.result["datasets"][0])


def add_practice_model(db: Database) -> str:
    """The practice model as a base; its id."""
    models.upsert(db, practice_row())
    return "practice"


def new_run(db: Database, dataset_id: str, name: str = "Empathy v3", **overrides: Any) -> Job:
    """A queued run on the practice model."""
    config = configure("balanced", overrides)
    return store.create_run(
        db, name=name, dataset_id=dataset_id, base_model_id="practice", preset="balanced", config=config
    )


def train(db: Database, workspace: Workspace, dataset_id: str, **overrides: Any) -> Job:
    """A short real run to its adapter."""
    job = jobs.claim_next(db, new_run(db, dataset_id, "Practice run", **PRACTICE_OVERRIDES, **overrides).id)
    assert job is not None
    return run_to_end(db, workspace, job)


def fake_events(workspace: Workspace, run_id: str, total: int, steps: int, start: int = 0) -> list[dict[str, Any]]:
    """Events as a worker would report them, written to the run's log too."""
    rng = random.Random(4)
    folder = run_folder(workspace, run_id)
    folder.mkdir(parents=True, exist_ok=True)
    log = protocol.EventLog(folder / "events.jsonl")
    out: list[dict[str, Any]] = []

    def put(kind: str, **fields: Any) -> None:
        log.append(run_id, kind, fields)
        out.append({"type": kind, "seq": log.seq, **fields})

    if not start:
        put("started", total_steps=total, total_epochs=3, counts={"in": 24, "used": 22, "rejected": 1, "cut": 1},
            left_out=[{"line": 9, "id": "row-9", "code": "too_long", "reason": "2,310 tokens, more than the 2048 of"
                       " max_seq_length"}], hardware={}, trained_tokens_per_epoch=1)  # fmt: skip
        put("metric", step=0, epoch=0.0, validation_loss=2.87, elapsed_s=0.0)
    for step in range(start + 1, start + steps + 1):
        loss = 1.9 * math.exp(-step / 130) + 0.92 + rng.gauss(0, 0.06)
        validation = 1.85 * math.exp(-step / 140) + 1.02 if step % max(1, total // 18) == 0 else None
        rate = 5e-5 * min(1.0, step / 40) * (0.55 + 0.45 * math.cos(math.pi * step / total))
        put("metric", step=step, epoch=round(3 * step / total, 4), train_loss=loss, validation_loss=validation,
            learning_rate=rate, grad_norm=abs(rng.gauss(0.8, 0.12)), tokens=94 * step,
            tokens_per_second=61 + rng.gauss(0, 4), peak_memory=7_900_000_000, elapsed_s=1.55 * step)  # fmt: skip
        if validation is not None:
            put("checkpoint", step=step)
    log.close()
    return out


def play(db: Database, workspace: Workspace, job: Job, events: list[dict[str, Any]]) -> None:
    """Apply events as the window would."""
    kind = jobs.job_kind("training")
    for event in events:
        kind.apply(db, workspace, job, event)


def fake_run(
    db: Database, workspace: Workspace, dataset_id: str, state: JobState, name: str, *, steps: int = 412,
    total: int = 900, error: Any = None,
) -> str:  # fmt: skip
    """A run as far as `steps`, in that state."""
    job = new_run(db, dataset_id, name)
    play(db, workspace, job, fake_events(workspace, job.id, total, steps))
    jobs.set_state(db, job.id, state, error=error)
    db.execute("update jobs set started_at = queued_at, done = ?, total = ? where id = ?", [steps, total, job.id])
    db.conn.commit()
    return job.id
