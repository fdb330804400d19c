"""Scaffolding by name, for the command palette."""

from __future__ import annotations

from core.db import Database
from core.db.lookup import by_name
from core.scaffolding.store import EmotionalArc, Entry, Persona, PromptTemplate, TrainingTopic

KINDS: dict[str, type[Entry]] = {
    "persona": Persona,
    "arc": EmotionalArc,
    "topic": TrainingTopic,
    "template": PromptTemplate,
}


def find(db: Database, text: str, limit: int) -> list[tuple[str, str, str]]:
    """("persona/key", name, kind)."""
    return [
        (f"{kind}/{row[entry.KEY]}", row["name"], entry.NOUN.capitalize())
        for kind, entry in KINDS.items()
        for row in by_name(db, entry.TABLE, "name", text, limit, entry.KEY)
    ]
