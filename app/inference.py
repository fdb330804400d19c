"""The window's side of the inference worker: one process, answers as signals, restarted after a crash."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject

from app.engine_calls import Call, engine_closed, ignore, nothing
from app.leaving import Leaving
from app.silence import SilenceWatch
from app.worker_service import BACKOFF_S, STOP_GRACE_MS, WorkerService
from core import registries
from core.errors import AppError
from core.inference.cache_files import forget_files
from core.inference.engine import AdapterRef, EngineOptions, GenerateRequest
from core.models.served import ENGINE as SERVED
from core.workers import protocol


class InferenceService(WorkerService):
    """States: off, waiting, starting, loading, ready, answering. Commands are answered in order.

    `unload_reason` says why the memory was given back ("while training runs"), empty once it is loaded again.
    `gate(load)` says whether a base may be loaded now; where not, it is `waiting`, with `wait_words`, until `grant`.
    """

    WORKER = "inference"
    WHO = "The model's process"
    AGAIN = "The partial answer is kept. Ask again; the process restarts."

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
        self.options = options or EngineOptions()
        leaving = Leaving(self.options.cache_folder, stop_grace_ms)
        super().__init__(
            log_path, leaving, parent, backoff_s=backoff_s, stop_grace_ms=stop_grace_ms, clock=clock, watch=watch
        )
        self._loaded: tuple[str, str] | None = None
        self.unload_reason = ""
        self.facts: Mapping[str, Any] = {}
        self.gate: Callable[[Call], bool] | None = None
        self.wait_words = ""
        self._pinned: tuple[str, ...] = ()

    def _configuration(self) -> Mapping[str, Any]:
        return {"registries": registries.snapshot(), "options": self.options.to_json()}

    def _state_of(self, kinds: set[str]) -> str:
        busy = {"generate": "answering", "load": "loading"}
        return next((state for kind, state in busy.items() if kind in kinds), super()._state_of(kinds))

    def _may_go(self, call: Call) -> bool:
        if call.kind == "load" and self.gate is not None and not call.granted:
            first, call.asked = not call.asked, True
            call.granted = first and self.gate(call)
            return call.granted
        return True

    def _lost(self) -> None:
        self._loaded = None

    def _start(self) -> None:
        self.unload_reason = ""
        super()._start()

    def _proves_health(self, call: Call) -> bool:
        return call.kind == "generate"

    def _closed(self) -> AppError:
        return engine_closed()

    # What pages call

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

        def on_stopped() -> None:
            on_failed(engine_closed())

        fields = {"base": str(base), "engine": engine}
        self._send(Call("load", fields, owner, on_done, on_failed, stopped=on_stopped))

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

    def withdraw(self, owner: QObject) -> None:
        """The owner does not want what was not begun yet, such as a base that waits at the gate.

        One that is being loaded is stopped where its engine can be.
        """
        for ident, call in self._calls.items():
            if call.owner is owner and call.kind == "load" and call.written and self._process is not None:
                self._process.write(protocol.encode(ident, "stop", {}))
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

    def has(self, base: Path, engine: str) -> bool:
        """Whether that base is loaded."""
        return self._loaded == (engine, str(base))

    def served_elsewhere(self) -> None:
        """A base that a server answers for is asked for at another address: what comes next has to load it anew."""
        if self._loaded is not None and self._loaded[0] == SERVED:
            self._loaded = None

    @property
    def has_base(self) -> bool:
        """Whether a base is loaded."""
        return self._loaded is not None

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
