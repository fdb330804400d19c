"""Whether an index is whole, and what is done when it is not: put aside, begin anew, say so.

Lance syncs nothing and keeps no check sums. Here every file of the store is synced and hashed when a batch is
acknowledged (`seal`), the hashes are in state.db, and the state names no commit whose files are not on disk. So at an
open the store is either as acknowledged, or newer (a process was killed: it goes back), or damaged.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.code_index import seal
from core.code_index.records import Filters
from core.code_index.rows import SCHEMA_VERSION
from core.code_index.seal import Verdict
from core.code_index.state import Change, IndexState, read_error
from core.code_index.store import TABLE, ChunkStore, damaged
from core.code_index.store_writer import ChunkWriter
from core.errors import AppError
from core.workspace.files import TMP_PREFIX, publish_file

_VERSIONS = f"{TABLE}.lance/_versions/"
_NEWEST = (1 << 64) - 1
# A reader looks so often at an index that is written meanwhile.
LOOKS = 3


@dataclass(frozen=True)
class Places:
    """Where the parts of one index lie below a project's folder; see `active` for the one that answers."""

    project: Path
    slug: str

    @property
    def folder(self) -> Path:
        """All of this index."""
        return self.project / self.slug

    @property
    def lance(self) -> Path:
        """LanceDB's folder."""
        return self.folder / "lance"

    @property
    def state(self) -> Path:
        """The state's file."""
        return self.folder / "state.db"

    @property
    def backups(self) -> Path:
        """Copies of the state."""
        return self.project / "backups" / self.slug

    @property
    def quarantine(self) -> Path:
        """What was damaged, the newest of each."""
        return self.project / "quarantine"


@dataclass(frozen=True)
class Health:
    """What was found. `notice` is None where all is well; `rebuild` says that the files are to be indexed again.

    `begun`: nothing is in it yet, its writer has just begun it, for the first time or anew.
    """

    notice: AppError | None = None
    rebuild: bool = False
    checked_bytes: int = 0
    seconds: float = 0.0
    begun: bool = False


@dataclass
class Opened:
    """An index that is whole, for its one writer."""

    state: IndexState
    store: ChunkWriter
    health: Health

    def close(self) -> None:
        """Let go of all files."""
        self.store.close()
        self.state.close()

    def whole(self) -> bool:
        """Whether the store has just what was acknowledged here, by names: else somebody else has written to it.

        After a cleaning that failed it isn't: as long as one is noted, a later commit would be taken for its own.
        """
        names = {name for name, _ in seal.lasting(self.store.folder)}
        same = names == self.state.sealed().keys()
        return same and not self.state.meta("cleaning") and not self.state.written_elsewhere()

    def acknowledge(self, change: Change) -> None:
        """Make all that was written to the store durable, then write the change; durable on return."""
        new, gone = seal.seal(self.store.folder, self.state.sealed())
        # Files go while it is cleaned, and at no other time.
        self.state.write(replace(change, sealed=new, unsealed=gone if self.state.meta("cleaning") else ()))


def check(places: Places) -> Health:
    """Look at an index without changing it. Raises AppError `index_missing` where there is none."""
    began = time.monotonic()
    if not places.state.exists():
        ChunkStore.open(places.lance).close()
        return Health(read_error(places.state, "there is none"), True)
    try:
        state = IndexState(places.state, read_only=True)
    except AppError as exc:
        return Health(read_error(places.state, exc.detail), True)
    try:
        if wrong := state.verify():
            return Health(read_error(places.state, wrong), True)
        health = _looked(places, state)
    finally:
        state.close()
    return replace(health, seconds=time.monotonic() - began)


def _looked(places: Places, state: IndexState) -> Health:
    """Once more where it was written meanwhile: what a writer is about to make anew is no damage."""
    verdict = Verdict()
    for _ in range(LOOKS):
        sealed = state.sealed()
        if not sealed:
            return Health(begun=True)
        try:
            verdict = seal.verify(places.lance, sealed)
            notice = _judge(places.lance, verdict, state)
            if notice is None and not verdict.extra:
                notice = _probed(ChunkStore.open(places.lance), state.chunks())
        except AppError as exc:
            notice = exc
        if notice is None or state.sealed() == sealed:
            break
    return Health(notice, notice is not None, verdict.bytes)


def open_index(places: Places, dimension: int | None, meta: Mapping[str, Any]) -> Opened:
    """Open for writing what is there, whole; what is not is put into quarantine and begun anew.

    `meta` says what the rows depend on; where the state says otherwise all files are to be indexed again.
    The caller holds the project's lock. Raises AppError where the disk can't be written.
    """
    began = time.monotonic()
    places.folder.mkdir(parents=True, exist_ok=True)
    state, notice = _open_state(places)
    try:
        wanted = {"schema": SCHEMA_VERSION, "slug": places.slug, "dimension": dimension, **meta}
        if any(state.meta(key) != value for key, value in wanted.items()) or state.meta("rebuild"):
            state.start_over()
            shutil.rmtree(places.lance, ignore_errors=True)
            state.set_meta(**wanted, rebuild=False)
        verdict, trouble = Verdict(), None
        if state.sealed():
            verdict = seal.verify(places.lance, state.sealed())
            trouble = _judge(places.lance, verdict, state)
        store = None if trouble else _opened(places, state, verdict)
        if store is None and state.sealed():
            trouble = trouble or damaged(places.lance, ValueError("the table does not answer as it should"))
            with contextlib.suppress(FileNotFoundError):
                seal.move_away(places.lance, places.quarantine)
            state.start_over()
        opened = Opened(state, store or _begin(places, state, dimension), Health())
    except BaseException:
        state.close()
        raise
    seconds = time.monotonic() - began
    opened.health = Health(notice or trouble, bool(trouble), verdict.bytes, seconds)
    return opened


# ---------------------------------------------------------------- the state


def _open_state(places: Places) -> tuple[IndexState, AppError | None]:
    """The state, or a copy of it that is whole, or an empty one."""
    wrong = "it was gone" if places.lance.exists() and not _has_content(places.state) else ""
    copies = sorted(places.backups.glob("state-*.db"), reverse=True)
    for copy in [*([] if wrong else [None]), *copies, None]:
        if wrong:
            _set_aside(places)
            if copy is not None:
                _restore(copy, places.state)
        try:
            state = IndexState(places.state)
        except AppError as exc:
            wrong = wrong or exc.detail
            continue
        found = state.verify()
        if not found:
            return state, read_error(places.state, wrong) if wrong else None
        wrong = wrong or found
        state.close()
    raise read_error(places.state, wrong)


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _set_aside(places: Places) -> None:
    for suffix in ("-wal", "-shm"):
        places.state.with_name(places.state.name + suffix).unlink(missing_ok=True)
    if places.state.exists():
        seal.move_away(places.state, places.quarantine)


def _restore(copy: Path, final: Path) -> None:
    tmp = final.with_name(f"{TMP_PREFIX}{final.name}")
    shutil.copyfile(copy, tmp)
    publish_file(tmp, final)


# ---------------------------------------------------------------- the store


def _judge(folder: Path, verdict: Verdict, state: IndexState) -> AppError | None:
    """What the seals say; files may be missing where a cleaning was cut short."""
    wrong = [f"changed: {name}" for name in verdict.changed]
    if not state.meta("cleaning"):
        wrong += [f"missing: {name}" for name in verdict.missing]
    return damaged(folder, ValueError("; ".join(wrong[:20]))) if wrong else None


def _opened(places: Places, state: IndexState, verdict: Verdict) -> ChunkWriter | None:
    """The table as it was acknowledged; None where there is none, or it does not answer."""
    sealed = state.sealed()
    # A cleaning changes no row: whatever commit is the newest after it will do, if all of it can be read.
    cleaning = bool(state.meta("cleaning"))
    numbers = [_number(name) for name in sealed if name.startswith(_VERSIONS) and name not in verdict.missing]
    if not numbers and not (cleaning and sealed):
        if not sealed:
            shutil.rmtree(places.lance, ignore_errors=True)
        return None
    (places.lance / f"{_VERSIONS}{seal.HINT}").unlink(missing_ok=True)
    try:
        store = _rolled_back(places.lance, 0 if cleaning else max(numbers), verdict.extra)
    except Exception:
        # The commits that nobody acknowledged are torn: without their files the last good one is the newest.
        seal.remove(places.lance, verdict.extra)
        try:
            store = ChunkWriter.open(places.lance)
        except AppError:
            return None
    if _probed(store, state.chunks(), deep=cleaning) is not None:
        store.close()
        return None
    if verdict.extra or verdict.missing or cleaning:
        if not cleaning:
            # The restored commit needs none of them, and until it is acknowledged the one before it is there as well.
            seal.remove(places.lance, verdict.extra)
            store.reopen()
        Opened(state, store, Health()).acknowledge(Change(meta={"cleaning": False}))
    return store


def _rolled_back(folder: Path, version: int, extra: tuple[str, ...]) -> ChunkWriter:
    store = ChunkWriter.open(folder)
    if extra and version:
        store.back_to(version)
    return store


def _number(name: str) -> int:
    """The version a manifest's name stands for: counted down from the largest, so that the newest comes first."""
    stem = os.path.basename(name).partition(".")[0]
    return _NEWEST - int(stem) if stem.isdigit() else -1


def _begin(places: Places, state: IndexState, dimension: int | None) -> ChunkWriter:
    """An empty store that is acknowledged."""
    shutil.rmtree(places.lance, ignore_errors=True)
    store = ChunkWriter.create(places.lance, dimension)
    Opened(state, store, Health()).acknowledge(Change(meta={"cleaning": False}))
    return store


def _probed(store: ChunkStore, rows: int, deep: bool = False) -> AppError | None:
    """Ask each leg once; `deep` reads every row. What does not answer, or has other rows than it should."""
    try:
        found = store.ask(lambda table: table.count_rows())
        if found != rows:
            return damaged(store.folder, ValueError(f"{found} rows, and {rows} were written"))
        store.by_words(["def"], 1)
        store.by_name_words(["get"], 1, Filters(kinds=("function",), tests=False))
        store.by_exact(["main"], 1, Filters(languages=("python",), paths=("a",), least_complexity=1))
        store.by_reference(["len"], 1)
        if store.dimension:
            store.by_vector([1.0] * store.dimension, 1)
        if deep:
            store.ask(lambda table: [len(batch) for batch in table.search().limit(1 << 31).to_batches(1024)])
    except AppError as exc:
        return exc
    return None
