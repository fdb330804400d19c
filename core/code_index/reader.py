"""One project's index as it is asked: search, context for a question, a file with its symbols, how it stands.

Whatever is wrong with the index, an answer comes: with fewer legs, or without context, and with a word about it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from core.cancel import CancelToken
from core.code_index import active as actives
from core.code_index.decoding import decode, lines_of
from core.code_index.gated import GatedEmbedder, Models
from core.code_index.grep import grep
from core.code_index.health import Places, check
from core.code_index.pack import pack
from core.code_index.plain import read_file
from core.code_index.records import Found
from core.code_index.related import file_overview, related
from core.code_index.retrieve import COLUMNS, Retrieved, retrieve
from core.code_index.spec import ProjectSpec
from core.code_index.state import IndexState, Stage
from core.code_index.state_view import Summary, summary
from core.code_index.store import ChunkStore
from core.errors import AppError

# For a question more is looked at than is sent: what does not fit is named.
CONTEXT_DEPTH = 40
MOST_CHARACTERS = 400_000
NOT_YET = "The code is not indexed yet."
UNTIL_LOADED = "Search by words and names until the embedding model is in memory."
Count = Callable[[str], int]


def _written(places: Places) -> tuple[tuple[int, int], ...]:
    """Changes with whatever is written to the state of an index."""
    found = []
    for path in (places.state, places.state.with_name(f"{places.state.name}-wal")):
        with contextlib.suppress(FileNotFoundError):
            stat = path.stat()
            found.append((stat.st_mtime_ns, stat.st_size))
    return tuple(found)


class ProjectIndex:
    """For one thread at a time. `notice` is what was wrong when it was opened, `damaged` that it is to be made anew.

    `loaded(spec)`, from another thread, when the model is there that a search did not wait for.
    """

    def __init__(self, spec: ProjectSpec, models: Models, loaded: Callable[[ProjectSpec], None]) -> None:
        self.spec, self._models, self._loaded = spec, models, loaded
        self._slug = ""
        self._store: ChunkStore | None = None
        self._state: IndexState | None = None
        self._seen: tuple[tuple[int, int], ...] = ()
        self.notice: AppError | None = None
        self.damaged = False

    # What is open

    def close(self) -> None:
        """Let go of all files."""
        if self._store is not None:
            self._store.close()
        if self._state is not None:
            self._state.close()
        self._store = self._state = None
        self._slug = ""

    def _ready(self) -> tuple[ChunkStore, IndexState] | None:
        """The index that answers now; None where there is none, or none that is whole."""
        slug = actives.active(self.spec.index_path)
        # Its words are made anew long before the job that does it ends.
        mended = self.damaged and slug and _written(Places(self.spec.index_path, slug)) != self._seen
        if slug != self._slug or mended:
            self.close()
            self.notice, self.damaged = None, False
        if not slug or self.damaged:
            return None
        if self._store is None or self._state is None:
            self._open(slug)
        return (self._store, self._state) if self._store is not None and self._state is not None else None

    def _open(self, slug: str) -> None:
        places = Places(self.spec.index_path, slug)
        self._slug, self._seen = slug, _written(places)
        health = check(places)
        self.notice, self.damaged = health.notice, health.rebuild
        if not (health.rebuild or health.begun):
            self._state = IndexState(places.state, read_only=True)
            self._store = ChunkStore.open(places.lance)

    @property
    def there(self) -> bool:
        """Whether there is an index that can be asked."""
        return self._ready() is not None

    def embedder(self, *, wait: bool = True) -> tuple[GatedEmbedder | None, list[str]]:
        """The model of the index that answers; without one the words that say why.

        Without `wait` one that is not in memory is brought there beside, and this time there is none.
        """
        if self._slug == actives.LEXICAL:
            return None, ["Search by words and names: this project has no embedding model."]
        found = self._models.of_index(self._slug, self.spec.embedder)
        if found is None:
            return None, ["Search by words and names: the embedding model that the code was embedded with is not here."]
        if wait or found.loaded:
            return found, []
        # That of the try before: whether this one ends at once is a matter of luck.
        trouble = found.trouble
        found.load_soon(lambda: self._loaded(self.spec))
        return None, [f"{trouble.message} {trouble.hint}".strip() if trouble is not None else UNTIL_LOADED]

    # What is asked

    def search(self, text: str, k: int, *, wait: bool = True) -> dict[str, Any]:
        """As the answer of the command `search`; without `wait` not by meaning while the model is not in memory."""
        began = time.monotonic()
        found = self._retrieve(text, k, wait=wait)
        if found is None:
            return {"found": [], "notices": self._why_not(), "total": 0, "seconds": time.monotonic() - began}
        retrieved, total = found
        return {
            "found": [shown(one) for one in retrieved.found], "notices": list(retrieved.notices), "total": total,
            "seconds": time.monotonic() - began,
        }  # fmt: skip

    def _retrieve(self, text: str, k: int, *, wait: bool = True) -> tuple[Retrieved, int] | None:
        ready = self._ready()
        if ready is None:
            return None
        store, state = ready
        embedder, notices = self.embedder(wait=wait)
        sums = summary(state)
        found = retrieve(store, embedder, self.spec.root_path, text, None, k, embedded=(sums.embedded, sums.chunks))
        told = tuple(dict.fromkeys([*_unread(sums), *notices, *found.notices]))
        return Retrieved(found.query, found.found, told, found.total, found.seconds, found.legs), sums.chunks

    def _why_not(self) -> list[str]:
        if self.notice is not None:
            return [f"{self.notice.message} {self.notice.hint}".strip()]
        return [NOT_YET]

    def context(self, text: str, budget_tokens: int, count: Count) -> dict[str, Any]:
        """What a question is given: `core.projects.assistant.Given` as JSON."""
        began = time.monotonic()
        found = self._retrieve(text, CONTEXT_DEPTH)
        if found is None:
            return {"sources": [], "notices": self._why_not(), "seconds": time.monotonic() - began}
        retrieved, _total = found
        packed = pack(retrieved.found, budget_tokens, count)
        sources = [_source(piece.found, _below_head(piece.text), piece.tokens, True, "") for piece in packed.used]
        sources += [_source(left.found, left.found.text, count(left.found.text), False, left.reason)
                    for left in packed.left_out]  # fmt: skip
        order = {id(one): place for place, one in enumerate(retrieved.found)}
        sources.sort(key=lambda source: order[source.pop("_of")])
        assert self._state is not None
        return {
            "sources": sources, "notices": list(retrieved.notices), "index_state": self._state.index_state(),
            "indexed_at": _moment(summary(self._state).last_change), "seconds": time.monotonic() - began,
        }  # fmt: skip

    def grep(self, pattern: str, options: Mapping[str, Any], token: CancelToken) -> dict[str, Any]:
        """As the answer of the command `grep`: the files that are indexed, as they are on disk."""
        ready = self._ready()
        if ready is None:
            return {"lines": [], "more": False, "notices": self._why_not()}
        states = ready[1].files().values()
        files = [file for file in states if file.state in (Stage.LEXICAL, Stage.EMBEDDED)]
        return grep_answer(self.spec, files, pattern, options, token)

    def read(self, path: str, lines: Sequence[int]) -> dict[str, Any]:
        """As the answer of the command `read`. Raises AppError where the file can't be read."""
        text = decode(read_file(self.spec.root_path, path))
        out: dict[str, Any] = {
            "path": path, "text": text[:MOST_CHARACTERS], "cut": len(text) > MOST_CHARACTERS,
            "lines_total": len(lines_of(text)), "language": "text", "symbols": [], "calls": [], "called_by": [],
            "changed_at": (self.spec.root_path / path).stat().st_mtime,
        }  # fmt: skip
        ready = self._ready()
        if ready is None:
            return out
        store, state = ready
        if (file := state.file(path)) is not None:
            out["language"] = file.language
        with contextlib.suppress(AppError):
            out["symbols"] = [asdict(one) for one in file_overview(store, path)]
            if lines:
                out |= _around(store, path, lines)
        return out

    def status(self) -> dict[str, Any]:
        """The sums of the index, the model it was made with, and what is wrong with it."""
        ready = self._ready()
        if ready is None:
            return {"indexed": False, "notices": self._why_not()}
        found = summarised(ready[1], self.spec, self._slug, self.embedder()[0])
        return {**found, "notices": _unread(summary(ready[1]))}


def summarised(state: IndexState, spec: ProjectSpec, slug: str, embedder: GatedEmbedder | None) -> dict[str, Any]:
    """A summary as it is sent and kept with the project."""
    found = asdict(summary(state, spec.index_path / slug))
    found["stages"] = {str(stage): count for stage, count in found["stages"].items()}
    found["languages"] = {name: list(sums) for name, sums in found["languages"].items()}
    return {**found, "indexed": True, "slug": slug, "embedder": embedder.name if embedder else "", "notices": []}


def _unread(sums: Summary) -> list[str]:
    """That there are files of which nothing is known yet, or only what was in them before."""
    left = sums.stages.get(Stage.PENDING, 0)
    if not left:
        return []
    return [f"{left:,} of {left + sums.files:,} files are still to be read; what is new in them is not found yet."]


def shown(found: Found) -> dict[str, Any]:
    """A symbol that was found, as it is sent."""
    return {
        "path": found.path, "start_line": found.start_line, "end_line": found.end_line, "kind": str(found.kind),
        "qualified": found.qualified, "language": found.language, "score": found.score,
        "legs": {leg: list(said) for leg, said in found.legs.items()}, "text": found.text, "stale": found.stale,
        "signature": found.signature, "context": found.context,
    }  # fmt: skip


def _source(found: Found, text: str, tokens: int, used: bool, why: str) -> dict[str, Any]:
    one = shown(found)
    keys = ("path", "start_line", "end_line", "kind", "language", "score", "legs", "stale")
    return {
        **{key: one[key] for key in keys}, "symbol": found.qualified, "tokens": tokens, "used": used, "why": why,
        "text": text if used else text[:2_000], "_of": id(found),
    }  # fmt: skip


def _below_head(text: str) -> str:
    """A packed piece without its first line, which names the place."""
    return text.partition("\n")[2]


def _around(store: ChunkStore, path: str, lines: Sequence[int]) -> dict[str, Any]:
    """What the symbol of those lines calls, and what calls it."""
    first, last = lines[0], lines[-1]
    rows = [row for row in store.file_rows([path], COLUMNS).get(path, [])
            if row["start_line"] <= last and first <= row["end_line"]]  # fmt: skip
    if not rows:
        return {}
    row = min(rows, key=lambda one: abs(one["start_line"] - first) + abs(one["end_line"] - last))
    found = related(store, row)
    return {
        "calls": [{"name": one["name"], "path": one["path"], "start_line": one["start_line"]} for one in found.calls],
        "called_by": [
            {"qualified": one["qualified"] or one["path"], "path": one["path"], "start_line": one["start_line"],
             "is_test": bool(one["is_test"])}
            for one in found.called_by
        ],
    }  # fmt: skip


def grep_answer(
    spec: ProjectSpec, files: Sequence[Any], pattern: str, options: Mapping[str, Any], token: CancelToken
) -> dict[str, Any]:
    """Lines that hold a text, as they are sent."""
    found = grep(spec.root_path, files, pattern, token=token, **options)
    lines = [{**asdict(line), "line": line.number} for line in found.lines]
    return {"lines": lines, "more": bool(found.notice), "notices": [found.notice] if found.notice else []}


def _moment(seconds: float | None) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds") if seconds else ""
