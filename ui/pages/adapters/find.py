"""Adapters and base models by name, for the command palette."""

from __future__ import annotations

from core.db import Database
from core.db.lookup import by_name


def find(db: Database, text: str, limit: int) -> list[tuple[str, str, str]]:
    """(id, name, which of the two)."""
    kinds = (("model_artifacts", "Adapter"), ("base_models", "Base model"))
    return [(row["id"], row["name"], word) for table, word in kinds for row in by_name(db, table, "name", text, limit)]
