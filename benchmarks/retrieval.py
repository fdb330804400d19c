"""Finding functions by what they do and by name, beside 40-line windows with vectors alone.

Docstrings are taken out of what is indexed; questions are their first sentences where they don't name the function,
exact names, names in words, and "where is X implemented". A hit shows at least half of the function's lines, or lies at
least half in them. Large windows hit more and show more around it, so the last number is at an equal price: how much of
the function is in the first 6,000 characters of what was found. The embedder is MiniLM of the installed package, a
model for text: one for code finds more.

BENCH_VECTORS names a folder where vectors are kept between runs, BENCH_CHUNKS how large the corpus is.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.retrieval_corpus import SEED, Corpus, Gold, build
from core.code_index.code_tokens import name_tokens
from core.code_index.embedder import Embedder
from core.code_index.embedders import choose
from core.code_index.records import digest
from core.code_index.retrieve import retrieve
from core.code_index.vectors import VectorCache
from tests.support.small_index import embed_texts, index_folder

CHUNKS = int(os.environ.get("BENCH_CHUNKS", "3000"))
QUESTIONS = {"prose": 300, "identifier": 200, "words": 150, "where": 150}
WINDOW, STEP = 40, 30
DEPTH = 10
CHARACTERS = 6000
# path, first line, last line, text
Shown = tuple[str, int, int, str]
Search = Callable[[str], Sequence[Shown]]


def run(folder: Path) -> dict[str, Any]:
    corpus = build(folder / "corpus", CHUNKS)
    choice = choose("minilm")
    assert choice is not None
    embedder = choice.open()
    kept = Path(os.environ.get("BENCH_VECTORS") or folder / "vectors")
    cache = VectorCache(kept / f"{choice.slug}.db", choice.dimension)
    started = time.process_time()
    store = index_folder(folder / "lance", corpus.root, corpus.paths, embedder, cache)
    out: dict[str, Any] = {"files": len(corpus.paths), "chunks": store.counts()["rows"],
                           "indexed, CPU s": round(time.process_time() - started, 1)}  # fmt: skip
    windows = Windows(corpus, embedder, cache)
    out["windows"] = len(windows.places)
    embedded = (1, 1)

    def ours(text: str) -> Sequence[Shown]:
        found = retrieve(store, embedder, corpus.root, text, k=DEPTH, embedded=embedded).found
        return [(one.path, one.start_line, one.end_line, one.text) for one in found]

    def by_words(text: str) -> Sequence[Shown]:
        found = retrieve(store, None, corpus.root, text, k=DEPTH).found
        return [(one.path, one.start_line, one.end_line, one.text) for one in found]

    took: list[float] = []
    for kind, questions in sample(corpus).items():
        for name, search in (("index", ours), ("index, words alone", by_words), ("windows, vectors", windows)):
            out[f"{kind} ({len(questions)}), {name}"] = said(questions, search, took if name == "index" else None)
    out["a search, median ms"] = round(1000 * float(np.median(took)), 1)
    return out


def sample(corpus: Corpus) -> dict[str, list[tuple[str, list[Gold]]]]:
    """The questions of each kind, the same each time."""
    draw = random.Random(SEED)
    names = sorted(corpus.identifiers)
    # A name of one word is no identifier once it is said in words.
    longer = [name for name in names if len(name_tokens(name)) > 2]
    prose = [(text, corpus.prose[text]) for text in sorted(corpus.prose)]
    kinds = {
        "prose": prose,
        "identifier": [(name, corpus.identifiers[name]) for name in names],
        "words": [(" ".join(name_tokens(name)[1:]), corpus.identifiers[name]) for name in longer],
        "where": [(f"where is {name} implemented", corpus.identifiers[name]) for name in names],
    }
    return {kind: draw.sample(found, min(len(found), QUESTIONS[kind])) for kind, found in kinds.items()}


def said(questions: Sequence[tuple[str, list[Gold]]], search: Search, took: list[float] | None) -> str:
    """MRR over the first ten, the shares that are first and among them, and the mean share shown of a function."""
    ranks, shares = [], []
    for text, golds in questions:
        started = time.perf_counter()
        shown = search(text)
        if took is not None:
            took.append(time.perf_counter() - started)
        ranks.append(next((n for n, one in enumerate(shown, start=1) if any(hits(one, gold) for gold in golds)), 0))
        shares.append(max(share(shown, gold) for gold in golds))
    mrr = sum(1 / rank for rank in ranks if rank) / max(1, len(ranks))
    first, among = (sum(0 < rank <= k for rank in ranks) / max(1, len(ranks)) for k in (1, DEPTH))
    shown_of_it = sum(shares) / max(1, len(shares))
    return f"MRR {mrr:.3f}  R@1 {first:.3f}  R@{DEPTH} {among:.3f}  shown {shown_of_it:.3f}"


def share(found: Sequence[Shown], gold: Gold) -> float:
    """How much of a function's lines the first characters of what was found show."""
    seen: set[str] = set()
    left = CHARACTERS
    for path, start, end, text in found:
        if path == gold.path and start <= gold.end and end >= gold.start:
            seen |= {line.strip() for line in text[:left].split("\n")}
        left -= len(text)
        if left <= 0:
            break
    return sum(line in seen for line in gold.lines) / max(1, len(gold.lines))


def hits(shown: Shown, gold: Gold) -> bool:
    """Whether it shows half of the function, or is half made of it. A skeleton does not show its methods."""
    path, start, end, text = shown
    if path != gold.path or start > gold.end or end < gold.start:
        return False
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    of_gold, own = set(gold.lines), set(lines)
    covered = sum(line in own for line in gold.lines) >= 0.5 * len(gold.lines)
    shared = min(end, gold.end) - max(start, gold.start) + 1
    inside = 2 * shared >= end - start + 1 and 2 * sum(line in of_gold for line in lines) >= len(lines)
    return covered or inside


class Windows:
    """What is usually done: windows of 40 lines, overlapping by 10, by the cosine of their vectors."""

    def __init__(self, corpus: Corpus, embedder: Embedder, cache: VectorCache) -> None:
        self.places = [
            place for path in corpus.paths for place in windows(path, (corpus.root / path).read_text("utf-8"))
        ]
        texts = {digest("window", place[3]): place[3] for place in self.places}
        vectors = embed_texts(texts, embedder, cache)
        self._vectors = np.stack([np.asarray(vectors[digest("window", place[3])], np.float32) for place in self.places])
        self._embedder = embedder

    def __call__(self, text: str) -> Sequence[Shown]:
        scores = self._vectors @ self._embedder.embed_query(text)
        return [self.places[n] for n in np.argsort(-scores)[:DEPTH]]


def windows(path: str, text: str) -> Iterable[Shown]:
    """Of one file, without those that are blank."""
    lines = text.split("\n")
    for start in range(0, max(1, len(lines) - WINDOW + STEP), STEP):
        part = "\n".join(lines[start : start + WINDOW])
        if part.strip():
            yield path, start + 1, min(start + WINDOW, len(lines)), part
