"""The filter by state: a menu to choose, a chip to see and remove."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QWidget

from ui.pages.scaffolding.kinds import IN_USE, OFF
from ui.widgets.basic import Button
from ui.widgets.chip import ChipRow

WORDS = {True: IN_USE.word, False: OFF.word}


class StateFilter(QObject):
    """`value` is None for every state. `changed()` when it is another."""

    changed = Signal()

    def __init__(self, page: QWidget) -> None:
        super().__init__(page)
        self.value: bool | None = None
        self.chips = ChipRow()
        self.chips.setObjectName("filter_chips")
        self.chips.removed.connect(self.clear)
        self.button = Button("Filter", "ghost", "ph.plus", on_click=self._open, name="filter")
        self._menu = QMenu(page)
        self._menu.setObjectName("filter_menu")
        self._group = QActionGroup(self._menu)
        self._group.setExclusionPolicy(QActionGroup.ExclusionPolicy.ExclusiveOptional)
        for active, words in WORDS.items():
            action = self._menu.addAction(words)
            action.setObjectName(f"filter_state_{int(active)}")
            action.setCheckable(True)
            action.setData(active)
            self._group.addAction(action)
        self._group.triggered.connect(self._on_action)

    def _open(self) -> None:
        self._menu.popup(self.button.mapToGlobal(self.button.rect().bottomLeft()))

    @Slot(QAction)
    def _on_action(self, action: QAction) -> None:
        self.put(bool(action.data()) if action.isChecked() else None)

    def put(self, value: bool | None) -> None:
        """Filter by this state alone."""
        if value is self.value:
            return
        self.value = value
        self.chips.set_chips({} if value is None else {"state": f"State: {WORDS[value]}"})
        for action in self._group.actions():
            action.setChecked(action.data() is value)
        self.changed.emit()

    def clear(self) -> None:
        """Every state again."""
        self.put(None)
