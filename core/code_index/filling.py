"""The first half of a pass: files become rows that are found by words.

A batch is written whole, made durable, and then its files are marked. New rows of a changed file come before the old
ones go, so that a reader never misses a file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from core.cancel import CancelToken
from core.code_index.columns import joined
from core.code_index.health import Opened
from core.code_index.parallel import Job, Readers
from core.code_index.reading import Prepared, Tools, prepare
from core.code_index.records import FoundFile, Left, LeftOut
from core.code_index.report import Pace, Report, Tell
from core.code_index.rows import VECTOR
from core.code_index.state import Change, FileState, Stage
from core.code_index.vectors import VectorCache

BATCH_ROWS, BATCH_S = 4_000, 5.0
# Stopped twice at one file: the third time it is passed over.
ATTEMPTS = 2


class Marker:
    """The file that is read at this moment, kept beside the index for whoever kills a process that hangs at it."""

    def __init__(self, path: Path) -> None:
        self.path, self._fd = path, -1
        self._left = self._read()
        self.hopeless = {name for name, times in self._left.items() if times >= ATTEMPTS}

    def _read(self) -> dict[str, int]:
        try:
            # Behind the second zero is the rest of a longer name.
            lines = self.path.read_text("utf-8", "replace").split("\0")
        except OSError:
            return {}
        return {lines[1]: int(lines[0])} if len(lines) > 2 and lines[0].isdigit() else {}

    def at(self, name: str) -> None:
        """`name` is read now; not synced: what it guards against is a process that ends, not a power cut."""
        if self._fd < 0:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        text = f"{self._left.get(name, 0) + 1}\0{name}\0".encode()
        os.pwrite(self._fd, text, 0)

    def done(self) -> None:
        """Nothing is read any more."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self.path.unlink(missing_ok=True)


@dataclass
class Filling:
    """Reads `changed` into the store of `opened`; counts into `report`."""

    opened: Opened
    tools: Tools
    root: Path
    cache: VectorCache | None
    report: Report
    token: CancelToken
    soft_limit: int
    marker: Marker
    # Begun before the index was open.
    readers: Readers | None = None
    _waiting: list[Prepared] = field(default_factory=list)
    _rows: int = 0
    _since: float = 0.0

    def remove(self, paths: Sequence[str]) -> None:
        """Take files out of the index."""
        if not paths:
            return
        self.opened.store.delete(paths)
        self.opened.acknowledge(Change(gone=paths))
        self.report.removed += len(paths)

    def run(self, changed: Sequence[FoundFile], known: Mapping[str, FileState], tell: Tell) -> None:
        """Read all of them, in batches. Raises Cancelled between two files, with what was read marked."""
        pace, self._since = Pace(tell, "reading", len(changed)), time.monotonic()
        jobs = [(file, self._known_hash(file, known.get(file.path))) for file in changed]
        readers = self.readers or Readers.begin(self.tools, self.root, self.soft_limit, jobs)
        try:
            for one in readers.results(self._prepare, self.token) if readers else map(self._prepare, jobs):
                self._waiting.append(one)
                self._rows += one.columns.count
                if self._rows >= BATCH_ROWS or time.monotonic() - self._since >= BATCH_S:
                    self._flush(known)
                pace.add(1, one.file.path)
                if self.token.cancelled:
                    break
        finally:
            self.marker.done()
            if readers:
                readers.close()
        self._flush(known)
        self.token.raise_if_cancelled()

    @staticmethod
    def _known_hash(file: FoundFile, known: FileState | None) -> str:
        return known.hash if known and known.language == file.language else ""

    def _prepare(self, job: Job) -> Prepared:
        """Read a file in this process, which might not live through it."""
        file, known_hash = job
        if file.path in self.marker.hopeless and not known_hash:
            return Prepared(file, failed=f"reading it ended the indexing {ATTEMPTS} times")
        self.marker.at(file.path)
        return prepare(self.tools, self.root, file, known_hash, self.soft_limit)

    # ---------------------------------------------------------------- one batch

    def _flush(self, known: Mapping[str, FileState]) -> None:
        """Write what waits, make it durable, mark it."""
        batch, self._waiting, self._rows = self._waiting, [], 0
        self._since = time.monotonic()
        if not batch:
            return
        store = self.opened.store
        had = {one.file.path for one in batch if (old := known.get(one.file.path)) and old.chunks}
        batch = self._with_vectors(batch, list(had))
        good = [one for one in batch if not (one.failed or one.left or one.gone or one.same)]
        store.add(joined([one.columns for one in good if one.file.path not in had]))
        replaced = [one for one in good if one.file.path in had]
        store.upsert(joined([one.columns for one in replaced]))
        store.prune({one.file.path: set(one.columns.texts("id")) for one in replaced})
        store.delete([one.file.path for one in batch if one.file.path in had and (one.failed or one.left or one.gone)])
        self.opened.acknowledge(Change(
            [self._state(one, known.get(one.file.path)) for one in batch if not (one.gone or one.left)],
            gone=[one.file.path for one in batch if one.gone or one.left],
        ))  # fmt: skip
        left = [one.left for one in batch if one.left]
        self.opened.state.replace_left_out(left, {one.path for one in left})
        self._count(batch, had)

    def _count(self, batch: Sequence[Prepared], had: set[str]) -> None:
        report = self.report
        for one in batch:
            if not (one.same or one.gone or one.left or one.failed):
                report.changed += 1
                report.read.add(one.file.path)
            report.removed += one.gone and one.file.path in had
            report.found -= one.gone
            report.chunks += one.columns.count

    def _with_vectors(self, batch: list[Prepared], had: Sequence[str]) -> list[Prepared]:
        """With the vectors that were made before: from the cache, else from the rows that are replaced."""
        if self.opened.store.dimension is None:
            return batch
        hashes = [one.columns.texts("embed_hash") for one in batch]
        wanted = set(chain.from_iterable(hashes))
        found = self.cache.get(wanted) if self.cache else {}
        if had and wanted - found.keys():
            for old in self.opened.store.file_rows(had, ("embed_hash", VECTOR)).values():
                found |= {row["embed_hash"]: row[VECTOR] for row in old if row[VECTOR] is not None}
        self.report.from_cache += sum(name in found for names in hashes for name in names)
        return [
            replace(one, columns=replace(one.columns, vectors=[found.get(name) for name in names])) if names else one
            for one, names in zip(batch, hashes, strict=True)
        ]

    def _state(self, one: Prepared, known: FileState | None) -> FileState:
        """The row of a file in the state."""
        file, now = one.file, time.time()
        if one.failed:
            return FileState(file.path, file.size, file.mtime_ns, language=file.language, state=Stage.ERROR,
                             reason="could not be indexed", detail=one.failed, indexed_at=now)  # fmt: skip
        has_vectors = self.opened.store.dimension is not None
        if one.same and known is not None:
            whole = has_vectors and known.embedded == known.chunks
            stage = Stage.EMBEDDED if whole else Stage.LEXICAL
            return replace(known, size=file.size, mtime_ns=file.mtime_ns, state=stage, indexed_at=now)
        chunks, embedded = one.columns.count, sum(vector is not None for vector in one.columns.vectors)
        whole = has_vectors and embedded == chunks
        return FileState(
            file.path, file.size, file.mtime_ns, one.hash, file.language, chunks, embedded, one.symbols,
            Stage.EMBEDDED if whole else Stage.LEXICAL, "cut by lines" if one.fallback else "", one.fallback,
            one.imports, now,
        )  # fmt: skip


# ---------------------------------------------------------------- what is to be read

# A file that was written while it was read may keep its time: within this of the reading its content is compared.
RACY_NS = 2_000_000_000


def to_read(files: Iterable[FoundFile], known: Mapping[str, FileState]) -> list[FoundFile]:
    """The files that are new, changed or not finished, the newest first."""
    found = [file for file in files if _differs(file, known.get(file.path))]
    return sorted(found, key=lambda file: -file.mtime_ns)


def _differs(file: FoundFile, known: FileState | None) -> bool:
    if known is None or known.state in (Stage.PENDING, Stage.ERROR):
        return True
    seen = (known.size, known.mtime_ns, known.language)
    return seen != (file.size, file.mtime_ns, file.language) or file.mtime_ns > known.indexed_at * 1e9 - RACY_NS


def pending(files: Sequence[FoundFile], known: Mapping[str, FileState]) -> list[FileState]:
    """The rows that say of files that they wait; what is in the store of them is still there."""
    out = []
    for file in files:
        old = known.get(file.path)
        if old is None:
            out.append(FileState(file.path, file.size, file.mtime_ns, language=file.language))
        elif (old.size, old.mtime_ns) != (file.size, file.mtime_ns) and old.state is not Stage.PENDING:
            out.append(replace(old, state=Stage.PENDING))
    return out


def writable(entries: Iterable[FoundFile | LeftOut]) -> tuple[list[FoundFile], list[LeftOut]]:
    """Files and what is left out; a name that is not UTF-8 can't be kept, and is left out under one that can."""
    files, left = list[FoundFile](), list[LeftOut]()
    for entry in entries:
        try:
            entry.path.encode()
        except UnicodeEncodeError:
            name = os.fsencode(entry.path).decode("utf-8", "backslashreplace")
            left.append(LeftOut(name, Left.UNREADABLE, "its name is not UTF-8"))
            continue
        if isinstance(entry, FoundFile):
            files.append(entry)
        else:
            left.append(entry)
    return files, left
