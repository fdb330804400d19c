"""The window's side of a long-lived worker: one process, asked with calls, restarted after a crash."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import shiboken6
from PySide6.QtCore import QObject, QProcess, QTimer, Signal, Slot

from app.engine_calls import Call, log_only, nothing
from app.leaving import Leaving
from app.silence import SilenceWatch
from app.worker_process import set_up
from core.errors import AppError
from core.lanes import Lane
from core.workers import protocol
from core.workers.session import worker_command

log = logging.getLogger(__name__)
STOP_GRACE_MS = 5_000
BACKOFF_S = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)


class WorkerService(QObject):
    """Lives in the GUI thread and never blocks it but in `shutdown`. No process before the first command.

    Each command is answered by exactly one of the callbacks given with it, never after their owner is gone. `state` is
    off, starting, ready or what a subclass names. `memory_changed()`: `holds` are the bytes by part. `left()`: a worker
    that was told to end has given its memory back. `rested()`: nothing is asked any more.
    """

    state_changed = Signal(str)
    memory_changed = Signal()
    left = Signal()
    rested = Signal()

    WORKER: ClassVar[str]
    LANE: ClassVar[Lane | None] = None
    # Who it is and what to do when it ended, as the user is told.
    WHO: ClassVar[str]
    AGAIN: ClassVar[str]

    def __init__(
        self,
        log_path: Path,
        leaving: Leaving,
        parent: QObject | None = None,
        *,
        backoff_s: Sequence[float] = BACKOFF_S,
        stop_grace_ms: int = STOP_GRACE_MS,
        clock: Callable[[], float] = time.monotonic,
        watch: SilenceWatch | None = None,
    ) -> None:
        """`backoff_s` is the delay of the start after n crashes in a row; `clock` is read in seconds.

        `watch` says when the worker hangs: it is killed then, as after a crash.
        """
        super().__init__(parent)
        self._backoff_s, self._clock = backoff_s, clock
        self._log_path = log_path
        self._numbers = itertools.count(1)
        self._calls: dict[str, Call] = {}
        self._rest = b""
        self._process: QProcess | None = None
        self._leaving = leaving
        self._leaving.setParent(self)
        self._leaving.gone.connect(self.left)
        self._crashes = 0
        self._not_before = 0.0
        self._over = False
        self.state = "off"
        self.holds: Mapping[str, int] = {}
        self._killer = self._timer(self._kill)
        self._killer.setInterval(stop_grace_ms)
        self._restart = self._timer(self._flush)
        self._hung = False
        self._watch = watch or SilenceWatch(self)
        self._watch.setParent(self)
        self._watch.hung.connect(self._on_hung)

    def _timer(self, slot: Callable[[], None]) -> QTimer:
        out = QTimer(self)
        out.setSingleShot(True)
        out.timeout.connect(slot)
        return out

    # What a kind of worker says for itself

    def _configuration(self) -> Mapping[str, Any]:
        """The fields of the first command of a new process."""
        raise NotImplementedError

    def _state_of(self, kinds: set[str]) -> str:
        """The state while a process runs that was asked these kinds of commands."""
        return "starting" if "configure" in kinds else "ready"

    def _may_go(self, _call: Call) -> bool:
        """Whether a call may be handed over now; those behind it wait with it."""
        return True

    def _heard(self, kind: str, message: Mapping[str, Any]) -> None:
        """An event that belongs to no call."""

    def _lost(self) -> None:
        """The process is gone, and what it had loaded with it."""

    def _proves_health(self, call: Call) -> bool:
        """Whether the end of that call says that the process works, so that crashes before it count no more."""
        return call.kind != "configure"

    # What is the same for all

    def stop(self, ident: str) -> None:
        """Stop a call under way; a worker that does not obey within 5 s is ended."""
        call = self._calls.get(ident)
        if call is None:
            return
        if self._process is None or not call.written:
            self._forget(ident)
            if call.stopped is not None:
                call.stopped()
            return
        call.stopping = True
        self._process.write(protocol.encode(ident, "stop", {}))
        self._killer.start()

    @property
    def leaving(self) -> bool:
        """Whether a worker that was told to end still has its memory."""
        return bool(self._leaving)

    @property
    def held_back_s(self) -> float:
        """Seconds until the process may be started again after crashes."""
        return max(0.0, self._not_before - self._clock())

    @property
    def idle(self) -> bool:
        """Whether nothing was asked that is not answered yet."""
        return not self._calls

    @property
    def pid(self) -> int:
        """The worker's process id, 0 when there is none."""
        return int(self._process.processId()) if self._process else 0

    def shutdown(self, timeout_ms: int = 4000) -> None:
        """At exit: end the worker and wait for it, at most `timeout_ms`. What is asked from then on is refused."""
        self._over = True
        self._detach()
        self._leaving.wait(timeout_ms)

    def _closed(self) -> AppError:
        """What calls under way get when the worker is ended in order."""
        raise NotImplementedError

    def _detach(self) -> None:
        process, self._process = self._process, None
        self._lost()
        calls, self._calls = list(self._calls.values()), {}
        self._killer.stop()
        self._restart.stop()
        if process is not None:
            process.readyReadStandardOutput.disconnect(self._read)
            process.finished.disconnect(self._on_finished)
            process.errorOccurred.disconnect(self._on_error)
            self._leaving.add(process)
        self._hold({})
        self._refresh()
        for call in calls:
            if shiboken6.isValid(call.owner):
                call.failed(self._closed())

    def _hold(self, holds: Mapping[str, int]) -> None:
        self.holds = holds
        self.memory_changed.emit()

    # The process

    def _send(self, call: Call) -> str:
        ident = f"w{next(self._numbers)}"
        if self._over:
            call.failed(self._closed())
            return ident
        self._calls[ident] = call
        wait = self.held_back_s
        if self._process is not None or wait <= 0:
            self._flush()
        elif not self._restart.isActive():
            # After crashes the next start is delayed a little longer each time.
            self._restart.start(round(wait * 1000) + 1)
        self._refresh()
        return ident

    @Slot()
    def _flush(self) -> None:
        for ident, call in list(self._calls.items()):
            if call.written or ident not in self._calls:
                continue
            if not self._may_go(call):
                return
            if self._process is None:
                self._start()
            self._hand_over(ident, call)

    def _hand_over(self, ident: str, call: Call) -> None:
        if self._process is not None:
            call.written = True
            self._process.write(protocol.encode(ident, call.kind, call.fields))
            self._watch.expect(self.pid)

    def _start(self) -> None:
        process = QProcess(self)
        set_up(process, self._log_path, self.LANE)
        process.readyReadStandardOutput.connect(self._read)
        process.finished.connect(self._on_finished)
        process.errorOccurred.connect(self._on_error)
        command = worker_command(self.WORKER)
        self._process, self._rest = process, b""
        configure = Call("configure", self._configuration(), self, nothing, log_only)
        # In front of what waits: what that needs may be named here.
        ident = f"w{next(self._numbers)}"
        self._calls = {ident: configure, **self._calls}
        process.start(command[0], command[1:])
        self._hand_over(ident, configure)

    @Slot()
    def _read(self) -> None:
        if self._process is None:
            return
        self._watch.heard()
        data = self._rest + bytes(self._process.readAllStandardOutput().data())
        *lines, self._rest = data.split(b"\n")
        for line in lines:
            try:
                self._take(protocol.decode(line))
            except AppError as error:
                log.error("%s worker: %s", self.WORKER, error.detail)

    def _take(self, message: Mapping[str, Any]) -> None:
        ident, kind = str(message.get("id", "")), message["type"]
        if kind == "memory" and "holds" in message:
            self._hold(dict(message["holds"]))
            return
        call = self._calls.get(ident)
        if call is None:
            self._heard(kind, message)
            return
        alive = shiboken6.isValid(call.owner)
        if kind in ("token", "progress", "notice"):
            if alive:
                call.tell(kind, message)
            return
        if kind not in protocol.FINAL:
            log.error("%s worker: the unknown event %r", self.WORKER, kind)
            return
        if self._proves_health(call):
            self._crashes = 0
        self._calls.pop(ident, None)
        try:
            if alive:
                call.end(kind, message)
        finally:
            # After it: who is told that an answer is done may ask the next thing, and nothing was idle between.
            self._after_call()

    def _forget(self, ident: str) -> None:
        self._calls.pop(ident, None)
        self._after_call()

    def _after_call(self) -> None:
        if not any(call.stopping for call in self._calls.values()):
            self._killer.stop()
        self._refresh()

    @Slot()
    def _on_hung(self) -> None:
        self._hung = True
        self._kill()

    @Slot()
    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    @Slot(QProcess.ProcessError)
    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._ended("it could not be started")

    @Slot(int, QProcess.ExitStatus)
    def _on_finished(self, code: int, status: QProcess.ExitStatus) -> None:
        self._read()
        self._ended(f"signal {code}" if status == QProcess.ExitStatus.CrashExit else f"exit code {code}")

    def _ended(self, how: str) -> None:
        process, self._process = self._process, None
        self._lost()
        self._killer.stop()
        if process is not None:
            process.deleteLater()
        calls, self._calls = list(self._calls.values()), {}
        if any(not call.stopping for call in calls):
            self._not_before = self._clock() + self._backoff_s[min(self._crashes, len(self._backoff_s) - 1)]
            self._crashes += 1
        self._hold({})
        self._refresh()
        hung, self._hung = self._hung, False
        what = "stopped responding and was ended" if hung else f"ended unexpectedly ({how})"
        error = AppError(
            "worker_hung" if hung else "worker_crashed",
            f"{self.WHO} {what}.",
            hint=self.AGAIN,
            detail=f"See {self._log_path}",
        )
        for call in calls:
            if not shiboken6.isValid(call.owner):
                continue
            if call.stopping and call.stopped is not None:
                call.stopped()
            else:
                call.failed(error)

    def _refresh(self) -> None:
        kinds = {call.kind for call in self._calls.values()}
        if any(call.asked and not call.granted for call in self._calls.values()):
            state = "waiting"
        elif self._process is None:
            state = "starting" if kinds else "off"
        else:
            state = self._state_of(kinds)
        if not self._calls:
            self._watch.rest()
            self.rested.emit()
        if state != self.state:
            self.state = state
            self.state_changed.emit(state)
