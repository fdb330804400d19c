"""The one writer of a store: rows in and out, indexes, compaction. Whoever holds it holds the project's lock."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.code_index.columns import COMPRESSION, Columns, arrow, schema
from core.code_index.rows import VECTOR, WHOLE, Row, among
from core.code_index.store import BATCH, TABLE, ChunkStore, library

# Below it a search of all vectors is quick enough, above it an index is worth its building.
INDEX_VECTORS_FROM = 50_000
MOST_ROUNDS = 5


@dataclass(frozen=True)
class Statistics:
    """What decides whether the table wants to be optimised; `live_bytes` are those of the current rows."""

    rows: int
    live_bytes: int
    small_fragments: int
    unindexed_rows: int
    vector_index: bool


class ChunkWriter(ChunkStore):
    """The writer's handle. What it raises is Lance's own: a step that failed is the caller's to judge."""

    @classmethod
    def create(cls, folder: Path, dimension: int | None) -> ChunkWriter:
        """An empty store with all its indexes, so that each leg works from the first row on.

        Its rows are compressed by the first tidying that merges them: that is four fifths of the time of writing them.
        """
        folder.mkdir(parents=True, exist_ok=True)
        shape = schema(dimension, {COMPRESSION: "none"})
        table = library().connect(str(folder)).create_table(TABLE, schema=shape)
        for column, config in _indexes():
            table.create_index(column, config=config)
        return cls.open(folder, dimension)

    @classmethod
    def open(cls, folder: Path, dimension: int | None = None) -> ChunkWriter:
        """As `ChunkStore.open`."""
        store = super().open(folder, dimension)
        assert isinstance(store, cls)
        return store

    def _table(self) -> Any:
        # Its own commits are all there are; `optimise` opens anew.
        if self._open is None:
            self.reopen()
        return self._open

    # ---------------------------------------------------------------- rows

    def add(self, rows: Columns) -> None:
        """Append rows whose ids are not there yet."""
        if rows.count:
            self._table().add(arrow(rows, self.dimension), on_bad_vectors="null")

    def upsert(self, rows: Columns) -> None:
        """Write whole rows by id, in one commit; the ids differ."""
        if rows.count:
            merge = self._table().merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
            # A missing vector counts as a bad one; not a number is refused before it comes here.
            merge.execute(arrow(rows, self.dimension), on_bad_vectors="null")

    def prune(self, keep: Mapping[str, Collection[str]]) -> int:
        """Delete the rows of these files whose id is not among those to keep; returns how many."""
        stale = [
            row["id"]
            for path, rows in self.file_rows(list(keep), ("id",)).items()
            for row in rows
            if row["id"] not in keep[path]
        ]
        for start in range(0, len(stale), BATCH):
            self._table().delete(among("id", stale[start : start + BATCH]))
        return len(stale)

    def delete(self, paths: Sequence[str]) -> None:
        """Delete all rows of these files."""
        for start in range(0, len(paths), BATCH):
            self._table().delete(among("path", paths[start : start + BATCH]))

    def rows_without_vector(self, paths: Sequence[str]) -> list[Row]:
        """Whole rows of these files that have no vector yet."""
        found = self.file_rows(paths, WHOLE)
        return [row for path in paths for row in found.get(path, []) if row[VECTOR] is None]

    # ---------------------------------------------------------------- upkeep

    @property
    def version(self) -> int:
        """The number of the newest commit."""
        return int(self._table().version)

    def statistics(self) -> Statistics:
        """The state of the table."""
        table = self._table()
        stats = table.stats()
        indexes = table.list_indices()
        fragments = stats["fragment_stats"]
        return Statistics(
            rows=stats["num_rows"],
            live_bytes=stats["total_bytes"],
            small_fragments=fragments["num_small_fragments"] if fragments["num_fragments"] > 1 else 0,
            unindexed_rows=max((index.num_unindexed_rows or 0 for index in indexes), default=0),
            vector_index=any(VECTOR in index.columns for index in indexes),
        )

    def index_vectors(self, least: int = INDEX_VECTORS_FROM) -> bool:
        """Build the index of the vectors where there are `least` of them and none yet; whether it was built."""
        if self.dimension is None or self.statistics().vector_index or self.counts()["embedded"] < least:
            return False
        from lancedb.index import IvfRq

        self._table().create_index(VECTOR, config=IvfRq(distance_type="cosine"))
        return True

    def optimise(self) -> None:
        """Merge small fragments and index what is not indexed yet. Nothing is deleted; see `clean`.

        Until nothing is left to do: what one round merges the next may merge again, and `clean` must find no work,
        or it would delete the commit that was acknowledged for one that was not.
        """
        from datetime import timedelta

        self._compress()
        for _ in range(MOST_ROUNDS):
            before = self.version
            self._table().optimize(cleanup_older_than=timedelta(days=36_500))
            self.reopen()
            if self.version == before:
                break

    def _compress(self) -> None:
        """From now on rows are compressed as they are written."""
        table = self._table()
        plain = [field.name for field in table.schema if COMPRESSION.encode() in (field.metadata or {})]
        if plain:
            table.update_field_metadata(*({"path": name, "metadata": {COMPRESSION: None}} for name in plain))

    def clean(self) -> None:
        """Delete what only older versions need, right after `optimise`. Readers open the table again."""
        from datetime import timedelta

        # Not zero, of which Lance warns. Unverified is what a failed commit left: nobody else writes.
        self._table().optimize(cleanup_older_than=timedelta(milliseconds=1), delete_unverified=True)
        self.reopen()

    def back_to(self, version: int) -> None:
        """Make an older version the newest, under a new number, so that no reader takes it for one it knows."""
        table = self._table()
        if table.version != version:
            table.restore(version)
            self.reopen()


def _indexes() -> list[tuple[str, Any]]:
    """The indexes each store has; two of them are for words that come as tokens already."""
    from lancedb.index import FTS, Bitmap, BTree, LabelList

    words = {"base_tokenizer": "whitespace", "max_token_length": 128, "stem": True}
    return [
        *((column, BTree()) for column in ("id", "path", "name_lc", "complexity")),
        *((column, Bitmap()) for column in ("kind", "lang", "is_test")),
        ("refs", LabelList()),
        ("fts", FTS(remove_stop_words=True, **words)),
        ("name_tok", FTS(remove_stop_words=False, **words)),
    ]
