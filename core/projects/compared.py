"""A question that several answered side by side: the base and adapters, in the order they are shown, maybe unnamed.

One of the answers counts for the conversation and is the message's own; the others are kept in its stats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from core.db import Database
from core.errors import AppError
from core.events import Changed
from core.projects.chats import Message, message, write_answer

COMPARED = "compared"
MOST = 4


@dataclass(frozen=True)
class Side:
    """What one of them answered; `artifact_id` is None for the base alone."""

    artifact_id: str | None
    content: str = ""
    status: str = ""
    stats: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Compared:
    """`place` is the side that counts; while `blind`, nobody is told who is who."""

    sides: tuple[Side, ...]
    place: int
    blind: bool = False

    def put_into(self, found: Message) -> Message:
        """The message with all of it: the side that counts as its own answer."""
        own = self.sides[self.place]
        return replace(
            found, content=own.content, status=own.status, artifact_id=own.artifact_id,
            stats={**own.stats, **self.kept()},
        )  # fmt: skip

    def kept(self) -> dict[str, Any]:
        """What the stats of the message keep of it."""
        others = [asdict(side) for number, side in enumerate(self.sides) if number != self.place]
        return {COMPARED: {"others": others, "place": self.place, "blind": self.blind}}


def compared_of(found: Message) -> Compared | None:
    """The answers of a message side by side, None where there is one alone."""
    kept = found.stats.get(COMPARED)
    if not isinstance(kept, Mapping):
        return None
    own = Side(found.artifact_id, found.content, found.status,
               {name: value for name, value in found.stats.items() if name != COMPARED})  # fmt: skip
    if "others" not in kept:
        # As it was kept first: the base's answer beside the adapter's.
        base = Side(None, str(kept.get("content", "")), str(kept.get("status", "")), kept.get("stats", {}))
        return Compared((base, own), 1)
    others = [Side(**side) for side in kept["others"]]
    place = min(int(kept["place"]), len(others))
    return Compared((*others[:place], own, *others[place:]), place, bool(kept.get("blind")))


def choose(db: Database, message_id: str, place: int) -> Changed:
    """Let that side's answer count, and name everybody. Raises AppError `no_such_message`."""
    found = message(db, message_id)
    shown = compared_of(found)
    if shown is None or not 0 <= place < len(shown.sides):
        raise AppError("no_such_message", f"There is no answer {place + 1} there.", hint="Open the chat again.")
    return write_answer(db, replace(shown, place=place, blind=False).put_into(found))
