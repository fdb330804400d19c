"""What the user has enriched: all that is left, what is selected, or the conversation that is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot

from core.jobs import Job
from ui import format as fmt
from ui import steps
from ui.pages.conversations.data import Overview
from ui.pages.conversations.decisions import Decisions
from ui.pages.conversations.inspector import Inspector
from ui.pages.conversations.scaffold_dialog import ScaffoldingDialog
from ui.widgets.basic import Button
from ui.widgets.page import Page

ENRICH_ICON = "ph.magic-wand"


class EnrichButton(Button):
    """Says how many it would enrich; the page's main one while something is left."""

    def __init__(self, on_click: Callable[[], Any]) -> None:
        super().__init__("Enrich", "main", ENRICH_ICON, on_click=on_click, name="enrich")

    def show_state(self, count: int, *, chosen: bool, busy: bool, any_rows: bool) -> None:
        """`count` that wait or were chosen, `busy` while a job enriches."""
        if busy:
            text, tip = "Enriching", "Enrichment is running; the bar below shows its progress"
        elif chosen:
            text, tip = f"Enrich {fmt.count(count)} selected", "Enrich the selected conversations"
        elif count:
            text, tip = f"Enrich {fmt.count(count)}", "Enrich every conversation that is not yet enriched"
        else:
            text, tip = "Enrich", "Every conversation is enriched" if any_rows else "There is nothing to enrich yet"
        self.setText(text)
        self.setToolTip(tip)
        self.setAccessibleName(text)
        self.setEnabled(bool(count) and not busy)

    def set_main(self, main: bool) -> None:
        """Whether it is the page's one main button."""
        self.setProperty("role", "main" if main else "")
        self.set_icon(ENRICH_ICON)
        self.style().polish(self)


class Enriching(QObject):
    """`ended()` when a job that was started here is over, or could not begin."""

    ended = Signal()

    def __init__(self, page: Page, button: EnrichButton, decide: Decisions, inspector: Inspector) -> None:
        super().__init__(page)
        self._page, self._button, self._decide, self._inspector = page, button, decide, inspector
        self._waiting: Sequence[str] = ()
        self._under_way: tuple[str, ...] = ()
        report = inspector.report
        report.again.connect(self._enrich_shown)
        report.mend.connect(self._on_mend)
        report.choose.connect(self._choose_scaffolding)

    def show_state(self, found: Overview, chosen: Sequence[str]) -> int:
        """The button for what there is and what is selected of it; returns how many it would enrich."""
        self._waiting, many = found.waiting, len(chosen) > 1
        count = len(chosen) if many else len(found.waiting)
        self._button.show_state(count, chosen=many, busy=found.enriching, any_rows=bool(found.total))
        return count

    def enrich(self) -> None:
        """Several selected rows, else all that are not enriched."""
        chosen = self._decide.selected_ids()
        if len(chosen) > 1:
            self._start(chosen)
        elif self._waiting:
            self._start(self._waiting)

    def enrich_selected(self) -> None:
        """What is selected, be it one."""
        if chosen := self._decide.selected_ids():
            self._start(chosen)

    @Slot()
    def _enrich_shown(self) -> None:
        if self._inspector.detail is not None:
            self._start([self._inspector.detail.row.id])

    def _start(self, ids: Sequence[str]) -> None:
        wanted = tuple(ids)
        if wanted == self._under_way:
            return
        self._under_way = wanted
        self._button.setEnabled(False)
        steps.enrich(self._page.services, list(ids), self._on_ended, self._page)

    def _on_ended(self, _job: Job | None = None) -> None:
        self._under_way = ()
        self.ended.emit()

    @Slot(object)
    def _on_mend(self, missing: tuple[str, str]) -> None:
        kind, key = missing
        self._page.services.navigator.open_page("scaffolding", {"kind": kind, "key": key})

    @Slot()
    def _choose_scaffolding(self) -> None:
        if self._inspector.detail is not None:
            ScaffoldingDialog(self._page, self._inspector.detail.row, lambda ident: self._start([ident])).open()
