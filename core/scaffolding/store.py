"""The scaffolding library: personas, emotional arcs, training topics, prompt templates."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, TypeVar

import orjson

from core.db import Database
from core.db.connection import fold, new_id, now, transaction
from core.errors import AppError, Where
from core.events import Changed
from core.workspace import settings

TIERS = ("template", "scenario", "edge_case")
PROFILE_KEY = "consultant_profile"
KEY_FORM = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")


@dataclass(frozen=True)
class Entry:
    """What every kind of scaffolding has. `id` and the times are filled in by the store."""

    TABLE: ClassVar[str] = ""
    KEY: ClassVar[str] = ""
    NOUN: ClassVar[str] = ""
    JSON: ClassVar[tuple[str, ...]] = ()

    id: str = field(default="", kw_only=True)
    source_id: str | None = field(default=None, kw_only=True)
    is_active: bool = field(default=True, kw_only=True)
    created_at: str = field(default="", kw_only=True)
    updated_at: str = field(default="", kw_only=True)

    @property
    def key(self) -> str:
        """The stable key, whatever its column is called."""
        return str(getattr(self, self.KEY))


@dataclass(frozen=True)
class Persona(Entry):
    """A client's personality profile."""

    TABLE: ClassVar[str] = "personas"
    KEY: ClassVar[str] = "persona_key"
    NOUN: ClassVar[str] = "persona"
    JSON: ClassVar[tuple[str, ...]] = ("demographics", "typical_questions")

    persona_key: str
    name: str
    title: str = ""
    summary: str = ""
    demographics: Mapping[str, Any] = field(default_factory=dict)
    background: str = ""
    communication_style: str = ""
    emotional_baseline: str = ""
    typical_questions: tuple[str, ...] = ()


@dataclass(frozen=True)
class EmotionalArc(Entry):
    """The way from one emotion to another."""

    TABLE: ClassVar[str] = "emotional_arcs"
    KEY: ClassVar[str] = "emotional_arc_key"
    NOUN: ClassVar[str] = "emotional arc"
    JSON: ClassVar[tuple[str, ...]] = ("beats",)

    emotional_arc_key: str
    name: str
    tier: str = "template"
    start_emotion: str = ""
    end_emotion: str = ""
    beats: tuple[Mapping[str, Any], ...] = ()
    conversation_phase: str = ""
    expected_outcome: str = ""


@dataclass(frozen=True)
class TrainingTopic(Entry):
    """What a conversation is about."""

    TABLE: ClassVar[str] = "training_topics"
    KEY: ClassVar[str] = "training_topic_key"
    NOUN: ClassVar[str] = "training topic"
    JSON: ClassVar[tuple[str, ...]] = ("skills", "example_questions")

    training_topic_key: str
    name: str
    description: str = ""
    category: str = ""
    complexity: str = "moderate"
    key_learning_objective: str = ""
    skills: tuple[str, ...] = ()
    example_questions: tuple[str, ...] = ()


@dataclass(frozen=True)
class PromptTemplate(Entry):
    """A text with {{placeholders}}, bound to an emotional arc."""

    TABLE: ClassVar[str] = "prompt_templates"
    KEY: ClassVar[str] = "template_key"
    NOUN: ClassVar[str] = "prompt template"

    template_key: str
    name: str
    text: str
    tier: str = "template"
    emotional_arc_key: str = ""
    description: str = ""


KINDS: tuple[type[Entry], ...] = (Persona, EmotionalArc, TrainingTopic, PromptTemplate)
E = TypeVar("E", bound=Entry)


def _value(kind: type[E], row: Mapping[str, Any]) -> E:
    values = {f.name: row[f.name] for f in fields(kind)}
    for name in kind.JSON:
        loaded = orjson.loads(values[name])
        values[name] = tuple(loaded) if isinstance(loaded, list) else loaded
    values["is_active"] = bool(values["is_active"])
    return kind(**values)


def listing(db: Database, kind: type[E], *, active_only: bool = False, search: str = "") -> list[E]:
    """All entries of a kind that are not in the trash, by name."""
    where, args = ["deleted_at is null"], []
    if active_only:
        where.append("is_active = 1")
    if search.strip():
        where.append(f"(instr(fold(name), ?) or instr(fold({kind.KEY}), ?))")
        args += [fold(search.strip())] * 2
    sql = f"select * from {kind.TABLE} where {' and '.join(where)} order by name collate nocase, id"
    return [_value(kind, row) for row in db.execute(sql, args).fetchall()]


def get(db: Database, kind: type[E], ident: str) -> E:
    """One entry by id. Raises AppError `no_such_scaffolding`."""
    row = db.execute(f"select * from {kind.TABLE} where id = ?", [ident]).fetchone()
    if row is None:
        raise _missing(kind, ident)
    return _value(kind, row)


def by_key(db: Database, kind: type[E], key: str) -> E | None:
    """One entry by its key, None if there is none."""
    row = db.execute(f"select * from {kind.TABLE} where {kind.KEY} = ? and deleted_at is null", [key]).fetchone()
    return _value(kind, row) if row else None


def require_key(db: Database, kind: type[E], key: str) -> E:
    """`by_key` for an entry that has to be there. Raises AppError `no_such_scaffolding`."""
    found = by_key(db, kind, key)
    if found is None:
        raise _missing(kind, key)
    return found


def _missing(kind: type[Entry], what: str) -> AppError:
    return AppError(
        "no_such_scaffolding",
        f"There is no {kind.NOUN} {what!r}.",
        hint="It may have been deleted; look in the trash or add it again.",
        action="page:scaffolding",
    )


def check(entry: Entry) -> None:
    """Raise AppError `bad_key`, `name_missing`, `bad_tier` or `bad_demographics` for what can't be stored."""
    if not KEY_FORM.fullmatch(entry.key):
        raise AppError(
            "bad_key",
            f"{entry.key!r} can't be the key of a {entry.NOUN}.",
            hint="Use lowercase letters, digits, and single underscores, starting with a letter: first_time_buyer.",
            where=Where(field=entry.KEY),
        )
    if not str(getattr(entry, "name", "")).strip():
        message = f"The {entry.NOUN} {entry.key} has no name."
        raise AppError("name_missing", message, hint="Enter a name.", where=Where(field="name"))
    tier = getattr(entry, "tier", TIERS[0])
    if tier not in TIERS:
        hint = "Use one of " + ", ".join(TIERS) + "."
        raise AppError("bad_tier", f"{tier!r} is not a tier.", hint=hint, where=Where(field="tier"))
    if isinstance(entry, Persona):
        age = entry.demographics.get("age")
        if age is not None and (isinstance(age, bool) or not isinstance(age, int) or not 0 < age < 130):
            raise AppError(
                "bad_demographics",
                f"{age!r} is not an age.",
                hint="Enter whole years, for example 37, or leave it out.",
                where=Where(field="demographics.age"),
            )


def _columns(entry: Entry) -> dict[str, Any]:
    values = {f.name: getattr(entry, f.name) for f in fields(entry)}
    for name in entry.JSON:
        value = values[name]
        values[name] = orjson.dumps(dict(value) if isinstance(value, Mapping) else list(value)).decode()
    return values | {"is_active": int(values["is_active"])}


def add(db: Database, entry: E) -> E:
    """Store a new entry and return it with its id. Raises AppError `key_taken` or what `check` raises."""
    check(entry)
    stamp = now()
    stored = replace(entry, id=entry.id or new_id(), created_at=stamp, updated_at=stamp)
    values = _columns(stored)
    try:
        with transaction(db):
            db.execute(
                f"insert into {entry.TABLE}({', '.join(values)}) values({', '.join('?' * len(values))})",
                list(values.values()),
            )
    except sqlite3.IntegrityError as exc:
        raise _taken(entry) from exc
    return stored


def update(db: Database, entry: Entry) -> Changed:
    """Overwrite an entry by its id; the templates of an arc whose key changes follow it.

    Raises AppError `key_taken`, `key_in_use`, `no_such_scaffolding` or what `check` raises.
    """
    check(entry)
    _check_rename(db, entry)
    values = _columns(entry) | {"updated_at": now()}
    ident = values.pop("id")
    del values["created_at"]
    try:
        with transaction(db):
            if isinstance(entry, EmotionalArc):
                db.execute(
                    "update prompt_templates set emotional_arc_key = ?1 where emotional_arc_key ="
                    " (select emotional_arc_key from emotional_arcs where id = ?2) and emotional_arc_key <> ?1",
                    [entry.key, ident],
                )
            done = db.execute(
                f"update {entry.TABLE} set {', '.join(f'{name} = ?' for name in values)} where id = ?",
                [*values.values(), ident],
            ).rowcount
    except sqlite3.IntegrityError as exc:
        raise _taken(entry) from exc
    if not done:
        raise _missing(type(entry), entry.key)
    return Changed.SCAFFOLDING


def _check_rename(db: Database, entry: Entry) -> None:
    # Conversations name their entries by key, in files that came from elsewhere too.
    if isinstance(entry, PromptTemplate):
        return
    before = get(db, type(entry), entry.id).key
    if before == entry.key:
        return
    used = db.execute(f"select count(*) from conversations where {entry.KEY} = ?", [before]).fetchone()[0]
    if used:
        raise AppError(
            "key_in_use",
            f"The key {before} is named by {used:,} conversation{'' if used == 1 else 's'} and has to stay.",
            hint="Change the name instead, or duplicate the entry and give the copy another key.",
            where=Where(field=entry.KEY),
        )


def _taken(entry: Entry) -> AppError:
    return AppError(
        "key_taken",
        f"There is already a {entry.NOUN} with the key {entry.key}.",
        hint="Choose another key, or edit the existing entry.",
        where=Where(field=entry.KEY),
    )


def consultant_profile(db: Database) -> dict[str, Any]:
    """The consultant persona of this workspace; empty if none was set."""
    return dict(settings.get(db, PROFILE_KEY, {}))


def from_mapping(kind: type[E], values: Mapping[str, Any]) -> E:
    """An entry from JSON. Raises AppError `bad_scaffolding` naming fields that are unknown or missing."""
    known = {f.name for f in fields(kind)}
    arguments: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    try:
        return kind(**arguments)
    except TypeError as exc:
        unknown = sorted(set(values) - known)
        raise AppError(
            "bad_scaffolding",
            f"A {kind.NOUN} can't be read: " + (f"unknown fields {', '.join(unknown)}." if unknown else f"{exc}."),
            hint="Known fields: " + ", ".join(sorted(known)) + ".",
        ) from exc
