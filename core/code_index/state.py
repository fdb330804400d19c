"""The state of a code index: which files it holds and how far each is, and what the store's files are known to hold.

It is the truth of what is indexed. Each row carries a check sum, since SQLite does not notice a flipped byte.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson

from core.code_index.records import LeftOut
from core.code_index.seal import Sealed
from core.db.connection import connect, database_error, transaction
from core.errors import AppError
from core.workspace.files import TMP_PREFIX, publish_file

BACKUPS = 2
_TABLES = """
create table if not exists meta(key text primary key, value text not null, sum text not null);
create table if not exists files(
  path text primary key, size integer not null, mtime_ns integer not null, hash text not null, language text not null,
  chunks integer not null, embedded integer not null, symbols integer not null, state text not null,
  reason text not null, detail text not null, imports text not null, indexed_at real not null, sum text not null);
create index if not exists files_by_state on files(state, path);
create table if not exists sealed(name text primary key, size integer not null, hash text not null);
"""


class Stage(StrEnum):
    """How far a file is. `LEXICAL` is found by words, `EMBEDDED` by meaning too; `LEFT_OUT` is not indexed at all."""

    PENDING = "pending"
    LEXICAL = "lexical"
    EMBEDDED = "embedded"
    ERROR = "error"
    LEFT_OUT = "left_out"


@dataclass(frozen=True, slots=True)
class FileState:
    """What is known of a file. `chunks` are its rows in the store, `embedded` those with a vector.

    `hash` is of the content that is in the store; `reason` says why it is left out, failed, or was cut by lines only;
    `indexed_at` is in seconds since 1970.
    """

    path: str
    size: int = 0
    mtime_ns: int = 0
    hash: str = ""
    language: str = "text"
    chunks: int = 0
    embedded: int = 0
    symbols: int = 0
    state: Stage = Stage.PENDING
    reason: str = ""
    detail: str = ""
    imports: tuple[str, ...] = ()
    indexed_at: float = 0.0


_COLUMNS = tuple(field.name for field in fields(FileState))
_PUT = f"insert or replace into files({', '.join(_COLUMNS)}, sum) values({', '.join('?' * (len(_COLUMNS) + 1))})"


@dataclass
class Change:
    """What is written at once: files as they are now, files that are gone, seals of the store's files."""

    files: list[FileState] = field(default_factory=list)
    gone: Collection[str] = ()
    sealed: Mapping[str, Sealed] = field(default_factory=dict)
    unsealed: Collection[str] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)


class IndexState:
    """The file state.db. One instance a thread; readers and the one writer work at the same time."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open, or make, the file. Raises AppError `database_error`."""
        self.path = path
        self.db = connect(path, read_only=read_only)
        self._content: tuple[int, str] = (-1, "")
        self._writes = -1
        if not read_only:
            try:
                self.db.conn.executescript(_TABLES)
            except sqlite3.DatabaseError as exc:
                self.db.close()
                raise database_error(exc, path) from exc

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    # ---------------------------------------------------------------- whole or not

    def verify(self) -> str:
        """What is wrong with the file, empty for nothing; reads all of it."""
        try:
            found = self.db.conn.execute("pragma integrity_check(1)").fetchone()[0]
            if found != "ok":
                return str(found)
            for row in self.db.conn.execute("select * from files"):
                if _sum(tuple(row)[:-1]) != row["sum"]:
                    return f"the row of {row['path']!r} was changed"
            for row in self.db.conn.execute("select * from meta"):
                if _sum((row["key"], row["value"])) != row["sum"]:
                    return f"the value of {row['key']!r} was changed"
        # A text that is no longer UTF-8 is no error of SQLite's.
        except (sqlite3.Error, UnicodeDecodeError) as exc:
            return repr(exc)
        return ""

    def back_up(self, folder: Path) -> Path:
        """A copy under `folder`, of which the newest `BACKUPS` are kept."""
        folder.mkdir(parents=True, exist_ok=True)
        old = sorted(folder.glob(f"{self.path.stem}-*.db"))
        number = int(old[-1].stem.rpartition("-")[2]) + 1 if old else 1
        tmp, final = folder / f"{TMP_PREFIX}{number}.db", folder / f"{self.path.stem}-{number:06d}.db"
        tmp.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(tmp)) as target:
            self.db.conn.backup(target)
        publish_file(tmp, final)
        for path in [*old, final][:-BACKUPS]:
            path.unlink(missing_ok=True)
        return final

    # ---------------------------------------------------------------- meta and seals

    def meta(self, key: str, default: Any = None) -> Any:
        """A value that was set, JSON."""
        row = self.db.conn.execute("select value from meta where key = ?", [key]).fetchone()
        return orjson.loads(row[0]) if row else default

    def set_meta(self, **values: Any) -> None:
        """Set values; durable on return."""
        self.write(Change(meta=values))

    @property
    def generation(self) -> int:
        """A number that grows with each change of files."""
        return int(self.meta("generation", 0))

    def sealed(self) -> dict[str, Sealed]:
        """The files of the store and what each is known to hold."""
        return {row[0]: Sealed(row[1], row[2]) for row in self.db.conn.execute("select name, size, hash from sealed")}

    # ---------------------------------------------------------------- files

    def write(self, change: Change) -> None:
        """All of a change or nothing; durable on return. Raises AppError `database_error`."""
        meta = dict(change.meta)
        conn = self.db.conn
        try:
            with transaction(self.db):
                conn.executemany(_PUT, (_values(file) for file in change.files))
                conn.executemany("delete from files where path = ?", ([path] for path in change.gone))
                sealed = ((name, seal.size, seal.hash) for name, seal in change.sealed.items())
                conn.executemany("insert or replace into sealed(name, size, hash) values(?, ?, ?)", sealed)
                conn.executemany("delete from sealed where name = ?", ([name] for name in change.unsealed))
                meta["writes"] = int(self.meta("writes", 0)) + 1
                if change.files or change.gone:
                    meta["generation"] = self.generation + 1
                pairs = [(key, orjson.dumps(value).decode()) for key, value in meta.items()]
                conn.executemany(
                    "insert or replace into meta(key, value, sum) values(?, ?, ?)",
                    ((*pair, _sum(pair)) for pair in pairs),
                )
        except sqlite3.DatabaseError as exc:
            raise database_error(exc, self.path) from exc
        self._writes = meta["writes"]

    def written_elsewhere(self) -> bool:
        """Whether somebody else has written since this one did."""
        return bool(self.meta("writes", 0) != self._writes)

    def files(self, paths: Collection[str] | None = None) -> dict[str, FileState]:
        """The files that are to be indexed, all or those of `paths`."""
        if paths is None:
            rows: Iterable[Any] = self.db.conn.execute("select * from files where state != 'left_out'")
            return {row["path"]: _file(row) for row in rows}
        return {file.path: file for path in paths if (file := self.file(path)) and file.state is not Stage.LEFT_OUT}

    def file(self, path: str) -> FileState | None:
        """A file or left out folder by its path."""
        row = self.db.conn.execute("select * from files where path = ?", [path]).fetchone()
        return _file(row) if row else None

    def below(self, folder: str) -> list[str]:
        """The paths of all files below a folder, also of those left out."""
        start = folder.rstrip("/") + "/"
        rows = self.db.conn.execute("select path from files where path >= ? and path < ?", [start, start[:-1] + "0"])
        return [row[0] for row in rows]

    def replace_left_out(self, left: Sequence[LeftOut], among: Collection[str] | None = None) -> None:
        """Make `left` all that is left out, or all of it among these paths; what is the same is not written."""
        rows = self.db.conn.execute("select path, reason, detail from files where state = 'left_out'")
        old = {row[0]: (row[1], row[2]) for row in rows if among is None or row[0] in among}
        new = {one.path: (str(one.reason), one.detail) for one in left}
        files = [
            FileState(path, state=Stage.LEFT_OUT, reason=reason, detail=detail, language="", indexed_at=time.time())
            for path, (reason, detail) in new.items() if old.get(path) != (reason, detail)
        ]  # fmt: skip
        gone = old.keys() - new.keys()
        if files or gone:
            self.write(Change(files, gone))

    def start_over(self) -> None:
        """Make every file pending, with nothing in the store, which is gone."""
        files = [
            FileState(file.path, file.size, file.mtime_ns, language=file.language) for file in self.files().values()
        ]
        self.write(Change(files, unsealed=self.sealed().keys(), meta={"cleaning": False, "incomplete": True}))

    def chunks(self) -> int:
        """How many rows the store has to have."""
        return int(self.db.conn.execute("select coalesce(sum(chunks), 0) from files").fetchone()[0])

    def index_state(self) -> str:
        """A short name of the content that is indexed and of how: the same content has the same name."""
        generation = self.generation
        if self._content[0] != generation:
            out = hashlib.blake2b(digest_size=8)
            for key in ("slug", "schema", "chunker", "words", "soft_limit"):
                out.update(repr(self.meta(key)).encode())
            for row in self.db.conn.execute("select path, hash from files where hash != '' order by path"):
                out.update(f"{row[0]}\0{row[1]}\n".encode())
            self._content = (generation, out.hexdigest())
        return self._content[1]


def _sum(values: tuple[Any, ...]) -> str:
    return hashlib.blake2b(repr(values).encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()


def _values(file: FileState) -> tuple[Any, ...]:
    values = (
        file.path, file.size, file.mtime_ns, file.hash, file.language, file.chunks, file.embedded, file.symbols,
        str(file.state), file.reason, file.detail, orjson.dumps(file.imports).decode(), float(file.indexed_at),
    )  # fmt: skip
    return (*values, _sum(values))


def _file(row: Any) -> FileState:
    values = dict(row)
    values.pop("sum")
    values["state"], values["imports"] = Stage(values["state"]), tuple(orjson.loads(values["imports"]))
    return FileState(**values)


def file_of(row: Any) -> FileState:
    """A row of `files` as a value."""
    return _file(row)


def read_error(path: Path, why: str) -> AppError:
    """The error of a state that can't be trusted."""
    return AppError(
        "index_damaged",
        "The state of this project's code index was damaged.",
        hint="The index is made again from the project's files; vectors that were made before are used again.",
        detail=f"{path}: {why}",
    )


@contextlib.contextmanager
def reading(path: Path) -> Iterator[IndexState]:
    """The state for a reader, which is closed at the end. Raises AppError `database_error`."""
    state = IndexState(path, read_only=True)
    try:
        yield state
    finally:
        state.close()
