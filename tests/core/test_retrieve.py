"""Search over a real store: legs and filters, symbols whole, what has changed on disk, and what can't answer."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.cancel import CancelToken
from core.code_index.code_tokens import code_tokens
from core.code_index.fusion import RRF_K, Fused, fuse
from core.code_index.query import EXACT, MEANING, NAME, WORDS
from core.code_index.records import Filters, Hit
from core.code_index.related import file_overview, related
from core.code_index.retrieve import Retrieved, retrieve
from core.code_index.store import ChunkStore
from core.errors import AppError
from tests.core.test_query import ODD
from tests.support.small_index import files_of, index_folder

REPO = Path(__file__).parents[1] / "fixtures" / "code_repo"


class WordHashes:
    """An embedder without a model: which words a text has."""

    slug, name, dimension, max_tokens, soft_limit, bytes_needed = "hashes", "hashes", 64, 512, 800, 0

    def embed(self, texts: Sequence[str], token: CancelToken | None = None) -> np.ndarray:
        out = np.full((len(texts), self.dimension), 1e-3, np.float32)
        for row, text in zip(out, texts, strict=True):
            for word in code_tokens(text):
                row[sum(word.encode()) % self.dimension] += 1
        normed: np.ndarray = out / np.linalg.norm(out, axis=1, keepdims=True)
        return normed

    def embed_query(self, text: str) -> np.ndarray:
        vector: np.ndarray = self.embed([text])[0]
        return vector


class Broken(WordHashes):
    def embed_query(self, text: str) -> np.ndarray:
        raise AppError("embedder_failed", "The model is gone.")


class Buggy(WordHashes):
    def embed_query(self, text: str) -> np.ndarray:
        raise ZeroDivisionError


EMBEDDER = WordHashes()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ChunkStore:
    return index_folder(tmp_path_factory.mktemp("lance"), REPO, files_of(REPO), EMBEDDER)


def names(found: Retrieved) -> list[str]:
    return [one.qualified for one in found.found]


def ask(
    store: ChunkStore, text: str, filters: Filters | None = None, embedder: Any = EMBEDDER, **options: Any
) -> Retrieved:
    return retrieve(store, embedder, REPO, text, filters, **options)


# ---------------------------------------------------------------- what is found


def test_a_symbol_by_its_name_in_any_style(store: ChunkStore) -> None:
    for text in (
        "parse_accept_language",
        "parseAcceptLanguage",
        "parse accept language",
        "where is parse_accept_language defined",
    ):
        assert names(ask(store, text))[0] == "parse_accept_language", text
    for text in ("formatRelativeTime", "format relative time", "where is formatRelativeTime implemented"):
        assert names(ask(store, text))[0] == "formatRelativeTime", text
    for text in ("VerifyToken", "SessionStore.VerifyToken", "verify token"):
        assert names(ask(store, text))[0].endswith("VerifyToken"), text


def test_a_question_that_says_a_name_finds_it_before_what_has_more_of_its_words(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "dates.py").write_text(
        "def merge_ranges(pairs):\n    pairs.sort()\n    return fold(pairs)\n\n\n"
        "def report(ranges):\n    print('overlapping dates', ranges)\n    print('ranges', len(ranges))\n\n\n"
        "def clear_ranges(pairs):\n    pairs.clear()\n"
    )
    (tmp_path / "code" / "test_dates.py").write_text("def test_overlapping_ranges_are_merged():\n    pass\n")
    made = index_folder(tmp_path / "lance", tmp_path / "code", ["dates.py", "test_dates.py"], None)
    found = retrieve(made, None, tmp_path / "code", "how are overlapping ranges of dates merged into one").found
    assert [found[0].qualified, *sorted(one.qualified for one in found[1:3])] == [
        "merge_ranges", "report", "test_overlapping_ranges_are_merged",
    ]  # fmt: skip
    assert NAME in found[0].legs
    # Names of tests are sentences, which are said as a matter of course.
    assert all(NAME not in one.legs for one in found[1:])


def test_what_is_shown_is_what_is_on_disk(store: ChunkStore) -> None:
    one = ask(store, "parse_range").found[0]
    lines = (REPO / one.path).read_text().split("\n")
    assert one.text == "\n".join(lines[one.start_line - 1 : one.end_line])
    assert (one.path, one.kind, one.language, one.stale) == ("net/headers.py", "function", "python", False)
    assert one.signature.startswith("def parse_range") or "parse_range" in one.signature
    assert {EXACT, WORDS, NAME} <= set(one.legs)
    assert one.legs[EXACT][0] == 1


def test_a_method_comes_with_what_it_stands_in(store: ChunkStore) -> None:
    one = ask(store, "LruCache._evict_oldest").found[0]
    assert one.qualified == "LruCache._evict_oldest"
    assert "LruCache" in one.extra["parent_signature"]
    assert "collections" in one.context
    assert "LruCache" in one.context


def test_a_chain_means_the_one_in_what_it_names(store: ChunkStore) -> None:
    assert names(ask(store, "WriteAheadLog.append"))[0] == "WriteAheadLog.append"
    assert names(ask(store, "Warehouse.reserve"))[0] == "Warehouse.reserve"


def test_case_tells_names_apart_where_it_can(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "glob.go").write_text(
        "package glob\n\nfunc ParseGlob(p string) int {\n\treturn parseGlob(nil, p)\n}\n\n"
        "func parseGlob(t *T, p string) int {\n\tbadFile := func() int {\n\t\treturn 2\n\t}\n\treturn badFile()\n}\n"
    )
    store = index_folder(tmp_path / "lance", root, ["glob.go"], None)
    for text, first in (("parseGlob", "parseGlob"), ("ParseGlob", "ParseGlob"), ("badFile", "parseGlob")):
        assert names(retrieve(store, None, root, text))[0] == first
    assert set(names(retrieve(store, None, root, "PARSEGLOB"))) >= {"parseGlob", "ParseGlob"}


def test_a_constant_is_found_where_it_is_defined(store: ChunkStore) -> None:
    assert ask(store, "maxUploadBytes").found[0].path == "server/uploads.go"
    assert "const maxUploadBytes" in ask(store, "where is maxUploadBytes defined").found[0].text


INSIDE = {
    "Graph.java": """public interface Graph<N> {
    /** Whatever it was before. */
    boolean addNode(N node);

    void clearNodes();
}
""",
    "Calls.java": """class Calls {
    void first(Graph<N> graph) {
        graph.addNode(one);
        return addNode(two);
    }
}
""",
    "Near.java": "class Near {\n"
    + "".join(f"    void add{what}Node() {{\n        node();\n    }}\n\n" for what in ("Last", "First", "No"))
    + "}\n",
    "Types.java": """class Types {
    Visitor visitor() {
        return new Visitor() {
            @Override
            void visitRawType(Class<?> type) {
                visit(type);
            }
        };
    }

    void visitRaw() {
        visitType();
    }
}
""",
    "store.ts": """export interface Store {
  subscribeTo(name: string): Handle;
}

export function makeLocal() {
  return {
    describeLocal(value: string) {
      return value;
    },
  };
}

export function subscribe(name: string) {
  return describe(name);
}
""",
    "sink.go": """package sink

type Sink interface {
	WriteRow(row []byte) (int, error)
}

func WriteRows(rows [][]byte) {
	for _, row := range rows {
		write(row)
	}
}
""",
}


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ChunkStore]:
    root = tmp_path_factory.mktemp("inside")
    for path, text in INSIDE.items():
        (root / path).write_text(text)
    return root, index_folder(tmp_path_factory.mktemp("lance"), root, files_of(root), EMBEDDER)


@pytest.mark.parametrize("question", ["{}", "where is {} implemented"])
@pytest.mark.parametrize("embedder", [EMBEDDER, None], ids=["model", "words"])
@pytest.mark.parametrize(("name", "where"), [
    ("addNode", "Graph"), ("visitRawType", "Types.visitor"), ("subscribeTo", "Store"),
    ("describeLocal", "makeLocal"), ("WriteRow", "Sink"),
])  # fmt: skip
def test_what_is_defined_inside_of_something_is_found_there_by_its_name(
    inside: tuple[Path, ChunkStore], name: str, where: str, embedder: Any, question: str
) -> None:
    root, store = inside
    assert names(retrieve(store, embedder, root, question.format(name)))[0] == where


def four(text: str) -> str:
    return "".join(text.replace("@", str(number)) for number in range(4))


CALLED = {
    "sink.rs": "pub trait Sink {\n    fn flush_all(&mut self);\n    fn put_row(&mut self, row: u32) -> bool;\n}\n",
    "calls.rs": four("fn rust_@(i: u32) {\n    match put_row(i) {\n        _ => {}\n    }\n}\n"),
    "reader.go": "package m\n\ntype Reader interface {\n\tReadOne(int) bool\n\tFetchAny(n int) error\n}\n",
    "calls.go": "package m\n" + four("\nfunc Go@() {\n\tfor ReadOne() {\n\t}\n\tswitch FetchAny(1) {\n\t}\n}\n"),
    "rows.ts": "export function makeRows() {\n  return {\n    renderRow(row: Row) {\n      a(row);\n    },\n  };\n}\n",
    "calls.ts": four("function ts@(row: Row) {\n  renderRow(row, () => {\n    done();\n  });\n}\n\n"),
    "calls.py": four("def py_@():\n    for row in put_row(1):\n        yield put_row(row)\n\n"),
    "Retry.java": "class RetryPolicy {\n    void run() {\n    }\n}\n",
    "Other.java": "class Other {\n    // a retry would be too late\n    int n;\n}\n",
}


@pytest.mark.parametrize(("name", "where"), [
    ("put_row", "Sink"), ("ReadOne", "Reader"), ("FetchAny", "Reader"), ("renderRow", "makeRows"),
    ("Reader.FetchAny", "Reader"), ("Sink::put_row", "Sink"), ("retry", "RetryPolicy"),
])  # fmt: skip
def test_a_call_is_no_definition_and_a_word_no_name(tmp_path: Path, name: str, where: str) -> None:
    for path, text in CALLED.items():
        (tmp_path / path).write_text(text)
    store = index_folder(tmp_path / "lance", tmp_path, list(CALLED), None)
    assert names(retrieve(store, None, tmp_path, name))[0] == where
    store.close()


def test_a_name_that_is_only_used_is_found_where_it_is_used(inside: tuple[Path, ChunkStore]) -> None:
    root, store = inside
    for typed in ("visitType", "VISITTYPE"):
        assert names(retrieve(store, EMBEDDER, root, typed))[0] == "Types.visitRaw"


def test_scores_fall_and_nothing_is_shown_twice(store: ChunkStore) -> None:
    found = ask(store, "how are failed requests to a supplier tried again", k=50).found
    assert len(found) > 5
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert len({(one.path, one.start_line, one.kind) for one in found}) == len(found)


def test_k(store: ChunkStore) -> None:
    assert len(ask(store, "token", k=3).found) == 3
    assert ask(store, "token", k=0).found == ()


# ---------------------------------------------------------------- filters


def allowed(one: Any, filters: Filters) -> bool:
    return (
        (not filters.languages or one.language in filters.languages)
        and (not filters.kinds or str(one.kind) in filters.kinds)
        and (not filters.paths or any(one.path.startswith(path) for path in filters.paths))
        and one.extra["complexity"] >= filters.least_complexity
        and (not filters.most_complexity or one.extra["complexity"] <= filters.most_complexity)
        and (filters.tests is None or one.extra["is_test"] == filters.tests)
    )


@pytest.mark.parametrize("prefix", [
    "lang:go", "lang:ts", "kind:class", "path:server/", "path:storage/journal.py", "complexity:>2", "complexity:<2",
    "tests:no", "lang:py kind:method path:net",
])  # fmt: skip
@pytest.mark.parametrize("text", [
    "parse_range", "token bucket", "how is a password checked before the account is made", "it is", "%_'\\",
    "SessionStore.VerifyToken",
])  # fmt: skip
def test_filters_hold_on_all_legs(store: ChunkStore, prefix: str, text: str) -> None:
    got = ask(store, f"{prefix} {text}", k=50)
    assert got.query.filters != Filters()
    assert all(allowed(one, got.query.filters) for one in got.found)
    assert not any("left out" in notice for notice in got.notices)


def test_a_filter_finds_what_would_stand_below(store: ChunkStore) -> None:
    assert ask(store, "kind:method lang:go retries", k=1).found[0].language == "go"


@pytest.mark.parametrize("text", ODD)
def test_odd_queries(store: ChunkStore, text: str) -> None:
    for embedder in (EMBEDDER, None):
        got = ask(store, text, embedder=embedder)
        assert not any("internal error" in notice for notice in got.notices)
    assert all(one.language == "go" for one in ask(store, f"lang:go {text}").found)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(max_size=60))
def test_any_query(store: ChunkStore, text: str) -> None:
    got = ask(store, text, Filters(languages=("typescript",)))
    assert all(one.language in got.query.filters.languages for one in got.found)


def test_filters_alone_find_nothing_and_say_why(store: ChunkStore) -> None:
    got = ask(store, "lang:go kind:class")
    assert got.found == ()
    assert "type what to look for" in got.notices[0]


# ---------------------------------------------------------------- legs that can't answer


def test_without_an_embedder_words_answer(store: ChunkStore) -> None:
    got = ask(store, "sign a token with a secret", embedder=None)
    assert "SignToken" in names(got)[0]
    assert MEANING not in got.legs
    # Why there is none is said by whoever knows it.
    assert got.notices == ()


@pytest.mark.parametrize("embedder", [Broken(), Buggy()])
def test_an_embedder_that_fails_costs_one_leg(store: ChunkStore, embedder: Any) -> None:
    got = ask(store, "VerifyToken", embedder=embedder)
    assert names(got)[0].endswith("VerifyToken")
    assert any("by meaning was left out" in notice for notice in got.notices)


def test_vectors_that_are_partly_there_are_said(store: ChunkStore) -> None:
    got = ask(store, "token", embedded=(30, 40))
    assert any("75%" in notice for notice in got.notices)
    assert not ask(store, "token", embedded=(40, 40)).notices


def test_what_is_near_among_the_few_that_have_vectors_counts_little(store: ChunkStore) -> None:
    text = "how is the preferred language of a browser chosen"
    whole, part = ask(store, text, k=50, embedded=(40, 40)), ask(store, text, k=50, embedded=(4, 40))
    scores = {one.extra["id"]: one.score for one in whole.found}
    alone = [one for one in part.found if one.legs.keys() == {MEANING}]
    assert alone
    assert [one.score for one in alone] == pytest.approx([0.1 * scores[one.extra["id"]] for one in alone])
    assert part.found[0].legs[WORDS][0] == 1


def test_a_model_of_another_dimension_costs_one_leg(store: ChunkStore) -> None:
    class Other(WordHashes):
        dimension = 32

    got = ask(store, "VerifyToken", embedder=Other())
    assert got.found
    assert any("by meaning was left out" in notice for notice in got.notices)


def test_a_damaged_index_answers_with_a_notice(store: ChunkStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: Any, **_options: Any) -> Any:
        raise AppError("index_damaged", "The code index of this project can't be read.")

    for leg in ("by_words", "by_name_words"):
        monkeypatch.setattr(store, leg, broken)
    got = ask(store, "VerifyToken")
    assert names(got)[0].endswith("VerifyToken")
    assert len([n for n in got.notices if "can't be read" in n]) == 2
    for leg in ("by_vector", "by_exact", "file_rows"):
        monkeypatch.setattr(store, leg, broken)
    got = ask(store, "VerifyToken")
    assert (got.found, got.legs) == ((), ())
    assert got.notices


# ---------------------------------------------------------------- the disk


@pytest.fixture
def moved(tmp_path: Path) -> Path:
    """A copy of the repository that may change."""
    return Path(shutil.copytree(REPO, tmp_path / "repo"))


def test_a_symbol_that_moved_is_shown_as_it_is_now(store: ChunkStore, moved: Path) -> None:
    file = moved / "net/headers.py"
    text = file.read_text().replace('unit != "bytes"', 'unit.lower() != "bytes"')
    file.write_text(text.replace("def parse_accept_language", "# new\n\n\ndef parse_accept_language", 1))
    got = retrieve(store, EMBEDDER, moved, "parse_range")
    one = got.found[0]
    assert (one.qualified, one.stale) == ("parse_range", True)
    assert "unit.lower()" in one.text
    lines = file.read_text().split("\n")
    assert one.text == "\n".join(lines[one.start_line - 1 : one.end_line])
    assert any("changed since" in notice for notice in got.notices)


def test_what_is_gone_is_left_out_with_a_word(store: ChunkStore, moved: Path) -> None:
    (moved / "net/retry.py").unlink()
    got = retrieve(store, EMBEDDER, moved, "backoff_delay")
    assert all(one.path != "net/retry.py" for one in got.found)
    assert any("net/retry.py" in notice for notice in got.notices)
    (moved / "net/headers.py").write_text("def other():\n    return 1\n")
    got = retrieve(store, EMBEDDER, moved, "parse_range")
    assert "parse_range" not in names(got)
    assert any("no longer has it" in notice for notice in got.notices)


def test_a_link_in_a_files_place_is_not_followed(store: ChunkStore, moved: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.py"
    secret.write_text("def parse_range():\n    return 'secret'\n")
    (moved / "net/headers.py").unlink()
    (moved / "net/headers.py").symlink_to(secret)
    got = retrieve(store, EMBEDDER, moved, "parse_range")
    assert not any("secret" in one.text for one in got.found)


def long_function(lines: int) -> str:
    body = "".join(f"    total_{n} = compute_part_{n}(values, {n}) + adjust_part_{n}(values)\n" for n in range(lines))
    return f"def heavy_calculation(values):\n{body}    return values\n\n\ndef light():\n    return 2\n"


def test_a_long_symbol_is_shown_whole(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "heavy.py").write_text(long_function(80))
    store = index_folder(tmp_path / "lance", root, ["heavy.py"], EMBEDDER)
    got = retrieve(store, EMBEDDER, root, "where is compute_part_70 used")
    whole = next(one for one in got.found if one.qualified == "heavy_calculation")
    assert (whole.start_line, whole.end_line) == (1, 82)
    assert whole.extra["parts"] > 1
    assert whole.text.rstrip("\n") == long_function(80).split("\n\n\n")[0]
    assert names(got).count("heavy_calculation") == 1
    # And so it is when it was read again.
    (root / "heavy.py").write_text("import os\n\n\n" + long_function(80))
    again = retrieve(store, EMBEDDER, root, "heavy_calculation").found[0]
    assert (again.stale, again.start_line, again.end_line) == (True, 4, 85)


def test_windows_of_a_text_are_joined(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    text = "\n".join(f"setting number {n} = value" for n in range(200))
    (root / "settings.conf").write_text(text)
    store = index_folder(tmp_path / "lance", root, ["settings.conf"], EMBEDDER)
    found = retrieve(store, EMBEDDER, root, "setting number").found
    assert sum(one.end_line - one.start_line + 1 for one in found) <= 200
    lines = text.split("\n")
    for one in found:
        assert one.text == "\n".join(lines[one.start_line - 1 : one.end_line])


# ---------------------------------------------------------------- around a symbol


def row(store: ChunkStore, path: str, qualified: str) -> dict[str, Any]:
    return next(row for row in store.rows_of(path) if row["qualified"] == qualified)


def test_calls_and_called_by(store: ChunkStore) -> None:
    around = related(store, row(store, "net/retry.py", "call_with_retries"))
    assert "backoff_delay" in [other["name"] for other in around.calls]
    assert "sleep" in around.unknown
    called = related(store, row(store, "stock/pricing.py", "round_money")).called_by
    assert [other["name"] for other in called] == ["order_total"]
    validate = related(store, row(store, "web/src/formValidation.ts", "validateSignUp"))
    assert {"isPlausibleEmail", "passwordStrength"} <= {other["name"] for other in validate.calls}


def test_overview_of_a_file(store: ChunkStore) -> None:
    outline = file_overview(store, "storage/lru.py")
    assert [(one.qualified, one.depth) for one in outline] == [
        ("LruCache", 0), ("LruCache.__init__", 1), ("LruCache.lookup", 1), ("LruCache.store", 1),
        ("LruCache._evict_oldest", 1),
    ]  # fmt: skip
    lines = (REPO / "storage/lru.py").read_text().split("\n")
    assert all(re.search(r"class|def", lines[one.start_line - 1]) for one in outline)
    assert file_overview(store, "no/such.py") == []


# ---------------------------------------------------------------- fusion


def hit(name: str, *, test: bool = False) -> Hit:
    return Hit({"id": name, "path": name, "kind": "function", "is_test": test, "start_line": 1}, 1.0)


def test_reciprocal_ranks_are_added() -> None:
    fused = fuse({"a": [hit("x"), hit("y")], "b": [hit("y"), hit("z")]}, {"a": 1.0, "b": 0.5})
    assert [one.row["id"] for one in fused] == ["y", "x", "z"]
    assert fused[0].score == pytest.approx(1 / (RRF_K + 2) + 0.5 / (RRF_K + 1))
    assert fused[0].legs == {"a": (2, 1.0), "b": (1, 1.0)}


def test_of_equals_the_test_comes_last() -> None:
    fused = fuse({"a": [hit("x", test=True)], "b": [hit("y")]}, {"a": 1.0, "b": 1.0})
    assert [one.row["id"] for one in fused] == ["y", "x"]


def test_a_reranker_orders_the_best_and_may_fail(store: ChunkStore) -> None:
    def backwards(_query: str, found: Sequence[Fused]) -> Sequence[Fused]:
        return list(reversed(found))

    def fails(_query: str, found: Sequence[Fused]) -> Sequence[Fused]:
        raise AppError("no", "It has no memory.")

    plain = names(ask(store, "token", k=30))
    assert names(ask(store, "token", k=30, reranker=backwards))[0] != plain[0]
    got = ask(store, "token", k=30, reranker=fails)
    assert names(got) == plain
    assert any("not reordered" in notice for notice in got.notices)
