"""What an import reported about each file and line: rows of `import_items`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.db import Database
from core.db.connection import transaction
from core.events import Changed

STORED_PER_FILE = 1_000


@dataclass
class Tally:
    """Units in = used + rejected + cut."""

    used: int = 0
    rejected: int = 0
    cut: int = 0

    def add(self, counts: Mapping[str, int]) -> None:
        """Add counts of the same names; others are ignored."""
        self.used += counts["used"]
        self.rejected += counts["rejected"]
        self.cut += counts["cut"]

    def to_json(self) -> dict[str, int]:
        """The form of a job's result."""
        total = self.used + self.rejected + self.cut
        return {"in": total, "used": self.used, "rejected": self.rejected, "cut": self.cut}


@dataclass(frozen=True)
class ImportItem:
    """One line of the report. `outcome` is used, rejected or cut; `target` the id of what it became."""

    seq: int
    file: str
    line: int
    field: str
    outcome: str
    code: str
    message: str
    hint: str
    target: str


def add(db: Database, job_id: str, event: Mapping[str, Any]) -> Changed:
    """Keep one reported item; the event's number makes it happen once."""
    names = ("file", "line", "field", "outcome", "code", "message", "hint", "target")
    with transaction(db):
        db.execute(
            "insert or ignore into import_items(job_id, seq, file, line, field, outcome, code, message, hint, target)"
            " values(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [job_id, event["seq"], *(event.get(name, 0 if name == "line" else "") for name in names)],
        )
    return Changed.JOBS


def items(db: Database, job_id: str, *, outcome: str = "", limit: int = 500, offset: int = 0) -> list[ImportItem]:
    """A page of a job's report, in the order things happened."""
    where, args = "job_id = ?", [job_id]
    if outcome:
        where += " and outcome = ?"
        args.append(outcome)
    sql = f"select * from import_items where {where} order by seq limit ? offset ?"
    names = ImportItem.__dataclass_fields__
    return [ImportItem(**{n: row[n] for n in names}) for row in db.execute(sql, [*args, limit, offset]).fetchall()]


def counts(db: Database, job_id: str) -> dict[str, int]:
    """Stored items by outcome; the job's result has the complete numbers."""
    sql = "select outcome, count(*) as n from import_items where job_id = ? group by outcome"
    return {row["outcome"]: row["n"] for row in db.execute(sql, [job_id]).fetchall()}
