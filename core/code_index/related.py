"""Around a symbol: what it calls, what calls it, and the symbols of a file in order; from the index alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.code_index.exact import MOST_DEFINITIONS
from core.code_index.records import Filters, Kind
from core.code_index.retrieve import COLUMNS, Legs
from core.code_index.symbols import whole

Row = Mapping[str, Any]
# Languages whose files call into each other.
_FAMILIES = (("javascript", "typescript", "tsx"),)
_DEPTH = 200


@dataclass(frozen=True)
class Related:
    """`calls` are definitions of what it uses, `called_by` rows that use its name; both by name, not by types.

    `unknown` are names it uses that are defined nowhere here, or too often to say which is meant.
    """

    calls: tuple[Row, ...]
    called_by: tuple[Row, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class Outlined:
    """A symbol of a file: `depth` 0 stands in the file itself. Lines are 1-based and inclusive."""

    kind: str
    name: str
    qualified: str
    signature: str
    start_line: int
    end_line: int
    complexity: int
    depth: int


def related(store: Legs, row: Row, k: int = 20) -> Related:
    """What a row calls and what calls it, `k` of each at most; those of its own file first. Raises AppError."""
    family = next((names for names in _FAMILIES if row["lang"] in names), (str(row["lang"]),))
    filters = Filters(languages=family)
    names = [name for name in row["refs"] or () if name != row["name"]]
    hits = store.by_exact([name.lower() for name in names], _DEPTH, filters, most=MOST_DEFINITIONS) if names else []
    defined: dict[str, list[Row]] = {}
    for hit in hits:
        if hit.row["part"] == 1 and hit.row["name"] in names and hit.row["id"] != row["id"]:
            defined.setdefault(hit.row["name"], []).append(hit.row)
    calls = [other for name in names for other in _nearest(defined.get(name, []), row)]
    users: list[Row] = []
    if row["name"] and row["kind"] not in (Kind.MODULE, Kind.TEXT):
        seen: set[tuple[str, str]] = {(row["path"], row["qualified"])}
        for hit in store.by_reference([row["name"]], _DEPTH, filters):
            key = (hit.row["path"], hit.row["qualified"] or hit.row["id"])
            if key not in seen:
                seen.add(key)
                users.append(hit.row)
    return Related(
        tuple(calls[:k]), tuple(sorted(users, key=lambda other: _distance(other, row))[:k]),
        tuple(name for name in names if name not in defined),
    )  # fmt: skip


def file_overview(store: Legs, path: str) -> list[Outlined]:
    """The symbols of a file by line, parts put together. Raises AppError."""
    rows = store.file_rows([path], COLUMNS).get(path, [])
    out = []
    for row in rows:
        if row["part"] == 1 and row["kind"] not in (Kind.MODULE, Kind.TEXT):
            parts = whole(row, rows)
            out.append(_outlined(row, max(int(part["end_line"]) for part in parts), rows))
    return sorted(out, key=lambda one: (one.start_line, one.depth))


def _outlined(row: Row, end: int, rows: Sequence[Row]) -> Outlined:
    parents = {other["qualified"]: other["parent"] for other in rows}
    depth, parent = 0, row["parent"]
    while parent in parents and depth < 100 and parents[parent] != parent:
        depth, parent = depth + 1, parents[parent]
    return Outlined(
        str(row["kind"]), row["name"], row["qualified"], row["signature"], row["start_line"], end, row["complexity"],
        depth,
    )  # fmt: skip


def _nearest(definitions: Sequence[Row], row: Row) -> list[Row]:
    """Where one stands in the same file, that is the one that is meant."""
    same = [other for other in definitions if other["path"] == row["path"]]
    return same or sorted(definitions, key=lambda other: _distance(other, row))


def _distance(other: Row, row: Row) -> tuple[int, bool, str, int]:
    mine, its = row["path"].split("/")[:-1], other["path"].split("/")[:-1]
    shared = next((n for n, (a, b) in enumerate(zip(mine, its, strict=False)) if a != b), min(len(mine), len(its)))
    away = 0 if other["path"] == row["path"] else 1 + len(mine) + len(its) - 2 * shared
    return away, bool(other["is_test"]), other["path"], other["start_line"]
