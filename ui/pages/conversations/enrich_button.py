"""The button that enriches; the page's main one while something is left to enrich."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ui import format as fmt
from ui.widgets.basic import Button

ENRICH_ICON = "ph.magic-wand"


class EnrichButton(Button):
    """Says how many it would enrich."""

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
