"""The adapter that is likely to be asked next is loaded while nothing else is to be done."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from PySide6.QtCore import QObject

from app.services import Services
from core.db import Database
from core.errors import AppError
from core.events import Changed
from core.inference.habits import Habits
from core.models.store import BaseModel
from core.training.store import Adapter
from core.workspace import settings
from ui import format as fmt
from ui.pages.chat.data import reference

SETTING = "switching_habits"


class Ahead(QObject):
    """Follows who answers. `adapters_of(base_id)` are those that answer on a base."""

    def __init__(self, services: Services, parent: QObject) -> None:
        super().__init__(parent)
        self._services = services
        self.habits = Habits()
        self.adapters_of: Callable[[str], Sequence[Adapter]] = lambda _base: ()
        self._base = ""
        self._tried = ""
        self._answers = self._at_once = 0
        services.read(self, lambda db: settings.get(db, SETTING, {}), self._on_kept)

    def _on_kept(self, data: Any) -> None:
        kept = Habits.from_json(data if isinstance(data, dict) else {})
        # What was seen since the window opened is kept too.
        self.habits.steps = {**kept.steps, **self.habits.steps}
        self.habits.scores = [*kept.scores, *self.habits.scores]

    def saw(self, base: BaseModel, adapter_id: str | None) -> None:
        """That adapter, or the base alone, has answered."""
        self._base, self._tried = base.id, ""
        self.habits.saw(adapter_id or "")
        kept = self.habits.to_json()

        def put(db: Database) -> Changed:
            settings.put(db, SETTING, kept)
            return Changed.NOTHING

        self._services.write(self, put)

    def answered(self, *, resident: bool) -> None:
        """An adapter has answered, which was in memory or had to be loaded first."""
        self._answers, self._at_once = self._answers + 1, self._at_once + resident

    def load(self, resident: Collection[str], done: Callable[[], None]) -> None:
        """Make the likeliest next adapter resident, once after each answer; `done()` when it is."""
        known = {adapter.id: adapter for adapter in self.adapters_of(self._base)}
        wanted = self.habits.next(resident, known.keys())
        if wanted is None or wanted == self._tried or self._services.engine.state != "ready":
            return
        self._tried = wanted
        ref = reference(self._services.workspace, known[wanted])
        assert ref is not None
        self._services.engine.prepare(self, ref, _nothing_lost, lambda _facts: done())

    @property
    def words(self) -> str:
        """How often an adapter was there, and a prediction right, for whoever wants to know; empty at first."""
        lines, scores = [], self.habits.scores
        if self._answers:
            waited = self._answers - self._at_once
            lines.append(
                f"The adapter was in memory for {self._at_once} of {fmt.plural(self._answers, 'answer')}, and loaded "
                f"first for {waited}"
            )
        if self.habits.rate is not None:
            state = "Loads the next adapter ahead" if self.habits.helps else "Does not load ahead"
            lines.append(f"{state}: {sum(scores)} of the last {len(scores)} predictions were right")
        return "\n".join(lines)


def _nothing_lost(_error: AppError) -> None:
    """Nobody asked for it yet: who does gets the error."""
