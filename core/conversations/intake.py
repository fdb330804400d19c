"""The books of one import: every unit that came in is used, rejected or cut, and reported once.

After a stop or a crash the job starts again: files that were finished are passed over with their counts, and
what was reported of a half-read file is not reported twice.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.conversations.report import STORED_PER_FILE, Tally
from core.conversations.text import printable
from core.errors import AppError
from core.workers.host import JobContext
from core.workers.protocol import read_events

_TICK_S = 0.2


@dataclass
class _Before:
    """What an earlier attempt at the same job had reported."""

    files: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    rejected: Counter[tuple[str, int, str, str]] = field(default_factory=Counter)
    conversations: dict[tuple[str, int], str] = field(default_factory=dict)
    datasets: dict[str, Mapping[str, Any]] = field(default_factory=dict)


class Intake:
    """Counts, reports and progress of a job that reads files of other people."""

    def __init__(self, context: JobContext, total_bytes: int) -> None:
        self.tally = Tally()
        self.token = context.token
        self.workspace = context.workspace
        self.run_dir = context.run_dir
        self.conversations: list[str] = []
        self.datasets: list[str] = []
        self.names: list[str] = []
        self.made: dict[str, str] = {}
        self._context = context
        self._total = total_bytes
        self._before = _before(context.run_dir / "events.jsonl")
        self._finished_bytes = 0
        self._size = 0
        self._file = ""
        self._stored = self._more = 0
        self._at_start = Tally()
        self._new: dict[str, list[str]] = {}
        self._next_tick = 0.0

    def start_file(self, path: Path, size: int = 0) -> bool:
        """Turn to the next file. False when an earlier attempt had finished it: its counts are taken over."""
        self._file, self._size, self._stored, self._more = printable(path), size, 0, 0
        self._at_start = Tally(self.tally.used, self.tally.rejected, self.tally.cut)
        self._new = {"conversations": [], "datasets": []}
        done = self._before.files.get(self._file)
        if done is None:
            return True
        for name in ("used", "rejected", "cut"):
            setattr(self.tally, name, getattr(self.tally, name) + done[name])
        self.conversations += done["conversations"]
        self.datasets += done["datasets"]
        self._finished_bytes += size
        return False

    def end_file(self) -> None:
        """Report what was not listed, and that the file is done."""
        if self._more:
            self.item(
                "rejected", code="more_rejected",
                message=f"{self._more:,} more were left out for reasons like those above; all of them are counted.",
                hint="Mend what is listed, then import the file again to see the rest.",
            )  # fmt: skip
        start = self._at_start
        self._context.emit(
            "file", file=self._file, used=self.tally.used - start.used, rejected=self.tally.rejected - start.rejected,
            cut=self.tally.cut - start.cut, **self._new,
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

    def taken_before(self, number: int) -> bool:
        """Whether an earlier attempt took the file's record of this number in; then it is counted."""
        ident = self._before.conversations.get((self._file, number))
        if ident is None:
            return False
        self._count_conversation(ident)
        return True

    def conversation(self, row: Mapping[str, Any], line: int, number: int) -> None:
        """Report a conversation whose files are in place: on this line, the file's record of this number."""
        self._context.emit("conversation", row=row, file=self._file, line=line, number=number)
        self._count_conversation(str(row["id"]))

    def known_conversation(self, ident: str, line: int, number: int) -> None:
        """Report a conversation that is in the workspace already and is used as it is there."""
        message = "Already in this workspace; used as it is there."
        self.item("used", line=line, number=number, target=ident, code="already_here", message=message)
        self._count_conversation(ident)

    def _count_conversation(self, ident: str) -> None:
        self.tally.used += 1
        self.conversations.append(ident)
        self._new["conversations"].append(ident)

    def dataset(self, row: Mapping[str, Any]) -> None:
        """Report a dataset whose files are in place."""
        self._context.emit("dataset", row=row, file=self._file)
        self._take_dataset(row)

    def _take_dataset(self, row: Mapping[str, Any]) -> None:
        self.names.append(str(row["name"]))
        self.made[str(row["content_hash"])] = Path(self._file).name
        self.datasets.append(str(row["id"]))
        self._new["datasets"].append(str(row["id"]))

    def known_dataset(self, ident: str) -> None:
        """Report that the file's dataset is in the workspace already and is used as it is there."""
        self.item("used", target=ident, code="dataset_here", message="Already in this workspace; used as it is there.")
        self.datasets.append(ident)
        self._new["datasets"].append(ident)

    def dataset_taken_before(self) -> bool:
        """Whether an earlier attempt made a dataset of the file; then it is counted."""
        row = self._before.datasets.get(self._file)
        if row is None:
            return False
        for name in ("used", "rejected", "cut"):
            setattr(self.tally, name, getattr(self.tally, name) + row["counts"][name])
        self._take_dataset(row)
        return True

    def tick(self, offset: int, what: str) -> None:
        """Progress within the present file, at most a few times a second."""
        moment = time.monotonic()
        if moment >= self._next_tick:
            self._next_tick = moment + _TICK_S
            done = min(self._total, self._finished_bytes + offset)
            self._context.progress(done, self._total, "Reading", f"{Path(self._file).name}: {what}")

    def result(self) -> dict[str, Any]:
        """The result of an import job."""
        return {**self.tally.to_json(), "conversations": self.conversations, "datasets": self.datasets}


def _before(path: Path) -> _Before:
    found = _Before()
    for event, _ in read_events(path) if path.exists() else ():
        kind = event["type"]
        if kind == "file":
            found.files[event["file"]] = event
        elif kind == "conversation":
            found.conversations[(event["file"], event["number"])] = event["row"]["id"]
        elif kind == "dataset":
            found.datasets[event["file"]] = event["row"]
        elif kind == "item" and event["code"] == "already_here":
            found.conversations[(event["file"], event["number"])] = event["target"]
        elif kind == "item" and event["outcome"] == "rejected":
            found.rejected[(event["file"], event["line"], event["field"], event["code"])] += 1
    return found
