"""Export formats of a training file: one module each, one line in `core.registries.EXPORT_FORMATS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from core.cancel import CancelToken


@dataclass(frozen=True)
class TrainingData:
    """A training file for a format to write: the v4 document without its pairs, and the pairs one by one.

    `lines()` starts from the beginning at each call and yields each pair as one line of JSON without its line end, so
    that a format that keeps the pairs as they are need not parse them.
    """

    frame: Mapping[str, Any]
    pair_count: int
    lines: Callable[[], Iterator[bytes]]


class ExportFormat(Protocol):
    """One format. `write` makes one file, or one folder of files where `suffix` is empty, at a path of the caller's,
    who sees to it that it is all or nothing."""

    name: str
    title: str
    suffix: str

    def write(self, data: TrainingData, path: Path, token: CancelToken) -> int:
        """Write the file or the folder and return the number of rows in it."""
        ...
