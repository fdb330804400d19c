"""Deleting the way it is done everywhere: at once, to the trash, with Undo in the toast and Cmd+Z."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject

from app.services import Services
from core import trash


def delete_rows(services: Services, owner: QObject, table: str, ids: Sequence[str], text: str) -> None:
    """Put rows of a table of `core.trash.KINDS` into the trash; `text` is what the toast says."""
    chosen = list(ids)

    def undo() -> None:
        services.write(services.root, lambda db: trash.restore(db, table, chosen))

    def done(_nothing: object) -> None:
        services.notifier.say(text, undo)

    services.write(owner, lambda db: trash.delete(db, table, chosen), done)
