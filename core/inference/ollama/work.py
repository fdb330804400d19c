"""Worker handlers about Ollama's models: pull one, and take one as a base."""

from __future__ import annotations

import time
from typing import Any

from core.inference.ollama.host import OllamaHost
from core.inference.ollama.seen import full_name
from core.models.gguf_base import add_file
from core.workers.host import JobContext

TELL_S = 0.2


def take_model(context: JobContext) -> dict[str, Any]:
    """Handler of `pull_ollama` and `take_ollama`: params {"name", "address", "pull"}; it is a base afterwards.

    Raises AppError `not_a_file` for one that Ollama alone can run; it is in Ollama then all the same.
    """
    name, address = full_name(str(context.params["name"]).strip()), str(context.params["address"])
    with OllamaHost(address) as host:
        if context.params.get("pull"):
            _pull(context, host, name)
        context.progress(0, 1, "Asking Ollama for its file")
        path = host.file(name)
    row = add_file(context, path, name.removesuffix(":latest"), name)
    context.emit("base_model", row=row)
    return {"base_model_id": row["id"], "name": name, "in": 1, "used": 1, "rejected": 0, "cut": 0}


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
            context.progress(step.done, step.total, f"Pulling {name}" if step.total else step.said.capitalize())
