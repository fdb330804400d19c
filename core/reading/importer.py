"""What an importer offers, and how a file was recognised: what recognition hands over with the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from core.reading.encoding import Encoding
from core.reading.records import Layout


class Importer(Protocol):
    """What a module registered under IMPORTERS offers.

    `target` is "conversation" (`convert` returns a raw conversation: title, turns, input_parameters) or
    "dataset" (`convert` returns `{"messages": [...]}`). `shape` says in words what it reads. An importer whose
    conversations are spread over several records is a `FoldingImporter` (core/datasets/importers).
    """

    name: str
    title: str
    shape: str
    target: str

    def sniff(self, sample: Sequence[Mapping[str, Any]]) -> bool:
        """Whether these first records are of its kind."""

    def convert(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """One record converted. Raises AppError with `where.field`."""


@dataclass(frozen=True)
class Recognised:
    """How a file will be read. `importer` is None when nothing in it could be parsed at all."""

    path: Path
    encoding: Encoding
    layout: Layout
    importer: Importer | None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about the file's text."""
        return self.encoding.notes
