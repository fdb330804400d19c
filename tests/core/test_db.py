from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlite_utils import Database

from core.db import connection
from core.db.connection import Connections, connect, open_database, transaction
from core.db.schema import migrations
from core.errors import AppError
from core.workspace import settings
from core.workspace.files import TMP_PREFIX
from core.workspace.paths import source_root

NAMES = [m.name for m in migrations._migrations]


def older(path: Path, stop_before: str) -> None:
    db = connect(path)
    migrations.apply(db, stop_before=stop_before)
    db.close()


@pytest.mark.parametrize("stop_before", NAMES[1:])
def test_every_earlier_schema_comes_to_the_same_one_with_a_backup(tmp_path: Path, stop_before: str) -> None:
    fresh = open_database(tmp_path / "fresh.db", tmp_path / "none")
    older(tmp_path / "old.db", stop_before)
    db = open_database(tmp_path / "old.db", tmp_path / "backups")
    assert db.schema == fresh.schema
    saved = list((tmp_path / "backups").glob("*before-migration.db"))
    assert len(saved) == 1
    kept = connect(saved[0], read_only=True)
    assert [m.name for m in migrations.applied(kept)] == NAMES[: NAMES.index(stop_before)]
    assert not (tmp_path / "none").exists()
    for opened in (fresh, db, kept):
        opened.close()


def test_a_newer_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "w.db"
    db = open_database(path, tmp_path / "backups")
    db.execute(
        "insert into _sqlite_migrations(migration_set, name, applied_at) values('brightrun', 'm999_future', '2030')"
    )
    db.conn.commit()
    db.close()
    before = path.read_bytes()
    with pytest.raises(AppError) as caught:
        open_database(path, tmp_path / "backups")
    assert caught.value.code == "database_too_new"
    assert "newer" in caught.value.message
    assert path.read_bytes() == before


def test_a_failing_migration_leaves_the_old_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.db"
    older(path, NAMES[-1])

    def broken(db: Database) -> None:
        db.execute("create table half(id integer)")
        raise sqlite3.OperationalError("disk I/O error")

    last = migrations._migrations[-1]
    monkeypatch.setattr(last, "fn", broken)
    with pytest.raises(AppError):
        open_database(path, tmp_path / "backups")
    monkeypatch.undo()
    db = connect(path)
    assert "half" not in db.table_names()
    assert [m.name for m in migrations.applied(db)] == NAMES[:-1]
    db.close()
    open_database(path, tmp_path / "backups").close()


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    path = tmp_path / "w.db"
    path.write_bytes(b"this is not a database, at all, by any measure" * 50)
    with pytest.raises(AppError) as caught:
        open_database(path, tmp_path / "backups")
    assert caught.value.code == "database_error"
    assert "backups" in caught.value.hint


def test_a_transaction_is_all_or_nothing_also_nested(tmp_path: Path) -> None:
    db = open_database(tmp_path / "w.db", tmp_path / "b")

    def broken() -> None:
        with transaction(db):
            db.execute("insert into settings values('a', '1')")
            with transaction(db):
                db.execute("insert into settings values('b', '2')")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert db.execute("select count(*) from settings").fetchone()[0] == 0
    db.close()


def test_foreign_keys_hold(tmp_path: Path) -> None:
    db = open_database(tmp_path / "w.db", tmp_path / "b")
    with pytest.raises(sqlite3.IntegrityError), transaction(db):
        db.execute("insert into metrics_points(job_id, step) values('nobody', 1)")
    db.close()


def test_settings_have_defaults_and_survive_a_reopening(tmp_path: Path) -> None:
    db = open_database(tmp_path / "w.db", tmp_path / "b")
    assert settings.get(db, "theme") == "system"
    settings.put(db, "theme", {"name": "dark", "n": [1, 2]})
    db.close()
    db = open_database(tmp_path / "w.db", tmp_path / "b")
    assert settings.get(db, "theme") == {"name": "dark", "n": [1, 2]}
    db.close()


def test_ten_backups_are_kept(tmp_path: Path) -> None:
    db = open_database(tmp_path / "w.db", tmp_path / "b")
    for _ in range(13):
        connection.back_up(db, tmp_path / "b", "test")
    assert len(list((tmp_path / "b").glob("*.db"))) == 10
    db.close()


def test_the_fresh_backup_stays_even_where_the_clock_went_back(tmp_path: Path) -> None:
    db = open_database(tmp_path / "w.db", tmp_path / "b")
    (tmp_path / "b").mkdir(exist_ok=True)
    for number in range(10):
        (tmp_path / "b" / f"workspace-2199010{number}-000000-000000-test.db").touch()
    (tmp_path / "b" / f"{TMP_PREFIX}left-over.db").touch()
    fresh = connection.back_up(db, tmp_path / "b", "test")
    assert fresh.stat().st_size > 0
    assert len(list((tmp_path / "b").iterdir())) == 10
    db.close()


KILLED = """
import os, signal, sys
from core.db.connection import open_database, transaction
from pathlib import Path
folder = Path(sys.argv[1])
db = open_database(folder / "w.db", folder / "b")
with transaction(db):
    db.execute("insert into settings values('kept', '1')")
db.execute("begin immediate")
db.execute("insert into settings values('half', '1')")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_kill_in_a_transaction_keeps_what_was_committed(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=source_root(), check=False)
    assert done.returncode == -9
    db = open_database(tmp_path / "w.db", tmp_path / "b")
    assert [r["key"] for r in db.execute("select key from settings").fetchall()] == ["kept"]
    assert db.execute("pragma integrity_check").fetchone()[0] == "ok"
    db.close()


def test_each_thread_has_its_own_connection(tmp_path: Path) -> None:
    import threading

    open_database(tmp_path / "w.db", tmp_path / "b").close()
    connections = Connections(tmp_path / "w.db")
    seen: list[Database] = []

    def use() -> None:
        # Kept alive: a freed object's address may be given to the next one.
        seen.append(connections.db)
        connections.close_current()

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert connections.db is not seen[0]
    connections.close_current()
