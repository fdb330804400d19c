"""What the command palette can find: pages, commands, and rows by name, which are read off the GUI thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.services import Services
from core.db import Database
from core.events import Changed
from core.registry import resolve
from core.workspace import settings
from ui.registry import PAGES, PageSpec
from ui.widgets.page import Page
from ui.window.actions import Actions, Command
from ui.window.ranking import score

SEARCH_MS = 60
ROWS_A_PAGE = 6
RECENT_KEY, RECENT_KEPT = "recent_commands", 12
COMMAND_ICON = "ph.command"


@dataclass(frozen=True)
class Entry:
    """One line of the palette; `key` tells it from all others, `hint` stands at the right, `blocked` says why not."""

    key: str
    title: str
    subtitle: str
    icon: str
    hint: str
    run: Callable[[], Any]
    blocked: str = ""


class Front(Protocol):
    """Where commands work: the window."""

    @property
    def current_page(self) -> Page | None:
        """The page that is shown."""


class PaletteSource(QObject):
    """`ask(text)` starts a search of the rows; `found(text, [Entry, ...])` comes once a page that has some."""

    found = Signal(str, object)
    learned = Signal()

    def __init__(
        self, services: Services, front: Front, actions: Actions, why_not: Callable[[str], str], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._services, self._front, self._actions, self._why_not = services, front, actions, why_not
        self._recent: list[str] | None = None
        self._text = ""
        # A search that is still in the queue when the next letter comes is not worth its time.
        self._newest = 0
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SEARCH_MS)
        self._soon.timeout.connect(self._search)

    # Pages and commands

    def entries(self, text: str) -> list[Entry]:
        """Pages and commands that fit, the best first; all of them, recently used first, without a text."""
        everything = list(self._all())
        if not text.strip():
            place = {key: number for number, key in enumerate(self._recent or ())}
            return sorted(everything, key=lambda entry: place.get(entry.key, len(place)))
        ranked = [(score(text, entry.title), entry) for entry in everything]
        return [entry for value, entry in sorted(ranked, key=lambda pair: -pair[0]) if value > 0]

    def _all(self) -> Iterator[Entry]:
        page = self._front.current_page
        title = page.accessibleName() if page is not None else ""
        for command in page.commands() if page is not None else ():
            key = f"page_command:{title}:{command.name}"
            yield Entry(key, command.text, title, command.icon, command.shown_keys, command.run, command.blocked())
        for known in self._actions.table:
            if known.page:
                yield self._entry(known, "Page", _icon(known.page))
        for known in self._actions.table:
            if known.in_palette and not known.page:
                yield self._entry(known, known.menu, COMMAND_ICON)

    def _entry(self, known: Command, subtitle: str, icon: str) -> Entry:
        action, name = self._actions[known.name], known.name
        return Entry(
            f"command:{name}", action.text().replace("&&", "&"), subtitle, icon, self._actions.keys(name),
            action.trigger, self._why_not(name),
        )  # fmt: skip

    # Rows

    def ask(self, text: str) -> None:
        """Look for rows of that name, once the typing pauses; an earlier question is dropped."""
        self._newest += 1
        self._text = text.strip()
        if self._text:
            self._soon.start()
        else:
            self._soon.stop()

    @Slot()
    def _search(self) -> None:
        number, text = self._newest, self._text
        for spec in PAGES.specs():
            if spec.rows:
                done = partial(self._on_rows, number, text, spec)
                self._services.read(self, partial(self._find, number, text, spec.rows), done)

    def _find(self, number: int, text: str, path: str, db: Database) -> Sequence[tuple[str, str, str]]:
        if number != self._newest:
            return ()
        return list(resolve(path)(db, text, ROWS_A_PAGE))

    def _on_rows(self, number: int, text: str, spec: PageSpec, rows: Sequence[tuple[str, str, str]]) -> None:
        if number == self._newest and rows:
            self.found.emit(text, [self._row(spec, *row) for row in rows])

    def _row(self, spec: PageSpec, ident: str, title: str, subtitle: str) -> Entry:
        run = partial(self._services.navigator.open_page, spec.name, ident)
        return Entry(f"row:{spec.name}:{ident}", title, subtitle, spec.icon, spec.title, run)

    # Recently used

    def learn(self) -> None:
        """Read once what was used lately; `learned()` follows."""
        if self._recent is None:
            self._services.read(self, lambda db: settings.get(db, RECENT_KEY, []), self._on_recent)

    def _on_recent(self, keys: Sequence[str]) -> None:
        # What was used meanwhile is newer.
        mine = self._recent or []
        self._recent = [*mine, *(str(key) for key in keys if key not in mine)]
        self.learned.emit()

    def note(self, entry: Entry) -> None:
        """This one was used."""
        if entry.key.startswith("row:"):
            return
        self._recent = [entry.key, *(key for key in self._recent or () if key != entry.key)][:RECENT_KEPT]
        kept = list(self._recent)

        def work(db: Database) -> Changed:
            settings.put(db, RECENT_KEY, kept)
            # No page shows it.
            return Changed.NOTHING

        self._services.write(self, work)


def _icon(page: str) -> str:
    spec = PAGES.get(page)
    return spec.icon if spec is not None else COMMAND_ICON
