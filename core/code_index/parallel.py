"""Many files read at once, each core its own process: parsing holds the interpreter's lock.

A file that ends its process, or takes too long, is found out and fails alone.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import pickle
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from core.code_index.reading import Prepared, Tools, prepare
from core.code_index.records import FoundFile

# Fewer are read before the first process has started; where so many files were met, more are likely there.
WORTH_BYTES, WORTH_FILES = 4 << 20, 256
MOST_PROCESSES = 6
TASK_FILES, TASK_BYTES = 16, 256 << 10
# Tasks a process that are read or wait to be written.
AHEAD = 4
LIMIT_S = 30.0
# A reader makes hundreds of thousands of objects and hardly a circle: looking for circles took an eighth of its time.
COLLECT_EVERY = 100_000

Job = tuple[FoundFile, str]
_work: dict[str, Any] = {}


def _unused(*_: object) -> Any:
    raise AssertionError("not in this process")


def _begin(tools: bytes, root: Path, soft_limit: int) -> None:
    _work.update(tools=pickle.loads(tools), root=root, limit=soft_limit)
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A process of a pool whose parent was killed waits for its next task for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _begun() -> None:
    """Asked first, so that it is known whether a process can begin at all."""


def _several(jobs: Sequence[Job]) -> list[Prepared]:
    return [prepare(_work["tools"], _work["root"], file, known, _work["limit"]) for file, known in jobs]


class Readers:
    """Reads files with `tools`, which has to be picklable apart from its `scan` and `look`; see `ready` and `begin`."""

    def __init__(self, tools: bytes, root: Path, soft_limit: int, processes: int) -> None:
        self._start = (tools, root, soft_limit)
        self._processes, self._limit_s = processes, LIMIT_S
        self._left: Iterator[Sequence[Job]] = iter(())
        self._waiting: deque[tuple[Sequence[Job], Future[list[Prepared]]]] = deque()
        self._pool = self._new()
        # Each starts a process.
        self._first, *_ = [self._pool.submit(_begun) for _ in range(processes)]

    @classmethod
    def ready(cls, tools: Tools, root: Path, soft_limit: int) -> Readers | None:
        """Processes that start now and wait for `read`; None where there is one core only, or none can start."""
        processes = min(MOST_PROCESSES, os.cpu_count() or 1)
        if processes < 2:
            return None
        try:
            packed = pickle.dumps(replace(tools, scan=_unused, look=_unused))
            return cls(packed, root, soft_limit, processes)
        except (pickle.PicklingError, AttributeError, TypeError, OSError):
            return None

    @classmethod
    def begin(cls, tools: Tools, root: Path, soft_limit: int, jobs: Sequence[Job]) -> Readers | None:
        """They begin to read these jobs where there is enough and more than one core, else None."""
        worth = sum(file.size for file, _ in jobs) >= WORTH_BYTES
        readers = cls.ready(tools, root, soft_limit) if worth else None
        if readers is not None:
            readers.read(jobs)
        return readers

    def read(self, jobs: Sequence[Job]) -> None:
        """Begin with these jobs; asked once."""
        self._left = _tasks(jobs)
        self._top_up()

    def _new(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._processes, mp_context=context, initializer=_begin, initargs=self._start)

    def results(self) -> Iterator[Prepared]:
        """Each file as it was read, in the order of the jobs."""
        while self._waiting:
            task, future = self._waiting.popleft()
            self._top_up()
            yield from self._result(task, future)

    def _top_up(self) -> None:
        while len(self._waiting) < AHEAD * self._processes and (task := next(self._left, None)) is not None:
            self._waiting.append((task, self._submit(task)))

    def _submit(self, task: Sequence[Job]) -> Future[list[Prepared]]:
        try:
            return self._pool.submit(_several, task)
        except BrokenProcessPool as exc:
            broken: Future[list[Prepared]] = Future()
            broken.set_exception(exc)
            return broken

    def _result(self, task: Sequence[Job], future: Future[list[Prepared]]) -> Iterator[Prepared]:
        with contextlib.suppress(TimeoutError, BrokenProcessPool):
            if not future.cancelled():
                yield from future.result(self._limit_s * 2)
                return
        # One of them did it; the tasks behind it went with the pool and come here too.
        for job in task:
            yield self._alone(job)

    def _alone(self, job: Job) -> Prepared:
        if self._first.cancelled() or self._first.exception(self._limit_s) is not None:
            # No process can begin here, which is not the file's fault.
            return prepare(pickle.loads(self._start[0]), self._start[1], *job, self._start[2])
        for _ in range(2):
            try:
                return self._pool.submit(_several, [job]).result(self._limit_s)[0]
            except TimeoutError:
                self._restart()
                return Prepared(job[0], failed=f"reading it took more than {self._limit_s:.0f} s")
            except BrokenProcessPool:
                # The first time it may have been broken by another.
                self._restart()
        return Prepared(job[0], failed="reading it ended the process")

    def _restart(self) -> None:
        self.close()
        self._pool = self._new()

    def close(self) -> None:
        """End the processes, also those that hang."""
        processes = list((self._pool._processes or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()
        for process in processes:
            process.join()


def _tasks(jobs: Sequence[Job]) -> Iterator[Sequence[Job]]:
    """The jobs in groups that are worth the way."""
    task: list[Job] = []
    size = 0
    for job in jobs:
        task.append(job)
        size += job[0].size
        if len(task) == TASK_FILES or size >= TASK_BYTES:
            yield task
            task, size = [], 0
    if task:
        yield task
