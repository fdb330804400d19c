"""Another cap for a batch, another count for a line of the plan."""

from __future__ import annotations

from decimal import Decimal

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from core.generation.store import Batch
from ui.dialogs.base import Dialog
from ui.format import usd
from ui.pages.generate.side import parse_cap
from ui.widgets.basic import Button, label
from ui.widgets.forms import Form, number, text_field


class CapDialog(Dialog):
    """Another cap for a batch that stopped at its own: `chosen(text | None)`."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget, batch: Batch) -> None:
        super().__init__(parent, "Raise the cap")
        self.setObjectName("cap_dialog")
        self._least = batch.spent + batch.unsure
        self.form = Form()
        proposed = max(Decimal(1), (batch.settings.cap or Decimal(1)) * 2)
        self.amount = text_field(f"{proposed:.2f}")
        self.form.add(
            "cap", "Spending stops at, $", self.amount,
            f"{usd(batch.spent)} is spent, and {batch.not_reached:,} conversations are left.", check=self._check,
        )  # fmt: skip
        self.body.addWidget(self.form)
        self.set_buttons(Button("Raise and resume", "main", on_click=self._choose, name="raise_cap"))
        self.form.changed.connect(lambda: self.hold("" if self.form.valid else "Enter a higher amount."))

    def _check(self, text: str) -> str:
        try:
            value = parse_cap(text)
        except ValueError:
            return "Enter an amount in US dollars, for example 5 or 0.50."
        return f"That has been spent already: {usd(self._least)}." if value is not None and value <= self._least else ""

    def _choose(self) -> None:
        value = parse_cap(self.amount.text())
        self.accept()
        self.chosen.emit(None if value is None else str(value))


class CountDialog(Dialog):
    """Another number of conversations in a line of the plan: `chosen(count)`."""

    chosen = Signal(int)

    def __init__(self, parent: QWidget, title: str, count: int, most: int) -> None:
        super().__init__(parent, "Conversations in this line")
        self.setObjectName("count_dialog")
        self.body.addWidget(label(title, "muted", wrap=True))
        self.form = Form()
        self.count = number(1, most, count)
        self.form.add("count", "Conversations", self.count)
        self.body.addWidget(self.form)
        self.set_buttons(Button("Change", "main", on_click=self._choose, name="change_count"))
        self.count.selectAll()

    def _choose(self) -> None:
        self.accept()
        self.chosen.emit(self.count.value())
