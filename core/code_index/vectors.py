"""The cache of embeddings: what a vector cost is paid once, for all projects. One file a model.

A table with row ids and an index: without row ids SQLite writes blobs of this size nine times slower.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.code_index.seal import move_away

if TYPE_CHECKING:
    import numpy as np

CAP_BYTES = 8 << 30
# What is used is noted once a day at most: a note is a write.
DAY_S = 86_400
# Counting what is there takes milliseconds.
COUNT_EVERY = 1_000
BATCH = 500
_TABLE = """
create table if not exists vectors(hash blob not null, vec blob not null, sum integer not null, used integer not null);
create unique index if not exists vectors_by_hash on vectors(hash);
create index if not exists vectors_by_use on vectors(used);
"""


class VectorCache:
    """Vectors of `dimension` numbers as float16, by the hash of the text they are of. For one thread.

    A cache that is damaged is put aside and begins anew; it can only ever cost time.
    """

    def __init__(self, path: Path, dimension: int, cap_bytes: int = CAP_BYTES) -> None:
        self.path, self.dimension, self.cap_bytes = path, dimension, cap_bytes
        self._added = COUNT_EVERY
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._conn = self._connect()
        except sqlite3.DatabaseError:
            self._start_anew()

    def _connect(self) -> sqlite3.Connection:
        conn = sqlite3.connect(self.path, timeout=30.0)
        try:
            conn.execute("pragma journal_mode=wal")
            conn.execute("pragma synchronous=normal")
            conn.executescript(_TABLE)
        except sqlite3.DatabaseError:
            conn.close()
            raise
        return conn

    def _start_anew(self) -> None:
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        if self.path.exists():
            move_away(self.path, self.path.parent / "quarantine")
        self._conn = self._connect()

    def close(self) -> None:
        """Close the file."""
        self._conn.close()

    def __len__(self) -> int:
        return int(self._conn.execute("select count(*) from vectors").fetchone()[0])

    def get(self, hashes: Iterable[str]) -> dict[str, np.ndarray]:
        """The vectors that are there, by hash. One that was damaged is not there."""
        wanted, found = list(dict.fromkeys(hashes)), dict[str, "np.ndarray"]()
        try:
            for start in range(0, len(wanted), BATCH):
                self._get(wanted[start : start + BATCH], found)
        except sqlite3.OperationalError:
            # Another process writes for longer than one waits; what is missing is made again.
            return found
        except sqlite3.DatabaseError:
            self._recover()
        return found

    def _get(self, hashes: Sequence[str], found: dict[str, np.ndarray]) -> None:
        import numpy as np

        marks, today, old = ", ".join("?" * len(hashes)), int(time.time() // DAY_S), []
        rows = self._conn.execute(
            f"select hash, vec, sum, used, rowid from vectors where hash in ({marks})",
            [bytes.fromhex(h) for h in hashes],
        )
        for key, blob, sum_, used, rowid in rows:
            if len(blob) == 2 * self.dimension and zlib.crc32(blob, zlib.crc32(key)) == sum_:
                found[key.hex()] = np.frombuffer(blob, np.float16)
                if used < today:
                    old.append((today, rowid))
        if old:
            with self._conn:
                self._conn.executemany("update vectors set used = ? where rowid = ?", old)

    def put(self, vectors: Mapping[str, np.ndarray]) -> None:
        """Keep vectors of finite numbers; the least recently used go where there are too many bytes."""
        import numpy as np

        today = int(time.time() // DAY_S)
        rows = []
        for key, vector in vectors.items():
            name, blob = bytes.fromhex(key), np.asarray(vector, np.float16).tobytes()
            rows.append((name, blob, zlib.crc32(blob, zlib.crc32(name)), today))
        try:
            with self._conn:
                self._conn.executemany("insert or replace into vectors(hash, vec, sum, used) values(?, ?, ?, ?)", rows)
            self._added += len(rows)
            self._shrink()
        except sqlite3.OperationalError:
            return
        except sqlite3.DatabaseError:
            self._recover()

    def _shrink(self) -> None:
        most = max(1, self.cap_bytes // (2 * self.dimension))
        if self._added < min(COUNT_EVERY, most // 100):
            return
        self._added = 0
        if len(self) > most:
            with self._conn:
                self._conn.execute(
                    "delete from vectors where rowid in (select rowid from vectors order by used, rowid limit ?)",
                    [len(self) - most + most // 10],
                )

    def _recover(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._conn.close()
        self._start_anew()
