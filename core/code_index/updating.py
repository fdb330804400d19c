"""Keeps the indexes of watched projects up to date: one thread writes, one a project listens to its folder.

What is small is done here at once; where so much waits for vectors that it would take long, a job is asked for.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core.cancel import CancelToken
from core.code_index import active as actives
from core.code_index.gated import GatedEmbedder, Models
from core.code_index.health import Places
from core.code_index.index import EMBED_S, Indexer
from core.code_index.reader import summarised
from core.code_index.spec import ProjectSpec
from core.code_index.state import reading
from core.code_index.tools import usual
from core.code_index.watch import Change, Reason, start
from core.errors import AppError, Cancelled, bug_report

log = logging.getLogger(__name__)
# More chunks than this without a vector are a job's: it shows how far it is, and can be paused.
FEW_CHUNKS = 512
# Another process writes the index; its end is told, this is for the case that it died.
TRY_AGAIN_S = 5.0
CLOSE_S = 5.0
Send = Callable[..., None]


@dataclass
class Watched:
    """One project that is kept up to date."""

    spec: ProjectSpec
    stop: threading.Event = field(default_factory=threading.Event)
    paths: set[str] = field(default_factory=set)
    rescan: bool = True


class LightEmbedder:
    """Embeds a few chunks beside searching; asked for more it says that it is too much, so that a job does it."""

    def __init__(self, inner: GatedEmbedder) -> None:
        self._inner = inner
        self.slug, self.name, self.dimension, self.soft_limit = (
            inner.slug, inner.name, inner.dimension, inner.soft_limit,
        )  # fmt: skip
        # A chunk is one text or two, its code and its title.
        self.left = 2 * FEW_CHUNKS

    def embed(self, texts: Any, token: CancelToken | None = None) -> Any:
        """As `Embedder.embed`. Raises AppError `too_many_chunks`."""
        self.left -= len(texts)
        if self.left < 0:
            raise AppError("too_many_chunks", "So many chunks are embedded by a job.", hint="")
        return self._inner.embed(texts, token)


class Updating:
    """`send(kind, **fields)` tells the parent: `changed`, `behind`, `notice`."""

    def __init__(self, models: Models, send: Send) -> None:
        self._models, self._send = models, send
        self._indexers: dict[str, Indexer] = {}
        self._watched: dict[str, Watched] = {}
        self._due: queue.Queue[str | None] = queue.Queue()
        self._guard = threading.Lock()
        self._token = CancelToken()
        self._thread = threading.Thread(target=self._run, name="code-update", daemon=True)
        self._thread.start()

    def watch(self, spec: ProjectSpec) -> None:
        """Keep it up to date from now on; first everything is looked at."""
        with self._guard:
            before = self._watched.get(spec.id)
            if before is not None and before.spec == spec:
                return
            if before is not None:
                before.stop.set()
            found = Watched(spec)
            self._watched[spec.id] = found
        start(spec.root_path, lambda change: self._on_change(found, change), found.stop)

    def forget(self, project_id: str) -> None:
        """Keep it no more, and let go of its files."""
        with self._guard:
            found = self._watched.pop(project_id, None)
        if found is not None:
            found.stop.set()
            self._due.put(project_id)

    def look_again(self, project_id: str) -> None:
        """A job has written, or stopped: what changed meanwhile is brought in."""
        with self._guard:
            found = self._watched.get(project_id)
            if found is not None:
                found.rescan = True
        if found is not None:
            self._due.put(project_id)

    def close(self) -> None:
        """End in order."""
        self._token.cancel("closing")
        for found in self._watched.values():
            found.stop.set()
        self._due.put(None)
        self._thread.join(CLOSE_S)

    def _on_change(self, found: Watched, change: Change) -> None:
        if change.reason is Reason.GONE or change.detail:
            error = AppError(
                "no_project_folder" if change.reason is Reason.GONE else "watch_notice", change.detail,
                hint="The index is kept." if change.reason is Reason.GONE else "",
            )  # fmt: skip
            self._send("notice", project=found.spec.id, error=error.to_json())
        if change.reason is Reason.GONE:
            return
        with self._guard:
            found.rescan = found.rescan or change.rescan
            found.paths |= change.paths
        self._due.put(found.spec.id)

    # The thread that writes

    def _run(self) -> None:
        try:
            self._serve()
        finally:
            # Here: SQLite lets a connection be closed by the thread that opened it alone.
            for indexer in self._indexers.values():
                indexer.close()

    def _serve(self) -> None:
        while (project_id := self._due.get()) is not None:
            with self._guard:
                found = self._watched.get(project_id)
                paths = None if found is None or found.rescan else set(found.paths)
                wanted = found is not None and (found.rescan or bool(found.paths))
                if found is not None:
                    found.rescan, found.paths = False, set()
            if found is None:
                # Not under the guard: it may tidy up before it closes.
                if project_id in self._indexers:
                    self._indexers.pop(project_id).close()
                continue
            if not wanted:
                continue
            try:
                self._refresh(found, paths)
            except Cancelled:
                return
            except AppError as error:
                self._failed(found, paths, error)
            except Exception as exc:
                log.exception("keeping %s up to date", found.spec.name)
                self._failed(found, paths, bug_report(exc))

    def _failed(self, found: Watched, paths: set[str] | None, error: AppError) -> None:
        """A project that another process writes waits for it; all else is told, and done with the next change."""
        with self._guard:
            found.rescan = found.rescan or paths is None
            found.paths |= paths or set()
        if error.code != "index_busy":
            self._send("notice", project=found.spec.id, error=error.to_json())
            return
        timer = threading.Timer(TRY_AGAIN_S, self._due.put, [found.spec.id])
        timer.daemon = True
        timer.start()

    def _refresh(self, found: Watched, paths: set[str] | None) -> None:
        spec = found.spec
        slug = actives.active(spec.index_path)
        if not slug:
            # The first time is a job's.
            self._send("behind", project=spec.id, chunks=0)
            return
        model = self._models.of_index(slug, spec.embedder) if slug != actives.LEXICAL else None
        # Many that wait are a job's, which shows how far it is and can be paused; new ones stay few beside them.
        many = model is not None and _waiting(spec, slug) > FEW_CHUNKS
        light = LightEmbedder(model) if model is not None and not many else None
        indexer = self._indexers.get(spec.id)
        if indexer is None or indexer.root != spec.root_path:
            if indexer is not None:
                indexer.close()
            indexer = Indexer(spec.index_path, spec.root_path, light, spec.vectors_path, usual(spec.workspace_path))
            self._indexers[spec.id] = indexer
        indexer.embedder = light
        # What was left by a job that rests stays so: of all files only those that are new or changed are embedded.
        report = indexer.refresh(self._token, paths=paths, embed_s=EMBED_S, embed_all=False)
        for notice in report.notices:
            if notice.code not in ("too_many_chunks", "no_memory_for_embedder"):
                self._send("notice", project=spec.id, error=notice.to_json())
        if report.changed or report.removed or report.embedded or paths is None:
            with reading(Places(spec.index_path, slug).state) as state:
                self._send("changed", project=spec.id, summary=summarised(state, spec, slug, model))
        too_many = many or any(notice.code == "too_many_chunks" for notice in report.notices)
        if report.more and paths is not None and not report.whole:
            with self._guard:
                found.paths |= paths
            self._due.put(spec.id)
        elif report.missing and model is not None and (too_many or report.whole):
            self._send("behind", project=spec.id, chunks=report.missing)


def _waiting(spec: ProjectSpec, slug: str) -> int:
    """How many chunks have no vector yet."""
    with reading(Places(spec.index_path, slug).state) as state:
        return sum(file.chunks - file.embedded for file in state.files().values())
