"""Worker handlers about adapters: import, check again."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from core.adapters.foreign import Foreign
from core.adapters.layouts import own_prompt, read_foreign
from core.db.connection import now
from core.errors import AppError, Where
from core.inference.engine import AdapterRef
from core.inference.mlx.pool import AdapterPool
from core.models import store as models
from core.models.fingerprint import content_fingerprint
from core.models.store import BaseModel
from core.training.publish import (
    ADAPTER_FILE,
    CONFIG_FILE,
    PASSPORT_FILE,
    Published,
    artifact_id_of,
    read_published,
)
from core.training.store import Adapter, base_facts, get_adapter
from core.workers.host import JobContext
from core.workspace.files import new_folder, sha256_file, write_json


def import_adapter(context: JobContext) -> dict[str, Any]:
    """Handler of `import_adapter`: params {"path", "base_id", "name"}.

    Raises AppError `foreign_adapter` (with file and setting or tensor), `wrong_base`, `base_missing`.
    """
    params, source = context.params, Path(context.params["path"])
    base = base_of(context, str(params["base_id"]))
    final = context.workspace.adapters / artifact_id_of(context.job_id)
    published = read_published(final) if final.exists() else _publish(context, source, base, final)
    context.emit(
        "artifact", id=published.artifact_id, path=context.workspace.relative(published.folder),
        sha256=published.sha256, size_bytes=published.size_bytes, passport=published.passport,
    )  # fmt: skip
    return {"artifact_id": published.artifact_id, "in": 1, "used": 1, "rejected": 0, "cut": 0}


def _publish(context: JobContext, source: Path, base: BaseModel, final: Path) -> Published:
    context.progress(0, 3, "Reading the adapter")
    model = _model(base)
    foreign = read_foreign(source, dict(model.named_modules()))
    context.token.raise_if_cancelled()
    context.progress(1, 3, "Converting")
    final.parent.mkdir(parents=True, exist_ok=True)
    name = str(context.params.get("name") or "").strip() or source.name
    with new_folder(final) as tmp:
        _write(foreign, base, tmp)
        context.token.raise_if_cancelled()
        context.progress(2, 3, f"Checking it against {base.name}")
        try:
            _fit(model, base, AdapterRef(final.name, str(tmp), name))
        except AppError as error:
            if error.code == "bad_adapter":
                raise _for_import(error, source) from error
            raise
        digest = sha256_file(tmp / ADAPTER_FILE)
        write_json(tmp / PASSPORT_FILE, {**_passport(foreign, base, source, name), "adapter_sha256": digest})
    return read_published(final)


def _write(foreign: Foreign, base: BaseModel, folder: Path) -> None:
    """In mlx-lm's layout; full paths as keys say exactly which modules it adapts."""
    import mlx.core as mx

    mx.save_safetensors(
        str(folder / ADAPTER_FILE),
        {k: mx.contiguous(v) for k, v in foreign.tensors.items()},
        metadata={"format": "mlx"},
    )
    if own := foreign.config.get("base_fingerprint"):
        fingerprints = {
            "base_fingerprint": own,
            "base_content_fingerprint": foreign.config.get("base_content_fingerprint"),
        }
    else:
        fingerprints = {
            "base_fingerprint": base.structure_fingerprint, "base_content_fingerprint": base.content_fingerprint,
        }  # fmt: skip
    write_json(
        folder / CONFIG_FILE,
        {
            "fine_tune_type": foreign.kind, "num_layers": -1,
            "lora_parameters": {"rank": foreign.rank, "scale": foreign.scale, "dropout": 0.0, "keys": foreign.sites},
            **fingerprints,
        },
    )  # fmt: skip


def _passport(foreign: Foreign, base: BaseModel, source: Path, name: str) -> dict[str, Any]:
    return {
        "format": 1, "created_at": now(), "name": name, "base": base_facts(base), "dataset": {},
        "imported": {
            "from": str(source.resolve()), "layout": foreign.layout, "files": dict(foreign.hashes),
            "config": dict(foreign.config), "modules": len(foreign.sites),
        },
        "hyperparameters": {"rank": foreign.rank, "scale": foreign.scale, "fine_tune_type": foreign.kind},
        "system_prompt": own_prompt(source), "template_hash": base.template_hash,
        "verdict": "unmeasured", "loss_before": None, "loss_after": None,
        "versions": {name: version(name) for name in ("mlx", "mlx-lm")}, "machine": platform.machine(),
    }  # fmt: skip


def base_of(context: JobContext, base_id: str) -> BaseModel:
    """The base of that id, with its folder there: one in MLX's format."""
    db = context.open_db()
    try:
        base = models.get(db, base_id)
    finally:
        db.close()
    models.require_trainable(base)
    return base


def _model(base: BaseModel) -> Any:
    """The base with its weights left on the disk until one is needed."""
    from mlx_lm.utils import load_model

    try:
        return load_model(base.path, lazy=True)[0]
    except Exception as exc:
        raise AppError(
            "base_does_not_load", f"The base model {base.name} can't be loaded.",
            hint="Its files may be damaged; add it again.", detail=repr(exc)[:2000], action="page:adapters",
        ) from exc  # fmt: skip


def _fit(model: Any, base: BaseModel, adapter: AdapterRef) -> None:
    """Exactly what chat checks before it uses one: names, pairs, shapes, values, the base's fingerprints."""
    AdapterPool(model, base.structure_fingerprint, base.content_fingerprint).prepare(adapter)


def _for_import(error: AppError, source: Path) -> AppError:
    why = error.message.partition(" can't be used: ")[2] or error.message
    return AppError(
        "foreign_adapter", f"The adapter in {source.name} can't be imported: {why}",
        hint="Choose the base model that it was trained on, or another adapter.", detail=error.detail,
        where=Where(file=str(source)),
    )  # fmt: skip


def check_adapter(context: JobContext) -> dict[str, Any]:
    """Handler of `check_adapter`: params {"adapter_id"}. Raises AppError `damaged_adapter`, `wrong_base`, ..."""
    adapter, folder = adapter_of(context)
    context.progress(0, 3, "Checking the hash")
    refuse_changed(adapter, folder)
    context.token.raise_if_cancelled()
    context.progress(1, 3, "Checking the base model")
    base = base_of(context, adapter.base_model_id)
    if content_fingerprint(base.path) != base.content_fingerprint:
        raise AppError(
            "base_changed", f"The weights of the base {base.name} changed since it was added.",
            hint="Add the base model again, or restore its files.", where=Where(file=str(base.path)),
            action="page:adapters",
        )  # fmt: skip
    context.token.raise_if_cancelled()
    context.progress(2, 3, f"Checking it against {base.name}")
    _fit(_model(base), base, AdapterRef(adapter.id, str(folder), adapter.name))
    return {"artifact_id": adapter.id, "name": adapter.name, "base": base.name, "sha256": adapter.sha256}


def refuse_changed(adapter: Adapter, folder: Path) -> None:
    """Raise AppError `damaged_adapter` for a file that is another one than was published."""
    if read_published(folder).sha256 != adapter.sha256:
        raise AppError(
            "damaged_adapter", f"The adapter {adapter.name} is not the one that was published: its hash changed.",
            hint="Restore its folder from a backup, or train it again.", where=Where(file=str(folder / ADAPTER_FILE)),
        )  # fmt: skip


def adapter_of(context: JobContext) -> tuple[Adapter, Path]:
    """The adapter of params["adapter_id"] and its folder. Raises AppError `damaged_adapter` for a missing file."""
    db = context.open_db()
    try:
        adapter = get_adapter(db, str(context.params["adapter_id"]))
    finally:
        db.close()
    folder = context.workspace.absolute(adapter.path)
    missing = [name for name in (ADAPTER_FILE, CONFIG_FILE, PASSPORT_FILE) if not (folder / name).is_file()]
    if missing:
        raise AppError(
            "damaged_adapter", f"The adapter {adapter.name} lacks its file {missing[0]}.",
            hint="Restore its folder from a backup, or train it again.", where=Where(file=str(folder / missing[0])),
        )  # fmt: skip
    return adapter, folder
