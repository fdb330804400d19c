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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from core.cancel import CancelToken
from core.code_index.reading import Prepared, Tools, prepare
from core.code_index.records import FoundFile

# Fewer are read before the first process has started; where so many files were met, more are likely there.
WORTH_BYTES, WORTH_FILES = 4 << 20, 256
MOST_PROCESSES = 6
TASK_FILES, TASK_BYTES = 16, 256 << 10
# Tasks a process that are read or wait to be written.
AHEAD = 10
# For a file; for a process to begin.
LIMIT_S, BEGIN_S = 30.0, 60.0
BEAT_S = 0.2
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
    """A process that reads, and the pipe to it; where it has ended, another begins when it is asked next."""

    def __init__(self, tools: bytes, root: Path, soft_limit: int) -> None:
        self._arguments = (tools, root, soft_limit)
        self._guard, self._over, self._late = threading.Lock(), False, False
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
            self._process, self._pipe, self._greeted, self._late = process, ours, False, False

    def ask(self, jobs: Sequence[Job], limit_s: float) -> list[Prepared]:
        """Wait for the answer. Raises TimeoutError, _EndedError, MemoryError, and _NotBegunError after two attempts."""
        if not (self._is_ready() or self._is_ready()):
            raise _NotBegunError
        try:
            answer = self._answer(limit_s, jobs)
        except (OSError, EOFError) as exc:
            self._pipe.close()
            self.end()
            raise TimeoutError if self._late else _EndedError from exc
        if isinstance(answer, MemoryError):
            raise answer
        return answer  # type: ignore[no-any-return]

    def _is_ready(self) -> bool:
        self._greeted = self._greeted and self._process.is_alive()
        try:
            if not self._process.is_alive():
                self._begin()
            if not self._greeted:
                self._greeted = self._answer(BEGIN_S) is None
        except (OSError, EOFError):
            self.end()
        return self._greeted

    def _answer(self, limit_s: float, jobs: Sequence[Job] | None = None) -> Any:
        # Not `poll`, for which the first byte of an answer is enough.
        timer = threading.Timer(limit_s, self._end_late)
        timer.start()
        try:
            if jobs is not None:
                self._pipe.send(jobs)
            return self._pipe.recv()
        finally:
            timer.cancel()
            # Begun already, it would end the process in the midst of the next task.
            timer.join()

    def _end_late(self) -> None:
        self._late = True
        self.end()

    def end(self, *, for_ever: bool = False) -> None:
        """Kill the process and wait for its end; `for_ever` lets no other begin."""
        with self._guard:
            self._over = self._over or for_ever
            self._process.kill()
            self._process.join()


class Readers:
    """Reads files with `tools`, which has to be picklable apart from its `scan` and `look`; see `ready` and `begin`."""

    def __init__(self, tools: bytes, root: Path, soft_limit: int, processes: int) -> None:
        self._left: Iterator[Sequence[Job]] = iter(())
        self._waiting: deque[tuple[Sequence[Job], Future[list[Prepared]]]] = deque()
        self._readers = list[_Reader]()
        # Those that do nothing; None where no process can begin any more.
        self._free = queue.SimpleQueue[_Reader | None]()
        # How many can begin.
        self._guard, self._able = threading.Lock(), processes
        try:
            for _ in range(processes):
                self._readers.append(_Reader(tools, root, soft_limit))
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
            try:
                readers.read(jobs)
            except BaseException:
                readers.close()
                raise
        return readers

    def read(self, jobs: Sequence[Job]) -> None:
        """Begin with these jobs; asked once."""
        self._left = _tasks(jobs)
        self._top_up()

    def results(self, here: Callable[[Job], Prepared], token: CancelToken) -> Iterator[Prepared]:
        """Each file as it was read, in the order of the jobs; waits for none once `token` is cancelled.

        `here` reads a file in this process, where no other can begin. Raises MemoryError.
        """
        while self._waiting:
            task, future = self._waiting.popleft()
            self._top_up()
            if not _is_done(future, token):
                return
            try:
                yield from future.result()
            except _NotBegunError:
                yield from map(here, task)
            except (_EndedError, TimeoutError):
                # One of them did it.
                for job in task:
                    alone = self._pool.submit(self._ask, [job], LIMIT_S)
                    if not _is_done(alone, token):
                        return
                    yield _alone(job, alone)

    def _top_up(self) -> None:
        while len(self._waiting) < AHEAD * len(self._readers) and (task := next(self._left, None)) is not None:
            self._waiting.append((task, self._pool.submit(self._ask, task, 2 * LIMIT_S)))

    def _ask(self, task: Sequence[Job], limit_s: float) -> list[Prepared]:
        while (reader := self._free.get()) is not None:
            try:
                answer = reader.ask(task, limit_s)
            except _NotBegunError:
                self._leave_out()
            except BaseException:
                self._free.put(reader)
                raise
            else:
                self._free.put(reader)
                return answer
        self._free.put(None)
        raise _NotBegunError

    def _leave_out(self) -> None:
        with self._guard:
            self._able -= 1
            if not self._able:
                self._free.put(None)

    def close(self) -> None:
        """End the processes, also those that hang."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._end()
        self._pool.shutdown()

    def _end(self) -> None:
        for reader in self._readers:
            reader.end(for_ever=True)


def _is_done(future: Future[Any], token: CancelToken) -> bool:
    """Wait for it, or until the token is cancelled."""
    while not wait_for((future,), BEAT_S).done:
        if token.cancelled:
            return False
    return True


def _alone(job: Job, answer: Future[list[Prepared]]) -> Prepared:
    """What became of a file that was read alone, since it or one beside it had ended a process."""
    try:
        return answer.result()[0]
    except TimeoutError:
        return Prepared(job[0], failed=f"reading it took more than {LIMIT_S:.0f} s")
    except _EndedError:
        return Prepared(job[0], failed="reading it ended the process")
    except _NotBegunError:
        return Prepared(job[0], failed="no process could begin to read it, after one had ended")


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
