"""Quantise a base to 4 or 8 bits with mlx-lm: a base of its own, beside the one that it was made from."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import AppError, Where
from core.models import store
from core.models.fingerprint import RENDERING_FILES
from core.models.folder import slug
from core.models.store import BaseModel
from core.models.work import add_folder
from core.workers.host import JobContext
from core.workspace.files import new_folder, sweep_temporary, write_json
from core.workspace.lock import FileLock
from core.workspace.paths import QUANTISED, models_cache

BITS = (4, 8)
GROUP = 64
# Scale and bias of 16 bits each for a group of weights.
OVERHEAD_BITS = 32 / GROUP
SPARE_BYTES = 256 << 20
FACTS = "quantised.json"
_DTYPES = ("float16", "bfloat16", "float32")


def size_after(base: BaseModel, bits: int) -> int:
    """Bytes of the weights once they are quantised, as far as can be told beforehand."""
    return round(base.parameter_count * (bits + OVERHEAD_BITS) / 8)


def refuse_quantised(base: BaseModel) -> None:
    """Raise AppError `already_quantised`: what was lost by it once does not come back by doing it again."""
    if base.quantization.endswith("-bit"):
        raise AppError(
            "already_quantised", f"{base.name} is quantized already ({base.quantization}).",
            hint="Quantize the model that it was made from.",
        )  # fmt: skip


def quantise_base(context: JobContext) -> dict[str, Any]:
    """Handler of `quantise_base`: params {"base_id", "bits", "name"}.

    Raises AppError `already_quantised`, `nothing_to_quantise`, `disk_full`, `base_missing`, ...
    """
    params = context.params
    bits = int(params["bits"])
    if bits not in BITS:
        raise AppError("wrong_bits", f"A base can't be quantized to {bits} bits.", hint="Choose 4 or 8.")
    db = context.open_db()
    try:
        base = store.get(db, str(params["base_id"]))
    finally:
        db.close()
    store.require_trainable(base)
    refuse_quantised(base)
    name = str(params.get("name") or "").strip() or f"{base.name} {bits}-bit"
    final = models_cache() / QUANTISED / f"{slug(base.name)}-{bits}bit-{context.job_id[:8]}"
    final.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(final.parent / ".lock")
    if not lock.try_acquire():
        raise AppError(
            "quantise_busy", "Another Bright Run quantizes a base model.",
            hint="Wait until it is done, then start again.",
        )  # fmt: skip
    try:
        # What a kill left: nobody else writes here while the lock is held.
        sweep_temporary(final.parent)
        _make(context, base, bits, final)
    finally:
        lock.release()
    note = f"Quantized here to {bits} bits from {base.name}, content {base.content_fingerprint[:12]}"
    try:
        row = add_folder(context, final, name, kind="quantised", note=note)
    except BaseException:
        shutil.rmtree(final, ignore_errors=True)
        raise
    context.emit("base_model", row=row)
    return {"base_model_id": row["id"], "in": 1, "used": 1, "rejected": 0, "cut": 0}


def _make(context: JobContext, base: BaseModel, bits: int, final: Path) -> None:
    needed = size_after(base, bits)
    free = shutil.disk_usage(final.parent).free
    if needed + SPARE_BYTES > free:
        raise AppError(
            "disk_full", f"There is not enough room: {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free.",
            hint="Free some space, then start again.", where=Where(file=str(final.parent)),
        )  # fmt: skip
    context.ask_memory(needed + SPARE_BYTES)
    context.progress(0, 0, "Loading the base model")
    model, config = _quantised(base, bits)
    _compute(context, model)
    context.progress(1, 1, "Writing", "Writing the weights")
    from mlx_lm.utils import save_config, save_model

    with new_folder(final) as tmp:
        save_model(tmp, model)
        save_config(dict(config), tmp / "config.json")
        # As they are: a tokenizer that is saved anew may differ from the one that it was read from.
        for name in (*RENDERING_FILES, "generation_config.json"):
            if (base.path / name).is_file():
                shutil.copyfile(base.path / name, tmp / name)
        write_json(tmp / FACTS, {
            "source": base.name, "source_id": base.id, "source_content": base.content_fingerprint,
            "bits": bits, "group_size": GROUP,
        })  # fmt: skip
        context.token.raise_if_cancelled()


def _quantised(base: BaseModel, bits: int) -> tuple[Any, Mapping[str, Any]]:
    """The model with quantised layers, none of them computed yet, and its config."""
    import mlx.core as mx
    import mlx.nn as nn
    from mlx.utils import tree_map_with_path
    from mlx_lm.utils import load_model, quantize_model

    try:
        model, config = load_model(base.path, lazy=True)
    except Exception as exc:
        raise AppError(
            "base_does_not_load", f"The base model {base.name} can't be loaded.",
            hint="Its files may be damaged; add it again.", detail=repr(exc)[:2000], action="page:adapters",
        ) from exc  # fmt: skip
    wanted = config.get("torch_dtype") or config.get("dtype")
    if wanted in _DTYPES:
        # As mlx_lm.convert does: some layers keep a type of their own.
        casts, kind = getattr(model, "cast_predicate", lambda _name: True), getattr(mx, wanted)

        def cast(name: str, value: Any) -> Any:
            return value.astype(kind) if casts(name) and mx.issubdtype(value.dtype, mx.floating) else value

        model.update(tree_map_with_path(cast, model.parameters()))
    model, config = quantize_model(model, config, GROUP, bits)
    if not any(isinstance(m, (nn.QuantizedLinear, nn.QuantizedEmbedding)) for _, m in model.named_modules()):
        raise AppError(
            "nothing_to_quantise", f"No layer of {base.name} can be quantized: none is a multiple of {GROUP} wide.",
            hint="Use it as it is.",
        )  # fmt: skip
    return model, config


def _compute(context: JobContext, model: Any) -> None:
    import mlx.core as mx

    modules = [(name, module) for name, module in model.named_modules() if not module.children()]
    for number, (name, module) in enumerate(modules):
        context.token.raise_if_cancelled()
        context.progress(number, len(modules), "Quantizing", f"Layer {number + 1:,} of {len(modules):,}, {name}")
        mx.eval(module.parameters())
        context.hold_memory(int(mx.get_peak_memory()))
    mx.eval(model.parameters())
