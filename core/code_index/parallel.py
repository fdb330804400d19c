"""Many files read at once, each core its own process: parsing holds the interpreter's lock.

A file that ends its process, or takes too long, is found out and fails alone. Each process has its own pipe, whose end
says which one it was: a ProcessPoolExecutor waits for ever for the rest of a result whose process has ended.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import queue
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing.connection import Connection, wait
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


class _EndedError(Exception):
    """The process ended before it had answered."""


class _NotBegunError(Exception):
    """No process can begin here, which is not the file's fault."""


def _unused(*_: object) -> Any:
    raise AssertionError("not in this process")


# ---------------------------------------------------------------- in the process that reads


def _serve(pipe: Connection, tools: bytes, root: Path, soft_limit: int) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    found = pickle.loads(tools)
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY)
    pipe.send(None)
    while True:
        pipe.send(_several(found, root, soft_limit, pipe.recv()))


def _end_with_parent() -> None:
    # Also in the middle of a file that is never read to its end.
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _several(tools: Tools, root: Path, soft_limit: int, jobs: Sequence[Job]) -> list[Prepared] | MemoryError:
    try:
        return [prepare(tools, root, file, known, soft_limit) for file, known in jobs]
    except MemoryError as exc:
        return exc


# ---------------------------------------------------------------- in the process that writes


class _Reader:
    """A process that reads, and the pipe to it; it is begun again when it is asked after its end."""

    def __init__(self, tools: bytes, root: Path, soft_limit: int) -> None:
        self._arguments = (tools, root, soft_limit)
        self._guard, self._over = threading.Lock(), False
        self._begin()

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        with self._guard:
            if self._over:
                raise _NotBegunError
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, *self._arguments), daemon=True)
            process.start()
            # Else its end would not be heard.
            theirs.close()
            self._process, self._pipe, self._greeted = process, ours, False

    def ask(self, jobs: Sequence[Job], limit_s: float) -> list[Prepared]:
        """Wait for the answer. Raises TimeoutError and _EndedError, after which it has no process,
        _NotBegunError, ever after too, and MemoryError."""
        try:
            if not self._process.is_alive():
                self._begin()
            if not self._greeted:
                self._greeted = self._heard(LIMIT_S) is None
        except (OSError, EOFError) as exc:
            self.end(for_ever=True)
            raise _NotBegunError from exc
        try:
            self._pipe.send(jobs)
            answer = self._heard(limit_s)
        except TimeoutError:
            self.end()
            raise
        except (OSError, EOFError) as exc:
            self.end()
            raise _EndedError from exc
        if isinstance(answer, MemoryError):
            raise answer
        return answer  # type: ignore[no-any-return]

    def _heard(self, limit_s: float) -> Any:
        if not self._pipe.poll(limit_s):
            raise TimeoutError
        return self._pipe.recv()

    def end(self, *, for_ever: bool = False) -> None:
        """End the process, also one that hangs."""
        with self._guard:
            self._over = self._over or for_ever
            self._process.kill()
            self._process.join()


class Readers:
    """Reads files with `tools`, which has to be picklable apart from its `scan` and `look`; see `ready` and `begin`."""

    def __init__(self, tools: bytes, root: Path, soft_limit: int, processes: int) -> None:
        self._here = (tools, root, soft_limit)
        self._left: Iterator[Sequence[Job]] = iter(())
        self._waiting: deque[tuple[Sequence[Job], Future[list[Prepared]]]] = deque()
        self._readers, self._free = list[_Reader](), queue.SimpleQueue[_Reader]()
        try:
            for _ in range(processes):
                self._readers.append(_Reader(*self._here))
        except BaseException:
            self._end()
            raise
        for reader in self._readers:
            self._free.put(reader)
        # A thread for each waits for its answer.
        self._pool = ThreadPoolExecutor(processes, "code-reader")

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

    def results(self) -> Iterator[Prepared]:
        """Each file as it was read, in the order of the jobs. Raises MemoryError."""
        while self._waiting:
            task, future = self._waiting.popleft()
            self._top_up()
            try:
                yield from future.result()
            except (_EndedError, _NotBegunError, TimeoutError):
                # One of them did it.
                yield from map(self._alone, task)

    def _top_up(self) -> None:
        while len(self._waiting) < AHEAD * len(self._readers) and (task := next(self._left, None)) is not None:
            self._waiting.append((task, self._pool.submit(self._ask, task, 2 * LIMIT_S)))

    def _ask(self, task: Sequence[Job], limit_s: float) -> list[Prepared]:
        reader = self._free.get()
        try:
            return reader.ask(task, limit_s)
        finally:
            self._free.put(reader)

    def _alone(self, job: Job) -> Prepared:
        try:
            return self._pool.submit(self._ask, [job], LIMIT_S).result()[0]
        except TimeoutError:
            return Prepared(job[0], failed=f"reading it took more than {LIMIT_S:.0f} s")
        except _EndedError:
            return Prepared(job[0], failed="reading it ended the process")
        except _NotBegunError:
            tools, root, soft_limit = self._here
            return prepare(pickle.loads(tools), root, *job, soft_limit)

    def close(self) -> None:
        """End the processes, also those that hang."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._end()
        self._pool.shutdown()

    def _end(self) -> None:
        for reader in self._readers:
            reader.end(for_ever=True)


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
