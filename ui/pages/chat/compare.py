"""The dialog that says who answers a question side by side, and whether their names are shown."""

from __future__ import annotations

import random
from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QWidget

from core.projects.compared import MOST
from core.training.store import Adapter
from ui.dialogs.base import Dialog
from ui.pages.chat.running import Comparison
from ui.theme import theme
from ui.widgets.basic import Button, column, label, plain_tip, scrolled

BASE = ""
NAME_CHARACTERS = 60
HELD = f"Choose two to {MOST}."


class CompareDialog(Dialog):
    """`chosen(Comparison)`. `main` is the adapter that answers this chat otherwise: its answer counts."""

    chosen = Signal(object)

    def __init__(
        self, parent: QWidget, base: str, adapters: Sequence[Adapter], main: Adapter | None, question: str
    ) -> None:
        super().__init__(parent, "Compare answers")
        self.setObjectName("compare_dialog")
        self._adapters = {adapter.id: adapter for adapter in adapters}
        self._main = main.id if main is not None else BASE
        sizes = theme().sizes
        short = question if len(question) <= 200 else f"{question[:199].rstrip()}…"
        self.body.addWidget(label(f"“{short}”", "muted", wrap=True))
        self.boxes: dict[str, QCheckBox] = {BASE: _box(f"{base}, no adapter")}
        self.boxes |= {ident: _box(adapter.name) for ident, adapter in self._adapters.items()}
        for ident, box in self.boxes.items():
            box.setObjectName(f"compare_{ident or 'base'}")
            box.setChecked(ident in (BASE, self._main))
            box.toggled.connect(self._judge)
        many = len(self.boxes) > 8
        listed = column(*self.boxes.values(), gap=sizes.half)
        self.body.addWidget(scrolled(listed) if many else listed)
        self.blind = QCheckBox("Hide names until I choose the best answer")
        self.blind.setObjectName("compare_blind")
        self.body.addWidget(self.blind)
        self.set_buttons(Button("Compare", "main", "ph.columns", on_click=self._done, name="compare_chosen"))
        self.setMinimumWidth(sizes.field + sizes.label)
        self._judge()

    def _chosen(self) -> list[str]:
        return [ident for ident, box in self.boxes.items() if box.isChecked()]

    def _judge(self) -> None:
        self.hold("" if 2 <= len(self._chosen()) <= MOST else HELD)

    def _done(self) -> None:
        found = self._chosen()
        if self.blind.isChecked():
            random.shuffle(found)
        place = found.index(self._main) if self._main in found else len(found) - 1
        self.accept()
        self.chosen.emit(Comparison([self._adapters.get(ident) for ident in found], place, self.blind.isChecked()))


def _box(name: str) -> QCheckBox:
    """With the name as it is: an ampersand is no mnemonic, an endless one widens nothing."""
    short = name if len(name) <= NAME_CHARACTERS else f"{name[: NAME_CHARACTERS - 1].rstrip()}…"
    out = QCheckBox(short.replace("&", "&&"))
    out.setToolTip(plain_tip(name) if short != name else "")
    return out
