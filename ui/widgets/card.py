"""Cards: a surface with a section title; and the figure card."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from ui.theme import theme
from ui.widgets.basic import label, row


class Card(QFrame):
    """A bordered surface. `Card("Memory", widget, ...)`; `body` is its layout, None among the items a spring."""

    def __init__(
        self, title: str = "", *items: QWidget | None, right: QWidget | None = None, gap: int = 8, role: str = "card"
    ) -> None:
        super().__init__()
        self.setProperty("role", role)
        sizes = theme().sizes
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(2 * sizes.grid, 2 * sizes.grid - 2, 2 * sizes.grid, 2 * sizes.grid - 2)
        self.body.setSpacing(gap)
        if title:
            heading = label(title, "section")
            self.body.addWidget(row(heading, None, right) if right is not None else heading)
            self.setAccessibleName(title)
        for item in items:
            self.add(item)

    def add(self, item: QWidget | None, stretch: int = 0) -> None:
        """Append a widget, or a spring for None."""
        if item is None:
            self.body.addStretch(1)
        else:
            self.body.addWidget(item, stretch)


class Figure(Card):
    """One number with its name above and a remark below; `show_values` updates it."""

    def __init__(self, name: str, value: str = "–", remark: str = "") -> None:
        super().__init__("", gap=2)
        self._name = name
        self._value, self._remark = label(value, "big"), label(remark, "caption", wrap=True)
        for item in (label(name, "caption"), self._value, self._remark):
            self.add(item)
        self.show_values(value, remark)

    def show_values(self, value: str, remark: str = "") -> None:
        """New number and remark."""
        self._value.setText(value)
        self._remark.setText(remark)
        self._remark.setVisible(bool(remark))
        self.setAccessibleName(f"{self._name}: {value} {remark}".strip())
