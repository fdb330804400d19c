"""What a project is left with: its search, the chosen result, and how far both lists were scrolled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QTimer

from core.projects import projects
from ui.pages.projects.frame import ProjectsFrame
from ui.pages.projects.search_box import Asked
from ui.pages.projects.searching import Searching
from ui.pages.projects.source import Place

STATE = "page"
KEEP_MS = 700


class LeftWith:
    """Belongs to the page. Written after a rest, and at once when another project is opened or the window closes.

    `result` is the place to choose again among the results when they come, None once it was.
    """

    def __init__(self, page: ProjectsFrame, searching: Searching) -> None:
        self._page, self._searching = page, searching
        # As it is here, which the rows may not have yet.
        self._known: dict[str, Mapping[str, Any]] = {}
        self._project = ""
        self.result: tuple[str, int] | None = None
        self._soon = QTimer(page)
        self._soon.setSingleShot(True)
        self._soon.setInterval(KEEP_MS)
        self._soon.timeout.connect(self.keep)
        results = page.answers.list
        for bar in (results.verticalScrollBar(), page.source.text.verticalScrollBar()):
            bar.valueChanged.connect(self.later)
        page.source.moved.connect(self.later)
        page.box.edited.connect(self.later)

    def restore(self, project_id: str, stored: Mapping[str, Any]) -> Asked:
        """Fill search and source as that project was left; returns what is to be searched for."""
        kept = self._known.get(project_id, stored.get(STATE))
        kept = kept if isinstance(kept, Mapping) else {}
        self._project = ""
        asked = Asked.from_json(kept.get("asked"))
        self._page.box.show_asked(asked)
        chosen = kept.get("chosen")
        self.result = None
        if isinstance(chosen, Sequence) and len(chosen) == 3 and chosen[0]:
            place = Place(str(chosen[0]), int(chosen[1]), int(chosen[2]))
            self.result = (place.path, place.start)
            self._page.source.show_place(place, int(kept.get("source_scroll") or 0))
        self._project, self._known[project_id] = project_id, kept
        return asked

    def scroll_results(self) -> None:
        """Where the results were, once they are there again."""
        kept = self._known.get(self._project, {})
        self._page.answers.list.verticalScrollBar().setValue(int(kept.get("results_scroll") or 0))
        self.result = None

    def forget(self) -> None:
        """No project is open."""
        self._soon.stop()
        self._project = ""

    def _state(self) -> dict[str, Any]:
        page, known = self._page, self._known.get(self._project, {})
        place = page.source.place
        # While something is on its way, the bars say nothing of where the user left them.
        results = None if self._searching.under_way else page.answers.list.verticalScrollBar().value()
        source = None if page.source.under_way else page.source.text.verticalScrollBar().value()
        return {
            "asked": page.box.asked.to_json(), "chosen": [place.path, place.start, place.end] if place.path else None,
            "results_scroll": int(known.get("results_scroll") or 0) if results is None else results,
            "source_scroll": int(known.get("source_scroll") or 0) if source is None else source,
        }  # fmt: skip

    def later(self, *_values: object) -> None:
        """Something changed."""
        if self._project:
            self._soon.start()

    def keep(self) -> None:
        """Write it, unless it is as it was."""
        self._soon.stop()
        ident = self._project
        if not ident:
            return
        state = self._state()
        if state == self._known.get(ident):
            return
        self._known[ident] = state
        entry = self._page.overview.entry(ident) if self._page.overview is not None else None
        if entry is not None:
            self._page.write(lambda db: projects.keep_state(db, ident, {STATE: state}))
