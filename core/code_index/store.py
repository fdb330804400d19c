"""The store of chunks over LanceDB: one table, and what searches ask of it, one leg each.

A reader sees every commit of the writer. What it holds open may be cleaned away under it: it opens the table again and
asks once more. Written for lancedb 0.40.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from core.code_index.columns import vectors_of
from core.code_index.records import Filters, Hit
from core.code_index.rows import SHOWN, VECTOR, Row, among, condition, quoted, read_for, rows_from, sound
from core.errors import AppError

TABLE = "chunks"
# A query's words: more add nothing but time, and repeated ones cost its square.
MOST_WORDS = 64
LONGEST_WORD = 128
NPROBES, REFINE = 20, 10
BATCH = 500
_EVERYTHING = 1 << 31
_REST = "lance_namespace_urllib3_client"

T = TypeVar("T")


def library() -> Any:
    """lancedb, which is loaded on first use and keeps its log to errors."""
    os.environ.setdefault("LANCE_LOG", "error")
    with _without_rest():
        import lancedb

    return lancedb


@contextlib.contextmanager
def _without_rest() -> Iterator[None]:
    """Lance's client of a REST service is not loaded beside it: a second of classes that nothing here calls.

    Of its package the first file alone is left out; its models, which lancedb does import, are found as ever.
    """
    if {"lancedb", _REST} & sys.modules.keys() or (spec := importlib.util.find_spec(_REST)) is None:
        yield
        return
    sys.modules[_REST] = importlib.util.module_from_spec(spec)
    try:
        yield
    finally:
        # Whoever imports from it later gets the whole.
        sys.modules.pop(_REST, None)


def damaged(folder: Path, exc: BaseException) -> AppError:
    """The error of a store that can't be read."""
    return AppError(
        "index_damaged",
        "The code index of this project can't be read.",
        hint="It is made again from the project's files at the next start of indexing; nothing of yours is lost.",
        detail=f"{folder}: {exc!r}"[:2000],
    )


class ChunkStore:
    """A reader's handle. Every method raises AppError `index_damaged` where the store can't answer.

    `dimension` is that of its vectors, None for a store without. Several threads may ask at once.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._connection: Any = None
        self._opening = threading.RLock()
        self._open: Any = None
        self._indexes: frozenset[str] = frozenset()
        self.dimension: int | None = None
        # Version, rows, rows with a vector.
        self._counts = (-1, 0, 0)

    @classmethod
    def open(cls, folder: Path, dimension: int | None = None) -> ChunkStore:
        """Open what is at `folder`. Raises AppError `index_missing`, `index_damaged`, or `index_other_model`
        where a dimension is named and the store has vectors of another."""
        if not (folder / f"{TABLE}.lance").is_dir():
            raise AppError(
                "index_missing",
                "This project has no code index yet.",
                hint="Start indexing; searching by words works within seconds.",
                detail=str(folder),
            )
        store = cls(folder)
        store.reopen()
        if dimension is not None and store.dimension not in (None, dimension):
            raise other_model(folder, store.dimension, dimension)
        return store

    # ---------------------------------------------------------------- the handle

    def reopen(self) -> None:
        """Drop the connection, which keeps deleted files open, and connect again. Raises AppError `index_damaged`."""
        with self._opening:
            self.close()
            try:
                self._indexes = self._index_names()
                self._connection = self._connect()
                self._open = self._connection.open_table(TABLE)
                shape = self._open.schema
            except Exception as exc:
                self.close()
                raise damaged(self.folder, exc) from exc
            place = shape.get_field_index(VECTOR)
            self.dimension = shape.field(place).type.list_size if place >= 0 else None

    def _connect(self) -> Any:
        from datetime import timedelta

        return library().connect(str(self.folder), read_consistency_interval=timedelta(0))

    def close(self) -> None:
        """Let go of all files."""
        self._open = self._connection = None

    def _index_names(self) -> frozenset[str]:
        try:
            return frozenset(os.listdir(self.folder / f"{TABLE}.lance" / "_indices"))
        except FileNotFoundError:
            return frozenset()

    def _table(self) -> Any:
        # Indexes that were built anew leave the files of the old ones open in this connection.
        with self._opening:
            if self._open is None or self._index_names() != self._indexes:
                self.reopen()
            return self._open

    def ask(self, question: Callable[[Any], T]) -> T:
        """The answer to a question about the table; asked once more where its files went in the meantime."""
        try:
            return question(self._table())
        except AppError:
            raise
        except Exception:
            self.reopen()
        try:
            return question(self._table())
        except AppError:
            raise
        except Exception as exc:
            raise damaged(self.folder, exc) from exc

    # ---------------------------------------------------------------- legs

    def by_vector(self, vector: Any, k: int, filters: Filters | None = None) -> list[Hit]:
        """The rows nearest to a vector by cosine; the score is the similarity. Rows without a vector are not found.

        Raises AppError `index_other_model` for a vector of another dimension.
        """
        import numpy as np

        if self.dimension is None or k <= 0:
            return []
        wanted = np.asarray(vector, np.float32).reshape(-1)
        if len(wanted) != self.dimension:
            raise other_model(self.folder, self.dimension, len(wanted))
        if not np.isfinite(wanted).all() or not wanted.any():
            return []

        def question(table: Any) -> list[Hit]:
            query = table.search(wanted, vector_column_name=VECTOR).distance_type("cosine")
            query = query.nprobes(NPROBES).refine_factor(REFINE)
            return [Hit(row, 1.0 - row.pop("_distance")) for row in _found(query, condition(filters), k, "_distance")]

        return self.ask(question)

    def by_words(self, tokens: Sequence[str], k: int, filters: Filters | None = None) -> list[Hit]:
        """The rows whose header and text fit the words best, by BM25."""
        return self._by_text("fts", tokens, k, filters)

    def by_name_words(self, tokens: Sequence[str], k: int, filters: Filters | None = None) -> list[Hit]:
        """The rows whose name fits the words best, by BM25."""
        return self._by_text("name_tok", tokens, k, filters)

    def _by_text(self, column: str, tokens: Sequence[str], k: int, filters: Filters | None) -> list[Hit]:
        words = [word for word in dict.fromkeys(map(sound, tokens)) if word.strip() and len(word) <= LONGEST_WORD][
            :MOST_WORDS
        ]
        if not words or k <= 0:
            return []

        def question(table: Any) -> list[Hit]:
            from lancedb.query import MatchQuery

            # Never the plain string: one in quotes would be taken for a phrase.
            query = table.search(MatchQuery(" ".join(words), column))
            return [Hit(row, row.pop("_score")) for row in _found(query, condition(filters), k, "_score")]

        return self.ask(question)

    def by_exact(self, names: Sequence[str], k: int, filters: Filters | None = None, most: int = 8) -> list[Hit]:
        """The definitions of these names (in lower case); names with more than `most` of them say nothing.

        In the order of the names; the score is 1 over the number of definitions.
        """
        wanted = [name for name in dict.fromkeys(names) if name][:MOST_WORDS]
        if not wanted or k <= 0:
            return []

        def question(table: Any) -> list[Hit]:
            limit = 4 * (most + 1) * len(wanted)
            rows = _plain(table, condition(filters, among("name_lc", wanted)), SHOWN, limit)
            if len(rows) == limit:
                # One that is everywhere filled it.
                rows = [row for name in wanted for row in self._definitions(table, name, filters, most)]
            counts = Counter(row["name"].lower() for row in rows if row["part"] == 1)
            rows = [row for row in rows if counts[row["name"].lower()] <= most]
            rows.sort(key=lambda row: (row["is_test"], row["path"], row["start_line"]))
            rows.sort(key=lambda row: wanted.index(row["name"].lower()))
            return [Hit(row, 1.0 / max(1, counts[row["name"].lower()])) for row in rows[:k]]

        return self.ask(question)

    def _definitions(self, table: Any, name: str, filters: Filters | None, most: int) -> list[Row]:
        """The rows of a name, none where it is defined more than `most` times."""
        chosen = among("name_lc", [name])
        if len(_plain(table, condition(filters, chosen, "part = 1"), ("id",), most + 1)) > most:
            return []
        return _plain(table, condition(filters, chosen), SHOWN)

    def by_reference(self, names: Iterable[str], k: int, filters: Filters | None = None) -> list[Hit]:
        """The rows that call or use one of these names, as written; the score is how many of them."""
        wanted = [name for name in dict.fromkeys(names) if name][:MOST_WORDS]
        if not wanted or k <= 0:
            return []
        uses = "(" + " OR ".join(f"array_has(refs, {quoted(name)})" for name in wanted) + ")"
        rows = self.ask(lambda table: _plain(table, condition(filters, uses), SHOWN, max(k, 1000)))
        hits = [Hit(row, float(len(set(wanted) & set(row["refs"])))) for row in rows]
        hits.sort(key=lambda hit: (-hit.score, hit.row["is_test"], hit.row["path"], hit.row["start_line"]))
        return hits[:k]

    # ---------------------------------------------------------------- rows

    def rows(self, ids: Sequence[str], columns: Sequence[str] = SHOWN) -> list[Row]:
        """The rows with these ids, in their order; unknown ids are left out."""
        found: dict[str, Row] = {}
        for part in _parts(list(dict.fromkeys(ids))):
            chosen = among("id", part)
            for row in self.ask(lambda table, c=chosen: _plain(table, c, ("id", *columns))):  # type: ignore[misc]
                found[row["id"]] = row
        return [found[id_] for id_ in ids if id_ in found]

    def rows_of(self, path: str, columns: Sequence[str] = SHOWN) -> list[Row]:
        """The rows of a file, by line."""
        return self.file_rows([path], columns).get(path, [])

    def file_rows(self, paths: Sequence[str], columns: Sequence[str] = SHOWN) -> dict[str, list[Row]]:
        """The rows of several files by path, each by line; a `vector` among the columns is an array or None."""
        out: dict[str, list[Row]] = {}
        wanted = tuple(dict.fromkeys(("path", "start_line", *columns)))
        for part in _parts(list(dict.fromkeys(paths))):
            chosen = among("path", part)
            for row in self.ask(lambda table, c=chosen: _plain(table, c, wanted)):  # type: ignore[misc]
                out.setdefault(row["path"], []).append(row)
        for rows in out.values():
            rows.sort(key=lambda row: (row["start_line"], row.get("part", 0)))
        return out

    def imports(self, paths: Sequence[str]) -> dict[str, list[str]]:
        """What files import, as written."""
        found = self.file_rows(paths, ("imports",))
        return {path: [name for row in rows for name in row["imports"] or ()] for path, rows in found.items()}

    def pairs(self) -> list[tuple[str, str, str]]:
        """(path, id, embed_hash) of all rows, in no order: what the store holds, in short."""
        table = self.ask(
            lambda table: table.search().select(["path", "id", "embed_hash"]).limit(_EVERYTHING).to_arrow()
        )
        return list(zip(*(table[name].to_pylist() for name in ("path", "id", "embed_hash")), strict=True))

    def counts(self) -> dict[str, int]:
        """`rows`, and `embedded`: those with a vector. Counted once a commit."""
        version = self.ask(lambda table: table.version)
        if self._counts[0] != version:
            rows = self.ask(lambda table: table.count_rows())
            some = self.ask(lambda table: table.count_rows(f"{VECTOR} IS NOT NULL")) if self.dimension else 0
            self._counts = (version, rows, some)
        return {"rows": self._counts[1], "embedded": self._counts[2]}


def other_model(folder: Path, has: int | None, got: int) -> AppError:
    """The error of vectors that are not this store's."""
    return AppError(
        "index_other_model",
        f"The code index holds vectors of {has} numbers, and the model makes {got}.",
        hint="Index the project again with this model; searching by words works meanwhile.",
        detail=str(folder),
    )


def _parts(values: list[str]) -> Iterable[list[str]]:
    return (values[start : start + BATCH] for start in range(0, len(values), BATCH))


def _found(query: Any, where: str, k: int, score: str) -> list[Row]:
    if where:
        query = query.where(where, prefilter=True)
    return rows_from(query.select([*read_for(SHOWN), score]).limit(k).to_list())


def _plain(table: Any, where: str, columns: Sequence[str], limit: int = _EVERYTHING) -> list[Row]:
    query = table.search().where(where).select(read_for(columns)).limit(limit)
    if VECTOR not in columns:
        return rows_from(query.to_list())
    found = query.to_arrow()
    rows: list[Row] = found.drop_columns([VECTOR]).to_pylist()
    dimension = found.schema.field(VECTOR).type.list_size
    for row, vector in zip(rows, vectors_of(found[VECTOR], dimension), strict=True):
        row[VECTOR] = vector
    return rows_from(rows)
