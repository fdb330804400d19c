"""The window's side of Ollama: looks how it is from time to time, starts it on request, off the window's thread."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.changes import ChangeHub
from core.cancel import CancelToken
from core.db import Database
from core.db.connection import explain
from core.errors import AppError, Cancelled
from core.events import Changed
from core.inference.ollama.address import address_of, default_address, listens
from core.inference.ollama.seen import Seen, State, nobody
from core.loopback import is_loopback
from core.models import served
from core.models import store as models
from core.models.store import BaseModel

# While somebody looks on. One that is not there is asked less and less often.
LOOK_MS, BACK_OFF_MS = 10_000, (10_000, 20_000, 40_000, 60_000)


class Work(Protocol):
    """What it needs of `app.services.Services`."""

    hub: ChangeHub

    def read(
        self, owner: QObject, fn: Callable[[Database], Any], done: Callable[[Any], None],
        failed: Callable[[Exception], None] | None = None,
    ) -> int:  # fmt: skip
        """Query off the window's thread."""
        ...

    def run(
        self, owner: QObject, fn: Callable[[], Any], done: Callable[[Any], None],
        failed: Callable[[Exception], None] | None = None,
    ) -> int:  # fmt: skip
        """Work off the window's thread."""
        ...


class OllamaService(QObject):
    """`changed()` when `seen` is another, or `starting` is. It asks Ollama nothing before the first `watch` or `look`.

    `address` is that of the settings; `moved()` when it is another one.
    """

    changed = Signal()
    moved = Signal()

    def __init__(self, work: Work, log: Path, parent: QObject) -> None:
        super().__init__(parent)
        self._work, self._log = work, log
        self.address = default_address()
        self.seen: Seen | None = None
        self.starting = False
        self._looking = False
        self._again = False
        self._failures = 0
        self._watchers: set[int] = set()
        self._starts = CancelToken()
        self._held: Mapping[str, int] = {}
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.look)
        work.hub.changed.connect(self._on_data)
        self._read_address()

    # Looking

    def watch(self, owner: QObject, on: bool = True) -> None:
        """Look again and again while `owner` shows it."""
        known = id(owner) in self._watchers
        if on and not known:
            self._watchers.add(id(owner))
            self.look()
        elif not on and known:
            self._watchers.discard(id(owner))
            if not self._watchers:
                self._timer.stop()

    @Slot()
    def look(self) -> None:
        """Look now."""
        if self._looking:
            self._again = True
            return
        self._looking = True
        self._timer.stop()
        address = self.address
        self._work.run(self, lambda: _look(address), self._on_seen, self._on_failed)

    def _read_address(self) -> None:
        self._work.read(self, address_of, self._on_address)

    def _on_address(self, address: str) -> None:
        if address == self.address:
            return
        self.address, self.seen, self._held = address, None, {}
        self.moved.emit()
        self.changed.emit()
        if self._watchers:
            self.look()

    def _on_seen(self, seen: Seen) -> None:
        self._looking = False
        if seen.address != self.address or self._again:
            self._again = False
            self.look()
            return
        self._failures = 0 if seen.state is State.RUNNING else self._failures + 1
        held = {one.name: one.size_bytes for one in seen.held} if is_loopback(seen.address) else {}
        if (seen, held) != (self.seen, self._held):
            self.seen, self._held = seen, held
            self.changed.emit()
        self._later()

    def _on_failed(self, exc: Exception) -> None:
        self._on_seen(Seen(State.OTHER, self.address, error=explain(exc)))

    def _later(self) -> None:
        if self._watchers:
            wait = LOOK_MS if not self._failures else BACK_OFF_MS[min(self._failures, len(BACK_OFF_MS)) - 1]
            self._timer.start(wait)

    @Slot(object)
    def _on_data(self, what: Changed) -> None:
        if what & Changed.SETTINGS:
            self._read_address()

    # Starting

    def start(self, failed: Callable[[AppError], None]) -> None:
        """Start it on this machine; `changed` says when it answers."""
        if self.starting:
            return
        self.starting, self._starts = True, CancelToken()
        token, address, log = self._starts, self.address, self._log
        self.changed.emit()

        def over(_result: object = None) -> None:
            self.starting = False
            self.changed.emit()
            self.look()

        def on_failed(exc: Exception) -> None:
            over()
            failed(explain(exc))

        self._work.run(self, lambda: _start(address, log, token), over, on_failed)

    def stop_starting(self) -> None:
        """Whoever waited for it does not want it any more."""
        self._starts.cancel("user")

    # Asked of it

    def make_ready(self, base: BaseModel) -> Path:
        """The file or folder of a base that is loaded next; Ollama gives its memory back where it holds the same one.

        Any thread but the window's. Raises AppError `base_missing`.
        """
        path = models.require_folder(base)
        if base.served:
            return served.point(path, self.address)
        if base.ollama and not base.trains and listens(self.address):
            _make_room(self.address, base.ollama)
        return path

    def held_bytes(self, but: Collection[str] = ()) -> int:
        """What it holds of this machine's memory beside these models, as far as is known."""
        return sum(size for name, size in self._held.items() if name not in but)

    def give_back(self, keep: Collection[str], done: Callable[[int], None]) -> None:
        """Ask it for its memory, but that of these models; `done` with what became free, 0 where there is no Ollama.

        What it holds is known afterwards.
        """
        address = self.address

        def over(found: tuple[int, Mapping[str, int]]) -> None:
            freed, self._held = found
            self.changed.emit()
            done(freed)

        self._work.run(self, lambda: _give_back(address, keep), over, lambda _exc: done(0))

    def delete(self, name: str, done: Callable[[], None], failed: Callable[[Exception], None]) -> None:
        """Delete a model from its store."""
        address = self.address

        def over(_result: object) -> None:
            done()
            self.look()

        self._work.run(self, lambda: _delete(address, name), over, failed)


# The library of its client is loaded where it is needed, which is never the window's start.


def _look(address: str) -> Seen:
    if not listens(address):
        return nobody(address, "nobody takes a connection")
    from core.inference.ollama.host import OllamaHost

    with OllamaHost(address) as host:
        return host.look()


def _start(address: str, log: Path, token: CancelToken) -> None:
    from core.inference.ollama.host import start

    # Stopped is as good as done: who waited is told how it is.
    with contextlib.suppress(Cancelled):
        start(address, log, token)


def _make_room(address: str, name: str) -> None:
    from core.inference.ollama.host import make_room

    make_room(address, name)


def _give_back(address: str, keep: Collection[str]) -> tuple[int, Mapping[str, int]]:
    if not is_loopback(address) or not listens(address):
        return 0, {}
    from core.inference.ollama.host import give_back

    return give_back(address, keep)


def _delete(address: str, name: str) -> None:
    from core.inference.ollama.host import OllamaHost

    with OllamaHost(address) as host:
        host.delete(name)
