"""Which importer reads a file, decided by its content, never by its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.cancel import CancelToken
from core.errors import AppError, Where
from core.reading.encoding import detect
from core.reading.importer import Recognised
from core.reading.records import Broken, Record, layout, records
from core.registries import IMPORTERS

SAMPLE = 5
_SAMPLE_TRIES = 50


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
        raise AppError("empty_file", "It contains no records.", hint="Export it again.", where=Where(str(path)))
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
        f"It is JSON, but its format is unknown: its first record has the fields {found}.",
        hint=f"Known formats: {known}.",
        where=Where(str(path), 0, found),
    )
