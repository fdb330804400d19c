"""An engine from elsewhere: no tensors, and answers that a test can foresee."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import AppError
from core.inference.engine import AdapterRef, Answer, EngineOptions, GenerateRequest, Piece, Progress
from core.inference.mlx.engine import MlxEngine

CONTEXT = 1024


class TinyEngine:
    """What the last question says decides.

    "slow" takes 5 ms a word, "until PATH" speaks until there is such a file, "die" kills the process, "hang" never
    ends, "fail ID" can't be answered by that adapter, else an echo.
    """

    def __init__(self, options: EngineOptions | None = None) -> None:
        self._max = (options or EngineOptions()).max_resident
        self._base = ""
        self._resident: dict[str, int] = {}
        self._active: str | None = None

    def load(self, base: Path, progress: Progress | None = None) -> Mapping[str, Any]:
        if base.name == "missing":
            raise AppError("base_does_not_load", "The base model can't be loaded.", hint="Add it again.")
        if base.name == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        self._base = str(base)
        return {"base": self._base, "seconds": 0.0, "bytes": 1000, "context": CONTEXT}

    def prepare(self, adapter: AdapterRef) -> Mapping[str, Any]:
        if "bad" in adapter.path:
            raise AppError("bad_adapter", f"The adapter {adapter.name} can't be used: half of it is missing.")
        resident = adapter.id in self._resident
        self._resident.pop(adapter.id, None)
        self._resident[adapter.id] = 10
        while len(self._resident) > self._max:
            del self._resident[next(iter(self._resident))]
        return {"adapter": adapter.id, "was_resident": resident, "seconds": 0.001}

    def generate(self, request: GenerateRequest) -> Iterator[Piece]:
        if request.adapter is not None:
            self.prepare(request.adapter)
        self._active = request.adapter.id if request.adapter else None
        question = request.messages[-1]["content"]
        if request.adapter is not None and question == f"fail {request.adapter.id}":
            raise AppError("too_long", f"{request.adapter.name} can't answer this.")
        if question.startswith("until "):
            yield from self._speak_until(Path(question.removeprefix("until ")))
            return
        if question == "hang":
            # So long that the text is sent on at once.
            time.sleep(0.05)
            yield Piece("I begin ", "", {})
            time.sleep(10_000)
        words = self._words(question, request)
        stats = self._stats(len(words))
        for number, word in enumerate(words, start=1):
            if "slow" in question:
                time.sleep(0.005)
            if "die" in question and number == 20:
                # After the parent has seen some of it.
                time.sleep(0.3)
                os.kill(os.getpid(), signal.SIGKILL)
            last = number == len(words)
            yield Piece(f"{word} ", "stop" if last else "", stats if last else {})

    def _speak_until(self, path: Path) -> Iterator[Piece]:
        number = 0
        while not path.exists():
            number += 1
            time.sleep(0.005)
            yield Piece(f"word{number} ", "", {})
        yield Piece("end", "stop", self._stats(number))

    def _stats(self, tokens: int) -> dict[str, Any]:
        return {
            "prompt_tokens": 100, "tokens": tokens, "first_token_s": 0.02, "tokens_per_second": 50.0,
            "switch_s": 0.00001, "was_resident": True, "context": CONTEXT, "adapter": self._active,
        }  # fmt: skip

    def _words(self, question: str, request: GenerateRequest) -> list[str]:
        if "slow" in question or "die" in question:
            return [f"word{n}" for n in range(1, request.sampling.max_tokens + 1)]
        if "```" in question:
            return [question]
        who = request.adapter.name if request.adapter else "base"
        system = next((m["content"] for m in request.messages if m["role"] == "system"), "nothing")
        turns = sum(m["role"] != "system" for m in request.messages)
        return f"I am {who}, told {system!r}, turn {turns}: {question}".split()

    def answers(self, request: GenerateRequest, count: int, stopping: Callable[[], bool]) -> list[Answer]:
        out = []
        for _ in range(count):
            pieces = [piece.text for piece in self.generate(request)]
            out.append(Answer("".join(pieces), "stop", len(pieces)))
        return out

    def score(
        self, conversations: Sequence[Sequence[Mapping[str, Any]]], adapter: AdapterRef | None
    ) -> list[list[float]]:
        return [[-1.0] * len(messages) for messages in conversations]

    def pin(self, adapters: Sequence[str]) -> None:
        pass

    def relieve(self) -> int:
        leaving = [ident for ident in self._resident if ident != self._active]
        return sum(self._resident.pop(ident) for ident in leaving)

    def forget(self, chat: str) -> None:
        pass

    def idle(self) -> bool:
        return False

    def status(self) -> Mapping[str, Any]:
        return {"base": self._base, "active": self._active, "resident": dict(self._resident), "bytes": 1000}

    def close(self) -> None:
        self._base, self._active = "", None
        self._resident.clear()


class EndlessMlx(MlxEngine):
    """The real engine, except that an answer that has ended begins again: only Stop ends it."""

    def generate(self, request: GenerateRequest) -> Iterator[Piece]:
        while True:
            for piece in super().generate(request):
                yield Piece(piece.text or " ", "", {})
