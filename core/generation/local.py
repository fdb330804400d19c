"""A model on this Mac, through the engine that chats use: turn by turn, in plain text, offline and for nothing.

Small models can't be held to a schema; so each turn is asked for in words and the conversation is put together here.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from core.errors import AppError
from core.generation.prices import Usage
from core.generation.provider import Limits, Opening, Provider, Reply, Request, Scope, Trouble
from core.inference.engine import EngineOptions, GenerateRequest, Sampling
from core.registries import ENGINES

T = TypeVar("T")

LOCAL_MODEL = Provider(
    "local", "This Mac", "core.generation.local:open_local", job_kind="generate_local", paid=False, structured=False,
    modes=("turns",),
    notice="A local model writes turn by turn in plain text. The practice model answers in words, but it knows almost"
    " nothing: what it writes is for trying the way, not for training.",
)  # fmt: skip


class LocalModel:
    """See `core.generation.provider.Live`. The engine lives in one thread, as it wants to."""

    def __init__(self, opening: Opening) -> None:
        self._base, self._hold = opening.base, opening.hold
        self._engine: Any = None
        self._thread = ThreadPoolExecutor(1, "engine")
        self._stop = threading.Event()

    async def _call(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)

    async def send(self, request: Request) -> Reply:
        """One turn; cutting it off stops the model at the next word."""
        self._stop.clear()
        try:
            return await self._call(self._generate, request)
        except asyncio.CancelledError:
            self._stop.set()
            raise
        except AppError as error:
            scope = Scope.ITEM if error.code == "context_full" else Scope.RUN
            raise Trouble(error, scope) from error

    def _generate(self, request: Request) -> Reply:
        if self._engine is None:
            engine = ENGINES.get(str(self._base["engine"]))(EngineOptions(max_resident=1))
            engine.load(Path(str(self._base["path"])))
            self._engine = engine
            self._hold(int(engine.status()["bytes"]))
        messages = [{"role": "system", "content": text} for text in request.system]
        messages += [dict(message) for message in request.messages]
        sampling = Sampling(
            temperature=0.8, top_p=0.95, max_tokens=request.max_tokens, repetition_penalty=1.1, seed=request.seed
        )
        parts, reason = [], "stop"
        stats: dict[str, Any] = {}
        for piece in self._engine.generate(GenerateRequest(messages, None, sampling)):
            parts.append(piece.text)
            if piece.finish_reason:
                reason, stats = piece.finish_reason, dict(piece.stats)
            if self._stop.is_set():
                break
        usage = Usage(
            int(stats.get("prompt_tokens", 0)), int(stats.get("tokens", 0)), service_tier="local"
        )  # fmt: skip
        stop_reason = "max_tokens" if reason == "length" else "end_turn"
        return Reply("".join(parts).strip(), stop_reason, usage, str(self._base["name"]))

    def limits(self) -> Limits:
        """There are none."""
        return Limits()

    async def close(self) -> None:
        """Give the memory back."""
        self._stop.set()
        if self._engine is not None:
            await self._call(self._engine.close)
        self._thread.shutdown()


def open_local(opening: Opening) -> LocalModel:
    """The registry's opener."""
    return LocalModel(opening)
