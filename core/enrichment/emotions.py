"""Which emotions a turn shows, and which beat of the arc a turn belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from core.enrichment.lexicon import Lexicon
from core.enrichment.normal_form import find_phrase
from core.scaffolding.store import EmotionalArc


def beat_emotions(arc: EmotionalArc) -> list[str]:
    """The arc's emotions in order: its beats, or its start and end where it has none."""
    found = [_emotion(beat) for beat in arc.beats] if isinstance(arc.beats, (list, tuple)) else []
    beats = [name for name in found if name]
    return beats or [name for name in (arc.start_emotion.strip(), arc.end_emotion.strip()) if name]


def _emotion(beat: Any) -> str:
    if isinstance(beat, str):
        return beat.strip()
    if isinstance(beat, Mapping):
        for key in ("emotion", "name", "beat", "label"):
            if isinstance(beat.get(key), str) and beat[key].strip():
                return str(beat[key]).strip()
    return ""


def beat_at(beats: Sequence[str], turn: int, total: int) -> int:
    """Index of the beat that turn `turn` (from 1) of `total` belongs to, spread evenly from first to last."""
    if len(beats) < 2 or total < 2:
        return 0
    return int((turn - 1) * (len(beats) - 1) / (total - 1) + 0.5)


class EmotionFinder:
    """Finds emotions by word list; the arc's own emotion words are added to the list."""

    def __init__(self, beats: Sequence[str], words: Lexicon) -> None:
        self._phrases: dict[str, str] = {}
        for name, cues in words.emotions.items():
            self._phrases |= dict.fromkeys(cues, name)
        for beat in beats:
            name = beat.lower()
            for form in dict.fromkeys((name, name.replace("_", " "))):
                self._phrases.setdefault(form, beat)

    def find(self, tokens: Sequence[str], folded: str) -> dict[str, str]:
        """Emotion -> the words that show it, in the order of the text."""
        present = set(tokens)
        hits = []
        for cue, name in self._phrases.items():
            # Most cues are one word, and a look into the set is cheaper than one through the text.
            if (" " in cue or "-" in cue or cue in present) and (at := find_phrase(folded, cue)) >= 0:
                hits.append((at, name, cue))
        found: dict[str, str] = {}
        for _, name, cue in sorted(hits):
            found.setdefault(name, cue)
        return found


@lru_cache(maxsize=256)
def finder(beats: tuple[str, ...], words: Lexicon) -> EmotionFinder:
    """The finder for an arc's beats, built once."""
    return EmotionFinder(beats, words)
