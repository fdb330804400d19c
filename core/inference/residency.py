"""Which adapters stay in memory beside a base: one policy for every engine, by count and bytes.

The engine holds the tensors and asks; the policy names those that leave. What is active or pinned never does, the
others go by when they were used last. A file that was written again is another one: its stamp tells.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass

Stamp = tuple[int, ...]


@dataclass(frozen=True)
class Limits:
    """How many adapters, and how many bytes of them, stay in memory; 0 bytes for no limit."""

    count: int = 3
    size_bytes: int = 0


@dataclass(frozen=True)
class _Entry:
    stamp: Stamp
    size_bytes: int


class Residency:
    """Order of use, limits, and who is exempt. Every method that makes room returns the ids that leave."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.active: str | None = None
        self._pinned: frozenset[str] = frozenset()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def use(self, ident: str, stamp: Stamp) -> bool:
        """Whether it is resident as its file is now; it counts as used then."""
        found = self._entries.get(ident)
        if found is None or found.stamp != stamp:
            return False
        self._entries.move_to_end(ident)
        return True

    def admit(self, ident: str, stamp: Stamp, size_bytes: int) -> list[str]:
        """It was loaded."""
        self._entries[ident] = _Entry(stamp, size_bytes)
        self._entries.move_to_end(ident)
        return self._make_room(keep={ident})

    def activate(self, ident: str | None) -> list[str]:
        """It answers from now on; None for the base alone."""
        self.active = ident
        return self._make_room()

    def pin(self, idents: Collection[str]) -> list[str]:
        """These stay whatever happens; those of before lose that."""
        self._pinned = frozenset(idents)
        return self._make_room()

    def limit(self, limits: Limits) -> list[str]:
        """Other limits."""
        self.limits = limits
        return self._make_room()

    def relieve(self) -> list[str]:
        """Memory is short: everything that may leave does."""
        return [self._drop(ident) for ident in self._free()]

    def forget(self, ident: str) -> None:
        """It was dropped by the engine itself."""
        self._entries.pop(ident, None)

    @property
    def sizes(self) -> dict[str, int]:
        """Resident adapters with their bytes, the least recently used first."""
        return {ident: entry.size_bytes for ident, entry in self._entries.items()}

    @property
    def size_bytes(self) -> int:
        """Of all of them."""
        return sum(entry.size_bytes for entry in self._entries.values())

    def _free(self, keep: Collection[str] = ()) -> list[str]:
        exempt = {*keep, *self._pinned, self.active}
        return [ident for ident in self._entries if ident not in exempt]

    def _make_room(self, keep: Collection[str] = ()) -> list[str]:
        out = []
        for ident in self._free(keep):
            full = len(self._entries) > self.limits.count
            if not full and not 0 < self.limits.size_bytes < self.size_bytes:
                break
            out.append(self._drop(ident))
        return out

    def _drop(self, ident: str) -> str:
        del self._entries[ident]
        return ident
