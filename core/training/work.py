"""The training worker's handler: load, render, train or resume, publish."""

from __future__ import annotations

import hashlib
import math
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from core import hardware
from core.db.connection import now
from core.errors import AppError
from core.models import store as models
from core.models.fingerprint import content_fingerprint, rendering_fingerprint, weight_files
from core.models.folder import parameter_count
from core.models.rendering import ChatTokenizer, load_tokenizer
from core.models.store import require_files
from core.training.batches import Limits, Rows, read_rows
from core.training.checkpoints import ADAPTER, Checkpoints, check_same_run
from core.training.config import TrainingConfig, check
from core.training.lora import attach, load_base
from core.training.memory import training_needs
from core.training.publish import Published, publish
from core.training.trainer import Result, Trainer
from core.workers.host import JobContext
from core.workspace.files import read_json, sha256_file

BETTER_BY = 0.005


def run(context: JobContext) -> dict[str, Any]:
    """Train the run described by the job's params; see `core.training.store.create_run`."""
    params = context.params
    if "dataset" not in params:
        raise AppError(
            "dataset_not_ready", "The dataset that this run was to train on was not made, or was deleted.",
            hint="Start the training again from its project.", action="page:projects",
        )  # fmt: skip
    config = check(TrainingConfig(**params["config"]))
    return _run(context, params, config)


def _run(context: JobContext, params: Mapping[str, Any], config: TrainingConfig) -> dict[str, Any]:
    base_folder = _base_folder(context)
    data = context.workspace.absolute(params["dataset"]["file_path"])
    _check_inputs(params, base_folder, data)
    tokenizer = load_tokenizer(base_folder)
    rows = read_rows(
        data, tokenizer, Limits(config.max_seq_length, int(params["base"].get("context_length") or 0)), context.token,
        lambda n: context.progress(n, int(params["dataset"]["total_conversations"]), "Reading the dataset"),
    )  # fmt: skip
    context.ask_memory(_needs(base_folder, config, rows))
    context.progress(0, 0, "Loading the base model")
    model, _ = load_base(base_folder)
    context.token.raise_if_cancelled()
    lora_parameters = _attach(model, config)
    identity = _identity(params, config, tokenizer)
    checkpoints = Checkpoints(context.run_dir / "checkpoints")
    trainer = Trainer(
        model, config, rows.train, rows.validation, checkpoints, identity,
        emit=_reporter(context, config, rows), token=context.token, sync=context.sync,
    )  # fmt: skip
    context.emit(
        "started", total_steps=trainer.total_steps, total_epochs=config.epochs, counts=rows.counts,
        left_out=rows.left_out[:200], hardware=hardware.describe(),
        trained_tokens_per_epoch=sum(r.supervised for r in rows.train),
    )  # fmt: skip
    checkpoint = checkpoints.newest()
    if checkpoint is not None:
        check_same_run(checkpoint, identity)
        trainer.resume(checkpoint)
        context.emit("resumed", step=checkpoint.step)
    result = trainer.run()
    published = _publish(context, params, config, rows, tokenizer, lora_parameters, checkpoints, result, identity)
    return {
        "artifact_id": published.artifact_id, "verdict": published.passport["verdict"],
        "baseline_loss": result.baseline_loss, "loss": published.passport["loss_after"], "steps": result.steps,
        **rows.counts, "left_out_pairs": rows.left_out_pairs,
    }  # fmt: skip


def _needs(base_folder: Path, config: TrainingConfig, rows: Rows) -> int:
    files = weight_files(base_folder)
    longest = max((len(row.ids) for row in (*rows.train, *rows.validation)), default=1)
    return training_needs(
        read_json(base_folder / "config.json"), sum(path.stat().st_size for path in files),
        parameter_count(base_folder), config, longest,
    )  # fmt: skip


def _base_folder(context: JobContext) -> Path:
    """Where the base is now: the models folder may have moved since the run was made."""
    base = context.params["base"]
    db = context.open_db()
    try:
        return Path(models.get(db, base["id"]).path)
    except AppError:
        return Path(base["path"])
    finally:
        db.close()


def _check_inputs(params: Mapping[str, Any], base_folder: Path, data: Path) -> None:
    """Base and dataset are what the run was made for. Raises AppError naming what is gone or changed."""
    base, dataset = params["base"], params["dataset"]
    require_files(base["name"], base_folder)
    changed = []
    if content_fingerprint(base_folder) != base["content_fingerprint"]:
        changed.append("weights")
    # Runs of earlier versions do not say what it was.
    if base.get("rendering_fingerprint") and rendering_fingerprint(base_folder) != base["rendering_fingerprint"]:
        changed.append("tokenizer or chat template")
    if changed:
        raise AppError(
            "base_changed",
            f"The {' and '.join(changed)} of the base {base['name']} in {base_folder} changed since it was added.",
            hint="Add the base model again and start a new run, or restore the earlier files.",
            action="page:adapters",
        )
    if not data.is_file() or sha256_file(data) != dataset["content_hash"]:
        what = "changed since it was built" if data.is_file() else "is missing"
        raise AppError(
            "dataset_changed",
            f"The file of the dataset {dataset['name']} {what}: {data}.",
            hint="Restore the file from a backup, or build the dataset again and start a new run.",
            action="page:datasets",
        )


def _attach(model: Any, config: TrainingConfig) -> dict[str, Any]:
    import mlx.core as mx

    mx.random.seed(config.seed)
    parameters = attach(model, config)
    mx.eval(model.parameters())
    if config.grad_checkpoint:
        from mlx_lm.tuner.trainer import grad_checkpoint

        grad_checkpoint(model.layers[0])
    return parameters


def _identity(params: Mapping[str, Any], config: TrainingConfig, tokenizer: ChatTokenizer) -> dict[str, str]:
    return {
        "dataset_hash": params["dataset"]["content_hash"],
        "template_hash": tokenizer.template_hash,
        "base_fingerprint": params["base"]["content_fingerprint"],
        "config_hash": hashlib.sha256(orjson.dumps(config.to_json(), option=orjson.OPT_SORT_KEYS)).hexdigest(),
    }


def _reporter(context: JobContext, config: TrainingConfig, rows: Rows) -> Any:
    total = config.total_steps(len(rows.train))

    def emit(kind: str, **fields: Any) -> None:
        context.emit(kind, **fields)
        if kind == "metric":
            context.hold_memory(int(fields.get("peak_memory") or 0))
            loss = fields.get("train_loss")
            words = f"Loss {loss:.3f}" if loss is not None else "Measuring the base model"
            context.progress(
                fields["step"], total, f"Epoch {math.ceil(fields['epoch']) or 1} of {config.epochs}", words
            )

    return emit


def verdict_of(baseline: float | None, after: float | None) -> str:
    """better, not_better, worse, or unmeasured without validation conversations."""
    if baseline is None or after is None:
        return "unmeasured"
    if after < baseline * (1 - BETTER_BY):
        return "better"
    return "worse" if after > baseline * (1 + BETTER_BY) else "not_better"


def _publish(
    context: JobContext,
    params: Mapping[str, Any],
    config: TrainingConfig,
    rows: Rows,
    tokenizer: ChatTokenizer,
    lora_parameters: Mapping[str, Any],
    checkpoints: Checkpoints,
    result: Result,
    identity: Mapping[str, str],
) -> Published:
    step = result.best_step or result.steps
    checkpoint = checkpoints.at(step)
    if checkpoint is None:
        raise AppError(
            "checkpoint_missing", f"The checkpoint of step {step} is missing or damaged.",
            hint="Resume the run; it continues from the newest intact checkpoint.",
        )  # fmt: skip
    after = result.best_loss
    passport = {
        "format": 1, "created_at": now(), "run_id": context.job_id, "name": params["name"],
        "base": dict(params["base"]), "dataset": dict(params["dataset"]), **identity,
        "hyperparameters": {**config.to_json(), "scale": config.scale, "preset": params["preset"]},
        "system_prompt": params["dataset"].get("system_prompt", ""),
        "counts": rows.counts, "steps": result.steps, "published_step": step,
        "trained_tokens": result.tokens, "seconds": round(result.elapsed_s, 1),
        "loss_before": result.baseline_loss, "loss_after": after, "verdict": verdict_of(result.baseline_loss, after),
        "versions": {name: version(name) for name in ("mlx", "mlx-lm", "transformers")},
        "machine": platform.machine(),
    }  # fmt: skip
    published = publish(
        context.workspace.adapters, context.job_id, checkpoint.folder / ADAPTER, lora_parameters, passport
    )
    context.emit(
        "artifact", id=published.artifact_id, path=context.workspace.relative(published.folder),
        sha256=published.sha256, size_bytes=published.size_bytes, passport=published.passport,
    )  # fmt: skip
    return published
