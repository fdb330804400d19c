"""The window's side of the inference worker: one process, answers as signals, restarted after a crash."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import shiboken6
from PySide6.QtCore import QObject, QProcess, QTimer, Signal, Slot

from app.engine_calls import Call, engine_closed, ignore, log_only, nothing
from app.leaving import Leaving
from app.silence import SilenceWatch
from app.worker_process import set_up
from core import registries
from core.errors import AppError
from core.inference.cache_files import forget_files
from core.inference.engine import AdapterRef, EngineOptions, GenerateRequest
from core.workers import protocol
from core.workers.session import worker_command

log = logging.getLogger(__name__)
STOP_GRACE_MS = 5_000
BACKOFF_S = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)


class InferenceService(QObject):
    """Lives in the GUI thread and never blocks it but in `shutdown`. No process before the first command.

    `state_changed(str)`: off, waiting, starting, loading, ready, answering. Commands are answered in order, each by
    exactly one of the callbacks given with it, never after their owner is gone. `unload_reason` says why the memory was
    given back ("while training runs"), empty once it is loaded again. `gate(load)` says whether a base may be loaded
    now; where not, it is `waiting`, with `wait_words`, until `grant`. `memory_changed()`: `holds` are the bytes by
    part. `left()`: a worker that was unloaded has given its memory back. `rested()`: nothing is asked any more.
    """

    state_changed = Signal(str)
    memory_changed = Signal()
    left = Signal()
    rested = Signal()

    def __init__(
        self,
        log_path: Path,
        options: EngineOptions | None = None,
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
        self._backoff_s, self._stop_grace_ms, self._clock = backoff_s, stop_grace_ms, clock
        self.options = options or EngineOptions()
        self._log_path = log_path
        self._numbers = itertools.count(1)
        self._calls: dict[str, Call] = {}
        self._rest = b""
        self._process: QProcess | None = None
        self._leaving = Leaving(self.options.cache_folder, stop_grace_ms, self)
        self._leaving.gone.connect(self.left)
        self._loaded: tuple[str, str] | None = None
        self._crashes = 0
        self._not_before = 0.0
        self.state = "off"
        self.unload_reason = ""
        self.facts: Mapping[str, Any] = {}
        self.gate: Callable[[Call], bool] | None = None
        self.wait_words = ""
        self.holds: Mapping[str, int] = {}
        self._pinned: tuple[str, ...] = ()
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

    # ---------------------------------------------------------------- what pages call

    def load(
        self,
        owner: QObject,
        base: Path,
        done: Callable[[Mapping[str, Any]], None],
        failed: Callable[[AppError], None],
        engine: str = "mlx",
    ) -> None:
        """Make `base` the resident base; at once when it is."""
        self._drop_loads(owner)
        coming = any(call.kind == "load" for call in self._calls.values())
        if self._loaded == (engine, str(base)) and not coming:
            done(self.facts)
            return

        def on_done(facts: Mapping[str, Any]) -> None:
            self._loaded, self.facts = (engine, str(base)), facts
            if self._pinned:
                self._send(Call("pin", {"adapters": list(self._pinned)}, self, nothing, ignore))
            self._refresh()
            done(facts)

        def on_failed(error: AppError) -> None:
            self._loaded = None
            self._refresh()
            failed(error)

        self._send(Call("load", {"base": str(base), "engine": engine}, owner, on_done, on_failed))

    def generate(
        self,
        owner: QObject,
        request: GenerateRequest,
        *,
        text: Callable[[str], None],
        done: Callable[[Mapping[str, Any]], None],
        stopped: Callable[[], None],
        failed: Callable[[AppError], None],
        noticed: Callable[[AppError], None] | None = None,
    ) -> str:
        """Stream an answer; returns the id for `stop`. Call after `load`.

        `noticed(error)` comes first where the base answers because the adapter can't be used.
        """
        fields = {"request": request.to_json()}
        return self._send(Call("generate", fields, owner, done, failed, text, stopped, noticed))

    def keep_resident(self, count: int) -> None:
        """How many adapters stay in memory, from the next start of the process."""
        self.options = replace(self.options, max_resident=count)

    def pin(self, adapters: Sequence[str]) -> None:
        """Ids that stay in memory once they are loaded, also after the next start of the process."""
        changed, self._pinned = self._pinned != tuple(adapters), tuple(adapters)
        if changed and self._loaded is not None:
            self._send(Call("pin", {"adapters": list(self._pinned)}, self, nothing, ignore))

    def relieve(self, done: Callable[[Mapping[str, Any]], None] = nothing) -> None:
        """Memory is short: what nobody waits for is given back, after the answer under way; `done({"bytes": n})`."""
        if self._loaded is not None:
            self._send(Call("relieve", {}, self, done, ignore))

    def forget(self, chat: str) -> None:
        """A chat was deleted: what was read of it goes, in the worker's memory and on the disk."""
        folder = self.options.cache_folder
        if self._process is not None:
            # A worker that ends before it comes to it has kept the files.
            self._send(Call("forget", {"chat": chat}, self, nothing, lambda _error: forget_files(folder, chat)))
        else:
            forget_files(folder, chat)
        self._leaving.forget(chat)

    def prepare(
        self,
        owner: QObject,
        adapter: AdapterRef,
        failed: Callable[[AppError], None],
        done: Callable[[Mapping[str, Any]], None] = nothing,
    ) -> None:
        """A hint: make an adapter resident before it is asked for. Call after `load`."""
        self._send(Call("prepare", {"adapter": asdict(adapter)}, owner, done, failed))

    def status(self, owner: QObject, done: Callable[[Mapping[str, Any]], None]) -> None:
        """What is resident, with bytes; says nothing when no base is loaded, and never starts the process."""
        if self._loaded is not None:
            self._send(Call("status", {}, owner, done, ignore))

    def stop(self, ident: str) -> None:
        """Stop an answer under way; a worker that does not obey within 5 s is ended."""
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

    def withdraw(self, owner: QObject) -> None:
        """The owner does not want what was not begun yet, such as a base that waits at the gate."""
        if self._drop(lambda call: call.owner is owner):
            self._flush()

    def _drop_loads(self, owner: QObject) -> None:
        """Another base is wanted now than one that waits; what was asked of that one goes with it."""
        if any(call.owner is owner and call.kind == "load" and not call.written for call in self._calls.values()):
            self._drop(lambda call: call.owner is owner)

    def _drop(self, which: Callable[[Call], bool]) -> bool:
        gone = [ident for ident, call in self._calls.items() if not call.written and which(call)]
        dropped = [self._calls.pop(ident) for ident in gone]
        for call in dropped:
            call.failed(engine_closed())
        self._refresh()
        return bool(dropped)

    def waits(self, load: Call) -> bool:
        """Whether that load still waits at the gate."""
        return not load.granted and any(call is load for call in self._calls.values())

    def grant(self, load: Call) -> None:
        """Let a load that waits at the gate go on."""
        load.granted = True
        self._flush()
        self._refresh()

    def say_waiting(self, words: str) -> None:
        """What the load at the gate waits for."""
        self.wait_words = words
        if self.state == "waiting":
            self.state_changed.emit(self.state)

    @property
    def leaving(self) -> bool:
        """Whether a worker that was unloaded still has its memory."""
        return bool(self._leaving)

    @property
    def held_back_s(self) -> float:
        """Seconds until the process may be started again after crashes."""
        return max(0.0, self._not_before - self._clock())

    @property
    def has_base(self) -> bool:
        """Whether a base is loaded."""
        return self._loaded is not None

    @property
    def idle(self) -> bool:
        """Whether nothing was asked that is not answered yet."""
        return not self._calls

    def unload(self, reason: str = "") -> None:
        """End the worker in order and give its memory back, as before a training; never waits."""
        if self._process is not None:
            self.unload_reason = reason
        self._detach()

    def forget_reason(self) -> None:
        """What the memory was given back for is over."""
        if self.unload_reason:
            self.unload_reason = ""
            self.state_changed.emit(self.state)

    def shutdown(self, timeout_ms: int = 4000) -> None:
        """At exit: end the worker and wait for it, at most `timeout_ms`."""
        self._detach()
        self._leaving.wait(timeout_ms)

    def _detach(self) -> None:
        process, self._process, self._loaded = self._process, None, None
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
                call.failed(engine_closed())

    def _hold(self, holds: Mapping[str, int]) -> None:
        self.holds = holds
        self.memory_changed.emit()

    # ---------------------------------------------------------------- the process

    def _send(self, call: Call) -> str:
        ident = f"w{next(self._numbers)}"
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

    def _may_go(self, call: Call) -> bool:
        if call.kind == "load" and self.gate is not None and not call.granted:
            first, call.asked = not call.asked, True
            call.granted = first and self.gate(call)
            return call.granted
        return True

    def _hand_over(self, ident: str, call: Call) -> None:
        if self._process is not None:
            call.written = True
            self._process.write(protocol.encode(ident, call.kind, call.fields))
            self._watch.expect(self.pid)

    def _start(self) -> None:
        process = QProcess(self)
        set_up(process, self._log_path)
        process.readyReadStandardOutput.connect(self._read)
        process.finished.connect(self._on_finished)
        process.errorOccurred.connect(self._on_error)
        command = worker_command("inference")
        self._process, self._rest, self.unload_reason = process, b"", ""
        fields = {"registries": registries.snapshot(), "options": self.options.to_json()}
        configure = Call("configure", fields, self, nothing, log_only)
        # In front of what waits: the engine itself may be one that was registered.
        ident = f"w{next(self._numbers)}"
        self._calls = {ident: configure, **self._calls}
        process.start(command[0], command[1:])
        self._hand_over(ident, configure)

    @property
    def pid(self) -> int:
        """The worker's process id, 0 when there is none."""
        return int(self._process.processId()) if self._process else 0

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
                log.error("inference worker: %s", error.detail)

    def _take(self, message: Mapping[str, Any]) -> None:
        ident, kind = str(message.get("id", "")), message["type"]
        if kind == "memory":
            self._hold(dict(message["holds"]))
            return
        call = self._calls.get(ident)
        if call is None:
            return
        alive = shiboken6.isValid(call.owner)
        if kind in ("token", "progress", "notice"):
            if alive:
                call.tell(kind, message)
            return
        if kind not in protocol.FINAL:
            log.error("inference worker: the unknown event %r", kind)
            return
        if call.kind == "generate":
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
        process, self._process, self._loaded = self._process, None, None
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
            f"The model's process {what}.",
            hint="The partial answer is kept. Ask again; the process restarts.",
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
        elif "generate" in kinds:
            state = "answering"
        elif "load" in kinds:
            state = "loading"
        else:
            state = "starting" if "configure" in kinds else "ready"
        if not self._calls:
            self._watch.rest()
            self.rested.emit()
        if state != self.state:
            self.state = state
            self.state_changed.emit(state)
