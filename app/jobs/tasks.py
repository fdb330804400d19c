"""Short work off the GUI thread: a wide lane for reads, a lane of one thread for writes."""

from __future__ import annotations

import contextlib
import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import shiboken6
from PySide6.QtCore import QObject, Signal, SignalInstance, Slot

from core.errors import Cancelled

log = logging.getLogger(__name__)
T = TypeVar("T")
READ_THREADS = 3


class _Work:
    """One call on its way to a lane."""

    def __init__(self, ident: int, fn: Callable[[], Any]) -> None:
        self.ident = ident
        self.fn: Callable[[], Any] | None = fn


class _Lane:
    """Threads over one queue, first in first out; `on_exit` runs on each thread before it ends."""

    def __init__(self, name: str, threads: int, finished: SignalInstance, on_exit: Callable[[], None] | None) -> None:
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._finished = finished
        self._on_exit = on_exit
        self._threads = [
            threading.Thread(target=self._loop, name=f"{name}-{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, work: _Work) -> None:
        self._queue.put(work)

    def close(self) -> None:
        for _ in self._threads:
            self._queue.put(None)

    def join(self, until: float) -> bool:
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _loop(self) -> None:
        while (work := self._queue.get()) is not None:
            self._do(work)
            work = None
        if self._on_exit is not None:
            with contextlib.suppress(Exception):
                self._on_exit()

    def _do(self, work: _Work) -> None:
        result, error, fn = None, None, work.fn
        try:
            assert fn is not None
            result = fn()
        except BaseException as exc:
            error = exc
        # The GUI thread must drop the last reference: a widget caught in `fn` may not die on this thread.
        fn = work.fn = None
        with contextlib.suppress(RuntimeError):
            self._finished.emit(work.ident, result, error)
        # An exception's traceback names this frame, and this frame the exception: break the circle here.
        result = error = None


@dataclass
class _Pending:
    owner: QObject
    fn: Callable[[], Any]
    done: Callable[[Any], None] | None
    failed: Callable[[Exception], None] | None
    forgotten: bool = False


class TaskRunner(QObject):
    """Lives in the GUI thread. Callbacks run there too, never after their owner was deleted."""

    error = Signal(object, object)
    _finished = Signal(int, object, object)

    def __init__(self, parent: QObject | None = None, *, on_thread_exit: Callable[[], None] | None = None) -> None:
        super().__init__(parent)
        self._numbers = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        self._finished.connect(self._on_finished)
        self._reads = _Lane("read", READ_THREADS, self._finished, on_thread_exit)
        self._writes = _Lane("write", 1, self._finished, on_thread_exit)
        self._closed = False

    def run(
        self,
        owner: QObject,
        fn: Callable[[], T],
        done: Callable[[T], None] | None = None,
        failed: Callable[[Exception], None] | None = None,
        *,
        serial: bool = False,
    ) -> int:
        """Run `fn` on the read lane, or on the one-thread write lane; returns a handle for `forget`."""
        ident = next(self._numbers)
        if self._closed:
            log.debug("task %d refused after shutdown", ident)
            return ident
        self._pending[ident] = _Pending(owner, fn, done, failed)
        (self._writes if serial else self._reads).put(_Work(ident, fn))
        return ident

    def forget(self, handle: int) -> None:
        """Don't call back for this task; the work itself continues."""
        if handle in self._pending:
            self._pending[handle].forgotten = True

    @property
    def busy(self) -> bool:
        """Whether anything is queued or running."""
        return bool(self._pending)

    @Slot(int, object, object)
    def _on_finished(self, ident: int, result: Any, error: BaseException | None) -> None:
        pending = self._pending.pop(ident, None)
        if pending is None or pending.forgotten or not shiboken6.isValid(pending.owner):
            if isinstance(error, Exception) and not isinstance(error, Cancelled):
                log.warning("a task nobody waits for failed", exc_info=error)
            return
        if error is None:
            if pending.done is not None:
                pending.done(result)
        elif isinstance(error, Cancelled):
            return
        elif not isinstance(error, Exception):
            raise error
        elif pending.failed is not None:
            pending.failed(error)
        else:
            self.error.emit(error, pending.owner)

    def shutdown(self, timeout_ms: int = 5000) -> bool:
        """Let what is queued end, end the threads, wait for at most `timeout_ms`; nothing is called back."""
        if self._closed:
            return True
        self._closed = True
        for pending in self._pending.values():
            pending.forgotten = True
        until = time.monotonic() + timeout_ms / 1000
        self._reads.close()
        self._writes.close()
        ended = self._writes.join(until) & self._reads.join(until)
        if not ended:
            log.warning("background threads did not end within %d ms", timeout_ms)
        return ended
