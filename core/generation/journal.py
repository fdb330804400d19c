"""The run's own log, written before anything is done with a reply, and read again by the next attempt.

What the log says of a conversation: its replies in order, how it ended, and the requests that were sent and never
answered. Those may have been paid for, so that they are booked at the most that they can have cost.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.workers.host import JobContext
from core.workers.protocol import read_events

# Room for what comes in when the disk is full: replies under way, and how the run ended.
BALLAST_BYTES = 4 << 20
REOPEN = "reopen"


@dataclass
class ItemHistory:
    """What happened to one conversation. `steps` are replies and reopenings, in order."""

    steps: list[Mapping[str, Any] | str] = field(default_factory=list)
    tries: dict[str, int] = field(default_factory=dict)
    failed: bool = False
    failed_round: int = 0
    transient: bool = False


@dataclass
class Sent:
    """A request that was sent; `most` is what it can cost."""

    item: str
    key: str
    tried: int
    most: Decimal | None


@dataclass
class RemoteState:
    """A batch at the service: what was asked and the most it can cost; `id` empty until its creation was recorded."""

    number: int
    keys: list[str]
    asked_at: float
    most: Decimal | None
    id: str = ""
    cancelling: bool = False
    ended: bool = False


@dataclass
class History:
    """Everything that earlier attempts reported. Finished conversations are kept as ids alone."""

    items: dict[str, ItemHistory] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    open: dict[str, Sent] = field(default_factory=dict)
    batches: list[RemoteState] = field(default_factory=list)
    spent: Decimal = Decimal(0)
    unsure: Decimal = Decimal(0)
    unknown: int = 0
    round: int = 0

    def of(self, item: str) -> ItemHistory:
        """The history of one conversation, empty if nothing happened yet."""
        return self.items.setdefault(item, ItemHistory())

    def take(self, event: Mapping[str, Any]) -> None:
        """One event of the log."""
        handler = getattr(self, f"_{event['type']}", None)
        if handler is not None:
            handler(event)

    def _asked(self, event: Mapping[str, Any]) -> None:
        most = None if event["most_usd"] is None else Decimal(event["most_usd"])
        self.open[event["record"]] = Sent(event["item"], event["key"], event["tried"], most)
        if event["item"] not in self.made:
            self.of(event["item"]).tries[event["key"]] = event["tried"] + 1

    def _reply(self, event: Mapping[str, Any]) -> None:
        sent = self.open.pop(event["record"], None)
        if event["usd"] is None:
            self.unknown += 1
            self.unsure += (sent.most if sent else None) or Decimal(0)
        else:
            self.spent += Decimal(event["usd"])
        if event["item"] not in self.made:
            self.of(event["item"]).steps.append({**event["reply"], "key": event["key"]})

    def _lost(self, event: Mapping[str, Any]) -> None:
        self.open.pop(event["record"], None)
        self.unsure += Decimal(event["most_usd"] or 0)

    def _rejected(self, event: Mapping[str, Any]) -> None:
        self.open.pop(event["record"], None)

    def _conversation(self, event: Mapping[str, Any]) -> None:
        self.made.add(event["item"])
        self.items.pop(event["item"], None)

    def _rewritten(self, event: Mapping[str, Any]) -> None:
        self.made.add(event["item"])

    def _item_failed(self, event: Mapping[str, Any]) -> None:
        history = self.of(event["item"])
        history.failed, history.transient = True, bool(event["transient"])

    def _reopened(self, event: Mapping[str, Any]) -> None:
        self.round = int(event["round"])
        for ident in event["items"]:
            self.of(ident).failed = False
            self.of(ident).steps.append(REOPEN)

    def _batch_asked(self, event: Mapping[str, Any]) -> None:
        most = None if event["most_usd"] is None else Decimal(event["most_usd"])
        self.batches.append(RemoteState(int(event["number"]), list(event["keys"]), float(event["at"]), most))

    def _batch(self, event: Mapping[str, Any]) -> RemoteState | None:
        return next((b for b in self.batches if b.number == event["number"]), None)

    def _batch_created(self, event: Mapping[str, Any]) -> None:
        if (batch := self._batch(event)) is not None:
            batch.id = str(event["batch_id"])

    def _batch_cancel(self, event: Mapping[str, Any]) -> None:
        if (batch := self._batch(event)) is not None:
            batch.cancelling = True

    def _batch_ended(self, event: Mapping[str, Any]) -> None:
        if (batch := self._batch(event)) is not None:
            batch.ended = True


def read_history(path: Path) -> History:
    """What a run's log holds, read event by event."""
    history = History()
    for event, _ in read_events(path) if path.exists() else ():
        history.take(event)
    return history


class Journal:
    """Records events and forces them to disk; those who wait at the same time share one fsync."""

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._ballast = context.run_dir / "ballast"
        self._wanted = self._synced = 0
        self._one = asyncio.Lock()
        self.full = False

    def open(self) -> None:
        """Keep some room on the disk. Raises OSError when there is none at the start."""
        if not self._ballast.exists():
            with self._ballast.open("wb") as handle:
                handle.write(b"\0" * BALLAST_BYTES)
                handle.flush()
                os.fsync(handle.fileno())
        self._context.when_full(self._give_room)

    def _give_room(self) -> bool:
        self.full = True
        with contextlib.suppress(OSError):
            self._ballast.unlink()
            return True
        return False

    def close(self) -> None:
        """Give the room back."""
        with contextlib.suppress(OSError):
            self._ballast.unlink(missing_ok=True)

    def note(self, kind: str, **fields: Any) -> None:
        """Record an event; it survives the end of the process at once, and a loss of power with the next `record`."""
        self._context.emit(kind, **fields)

    async def record(self, kind: str, **fields: Any) -> None:
        """Record an event and return once it is on the disk."""
        self._context.emit(kind, **fields)
        await self.synced()

    async def synced(self) -> None:
        """Return once everything that was noted is on the disk."""
        self._wanted += 1
        mine = self._wanted
        async with self._one:
            if self._synced >= mine:
                return
            upto = self._wanted
            await asyncio.to_thread(self._context.sync)
            self._synced = upto
