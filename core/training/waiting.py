"""Training runs that are queued before their dataset is there: the job that makes it says which one it became.

Such a run is a job alone until then; it gets its row of `training_jobs` with its dataset, in the transaction that
completes the job it waits for, and so before it can be claimed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from core import jobs
from core.db import Database
from core.db.connection import transaction
from core.events import Changed
from core.jobs import Job
from core.models import store as models
from core.models.store import BaseModel
from core.training import store
from core.training.config import TrainingConfig, check


def queue_run(
    db: Database, *, name: str, base: BaseModel, preset: str, config: TrainingConfig, waits_for: Sequence[str],
    owner: Mapping[str, str], job_id: str,
) -> Job:  # fmt: skip
    """Queue a run that waits for the job that makes its dataset.

    `owner` {"kind", "id"} is told when the run is completed (`core.registries.RUN_OWNERS`). Raises AppError
    `base_missing`, `setting_out_of_range`.
    """
    check(config)
    models.require_trainable(base)
    params = {**store.run_params(name, preset, config, base), "owner": dict(owner)}
    return jobs.create(db, "training", f"Training {name}", params, job_id=job_id, waits_for=waits_for)


def give_dataset(db: Database, run_id: str, dataset_id: str) -> Changed:
    """Say which dataset a waiting run trains on; a run that is gone or has one is left alone."""
    row = db.execute("select params from jobs where id = ? and deleted_at is null", [run_id]).fetchone()
    there = db.execute("select 1 from training_jobs where id = ?", [run_id]).fetchone()
    if row is None or there is not None:
        return Changed.NOTHING
    dataset = store.usable_dataset(db, dataset_id)
    params: dict[str, Any] = {**orjson.loads(row["params"]), "dataset": store.dataset_facts(dataset)}
    with transaction(db):
        db.execute("update jobs set params = ? where id = ?", [orjson.dumps(params).decode(), run_id])
        store.insert_run(db, run_id, params, dataset)
    return Changed.JOBS
