"""Asks while the user types: after a short rest, the newest question alone, and an answer only to that."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.services import Services
from core.code_index.spec import ProjectSpec
from core.errors import AppError
from ui.pages.projects.search_box import Asked

TYPING_MS = 140
MOST_FOUND, MOST_LINES = 30, 300


class Searching(QObject):
    """`found(Asked, answer, seconds)`, `failed(Asked, AppError)`, `cleared()` where nothing is asked."""

    found = Signal(object, object, float)
    failed = Signal(object, object)
    cleared = Signal()

    def __init__(self, services: Services, parent: QObject) -> None:
        super().__init__(parent)
        self._services = services
        self._spec: ProjectSpec | None = None
        self._asked = Asked()
        self._ident = ""
        self._round = 0
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(TYPING_MS)
        self._soon.timeout.connect(self.now)

    @property
    def under_way(self) -> bool:
        """Whether an answer is awaited, or will be when the typing rests."""
        return bool(self._ident) or self._soon.isActive()

    def use(self, spec: ProjectSpec | None) -> None:
        """Search in that project from now on; what was asked of another one is dropped."""
        if self._spec is None or spec is None or spec.id != self._spec.id:
            self.drop()
        self._spec = spec

    def ask(self, asked: Asked) -> None:
        """Search when the typing rests; an empty question is answered at once."""
        self._asked = asked
        if asked.wanted:
            self._soon.start()
        else:
            self.drop()
            self.cleared.emit()

    def drop(self) -> None:
        """Whatever was asked is not wanted any more."""
        self._soon.stop()
        self._round += 1
        ident, self._ident = self._ident, ""
        if ident:
            self._services.code.drop(ident)

    @Slot()
    def now(self) -> None:
        """Search without waiting."""
        self.drop()
        asked, spec = self._asked, self._spec
        if spec is None or not asked.wanted:
            return
        begun, number, code = time.perf_counter(), self._round, self._services.code
        done, failed = self._callbacks(asked, number, begun)
        if asked.is_plain:
            languages = [asked.filters["lang"]] if "lang" in asked.filters else []
            ident = code.grep(
                self, spec, asked.wanted, done, failed, regex=asked.regex, ignore_case=not asked.case,
                whole_word=asked.word, languages=languages, limit=MOST_LINES,
            )  # fmt: skip
        else:
            ident = code.search(self, spec, asked.query, done, failed, k=MOST_FOUND)
        # One that is answered while it is asked leaves nothing to drop.
        self._ident = ident if self._round == number else ""

    def _callbacks(
        self, asked: Asked, number: int, begun: float
    ) -> tuple[Callable[[Mapping[str, Any]], None], Callable[[AppError], None]]:
        def done(answer: Mapping[str, Any]) -> None:
            if number == self._round:
                self._finish()
                self.found.emit(asked, answer, float(answer.get("seconds") or time.perf_counter() - begun))

        def failed(error: AppError) -> None:
            if number == self._round:
                self._finish()
                self.failed.emit(asked, error)

        return done, failed

    def _finish(self) -> None:
        self._round += 1
        self._ident = ""
