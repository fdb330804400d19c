"""Small real training runs for tests: the shipped practice model and the sample's conversations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from core.cancel import CancelToken
from core.models.fingerprint import content_fingerprint, structure_fingerprint
from core.models.practice import shipped_folder
from core.models.rendering import Rendered, load_tokenizer
from core.sample import sample_files
from core.training.checkpoints import Checkpoints
from core.training.config import TrainingConfig
from core.training.lora import attach, load_base
from core.training.publish import Published, publish
from core.training.trainer import Result, Trainer

SYSTEM = "You are a warm, plain-spoken financial planning consultant who takes one step at a time."
IDENTITY = {"dataset_hash": "d", "template_hash": "t", "base_fingerprint": "b", "config_hash": "c"}


def sample_messages(limit: int = 100) -> list[list[dict[str, Any]]]:
    out = []
    for path in sample_files()[:limit]:
        turns = orjson.loads(path.read_bytes())["turns"]
        out.append(
            [{"role": "system", "content": SYSTEM}]
            + [{"role": t["role"], "content": t["content"] or "", "weight": int(bool(t["content"]))} for t in turns]
        )
    return out


def rendered(limit: int = 100, messages: int = 100) -> list[Rendered]:
    """The sample as tokens, each conversation cut after so many messages."""
    tokenizer = load_tokenizer(shipped_folder())
    return [tokenizer.render(talk[:messages]) for talk in sample_messages(limit)]


def make_trainer(
    folder: Path,
    config: TrainingConfig,
    rows: list[Rendered],
    validation: list[Rendered],
    emit: Callable[..., None] = lambda *_a, **_k: None,
    token: CancelToken | None = None,
) -> tuple[Trainer, dict[str, Any]]:
    import mlx.core as mx

    model, _ = load_base(shipped_folder())
    mx.random.seed(config.seed)
    parameters = attach(model, config)
    trainer = Trainer(
        model, config, rows, validation, Checkpoints(folder / "checkpoints"), IDENTITY, emit, token or CancelToken()
    )
    return trainer, parameters


def train_adapter(folder: Path, config: TrainingConfig, limit: int = 6) -> tuple[Published, Result]:
    rows = rendered(limit, messages=5)
    trainer, parameters = make_trainer(folder, config, rows, [])
    result = trainer.run()
    config_json = orjson.loads((shipped_folder() / "config.json").read_bytes())
    base = {
        "structure_fingerprint": structure_fingerprint(config_json),
        "content_fingerprint": content_fingerprint(shipped_folder()),
    }
    job_id = f"00000000-0000-4000-8000-{abs(hash(str(folder))) % 10**12:012d}"
    checkpoint = trainer.checkpoints.newest()
    assert checkpoint is not None
    published = publish(
        folder / "adapters", job_id, checkpoint.folder / "adapters.safetensors", parameters, {"base": base}
    )
    return published, result
