"""A raw conversation as its parsed form: title, turns, input parameters; errors name the turn."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from core.errors import AppError, Where
from core.reading.errors import json_type, shown
from core.reading.limits import MAX_TURNS, SPLIT, too_many_turns
from core.scaffolding.store import TIERS

ROLES = ("user", "assistant")
KEYS = ("persona_key", "emotional_arc_key", "training_topic_key")
_FOREIGN = (
    "persona_id", "persona_name", "emotional_arc_id", "emotional_arc_name", "training_topic_id", "training_topic_name",
)  # fmt: skip
_TOP = ("title", "turns", "input_parameters", "tier", "conversation_id", "id", "conversation_metadata")
_IN_TURN = ("role", "content", "emotional_context")
_TITLE_LENGTH = 80
_NAMED = 8


@dataclass(frozen=True)
class Turn:
    """One turn; `content` is None where the consultant's answer is still missing."""

    role: str
    content: str | None
    emotional_context: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """As in parsed.json."""
        out: dict[str, Any] = {"role": self.role, "content": self.content}
        return out | ({"emotional_context": dict(self.emotional_context)} if self.emotional_context else {})


def content_hash(turns: Iterable[Turn]) -> str:
    """What tells two conversations apart: who says what."""
    return hashlib.sha256(orjson.dumps([[turn.role, turn.content] for turn in turns])).hexdigest()


@dataclass(frozen=True)
class Parsed:
    """What the product works with; `source_ids` keeps ids and names from elsewhere."""

    title: str
    turns: tuple[Turn, ...]
    input_parameters: Mapping[str, Any]
    tier: str | None = None
    source_id: str | None = None
    notes: tuple[str, ...] = ()
    source_ids: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The content of parsed.json."""
        out: dict[str, Any] = {
            "title": self.title,
            "turns": [turn.to_json() for turn in self.turns],
            "input_parameters": dict(self.input_parameters),
        }
        if self.metadata:
            out["conversation_metadata"] = dict(self.metadata)
        return out | ({"tier": self.tier} if self.tier else {})

    @property
    def content_hash(self) -> str:
        """Same turns, same hash, whatever the title or the scaffolding."""
        return content_hash(self.turns)

    def key(self, name: str) -> str | None:
        """One of the scaffolding keys, None if it is absent."""
        value = self.input_parameters.get(name)
        return value if isinstance(value, str) and value else None


def parse(raw: Mapping[str, Any]) -> Parsed:
    """Check and convert. Raises AppError with `where.field` such as `turns[2].role`."""
    notes: list[str] = []
    turns = _turns(raw, notes)
    parameters = _input_parameters(raw, notes)
    tier = raw.get("tier") or parameters.get("tier")
    if tier is not None and tier not in TIERS:
        notes.append(f"The tier {shown(tier)} is unknown and was left out (known: {', '.join(TIERS)}).")
        tier = None
    metadata = _object(raw.get("conversation_metadata"), "conversation_metadata", notes)
    unused = [name for name in raw if name not in _TOP]
    unused += dict.fromkeys(f"turns[].{n}" for turn in raw["turns"] for n in turn if n not in _IN_TURN)
    if unused:
        shown_names = ", ".join(str(name)[:40] for name in unused[:_NAMED])
        more = f" and {len(unused) - _NAMED} more" if len(unused) > _NAMED else ""
        notes.append(f"Not used; kept in the raw file only: {shown_names}{more}.")
    ident = raw.get("conversation_id") or raw.get("id")
    return Parsed(
        title=_title(raw, turns, notes),
        turns=tuple(turns),
        input_parameters=parameters,
        tier=tier,
        source_id=str(ident) if isinstance(ident, (str, int)) else None,
        notes=tuple(notes),
        metadata=metadata,
        source_ids={k: str(parameters[k]) for k in _FOREIGN if isinstance(parameters.get(k), (str, int))},
    )


def _object(value: Any, place: str, notes: list[str]) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    if value is not None:
        notes.append(f"“{place}” is {json_type(value)}, not an object, and was left out.")
    return {}


def _wrong(message: str, place: str, hint: str, code: str = "wrong_shape") -> AppError:
    return AppError(code, message, hint=hint, where=Where(field=place))


def _turns(raw: Mapping[str, Any], notes: list[str]) -> list[Turn]:
    listed = raw.get("turns")
    if not isinstance(listed, list):
        found = "is missing" if "turns" not in raw else f"is {json_type(listed)}"
        raise _wrong(
            f"“turns” {found}; it must be a list.", "turns",
            'Write the conversation as "turns": [{"role": "user", "content": "..."}, ...].',
        )  # fmt: skip
    if not listed:
        raise _wrong("The conversation has no turns.", "turns", "Add a question and its answer.", "empty_turns")
    if len(listed) > MAX_TURNS:
        raise _wrong(too_many_turns(len(listed)), "turns", SPLIT, "too_many_turns")
    turns = [_turn(value, index, notes) for index, value in enumerate(listed)]
    _alternate(turns)
    missing = [index + 1 for index, turn in enumerate(turns) if turn.content is None]
    if missing:
        numbers = ", ".join(map(str, missing))
        notes.append(f"No answer yet in turn {numbers}: kept, but not trained on.")
    if turns[-1].role == "user":
        turns.append(Turn("assistant", None))
        notes.append(f"The last turn ({len(turns) - 1}) has no answer: an empty one was added and is not trained on.")
    return turns


def _turn(value: Any, index: int, notes: list[str]) -> Turn:
    place, number = f"turns[{index}]", index + 1
    if not isinstance(value, Mapping):
        raise _wrong(
            f"Turn {number} is {json_type(value)}, not an object.", place,
            'Write it as {"role": "user", "content": "..."}.',
        )  # fmt: skip
    role, content = value.get("role"), value.get("content")
    emotional = _object(value.get("emotional_context"), f"{place}.emotional_context", notes)
    if role not in ROLES:
        found = "no role" if "role" not in value else f"the role {shown(role)}"
        raise _wrong(
            f"Turn {number} has {found}.", f"{place}.role",
            "Use “user” for the client and “assistant” for the consultant.", "unknown_role",
        )  # fmt: skip
    if content is None and role == "assistant" and "content" in value:
        return Turn(role, None, emotional)
    if content is not None and not isinstance(content, str):
        raise _wrong(
            f"The content of turn {number} is {json_type(content)}, not text.", f"{place}.content",
            "Write the words of the turn there, in quotes.",
        )  # fmt: skip
    if content is None or not content.strip():
        raise _wrong(
            f"Turn {number} ({role}) is empty.", f"{place}.content",
            "Fill it in, remove the turn, or write null for a missing answer.", "empty_content",
        )  # fmt: skip
    return Turn(role, content, emotional)


def _alternate(turns: list[Turn]) -> None:
    for index, turn in enumerate(turns):
        wanted = ROLES[index % 2]
        if turn.role == wanted:
            continue
        message = (
            "Turn 1 is the assistant's; a conversation starts with the user."
            if index == 0
            else f"Turn {index + 1} is the {turn.role}'s, like the one before it; user and assistant take turns."
        )
        raise _wrong(
            message, f"turns[{index}].role",
            "Swap the roles if they were mixed up, or join two turns of the same speaker.", "roles_swapped",
        )  # fmt: skip


def _input_parameters(raw: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    value = raw.get("input_parameters")
    if value is None:
        notes.append("It has no input_parameters: choose persona, arc, and topic before enriching it.")
        return {}
    if not isinstance(value, Mapping):
        raise _wrong(
            f"“input_parameters” is {json_type(value)}, not an object.", "input_parameters",
            "Write the keys of persona, arc, and topic there, or leave it out.",
        )  # fmt: skip
    absent = [key for key in KEYS if not isinstance(value.get(key), str) or not value[key]]
    if absent:
        notes.append(f"input_parameters has no {', '.join(absent)}: enrichment will ask for it.")
    return dict(value)


def _title(raw: Mapping[str, Any], turns: list[Turn], notes: list[str]) -> str:
    title = raw.get("title")
    if isinstance(title, str) and title.strip():
        return " ".join(title.split())[:200]
    notes.append("It has no title: its first words are used instead.")
    return first_words(turns)


def first_words(turns: Sequence[Turn]) -> str:
    """The title of a conversation that has none."""
    text = " ".join((turns[0].content or "").split())
    return text if len(text) <= _TITLE_LENGTH else text[: _TITLE_LENGTH - 1].rstrip() + "…"
