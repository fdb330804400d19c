"""The page's main button, and the bar that appears when several conversations are selected."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QHBoxLayout, QWidget

from ui import format as fmt
from ui.theme import theme
from ui.widgets.basic import Button, label

if TYPE_CHECKING:
    from ui.pages.conversations import ConversationsPage

ENRICH_ICON = "ph.magic-wand"


class EnrichButton(Button):
    """Says how many it would enrich."""

    def __init__(self, on_click: Callable[[], Any]) -> None:
        super().__init__("Enrich", "main", ENRICH_ICON, on_click=on_click, name="enrich")

    def show_state(self, count: int, *, chosen: bool, busy: bool, any_rows: bool) -> None:
        """`count` that wait or were chosen, `busy` while a job enriches."""
        if busy:
            text, tip = "Enriching", "Enrichment is under way; the bar below shows how far it is"
        elif chosen:
            text, tip = f"Enrich {fmt.count(count)} selected", "Enrich what is selected"
        elif count:
            text, tip = f"Enrich {fmt.count(count)}", "Enrich every conversation that is not enriched yet"
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


class BulkBar(QWidget):
    """What can be done with several at once."""

    def __init__(self, page: ConversationsPage) -> None:
        super().__init__()
        self.setObjectName("bulk_bar")
        self.setAccessibleName("Actions on the selected conversations")
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.half)
        self._count = label("", "strong")
        box.addWidget(self._count)
        for text, icon_name, slot, name in (
            ("Approve", "ph.check", page.approve, "bulk_approve"),
            ("Reject", "ph.x", page.reject, "bulk_reject"),
            ("Enrich", ENRICH_ICON, page.enrich_selected, "bulk_enrich"),
            ("Delete", "ph.trash", page.delete_selected, "bulk_delete"),
        ):
            box.addWidget(Button(text, "ghost", icon_name, on_click=slot, name=name))
        self.hide()

    def show_count(self, count: int) -> None:
        """Shown from two on."""
        self._count.setText(f"{fmt.count(count)} selected")
        self.setVisible(count > 1)
