"""Compares bases of different formats when one has come: a job, begun by itself, that few notice."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, Slot

from app.project_indexes import Work
from core import jobs
from core.adapters import siblings
from core.db import Database
from core.events import Changed

COMPARE = "compare_bases"
TITLE = "Comparing base models"


class BaseSiblings(QObject):
    """Looks after each change of the base models; what can't be compared is tried once a session."""

    def __init__(self, work: Work, parent: QObject) -> None:
        super().__init__(parent)
        self._work = work
        self._tried: set[str] = set()
        self._starting = False
        work.hub.changed.connect(self._on_data)

    @Slot(object)
    def _on_data(self, what: Changed) -> None:
        if what & Changed.MODELS:
            self.look()

    def look(self) -> None:
        """Compare what was not compared yet."""
        self._work.read(self, _open_pairs, self._found)

    def _found(self, pairs: frozenset[str]) -> None:
        if not pairs - self._tried or self._starting:
            return
        self._tried |= pairs
        self._starting = True

        def over(_job: Any = None) -> None:
            self._starting = False

        self._work.start_job(COMPARE, TITLE, {}, over, self, refused=over)


def _open_pairs(db: Database) -> frozenset[str]:
    if jobs.listing(db, kind=COMPARE, states=jobs.UNDER_WAY, limit=1):
        # It looks again when that one has changed something.
        return frozenset()
    return frozenset(siblings.contents(*pair) for pair in siblings.unchecked(db))
