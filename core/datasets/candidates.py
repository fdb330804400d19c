"""Records of a file as conversations that may enter a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.cancel import CancelToken
from core.datasets.importers import FoldingImporter
from core.datasets.spool import Spool
from core.errors import AppError, Where
from core.reading.errors import shown
from core.reading.importer import Importer
from core.reading.records import Broken, Read, Record

SPLITS = (TRAIN, VALIDATION) = ("train", "validation")


@dataclass(frozen=True)
class Candidate:
    """A conversation from `units` records, `cut` of which have no answer; messages are not checked yet.

    `split` is "train" or "validation" where the record says which, else empty; `provenance` is kept with the row.
    """

    line: int
    units: int
    cut: int
    messages: Any
    source_id: str
    split: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """A record that can't become part of a conversation."""

    line: int
    error: AppError


Tick = Callable[[int, str], None]
Found = Candidate | Refused


def candidates(
    reads: Iterator[Read], importer: Importer | None, spool: Spool, token: CancelToken, tick: Tick
) -> Iterator[Found]:
    """Convert every record; `tick(offset, what)` is called with the progress."""
    if importer is not None and isinstance(importer, FoldingImporter):
        yield from _folded(reads, importer, spool, token, tick)
        return
    for count, read in enumerate(reads, start=1):
        token.raise_if_cancelled()
        tick(read.offset, f"{count:,} read")
        if isinstance(read, Broken):
            yield Refused(read.line, read.error)
        elif importer is None:
            continue
        else:
            yield _converted(read, importer)


def _converted(read: Record, importer: Importer) -> Found:
    try:
        row = importer.convert(read.value)
    except AppError as error:
        return Refused(read.line, error)
    split, provenance = row.get("split"), row.get("provenance")
    return Candidate(
        read.line, 1, 0, row.get("messages"), _ident(row.get("id")), split if split in SPLITS else "",
        provenance if isinstance(provenance, Mapping) else {},
    )  # fmt: skip


def _ident(value: Any) -> str:
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""


def _folded(
    reads: Iterator[Read], importer: FoldingImporter, spool: Spool, token: CancelToken, tick: Tick
) -> Iterator[Found]:
    offset = 0
    for count, read in enumerate(reads, start=1):
        token.raise_if_cancelled()
        offset = read.offset
        tick(offset, f"{count:,} pairs read")
        refused = read.error if isinstance(read, Broken) else _collect(read, importer, spool)
        if refused is not None:
            yield Refused(read.line, refused)
    for count, group in enumerate(spool.groups(), start=1):
        token.raise_if_cancelled()
        tick(offset, f"{count:,} conversations assembled")
        try:
            folded = importer.fold(iter(group.bodies))
        except AppError as error:
            for line in group.lines:
                yield Refused(line, error)
            continue
        yield Candidate(group.line, len(group.lines), folded.cut, folded.messages, group.name)


def _collect(read: Record, importer: FoldingImporter, spool: Spool) -> AppError | None:
    try:
        place = importer.place(read.value)
    except AppError as error:
        return error
    gid, follows = spool.group(place, read.line)
    earlier = spool.add(gid, place.turn, read.line, importer.slim(read.value, history=not follows))
    if not earlier:
        return None
    return AppError(
        "duplicate_turn",
        f"Turn {place.turn} of the conversation {shown(place.conversation)} is already on line {earlier}.",
        hint="Remove one of the two; each turn is trained on once.",
        where=Where(line=read.line, field="turn_number"),
    )
