"""Rows a chat needs: a base, adapters, a dataset with a sample."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from sqlite_utils import Database

from core.db.connection import now, transaction
from core.models import store as models
from core.training.publish import ADAPTER_FILE
from core.workspace.files import sha256_file
from core.workspace.paths import Workspace

TINY_BASE = "practice"


def add_base(db: Database, folder: Path, ident: str = TINY_BASE, name: str = "Practice model") -> None:
    """A base whose folder has the files that are looked for, and no more."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("config.json", "model.safetensors"):
        if not (folder / file).exists():
            (folder / file).write_text("{}")
    models.upsert(
        db,
        {
            "id": ident, "name": name, "path": str(folder), "kind": "practice" if ident == TINY_BASE else "folder",
            "architecture": "llama", "parameter_count": 1_000_000, "size_bytes": 4_000_000, "quantization": "",
            "vocab_size": 2000, "context_length": 1024, "structure_fingerprint": "s", "content_fingerprint": "c",
            "template_hash": "t", "notes": ["A tiny model for trying things out."],
        },
    )  # fmt: skip


def add_dataset(db: Database, ident: str, questions: list[str], system_prompt: str = "") -> None:
    """A dataset that is ready, with a sample of first questions."""
    sample = [{"id": str(n), "messages": [{"role": "user", "content": q}]} for n, q in enumerate(questions)]
    with transaction(db):
        db.execute(
            "insert into datasets(id, name, format, status, training_ready, sample, system_prompt, created_at,"
            " updated_at) values(?, ?, 'v4', 'ready', 1, ?, ?, ?, ?)",
            [ident, ident, orjson.dumps(sample).decode(), system_prompt, now(), now()],
        )


def add_adapter(
    db: Database, workspace: Workspace, ident: str, name: str, *, base: str = TINY_BASE, dataset: str | None = None,
    passport: Mapping[str, Any] | None = None, path: str = "",
) -> None:  # fmt: skip
    """An adapter's row; its folder need not be there."""
    file = workspace.absolute(path or f"adapters/{ident}") / ADAPTER_FILE
    sha256 = sha256_file(file) if file.is_file() else "x"
    with transaction(db):
        db.execute(
            "insert into model_artifacts(id, type, name, base_model_id, dataset_id, path, size_bytes, sha256, passport,"
            " verdict, created_at) values(?, 'adapter', ?, ?, ?, ?, 1000, ?, ?, 'improved', ?)",
            [
                ident, name, base, dataset, path or f"adapters/{ident}", sha256,
                orjson.dumps(dict(passport or {})).decode(), now(),
            ],
        )  # fmt: skip
