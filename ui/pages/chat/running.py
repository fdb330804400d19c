"""An answer under way: who gives it, or who side by side, and what has come so far. No widgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core.models.store import BaseModel
from core.projects import chats, compared
from core.projects.chats import Chat, Message
from core.training.store import Adapter
from ui.pages.chat.knowledge import CodeQuestion


@dataclass(frozen=True)
class Comparison:
    """Who answers a question side by side, in the order shown; None is the base. `place`: whose answer counts."""

    adapters: Sequence[Adapter | None]
    place: int
    blind: bool = False


@dataclass
class Side:
    """One of the answers being written: by an adapter, or by the base alone."""

    adapter: Adapter | None
    text: str = ""
    status: str = chats.INTERRUPTED
    stats: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Running:
    """An answer under way, or several side by side, one after the other; the text of side `main` is the message's.

    `prompt` is what is asked, `plain` the same without the code of its project.
    """

    chat: Chat
    base: BaseModel
    message: Message
    history: Sequence[Message]
    prompt: Sequence[Mapping[str, str]]
    sides: list[Side]
    main: int = 0
    blind: bool = False
    place: int = 0
    ident: str = ""
    stopping: bool = False
    code: CodeQuestion | None = None
    plain: Sequence[Mapping[str, str]] = ()

    @property
    def looking(self) -> bool:
        """Whether its project's code is being searched."""
        return self.code is not None and self.code.given is None

    @property
    def side(self) -> Side:
        """The one that is being written."""
        return self.sides[self.place]

    def as_message(self) -> Message:
        """The row as it would be written now."""
        sides = tuple(
            compared.Side(side.adapter.id if side.adapter else None, side.text, side.status, dict(side.stats))
            for side in self.sides
        )
        if len(sides) > 1:
            return compared.Compared(sides, self.main, self.blind).put_into(self.message)
        own = sides[0]
        return replace(
            self.message, content=own.content, status=own.status, stats=own.stats, artifact_id=own.artifact_id
        )


def placeholder(compare: Comparison | None) -> Mapping[str, Any]:
    """What an answer's row says until it is written: who is asked side by side."""
    if compare is None:
        return {}
    sides = (compared.Side(who.id if who else None, "", chats.INTERRUPTED, {}) for who in compare.adapters)
    return compared.Compared(tuple(sides), compare.place, compare.blind).kept()
