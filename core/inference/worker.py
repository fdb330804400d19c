"""The inference worker: keeps an engine resident, streams tokens. `python -m app --worker inference`.

Commands: configure, load, prepare, pin, generate, answers, score, status, relieve, forget, stop, quit. Every command
but stop and quit is answered by exactly one of done, failed or stopped with its id; before that, load sends `progress`
events, generate `token` events and, where the base answers because the adapter can't be used, a `notice`.
`memory {holds}` without an id says what is held after a command that changed it.
All engine calls happen on the main thread; a reader thread takes commands and serves `stop` at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from core import registries
from core.errors import AppError, Cancelled
from core.inference.arbiter import ADAPTERS, BASE, CACHES
from core.inference.engine import AdapterRef, EngineOptions, GenerateRequest, Piece
from core.inference.faults import CODES as FAULT_CODES
from core.inference.faults import Faults
from core.inference.stopping import cut_off, stopped
from core.registries import ENGINES
from core.workers.host import Channel
from core.workers.protocol import HEARTBEAT_S
from core.workers.server import CommandServer, serve

TOKEN_INTERVAL_S = 0.02


class InferenceWorker(CommandServer):
    """One engine, one queue of commands. At its end what is read of chats is written."""

    COMMANDS = (
        "configure", "load", "prepare", "pin", "generate", "answers", "score", "status", "relieve", "forget",
    )  # fmt: skip
    REST_S = 1.0

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel)
        self._stopped: set[str] = set()
        self._engines: dict[str, Any] = {}
        self._engine: Any = None
        self._options = EngineOptions()
        self._faults = Faults()
        self._held: Mapping[str, int] = {}

    def _taken(self, message: Mapping[str, Any]) -> bool:
        if message["type"] == "stop" and str(message["id"]) in self._open:
            self._stopped.add(str(message["id"]))
        return bool(message["type"] == "stop")

    def _rest(self) -> bool:
        return self._engine is not None and bool(self._engine.idle())

    def _close(self) -> None:
        # What was read of chats is kept.
        if self._engine is not None:
            self._engine.close()

    def _served(self, ident: str) -> None:
        self._stopped.discard(ident)
        self._tell_memory()

    def _tell_memory(self) -> None:
        """What is held by now, where that changed."""
        held = parts_of(self._engine.status()) if self._engine is not None else {}
        if held != self._held:
            self._held = held
            self.send("", "memory", holds=held)

    def _configure(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        registries.restore(message.get("registries", {}))
        self._options = EngineOptions(**message.get("options", {}))
        return {"engines": ENGINES.names()}

    def _load(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        name = str(message["engine"])
        if name not in self._engines:
            self._engines[name] = ENGINES.get(name)(self._options)
        if self._engine is not None and self._engine is not self._engines[name]:
            self._engine.close()
        self._engine = self._engines[name]
        ident = str(message["id"])

        told, said = 0.0, ""

        def progress(share: float, words: str) -> None:
            nonlocal told, said
            if ident in self._stopped:
                raise Cancelled
            if words != said or time.monotonic() - told >= HEARTBEAT_S:
                told, said = time.monotonic(), words
                self.send(ident, "progress", share=share, words=words)

        facts: Mapping[str, Any] = self._engine.load(Path(message["base"]), progress)
        return facts

    def _loaded(self) -> Any:
        if self._engine is None:
            raise AppError("no_base_loaded", "No base model is loaded.", hint="Choose a base model first.")
        return self._engine

    def _prepare(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        adapter = AdapterRef(**message["adapter"])
        facts: Mapping[str, Any] = self._loaded().prepare(adapter)
        self._faults.clear(adapter.id)
        return facts

    def _status(self, _message: Mapping[str, Any]) -> Mapping[str, Any]:
        facts: Mapping[str, Any] = self._loaded().status()
        return facts

    def _answers(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        ident, request = str(message["id"]), GenerateRequest.from_json(message["request"])
        found = self._loaded().answers(request, int(message["count"]), lambda: ident in self._stopped)
        return {"answers": [asdict(cut_off(answer, request.stop)) for answer in found]}

    def _score(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        adapter = AdapterRef(**message["adapter"]) if message.get("adapter") else None
        return {"logprobs": self._loaded().score(message["conversations"], adapter)}

    def _pin(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        self._loaded().pin(message["adapters"])
        return {}

    def _relieve(self, _message: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"bytes": self._engine.relieve() if self._engine is not None else 0}

    def _forget(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._engine is not None:
            self._engine.forget(str(message["chat"]))
        return {}

    def _generate(self, message: Mapping[str, Any]) -> Mapping[str, Any] | None:
        ident = str(message["id"])
        request = GenerateRequest.from_json(message["request"])
        pending, last, reason = "", time.monotonic(), "stop"
        stats: Mapping[str, Any] = {}
        tokens: list[dict[str, Any]] = []
        for piece in self._pieces(ident, request):
            tokens += _tokens(piece)
            pending += piece.text
            if piece.finish_reason:
                reason, stats = piece.finish_reason, piece.stats
            if ident in self._stopped:
                self.send(ident, "token", text=pending)
                self.send(ident, "stopped", reason="user")
                return None
            if not pending and time.monotonic() - last >= HEARTBEAT_S:
                # It reads for long, or waits for somebody who does: that is no reason to take it for dead.
                last = time.monotonic()
                self.send("", "heartbeat")
            # Fast models make more tokens than anybody can see; text is sent at most 50 times a second.
            if pending and time.monotonic() - last >= TOKEN_INTERVAL_S:
                self.send(ident, "token", text=pending)
                pending, last = "", time.monotonic()
        if pending:
            self.send(ident, "token", text=pending)
        return {"finish_reason": reason, "stats": stats, "tokens": tokens}

    def _pieces(self, ident: str, request: GenerateRequest) -> Iterator[Piece]:
        """The engine's answer up to a stop word; where the adapter can't be used, the base's if that is allowed."""
        engine, adapter = self._loaded(), request.adapter
        if adapter is not None and request.fall_back and (error := self._fault(adapter)) is not None:
            self.send(ident, "notice", error=error.to_json())
            request = replace(request, adapter=None)
        pieces: Iterator[Piece] = engine.generate(request)
        return stopped(pieces, request.stop) if request.stop else pieces

    def _fault(self, adapter: AdapterRef) -> AppError | None:
        if (held := self._faults.held(adapter)) is not None:
            return held
        try:
            self._loaded().prepare(adapter)
        except AppError as error:
            if error.code not in FAULT_CODES:
                raise
            self._faults.add(adapter, error)
            return error
        self._faults.clear(adapter.id)
        return None


def parts_of(status: Mapping[str, Any]) -> dict[str, int]:
    """Bytes by part, out of an engine's status; what is neither adapter nor read chat is the base."""
    adapters, caches = (sum(status.get(name, {}).values()) for name in ("resident", "chats"))
    whole = int(status.get("bytes", 0))
    return {BASE: max(0, whole - adapters - caches), ADAPTERS: adapters, CACHES: caches}


def _tokens(piece: Piece) -> list[dict[str, Any]]:
    """The token of a piece with the likeliest ones beside it, where they were asked for."""
    if piece.chosen is None:
        return []
    return [{**asdict(piece.chosen), "top": [asdict(candidate) for candidate in piece.candidates]}]


def main(_args: list[str]) -> int:
    """Entry of the worker process."""
    return serve(InferenceWorker)
