"""Datasets by name, for the command palette."""

from __future__ import annotations

from core.db import Database
from core.db.lookup import by_name
from ui import format as fmt


def find(db: Database, text: str, limit: int) -> list[tuple[str, str, str]]:
    """(id, name, size)."""
    rows = by_name(db, "datasets", "name", text, limit, "total_conversations")
    return [(row["id"], row["name"], fmt.plural(row["total_conversations"], "conversation")) for row in rows]
