"""What happened in a run, read from the event log of its worker: for the log on the run's page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import AppError
from core.workers import protocol
from core.workers.session import run_folder
from core.workspace.paths import Workspace


@dataclass(frozen=True)
class Entry:
    """One thing worth a line: started, resumed, validation, checkpoint, published, stopped, failed or done."""

    kind: str
    step: int
    elapsed_s: float
    loss: float | None = None
    best: bool = False
    reason: str = ""


class History:
    """Reads one run's log on, from where it was last read. Not for two threads at once."""

    def __init__(self, workspace: Workspace, run_id: str) -> None:
        self.run_id = run_id
        self._path: Path = run_folder(workspace, run_id) / "events.jsonl"
        self._offset = 0
        self._step = 0
        self._elapsed_s = 0.0
        self._best: float | None = None

    def read_on(self) -> list[Entry]:
        """What was added since the last call, oldest first; nothing while there is no log."""
        out: list[Entry] = []
        try:
            with self._path.open("rb") as handle:
                handle.seek(self._offset)
                for line in handle:
                    if not line.endswith(b"\n"):
                        break
                    self._offset += len(line)
                    entry = self._entry(protocol.decode(line))
                    if entry is not None:
                        out.append(entry)
        except (OSError, AppError):
            return out
        return out

    def _entry(self, event: Mapping[str, Any]) -> Entry | None:
        kind = str(event["type"])
        if kind == "metric":
            return self._metric(event)
        if kind in ("resumed", "checkpoint"):
            self._step = int(event["step"])
            return self._here(kind)
        names = {"started": "started", "artifact": "published", "done": "done"}
        if kind in names:
            return self._here(names[kind])
        if kind == "stopped":
            return self._here(kind, str(event.get("reason", "")))
        if kind == "failed":
            return self._here(kind, str(event["error"].get("message", "")))
        return None

    def _here(self, kind: str, reason: str = "") -> Entry:
        return Entry(kind, self._step, self._elapsed_s, reason=reason)

    def _metric(self, event: Mapping[str, Any]) -> Entry | None:
        self._step = int(event["step"])
        self._elapsed_s = float(event.get("elapsed_s") or 0.0)
        loss = event.get("validation_loss")
        if loss is None:
            return None
        best = self._step > 0 and (self._best is None or loss < self._best)
        self._best = loss if best else self._best
        return Entry("validation", self._step, self._elapsed_s, float(loss), best)
