"""The code index at size: Python's own library by words, searches of 100,000 chunks of 768 numbers, 500 saves and 200
tidyings of 5,000 of 384.

BRIGHTRUN_BENCH_FILES names another folder to index. Each number stands beside one of the plain way in the same run.
"""

from __future__ import annotations

import os
import shutil
import sysconfig
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from core.cancel import CancelToken
from core.code_index import parallel
from core.code_index.columns import Columns
from core.code_index.health import Opened, Places, check, open_index
from core.code_index.index import Indexer
from core.code_index.maintain import due, keep_up
from core.code_index.records import Chunk, Filters, Kind, ParsedFile, digest
from core.code_index.rows import VECTOR, Row
from core.code_index.seal import total
from core.code_index.state import Change, FileState, Stage
from core.code_index.store import ChunkStore
from core.code_index.tools import usual
from tests.support.code_index import rows_of

SEARCHED, SAVED, PER_FILE = (100_000, 768), (5_000, 384), 20
SAVES, CYCLES, QUERIES = 500, 200, 60
WORDS = np.array(
    [f"{a}{b}" for a in ("get", "set", "load", "parse", "write", "find", "make", "check") for b in range(600)]
)


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def milliseconds(work: Callable[[], Any], times: int = QUERIES) -> tuple[float, float]:
    """(median, 95th percentile)."""
    work()
    found = sorted(1000 * seconds(work) for _ in range(times))
    return round(found[times // 2], 1), round(found[times * 95 // 100], 1)


# ---------------------------------------------------------------- a real folder


def library(folder: Path) -> dict[str, Any]:
    root = folder / "lib"
    source = os.environ.get("BRIGHTRUN_BENCH_FILES") or sysconfig.get_path("stdlib")
    ignored = shutil.ignore_patterns("site-packages", "__pycache__", "lib-dynload", "*.so", "*.a", "config-*", ".git")
    shutil.copytree(source, root, ignore=ignored, symlinks=True)

    def first(name: str) -> tuple[Indexer, Any]:
        indexer = Indexer(folder / name, root, None, folder / "vectors", usual())
        return indexer, indexer.refresh(CancelToken())

    cores, parallel.MOST_PROCESSES = parallel.MOST_PROCESSES, 1
    alone, plain = first("alone")
    alone.close()
    parallel.MOST_PROCESSES = cores
    indexer, report = first("index")
    path = next(path for path in sorted(root.rglob("decoder.py")) or sorted(root.rglob("*.py")))
    one = []
    for number in range(10):
        path.write_text(path.read_text() + f"\ndef added_{number}():\n    return {number}\n")
        one.append(indexer.refresh(CancelToken(), paths={path.relative_to(root).as_posix()}).words_s)
    again = indexer.refresh(CancelToken()).seconds
    closing = seconds(indexer.close)
    checked = check(Places(folder / "index", "lexical"))
    return {
        "library: files, chunks": (report.used, report.chunks),
        "library: files/s until found by words": round(report.used / report.words_s),
        "library: the same in one process": round(plain.used / plain.words_s),
        "library: seconds with its indexes merged": round(report.seconds, 1),
        "library: one changed file, seconds, median and worst": (round(sorted(one)[5], 3), round(max(one), 3)),
        "library: a pass that finds no change, seconds": round(again, 2),
        "library: closing, seconds": round(closing, 2),
        "library: looking at every byte, MB and seconds": (checked.checked_bytes >> 20, round(checked.seconds, 2)),
    }


# ---------------------------------------------------------------- at size


class Made:
    """Chunks by number, always the same."""

    def __init__(self, count: int, dimension: int) -> None:
        self.chance, self.count, self.dimension = np.random.default_rng(3), count, dimension

    def opened(self, folder: Path) -> Opened:
        """A store of all of them."""
        opened = open_index(Places(folder / f"made{self.count}", "bench"), self.dimension, {})
        for start in range(0, self.count, 10_000):
            rows = self.rows(start, min(self.count, start + 10_000))
            opened.store.add(Columns.of(rows))
            opened.acknowledge(Change(state_of(rows)))
        return opened

    def rows(self, start: int, end: int) -> list[Row]:
        vectors = self.chance.standard_normal((end - start, self.dimension), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        chunks = []
        for number in range(start, end):
            path, name = f"src/part{number // 4000}/file{number // PER_FILE}.py", f"fn_{number % 40_000}"
            text = " ".join(self.chance.choice(WORDS, 40))
            line = number % PER_FILE * 12 + 1
            chunks.append(Chunk(
                digest(str(number)), path, "python", Kind.METHOD if number % 3 else Kind.FUNCTION, name, f"Box.{name}",
                "Box", 1, 1, line, line + 10, number % 20, f"def {name}(self)", "", ("len",), number % 9 == 0, text,
            ))  # fmt: skip
        rows = rows_of(ParsedFile("", "python", chunks), "", str, lambda name: name.replace("_", " "))
        return [row | {VECTOR: vector.astype(np.float16)} for row, vector in zip(rows, vectors, strict=True)]


def state_of(rows: list[Row]) -> list[FileState]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["path"]] = counts.get(row["path"], 0) + 1
    return [FileState(path, 1, 1, "0", "python", n, n, n, Stage.EMBEDDED) for path, n in counts.items()]


def save(opened: Opened, made: Made, number: int) -> None:
    start = number * 7919 % (made.count // PER_FILE) * PER_FILE
    rows = made.rows(start, start + PER_FILE)
    opened.store.upsert(Columns.of(rows))
    opened.store.prune({rows[0]["path"]: {row["id"] for row in rows}})
    opened.acknowledge(Change(state_of(rows)))


def searches(
    store: ChunkStore, made: Made, filters: Filters | None = None, *, beside: bool = True
) -> tuple[float, float]:
    """All four legs, 50 rows each: beside each other, as a search asks them, or one after the other."""

    def ask() -> None:
        vector, words = made.chance.standard_normal(made.dimension), list(made.chance.choice(WORDS, 5))
        name, exact = ["fn", str(made.chance.integers(40_000))], [f"fn_{made.chance.integers(40_000)}"]
        legs: list[Callable[[], Any]] = [
            lambda: store.by_words(words, 50, filters), lambda: store.by_name_words(name, 50, filters),
            lambda: store.by_exact(exact, 50, filters), lambda: store.by_vector(vector, 50, filters),
        ]  # fmt: skip
        if not beside:
            for leg in legs:
                leg()
            return
        with ThreadPoolExecutor(len(legs)) as threads:
            for future in [threads.submit(leg) for leg in legs]:
                future.result()

    return milliseconds(ask)


def at_size(folder: Path) -> dict[str, Any]:
    made = Made(*SEARCHED)
    opened = made.opened(folder)
    optimised = seconds(lambda: keep_up(opened, reason="built"))
    reader = ChunkStore.open(opened.store.folder)
    flat = searches(reader, made)
    built = seconds(opened.store.index_vectors)
    opened.acknowledge(Change())
    reader.reopen()
    out = {
        "size: tidying after the build, seconds": round(optimised, 1),
        "size: index of the vectors, seconds": round(built, 1),
        "size: four legs, ms, median and p95": searches(reader, made),
        "size: four legs one after the other": searches(reader, made, beside=False),
        "size: four legs within a folder": searches(reader, made, Filters(paths=("src/part3/",))),
        "size: four legs within kind and tests": searches(reader, made, Filters(kinds=("function",), tests=False)),
        "size: four legs without an index of the vectors": flat,
    }
    opened.close()
    return out


def saves(folder: Path) -> dict[str, Any]:
    """Saves with the upkeep that is due, then tidying again and again."""
    made = Made(*SAVED)
    opened = made.opened(folder)
    keep_up(opened, reason="built")
    # The rows of a save are as large as those before, so this stays what the table needs.
    live = total(opened.store.folder)
    me, times, tidied = psutil.Process(), [], 0
    most_bytes = 0.0
    for number in range(SAVES):
        times.append(seconds(lambda n=number: save(opened, made, n)))  # type: ignore[misc]
        size, statistics = total(opened.store.folder), opened.store.statistics()
        most_bytes = max(most_bytes, size / live)
        if due(statistics, size):
            keep_up(opened)
            tidied += 1
    after = total(opened.store.folder) / live
    files = me.num_fds()
    cycles = []
    for number in range(CYCLES):
        save(opened, made, number)
        cycles.append(seconds(lambda: keep_up(opened, reason="bench")))
    opened.close()
    return {
        f"saves: {SAVES} of {PER_FILE} chunks, ms, median and p95": (
            round(1000 * sorted(times)[SAVES // 2]), round(1000 * sorted(times)[SAVES * 95 // 100]),
        ),
        "saves: store to live size, most and at the end": (round(most_bytes, 2), round(after, 2)),
        "saves: times it was tidied": tidied,
        f"upkeep: {CYCLES} cycles, seconds each": round(sum(cycles) / CYCLES, 2),
        "upkeep: descriptors before and after": (files, me.num_fds()),
    }  # fmt: skip


def run(folder: Path) -> dict[str, Any]:
    return library(folder) | at_size(folder) | saves(folder)
