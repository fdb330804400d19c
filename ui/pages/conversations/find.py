"""Conversations by title, for the command palette."""

from __future__ import annotations

from core.db import Database
from core.db.lookup import by_name
from ui import format as fmt


def find(db: Database, text: str, limit: int) -> list[tuple[str, str, str]]:
    """(id, title, when it came in)."""
    rows = by_name(db, "conversations", "title", text, limit, "created_at")
    return [(row["id"], row["title"], fmt.moment(row["created_at"])) for row in rows]
