"""Worker handlers about Ollama's models: pull one, and take one as a base."""

from __future__ import annotations

import time
from typing import Any

from core.errors import AppError
from core.inference.ollama.host import OllamaHost
from core.inference.ollama.seen import Details, full_name, refuse_cloud
from core.models import served
from core.models.gguf_base import OLLAMA, add_file, digest, known
from core.models.served import Served
from core.units import amount
from core.workers.host import JobContext

TELL_S = 0.2


def take_model(context: JobContext) -> dict[str, Any]:
    """Handler of `pull_ollama` and `take_ollama`: params {"name", "address", "pull"}; it is a base afterwards.

    One that is a GGUF file here answers with adapters; with any other one Ollama itself answers. Raises AppError
    `remote_model` for one of its cloud.
    """
    name, address = full_name(str(context.params["name"]).strip()), str(context.params["address"])
    with OllamaHost(address) as host:
        if context.params.get("pull"):
            _pull(context, host, name)
        context.progress(0, 1, "Asking Ollama about it")
        row = _base(context, host, name)
    context.emit("base_model", row=row)
    return {"base_model_id": row["id"], "name": name, "in": 1, "used": 1, "rejected": 0, "cut": 0}


def _base(context: JobContext, host: OllamaHost, name: str) -> dict[str, Any]:
    found, label = host.details(name), name.removesuffix(":latest")
    refuse_cloud(found)
    if found.file is not None or found.adapted:
        path = host.file(name)
        try:
            return add_file(context, path, label, name)
        except AppError as error:
            # In Ollama's store a file is called after its content, which says nothing to anybody.
            words = error.to_json() | {"message": error.message.replace(path.name, f"the file of {name}")}
            raise AppError.from_json(words) from error
    return served_row(context, host, found, label)


def served_row(context: JobContext, host: OllamaHost, found: Details, label: str) -> dict[str, Any]:
    """A row of `base_models` for a model that Ollama answers with."""
    listed = next((one for one in host.models() if one.name == found.name), None)
    size = listed.size_bytes if listed is not None else 0
    ident = known(context, None, found.name) or context.job_id
    path = served.write(ident, Served(host.address, found.name, size))
    architecture = str(found.info.get("general.architecture") or (listed.family if listed is not None else ""))
    sizes = [found.number(key) for key in ("block_count", "embedding_length", "feed_forward_length")]
    return {
        "id": ident, "name": label, "path": str(path), "kind": OLLAMA, "ollama": found.name, "engine": served.ENGINE,
        "notes": [f"Ollama itself answers, without adapters: its format is {found.format or 'not known'}."],
        "architecture": architecture, "parameter_count": int(found.info.get("general.parameter_count") or 0),
        "size_bytes": size, "quantization": found.quantization, "vocab_size": 0,
        "context_length": found.number("context_length"), "structure_fingerprint": digest([architecture, *sizes]),
        "content_fingerprint": listed.digest if listed is not None else digest([found.name]),
        "rendering_fingerprint": digest([architecture, found.template]), "template_hash": digest(found.template),
    }  # fmt: skip


def _pull(context: JobContext, host: OllamaHost, name: str) -> None:
    """Bytes of the model's largest file are what is waited for; the small ones come beside it."""
    told, most, before = 0.0, 0, ""
    for step in host.pull(name, context.token):
        now = time.monotonic()
        if step.total:
            most = max(most, step.total)
        if step.total < most and step.total:
            continue
        if now - told >= TELL_S or step.said != before:
            told, before = now, step.said
            words = f"{amount(step.done)} of {amount(step.total)}" if step.total else ""
            context.progress(step.done, step.total, "" if words else step.said.capitalize(), words)
