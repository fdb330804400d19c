"""Rows of the database as turns of the transcript, and the line below the title."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.projects import chats
from core.projects.assistant import cited, given_of
from core.projects.chats import ANSWERED_BY, Chat, Message
from core.projects.compared import Side, compared_of
from core.projects.corrections import Correction
from ui import format as fmt
from ui.pages.chat.adapter_menu import ACTIVE, BASE, LOADING, ON_DISK, RESIDENT, Choice
from ui.pages.chat.chat_list import Entry
from ui.pages.chat.data import UNLOADED, Overview, base_name, context_text, small_time, switch_text
from ui.pages.chat.given_panel import Place
from ui.pages.chat.message import STREAMING, UNDER_WAY, WAITING, Said, Turn
from ui.pages.chat.running import Running
from ui.pages.chat.session import ChatSession

ENDED = (chats.COMPLETE, chats.STOPPED, chats.FAILED)
TITLE_CHARACTERS = 30
LETTERS = "ABCD"


class Names:
    """Who answered, by adapter id; deleted adapters keep the name they were read with. `kept`: answers to train on."""

    def __init__(self) -> None:
        self.base = "Base"
        self.kept: dict[tuple[str, str], Correction] = {}
        self._known: dict[str, str] = {}

    def learn(self, names: Mapping[str, str]) -> None:
        """More adapters."""
        self._known.update(names)

    def of(self, adapter_id: str | None, base: str = "") -> str:
        """The label of an answer; `base` is the one that gave it, where that is known."""
        return self._known.get(adapter_id, "Unknown adapter") if adapter_id else f"{base or self.base}, no adapter"


def turn_of(message: Message, names: Names, running: Running | None, *, last: bool) -> Turn:
    """One row of the transcript. Without an end state and not under way means: it was interrupted."""
    if message.role == "user":
        files = tuple((file.name, file.text) for file in message.attachments)
        said = (Said("You", message.content, message.status),)
        return Turn(message.id, "user", said, last, files=files, position=message.position)
    live = running is not None and running.message.id == message.id
    found = compared_of(message)
    own = Side(message.artifact_id, message.content, message.status, message.stats)
    sides = found.sides if found is not None else (own,)
    parts = []
    for place, side in enumerate(sides):
        shown = side.status if side.status in ENDED else chats.INTERRUPTED
        if live and running is not None and place >= running.place:
            shown = STREAMING if place == running.place else WAITING
        blind = found is not None and found.blind
        # Speed gives away who it is.
        who, stats = (f"Answer {LETTERS[place]}", {}) if blind else (_who(names, side), side.stats)
        parts.append(Said(who, side.content, shown, stats, () if shown in UNDER_WAY else _places(side)))
    counts = found.place if found is not None and not found.blind else -1
    variant = (message.place, len(message.others) + 1)
    kept = names.kept.get((message.id, message.content.strip()))
    words = "" if kept is None else "Corrected" if kept.corrected else "Kept"
    return Turn(message.id, "assistant", tuple(parts), last, variant, counts, position=message.position, kept=words)


def _who(names: Names, side: Side) -> str:
    return names.of(side.artifact_id, str(side.stats.get(ANSWERED_BY, "")))


def _places(side: Side) -> tuple[Place, ...]:
    """The places in the project's code that an answer names."""
    given = given_of(side.stats)
    if given is None:
        return ()
    return tuple((place.place, place.path, place.start_line, place.given) for place in cited(side.content, given))


def turns_of(messages: Sequence[Message], names: Names, running: Running | None) -> list[Turn]:
    """The whole transcript; the last row may be asked again."""
    return [turn_of(m, names, running, last=i == len(messages) - 1) for i, m in enumerate(messages)]


def short_title(title: str) -> str:
    """A title for a notice."""
    return title if len(title) <= TITLE_CHARACTERS else f"{title[: TITLE_CHARACTERS - 1].rstrip()}…"


def entries_of(overview: Overview) -> list[Entry]:
    """The list of chats: the model of each, and when it was used."""
    out = []
    for chat in overview.chats:
        adapter = overview.adapter(chat.artifact_id)
        who = adapter.name if adapter is not None else base_name(overview.base(chat.base_model_id))
        out.append(Entry(chat.id, chat.title, f"{fmt.moment(chat.updated_at)} · {who}", chat.pinned))
    return out


def choices_of(overview: Overview, chat: Chat, session: ChatSession, loaded: bool) -> list[Choice]:
    """The chips: the base, then its adapters."""
    chosen = overview.adapter(chat.artifact_id)
    out = [Choice(BASE, "Base", ACTIVE if chosen is None else RESIDENT if loaded else ON_DISK)]
    for adapter in overview.adapters_of(chat.base_model_id):
        state = RESIDENT if adapter.id in session.resident else ON_DISK
        if adapter.id == session.loading_adapter:
            state = LOADING
        elif chosen is not None and adapter.id == chosen.id:
            state = ACTIVE
        out.append(Choice(adapter.id, adapter.name, state, adapter.id in overview.pinned))
    return out


def state_line(overview: Overview, chat: Chat, session: ChatSession, engine: Any, messages: Sequence[Message]) -> str:
    """The line below the title: what the model does, the last switch, how full the context is."""
    parts = [_now(overview, session, engine, chat)]
    if (weak := overview.weakened(chat.artifact_id, chat.base_model_id)) is not None:
        parts.append(f"weakened on this base: {fmt.percent(weak.left)} of its effect is left")
    answers = [m for m in messages if m.role == "assistant" and m.stats.get("tokens") is not None]
    if answers and (shown := compared_of(answers[-1])) is not None and shown.blind:
        # Times and sizes would give away who it is.
        answers = []
    if answers and not session.prepared and loaded(overview, chat, engine):
        last = answers[-1]
        if last.artifact_id or any(m.artifact_id != last.artifact_id for m in answers):
            parts.append(switch_text(last.stats))
    if answers:
        parts.append(context_text(answers[-1].stats))
    text = " · ".join(part for part in parts if part)
    return text[:1].upper() + text[1:]


def _now(overview: Overview, session: ChatSession, engine: Any, chat: Chat) -> str:
    running = session.running
    if running is not None:
        if running.chat.id != chat.id:
            return f"answering in “{short_title(running.chat.title)}”"
        if running.looking:
            return "looking into the code"
        if engine.state == "waiting":
            return str(engine.wait_words)
        if engine.state in ("starting", "loading"):
            return "loading the model"
        if not running.side.text:
            return "reading the question"
        if running.blind:
            return f"answer {LETTERS[running.place]} is being written"
        return f"{running.side.adapter.name if running.side.adapter else 'the base'} is answering"
    if session.summarizer.chat is not None:
        return "summarising older messages"
    if session.loading_adapter:
        adapter = overview.adapter(session.loading_adapter)
        return f"loading {adapter.name if adapter else 'the adapter'}"
    if not loaded(overview, chat, engine):
        return UNLOADED.format(engine.unload_reason) if engine.unload_reason else _resting(overview, chat)
    prepared = overview.adapter(session.prepared.get("adapter"))
    if prepared is not None and prepared.id == chat.artifact_id:
        took = small_time(float(session.prepared.get("seconds", 0)))
        how = "is in memory" if session.prepared.get("was_resident") else f"loaded in {took}"
        return f"{prepared.name} {how} and answers next"
    if session.resident:
        return f"{fmt.plural(len(session.resident), 'adapter')} in memory"
    return "model ready"


def loaded(overview: Overview, chat: Chat, engine: Any) -> bool:
    """Whether the base of this chat is in memory, or on its way."""
    base = overview.base(chat.base_model_id)
    return engine.state not in ("off", "ready") or (base is not None and engine.has(base.path, base.engine))


def _resting(overview: Overview, chat: Chat) -> str:
    if chat.artifact_id and overview.adapter(chat.artifact_id) is None:
        return "the chosen adapter was deleted; the base answers"
    return "the model loads when you ask"
