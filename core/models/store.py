"""Base models a workspace knows: the practice model and added folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from core.db import Database, connection
from core.db.connection import now
from core.errors import AppError
from core.events import Changed
from core.models import served
from core.models.fingerprint import weight_files
from core.workspace import settings

MLX = "mlx"


@dataclass(frozen=True)
class BaseModel:
    """One row of `base_models`; `path` is absolute, since bases are shared by workspaces.

    It is a folder in MLX's or Hugging Face's format, or one GGUF file. `ollama` is the name that Ollama knows it by.
    """

    id: str
    name: str
    path: Path
    kind: str
    architecture: str
    parameter_count: int
    size_bytes: int
    quantization: str
    vocab_size: int
    context_length: int
    structure_fingerprint: str
    content_fingerprint: str
    rendering_fingerprint: str
    template_hash: str
    notes: Sequence[str]
    created_at: str
    engine: str
    ollama: str

    @property
    def is_practice(self) -> bool:
        """Whether it is the shipped model for trying things out."""
        return self.kind == "practice"

    @property
    def trains(self) -> bool:
        """Whether adapters can be trained on it: a GGUF file only answers."""
        return self.engine == MLX

    @property
    def served(self) -> bool:
        """Whether Ollama alone answers with it, without adapters."""
        return self.engine == served.ENGINE


def _value(row: Mapping[str, Any]) -> BaseModel:
    fields = {key: row[key] for key in BaseModel.__dataclass_fields__}
    return BaseModel(**fields | {"path": Path(row["path"]), "notes": tuple(orjson.loads(row["notes"]))})


def listing(db: Database) -> list[BaseModel]:
    """All base models, the practice model first."""
    rows = db.execute(
        "select * from base_models where deleted_at is null order by kind = 'practice' desc, name"
    ).fetchall()
    return [_value(row) for row in rows]


def get(db: Database, model_id: str) -> BaseModel:
    """One base model, also a deleted one. Raises AppError `no_such_base`."""
    row = db.execute("select * from base_models where id = ?", [model_id]).fetchone()
    if row is None:
        raise AppError("no_such_base", "That base model is not in this workspace.", hint="Add it on the Adapters page.")
    return _value(row)


def ever_had(db: Database, model_id: str) -> bool:
    """Whether the base is or was in this workspace: what the user deleted does not come back by itself."""
    return db.execute("select 1 from base_models where id = ?", [model_id]).fetchone() is not None


def default(db: Database) -> BaseModel | None:
    """The workspace's default base: the one in the settings, else the practice model, else the first.

    Training and counting begin with it, so it is one that trains.
    """
    models = [model for model in listing(db) if model.trains]
    wanted = settings.get(db, "default_base")
    return next((m for m in models if wanted in (m.id, m.kind)), models[0] if models else None)


def upsert(db: Database, row: Mapping[str, Any]) -> Changed:
    """Insert or replace by id; called with the row a worker reported."""
    values = {
        **row,
        "ollama": row.get("ollama", ""),
        "notes": orjson.dumps(list(row.get("notes", []))).decode(),
        "created_at": now(),
        "deleted_at": None,
    }
    connection.upsert(db, "base_models", values)
    return Changed.MODELS


def require_folder(model: BaseModel) -> Path:
    """The folder with the weights, or the GGUF file. Raises AppError `base_missing` when it is gone."""
    if model.served:
        served.read(model.path)
        return model.path
    if model.ollama and not model.path.is_file():
        raise AppError(
            "base_missing", f"The base model {model.name} is no longer in Ollama's store.",
            hint=f"Pull {model.ollama} again on the Adapters page, or choose another base.", detail=str(model.path),
            action="page:adapters",
        )  # fmt: skip
    require_files(model.name, model.path)
    return model.path


def require_trainable(model: BaseModel) -> Path:
    """The folder of a base that adapters are trained on. Raises AppError `base_missing`, `not_trainable`."""
    refuse_untrainable(model)
    return require_folder(model)


def refuse_untrainable(model: BaseModel) -> None:
    """Raise AppError `not_trainable` for a base that only answers: its tokenizer is not ours to count with either."""
    if not model.trains:
        kind, more = ("is a GGUF file", " Its adapters then answer on the GGUF file too.")
        if model.served:
            kind, more = "runs in Ollama", ""
        raise AppError(
            "not_trainable", f"The base model {model.name} {kind}, which only answers.",
            hint="Train on the same model in MLX's format: add its folder or download it on the Adapters page." + more,
            action="page:adapters",
        )  # fmt: skip


def require_files(name: str, folder: Path) -> None:
    """Raise AppError `base_missing` when the files of a base are gone, or where the links in its folder lead."""
    weights = weight_files(folder)
    if (not folder.is_file() and not all(path.exists() for path in [folder / "config.json", *weights])) or not weights:
        raise AppError(
            "base_missing",
            f"The files of the base model {name} are missing: {_origin(folder)}.",
            hint="Put the folder back where it was, or add it again on the Adapters page.",
            action="page:adapters",
        )


def _origin(folder: Path) -> str:
    """Where the weights of a base are or were."""
    try:
        return str(orjson.loads((folder / "source.json").read_bytes())["source"])
    except (OSError, ValueError, KeyError, TypeError):
        return str(folder)
