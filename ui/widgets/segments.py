"""One of a few: a row of buttons of which exactly one is down."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QWidget

from ui.theme import theme
from ui.widgets.basic import Button


class Segments(QWidget):
    """`Segments({"turns": "Turns", ...}, "What is shown")`; `chosen(key)` when the user takes another."""

    chosen = Signal(str)

    def __init__(self, options: Mapping[str, str], accessible: str, name: str = "") -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(accessible)
        self.buttons: dict[str, Button] = {}
        self._group = QButtonGroup(self)
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.half)
        for key, text in options.items():
            button = Button(text, "chip", name=f"segment_{key}")
            button.setCheckable(True)
            button.setProperty("key", key)
            button.clicked.connect(self._on_clicked)
            self._group.addButton(button)
            box.addWidget(button)
            self.buttons[key] = button
        box.addStretch(1)
        self.set_current(next(iter(options)))

    @property
    def current(self) -> str:
        """The key that is chosen."""
        return next(key for key, button in self.buttons.items() if button.isChecked())

    def set_current(self, key: str) -> None:
        """Choose without a signal."""
        self.buttons[key].setChecked(True)

    def set_text(self, key: str, text: str) -> None:
        """Other words on a button, such as a count."""
        self.buttons[key].setText(text)
        self.buttons[key].setAccessibleName(text)

    @Slot()
    def _on_clicked(self) -> None:
        self.chosen.emit(self.current)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        keys = list(self.buttons)
        step = {Qt.Key.Key_Right: 1, Qt.Key.Key_Left: -1}.get(Qt.Key(event.key()), 0)
        if not step:
            super().keyPressEvent(event)
            return
        wanted = keys[(keys.index(self.current) + step) % len(keys)]
        self.buttons[wanted].setFocus(Qt.FocusReason.TabFocusReason)
        self.buttons[wanted].click()
