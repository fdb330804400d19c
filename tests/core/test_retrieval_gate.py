"""The quality that must not be lost, with a real model on a small repository in three languages that is kept here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.code_index.code_tokens import name_tokens
from core.code_index.embedder import SentenceEmbedder
from core.code_index.embedder_folder import inspect
from core.code_index.retrieve import retrieve
from core.code_index.store import ChunkStore
from tests.support.embedders import minilm
from tests.support.small_index import files_of, index_folder

REPO = Path(__file__).parents[1] / "fixtures" / "code_repo"
# What people ask, without the names; the answers are symbols any of which is right.
PROSE = {
    "how much is taken off the price for large quantities": ("bulk_discount",),
    "share a bill between several persons without losing a cent": ("split_evenly",),
    "price of a whole purchase including tax": ("order_total",),
    "when should new goods be bought from the supplier": ("reorder_point",),
    "smooth the sold amounts over the last days": ("moving_average",),
    "how many pieces can still be promised to a customer": ("Warehouse.available", "Warehouse.reserve"),
    "throw away what was used least recently when memory is full": ("LruCache._evict_oldest",),
    "make sure a record survives a power failure": ("WriteAheadLog.append",),
    "read records back after a crash and stop at a damaged one": ("WriteAheadLog.replay",),
    "wait longer after each failed attempt": ("backoff_delay", "call_with_retries"),
    "stop calling a service that fails all the time": ("CircuitBreaker", "CircuitBreaker.allows",
                                                       "CircuitBreaker.record_failure"),
    "which languages does the browser prefer": ("parse_accept_language",),
    "run only once after the user has stopped typing": ("debounceCalls",),
    "show a date as minutes or hours ago": ("formatRelativeTime",),
    "is this a valid mail address": ("isPlausibleEmail",),
    "how hard is it to guess what the user chose as secret word": ("passwordStrength",),
    "sum of everything in the shopping basket": ("CartStore.subtotalInCents",),
    "tell everybody who watches that the basket has changed": ("CartStore.notifyListeners", "CartStore.subscribe"),
    "remove logins that are too old": ("SessionStore.PurgeExpired",),
    "was this cookie forged by somebody else": ("SessionStore.VerifyToken",),
    "limit how many requests a client may make in a second": ("TokenBucket", "TokenBucket.TryTake", "NewTokenBucket",
                                                              "TokenBucket.refill"),
    "prevent file names from escaping the directory": ("SafeJoin",),
    "let running requests end before the process exits": ("WaitForSignal",),
}  # fmt: skip


@pytest.fixture(scope="module")
def embedder() -> SentenceEmbedder:
    return SentenceEmbedder(inspect(minilm()), "MiniLM")


@pytest.fixture(scope="module")
def store(embedder: SentenceEmbedder, tmp_path_factory: pytest.TempPathFactory) -> ChunkStore:
    return index_folder(tmp_path_factory.mktemp("lance"), REPO, files_of(REPO), embedder)


@pytest.fixture(scope="module")
def symbols(store: ChunkStore) -> list[str]:
    rows = [row for path in files_of(REPO) for row in store.rows_of(path)]
    return sorted({row["qualified"] for row in rows if row["kind"] not in ("module", "text")})


Ask = Callable[[str], list[str]]


@pytest.fixture
def ask(store: ChunkStore, embedder: SentenceEmbedder) -> Ask:
    return lambda text: [one.qualified for one in retrieve(store, embedder, REPO, text).found]


@pytest.fixture
def ask_words(store: ChunkStore) -> Ask:
    return lambda text: [one.qualified for one in retrieve(store, None, REPO, text).found]


def reciprocal(found: list[str], right: tuple[str, ...]) -> float:
    return next((1 / rank for rank, name in enumerate(found, start=1) if name in right), 0.0)


def test_prose(ask: Ask) -> None:
    scores = {text: reciprocal(ask(text), right) for text, right in PROSE.items()}
    assert sum(scores.values()) / len(scores) >= 0.5, scores


@pytest.mark.parametrize("form", ["{}", "where is {} implemented", "{}()"])
def test_identifiers(ask: Ask, symbols: list[str], form: str) -> None:
    names = {qualified.rpartition(".")[2] for qualified in symbols}
    assert len(names) > 50
    missed = [name for name in sorted(names) if ask(form.format(name))[0].rpartition(".")[2] != name]
    assert len(missed) <= 0.05 * len(names), missed


def test_names_in_words_without_a_model(ask_words: Ask, symbols: list[str]) -> None:
    words = {qualified: name_tokens(qualified.rpartition(".")[2])[1:] for qualified in symbols}
    longer = {qualified: " ".join(parts) for qualified, parts in words.items() if len(parts) > 1}
    assert len(longer) > 20
    scores = {}
    for text in longer.values():
        same = tuple(other for other, said in longer.items() if said == text)
        scores[text] = reciprocal(ask_words(text), same)
    assert sum(scores.values()) / len(scores) >= 0.6, scores
    # Camel case is no worse than snake case.
    camel = [scores[text] for qualified, text in longer.items() if "_" not in qualified]
    assert len(camel) > 10
    assert sum(camel) / len(camel) >= 0.6
