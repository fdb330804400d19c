"""Scaffolding as text: {{placeholders}} filled, demographics in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from core.errors import AppError, Where
from core.scaffolding.store import EmotionalArc, Persona, TrainingTopic

# No optional spaces around the name: they would be tried in every combination where the braces never close.
PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")


def placeholders(text: str) -> list[str]:
    """Names of the placeholders in a text, each once, in order."""
    return list(dict.fromkeys(name.strip() for name in PLACEHOLDER.findall(text)))


def render(text: str, values: Mapping[str, Any]) -> str:
    """Fill every {{placeholder}}. Raises AppError `unknown_placeholder` or `unfilled_placeholder` naming it."""
    for name in placeholders(text):
        if name not in values:
            raise AppError(
                "unknown_placeholder",
                f"The template uses {{{{{name}}}}}, which is unknown.",
                hint="Known: " + ", ".join(sorted(values)) + ".",
                where=Where(field=name),
            )
        if not words(values[name]):
            raise AppError(
                "unfilled_placeholder",
                f"There is no value for {{{{{name}}}}}.",
                hint="Fill the field in the scaffolding, or remove the placeholder from the template.",
                where=Where(field=name),
            )
    return fill(text, values)


def fill(text: str, values: Mapping[str, Any]) -> str:
    """Fill what can be filled; a placeholder that is unknown or has no value stays as it is written."""
    # One pass, so that a value that itself contains {{...}} stays as it was written.
    return PLACEHOLDER.sub(lambda match: words(values.get(match.group(1).strip())) or match.group(0), text)


def words(value: Any) -> str:
    """Any scaffolding value as words: lists and objects joined by commas, never printed as code."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ", ".join(text for text in map(words, value.values()) if text)
    if isinstance(value, (list, tuple)):
        return ", ".join(text for text in map(words, value) if text)
    return str(value).strip()


def demographics_text(demographics: Mapping[str, Any] | str | None) -> str:
    """Age, gender and place in words: "Age 37, male, Urban/Suburban"."""
    if not isinstance(demographics, Mapping):
        return words(demographics)
    age = words(demographics.get("age"))
    parts = [f"Age {age}" if age else "", words(demographics.get("gender")), words(demographics.get("location"))]
    return ", ".join(part for part in parts if part)


def client_background(persona: Persona) -> str:
    """Demographics and background in one line: "Age 37, male, Urban/Suburban; High earner, ..."."""
    parts = [demographics_text(persona.demographics), persona.background.strip()]
    return "; ".join(part for part in parts if part)


# What a template can use, by what it is taken from.
_PERSONA: Mapping[str, Callable[[Persona], Any]] = {
    "persona_name": lambda persona: persona.name,
    "persona_title": lambda persona: persona.title,
    "persona_summary": lambda persona: persona.summary,
    "persona_background": client_background,
    "demographics": lambda persona: demographics_text(persona.demographics),
    "occupation": lambda persona: persona.demographics.get("occupation"),
    "household": lambda persona: persona.demographics.get("household"),
    "communication_style": lambda persona: persona.communication_style,
    "emotional_baseline": lambda persona: persona.emotional_baseline,
    "typical_questions": lambda persona: persona.typical_questions,
}
_ARC: Mapping[str, Callable[[EmotionalArc], Any]] = {
    "arc_name": lambda arc: arc.name,
    "start_emotion": lambda arc: arc.start_emotion,
    "end_emotion": lambda arc: arc.end_emotion,
    "conversation_phase": lambda arc: arc.conversation_phase,
    "expected_outcome": lambda arc: arc.expected_outcome,
}
_TOPIC: Mapping[str, Callable[[TrainingTopic], Any]] = {
    "topic_name": lambda topic: topic.name,
    "topic_description": lambda topic: topic.description,
    "key_learning_objective": lambda topic: topic.key_learning_objective,
    "skills": lambda topic: topic.skills,
    "example_questions": lambda topic: topic.example_questions,
}
# The turn count is known to a run of the generation alone.
SOURCES: Mapping[str, tuple[str, ...]] = {
    "persona": tuple(_PERSONA), "arc": tuple(_ARC), "topic": tuple(_TOPIC), "run": ("turn_count",),
}  # fmt: skip
KNOWN: tuple[str, ...] = tuple(name for names in SOURCES.values() for name in names)


def template_values(
    persona: Persona, arc: EmotionalArc, topic: TrainingTopic, extra: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """The values a prompt template can use; `extra` adds to them or replaces them."""
    values: dict[str, Any] = {name: value(persona) for name, value in _PERSONA.items()}
    values |= {name: value(arc) for name, value in _ARC.items()}
    values |= {name: value(topic) for name, value in _TOPIC.items()}
    return {name: words(value) for name, value in {**values, **(extra or {})}.items()}
