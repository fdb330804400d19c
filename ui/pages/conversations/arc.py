"""A conversation against its emotional arc: the beat that was planned for each exchange, the emotions heard in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.conversations.parse import Turn
from core.db import Database
from core.generation.beats import Beat, beat_of_turn, beats_of
from core.scaffolding import store as scaffolding
from core.scaffolding.store import EmotionalArc
from ui import format as fmt


@dataclass(frozen=True)
class ArcReading:
    """`planned` has the place of a beat in `beats` an exchange; `heard` too, None where none of the arc was heard;
    `words` are all emotions heard. The latter two are empty for a conversation that is not enriched."""

    beats: tuple[Beat, ...] = ()
    planned: tuple[int, ...] = ()
    heard: tuple[int | None, ...] = ()
    words: tuple[tuple[str, ...], ...] = ()

    @property
    def met(self) -> int:
        """In how many exchanges the planned beat was heard."""
        return sum(heard == planned for heard, planned in zip(self.heard, self.planned, strict=False))

    def remark(self, turn: Turn, exchange: int) -> str:
        """What stands beside a turn: the client's beat and what was heard, or what good guidance looks like."""
        beat = self.beats[self.planned[exchange]] if exchange < len(self.planned) else None
        if turn.role != "user":
            return beat.guidance if beat else ""
        heard = ", ".join(plain(word) for word in self.words[exchange][:2]) if exchange < len(self.words) else ""
        parts = [f"beat: {plain(beat.emotion)} {fmt.decimal(beat.intensity, 1)}"] if beat else []
        return " · ".join([*parts, *([f"heard: {heard}"] if heard else [])])


def plain(emotion: str) -> str:
    """An emotion as people write it."""
    return emotion.strip().replace("_", " ").lower()


def read_arc(db: Database, arc_key: str | None, turns: Sequence[Turn], document: Mapping[str, Any]) -> ArcReading:
    """`document` is the enriched file, empty without one; an arc that is not in the library has no beats."""
    arc = scaffolding.by_key(db, EmotionalArc, arc_key) if arc_key else None
    beats = beats_of(arc) if arc is not None else []
    asked = [number for number, turn in enumerate(turns, start=1) if turn.role == "user"]
    # The same stretch may come twice in an arc: by identity, not by value.
    places = {id(beat): place for place, beat in enumerate(beats)}
    planned = tuple(places[id(beat_of_turn(beats, number, len(turns)))] for number in asked) if beats else ()
    words = tuple(_heard(pair) for pair in document.get("training_pairs") or ())
    heard = tuple(_place(beats, found, wanted) for found, wanted in zip(words, planned, strict=False))
    return ArcReading(tuple(beats), planned, heard, words)


def _heard(pair: Mapping[str, Any]) -> tuple[str, ...]:
    found = (pair.get("emotional_context") or {}).get("detected_emotions") or ()
    return tuple(str(name) for name in found)


def _place(beats: Sequence[Beat], words: Sequence[str], wanted: int) -> int | None:
    """The beat of the arc that was heard; the planned one if it was, else the nearest."""
    heard = {plain(word) for word in words}
    places = [place for place, beat in enumerate(beats) if plain(beat.emotion) in heard]
    return min(places, key=lambda place: abs(place - wanted), default=None)
