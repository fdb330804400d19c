"""Scratch storage on disk while a dataset is built: parts of conversations, and what was seen before."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from core.datasets.importers import Place

_SCHEMA = """
create table groups(gid integer primary key, name text not null, opening blob not null, line integer not null,
  unique(name, opening));
create table parts(gid integer not null, turn integer not null, line integer not null, body blob not null,
  primary key(gid, turn)) without rowid;
create table seen(digest blob primary key, line integer not null) without rowid;
"""


@dataclass(frozen=True)
class Group:
    """One conversation that was collected: its name, the line it began on, lines and bodies in order of turns."""

    name: str
    line: int
    lines: tuple[int, ...]
    bodies: tuple[Mapping[str, Any], ...]


class Spool:
    """A throw-away SQLite file, so that memory stays flat however large the source is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("pragma journal_mode=off")
        self._db.execute("pragma synchronous=off")
        self._db.executescript(_SCHEMA)
        self._db.execute("begin")
        self._last: tuple[str, int, int] = ("", 0, 0)
        self._last_opening = b""

    def close(self) -> None:
        """Forget everything."""
        self._db.close()
        self._path.unlink(missing_ok=True)

    def group(self, place: Place, line: int) -> tuple[int, bool]:
        """(number of the conversation, whether this is the turn right after the record before)."""
        opening = None if place.opening is None else hashlib.blake2b(place.opening.encode(), digest_size=8).digest()
        name, gid, turn = self._last
        if name == place.conversation and opening in (None, self._last_opening):
            follows = place.turn == turn + 1
        else:
            gid, follows = self._find(place.conversation, opening, line), place.turn == 1
            self._last_opening = opening or b""
        self._last = (place.conversation, gid, place.turn)
        return gid, follows

    def _find(self, name: str, opening: bytes | None, line: int) -> int:
        if opening is None:
            row = self._db.execute("select max(gid) from groups where name = ?", [name]).fetchone()
        else:
            row = self._db.execute("select gid from groups where name = ? and opening = ?", [name, opening]).fetchone()
        if row and row[0] is not None:
            return int(row[0])
        done = self._db.execute("insert into groups(name, opening, line) values(?, ?, ?)", [name, opening or b"", line])
        return int(done.lastrowid or 0)

    def add(self, gid: int, turn: int, line: int, body: Mapping[str, Any]) -> int:
        """Keep one part. Returns 0, or the line that already has this turn."""
        done = self._db.execute("insert or ignore into parts values(?, ?, ?, ?)", [gid, turn, line, orjson.dumps(body)])
        if done.rowcount:
            return 0
        found = self._db.execute("select line from parts where gid = ? and turn = ?", [gid, turn]).fetchone()
        return int(found[0])

    def groups(self) -> Iterator[Group]:
        """Every conversation in order of first appearance."""
        rows = self._db.execute(
            "select g.name, g.line, p.gid, p.line, p.body from groups g cross join parts p on p.gid = g.gid"
            " order by g.gid, p.turn"
        )
        current, head, lines, bodies = 0, ("", 0), list[int](), list[Mapping[str, Any]]()
        for name, first, gid, line, body in rows:
            if gid != current and bodies:
                yield Group(head[0], head[1], tuple(lines), tuple(bodies))
                lines, bodies = [], []
            current, head = gid, (name, first)
            lines.append(line)
            bodies.append(orjson.loads(body))
        if bodies:
            yield Group(head[0], head[1], tuple(lines), tuple(bodies))

    def repeated(self, messages: Sequence[Mapping[str, Any]]) -> dict[int, int]:
        """Answers that train and were remembered with the same preceding turns: index -> line of the first."""
        found = {}
        for index, digest in _answers(messages):
            row = self._db.execute("select line from seen where digest = ?", [digest]).fetchone()
            if row is not None:
                found[index] = int(row[0])
        return found

    def remember(self, messages: Sequence[Mapping[str, Any]], line: int) -> None:
        """Remember the answers that train."""
        rows = [(digest, line) for _, digest in _answers(messages)]
        self._db.executemany("insert or ignore into seen values(?, ?)", rows)


def _answers(messages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, bytes]]:
    """Index of every answer that trains, with a digest of the conversation up to its end."""
    running = hashlib.blake2b(digest_size=16)
    for index, message in enumerate(messages):
        running.update(orjson.dumps([message["role"], message["content"]]))
        if message.get("weight"):
            yield index, running.copy().digest()
