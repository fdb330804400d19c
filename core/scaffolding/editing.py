"""What is done to stored entries: duplicated, switched off and on again, an arc's beats put."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import orjson

from core.db import Database
from core.db.connection import now, transaction
from core.errors import AppError, Where
from core.events import Changed
from core.scaffolding.beats import problems
from core.scaffolding.store import E, EmotionalArc, Entry, add, get, update


def free_copy(db: Database, entry: E) -> E:
    """The entry as a new one, not stored, under the next key and name that are free: first_buyer_2, "First buyer 2"."""
    kind, name = type(entry), str(getattr(entry, "name", ""))
    rows = db.execute(f"select {kind.KEY} as key, name from {kind.TABLE} where deleted_at is null").fetchall()
    taken = {row["key"] for row in rows} | {row["name"] for row in rows}
    number = next(n for n in count(2) if not taken & {f"{entry.key}_{n}", f"{name} {n}"})
    named: dict[str, Any] = {kind.KEY: f"{entry.key}_{number}", "name": f"{name} {number}"}
    return replace(entry, id="", source_id=None, created_at="", updated_at="", **named)


def duplicate(db: Database, kind: type[E], idents: Iterable[str]) -> list[E]:
    """Store a copy of each, all or none; a copy is in use. Raises AppError `no_such_scaffolding`."""
    with transaction(db):
        return [add(db, replace(free_copy(db, get(db, kind, ident)), is_active=True)) for ident in idents]


def switch(db: Database, kind: type[Entry], idents: Iterable[str], active: bool) -> tuple[Changed, list[str]]:
    """Archive entries (`is_active`) or take them into use again. Returns the ids of those that were otherwise."""
    with transaction(db):
        rows = db.execute(
            f"update {kind.TABLE} set is_active = ?, updated_at = ? where is_active <> ? and deleted_at is null"
            " and id in (select value from json_each(?)) returning id",
            [int(active), now(), int(active), orjson.dumps(list(idents)).decode()],
        ).fetchall()
    return (Changed.SCAFFOLDING if rows else Changed.NOTHING), [str(row["id"]) for row in rows]


def put_beats(
    db: Database, ident: str, beats: Sequence[Mapping[str, Any]]
) -> tuple[Changed, tuple[EmotionalArc, EmotionalArc]]:
    """Store an arc's beats and nothing else of it; returns the arc as it was before, and as it is now.

    Raises AppError `bad_beats` naming the first field that is wrong, or `no_such_scaffolding`.
    """
    for problem in problems(beats):
        field = f"beats[{problem.place}].{problem.field}" if problem.field else "beats"
        raise AppError("bad_beats", problem.message, hint=problem.hint, where=Where(field=field))
    with transaction(db):
        before = get(db, EmotionalArc, ident)
        changed = update(db, replace(before, beats=tuple(beats)))
        return changed, (before, get(db, EmotionalArc, ident))
