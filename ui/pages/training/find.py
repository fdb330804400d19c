"""Training runs by name, for the command palette."""

from __future__ import annotations

from core.db import Database
from core.db.lookup import by_name
from ui import format as fmt


def find(db: Database, text: str, limit: int) -> list[tuple[str, str, str]]:
    """(id, name, steps)."""
    rows = by_name(db, "training_jobs", "name", text, limit, "current_step")
    return [(row["id"], row["name"], fmt.plural(row["current_step"], "step")) for row in rows]
