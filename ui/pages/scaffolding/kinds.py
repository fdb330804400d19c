"""The kinds of scaffolding on the page: how each is listed, edited and turned back into an entry."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit, QPlainTextEdit, QWidget

from core.scaffolding.store import TIERS, EmotionalArc, Entry, Persona, PromptTemplate, TrainingTopic
from ui import format as fmt
from ui.models.rows import Column, Status
from ui.pages.scaffolding.beats_field import BeatsField
from ui.widgets.forms import SliderSpin, choice, text_area, text_field
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
        Field("beats", "Beats", "", "beats"),
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
    if field.kind in ("area", "lines"):
        return text_area("", {"area": 2, "lines": 3}[field.kind])
    if field.kind == "beats":
        return BeatsField()
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
    elif isinstance(widget, SliderSpin | BeatsField):
        widget.set_value(value)
    elif isinstance(widget, QComboBox):
        if widget.findData(value) < 0:
            widget.addItem(fmt.word(str(value)), value)
        widget.setCurrentIndex(widget.findData(value))


def form_values(kind: Kind, entry: Entry) -> dict[str, Any]:
    """What the form shows of an entry."""
    out: dict[str, Any] = {"key": entry.key, "is_active": getattr(entry, "is_active", True)}
    demographics = getattr(entry, "demographics", {})
    for field in kind.fields:
        if field.name in _DEMOGRAPHICS:
            value = demographics.get(field.name)
            out[field.name] = "" if value is None else str(value)
        elif field.kind == "lines":
            out[field.name] = "\n".join(str(item) for item in getattr(entry, field.name))
        else:
            out[field.name] = getattr(entry, field.name)
    return out


def wrong_age(text: str) -> str:
    """What is wrong with an age, or nothing."""
    if not text.strip():
        return ""
    # Not isdigit(), which takes ² for a digit.
    return "" if re.fullmatch("[0-9]{1,3}", text.strip()) and 0 < int(text) < 130 else "Whole years, for example 37."


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
        elif field.kind == "lines":
            changes[field.name] = tuple(line.strip() for line in value.splitlines() if line.strip())
        else:
            changes[field.name] = value.strip() if isinstance(value, str) else value
    if "demographics" in entry.__dataclass_fields__:
        changes["demographics"] = demographics
    return replace(entry, **changes)
