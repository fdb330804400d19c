"""Find code for a question: four legs over the index, fused, as whole symbols as they stand on disk now.

The pipeline and its weights were measured (notes/retrieval.md, section 4): meaning (cosine), words (BM25 over code
tokens), exact names, words of names; 50 of each, the same filters, reciprocal rank fusion. A leg that
can't answer is left out with a notice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from core.code_index.embedder import SOFT_LIMIT, Embedder
from core.code_index.exact import by_exact
from core.code_index.fusion import LEG_DEPTH, Fused, Reranker, fuse
from core.code_index.query import EXACT, MEANING, NAME, SHORT_WORDS, WORDS, Query, parse
from core.code_index.records import Filters, Found, Hit
from core.code_index.sources import Current, Sources
from core.code_index.symbols import Symbol, in_parts, symbols
from core.errors import AppError, Cancelled, bug_report

RERANKED = 30
# What a file says outside of its symbols bears the file's name, often that of its main symbol: the lesser answer. So
# is, to a question, a skeleton: it has the words of all methods and the body of none. Measured in five languages.
_PRIOR = {"module": 0.85}
_PRIOR_OF_QUESTIONS = {**_PRIOR, "class": 0.95, "interface": 0.95, "impl": 0.95}
_MOST_IMPORTS = 30


class Legs(Protocol):
    """What is asked of the store (`core.code_index.store.ChunkStore`)."""

    def by_vector(self, vector: Any, k: int, filters: Filters | None = None) -> list[Hit]:
        """By cosine."""
        ...

    def by_words(self, tokens: Sequence[str], k: int, filters: Filters | None = None) -> list[Hit]:
        """By BM25 over header and text."""
        ...

    def by_name_words(self, tokens: Sequence[str], k: int, filters: Filters | None = None) -> list[Hit]:
        """By BM25 over names."""
        ...

    def by_exact(self, names: Sequence[str], k: int, filters: Filters | None = None, most: int = 8) -> list[Hit]:
        """Definitions of names."""
        ...

    def by_reference(self, names: Iterable[str], k: int, filters: Filters | None = None) -> list[Hit]:
        """Rows that use names."""
        ...

    def file_rows(self, paths: Sequence[str], columns: Sequence[str] = ...) -> dict[str, list[dict[str, Any]]]:
        """Rows of files, by line."""
        ...

    def counts(self) -> dict[str, int]:
        """`rows` and `embedded`."""
        ...


COLUMNS = (
    "id", "path", "lang", "kind", "name", "qualified", "parent", "part", "nparts", "start_line", "end_line",
    "complexity", "signature", "doc", "refs", "imports", "is_test", "file_hash", "text",
)  # fmt: skip
# What is shown around a symbol.
_AROUND = ("qualified", "parent", "signature", "imports")


@dataclass(frozen=True)
class Retrieved:
    """What was found, the best first. `total` counts the chunks that any leg named, `legs` are those that answered.

    `notices` are sentences for the user: what was not searched and why, what had changed, what is gone.
    """

    query: Query
    found: tuple[Found, ...]
    notices: tuple[str, ...]
    total: int
    seconds: float
    legs: tuple[str, ...]


@dataclass
class _Search:
    """One search as it goes on."""

    store: Legs
    query: Query
    notices: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    # How much of the code has a vector.
    known: float = 1.0

    @property
    def weights(self) -> Mapping[str, float]:
        """Those of the query. The nearest of a tenth of the code is seldom what is looked for."""
        return {**self.query.weights, MEANING: self.query.weights[MEANING] * self.known}

    def take(self, name: str, answer: list[Hit] | AppError) -> list[Hit]:
        """What a leg found; nothing, and a notice, where it couldn't."""
        if isinstance(answer, AppError):
            self.tell(f"{_LEG_NAMES[name]} was left out: {answer.message}")
            return []
        self.answered.append(name)
        return answer

    def rows(self, paths: Sequence[str], columns: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """Rows of files; none, and a notice, where the store can't answer."""
        try:
            return self.store.file_rows(paths, columns) if paths else {}
        except AppError as exc:
            self.tell(f"What stands around the results is not shown: {exc.message}")
            return {}

    def tell(self, notice: str) -> None:
        """Add a notice, each once."""
        if notice not in self.notices:
            self.notices.append(notice)


_LEG_NAMES: Mapping[str, str] = {
    MEANING: "Search by meaning", WORDS: "Search by words", NAME: "Search by names", EXACT: "Search for the symbol",
}  # fmt: skip


def retrieve(
    store: Legs, embedder: Embedder | None, root: Path, text: str, filters: Filters | None = None, k: int = 10, *,
    embedded: tuple[int, int] | None = None, reranker: Reranker | None = None,
) -> Retrieved:  # fmt: skip
    """The `k` best symbols for a query as typed (`core.code_index.query` tells its filters). Raises only Cancelled.

    Without an `embedder` the meaning is not searched; the caller knows why, and says so.

    `embedded` is (chunks with a vector, chunks) where it is known; else the store is asked, which takes a scan.
    """
    started = time.perf_counter()
    query = parse(text, filters)
    search = _Search(store, query, list(query.notices))
    if query.is_empty:
        search.tell("Nothing was searched for: type what to look for, beside filters.")
        return Retrieved(query, (), tuple(search.notices), 0, time.perf_counter() - started, ())
    priors = _PRIOR if query.words <= SHORT_WORDS else _PRIOR_OF_QUESTIONS
    legs = _ask(search, embedder, embedded)
    fused = fuse(legs, search.weights, priors)
    if reranker is not None:
        best = fused[:RERANKED]
        fused = [*_rerank(search, reranker, best), *fused[RERANKED:]]
    sources = Sources(root, embedder.soft_limit if embedder else SOFT_LIMIT)
    found = _found(search, fused, sources, max(0, k))
    return Retrieved(
        query, tuple(found), tuple(search.notices), len(fused), time.perf_counter() - started, tuple(search.answered),
    )  # fmt: skip


def _rerank(search: _Search, reranker: Reranker, best: Sequence[Fused]) -> Sequence[Fused]:
    """The reranker's order; the fused one where it fails."""
    try:
        return reranker(search.query.text, best)
    except AppError as exc:
        search.tell(f"The results were not reordered: {exc.message}")
        return best


def _ask(search: _Search, embedder: Embedder | None, embedded: tuple[int, int] | None) -> dict[str, list[Hit]]:
    query, store = search.query, search.store
    asks: dict[str, Callable[[], list[Hit]]] = {
        WORDS: lambda: store.by_words(query.tokens, LEG_DEPTH, query.filters),
        NAME: lambda: _by_name_words(store, query),
    }
    answers: dict[str, list[Hit] | AppError] = {}
    with ThreadPoolExecutor(len(asks) + 1, "leg") as threads:
        others = {leg: threads.submit(_answer, ask) for leg, ask in asks.items()}
        if query.identifiers:
            others[EXACT] = threads.submit(_answer, lambda: by_exact(store, query))
        if embedder is not None:
            # In the caller's thread, which is the model's.
            answers[MEANING] = _answer(lambda: _by_meaning(search, embedder, embedded))
        answers |= {leg: other.result() for leg, other in others.items()}
    return {leg: search.take(leg, answer) for leg, answer in answers.items()}


def _by_name_words(store: Legs, query: Query) -> list[Hit]:
    found = store.by_name_words(query.name_words, LEG_DEPTH, query.filters)
    if not query.is_a_question:
        return found
    # Nearly every question has one word of some name, and names of tests are sentences.
    return [hit for hit in found if query.says(hit.row["name"]) and not hit.row["is_test"]]


def _answer(ask: Callable[[], list[Hit]]) -> list[Hit] | AppError:
    """What a leg finds, or why it can't. Raises only Cancelled."""
    try:
        return ask()
    except Cancelled:
        raise
    except AppError as exc:
        return exc
    except Exception as exc:
        return bug_report(exc)


def _by_meaning(search: _Search, embedder: Embedder, embedded: tuple[int, int] | None) -> list[Hit]:
    hits = search.store.by_vector(embedder.embed_query(search.query.text), LEG_DEPTH, search.query.filters)
    counts = search.store.counts() if embedded is None else {}
    done, rows = embedded or (counts["embedded"], counts["rows"])
    if done < rows:
        search.known = done / rows
        search.tell(
            f"The meaning of {100 * done // rows}% of the code is known so far; the rest is found by words and names."
        )
    return hits


def _found(search: _Search, fused: Sequence[Fused], sources: Sources, k: int) -> list[Found]:
    kept: list[Symbol] = []
    files: dict[str, list[dict[str, Any]]] = {}
    at = 0
    while len(kept) < k and at < len(fused):
        slab = fused[at : at + k + 10]
        at += len(slab)
        # Only what is in parts has to be put together.
        wanted = dict.fromkeys(str(one.row["path"]) for one in slab if in_parts(one.row))
        files |= search.rows([path for path in wanted if path not in files], COLUMNS)
        kept = symbols(slab, files, kept)
    current: list[tuple[Symbol, Current]] = []
    for symbol in kept:
        if len(current) == k:
            break
        now = sources.current(symbol)
        if now is None:
            search.tell(sources.why_not(symbol))
        else:
            current.append((symbol, now))
    around = search.rows(list(dict.fromkeys(symbol.path for symbol, _ in current)), _AROUND)
    stale = len({symbol.path for symbol, now in current if now.stale})
    if stale:
        search.tell("1 file has changed since it was indexed and was read again." if stale == 1
                    else f"{stale} files have changed since they were indexed and were read again.")  # fmt: skip
    return [_shown(symbol, now, now.rows or around.get(symbol.path, [])) for symbol, now in current]


def _shown(symbol: Symbol, now: Current, rows: Sequence[Mapping[str, Any]]) -> Found:
    current, row = now.symbol, now.symbol.row
    parent = next((other for other in rows if row["parent"] and other["qualified"] == row["parent"]), None)
    imports = [name for other in rows for name in other.get("imports") or ()]
    signature = str(parent["signature"]) if parent else ""
    lines = [
        *imports[:_MOST_IMPORTS],
        *(["…"] if len(imports) > _MOST_IMPORTS else []),
        *([signature] if signature else []),
    ]
    return Found(
        path=current.path, start_line=current.start, end_line=current.end, kind=row["kind"],
        qualified=row["qualified"], language=row["lang"], score=symbol.score, legs=dict(symbol.legs),
        text=current.text, stale=now.stale, signature=row["signature"], context="\n".join(lines),
        extra={
            "id": symbol.row["id"], "name": row["name"], "parent": row["parent"], "parent_signature": signature,
            "imports": tuple(imports), "complexity": row["complexity"], "is_test": bool(row["is_test"]),
            "doc": row["doc"], "references": tuple(row["refs"] or ()), "parts": row["nparts"],
        },
    )  # fmt: skip
