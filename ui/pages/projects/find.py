"""Projects by name, for the command palette."""

from __future__ import annotations

from pathlib import Path

from core.db import Database
from core.db.lookup import by_name
from ui.pages.projects.words import home_short


def find(db: Database, text: str, limit: int) -> list[tuple[str, str, str]]:
    """(id, name, where its folder is)."""
    rows = by_name(db, "projects", "name", text, limit, "root")
    return [(row["id"], row["name"], home_short(Path(row["root"]))) for row in rows]
