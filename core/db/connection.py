"""Open the workspace database: pragmas, backup, migration, refusal of a newer file."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sqlite3
import threading
import unicodedata
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.db import Database
from core.db.schema import migrations
from core.errors import AppError, bug_report
from core.workspace.files import TMP_PREFIX, disk_error, publish_file, sweep_temporary

BACKUPS = 10
# Of Latin, Greek and Cyrillic letters; in other scripts such marks make another letter.
_ACCENTS = re.compile("[\u0300-\u036f]")


def now() -> str:
    """The present moment as stored: UTC, ISO 8601, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def new_id() -> str:
    """A fresh uuid4 as text."""
    return str(uuid.uuid4())


def fold(text: str | None) -> str | None:
    """A text as searches compare it: without capitals and accents.

    Also the SQL function `fold`, since SQLite's lower() and LIKE know ASCII only.
    """
    if text is None or text.isascii():
        return text and text.lower()
    return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", text.casefold())))


def free_name(db: Database, table: str, wanted: str, taken: Iterable[str] = (), *, column: str = "name") -> str:
    """`wanted`, with a number appended where a row of `table` that is not in the trash, or one of `taken`, has it."""
    rows = db.execute(f"select {column} from {table} where deleted_at is null").fetchall()
    used, name, number = {row[column] for row in rows} | set(taken), wanted, 1
    while name in used:
        number += 1
        name = f"{wanted} {number}"
    return name


def connect(path: Path, *, read_only: bool = False) -> Database:
    """One connection, for one thread. Raises AppError `database_error`."""
    try:
        uri = f"{path.resolve().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        conn = sqlite3.connect(uri, uri=True, timeout=10.0)
        conn.row_factory = sqlite3.Row
        conn.create_function("fold", 1, fold, deterministic=True)
        if not read_only:
            conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("PRAGMA synchronous=FULL")
        conn.execute("PRAGMA foreign_keys=ON")
    except sqlite3.DatabaseError as exc:
        raise database_error(exc, path) from exc
    return Database(conn, recursive_triggers=True)


def database_error(exc: sqlite3.Error, path: Path) -> AppError:
    """An sqlite error in the user's words."""
    text = str(exc)
    if "full" in text:
        return AppError("disk_full", "The disk is full; the database was not changed.", hint="Free some space.")
    return AppError(
        "database_error",
        f"The workspace database {path.name} can't be used ({text}).",
        hint="Close other programs that use it, or restore a copy from the backups folder.",
        detail=f"{path}: {exc!r}",
    )


def explain(exc: BaseException, detail: str = "", database: Path = Path("workspace.db")) -> AppError:
    """Any exception as an `AppError`: a full disk or a file that can't be used in the user's words, else a bug."""
    if isinstance(exc, AppError):
        return exc
    if isinstance(exc, sqlite3.Error) and _is_trouble(exc):
        return database_error(exc, database)
    if isinstance(exc, OSError) and exc.filename:
        return disk_error(exc, Path(os.fsdecode(exc.filename)))
    if isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO):
        return disk_error(exc, Path("a file of the workspace"))
    return bug_report(exc, detail)


def _is_trouble(exc: sqlite3.Error) -> bool:
    """Whether the database's file is at fault, and not the statement."""
    if isinstance(exc, sqlite3.OperationalError):
        return not any(word in str(exc) for word in ("no such", "syntax", "has no column", "ambiguous"))
    return type(exc) is sqlite3.DatabaseError


def open_database(path: Path, backups: Path) -> Database:
    """Open for the one writer: refuse a newer file, back up before migrating, migrate.

    Raises AppError `database_too_new` or `database_error`; the file is then as it was.
    """
    existed = path.exists() and path.stat().st_size > 0
    db = connect(path)
    try:
        _refuse_newer(db, path)
        if existed and migrations.pending(db):
            back_up(db, backups, "before-migration")
        migrations.apply(db)
    except sqlite3.DatabaseError as exc:
        db.close()
        raise database_error(exc, path) from exc
    except AppError:
        db.close()
        raise
    return db


def _refuse_newer(db: Database, path: Path) -> None:
    known = {m.name for m in migrations._migrations}
    unknown = [m.name for m in migrations.applied(db) if m.name not in known]
    if unknown:
        raise AppError(
            "database_too_new",
            f"{path} was written by a newer version of Bright Run.",
            hint="Install the newer version, or open another workspace. Nothing was changed.",
            detail="unknown migrations: " + ", ".join(unknown),
        )


def back_up(db: Database, folder: Path, reason: str) -> Path:
    """A consistent copy of the open database under `folder`; the newest `BACKUPS` are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"workspace-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{reason}.db"
    tmp, final = folder / f"{TMP_PREFIX}{name}", folder / name
    sweep_temporary(folder)
    try:
        with contextlib.closing(sqlite3.connect(tmp)) as target:
            db.conn.backup(target)
        publish_file(tmp, final)
    except BaseException:
        tmp.unlink(missing_ok=True)
        raise
    # By name, which is by time; the fresh one stays even where the clock went back.
    for old in [path for path in sorted(folder.glob("workspace-*.db")) if path != final][: 1 - BACKUPS]:
        old.unlink()
    return final


def upsert(db: Database, table: str, values: Mapping[str, Any]) -> None:
    """Insert a row, or update all columns but `created_at` of the row with its id."""
    updates = ", ".join(f"{name} = excluded.{name}" for name in values if name not in ("id", "created_at"))
    with transaction(db):
        db.execute(
            f"insert into {table}({', '.join(values)}) values({', '.join('?' * len(values))})"
            f" on conflict(id) do update set {updates}",
            list(values.values()),
        )


class Connections:
    """One connection per thread over the same file; WAL lets readers and the one writer work at the same time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._all: list[Database] = []
        self._guard = threading.Lock()

    @property
    def db(self) -> Database:
        """This thread's connection."""
        found: Database | None = getattr(self._local, "db", None)
        if found is None:
            found = connect(self.path)
            self._local.db = found
            with self._guard:
                self._all.append(found)
        return found

    def close_current(self) -> None:
        """Close this thread's connection."""
        found: Database | None = getattr(self._local, "db", None)
        if found is not None:
            found.close()
            self._local.db = None
            with self._guard:
                self._all.remove(found)


@contextlib.contextmanager
def transaction(db: Database) -> Iterator[Database]:
    """One transaction: all or nothing, also when nested in one that is already open."""
    if db.conn.in_transaction:
        yield db
        return
    db.execute("begin immediate")
    try:
        yield db
        db.conn.commit()
    except BaseException:
        # Also when the commit itself fails: a transaction left open would swallow every later one.
        db.conn.rollback()
        raise
