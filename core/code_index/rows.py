"""The rows of the store: their columns, a chunk as a row and back, and filters as conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson

from core.code_index.records import Chunk, Filters, Kind

SCHEMA_VERSION = 2
VECTOR = "vector"
# What a search gives back; the rest is only searched.
SHOWN = (
    "id", "path", "lang", "kind", "name", "qualified", "parent", "part", "nparts", "start_line", "end_line",
    "complexity", "signature", "doc", "refs", "is_test", "embed_hash", "file_hash", "text",
)  # fmt: skip
TEXT = "text"
# All that is shown beside the text, as JSON: each column that is given back takes half a millisecond of a search.
HEAD = "head"
IN_HEAD = tuple(name for name in SHOWN if name != TEXT)
STRINGS = ("id", "path", "lang", "kind", "name_lc", "embed_hash", HEAD, TEXT, "fts", "name_tok")
NUMBERS = ("part", "start_line", "complexity")
LISTS = ("imports", "refs")
_COLUMNS = frozenset((*STRINGS, *NUMBERS, *LISTS, "is_test", VECTOR))
# Everything of a row.
WHOLE = (*SHOWN, "name_lc", "imports", "fts", "name_tok", VECTOR)

Row = dict[str, Any]
# A text as its tokens with spaces between.
Words = Callable[[str], str]


def head_of(chunk: Chunk, embed_hash: str, file_hash: str) -> Row:
    """All of a chunk's row that is shown beside its text; see `chunk_of`."""
    return {
        "id": chunk.id, "path": chunk.path, "lang": chunk.language, "kind": chunk.kind, "name": chunk.name,
        "qualified": chunk.qualified, "parent": chunk.parent, "part": chunk.part, "nparts": chunk.parts,
        "start_line": chunk.start_line, "end_line": chunk.end_line, "complexity": chunk.complexity,
        "signature": chunk.signature, "doc": chunk.doc, "refs": chunk.references, "is_test": chunk.is_test,
        "embed_hash": embed_hash, "file_hash": file_hash,
    }  # fmt: skip


def read_for(columns: Sequence[str]) -> list[str]:
    """What to read from the table to have these parts of a row."""
    if _COLUMNS.issuperset(columns):
        return list(dict.fromkeys(columns))
    return [HEAD, *dict.fromkeys(name for name in columns if name not in IN_HEAD)]


def rows_from(read: Iterable[Row]) -> list[Row]:
    """Rows as they were before they were written."""
    return [orjson.loads(row.pop(HEAD)) | row if HEAD in row else row for row in read]


def chunk_of(row: Mapping[str, Any]) -> Chunk:
    """The chunk a row was made of."""
    return Chunk(
        id=row["id"], path=row["path"], language=row["lang"], kind=Kind(row["kind"]), name=row["name"],
        qualified=row["qualified"], parent=row["parent"], part=row["part"], parts=row["nparts"],
        start_line=row["start_line"], end_line=row["end_line"], complexity=row["complexity"],
        signature=row["signature"], doc=row["doc"], references=tuple(row["refs"] or ()), is_test=row["is_test"],
        text=row["text"],
    )  # fmt: skip


def quoted(text: str) -> str:
    """A text as a literal; a backslash and the signs of LIKE mean nothing in it."""
    return "'" + sound(text).replace("'", "''") + "'"


def sound(text: str) -> str:
    """A text that can be written as UTF-8: half a pair of surrogates becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def among(column: str, values: Iterable[str]) -> str:
    """That a column has one of the values."""
    return f"{column} IN ({', '.join(map(quoted, values))})"


def condition(filters: Filters | None, *others: str) -> str:
    """Filters and other conditions as one, empty for everything."""
    parts = [other for other in others if other]
    if filters is not None:
        if filters.languages:
            parts.append(among("lang", filters.languages))
        if filters.kinds:
            parts.append(among("kind", map(str, filters.kinds)))
        if filters.paths:
            parts.append("(" + " OR ".join(f"starts_with(path, {quoted(path)})" for path in filters.paths) + ")")
        if filters.least_complexity:
            parts.append(f"complexity >= {int(filters.least_complexity)}")
        if filters.most_complexity:
            parts.append(f"complexity <= {int(filters.most_complexity)}")
        if filters.tests is not None:
            parts.append(f"is_test = {'true' if filters.tests else 'false'}")
    return " AND ".join(parts)
