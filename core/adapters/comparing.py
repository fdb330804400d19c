"""Worker handler that compares bases in MLX's format with those as GGUF, pair by pair."""

from __future__ import annotations

from typing import Any

from core.adapters import siblings
from core.errors import AppError
from core.inference.gguf.siblings import compare, fits, probes
from core.models.folder import read_config
from core.models.gguf_file import read_gguf
from core.models.rendering import load_tokenizer
from core.models.store import BaseModel, require_folder
from core.workers.host import JobContext


def compare_bases(context: JobContext) -> dict[str, Any]:
    """Handler of `compare_bases`, without params: every pair that was not compared as it is now.

    One that can't be read is counted and named in the result; it is looked at again the next time.
    """
    db = context.open_db()
    try:
        pairs = siblings.unchecked(db)
    finally:
        db.close()
    notices: list[dict[str, Any]] = []
    for number, (base, other) in enumerate(pairs):
        context.token.raise_if_cancelled()
        context.progress(number, len(pairs), f"Comparing {other.name} with {base.name}")
        try:
            points = _compared(base, other)
        except AppError as error:
            notices.append(error.to_json())
            continue
        context.emit("sibling", row={
            "base_id": base.id, "other_id": other.id, "fits": int(fits(points)),
            "points": [point.to_json() for point in points], "contents": siblings.contents(base, other),
        })  # fmt: skip
    return {
        "in": len(pairs), "used": len(pairs) - len(notices), "rejected": len(notices), "cut": 0, "notices": notices,
    }  # fmt: skip


def _compared(base: BaseModel, other: BaseModel) -> Any:
    require_folder(base)
    require_folder(other)
    tokenizer = load_tokenizer(base.path)
    return compare(
        read_config(base.path), tokenizer.vocabulary, tokenizer.template, read_gguf(other.path),
        lambda template: tokenizer.texts(probes(), template),
    )  # fmt: skip
