"""The cheat sheet of keyboard shortcuts."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QWidget

from ui.dialogs.base import Dialog
from ui.theme import theme
from ui.widgets.basic import Button, column, label
from ui.window.actions import KEYS_IN_LISTS

Keys = Sequence[tuple[str, str]]


class ShortcutsDialog(Dialog):
    """Pages, commands, lists and what the page in front adds: three columns of keys."""

    def __init__(self, parent: QWidget, pages: Keys, commands: Keys, here: Keys) -> None:
        super().__init__(parent, "Keyboard shortcuts")
        self.setObjectName("shortcuts_dialog")
        sizes = theme().sizes
        self.body.addWidget(label("Keyboard shortcuts", "title"))
        groups = QWidget()
        grid = QGridLayout(groups)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(sizes.margin + sizes.grid)
        last = [self._group("Lists", KEYS_IN_LISTS), *([self._group("This page", here)] if here else [])]
        columns = (self._group("Pages", pages), self._group("Commands", commands), column(*last, gap=sizes.margin))
        for place, group in enumerate(columns):
            grid.addWidget(group, 0, place, Qt.AlignmentFlag.AlignTop)
        self.body.addWidget(groups)
        self.set_buttons(Button("Close", "main", on_click=self.accept, name="close"), cancel="")

    @staticmethod
    def _group(title: str, keys: Keys) -> QWidget:
        out = QWidget()
        grid = QGridLayout(out)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(theme().sizes.grid * 2)
        grid.addWidget(label(title, "section"), 0, 0, 1, 2)
        for line, (key, text) in enumerate(keys, start=1):
            name = label(key, "strong")
            name.setAccessibleName(f"{key}: {text}")
            grid.addWidget(name, line, 0)
            grid.addWidget(label(text), line, 1)
        return out
