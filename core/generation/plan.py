"""What is to be written: a list of conversations, each with its persona, arc, topic, template and attributes."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import orjson

from core.db import Database
from core.errors import AppError, Where
from core.scaffolding.seeding import vertical_of
from core.scaffolding.store import EmotionalArc, Entry, Persona, PromptTemplate, TrainingTopic, listing
from core.scaffolding.verticals import Vertical

VERSION = 1
MIN_TURNS, MAX_TURNS = 2, 40
MAX_ITEMS = 100_000
E = TypeVar("E", bound=Entry)
ENTRY_FIELDS: dict[str, tuple[str, ...]] = {
    "persona": ("persona", "persona_key", "persona_id"),
    "arc": ("arc", "emotional_arc", "emotional_arc_key", "arc_key", "emotional_arc_id"),
    "topic": ("topic", "training_topic", "training_topic_key", "topic_key", "training_topic_id"),
    "template": ("template", "template_key", "prompt_template", "template_id"),
}


@dataclass(frozen=True)
class PlanItem:
    """One conversation to write. `turns` counts both speakers and is even; `attributes` give it its own face."""

    persona_key: str
    emotional_arc_key: str
    training_topic_key: str
    template_key: str
    turns: int
    attributes: Mapping[str, str] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def to_json(self) -> dict[str, Any]:
        """As kept in `batch_items.spec`."""
        return asdict(self) | {"attributes": dict(self.attributes)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PlanItem:
        """The reverse of `to_json`."""
        return cls(**data)

    @property
    def cell(self) -> tuple[str, str]:
        """Its place in the coverage: persona and arc."""
        return self.persona_key, self.emotional_arc_key

    @property
    def signature(self) -> str:
        """Equal for two plans that ask for the same conversation: same cell, topic, template and attributes."""
        parts = [
            self.persona_key, self.emotional_arc_key, self.training_topic_key, self.template_key,
            sorted(self.attributes.items()),
        ]  # fmt: skip
        return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:32]


@dataclass(frozen=True)
class Plan:
    """A batch before it runs."""

    items: tuple[PlanItem, ...]
    name: str = ""
    seed: int = 0
    version: int = VERSION

    @property
    def turns(self) -> int:
        """Turns of all conversations together."""
        return sum(item.turns for item in self.items)

    def to_json(self) -> dict[str, Any]:
        """The plan as a file holds it; `read_plan` gives the same plan back."""
        items = [
            {
                "id": item.id, "persona": item.persona_key, "arc": item.emotional_arc_key,
                "topic": item.training_topic_key, "template": item.template_key, "turns": item.turns,
                "attributes": dict(item.attributes),
            }
            for item in self.items
        ]  # fmt: skip
        return {"version": self.version, "name": self.name, "seed": self.seed, "items": items}


@dataclass(frozen=True)
class Library:
    """The active scaffolding of a workspace, and what it is for."""

    vertical: Vertical
    personas: Sequence[Persona]
    arcs: Sequence[EmotionalArc]
    topics: Sequence[TrainingTopic]
    templates: Sequence[PromptTemplate]

    @classmethod
    def of(cls, db: Database, *, active_only: bool = True) -> Library:
        """What is in the workspace now; by default what is switched on.

        Raises AppError `unknown_vertical` or `bad_vertical`.
        """
        return cls(
            vertical_of(db),
            listing(db, Persona, active_only=active_only), listing(db, EmotionalArc, active_only=active_only),
            listing(db, TrainingTopic, active_only=active_only), listing(db, PromptTemplate, active_only=active_only),
        )  # fmt: skip

    def persona(self, key: str) -> Persona:
        """By key. Raises KeyError."""
        return _by_key(self.personas, key)

    def arc(self, key: str) -> EmotionalArc:
        """By key. Raises KeyError."""
        return _by_key(self.arcs, key)

    def topic(self, key: str) -> TrainingTopic:
        """By key. Raises KeyError."""
        return _by_key(self.topics, key)

    def template(self, key: str) -> PromptTemplate:
        """By key. Raises KeyError."""
        return _by_key(self.templates, key)

    def templates_for(self, arc: EmotionalArc) -> list[PromptTemplate]:
        """Templates bound to the arc, and those bound to none."""
        return [t for t in self.templates if t.emotional_arc_key in ("", arc.key)]


def _by_key(entries: Sequence[E], key: str) -> E:
    for entry in entries:
        if entry.key == key:
            return entry
    raise KeyError(key)


def turns_of(arc: EmotionalArc) -> int:
    """How many turns an arc takes unless the plan says otherwise: each beat is one exchange."""
    return max(4, min(MAX_TURNS, 2 * len(arc.beats)))


def bad_plan(message: str, place: str, hint: str, code: str = "bad_plan") -> AppError:
    """What is wrong at one place of a plan."""
    return AppError(code, message, hint=hint, where=Where(field=place))


def find(entries: Sequence[E], row: Mapping[str, Any], what: str, place: str) -> E | None:
    """The entry that a row names by key, id or name; None where it names none. Raises AppError naming the field."""
    name = next((n for n in ENTRY_FIELDS[what] if row.get(n) not in (None, "")), None)
    if name is None:
        return None
    wanted = row[name]
    also = next((n for n in ENTRY_FIELDS[what] if n != name and row.get(n) not in (None, "", wanted)), None)
    if also is not None:
        raise bad_plan(f"The {what} is named twice.", f"{place}.{also}", f"Leave “{name}” or “{also}” out.")
    for entry in entries:
        if wanted in (entry.key, entry.id, getattr(entry, "name", None)):
            return entry
    known = ", ".join(entry.key for entry in entries[:12]) + (", …" if len(entries) > 12 else "")
    raise bad_plan(
        f"There is no active {what} “{wanted}”.", f"{place}.{name}", f"Known: {known}.", "no_such_scaffolding"
    )
