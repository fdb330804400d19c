"""Rows of training runs, their metrics and the adapters that came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from core import jobs
from core.db import Database
from core.db.connection import new_id, transaction
from core.errors import AppError
from core.events import Changed
from core.jobs import Job, JobState
from core.models import store as models
from core.models.store import BaseModel
from core.training.config import TrainingConfig, check
from core.workspace.paths import Workspace

METRIC_COLUMNS = (
    "step", "epoch", "train_loss", "validation_loss", "learning_rate", "grad_norm", "tokens",
    "tokens_per_second", "peak_memory", "elapsed_s",
)  # fmt: skip


@dataclass(frozen=True)
class TrainingRun:
    """One row of `training_jobs` with its job and the names it points to."""

    id: str
    name: str
    job: Job
    dataset_id: str
    dataset_name: str
    base_model_id: str
    base_name: str
    preset: str
    config: TrainingConfig
    total_epochs: int
    total_steps: int
    current_step: int
    baseline_loss: float | None
    final_loss: float | None
    best_loss: float | None
    best_step: int | None
    counts: Mapping[str, Any]
    left_out: Sequence[Mapping[str, Any]]
    artifact_id: str | None


@dataclass(frozen=True)
class Adapter:
    """One row of `model_artifacts` of type adapter."""

    id: str
    name: str
    path: str
    base_model_id: str
    base_name: str
    dataset_id: str | None
    training_job_id: str | None
    size_bytes: int
    sha256: str
    verdict: str
    passport: Mapping[str, Any]
    created_at: str


def create_run(
    db: Database, *, name: str, dataset_id: str, base_model_id: str, preset: str, config: TrainingConfig
) -> Job:
    """Check the dataset and queue a training job. Raises AppError `dataset_not_ready` and those of `check`."""
    check(config)
    dataset = usable_dataset(db, dataset_id)
    base = models.get(db, base_model_id)
    models.require_trainable(base)
    ident = new_id()
    params = {**run_params(name, preset, config, base), "dataset": dataset_facts(dataset)}
    with transaction(db):
        job = jobs.create(db, "training", f"Training {name}", params, job_id=ident)
        insert_run(db, ident, params, dataset)
    return job


def usable_dataset(db: Database, dataset_id: str) -> Mapping[str, Any]:
    """The row of a dataset that can be trained on. Raises AppError `dataset_not_ready`."""
    dataset = db.execute("select * from datasets where id = ? and deleted_at is null", [dataset_id]).fetchone()
    if dataset is None or dataset["status"] != "ready" or not dataset["training_ready"]:
        raise AppError(
            "dataset_not_ready",
            f"The dataset {dataset['name'] if dataset else dataset_id} can't be trained on yet.",
            hint="Use a dataset that is ready and has training conversations; its page lists the problems.",
            action="page:datasets",
        )
    found: Mapping[str, Any] = dataset
    return found


def run_params(name: str, preset: str, config: TrainingConfig, base: BaseModel) -> dict[str, Any]:
    """The parameters of a training job but for its dataset."""
    return {"name": name, "preset": preset, "config": config.to_json(), "base": base_facts(base)}


def dataset_facts(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """What a training job and a passport say of the dataset."""
    names = ("id", "name", "file_path", "content_hash", "total_conversations", "system_prompt")
    return {name: dataset[name] for name in names}


def insert_run(db: Database, run_id: str, params: Mapping[str, Any], dataset: Mapping[str, Any]) -> None:
    """The row of a run whose job is there."""
    config = TrainingConfig(**params["config"])
    train_rows = int(dataset["total_conversations"]) - int(dataset["total_validation_conversations"])
    db.execute(
        "insert into training_jobs(id, name, dataset_id, base_model_id, preset, hyperparameters, total_epochs,"
        " total_steps) values(?, ?, ?, ?, ?, ?, ?, ?)",
        [
            run_id, params["name"], dataset["id"], params["base"]["id"], params["preset"],
            orjson.dumps(config.to_json()).decode(), config.epochs, config.total_steps(max(1, train_rows)),
        ],
    )  # fmt: skip


def base_facts(base: BaseModel) -> dict[str, Any]:
    """What a passport says of the base."""
    return {
        "id": base.id, "name": base.name, "path": str(base.path), "architecture": base.architecture,
        "structure_fingerprint": base.structure_fingerprint, "content_fingerprint": base.content_fingerprint,
        "rendering_fingerprint": base.rendering_fingerprint, "context_length": base.context_length,
    }  # fmt: skip


_RUN_SQL = (
    "select t.*, d.name as dataset_name, b.name as base_name from training_jobs t"
    " join datasets d on d.id = t.dataset_id join base_models b on b.id = t.base_model_id"
    " join jobs j on j.id = t.id where t.deleted_at is null"
)


def _run_value(db: Database, row: Mapping[str, Any]) -> TrainingRun:
    counts = orjson.loads(row["counts"])
    return TrainingRun(
        id=row["id"], name=row["name"], job=jobs.get(db, row["id"]), dataset_id=row["dataset_id"],
        dataset_name=row["dataset_name"], base_model_id=row["base_model_id"], base_name=row["base_name"],
        preset=row["preset"], config=TrainingConfig(**orjson.loads(row["hyperparameters"])),
        total_epochs=row["total_epochs"], total_steps=row["total_steps"], current_step=row["current_step"],
        baseline_loss=row["baseline_loss"], final_loss=row["final_loss"], best_loss=row["best_loss"],
        best_step=row["best_step"], counts=counts.get("counts", {}), left_out=counts.get("left_out", []),
        artifact_id=row["artifact_id"],
    )  # fmt: skip


def list_runs(db: Database, limit: int = 2_000) -> list[TrainingRun]:
    """Newest first."""
    rows = db.execute(f"{_RUN_SQL} order by j.queued_at desc limit {int(limit)}").fetchall()
    return [_run_value(db, row) for row in rows]


def get_run(db: Database, run_id: str) -> TrainingRun:
    """One run. Raises AppError `no_such_run`, or `run_waits` for one whose dataset is not made yet."""
    row = db.execute(f"{_RUN_SQL} and t.id = ?", [run_id]).fetchone()
    if row is None:
        sql = "select title from jobs where id = ? and kind = 'training' and deleted_at is null"
        waiting = db.execute(f"{sql} and id not in (select id from training_jobs)", [run_id]).fetchone()
        if waiting is not None:
            raise AppError(
                "run_waits", f"“{waiting['title']}” waits for the job that makes its dataset.",
                hint="It can be opened when its dataset is there.",
            )  # fmt: skip
        raise AppError("no_such_run", "That training run no longer exists.", hint="Look in the trash.")
    return _run_value(db, row)


def find_same(
    db: Database, workspace: Workspace, dataset_hash: str, base: BaseModel, config: TrainingConfig, name: str = ""
) -> TrainingRun | None:
    """The run of the same data, base and settings, and of `name` if given: one with its adapter, or unfinished.

    One whose adapter is in the trash is not the same, since what it made is not wanted any more; nor is one whose
    adapter's folder is gone.
    """
    cut_short = None
    for run in list_runs(db):
        facts = run.job.params
        same = (
            name in ("", run.name)
            and facts["dataset"]["content_hash"] == dataset_hash
            and facts["base"]["content_fingerprint"] == base.content_fingerprint
            and (run.base_model_id, run.config) == (base.id, config)
        )
        if same and run.job.status is JobState.COMPLETED and _has_adapter(db, workspace, run):
            return run
        if same and run.job.status is not JobState.COMPLETED and cut_short is None:
            cut_short = run
    return cut_short


def _has_adapter(db: Database, workspace: Workspace, run: TrainingRun) -> bool:
    sql = "select path from model_artifacts where id = ? and deleted_at is null"
    row = db.execute(sql, [run.artifact_id]).fetchone()
    return row is not None and workspace.absolute(row["path"]).exists()


def metrics(db: Database, run_id: str, after_step: int = -1) -> list[dict[str, Any]]:
    """Metric points in order of step, those after `after_step`."""
    sql = f"select {', '.join(METRIC_COLUMNS)} from metrics_points where job_id = ? and step > ? order by step"
    return [dict(row) for row in db.execute(sql, [run_id, after_step]).fetchall()]


def write_metric(db: Database, run_id: str, event: Mapping[str, Any]) -> None:
    """Upsert one point on (run, step), and what the run's row says of now."""
    values = [event.get(column) for column in METRIC_COLUMNS]
    updates = ", ".join(f"{c} = excluded.{c}" for c in METRIC_COLUMNS if c != "step")
    db.execute(
        f"insert into metrics_points(job_id, {', '.join(METRIC_COLUMNS)})"
        f" values(?, {', '.join('?' * len(values))}) on conflict(job_id, step) do update set {updates}",
        [run_id, *values],
    )
    db.execute("update training_jobs set current_step = ? where id = ?", [event["step"], run_id])
    loss = event.get("validation_loss")
    if loss is None:
        return
    if event["step"] == 0:
        db.execute("update training_jobs set baseline_loss = ? where id = ?", [loss, run_id])
        return
    db.execute(
        "update training_jobs set final_loss = ?1, best_step = case when best_loss is null or ?1 < best_loss"
        " then ?2 else best_step end, best_loss = min(coalesce(best_loss, ?1), ?1) where id = ?3",
        [loss, event["step"], run_id],
    )


def write_started(db: Database, run_id: str, event: Mapping[str, Any]) -> None:
    """What the worker found once it had read the data."""
    counts = {"counts": event["counts"], "left_out": event["left_out"]}
    db.execute(
        "update training_jobs set total_steps = ?, total_epochs = ?, counts = ?, hardware = ? where id = ?",
        [
            event["total_steps"], event["total_epochs"], orjson.dumps(counts).decode(),
            orjson.dumps(event["hardware"]).decode(), run_id,
        ],
    )  # fmt: skip


def write_artifact(db: Database, run_id: str, event: Mapping[str, Any]) -> Changed:
    """Upsert the adapter a run published."""
    with transaction(db):
        run = db.execute("select * from training_jobs where id = ?", [run_id]).fetchone()
        insert_adapter(
            db, event, name=run["name"], base_model_id=run["base_model_id"], dataset_id=run["dataset_id"], run_id=run_id
        )
        db.execute("update training_jobs set artifact_id = ? where id = ?", [event["id"], run_id])
    return Changed.ADAPTERS | Changed.JOBS


def insert_adapter(
    db: Database,
    event: Mapping[str, Any],
    *,
    name: str,
    base_model_id: str,
    dataset_id: str | None = None,
    run_id: str | None = None,
) -> None:
    """The row of a published adapter, if it is not there yet; `event` is what its worker reported."""
    passport = event["passport"]
    db.execute(
        "insert into model_artifacts(id, type, name, training_job_id, base_model_id, dataset_id, path, size_bytes,"
        " sha256, passport, verdict, created_at) values(?, 'adapter', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " on conflict(id) do nothing",
        [
            event["id"], name, run_id, base_model_id, dataset_id, event["path"], event["size_bytes"], event["sha256"],
            orjson.dumps(passport).decode(), passport["verdict"], passport["created_at"],
        ],
    )  # fmt: skip


_ADAPTER_SQL = (
    "select a.*, b.name as base_name from model_artifacts a join base_models b on b.id = a.base_model_id"
    " where a.type = 'adapter'"
)


def _adapter_value(row: Mapping[str, Any]) -> Adapter:
    fields = {key: row[key] for key in Adapter.__dataclass_fields__}
    return Adapter(**fields | {"passport": orjson.loads(row["passport"])})


def list_adapters(db: Database, base_model_id: str = "") -> list[Adapter]:
    """Adapters that are not in the trash, newest first; of one base if given."""
    where, args = (" and a.base_model_id = ?", [base_model_id]) if base_model_id else ("", [])
    sql = f"{_ADAPTER_SQL} and a.deleted_at is null{where} order by a.created_at desc, a.rowid desc"
    return [_adapter_value(row) for row in db.execute(sql, args).fetchall()]


def get_adapter(db: Database, adapter_id: str) -> Adapter:
    """One adapter. Raises AppError `no_such_adapter`."""
    row = db.execute(f"{_ADAPTER_SQL} and a.id = ?", [adapter_id]).fetchone()
    if row is None:
        raise AppError("no_such_adapter", "That adapter no longer exists.", hint="Look in the trash.")
    return _adapter_value(row)


def seconds_per_token(db: Database, base_model_id: str) -> float | None:
    """Measured on this machine's runs with this base, ended or not, for an estimate; None before the first."""
    row = db.execute(
        "select sum(m.elapsed_s) / sum(m.tokens) as rate from metrics_points m join training_jobs t on t.id = m.job_id"
        " where t.base_model_id = ? and m.step = t.current_step and m.tokens > 0",
        [base_model_id],
    ).fetchone()
    return row["rate"] if row and row["rate"] else None
