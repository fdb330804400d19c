"""Worker handler that puts the practice model into Ollama, and takes it as a base: the way tried without a download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.inference.gguf.writing import write_base
from core.inference.ollama.host import OllamaHost
from core.inference.ollama.seen import PRACTICE_NAME
from core.inference.ollama.template import pieces_of
from core.models.gguf_base import add_file
from core.models.practice import ensure_practice_model
from core.models.rendering import load_tokenizer
from core.workers.host import JobContext
from core.workspace.files import TMP_PREFIX


def put_practice(context: JobContext) -> dict[str, Any]:
    """Handler of `practice_to_ollama`: params {"address"}."""
    context.progress(0, 3, "Writing the practice model as GGUF")
    folder = ensure_practice_model()
    # What a kill leaves of it is swept at the next start.
    path = write_base(folder, context.run_dir / f"{TMP_PREFIX}practice.gguf")
    context.token.raise_if_cancelled()
    with OllamaHost(str(context.params["address"])) as host:
        context.progress(1, 3, "Putting it into Ollama")
        digest = host.put_blob(path)
        host.create(PRACTICE_NAME, files={path.name: digest}, **_said_of_it(folder))
        context.progress(2, 3, "Adding it as a base")
        row = add_file(context, host.file(PRACTICE_NAME), "Practice model in Ollama", PRACTICE_NAME)
    context.emit("base_model", row=row)
    path.unlink(missing_ok=True)
    return {"base_model_id": row["id"], "name": PRACTICE_NAME, "in": 1, "used": 1, "rejected": 0, "cut": 0}


def _said_of_it(folder: Path) -> dict[str, Any]:
    """Its chat template and stop words: by itself Ollama gives it those of another family."""
    tokenizer = load_tokenizer(folder)
    pieces = pieces_of(lambda talk, header: tokenizer.texts([(talk, header)], tokenizer.template)[0])
    ends = [tokenizer.raw.decode([token]) for token in sorted(tokenizer.end_ids)]
    return {"template": pieces.go() if pieces is not None else "", "parameters": {"stop": ends}}
