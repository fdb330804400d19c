"""Worker handler that brings a project's index up to date: words first, then meaning, the newest files first."""

from __future__ import annotations

import time
from typing import Any

from core.code_index import active as actives
from core.code_index.gated import GatedEmbedder, Models
from core.code_index.health import Places
from core.code_index.index import EMBED_S, Indexer
from core.code_index.reader import summarised
from core.code_index.report import Report, Step
from core.code_index.spec import ProjectSpec
from core.code_index.state import reading
from core.code_index.tools import usual
from core.errors import AppError
from core.workers.host import JobContext

# So long others get to begin to write between two passes.
LET_IN_S = 0.2
# In a large project a look at all files takes its time: it embeds that many times as long.
SHARE = 10
STAGES = {
    "scanning": "Looking for files", "reading": "Reading files", "indexing": "Writing the index",
    "embedding": "Embedding",
}  # fmt: skip


def index_project(context: JobContext) -> dict[str, Any]:
    """Handler of `index_project`: params {"project": a ProjectSpec}. Emits `indexed {summary}`, also half-way.

    Without an embedding model the code is indexed by words, and the result says why.
    """
    spec = ProjectSpec.from_json(context.params["project"])
    if not spec.root_path.is_dir():
        raise AppError(
            "no_project_folder", f"The folder {spec.root} can't be found.",
            hint="Say where it is now, or connect the disk it is on; then index it again. The index is kept.",
        )  # fmt: skip
    return _Indexing(context, spec).run()


class _Indexing:
    """One run."""

    def __init__(self, context: JobContext, spec: ProjectSpec) -> None:
        self._context, self._spec = context, spec
        self._stage, self._embedding = "", False
        self._notices: list[AppError] = []
        self._model = self._wanted()
        self._indexer = Indexer(
            spec.index_path, spec.root_path, self._model, spec.vectors_path, usual(spec.workspace_path)
        )  # fmt: skip

    def _wanted(self) -> GatedEmbedder | None:
        def ask(size_bytes: int) -> bool:
            self._context.ask_memory(size_bytes)
            return True

        try:
            return Models(ask, self._context.hold_memory).wanted(self._spec.embedder)
        except AppError as error:
            self._notices.append(error)
            return None

    def run(self) -> dict[str, Any]:
        """All of it; what Stop or Pause leaves is gone on with the next time."""
        report, embed_s = self._pass(EMBED_S), EMBED_S
        while report.more:
            # Who waits for the index looks for it twenty times a second.
            time.sleep(LET_IN_S)
            one = self._pass(embed_s)
            report, embed_s = one.after(report), max(EMBED_S, SHARE * one.words_s)
        self._indexer.close()
        self._emit()
        result = _result(report, [*self._notices, *report.notices])
        return {**result, "embed_s": self._model.embed_s if self._model else 0.0}

    def _pass(self, embed_s: float) -> Report:
        return self._indexer.refresh(self._context.token, self._tell, embed_s=embed_s)

    def _tell(self, step: Step) -> None:
        if step.stage == "embedding":
            if self._stage != "embedding":
                # From here on it can be searched by words; later, how much can be by meaning.
                self._emit()
            self._embedding = True
        elif self._embedding:
            # Once it embeds, a look between two passes is no news.
            self._stage = step.stage
            return
        self._stage = step.stage
        unit = {"reading": "files", "embedding": "chunks"}.get(step.stage, "")
        rate = f"{step.rate:,.0f} {unit} a second" if step.rate >= 1 and unit else ""
        self._context.progress(step.done, step.total, STAGES.get(step.stage, step.stage), rate)

    def _emit(self) -> None:
        slug = actives.active(self._spec.index_path)
        if not slug:
            return
        with reading(Places(self._spec.index_path, slug).state) as state:
            found = summarised(state, self._spec, slug, self._model)
        found["notices"] = [f"{notice.message} {notice.hint}".strip() for notice in self._notices]
        self._context.emit("indexed", summary=found)


def _result(report: Report, notices: list[AppError]) -> dict[str, Any]:
    """The counts: found = used + left out + failed."""
    names = (
        "found", "used", "left_out", "failed", "changed", "removed", "chunks", "embedded", "from_cache", "missing",
        "words_s", "seconds", "first_bytes", "first_s", "index_state", "slug",
    )  # fmt: skip
    return {
        **{name: getattr(report, name) for name in names}, "notices": [notice.to_json() for notice in notices],
    }  # fmt: skip
