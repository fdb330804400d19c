"""Importers whose files become datasets. A new one is one module here and one line in core/registries.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from core.reading.importer import Importer


@dataclass(frozen=True)
class Folded:
    """A conversation put together from several records: `cut` of them have no answer to train on."""

    messages: list[dict[str, Any]]
    cut: int


@dataclass(frozen=True)
class Place:
    """A record's conversation and turn. `opening` is the conversation's first question, None if unknown.

    Files exist in which every conversation has the same id; the opening keeps them apart.
    """

    conversation: str
    turn: int
    opening: str | None


@runtime_checkable
class FoldingImporter(Protocol):
    """An importer of records that are parts of conversations."""

    def place(self, record: Mapping[str, Any]) -> Place:
        """Where a record belongs. Raises AppError with `where.field`."""

    def slim(self, record: Mapping[str, Any], *, history: bool) -> Mapping[str, Any]:
        """What `fold` needs of the record; its earlier turns only where `history` is asked for."""

    def fold(self, parts: Iterator[Mapping[str, Any]]) -> Folded:
        """Slimmed records of one conversation, in the order of their turns."""


__all__ = ["Folded", "FoldingImporter", "Importer", "Place"]
