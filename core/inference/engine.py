"""The protocol every engine speaks. The adapter is a parameter of `generate`, never the engine's state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol


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


@dataclass(frozen=True)
class GenerateRequest:
    """One answer asked for: the conversation so far, the adapter or None for the base alone."""

    messages: Sequence[Mapping[str, str]]
    adapter: AdapterRef | None = None
    sampling: Sampling = field(default_factory=Sampling)

    def to_json(self) -> dict[str, Any]:
        """Plain values for the wire."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GenerateRequest:
        """The reverse of `to_json`."""
        adapter = data.get("adapter")
        return cls(
            list(data["messages"]), AdapterRef(**adapter) if adapter else None, Sampling(**data.get("sampling", {}))
        )


@dataclass(frozen=True)
class Piece:
    """A piece of streamed text; the last one carries `finish_reason` (stop, length) and the stats."""

    text: str
    finish_reason: str = ""
    stats: Mapping[str, Any] = field(default_factory=dict)


class Engine(Protocol):
    """Keeps one base model and its adapters resident. Used from one thread."""

    def load(self, base: Path) -> Mapping[str, Any]:
        """Load the base, dropping another one; returns facts (seconds, bytes). Raises AppError."""
        ...

    def prepare(self, adapter: AdapterRef) -> Mapping[str, Any]:
        """A hint: make the adapter resident; nothing changes for answers under way. Raises AppError."""
        ...

    def generate(self, request: GenerateRequest) -> Iterator[Piece]:
        """Stream the answer; closing the iterator stops it. Raises AppError before the first piece."""
        ...

    def score(self, messages: Sequence[Mapping[str, Any]], adapter: AdapterRef | None) -> Sequence[float]:
        """Log-probabilities of the conversation's supervised tokens, in order."""
        ...

    def status(self) -> Mapping[str, Any]:
        """What is resident, with bytes."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...
