"""What can be done with the selected entries: duplicate, switch off and on, delete; each with Undo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtWidgets import QWidget

from app.services import Services
from core import trash
from core.db import Database
from core.events import Changed
from core.scaffolding import editing
from core.scaffolding.store import Entry
from ui import format as fmt
from ui.deleting import delete_rows
from ui.pages.scaffolding.kinds import Kind


def _named(kind: Kind, entries: Sequence[Any]) -> str:
    """ "Persona “David Chen”", or "3 personas"."""
    one = f"{kind.one.capitalize()} “{entries[0].name}”"
    return one if len(entries) == 1 else fmt.plural(len(entries), kind.one)


class EntryActions:
    """Changes entries of one kind; `owner` shows the errors."""

    def __init__(self, services: Services, owner: QWidget) -> None:
        self._services, self._owner = services, owner

    def duplicate(self, kind: Kind, entries: Sequence[Entry], done: Callable[[Entry], Any]) -> None:
        """Store a copy of each; `done(first copy)`."""
        services, idents = self._services, [entry.id for entry in entries]

        def work(db: Database) -> tuple[Changed, list[Entry]]:
            return Changed.SCAFFOLDING, editing.duplicate(db, kind.entry, idents)

        def stored(copies: list[Entry]) -> None:
            def undo() -> None:
                ids = [copy.id for copy in copies]
                services.write(services.root, lambda db: trash.delete(db, kind.entry.TABLE, ids))

            services.notifier.say(f"{_named(kind, entries)} duplicated", undo)
            done(copies[0])

        services.write(self._owner, work, stored)

    def switch(self, kind: Kind, entries: Sequence[Entry], active: bool) -> None:
        """Archive the entries, or take them into use again."""
        services = self._services
        idents, names = [entry.id for entry in entries], {entry.id: entry for entry in entries}

        def done(changed: list[str]) -> None:
            if not changed:
                return

            def undo() -> None:
                services.write(services.root, lambda db: editing.switch(db, kind.entry, changed, not active)[0])

            found = [names[ident] for ident in changed]
            services.notifier.say(f"{_named(kind, found)} switched {'on' if active else 'off'}", undo)

        services.write(self._owner, lambda db: editing.switch(db, kind.entry, idents, active), done)

    def delete(self, kind: Kind, entries: Sequence[Entry]) -> None:
        """Move the entries to the trash."""
        idents, text = [entry.id for entry in entries], f"{_named(kind, entries)} moved to the trash"
        delete_rows(self._services, self._owner, kind.entry.TABLE, idents, text)
