"""The Ollama engine: answers of a base that Ollama alone can run, in another format than GGUF or on another computer.

Ollama changes no adapter without loading the base anew, and newer versions take none at all (notes/ollama.md), so here
the base answers for itself. Nothing is cut without a word: `truncate` and `shift` are off in every request.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from core.errors import AppError
from core.inference.engine import AdapterRef, Answer, Candidate, EngineOptions, GenerateRequest, Piece, Progress, silent
from core.inference.fitting import Message, fitted
from core.inference.ollama.events import events
from core.inference.ollama.faults import broke_off, other
from core.inference.ollama.host import OllamaHost
from core.inference.ollama.seen import full_name, refuse_cloud
from core.inference.one_by_one import one_by_one
from core.loopback import is_loopback
from core.models import served
from core.models.served import Served

# Of a conversation: memory for it is taken when it is loaded, and with another number it would be loaded anew.
MOST_CONTEXT = 8_192
KEEP_S = 1_800
# Tokens a character: what a conversation takes is known once it was read, and guessed before.
GUESS, GROWTH, TRIES = 0.3, 1.3, 8


class OllamaEngine:
    """See `core.inference.engine.Engine`."""

    def __init__(self, _options: EngineOptions | None = None) -> None:
        self._path: Path | None = None
        self._served = Served("", "", 0)
        self._context, self._bytes = 0, 0
        self._share = GUESS
        # What another program had it load stays when this one is done.
        self._was_held = False

    def load(self, base: Path, progress: Progress | None = None) -> Mapping[str, Any]:
        """Have Ollama load what the file `base` names; at once when it is the one that is loaded."""
        begun = time.monotonic()
        wanted = served.read(base)
        if self._path != base or (wanted.address, wanted.name) != (self._served.address, self._served.name):
            self.close()
            say = progress or silent
            say(0.0, "Asking Ollama")
            with OllamaHost(wanted.address) as host:
                found = host.details(wanted.name)
                refuse_cloud(found)
                self._context = min(MOST_CONTEXT, found.number("context_length") or MOST_CONTEXT)
                self._was_held = bool(_held(host, wanted.name))
                # At each beat: whoever waits hears that it lives, and may stop it.
                for _ in host.preload(wanted.name, self._context, KEEP_S):
                    say(0.2, "Ollama is loading it")
            self._path, self._served, self._share = base, wanted, GUESS
        self._measure()
        return {
            "base": str(base), "seconds": time.monotonic() - begun, "bytes": self._bytes, "context": self._context,
        }  # fmt: skip

    # Adapters

    def prepare(self, adapter: AdapterRef) -> Mapping[str, Any]:
        """Refused: raises AppError `wrong_base`."""
        asked = self._loaded()
        raise AppError(
            "wrong_base",
            f"{asked.name} answers through Ollama, which takes no adapter: {adapter.name or adapter.id} can't be used "
            "on it.",
            hint="Choose the base the adapter was trained on, or pull the same model in GGUF format.",
        )

    def pin(self, adapters: Sequence[str]) -> None:
        """There are none."""

    # Answers

    def generate(self, request: GenerateRequest) -> Iterator[Piece]:
        """Stream one answer of the base."""
        self._loaded()
        if request.adapter is not None:
            self.prepare(request.adapter)
        begun, found = time.monotonic(), None
        for messages, left_out in self._attempts(request):
            try:
                yield from self._answer(request, messages, left_out, begun)
                return
            except AppError as error:
                if error.code != "context_full":
                    raise
                found = error
            except (ValueError, TypeError, AttributeError, LookupError) as exc:
                raise other(self._served.address, repr(exc)) from exc
        assert found is not None
        raise found

    def _attempts(self, request: GenerateRequest) -> Iterator[tuple[Sequence[Message], int]]:
        """The conversation; where it may be shortened and is refused, shorter and shorter ones.

        Ollama counts no tokens for others, so they are guessed, each time by more.
        """
        if not request.fit:
            yield request.messages, 0
            return
        most = self._context - min(request.sampling.max_tokens, self._context // 4)
        share, before = self._share, len(request.messages) + 1
        for _ in range(TRIES):
            count = partial(_guessed, share)
            messages, left_out = fitted(request.messages, count, most)
            if len(messages) < before:
                before = len(messages)
                yield messages, left_out
            share = max(share * GROWTH, (most + 1) / max(1, _length(messages)))

    def _answer(
        self, request: GenerateRequest, messages: Sequence[Message], left_out: int, begun: float
    ) -> Iterator[Piece]:
        doing = f"answer as {self._served.name}"
        lines = events(self._served.address, "/api/chat", self._body(request, messages), doing)
        first: float | None = None
        try:
            for event in lines:
                if not event:
                    yield Piece("")
                    continue
                first = first if first is not None else time.monotonic() - begun
                if not event.get("done"):
                    yield _piece(event, request.logprobs)
                    continue
                tokens, read = int(event.get("eval_count") or 0), int(event.get("prompt_eval_count") or 0)
                seconds = float(event.get("eval_duration") or 0) / 1e9
                if read:
                    self._share = read / max(1, _length(messages))
                if not self._bytes:
                    # It gave its memory back before, and has loaded the base again.
                    self._measure()
                stats = {
                    "prompt_tokens": read, "reused_tokens": 0, "tokens": tokens, "first_token_s": first,
                    "tokens_per_second": tokens / seconds if seconds else 0.0, "was_resident": True,
                    "context": self._context, "left_out": left_out, "adapter": None,
                }  # fmt: skip
                reason = "length" if event.get("done_reason") == "length" else "stop"
                yield Piece(_text(event), reason, stats)
                return
            raise broke_off(doing, "its last line did not come")
        finally:
            lines.close()  # type: ignore[attr-defined]

    def _body(self, request: GenerateRequest, messages: Sequence[Message]) -> dict[str, Any]:
        """All that decides the answer: what is not named here has other values by default than in the other engines."""
        sampling = request.sampling
        body: dict[str, Any] = {
            "model": self._served.name, "messages": [dict(message) for message in messages], "stream": True,
            "think": False, "truncate": False, "shift": False, "keep_alive": KEEP_S,
            "options": {
                "num_ctx": self._context, "num_predict": sampling.max_tokens, "temperature": sampling.temperature,
                "top_p": sampling.top_p, "top_k": 0, "min_p": 0.0,
                "repeat_penalty": sampling.repetition_penalty, "repeat_last_n": 20, "seed": sampling.seed32,
            },
        }  # fmt: skip
        if request.logprobs:
            body |= {"logprobs": True, "top_logprobs": request.logprobs}
        return body

    def answers(self, request: GenerateRequest, count: int, stopping: Callable[[], bool]) -> list[Answer]:
        """One after the other; Ollama keeps what it read of the question."""
        return one_by_one(self.generate, request, count, stopping)

    def score(
        self, conversations: Sequence[Sequence[Mapping[str, Any]]], adapter: AdapterRef | None
    ) -> list[list[float]]:
        """Ollama gives no probabilities of what it is asked. Raises AppError `no_scores`."""
        raise AppError(
            "no_scores", "A base model in Ollama can't measure an adapter.",
            hint="Measure it on the base model in MLX's format that it was trained on.",
        )  # fmt: skip

    # Memory

    def status(self) -> Mapping[str, Any]:
        """The base, and what Ollama holds for it on this machine."""
        return {
            "base": str(self._path) if self._path else None, "active": None, "resident": {}, "chats": {},
            "bytes": self._bytes,
        }  # fmt: skip

    def relieve(self) -> int:
        """Ollama gives the memory back, where nobody else uses it; it loads the base again with the next question."""
        if self._path is None or self._was_held:
            return 0
        freed, self._bytes = self._bytes, 0
        self._unload()
        return freed

    def forget(self, chat: str) -> None:
        """Nothing is kept of a chat."""

    def idle(self) -> bool:
        """Nothing waits."""
        return False

    def close(self) -> None:
        """Let Ollama give the memory back, unless another program had it load the base before."""
        if self._path is not None and not self._was_held:
            self._unload()
        self._path, self._bytes = None, 0

    def _measure(self) -> None:
        """What Ollama holds for it on this machine."""
        if is_loopback(self._served.address):
            with contextlib.suppress(AppError), OllamaHost(self._served.address) as host:
                self._bytes = _held(host, self._served.name)

    def _unload(self) -> None:
        if is_loopback(self._served.address):
            # One that does not answer holds nothing for long: its own clock runs.
            with contextlib.suppress(AppError), OllamaHost(self._served.address) as host:
                host.unload(self._served.name)

    def _loaded(self) -> Served:
        if self._path is None:
            raise AppError("no_base_loaded", "No base model is loaded.", hint="Choose a base model first.")
        found = served.read(self._path)
        if found.address != self._served.address:
            # Started on another port, or another computer, where that name may be somebody else's.
            with OllamaHost(found.address) as host:
                refuse_cloud(host.details(found.name))
        self._served = found
        return found


def _held(host: OllamaHost, name: str) -> int:
    return next((one.size_bytes for one in host.held() if one.name == full_name(name)), 0)


def _guessed(share: float, messages: Sequence[Message]) -> int:
    return round(_length(messages) * share)


def _length(messages: Sequence[Message]) -> int:
    return sum(len(message["content"]) for message in messages)


def _text(event: Mapping[str, Any]) -> str:
    return str((event.get("message") or {}).get("content") or "")


def _piece(event: Mapping[str, Any], logprobs: int) -> Piece:
    found = (event.get("logprobs") or [None])[0] if logprobs else None
    if not found:
        return Piece(_text(event))
    best = [_candidate(one) for one in found.get("top_logprobs") or ()][:logprobs]
    return Piece(_text(event), chosen=_candidate(found), candidates=best)


def _candidate(found: Mapping[str, Any]) -> Candidate:
    # Ollama says the text of a token and not its number.
    return Candidate(-1, str(found["token"]), float(found["logprob"]))
