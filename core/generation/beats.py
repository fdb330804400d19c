"""The cheap local check of a turn against its beat of the arc: by words, without a model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from core.scaffolding.beats import END_INTENSITY, INTENSITY, intensity_of
from core.scaffolding.store import EmotionalArc
from core.scaffolding.verticals import Vertical, Words
from core.workspace.files import read_json
from core.workspace.paths import resources

_WORD = re.compile(r"[^\W\d_]{5,}")
LONG_ANSWER = 260


@dataclass(frozen=True)
class Beat:
    """One stretch of the arc; `intensity` from 0 to 1."""

    emotion: str
    intensity: float
    goal: str
    guidance: str


@lru_cache(maxsize=16)
def cues_of(vertical: Vertical) -> Words:
    """Emotion -> parts of words that show it: the shared ones with those of the vertical."""
    shared: Mapping[str, Sequence[str]] = read_json(resources() / "generation" / "emotions.json")
    names = dict.fromkeys((*shared, *vertical.cues))
    return {name: (*shared.get(name, ()), *vertical.cues.get(name, ())) for name in names}


def beats_of(arc: EmotionalArc) -> list[Beat]:
    """The arc's beats; an arc without any has its start and its end."""
    out = []
    for value in arc.beats:
        if isinstance(value, Mapping) and str(value.get("emotion", "")).strip():
            out.append(Beat(
                str(value["emotion"]), intensity_of(value), str(value.get("goal", "")),
                str(value.get("guidance", "")),
            ))  # fmt: skip
        elif isinstance(value, str) and value.strip():
            out.append(Beat(value.strip(), INTENSITY, "", ""))
    ends = [Beat(name, END_INTENSITY, "", "") for name in (arc.start_emotion, arc.end_emotion) if name.strip()]
    return out or ends or [Beat("calm", 0.5, "", "")]


def beat_of_turn(beats: Sequence[Beat], turn: int, turns: int) -> Beat:
    """The beat of turn `turn` (from 1) of `turns`; both turns of an exchange share it, first and last beat are met."""
    exchange, exchanges = (turn - 1) // 2, max(1, (turns + 1) // 2)
    if exchanges == 1 or len(beats) == 1:
        return beats[0]
    return beats[int(exchange * (len(beats) - 1) / (exchanges - 1) + 0.5)]


def _fold(text: str) -> str:
    return text.casefold().replace("’", "'")


def client_meets(beat: Beat, text: str, known: Words) -> bool | None:
    """Whether the client's words show the beat's emotion; None where `known` (`cues_of`) has no words for it."""
    name = beat.emotion.casefold().replace(" ", "_")
    stem = name.replace("_", " ")
    cues = [*known.get(name, ()), stem, stem[:-1] if len(stem) > 6 else stem]
    if name not in known:
        return True if stem in _fold(text) else None
    folded = _fold(text)
    return any(cue in folded for cue in cues)


def consultant_meets(client_text: str, text: str) -> bool:
    """Whether an answer stays with the client: takes up a word or asks, and is no lecture."""
    shared = set(_WORD.findall(_fold(client_text))) & set(_WORD.findall(_fold(text)))
    return len(text.split()) <= LONG_ANSWER and (bool(shared) or "?" in text)


def met_beats(arc: EmotionalArc, turns: Sequence[Mapping[str, Any]], known: Words) -> list[bool | None]:
    """Turn by turn, whether its beat was met."""
    beats, out, before = beats_of(arc), [], ""
    for number, turn in enumerate(turns, start=1):
        text = str(turn["content"])
        beat = beat_of_turn(beats, number, len(turns))
        out.append(client_meets(beat, text, known) if turn["role"] == "user" else consultant_meets(before, text))
        before = text
    return out
