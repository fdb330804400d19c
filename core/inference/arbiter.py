"""Who holds how much of the machine's memory, and whether another one fits beside them. Numbers only, no clocks.

The order in which room is made, by `app/memory_arbiter.py`: what was read of chats and adapters that do not answer
(they give way by themselves within their limits), then what Ollama holds for others, then the model that code is
searched with, then the chat's idle base, then the job, which goes on later where it stopped. An answer that is being
written is never cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from core.memory import Memory

CHAT = "chat"
# The parts of the chat's holding, in the order of the bar.
BASE, ADAPTERS, CACHES = "base", "adapters", "caches"
JOB = "job"
# The model that questions about code are embedded with; words and names are searched without it.
SEARCH, EMBEDDER = "search", "embedder"
# What Ollama holds for others; its models come back when somebody asks them.
OLLAMA = "ollama"
# Beside the weights: what is read of a conversation, and what an answer takes while it is computed.
READING_SHARE, READING_BYTES = 0.10, 64 << 20
LEAST_CACHE, MOST_CACHE = 64 << 20, 1 << 30


@dataclass(frozen=True)
class Share:
    """A piece of the bar: who holds it, what it is, bytes."""

    who: str
    part: str
    size_bytes: int


@dataclass
class _Holder:
    booked: int = 0
    parts: Mapping[str, int] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """What was asked for until it is known what is held; an estimate is not given back half-way."""
        return max(self.booked, sum(self.parts.values()))


class Arbiter:
    """The book: `ask` before loading, `tell` once it is known what was taken, `release` at the end."""

    def __init__(self, read: Callable[[], Memory]) -> None:
        self.read = read
        self._holders: dict[str, _Holder] = {}

    def room(self, who: str) -> int:
        """Bytes that `who` could take now, what it holds already included."""
        found = self.read()
        others = sum(holder.size_bytes for ident, holder in self._holders.items() if ident != who)
        mine = self._holders.get(who)
        # Booked and not taken yet is still counted as available by the machine.
        coming = sum(
            max(0, holder.booked - sum(holder.parts.values()))
            for ident, holder in self._holders.items() if ident != who
        )  # fmt: skip
        held = sum(mine.parts.values()) if mine else 0
        return max(0, min(found.budget - others, found.available - coming + held))

    def ask(self, who: str, size_bytes: int) -> bool:
        """Whether that much fits beside the others; it is booked then."""
        if size_bytes > self.room(who):
            return False
        self.book(who, size_bytes)
        return True

    def book(self, who: str, size_bytes: int) -> None:
        """It is given that much, whether it fits or not."""
        self._holders.setdefault(who, _Holder()).booked = size_bytes

    def tell(self, who: str, parts: Mapping[str, int]) -> None:
        """What it really holds, by part; who never asked is not counted."""
        if who in self._holders:
            self._holders[who].parts = dict(parts)

    def release(self, who: str) -> None:
        """It holds nothing any more."""
        self._holders.pop(who, None)

    def holds(self, who: str) -> int:
        """Bytes that are counted for it."""
        found = self._holders.get(who)
        return found.size_bytes if found else 0

    def shares(self) -> Sequence[Share]:
        """Everything that is held, by holder and part; what is booked and not told yet counts as its first part."""
        out = []
        for who, holder in self._holders.items():
            first = {CHAT: BASE, SEARCH: EMBEDDER, OLLAMA: OLLAMA}.get(who, JOB)
            parts = holder.parts or {first: holder.booked}
            out += [Share(who, part, size) for part, size in parts.items() if size]
        return out


def cache_budget(budget: int) -> int:
    """Bytes that what was read of chats may keep in memory: a thirty-second of what models may use, within bounds."""
    return max(LEAST_CACHE, min(MOST_CACHE, budget // 32))


def base_needs(weight_bytes: int) -> int:
    """What a base takes that answers: its weights, and a reserve for what it reads and computes. Bytes."""
    return weight_bytes + round(READING_SHARE * weight_bytes) + READING_BYTES
