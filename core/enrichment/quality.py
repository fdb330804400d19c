"""Quality of one answer by local rules: four criteria from 1 to 5 in steps of 0.1, each with its reasons in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from core.enrichment import lexicon
from core.enrichment.lexicon import Lexicon
from core.enrichment.normal_form import find_phrase, fold
from core.scaffolding import verticals

CRITERIA = verticals.CRITERIA
TITLES = {
    "empathy_score": "Empathy", "clarity_score": "Clarity",
    "appropriateness_score": "Appropriateness", "brand_voice_alignment": "Brand voice",
}  # fmt: skip
_TOKEN = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_SENTENCE = re.compile(r"[.!?…]+(?:\s|$)|\n+")
_LIST = re.compile(r"^\s*(?:[-*•]|\d+[.)]|#{1,6})\s", re.MULTILINE)


@dataclass(frozen=True)
class Reading:
    """A text taken apart once, for all rules."""

    folded: str
    tokens: tuple[str, ...]
    sentences: int
    content: frozenset[str]

    def hits(self, cues: Iterable[str]) -> list[str]:
        """The cues that occur in the text."""
        return [cue for cue in cues if find_phrase(self.folded, cue) >= 0]


def read(text: str) -> Reading:
    """Take a text apart."""
    folded = fold(text)
    tokens = tuple(_TOKEN.findall(folded))
    content = frozenset(token for token in tokens if len(token) > 3 and token not in lexicon.COMMON)
    sentences = sum(1 for part in _SENTENCE.split(folded) if part and not part.isspace())
    return Reading(folded, tokens, max(1, sentences), content)


@dataclass(frozen=True)
class Score:
    """One criterion of one answer. `named` are the reasons by a stable name, for counting over the conversation."""

    value: float
    reasons: tuple[str, ...]
    named: tuple[str, ...]


class _Tally:
    """Adds up points with their reasons."""

    def __init__(self, start: float) -> None:
        self.value = start
        self.reasons = [f"starts at {start:.1f}"]
        self.named: list[str] = []

    def add(self, points: float, name: str, reason: str = "") -> None:
        self.value += points
        self.named.append(name)
        self.reasons.append(f"{reason or name} ({points:+.1f})")

    def score(self, criterion: str, answer: Reading, words: Lexicon) -> Score:
        """The score, once the vertical's own rules for the criterion have been applied."""
        for rule in words.rules:
            if rule.criterion == criterion and (hits := answer.hits(rule.phrases)):
                self.add(rule.points, rule.name, f"{rule.name} with {_quoted(hits)}")
        return Score(round(min(5.0, max(1.0, self.value)), 1), tuple(self.reasons), tuple(self.named))


def _quoted(hits: Sequence[str]) -> str:
    return ", ".join(f"“{hit}”" for hit in hits[:3])


def empathy(client: Reading, answer: Reading, named: Mapping[str, str], words: Lexicon) -> Score:
    """Does the answer meet the client's feeling? `named` are the emotions its words name."""
    tally = _Tally(2.0)
    if named:
        tally.add(1.0, "names a feeling", f"names a feeling: {', '.join(list(named)[:3])}")
    if hits := answer.hits(words.phrases["acknowledge"]):
        tally.add(0.7, "acknowledges what was said", f"acknowledges with {_quoted(hits)}")
    shared = client.content & answer.content
    if shared:
        share = len(shared) / max(4, min(len(client.content), 12))
        points = round(min(0.8, 1.6 * share), 1) or 0.1
        name = "picks up the client's words"
        tally.add(points, name, f"{name}: {', '.join(sorted(shared)[:3])}")
    if "?" in answer.folded:
        tally.add(0.4, "asks the client something")
    if any(token in ("you", "your", "you're", "yours") for token in answer.tokens):
        tally.add(0.3, "speaks to the client")
    if hits := answer.hits(words.phrases["dismiss"]):
        tally.add(-1.0, "brushes the feeling aside", f"brushes the feeling aside with {_quoted(hits)}")
    return tally.score("empathy_score", answer, words)


def clarity(answer: Reading, words: Lexicon) -> Score:
    """Is it easy to follow?"""
    tally = _Tally(4.6)
    mean = len(answer.tokens) / answer.sentences
    if mean <= 10:
        tally.add(0.2, "short sentences", f"{mean:.0f} words per sentence")
    if mean > 12:
        tally.add(-round(min(2.0, (mean - 12) * 0.1), 1), "long sentences", f"{mean:.0f} words per sentence")
    long_share = sum(1 for token in answer.tokens if len(token) > 8) / max(1, len(answer.tokens))
    if long_share > 0.05:
        points = -max(0.1, round(min(1.5, (long_share - 0.05) * 10), 1))
        tally.add(points, "long words", f"{long_share:.0%} of the words are long")
    elif long_share == 0:
        tally.add(0.2, "no long words")
    if len(answer.tokens) < 8:
        tally.add(-1.5, "hardly an answer", f"only {len(answer.tokens)} words")
    if len(answer.tokens) > 180:
        points = -round(min(1.5, (len(answer.tokens) - 180) / 200), 1) or -0.1
        tally.add(points, "long answer", f"{len(answer.tokens)} words")
    questions = answer.folded.count("?")
    if questions > 1:
        points = -round(min(1.2, 0.3 * (questions - 1)), 1)
        tally.add(points, "several questions at once", f"{questions} questions at once")
    return tally.score("clarity_score", answer, words)


def appropriateness(client: Reading, answer: Reading, words: Lexicon) -> Score:
    """Does it fit the situation: no promises, no blame, the choice left to the client?"""
    tally = _Tally(4.0)
    for cues, points, name in (
        (words.phrases["promise"], -1.2, "promises too much"), (words.phrases["judge"], -1.0, "judges the client"),
        (words.phrases["command"], -0.5, "gives the client orders"), (lexicon.MACHINE, -1.5, "sounds like a machine"),
    ):  # fmt: skip
        if hits := answer.hits(cues):
            tally.add(points, name, f"{name} with {_quoted(hits)}")
    if hits := answer.hits(words.phrases["choice"]):
        tally.add(0.4, "leaves the choice to the client", f"leaves the choice to the client with {_quoted(hits)}")
    if hits := answer.hits(words.phrases["step"]):
        tally.add(0.3, "offers a step", f"offers a step with {_quoted(hits)}")
    shared = len(client.content & answer.content)
    if shared >= 2:
        tally.add(0.2, "stays on the subject")
    elif shared == 0:
        tally.add(-0.4, "picks up nothing the client said")
    if len(answer.tokens) > 6 * max(20, len(client.tokens)):
        tally.add(-0.5, "out of proportion", f"{len(answer.tokens)} words answer {len(client.tokens)}")
    return tally.score("appropriateness_score", answer, words)


def brand_voice(answer: Reading, voice: frozenset[str], raw: str, words: Lexicon) -> Score:
    """Does it sound like the consultant's profile: its words, plain prose, a calm tone?"""
    tally = _Tally(3.0)
    shared = sorted(voice & answer.content)
    if shared:
        points = round(min(1.0, 0.2 * len(shared)), 1)
        tally.add(points, "uses the profile's words", f"uses words of the profile: {', '.join(shared[:4])}")
    if any(token in ("we", "us", "let's", "our", "together") for token in answer.tokens):
        tally.add(0.4, "says “we”")
    mean = len(answer.tokens) / answer.sentences
    if mean <= 14:
        tally.add(0.4, "short sentences", f"{mean:.0f} words per sentence")
    if _LIST.search(raw):
        tally.add(-0.5, "lists or headings instead of prose")
    else:
        tally.add(0.2, "plain prose")
    marks = raw.count("!")
    if marks:
        tally.add(-round(min(0.9, 0.3 * marks), 1), "exclamation marks", f"{marks} exclamation marks")
    if hits := answer.hits(lexicon.MACHINE):
        tally.add(-1.0, "sounds like a machine", f"sounds like a machine with {_quoted(hits)}")
    return tally.score("brand_voice_alignment", answer, words)


def voice_words(profile: Mapping[str, Any], system_prompt: str) -> frozenset[str]:
    """The content words of the consultant's profile, what it says to avoid left out."""
    return _voice(orjson.dumps(profile), system_prompt)


@lru_cache(maxsize=8)
def _voice(profile: bytes, system_prompt: str) -> frozenset[str]:
    texts: list[str] = [system_prompt]
    _collect(orjson.loads(profile), texts)
    return read("\n".join(texts)).content


def _collect(value: Any, out: list[str]) -> None:
    if isinstance(value, str):
        out.append(value)
    elif isinstance(value, dict):
        for key, part in value.items():
            if key not in ("avoid", "avoided_words", "note", "name"):
                _collect(part, out)
    elif isinstance(value, list):
        for part in value:
            _collect(part, out)


def overall(values: Iterable[float]) -> float:
    """The mean, to one decimal."""
    found = list(values)
    return round(sum(found) / len(found), 1)


def summarise(scores: Sequence[Mapping[str, Score]], criterion: str) -> str:
    """A criterion over the whole conversation: "names a feeling in 3 of 4 answers; ..."."""
    counts: dict[str, int] = {}
    for pair in scores:
        for name in pair[criterion].named:
            counts[name] = counts.get(name, 0) + 1
    total = len(scores)
    answers = "answer" if total == 1 else "answers"
    parts = [f"{name} in {count} of {total} {answers}" for name, count in counts.items()]
    return "; ".join(parts) or f"nothing raised or lowered the score in {total} {answers}"
