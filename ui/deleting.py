"""Deleting the way it is done everywhere: at once, to the trash, with Undo in the toast and Cmd+Z."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject

from app.services import Services
from core import trash
from core.db import Database
from core.events import Changed


def delete_rows(services: Services, owner: QObject, table: str, ids: Sequence[str], text: str) -> None:
    """Put rows of a table of `core.trash.KINDS` into the trash; `text` is what the toast says."""
    chosen = list(ids)

    def undo() -> None:
        services.write(services.root, lambda db: trash.restore(db, table, chosen))

    def work(db: Database) -> tuple[Changed, bool]:
        changed = trash.delete(db, table, chosen)
        return changed, bool(changed)

    def done(some: bool) -> None:
        # What a quicker second press found deleted already has nothing to take back.
        if some:
            services.notifier.say(text, undo)

    services.write(owner, work, done)
