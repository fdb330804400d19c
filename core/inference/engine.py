"""The protocol every engine speaks. The adapter is a parameter of `generate`, never the engine's state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from core.inference.residency import Limits


@dataclass(frozen=True)
class AdapterRef:
    """An adapter folder in mlx-lm's layout, by absolute path."""

    id: str
    path: str
    name: str = ""


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. Temperature 0 is greedy: the same question gets the same answer."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 256
    repetition_penalty: float = 1.0
    seed: int = 0

    @property
    def seed32(self) -> int:
        """The seed as llama.cpp takes it: 32 bits, without the highest, which stands for chance."""
        return self.seed % 0xFFFF_FFFF


@dataclass(frozen=True)
class GenerateRequest:
    """One answer asked for: the conversation so far, the adapter or None for the base alone.

    `stop` are words that end it and are not part of it. `logprobs` asks for that many of the likeliest tokens at each
    step. `keep` names the chat whose reading is kept for its next question, empty for none. `fall_back`: the base
    answers, with a notice, where the adapter can't be used. `fit`: the oldest exchanges are left out where there is no
    room for all (`left_out` in the stats says how many messages), instead of AppError `context_full`.
    """

    messages: Sequence[Mapping[str, str]]
    adapter: AdapterRef | None = None
    sampling: Sampling = field(default_factory=Sampling)
    stop: Sequence[str] = ()
    logprobs: int = 0
    keep: str = ""
    fall_back: bool = False
    fit: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values for the wire."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GenerateRequest:
        """The reverse of `to_json`."""
        adapter = data.get("adapter")
        return cls(
            list(data["messages"]), AdapterRef(**adapter) if adapter else None, Sampling(**data.get("sampling", {})),
            tuple(data.get("stop", ())), int(data.get("logprobs", 0)), str(data.get("keep", "")),
            bool(data.get("fall_back", False)), bool(data.get("fit", False)),
        )  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    """A token that could have been next, with its log-probability."""

    token: int
    text: str
    logprob: float


@dataclass(frozen=True)
class Piece:
    """A piece of streamed text; the last one carries `finish_reason` (stop, length) and the stats.

    `chosen` is the token that was taken and `candidates` the likeliest ones, best first, where they were asked for.
    """

    text: str
    finish_reason: str = ""
    stats: Mapping[str, Any] = field(default_factory=dict)
    chosen: Candidate | None = None
    candidates: Sequence[Candidate] = ()


@dataclass(frozen=True)
class Answer:
    """A whole answer: its text, how it ended (stop, length, or user where it was stopped), its tokens."""

    text: str
    finish_reason: str
    tokens: int


@dataclass(frozen=True)
class EngineOptions:
    """What an engine may keep. Bytes; 0 adapter bytes for no limit, no folder for nothing on disk."""

    max_resident: int = 3
    adapter_bytes: int = 0
    cache_bytes: int = 1 << 30
    cache_folder: str = ""
    cache_disk_bytes: int = 4 << 30

    def to_json(self) -> dict[str, Any]:
        """Plain values for the wire."""
        return asdict(self)

    @property
    def limits(self) -> Limits:
        """Those of the adapters."""
        return Limits(self.max_resident, self.adapter_bytes)


# What a long `load` says on its way: a share from 0 to 1 and words.
Progress = Callable[[float, str], None]


def silent(_share: float, _words: str) -> None:
    """The `Progress` of those who do not want to know."""


class Engine(Protocol):
    """Keeps one base model and its adapters resident. Used from one thread; made with `EngineOptions`."""

    def load(self, base: Path, progress: Progress | None = None) -> Mapping[str, Any]:
        """Load the base, dropping another one; returns facts (seconds, bytes). Raises AppError."""
        ...

    def prepare(self, adapter: AdapterRef) -> Mapping[str, Any]:
        """A hint: make the adapter resident; nothing changes for answers under way. Raises AppError."""
        ...

    def pin(self, adapters: Sequence[str]) -> None:
        """Ids that stay resident whatever happens; those of before lose that."""
        ...

    def generate(self, request: GenerateRequest) -> Iterator[Piece]:
        """Stream the answer; closing the iterator stops it. Raises AppError before the first piece."""
        ...

    def answers(self, request: GenerateRequest, count: int, stopping: Callable[[], bool]) -> list[Answer]:
        """So many answers to one question, at once where the engine can; `keep` and `logprobs` are passed over.

        Ends early, with what there is, once `stopping()` is true. Raises AppError before the first token.
        """
        ...

    def score(
        self, conversations: Sequence[Sequence[Mapping[str, Any]]], adapter: AdapterRef | None
    ) -> list[list[float]]:
        """Log-probabilities of each conversation's supervised tokens, in order."""
        ...

    def status(self) -> Mapping[str, Any]:
        """What is resident, with bytes."""
        ...

    def relieve(self) -> int:
        """Memory is short: give back what nobody waits for; returns the bytes."""
        ...

    def forget(self, chat: str) -> None:
        """A chat was deleted: nothing that was kept of it stays, in memory or on disk."""
        ...

    def idle(self) -> bool:
        """Nothing is asked at the moment: do a little of what can wait; whether there is more."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...
