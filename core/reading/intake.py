"""Counts, report and progress of a job that reads files: every unit that came in is used, rejected or cut, once.

A stopped or interrupted job is started again from its first file: files that were finished are passed over with their
counts, and what was reported of a half-read file is not reported twice.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import AppError
from core.reading.encoding import printable
from core.reading.report import STORED_PER_FILE, Tally
from core.workers.host import JobContext
from core.workers.protocol import read_events

_TICK_S = 0.2
CONVERSATION, DATASET = KINDS = ("conversation", "dataset")
ALREADY_HERE = "already_here"


@dataclass
class _Before:
    """What an earlier attempt at the same job had reported: made things by file, kind and number of the record."""

    files: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    rejected: Counter[tuple[str, int, str, str]] = field(default_factory=Counter)
    made: dict[tuple[str, str, int], Mapping[str, Any]] = field(default_factory=dict)


class Intake:
    """State of a job that reads files; `KINDS` are the things that files become.

    `made` maps a kind to the ids of what the job made, or found present, in the order of the files.
    """

    def __init__(self, context: JobContext, total_bytes: int) -> None:
        self.tally = Tally()
        self.token = context.token
        self.workspace = context.workspace
        self.run_dir = context.run_dir
        self.made: dict[str, list[str]] = {kind: [] for kind in KINDS}
        self._context = context
        self._total = total_bytes
        self._before = _before(context.run_dir / "events.jsonl")
        self._finished_bytes = 0
        self._size = 0
        self._file = ""
        self._stored = self._more = 0
        self._at_start = Tally()
        self._made_at_start: dict[str, int] = {}
        self._next_tick = 0.0

    def start_file(self, path: Path, size: int = 0) -> bool:
        """Turn to the next file. False when an earlier attempt had finished it: its counts are taken over."""
        self._file, self._size, self._stored, self._more = printable(path), size, 0, 0
        self._at_start = Tally(self.tally.used, self.tally.rejected, self.tally.cut)
        self._made_at_start = {kind: len(ids) for kind, ids in self.made.items()}
        done = self._before.files.get(self._file)
        if done is None:
            return True
        self.tally.add(done)
        for kind, ids in self.made.items():
            ids += done[_listed(kind)]
        self._finished_bytes += size
        return False

    def end_file(self) -> None:
        """Report what was not listed, and that the file is done."""
        if self._more:
            self.item(
                "rejected", code="more_rejected",
                message=f"{self._more:,} more were left out for reasons like those above; all of them are counted.",
                hint="Fix the listed items, then import the file again to see the rest.",
            )  # fmt: skip
        start = self._at_start
        self._context.emit(
            "file", file=self._file, used=self.tally.used - start.used, rejected=self.tally.rejected - start.rejected,
            cut=self.tally.cut - start.cut,
            **{_listed(kind): ids[self._made_at_start[kind] :] for kind, ids in self.made.items()},
        )  # fmt: skip
        self._finished_bytes += self._size

    def reject(self, error: AppError, units: int = 1) -> None:
        """Count something as rejected and report it; per file the first 1,000 are listed."""
        self.tally.rejected += units
        place = (self._file, error.where.line, error.where.field, error.code)
        if self._stored >= STORED_PER_FILE:
            self._more += units
            return
        self._stored += 1
        # Several records of one line can be wrong in the same way; each was listed once.
        if self._before.rejected[place]:
            self._before.rejected[place] -= 1
        else:
            self.item(
                "rejected", line=error.where.line, field=error.where.field, code=error.code, message=error.message,
                hint=error.hint,
            )  # fmt: skip

    def used(self, units: int, cut: int = 0) -> None:
        """Count units that were taken in, and parts of them that can't be trained on."""
        self.tally.used += units
        self.tally.cut += cut

    def item(self, outcome: str, **fields: Any) -> None:
        """Report one line about the present file."""
        line = {"line": 0, "field": "", "code": "", "message": "", "hint": "", "target": ""}
        self._context.emit("item", file=self._file, outcome=outcome, **(line | fields))

    def before(self, kind: str, number: int = 0) -> Mapping[str, Any] | None:
        """The row that an earlier attempt reported of this kind for the present file (its record of this number).

        Only {"id"} of something that was present in the workspace.
        """
        return self._before.made.get((self._file, kind, number))

    def add(self, kind: str, row: Mapping[str, Any], **place: int) -> None:
        """Report something whose files are in place; `place` may hold line and number of its record."""
        self._context.emit(kind, row=row, file=self._file, **place)
        self.made[kind].append(str(row["id"]))

    def add_present(self, kind: str, ident: str, code: str, **place: int) -> None:
        """Report that something is in the workspace already and is used as it is there."""
        self.item(
            "used", target=ident, code=code, message="Already in this workspace; the existing one is used.", **place
        )
        self.made[kind].append(ident)

    def tick(self, offset: int, what: str) -> None:
        """Progress within the present file, at most a few times a second."""
        moment = time.monotonic()
        if moment >= self._next_tick:
            self._next_tick = moment + _TICK_S
            done = min(self._total, self._finished_bytes + offset)
            self._context.progress(done, self._total, "Reading", f"{Path(self._file).name}: {what}")

    def result(self) -> dict[str, Any]:
        """The result of an import job."""
        return self.tally.to_json() | {_listed(kind): ids for kind, ids in self.made.items()}


def _listed(kind: str) -> str:
    """The name of a list of ids in events and results."""
    return f"{kind}s"


def _before(path: Path) -> _Before:
    found = _Before()
    for event, _ in read_events(path) if path.exists() else ():
        kind = event["type"]
        if kind == "file":
            found.files[event["file"]] = event
        elif kind in KINDS:
            found.made[(event["file"], kind, event.get("number", 0))] = event["row"]
        elif kind == "item" and event["code"] == ALREADY_HERE:
            found.made[(event["file"], CONVERSATION, event["number"])] = {"id": event["target"]}
        elif kind == "item" and event["outcome"] == "rejected":
            found.rejected[(event["file"], event["line"], event["field"], event["code"])] += 1
    return found
