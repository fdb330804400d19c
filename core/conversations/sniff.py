"""Which importer reads a file, told by its content, never by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from core.cancel import CancelToken
from core.conversations.records import Broken, Layout, Record, layout, records
from core.conversations.text import Encoding, detect
from core.errors import AppError, Where
from core.registries import IMPORTERS

SAMPLE = 5
_SAMPLE_TRIES = 50


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
        """What is worth telling about the file's text."""
        return self.encoding.notes


def recognise(path: Path, token: CancelToken | None = None) -> Recognised:
    """Look into a file. Raises AppError `not_recognised` naming the known shapes, or why it can't be read."""
    encoding = detect(path, token)
    shape = layout(path, encoding, token)
    sample: list[Mapping[str, Any]] = []
    broken = 0
    for read in records(path, encoding, shape, token):
        if isinstance(read, Record):
            sample.append(read.value)
        elif isinstance(read, Broken):
            broken += 1
        if len(sample) >= SAMPLE or len(sample) + broken >= _SAMPLE_TRIES:
            break
    if not sample and not broken:
        raise AppError("empty_file", "There is no record in it.", hint="Export it again.", where=Where(str(path)))
    if not sample:
        return Recognised(path, encoding, shape, None)
    for _, importer in IMPORTERS.items():
        if importer.sniff(sample):
            return Recognised(path, encoding, shape, importer)
    raise not_recognised(path, sample[0])


def not_recognised(path: Path, record: Mapping[str, Any]) -> AppError:
    """No registered importer knows the shape."""
    found = ", ".join(str(key)[:40] for key in list(record)[:8]) or "nothing"
    known = "; ".join(getattr(importer, "shape", importer.title) for _, importer in IMPORTERS.items())
    return AppError(
        "not_recognised",
        f"It is JSON, but of no known shape: its first record has the fields {found}.",
        hint=f"Known shapes: {known}.",
        where=Where(str(path), 0, found),
    )
