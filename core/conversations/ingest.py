"""Write the conversations of a recognised file: parse, reject duplicates, keep raw and parsed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.conversations import files
from core.conversations.parse import Parsed, parse
from core.conversations.store import by_hash
from core.db import Database
from core.db.connection import new_id
from core.errors import AppError
from core.reading.importer import Importer, Recognised
from core.reading.intake import ALREADY_HERE, CONVERSATION, Intake
from core.reading.records import Broken, Record, records


@dataclass(frozen=True)
class Seen:
    """What has a content hash: in the workspace under its id, or earlier in this import."""

    title: str
    place: str
    id: str = ""


class ConversationIngest:
    """Writes the conversations of the files of one import.

    With `use_known` a conversation that the workspace has already is used as it is there, once an import; else it is
    rejected as a duplicate.
    """

    def __init__(self, intake: Intake, db: Database, *, use_known: bool = False) -> None:
        self._intake = intake
        self._use_known = use_known
        self._seen = {key: Seen(title, "in this workspace", ident) for key, (ident, title) in by_hash(db).items()}

    def take(self, found: Recognised) -> None:
        """Every record of the file becomes a conversation, or is rejected by name."""
        intake = self._intake
        reads = records(found.path, found.encoding, found.layout, intake.token)
        for number, read in enumerate(reads, start=1):
            intake.token.raise_if_cancelled()
            intake.tick(read.offset, f"{number:,} conversations")
            if isinstance(read, Broken):
                intake.reject(read.error)
                continue
            line = 0 if found.layout.single else read.line
            if found.importer is None:
                continue
            if (before := intake.before(CONVERSATION, number)) is not None:
                intake.made[CONVERSATION].append(str(before["id"]))
                intake.used(1)
                continue
            try:
                self._take_record(found, found.importer, read, line, number)
            except AppError as error:
                if error.code in ("disk_full", "file_error"):
                    raise
                error.where = replace(error.where, file=str(found.path), line=line)
                intake.reject(error)

    def _take_record(self, found: Recognised, importer: Importer, read: Record, line: int, number: int) -> None:
        intake = self._intake
        parsed = parse(importer.convert(read.value))
        if present := self._check(parsed, found.path, line):
            intake.add_present(CONVERSATION, present, ALREADY_HERE, line=line, number=number)
        else:
            raw = found.path.read_bytes() if found.layout.single else read.raw
            ident = new_id()
            row = _row(files.write(intake.workspace, ident, raw, parsed), parsed, found)
            intake.add(CONVERSATION, row, line=line, number=number)
        intake.used(1)

    def _check(self, parsed: Parsed, path: Path, line: int) -> str:
        """Remember a conversation; returns the id of the one to use instead, if any.

        Raises AppError `duplicate` naming the one that is there.
        """
        earlier = self._seen.get(parsed.content_hash)
        if earlier is not None and not (self._use_known and earlier.id):
            raise AppError(
                "duplicate",
                f"The same conversation is already {earlier.place}: “{earlier.title}”.",
                hint="Nothing to do. To replace it, delete the existing one first.",
            )
        place = f"in {path.name}" + (f", line {line}" if line else "")
        self._seen[parsed.content_hash] = Seen(parsed.title, place)
        return earlier.id if earlier is not None else ""


def _row(row: Mapping[str, Any], parsed: Parsed, found: Recognised) -> Mapping[str, Any]:
    notes = [*found.notes, *parsed.notes]
    return {**row, "status": "draft", "source_path": str(found.path), "import_notes": notes}
