"""Settings of a workspace: rows of JSON in its database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from core.events import Changed

if TYPE_CHECKING:
    from sqlite_utils import Database

DEFAULTS: dict[str, Any] = {
    "theme": "system",
    "vertical": "financial_planning_consultant",
    "default_base": "practice",
    "validation_share": 0.12,
    "split_seed": 7,
    "max_resident_adapters": 3,
    "network_jobs": 1,
    "is_sample": False,
}


def get(db: Database, key: str, default: Any = None) -> Any:
    """The stored value, else `DEFAULTS`, else `default`."""
    row = db.execute("select value from settings where key = ?", [key]).fetchone()
    return orjson.loads(row[0]) if row else DEFAULTS.get(key, default)


def put(db: Database, key: str, value: Any) -> Changed:
    """Store a JSON value."""
    with db.conn:
        db.execute(
            "insert into settings(key, value) values(?, ?) on conflict(key) do update set value = excluded.value",
            [key, orjson.dumps(value).decode()],
        )
    return Changed.SETTINGS
