"""The upkeep of a store, which LanceDB never does by itself: merge, index, clean, and say when that fails."""

from __future__ import annotations

import resource
import shutil
import time
from dataclasses import asdict, dataclass

from core.code_index import seal
from core.code_index.health import Opened
from core.code_index.state import Change
from core.code_index.store_writer import Statistics
from core.errors import AppError

SMALL_FRAGMENTS = 50
UNINDEXED_ROWS, UNINDEXED_SHARE = 1_000, 0.05
# The table of a small project is smaller than the names of its versions.
SLACK_BYTES = 4 << 20
GROWN, OVERGROWN = 2, 4
FAILURES = 3
WANTED_FILES = 8_192


@dataclass(frozen=True)
class Upkeep:
    """What was done and why; bytes of the folder before and after. `error` says that it failed."""

    reason: str
    before: int
    after: int
    seconds: float
    error: str = ""


def raise_file_limit() -> None:
    """Let this process open as many files as a store may need; 256 is usual on macOS."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(WANTED_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def due(statistics: Statistics, disk_bytes: int) -> str:
    """Why the store wants its upkeep, empty if it does not."""
    if statistics.small_fragments >= SMALL_FRAGMENTS:
        return f"{statistics.small_fragments} small fragments"
    if statistics.unindexed_rows >= max(UNINDEXED_ROWS, UNINDEXED_SHARE * statistics.rows):
        return f"{statistics.unindexed_rows} rows without index"
    if disk_bytes > GROWN * statistics.live_bytes + SLACK_BYTES:
        return f"{disk_bytes} bytes for {statistics.live_bytes}"
    return ""


def keep_up(opened: Opened, *, reason: str = "") -> tuple[Upkeep | None, AppError | None]:
    """Do what is due, or all of it for a `reason`; what was done, and what the user has to know.

    The third failure in a row marks the store for being made again at the next pass.
    """
    store, state = opened.store, opened.state
    before, statistics = seal.total(store.folder), store.statistics()
    reason = reason or due(statistics, before)
    if not reason:
        return None, None
    if shutil.disk_usage(store.folder).free < 2 * before:
        return None, AppError(
            "disk_nearly_full",
            "There is too little free space to tidy the code index.",
            hint=f"Free {2 * before / 1e9:.1f} GB; until then the index grows with each change.",
            detail=str(store.folder),
        )
    began = time.monotonic()
    try:
        store.optimise()
        opened.acknowledge(Change(meta={"cleaning": False}))
        # From here files may be gone that the state still names.
        state.set_meta(cleaning=True)
        store.clean()
        opened.acknowledge(Change(meta={"cleaning": False, "upkeep_failures": 0}))
    except Exception as exc:
        return _failed(opened, reason, before, began, exc)
    after = seal.total(store.folder)
    done = Upkeep(reason, before, after, time.monotonic() - began)
    overgrown = after > OVERGROWN * store.statistics().live_bytes + SLACK_BYTES
    state.set_meta(upkeep=asdict(done), rebuild=overgrown)
    return done, None


def _failed(
    opened: Opened, reason: str, before: int, began: float, exc: Exception
) -> tuple[Upkeep | None, AppError | None]:
    failures = int(opened.state.meta("upkeep_failures", 0)) + 1
    done = Upkeep(reason, before, seal.total(opened.store.folder), time.monotonic() - began, repr(exc)[:500])
    opened.state.set_meta(upkeep=asdict(done), upkeep_failures=failures % FAILURES, rebuild=failures >= FAILURES)
    opened.store.close()
    if failures < FAILURES:
        return done, None
    return done, AppError(
        "index_upkeep_failed",
        f"Tidying the code index has failed {failures} times in a row.",
        hint="It is made again from the project's files now; vectors that were made before are used again.",
        detail=f"{opened.store.folder}: {exc!r}"[:2000],
    )
