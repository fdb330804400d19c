"""Scaffolding as text: {{placeholders}} filled, demographics in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from core.errors import AppError, Where
from core.scaffolding.store import EmotionalArc, Persona, TrainingTopic

_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


def placeholders(text: str) -> list[str]:
    """Names of the placeholders in a text, each once, in order."""
    return list(dict.fromkeys(_PLACEHOLDER.findall(text)))


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
    # One pass, so that a value that itself contains {{...}} stays as it was written.
    return _PLACEHOLDER.sub(lambda match: words(values[match.group(1)]), text)


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


def template_values(
    persona: Persona, arc: EmotionalArc, topic: TrainingTopic, extra: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """The values a prompt template can use; `extra` adds to them or replaces them."""
    values: dict[str, Any] = {
        "persona_name": persona.name, "persona_title": persona.title, "persona_summary": persona.summary,
        "persona_background": client_background(persona), "demographics": demographics_text(persona.demographics),
        "occupation": persona.demographics.get("occupation"), "household": persona.demographics.get("household"),
        "communication_style": persona.communication_style, "emotional_baseline": persona.emotional_baseline,
        "typical_questions": persona.typical_questions, "arc_name": arc.name, "start_emotion": arc.start_emotion,
        "end_emotion": arc.end_emotion, "conversation_phase": arc.conversation_phase,
        "expected_outcome": arc.expected_outcome, "topic_name": topic.name, "topic_description": topic.description,
        "key_learning_objective": topic.key_learning_objective, "skills": topic.skills,
        "example_questions": topic.example_questions,
    }  # fmt: skip
    return {name: words(value) for name, value in {**values, **(extra or {})}.items()}
