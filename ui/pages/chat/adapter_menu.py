"""Who answers: the base's chip and one for each of its adapters, one of them active."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QButtonGroup, QMenu

from ui.theme import theme
from ui.widgets.basic import Button, plain_tip
from ui.widgets.flow import Flow

ACTIVE, RESIDENT, LOADING, ON_DISK = "active", "resident", "loading", "on disk"
BASE = "base"
LONGEST = 24
_ICONS = {ACTIVE: "ph.check", RESIDENT: "ph.lightning", LOADING: "ph.circle-dashed", ON_DISK: ""}
_WORDS = {
    ACTIVE: "answers next",
    RESIDENT: "in memory: switches instantly",
    LOADING: "loading",
    ON_DISK: "on disk: loads when chosen",
}
PINNED = "ph.push-pin"
_SPOKEN = {RESIDENT: "in memory"}


@dataclass(frozen=True)
class Choice:
    """One chip: key "base" or an adapter's id, its name and state; `pinned` ones stay in memory."""

    key: str
    name: str
    state: str
    pinned: bool = False


class AdapterChips(Flow):
    """Radio-like, also for the arrow keys: `chosen(key)` when another chip is taken.

    `pin_wanted(key, on)` from the menu of an adapter's chip.
    """

    chosen = Signal(str)
    pin_wanted = Signal(str, bool)

    def __init__(self) -> None:
        super().__init__(gap=theme().sizes.half + 2)
        self.setObjectName("adapter_chips")
        self.setAccessibleName("Model: base or adapter")
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        self._chips: dict[str, Button] = {}
        self._choices: list[Choice] = []
        self._locked = ""

    def show_choices(self, choices: Sequence[Choice]) -> None:
        """These chips with these states; buttons that stay are kept, and with them the focus."""
        if [(c.key, c.name) for c in choices] != [(c.key, c.name) for c in self._choices]:
            self._rebuild(choices)
        self._choices = list(choices)
        for choice in choices:
            self._show(choice)
        self._lock()

    def lock(self, why: str) -> None:
        """Switched off while an answer is under way, and why; "" switches on again."""
        self._locked = why
        self._lock()

    def chip(self, key: str) -> Button | None:
        """The chip of "base" or of an adapter's id."""
        return self._chips.get(key)

    @property
    def keys(self) -> list[str]:
        """In order of appearance."""
        return list(self._chips)

    def _rebuild(self, choices: Sequence[Choice]) -> None:
        focused = next((key for key, chip in self._chips.items() if chip.hasFocus()), "")
        for chip in self._chips.values():
            self._group.removeButton(chip)
            self.flow.removeWidget(chip)
            chip.hide()
            chip.deleteLater()
        self._chips = {}
        for choice in choices:
            name = choice.name if len(choice.name) <= LONGEST else f"{choice.name[: LONGEST - 1].rstrip()}…"
            chip = Button(name, "chip", name=f"adapter_{choice.key}")
            chip.setCheckable(True)
            chip.setProperty("key", choice.key)
            chip.clicked.connect(self._on_clicked)
            if choice.key != BASE:
                chip.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
                chip.customContextMenuRequested.connect(partial(self._open_menu, choice.key))
            self._group.addButton(chip)
            self.flow.addWidget(chip)
            self._chips[choice.key] = chip
        if focused in self._chips:
            self._chips[focused].setFocus()

    def _show(self, choice: Choice) -> None:
        chip = self._chips[choice.key]
        chip.setProperty("state", choice.state)
        stays = ", stays in memory" if choice.pinned else ""
        chip.setAccessibleName(f"{choice.name}, {_SPOKEN.get(choice.state, choice.state)}{stays}")
        shown = PINNED if choice.pinned and choice.state in (RESIDENT, ON_DISK) else _ICONS[choice.state]
        chip.set_icon(shown)
        if not shown:
            chip.setIcon(QIcon())
        if choice.state == ACTIVE:
            chip.setChecked(True)
        self.flow.invalidate()
        self.updateGeometry()

    def _lock(self) -> None:
        for choice in self._choices:
            chip = self._chips[choice.key]
            chip.setEnabled(not self._locked)
            stays = "; stays in memory" if choice.pinned else ""
            chip.setToolTip(plain_tip(self._locked or f"{choice.name}: {_WORDS[choice.state]}{stays}"))

    def _open_menu(self, key: str, place: QPoint) -> None:
        choice = next((choice for choice in self._choices if choice.key == key), None)
        if choice is None:
            return
        menu = QMenu(self)
        menu.setObjectName("adapter_chip_menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        pin = menu.addAction("Keep in memory")
        pin.setCheckable(True)
        pin.setChecked(choice.pinned)
        pin.triggered.connect(lambda on: self.pin_wanted.emit(key, on))
        menu.popup(self._chips[key].mapToGlobal(place))

    def _on_clicked(self) -> None:
        chip = self.sender()
        if chip is not None:
            self.chosen.emit(str(chip.property("key")))
