"""A base model as one GGUF file: a file of the user's, or a blob in Ollama's store. It stays where it lies."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from core.errors import AppError, Where
from core.models import served
from core.models.fingerprint import content_fingerprint
from core.models.gguf_file import MODEL, GgufFile, read_gguf
from core.workers.host import JobContext

FILE, OLLAMA = "gguf", "ollama"
ENGINE = "gguf"
_SIZES = (
    "block_count", "embedding_length", "feed_forward_length", "attention.head_count", "attention.head_count_kv",
    "expert_count",
)  # fmt: skip


def add_file(context: JobContext, path: Path, name: str, ollama: str = "") -> dict[str, Any]:
    """A GGUF file as a checked row of `base_models`; `ollama` is the name that Ollama knows it by.

    One that was added before keeps its id, so that chats on it go on: the same file, or what Ollama has by that name
    now. Raises AppError `bad_gguf`, `not_a_base`.
    """
    path = path.resolve()
    context.progress(0, 2, "Reading the file")
    found = read_gguf(path)
    refuse_others(found)
    context.token.raise_if_cancelled()
    context.progress(1, 2, "Hashing samples of the weights")
    ident = known(context, path, ollama) or context.job_id
    note = f"From Ollama, where it is called {ollama}. Its weights stay in Ollama's store." if ollama else ""
    return {
        "id": ident, "name": name or path.stem, "path": str(path), "kind": OLLAMA if ollama else FILE, "ollama": ollama,
        "notes": [note or f"Weights stay in {path}"], "engine": ENGINE, **described(found),
    }  # fmt: skip


def known(context: JobContext, path: Path | None, ollama: str) -> str:
    """The id of the base that this file is already, or the model that Ollama has by that name; else empty.

    Without a file it is one that Ollama answers with itself: a file here and a server's model are two bases.
    """
    db = context.open_db()
    try:
        row = db.execute(
            "select id from base_models where path = :path or (:ollama <> '' and ollama = :ollama and engine = :engine)"
            " order by path <> :path, deleted_at is not null, created_at desc",
            {"path": str(path or ""), "ollama": ollama, "engine": ENGINE if path else served.ENGINE},
        ).fetchone()
        return str(row["id"]) if row else ""
    finally:
        db.close()


def refuse_others(found: GgufFile) -> None:
    """Raise AppError `not_a_base` for a file that can't answer in a chat, saying what it is."""
    if found.kind != MODEL:
        raise _no_base(found.path, f"it holds {'an adapter' if found.kind == 'adapter' else f'a {found.kind}'}",
                       "Import adapters with Import adapter; choose the file with the base model here.")  # fmt: skip
    parts = found.metadata.get("split.count")
    if isinstance(parts, int) and parts > 1:
        raise _no_base(found.path, f"it is one of {parts} parts",
                       "Put the parts together first: llama-gguf-split --merge FIRST_PART WHOLE.gguf")  # fmt: skip
    if not found.tokens:
        raise _no_base(found.path, "it has no vocabulary", "Choose a model that writes text.")
    if not found.chat_template:
        raise _no_base(found.path, "it has no chat template, so nobody can say how a question is put to it",
                       "Choose the instruct version of the model.")  # fmt: skip


def _no_base(path: Path, why: str, hint: str) -> AppError:
    return AppError(
        "not_a_base", f"{path.name} is no base model for chats: {why}.", hint=hint, where=Where(file=str(path))
    )


def described(found: GgufFile) -> dict[str, Any]:
    """The columns of `base_models` that can be read off the file."""
    count = 0
    for shape in found.shapes.values():
        size = 1
        for length in shape:
            size *= length
        count += size
    return {
        "architecture": found.architecture, "parameter_count": count, "size_bytes": found.path.stat().st_size,
        "quantization": quantisation(found.metadata), "vocab_size": len(found.tokens),
        "context_length": found.number("context_length") or 0,
        "structure_fingerprint": digest([found.architecture, *(found.number(key) for key in _SIZES)]),
        "content_fingerprint": content_fingerprint(found.path),
        "rendering_fingerprint": digest([list(found.tokens), found.chat_template]),
        "template_hash": hashlib.sha256(found.chat_template.encode()).hexdigest(),
    }  # fmt: skip


def digest(value: Any) -> str:
    """Hex SHA-256 of a plain value."""
    return hashlib.sha256(orjson.dumps(value)).hexdigest()


def quantisation(metadata: Mapping[str, Any]) -> str:
    """As people call it ("Q4_K_M", "F16"); empty where the file does not say."""
    import gguf

    try:
        name = gguf.LlamaFileType(int(metadata["general.file_type"])).name
    except (KeyError, ValueError, TypeError):
        return ""
    return name.removeprefix("MOSTLY_").removeprefix("ALL_")
