"""Scaffolding by key, and the settings enrichment needs, read once per job."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import orjson

from core.db import Database
from core.enrichment.lexicon import Lexicon, lexicon_of
from core.errors import AppError, Where
from core.scaffolding.seeding import vertical_of
from core.scaffolding.store import EmotionalArc, Entry, Persona, TrainingTopic, consultant_profile, listing

E = TypeVar("E", bound=Entry)

MINIMAL_PROFILE: dict[str, Any] = {
    "name": "The consultant",
    "note": "Minimal profile: no consultant profile is set in this workspace",
}
MINIMAL_PROMPT = "You are a consultant: warm, plain-spoken, one step at a time."

_CODES: dict[type[Entry], str] = {
    Persona: "unknown_persona",
    EmotionalArc: "unknown_arc",
    TrainingTopic: "unknown_topic",
}


@dataclass(frozen=True)
class Library:
    """The scaffolding of a workspace by key, the consultant's profile, the vertical's key and its word lists."""

    personas: Mapping[str, Persona]
    arcs: Mapping[str, EmotionalArc]
    topics: Mapping[str, TrainingTopic]
    vertical: str
    lexicon: Lexicon
    profile: Mapping[str, Any]
    system_prompt: str
    profile_is_set: bool
    prompt_is_set: bool
    fingerprint: str

    def persona(self, key: str) -> Persona:
        """The persona of that key. Raises AppError `unknown_persona`."""
        return _find(Persona, self.personas, key)

    def arc(self, key: str) -> EmotionalArc:
        """The emotional arc of that key. Raises AppError `unknown_arc`."""
        return _find(EmotionalArc, self.arcs, key)

    def topic(self, key: str) -> TrainingTopic:
        """The training topic of that key. Raises AppError `unknown_topic`."""
        return _find(TrainingTopic, self.topics, key)


def load(db: Database) -> Library:
    """Read everything once; a read-only connection will do.

    Raises AppError `unknown_vertical` or `bad_vertical` where the vertical's data can't be had on this machine.
    """
    personas, arcs, topics = listing(db, Persona), listing(db, EmotionalArc), listing(db, TrainingTopic)
    profile = consultant_profile(db)
    vertical = vertical_of(db)
    lexicon = lexicon_of(vertical)
    prompt = profile.pop("system_prompt", None)
    prompt_is_set = isinstance(prompt, str) and bool(prompt.strip())
    everything = [[asdict(entry) for entry in entries] for entries in (personas, arcs, topics)]
    seen = orjson.dumps([everything, vertical.key, vars(lexicon), profile, prompt], option=orjson.OPT_SORT_KEYS)
    return Library(
        personas={entry.key: entry for entry in personas},
        arcs={entry.key: entry for entry in arcs},
        topics={entry.key: entry for entry in topics},
        vertical=vertical.key,
        lexicon=lexicon,
        profile=profile or dict(MINIMAL_PROFILE),
        system_prompt=str(prompt) if prompt_is_set else MINIMAL_PROMPT,
        profile_is_set=bool(profile),
        prompt_is_set=prompt_is_set,
        fingerprint=hashlib.sha256(seen).hexdigest(),
    )


def _find(kind: type[E], entries: Mapping[str, E], key: str) -> E:
    found = entries.get(key)
    if found is not None:
        return found
    close = difflib.get_close_matches(key, list(entries), n=3, cutoff=0.5)
    near = f" Similar: {', '.join(close)}." if close else " The library has no similar key."
    raise AppError(
        _CODES[kind],
        f"The library has no {kind.NOUN} with the key “{key}”.{near}",
        hint=f"Add the {kind.NOUN} “{key}” on the Scaffolding page, then enrich again.",
        where=Where(field=f"input_parameters.{kind.KEY}"),
        action="page:scaffolding",
    )
