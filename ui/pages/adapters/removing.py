"""Deleting base models: the adapters on them go too, and one Undo brings all of it back."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from PySide6.QtCore import QObject

from app.services import Services
from core import trash
from core.db import Database
from core.events import Changed
from ui import format as fmt

BASES, ADAPTERS = "base_models", "model_artifacts"


def delete_bases(services: Services, owner: QObject, bases: Sequence[str], text: str) -> None:
    """Put them and the adapters that only work on them into the trash; `text` is the toast's beginning."""
    chosen = list(bases)
    taken: list[str] = []

    def undo() -> None:
        services.write(
            services.root,
            lambda db: trash.restore(db, BASES, chosen) | trash.restore(db, ADAPTERS, taken),
        )

    def work(db: Database) -> tuple[Changed, bool]:
        sql = (
            "select id from model_artifacts where deleted_at is null and type = 'adapter'"
            " and base_model_id in (select value from json_each(?))"
        )
        taken.extend(row["id"] for row in db.execute(sql, [orjson.dumps(chosen).decode()]).fetchall())
        changed = trash.delete(db, BASES, chosen)
        # What a quicker second press found deleted already takes nothing along.
        return (changed | trash.delete(db, ADAPTERS, taken), True) if changed else (changed, False)

    def done(some: bool) -> None:
        if some:
            more = (
                f" and {fmt.plural(len(taken), 'adapter')} on {'it' if len(chosen) == 1 else 'them'}" if taken else ""
            )
            services.notifier.say(f"{text}{more}", undo)

    services.write(owner, work, done)
