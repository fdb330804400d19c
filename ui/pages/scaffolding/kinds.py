"""The kinds of scaffolding on the page: how each is listed, edited and turned back into an entry."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit, QPlainTextEdit, QWidget

from core.scaffolding.store import TIERS, EmotionalArc, Entry, Persona, PromptTemplate, TrainingTopic
from ui import format as fmt
from ui.models.rows import Column, Status
from ui.widgets.forms import choice, text_area, text_field
from ui.words.scaffolding import TIER_WORDS

LEVELS = ("beginner", "moderate", "advanced")
Build = Callable[[Entry, Mapping[str, Any]], Entry]


@dataclass(frozen=True)
class Field:
    """One row of a form. `kind`: text, area, lines (one an entry), tier, level, age, beats."""

    name: str
    title: str
    help: str = ""
    kind: str = "text"
    required: bool = False
    more: bool = False
    example: str = ""


@dataclass(frozen=True)
class Kind:
    """One tab of the page; `fields` empty means that it is only shown."""

    name: str
    title: str
    one: str
    entry: type[Entry]
    columns: tuple[Column, ...]
    fields: tuple[Field, ...] = ()
    filter_key: str = ""


IN_USE, OFF = Status("ok", "In use"), Status("neutral", "Off")


def _active(entry: Any) -> Status:
    return IN_USE if entry.is_active else OFF


def _columns(*middle: Column, key: str) -> tuple[Column, ...]:
    state = Column("is_active", "State", (IN_USE, OFF), value=_active, formatter=lambda v: v, sort="state")
    return (
        Column("name", "Name", sort="name"),
        *middle,
        Column(key, "Key", "overwhelm_to_empowerment", role="muted", sort="key"),
        state,
    )


def _age(entry: Any) -> str:
    age = entry.demographics.get("age")
    return fmt.count(age) if isinstance(age, int) else fmt.NOTHING


def _age_number(entry: Any) -> float:
    age = entry.demographics.get("age")
    return age if isinstance(age, int) else math.inf


PERSONA = Kind(
    "persona", "Personas", "persona", Persona,
    _columns(
        Column("title", "Title", "The Pragmatic Optimist", sort="title", formatter=lambda v: v or fmt.NOTHING),
        Column("age", "Age", "37", "right", value=_age, sort="age", order=_age_number), key="persona_key",
    ),
    (
        Field("name", "Name", required=True, example="David Chen"),
        Field("title", "Title", example="The Pragmatic Optimist"),
        Field("age", "Age", "", "age", example="37"),
        Field("gender", "Gender"),
        Field("location", "Place", example="Urban/Suburban"),
        Field("background", "Background", "Read as one line, after age, gender and place.", "area"),
        Field("summary", "Summary", "", "area", more=True),
        Field("communication_style", "Communication style", "", "area", more=True),
        Field("emotional_baseline", "Baseline", "The feeling they start with.", "area", more=True),
        Field("occupation", "Occupation", more=True),
        Field("household", "Household", more=True),
        Field("typical_questions", "Typical questions", "One per line.", "lines", more=True),
    ),
    "persona_key",
)  # fmt: skip
ARC = Kind(
    "arc", "Arcs", "emotional arc", EmotionalArc,
    _columns(
        Column("tier", "Tier", tuple(TIER_WORDS.values()), sort="tier", formatter=lambda v: TIER_WORDS.get(v, v)),
        Column("beats", "Beats", "12", "right", sort="beats", value=lambda e: len(e.beats),
               formatter=fmt.count), key="emotional_arc_key",
    ),
    (
        Field("name", "Name", required=True, example="Confusion → Clarity"),
        Field("tier", "Tier", "The tier of its conversations.", "tier"),
        Field("start_emotion", "Starts with", required=True, example="confusion"),
        Field("end_emotion", "Ends with", required=True, example="clarity"),
        Field("beats", "Beats", "One per line: emotion | intensity 0 to 1 | goal | guidance.", "beats"),
        Field("conversation_phase", "Phase", more=True, example="initial_opportunity_exploration"),
        Field("expected_outcome", "Expected outcome", "", "area", more=True),
    ),
    "emotional_arc_key",
)  # fmt: skip
TOPIC = Kind(
    "topic", "Topics", "training topic", TrainingTopic,
    _columns(
        Column("category", "Category", "Estate planning", sort="category",
               formatter=lambda v: fmt.word(v) or fmt.NOTHING),
        Column("complexity", "Level", "Intermediate", sort="level", formatter=fmt.word), key="training_topic_key",
    ),
    (
        Field("name", "Name", required=True, example="Accelerated Mortgage Payoff"),
        Field("description", "Description", "", "area"),
        Field("complexity", "Level", "Sets the difficulty of its pairs.", "level"),
        Field("key_learning_objective", "Objective", "What the assistant should learn from it.", "area"),
        Field("skills", "Skills", "One per line: validation, trade_off_framing.", "lines"),
        Field("category", "Category", more=True),
        Field("example_questions", "Example questions", "One per line.", "lines", more=True),
    ),
    "training_topic_key",
)  # fmt: skip
TEMPLATE = Kind(
    "template", "Templates", "prompt template", PromptTemplate,
    _columns(
        Column("tier", "Tier", tuple(TIER_WORDS.values()), sort="tier", formatter=lambda v: TIER_WORDS.get(v, v)),
        Column("emotional_arc_key", "Arc", "overwhelm_to_empowerment", role="muted", sort="arc"), key="template_key",
    ),
)  # fmt: skip
KINDS: dict[str, Kind] = {kind.name: kind for kind in (PERSONA, ARC, TOPIC, TEMPLATE)}
_DEMOGRAPHICS = ("age", "gender", "location", "occupation", "household")


def blank(kind: Kind, key: str = "") -> Entry:
    """A new entry; its name is read off the key."""
    words = " ".join(part.capitalize() for part in key.split("_") if part)
    values: dict[str, Any] = {kind.entry.KEY: key, "name": words}
    return kind.entry(**values)


def field_widget(field: Field) -> QWidget:
    """The widget of a row."""
    if field.kind == "tier":
        return choice([(TIER_WORDS[tier], tier) for tier in TIERS])
    if field.kind == "level":
        return choice([(fmt.word(level), level) for level in LEVELS])
    if field.kind in ("area", "lines", "beats"):
        return text_area("", {"area": 2, "lines": 3, "beats": 5}[field.kind])
    return text_field("", field.example)


def put_value(widget: QWidget, value: Any) -> None:
    """Write a value into the widget of a row."""
    if isinstance(widget, QLineEdit):
        widget.setText(str(value))
        widget.setCursorPosition(0)
    elif isinstance(widget, QPlainTextEdit):
        widget.setPlainText(str(value))
    elif isinstance(widget, QCheckBox):
        widget.setChecked(bool(value))
    elif isinstance(widget, QComboBox):
        if widget.findData(value) < 0:
            widget.addItem(fmt.word(str(value)), value)
        widget.setCurrentIndex(widget.findData(value))


def _beat_line(beat: Mapping[str, Any]) -> str:
    parts = [str(beat.get(name, "") if beat.get(name) is not None else "") for name in ("emotion", "intensity")]
    parts += [str(beat.get(name) or "") for name in ("goal", "guidance")]
    while parts and not parts[-1]:
        parts.pop()
    return " | ".join(parts)


def form_values(kind: Kind, entry: Entry) -> dict[str, Any]:
    """What the form shows of an entry."""
    out: dict[str, Any] = {"key": entry.key, "is_active": getattr(entry, "is_active", True)}
    demographics = getattr(entry, "demographics", {})
    for field in kind.fields:
        if field.name in _DEMOGRAPHICS:
            value = demographics.get(field.name)
            out[field.name] = "" if value is None else str(value)
        elif field.kind == "beats":
            out[field.name] = "\n".join(_beat_line(beat) for beat in getattr(entry, field.name))
        elif field.kind == "lines":
            out[field.name] = "\n".join(str(item) for item in getattr(entry, field.name))
        else:
            out[field.name] = getattr(entry, field.name)
    return out


def wrong_age(text: str) -> str:
    """What is wrong with an age, or nothing."""
    if not text.strip():
        return ""
    return "" if text.strip().isdigit() and 0 < int(text) < 130 else "Whole years, for example 37."


def wrong_beats(text: str) -> str:
    """What is wrong with the lines of the beats, or nothing."""
    for number, line in enumerate(text.splitlines(), start=1):
        parts = [part.strip() for part in line.split("|")]
        if not line.strip():
            continue
        if not parts[0]:
            return f"Line {number} has no emotion before the first |."
        if len(parts) > 1 and parts[1]:
            try:
                good = 0 <= float(parts[1]) <= 1
            except ValueError:
                good = False
            if not good:
                return f"Line {number}: intensity must be a number from 0 to 1, not “{parts[1]}”."
    return ""


def _beats(text: str, before: tuple[Mapping[str, Any], ...]) -> tuple[dict[str, Any], ...]:
    lines = [line for line in text.splitlines() if line.strip()]
    out = []
    for place, line in enumerate(lines):
        # The last part may hold bars of its own.
        parts = [part.strip() for part in line.split("|", 3)]
        values: dict[str, Any] = dict(zip(("emotion", "intensity", "goal", "guidance"), parts, strict=False))
        if values.get("intensity"):
            values["intensity"] = float(values["intensity"])
        old = before[place] if place < len(before) and before[place].get("emotion") == values["emotion"] else {}
        extra = {k: v for k, v in old.items() if k not in ("emotion", "intensity", "goal", "guidance")}
        out.append({**{k: v for k, v in values.items() if v != ""}, **extra})
    return tuple(out)


def to_entry(kind: Kind, entry: Entry, values: Mapping[str, Any]) -> Entry:
    """The entry with the values of the form; what the form does not show stays."""
    changes: dict[str, Any] = {kind.entry.KEY: values["key"].strip(), "is_active": bool(values["is_active"])}
    demographics = dict(getattr(entry, "demographics", {}))
    for field in kind.fields:
        value = values[field.name]
        if field.name in _DEMOGRAPHICS:
            text = str(value).strip()
            if text:
                demographics[field.name] = int(text) if field.kind == "age" else text
            else:
                demographics.pop(field.name, None)
        elif field.kind == "beats":
            changes[field.name] = _beats(value, getattr(entry, field.name))
        elif field.kind == "lines":
            changes[field.name] = tuple(line.strip() for line in value.splitlines() if line.strip())
        else:
            changes[field.name] = value.strip() if isinstance(value, str) else value
    if "demographics" in entry.__dataclass_fields__:
        changes["demographics"] = demographics
    return replace(entry, **changes)
