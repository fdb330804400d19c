"""Training files by name, for the command palette."""

from __future__ import annotations

from core.db import Database
from core.db.lookup import by_name


def find(db: Database, text: str, limit: int) -> list[tuple[str, str, str]]:
    """(id, name, version)."""
    rows = by_name(db, "training_files", "name", text, limit, "version")
    return [(row["id"], row["name"], f"Version {row['version']}") for row in rows]
