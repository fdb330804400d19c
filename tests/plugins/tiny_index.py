"""An indexing job that reads a project in one pass, without a store: what the page shows of an index is real.

It waits while the file `.hold` is in the project's folder, and fails while `.fail` is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from core.cancel import CancelToken
from core.code_index.active import make_active
from core.code_index.chunking import parse_file
from core.code_index.health import Places
from core.code_index.languages import language_of
from core.code_index.records import Kind
from core.code_index.scan import scan
from core.code_index.spec import ProjectSpec
from core.code_index.state import Change, FileState, IndexState, Stage
from core.code_index.state_view import summary
from core.errors import AppError
from core.projects.jobs import INDEX as REAL
from core.workers.host import JobContext

INDEX = replace(REAL, handler="tests.plugins.tiny_index:run", worker="data")
SLUG = "lexical"


def index(root: Path, folder: Path, embedder: str = "") -> dict[str, Any]:
    """Write the state of an index of `root`; returns its summary as JSON."""
    found = scan(root, CancelToken(), language=language_of)
    places = Places(folder, SLUG)
    places.folder.mkdir(parents=True, exist_ok=True)
    state = IndexState(places.state)
    try:
        state.write(Change([_file(root, file, bool(embedder)) for file in found.files]))
        state.replace_left_out(found.left_out)
        made = asdict(summary(state, places.folder))
    finally:
        state.close()
    make_active(folder, SLUG)
    stages = {str(stage): count for stage, count in made["stages"].items()}
    return {**made, "stages": stages, "embedder": embedder, "notices": []}


def _file(root: Path, file: Any, embedded: bool) -> FileState:
    chunks = parse_file(file.path, (root / file.path).read_bytes()).chunks
    symbols = sum(chunk.kind not in (Kind.MODULE, Kind.TEXT) for chunk in chunks)
    return FileState(
        file.path, file.size, file.mtime_ns, "x", file.language, len(chunks), len(chunks) if embedded else 0, symbols,
        Stage.EMBEDDED if embedded else Stage.LEXICAL, indexed_at=time.time(),
    )  # fmt: skip


def run(context: JobContext) -> Mapping[str, Any]:
    """The handler."""
    spec = ProjectSpec.from_json(context.params["project"])
    if (spec.root_path / ".fail").exists():
        raise AppError("index_failed", "The index could not be written.", hint="Free some space, then resume.")
    for number in range(4):
        context.token.raise_if_cancelled()
        context.progress(number, 4, "Reading files")
        while number == 2 and (spec.root_path / ".hold").exists():
            context.token.raise_if_cancelled()
            time.sleep(0.01)
    context.emit("indexed", summary=index(spec.root_path, spec.index_path, spec.embedder))
    return {}
