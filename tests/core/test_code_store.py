"""The store of chunks: every leg, every filter, whatever is asked; a reader sees commits and lives through upkeep."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.code_index.columns import Columns, schema
from core.code_index.records import Filters, Hit, Kind
from core.code_index.rows import Row
from core.code_index.store import TABLE, ChunkStore, library
from core.code_index.store_writer import ChunkWriter
from core.errors import AppError
from tests.support.code_index import DIMENSION, StubEmbedder, chunk, rows, words

ODD = (
    "", "'", '"foo bar"', "%_\\", "x" * 10_000, "漢字 テスト", "the and of", "a\0b", "') OR 1=1 --", "\\'", "\ud83d",
)  # fmt: skip
EMBEDDER = StubEmbedder()


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChunkWriter]:
    made = ChunkWriter.create(tmp_path_factory.mktemp("store"), DIMENSION)
    plain = [chunk(number) for number in range(40)]
    odd = [
        chunk(40, path="src/a_b/it's.py", name="Quote", kind=Kind.CLASS, complexity=9),
        chunk(41, path="src/axb/m.go", language="go", name="Walk", is_test=True, references=("Walk", "it's")),
        chunk(42, path="docs/漢字 100%.md", language="text", kind=Kind.TEXT, name="", text="漢字 のみ\n"),
    ]
    made.add(Columns.of(rows(plain, EMBEDDER) + rows(odd[:2], EMBEDDER) + rows(odd[2:])))
    made.optimise()
    yield made
    made.close()


@pytest.fixture(scope="module")
def reader(writer: ChunkWriter) -> ChunkStore:
    return ChunkStore.open(writer.folder, DIMENSION)


Ask = Callable[[ChunkStore, str, Filters | None], list[Hit]]
LEGS: dict[str, Ask] = {
    "meaning": lambda store, text, filters: store.by_vector(EMBEDDER.embed_query(text or "x"), 50, filters),
    "words": lambda store, text, filters: store.by_words([*words(text), text], 50, filters),
    "name": lambda store, text, filters: store.by_name_words([*words(text), text], 50, filters),
    "exact": lambda store, text, filters: store.by_exact([text.lower()], 50, filters),
    "reference": lambda store, text, filters: store.by_reference([text], 50, filters),
}


def fits(row: dict[str, object], filters: Filters) -> bool:
    checks = (
        not filters.languages or row["lang"] in filters.languages,
        not filters.kinds or row["kind"] in filters.kinds,
        not filters.paths or any(str(row["path"]).startswith(path) for path in filters.paths),
        int(str(row["complexity"])) >= filters.least_complexity,
        not filters.most_complexity or int(str(row["complexity"])) <= filters.most_complexity,
        filters.tests is None or row["is_test"] is filters.tests,
    )
    return all(checks)


def test_each_leg_finds_what_it_is_for(reader: ChunkStore) -> None:
    wanted = chunk(7)
    assert reader.by_vector(EMBEDDER.embed_query(wanted.embedded), 3)[0].row["id"] == wanted.id
    assert reader.by_words(["get_item_7"], 3)[0].row["id"] == wanted.id
    assert reader.by_name_words(["item", "7"], 3)[0].row["id"] == wanted.id
    assert [hit.row["name"] for hit in reader.by_exact(["walk", "get_item_7"], 5)] == ["Walk", "get_item_7"]
    assert [hit.row["name"] for hit in reader.by_reference(["it's"], 5)] == ["Walk"]
    assert all(a.score >= b.score for a, b in itertools.pairwise(reader.by_words(["shelf_1", "def"], 20)))
    assert 0.9 < reader.by_vector(EMBEDDER.embed_query(wanted.embedded), 1)[0].score <= 1.001


@pytest.mark.parametrize("leg", LEGS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_question_with_any_filter_is_answered_within_the_filter(
    reader: ChunkStore, leg: str, data: st.DataObject
) -> None:
    odd = st.sampled_from(ODD)
    text = data.draw(st.one_of(odd, st.sampled_from(["get_item_3", "Walk", "shelf_2", "漢字", "len"]), st.text()))
    some = st.one_of(st.just(()), st.lists(st.one_of(odd, st.text(max_size=5)), max_size=2).map(tuple))
    filters = Filters(
        languages=data.draw(st.one_of(some, st.sampled_from([("python",), ("go", "text")]))),
        kinds=data.draw(st.one_of(some, st.sampled_from([("class",), ("function", "text")]))),
        paths=data.draw(st.one_of(some, st.sampled_from([("src/a_b/",), ("src/a_b/it's.py", "docs/")]))),
        least_complexity=data.draw(st.integers(0, 9)), most_complexity=data.draw(st.integers(0, 9)),
        tests=data.draw(st.sampled_from([None, True, False])),
    )  # fmt: skip
    for chosen in (filters, None):
        hits = LEGS[leg](reader, text, chosen)
        assert all(fits(dict(hit.row), chosen or Filters()) for hit in hits)


@pytest.mark.parametrize(("filters", "names"), [
    (Filters(paths=("src/a_b/it's.py",)), {"Quote"}), (Filters(paths=("src/a_",), kinds=("class",)), {"Quote"}),
    (Filters(languages=("go",)), {"Walk"}), (Filters(tests=True), {"Walk"}), (Filters(least_complexity=8), {"Quote"}),
    (Filters(paths=("docs/漢字 100%",)), set()),
])  # fmt: skip
def test_a_filter_leaves_what_fits(reader: ChunkStore, filters: Filters, names: set[str]) -> None:
    for hits in (
        reader.by_vector(EMBEDDER.embed_query("def walk"), 50, filters),
        reader.by_words(["def", "return", "walk"], 50, filters),
        reader.by_exact(["quote", "walk", "get_item_3"], 50, filters),
    ):
        assert {hit.row["name"] for hit in hits} == names


def test_a_name_that_is_everywhere_says_nothing(writer: ChunkWriter, tmp_path: Path) -> None:
    store = ChunkWriter.create(tmp_path, None)
    often = [chunk(number, name="Run") for number in range(100)]
    store.add(
        Columns.of(rows([*often, *(chunk(200 + part, name="Rare", part=part, parts=9) for part in range(1, 10))]))
    )
    assert [hit.row["name"] for hit in store.by_exact(["run", "rare"], 50)] == ["Rare"] * 9
    assert len(store.by_exact(["run"], 200, most=100)) == 100
    assert len(store.by_exact(["run"], 50, Filters(paths=("src/a_b/m3.py",)), most=10)) == 10


def test_rows_come_by_id_and_by_file_and_back_as_chunks(reader: ChunkStore) -> None:
    ids = [chunk(number).id for number in (5, 2, 30)]
    assert [row["id"] for row in reader.rows([ids[0], "none", *ids[1:]])] == ids
    assert [row["start_line"] for row in reader.rows_of("src/a_b/m1.py")] == [1 + 3 * n for n in range(10)]
    assert reader.rows_of("src/a_b/it's.py")[0]["name"] == "Quote"
    assert reader.rows_of("nowhere") == []
    assert reader.imports(["src/axb/m.go"]) == {"src/axb/m.go": ["os"]}
    assert reader.counts() == {"rows": 43, "embedded": 42}


def test_vectors_are_halves_and_missing_ones_are_found_by_words_alone(writer: ChunkWriter) -> None:
    whole = writer.rows_without_vector(["docs/漢字 100%.md", "src/a_b/m0.py"])
    assert [row["path"] for row in whole] == ["docs/漢字 100%.md"]
    assert [hit.row["path"] for hit in writer.by_words(["漢字"], 5)] == ["docs/漢字 100%.md"]
    assert len(writer.by_vector(np.ones(DIMENSION), 100)) == 42
    vector = writer.file_rows(["src/a_b/m0.py"], ("vector",))["src/a_b/m0.py"][0]["vector"]
    assert (vector.dtype, vector.shape) == (np.float16, (DIMENSION,))


def test_vectors_of_another_model_and_vectors_that_are_none_are_refused(reader: ChunkStore) -> None:
    with pytest.raises(AppError) as caught:
        reader.by_vector(np.ones(DIMENSION + 1), 5)
    assert caught.value.code == "index_other_model"
    with pytest.raises(AppError):
        ChunkStore.open(reader.folder, DIMENSION + 1)
    for none in (np.zeros(DIMENSION), np.full(DIMENSION, np.nan)):
        assert reader.by_vector(none, 5) == []
    assert reader.by_vector(np.ones(DIMENSION), 0) == []


def test_a_store_without_vectors_answers_all_other_legs(tmp_path: Path) -> None:
    store = ChunkWriter.create(tmp_path, None)
    store.add(Columns.of(rows([chunk(1)])))
    assert store.dimension is None
    assert store.by_vector(np.ones(DIMENSION), 5) == []
    assert [len(LEGS[leg](store, text, None)) for leg, text in (("words", "get_item_1"), ("exact", "get_item_1"))] == [
        1,
        1,
    ]


def test_a_reader_sees_commits_and_lives_through_upkeep(tmp_path: Path) -> None:
    store = ChunkWriter.create(tmp_path, DIMENSION)
    reader = ChunkStore.open(tmp_path)
    for number in range(6):
        store.upsert(Columns.of(rows([chunk(number), chunk(number + 1)], EMBEDDER)))
        assert reader.counts()["rows"] == number + 2
        if number % 2:
            store.optimise()
            store.clean()
        assert [hit.row["name"] for hit in reader.by_exact([f"get_item_{number}"], 5)] == [f"get_item_{number}"]
        assert reader.by_words([f"get_item_{number}"], 1)[0].row["name"] == f"get_item_{number}"
    store.back_to(store.version)
    with pytest.raises(AppError) as caught:
        ChunkStore.open(tmp_path / "nothing")
    assert caught.value.code == "index_missing"


@pytest.mark.parametrize("made_before", [False, True])
def test_rows_are_written_as_they_are_until_tidying_compresses_them(tmp_path: Path, *, made_before: bool) -> None:
    def data() -> int:
        return sum(file.stat().st_size for file in tmp_path.glob("*.lance/data/*.lance"))

    def batch(start: int) -> list[Row]:
        said = "    shelf_{1}[{0}] = weigh(item_{1})\n"
        return rows(
            chunk(number, text="".join(said.format(line, number) for line in range(30)))
            for number in range(start, start + 300)
        )

    if made_before:
        library().connect(str(tmp_path)).create_table(TABLE, schema=schema(None))
    store = ChunkWriter.open(tmp_path) if made_before else ChunkWriter.create(tmp_path, None)
    made = batch(0) + batch(300)
    store.add(Columns.of(made[:300]))
    store.add(Columns.of(made[300:]))
    plain, text_bytes = data(), sum(len(row["text"]) + len(row["fts"]) for row in made)
    assert (plain > text_bytes) is not made_before
    store.optimise()
    store.clean()
    tidied = data()
    # How far is a matter of Lance's threads: 0.41 to 0.56 in 50 tries on busy cores; not compressed it were 1.2.
    assert tidied < 0.65 * text_bytes
    assert not any(field.metadata for field in library().connect(str(tmp_path)).open_table(TABLE).schema)
    # Half as many rows again.
    store.upsert(Columns.of(batch(600)))
    assert data() - tidied < text_bytes / 3
    assert [row["text"] for row in store.rows([row["id"] for row in made])] == [row["text"] for row in made]


def test_pruning_leaves_the_ids_to_keep_and_other_files(tmp_path: Path) -> None:
    store = ChunkWriter.create(tmp_path, None)
    store.add(Columns.of(rows(chunk(number) for number in range(25))))
    keep = {"src/a_b/m0.py": {chunk(3).id}, "src/a_b/m1.py": set[str]()}
    assert store.prune(keep) == 19
    assert sorted(id_ for _, id_, _ in store.pairs()) == sorted(chunk(n).id for n in (3, 20, 21, 22, 23, 24))
    version = store.version
    assert (store.prune(keep), store.version) == (0, version)
    store.delete(["src/a_b/m2.py"])
    assert [path for path, _, _ in store.pairs()] == ["src/a_b/m0.py"]


def test_the_client_of_a_service_is_not_loaded_with_the_library_and_is_whole_for_whoever_asks() -> None:
    said = (
        "import sys; from core.code_index.store import library; library();"
        "name = 'lance_namespace_urllib3_client'; print(f'{name}.api' in sys.modules, f'{name}.models' in sys.modules);"
        "import lance_namespace_urllib3_client; print(lance_namespace_urllib3_client.TableApi.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "TableApi"]


def test_going_back_takes_a_new_number(tmp_path: Path) -> None:
    store = ChunkWriter.create(tmp_path, None)
    store.add(Columns.of(rows([chunk(1)])))
    before = store.version
    store.add(Columns.of(rows([chunk(2)])))
    newest = store.version
    store.back_to(before)
    assert store.version > newest
    assert [id_ for _, id_, _ in store.pairs()] == [chunk(1).id]


def test_an_index_of_vectors_finds_the_same(tmp_path: Path) -> None:
    store = ChunkWriter.create(tmp_path, 32)
    chance = np.random.default_rng(5)
    made = rows(chunk(number) for number in range(600))
    for row in made:
        vector = chance.standard_normal(32)
        row["vector"] = (vector / np.linalg.norm(vector)).astype(np.float16)
    store.add(Columns.of(made))
    asked = [chance.standard_normal(32) for _ in range(5)]
    flat = [[hit.row["id"] for hit in store.by_vector(one, 10)] for one in asked]
    assert not store.index_vectors(601)
    assert store.index_vectors(600)
    assert not store.index_vectors(600)
    indexed = [[hit.row["id"] for hit in store.by_vector(one, 10)] for one in asked]
    same = sum(len(set(a) & set(b)) for a, b in zip(flat, indexed, strict=True))
    # Its clusters are drawn by chance: 42 to 49 in 40 tries, where chance alone would find one.
    assert same >= 30
    store.upsert(Columns.of([replace_row(made[0])]))
    assert store.counts() == {"rows": 600, "embedded": 599}


def replace_row(row: dict[str, object]) -> dict[str, object]:
    return {**row, "vector": None, "text": chunk(0).text}
