"""The beats of an arc while they are edited: what is wrong with them, and every change with Undo.

A beat is stored as {"emotion", "intensity", "goal", "guidance"}; older arcs lack some of it, and others hold more. What
is not edited stays as it was stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.scaffolding.store import EmotionalArc

FEWEST, STEP = 2, 0.05
# Of a beat that says nothing of it; the generation reckons with the same.
INTENSITY = 0.6
END_INTENSITY = 0.7
FIELDS = ("emotion", "intensity", "goal", "guidance")
Beats = tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Problem:
    """`place` counts beats from 0, -1 for all of them; `field` is one of `FIELDS` or empty."""

    place: int
    field: str
    message: str
    hint: str


def intensity_of(beat: Any) -> float:
    """The intensity of a stored beat, 0 to 1; the usual one where there is no number."""
    value: Any = beat.get("intensity") if isinstance(beat, Mapping) else None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return min(1.0, max(0.0, float(value))) if number else INTENSITY


def text_of(beat: Any, name: str) -> str:
    """Emotion, goal or guidance of a stored beat; a beat that is a mere text is its emotion."""
    if not isinstance(beat, Mapping):
        return str(beat) if name == "emotion" else ""
    value = beat.get(name)
    return "" if value is None else str(value)


def beat_problems(place: int, beat: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with one beat."""
    found = []
    emotion, intensity = beat.get("emotion"), beat.get("intensity")
    if not isinstance(emotion, str) or not emotion.strip():
        found.append(Problem(place, "emotion", "The beat has no emotion.", "Name the emotion of the beat."))
    number = isinstance(intensity, int | float) and not isinstance(intensity, bool)
    if intensity is not None and not (number and 0 <= intensity <= 1):
        message = f"{intensity!r} is not an intensity."
        found.append(Problem(place, "intensity", message, "Use a number from 0 to 1."))
    return found


def problems(beats: Sequence[Mapping[str, Any]]) -> list[Problem]:
    """Everything that keeps edited beats from being saved, in their order."""
    found = [problem for place, beat in enumerate(beats) for problem in beat_problems(place, _as_object(beat))]
    if len(beats) < FEWEST:
        message = "An arc needs at least two beats: the emotion it starts with, and the one it ends with."
        found.append(Problem(-1, "", message, "Add a beat."))
    return found


def _as_object(beat: Any) -> dict[str, Any]:
    return dict(beat) if isinstance(beat, Mapping) else {"emotion": str(beat)}


def _stripped(beat: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.strip() if isinstance(value, str) else value for name, value in beat.items()}


def to_edit(arc: EmotionalArc) -> Beats:
    """The arc's beats; of an arc without any, its start and its end."""
    ends = [name.strip() for name in (arc.start_emotion, arc.end_emotion) if name.strip()]
    return tuple(arc.beats) or tuple({"emotion": name, "intensity": END_INTENSITY} for name in ends)


@dataclass(frozen=True)
class _State:
    beats: Beats
    at: int


class BeatsEdit:
    """Beats, the chosen one (`at`, -1 if there is none), and what can be undone. Every change is one step back.

    Changes of the same field of the same beat are one step until `rest` is called: a word, a drag.
    """

    def __init__(self, beats: Iterable[Mapping[str, Any]]) -> None:
        first = tuple(beats)
        self._first = first
        self._now = _State(first, 0 if first else -1)
        self._undo: list[_State] = []
        self._redo: list[_State] = []
        self._same: tuple[int, str] | None = None

    @property
    def beats(self) -> Beats:
        """As they are now."""
        return self._now.beats

    @property
    def at(self) -> int:
        """The chosen beat."""
        return self._now.at

    @property
    def changed(self) -> bool:
        """Whether they are other than at the beginning."""
        return self.beats != self._first

    @property
    def result(self) -> Beats:
        """To be stored: the texts of new and edited beats without blanks around them."""
        return tuple(beat if beat in self._first else _stripped(beat) for beat in self.beats)

    @property
    def can_undo(self) -> bool:
        """Whether there is a step back."""
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step forward again."""
        return bool(self._redo)

    def choose(self, place: int) -> None:
        """Another beat; no step of its own."""
        self.rest()
        if self.beats:
            self._now = _State(self.beats, max(0, min(len(self.beats) - 1, place)))

    def rest(self) -> None:
        """The next change is a step of its own."""
        self._same = None

    def put(self, name: str, value: str | float) -> None:
        """Another value in a field of the chosen beat; an empty text takes goal and guidance out."""
        if self.at < 0:
            return
        old = self.beats[self.at]
        if value == (intensity_of(old) if name == "intensity" else text_of(old, name)):
            return
        beat = _as_object(old) | {name: value}
        if value == "" and name != "emotion":
            del beat[name]
        beats = list(self.beats)
        beats[self.at] = beat
        self._step(beats, self.at, (self.at, name))

    def move(self, place: int) -> None:
        """The chosen beat to another place."""
        if self.at < 0 or place == self.at or not 0 <= place < len(self.beats):
            return
        beats = list(self.beats)
        beats.insert(place, beats.pop(self.at))
        self._step(beats, place)

    def add(self) -> None:
        """An empty beat behind the chosen one, as strong as it."""
        strength = intensity_of(self.beats[self.at]) if self.at >= 0 else INTENSITY
        self._insert({"emotion": "", "intensity": strength})

    def duplicate(self) -> None:
        """A copy of the chosen beat behind it."""
        if self.at >= 0:
            self._insert(self.beats[self.at])

    def _insert(self, beat: Mapping[str, Any]) -> None:
        beats = list(self.beats)
        beats.insert(self.at + 1, beat)
        self._step(beats, self.at + 1)

    def remove(self) -> None:
        """Take the chosen beat out."""
        if self.at >= 0:
            beats = [beat for place, beat in enumerate(self.beats) if place != self.at]
            self._step(beats, min(self.at, len(beats) - 1))

    def undo(self) -> None:
        """One step back."""
        if self._undo:
            self._redo.append(self._now)
            self._now = self._undo.pop()
            self.rest()

    def redo(self) -> None:
        """One step forward again."""
        if self._redo:
            self._undo.append(self._now)
            self._now = self._redo.pop()
            self.rest()

    def _step(self, beats: Sequence[Mapping[str, Any]], at: int, same: tuple[int, str] | None = None) -> None:
        if same is None or same != self._same:
            self._undo.append(self._now)
        self._redo.clear()
        self._now, self._same = _State(tuple(beats), at), same
