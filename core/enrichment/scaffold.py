"""Persona, arc and topic of a conversation: found by key, written in the words of the v4 format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.enrichment.emotions import beat_emotions
from core.enrichment.normal_form import clean
from core.enrichment.provenance import FILE, RULE, SCAFFOLDING, origin
from core.enrichment.stage import INFO, WARNING, StageContext, State
from core.enrichment.validate import METADATA
from core.errors import AppError, Where
from core.scaffolding.store import EmotionalArc, Persona, TrainingTopic

KEYS = ("persona_key", "emotional_arc_key", "training_topic_key")
_NOT_STATED = "Not stated"
_LEVELS = ("beginner", "moderate", "advanced")


@dataclass(frozen=True)
class Cast:
    """Who and what a conversation is about."""

    persona: Persona
    arc: EmotionalArc
    topic: TrainingTopic
    beats: tuple[str, ...]


def resolve(context: StageContext, source: Mapping[str, Any]) -> Cast:
    """Find the three by the keys of input_parameters.

    Raises AppError `missing_input_parameters`, `unknown_persona`, `unknown_arc` or `unknown_topic`.
    """
    given = source.get("input_parameters") or {}
    missing = [key for key in KEYS if not isinstance(given.get(key), str) or not given[key].strip()]
    if missing:
        raise AppError(
            "missing_input_parameters",
            f"The conversation does not say its {_list(missing)}, so its scaffolding is unknown.",
            hint="Add input_parameters with persona_key, emotional_arc_key and training_topic_key to the file "
            "and import it again.",
            where=Where(field="input_parameters"),
            action="page:conversations",
        )
    library = context.library
    persona = library.persona(given["persona_key"].strip())
    arc = library.arc(given["emotional_arc_key"].strip())
    topic = library.topic(given["training_topic_key"].strip())
    for entry in (persona, arc, topic):
        if not entry.is_active:
            context.find(
                WARNING, f"input_parameters.{entry.KEY}", f"The {entry.NOUN} “{entry.key}” is turned off.",
                "Turn it on in Scaffolding if new conversations should use it.",
            )  # fmt: skip
    return Cast(persona, arc, topic, tuple(beat_emotions(arc)))


def shown(entry: Persona | EmotionalArc | TrainingTopic) -> str:
    """An entry's name; its key where the name has nothing to see."""
    return clean(entry.name) or entry.key


def input_parameters(cast: Cast) -> dict[str, str]:
    """The v4 object: the library's own ids, keys and names."""
    return {
        "persona_id": cast.persona.id, "persona_key": cast.persona.persona_key, "persona_name": shown(cast.persona),
        "emotional_arc_id": cast.arc.id, "emotional_arc_key": cast.arc.emotional_arc_key,
        "emotional_arc_name": shown(cast.arc),
        "training_topic_id": cast.topic.id, "training_topic_key": cast.topic.training_topic_key,
        "training_topic_name": shown(cast.topic),
    }  # fmt: skip


def foreign_ids(context: StageContext, source: Mapping[str, Any], own: Mapping[str, str]) -> dict[str, str]:
    """The ids of the file that are not the library's; differing names are recorded as findings."""
    given = source["input_parameters"]
    foreign = {}
    for name, value in own.items():
        theirs = given.get(name)
        if theirs is None or theirs == value or name.endswith("_key"):
            continue
        if name.endswith("_id"):
            foreign[name] = str(theirs)
            message = f"The file's id {theirs} is kept as the source; the library's is used."
        else:
            message = f"The file says “{theirs}”, the library “{value}”, which is used."
        context.find(INFO, f"input_parameters.{name}", message)
    for name in given:
        if name not in own:
            context.find(INFO, f"input_parameters.{name}", "Not part of v4; it stays in the source file.")
    return foreign


def parameter_sources(own: Mapping[str, str], foreign: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The origin of each input parameter."""
    out = {}
    for name in own:
        key = own[f"{name.rpartition('_')[0]}_key"]
        reason = f"The library's entry with the key {key}"
        if name in foreign:
            reason += f"; the file's own id {foreign[name]} is kept with the conversation"
        out[f"input_parameters.{name}"] = origin(FILE if name.endswith("_key") else SCAFFOLDING, reason)
    return out


def background(persona: Persona) -> tuple[str, str]:
    """Demographics and background in words, with the reason."""
    from core.scaffolding.render import demographics_text, words

    about = persona.demographics
    text = demographics_text(about) or words(about)
    parts = [part for part in (text, persona.background.strip()) if part]
    if clean("; ".join(parts)):
        return "; ".join(parts), "The persona's demographics in words, and background"
    if clean(persona.summary):
        return persona.summary.strip(), "The persona's summary; it has neither demographics nor background"
    return _NOT_STATED, "The persona has no demographics, background, or summary"


Sourced = tuple[str, dict[str, str]]


def metadata(context: StageContext, state: State, cast: Cast) -> dict[str, Sourced]:
    """conversation_metadata: every field with its origin."""
    persona, arc, topic = cast.persona, cast.arc, cast.topic
    who = clean(persona.title) or "The " + persona.persona_key.replace("_", " ").title()
    about, about_reason = background(persona)
    out: dict[str, Sourced] = {
        "client_persona": (f"{shown(persona)} - {who}", origin(SCAFFOLDING, "The persona's name and title")),
        "persona_archetype": (persona.persona_key, origin(SCAFFOLDING, "The persona's key")),
        "client_background": (about, origin(RULE if about == _NOT_STATED else SCAFFOLDING, about_reason)),
        "emotional_arc": (shown(arc), origin(SCAFFOLDING, "The arc's name")),
        "emotional_arc_key": (arc.emotional_arc_key, origin(SCAFFOLDING, "The arc's key")),
        "training_topic": (shown(topic), origin(SCAFFOLDING, "The topic's name")),
        "training_topic_key": (topic.training_topic_key, origin(SCAFFOLDING, "The topic's key")),
    }
    title = str(state.source.get("title") or context.conversation["title"]).strip()
    session = f"{title}: {shown(persona)} on {shown(topic)}"
    given = state.source.get("conversation_metadata") or {}
    out["session_context"] = _first(given, "session_context", "", session, "Title, persona, and topic combined")
    out["conversation_phase"] = _first(
        given, "conversation_phase", arc.conversation_phase, "exploration", "Neither file nor arc names a phase"
    )
    way = f"Moves from {cast.beats[0]} to {cast.beats[-1]}" if cast.beats else "Sees a next step"
    why = "Neither file nor arc names an outcome; derived from arc and topic"
    out["expected_outcome"] = _first(given, "expected_outcome", arc.expected_outcome, f"{way} on {shown(topic)}", why)
    for name in given:
        if name not in METADATA:
            context.find(INFO, f"conversation_metadata.{name}", "Not used; it stays in the source file.")
    return out


def _first(given: Mapping[str, Any], name: str, scaffolding: str, rule: str, why: str) -> Sourced:
    stated = given.get(name)
    if isinstance(stated, str) and stated.strip():
        return stated.strip(), origin(FILE, f"conversation_metadata.{name} of the file")
    if scaffolding.strip():
        return scaffolding.strip(), origin(SCAFFOLDING, f"The arc's {name}")
    return rule, origin(RULE, why)


def difficulty(cast: Cast) -> Sourced:
    """The topic's complexity, one level higher for an edge case."""
    level = cast.topic.complexity.strip()
    if not level:
        return "moderate", origin(RULE, "The topic names no complexity; the middle level is used")
    if cast.arc.tier == "edge_case" and level in _LEVELS[:-1]:
        higher = _LEVELS[_LEVELS.index(level) + 1]
        return higher, origin(RULE, f"The topic is {level}; the arc is an edge case, so one level higher")
    return level, origin(SCAFFOLDING, "The topic's complexity")


def objective(cast: Cast) -> Sourced:
    """The topic's learning objective, else one made of the arc."""
    stated = cast.topic.key_learning_objective.strip()
    if stated:
        return stated, origin(SCAFFOLDING, "The topic's key learning objective")
    return f"Lead from {shown(cast.arc)} on {shown(cast.topic)}", origin(
        RULE, "Derived from arc and topic; the topic names none"
    )


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
