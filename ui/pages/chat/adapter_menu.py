"""Who answers: the base's chip and one for each of its adapters, one of them active."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPoint, QRect, QSize, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QButtonGroup, QLayout, QLayoutItem, QSizePolicy, QWidget

from ui.theme import theme
from ui.widgets.basic import Button, plain_tip

ACTIVE, RESIDENT, LOADING, ON_DISK = "active", "resident", "loading", "on disk"
BASE = "base"
LONGEST = 24
_ICONS = {ACTIVE: "ph.check", RESIDENT: "ph.lightning", LOADING: "ph.circle-dashed", ON_DISK: ""}
_WORDS = {
    ACTIVE: "answers next",
    RESIDENT: "resident in memory: a switch takes no time",
    LOADING: "being loaded",
    ON_DISK: "on disk: loaded when it is chosen",
}


@dataclass(frozen=True)
class Choice:
    """One chip: key "base" or an adapter's id, its name and state."""

    key: str
    name: str
    state: str


class FlowLayout(QLayout):
    """Items in reading order on as many lines as they need, each line at the right edge, or at the left."""

    def __init__(self, parent: QWidget, gap: int) -> None:
        super().__init__(parent)
        self._items: list[QLayoutItem] = []
        self._gap = gap
        self.right = True
        self.setContentsMargins(0, 0, 0, 0)

    def addItem(self, item: QLayoutItem) -> None:
        self._items.append(item)

    def count(self) -> int:
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return self._arrange(QRect(0, 0, width, 0), move=False)

    def setGeometry(self, area: QRect) -> None:
        super().setGeometry(area)
        spare = area.height() - self._arrange(area, move=False)
        self._arrange(area.adjusted(0, max(0, spare // 2), 0, 0), move=True)

    def sizeHint(self) -> QSize:
        hints = [item.sizeHint() for item in self._items]
        return QSize(
            sum(hint.width() for hint in hints) + self._gap * max(0, len(hints) - 1),
            max((hint.height() for hint in hints), default=0),
        )

    def minimumSize(self) -> QSize:
        hints = [item.sizeHint() for item in self._items]
        return QSize(max((h.width() for h in hints), default=0), max((h.height() for h in hints), default=0))

    def _arrange(self, area: QRect, *, move: bool) -> int:
        lines: list[list[QLayoutItem]] = [[]]
        used = 0
        for item in self._items:
            wide = item.sizeHint().width()
            if lines[-1] and used + self._gap + wide > area.width():
                lines.append([])
                used = 0
            used += wide + (self._gap if lines[-1] else 0)
            lines[-1].append(item)
        top = area.top()
        for line in lines:
            high = max((item.sizeHint().height() for item in line), default=0)
            whole = sum(item.sizeHint().width() for item in line) + self._gap * max(0, len(line) - 1)
            left = max(area.left(), area.right() + 1 - whole) if self.right else area.left()
            for item in line:
                if move:
                    item.setGeometry(QRect(QPoint(left, top), item.sizeHint()))
                left += item.sizeHint().width() + self._gap
            top += high + self._gap
        return top - area.top() - self._gap


class AdapterChips(QWidget):
    """Radio-like, also for the arrow keys: `chosen(key)` when another chip is taken."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("adapter_chips")
        self.setAccessibleName("Who answers")
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self._flow = FlowLayout(self, theme().sizes.half + 2)
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        self._chips: dict[str, Button] = {}
        self._choices: list[Choice] = []
        self._locked = ""

    def align(self, *, right: bool) -> None:
        """At the right edge, or at the left."""
        self._flow.right = right
        self._flow.invalidate()

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
            self._flow.removeWidget(chip)
            chip.hide()
            chip.deleteLater()
        self._chips = {}
        for choice in choices:
            name = choice.name if len(choice.name) <= LONGEST else f"{choice.name[: LONGEST - 1].rstrip()}…"
            chip = Button(name, "chip", name=f"adapter_{choice.key}")
            chip.setCheckable(True)
            chip.setProperty("key", choice.key)
            chip.clicked.connect(self._on_clicked)
            self._group.addButton(chip)
            self._flow.addWidget(chip)
            self._chips[choice.key] = chip
        if focused in self._chips:
            self._chips[focused].setFocus()

    def _show(self, choice: Choice) -> None:
        chip = self._chips[choice.key]
        chip.setProperty("state", choice.state)
        chip.setAccessibleName(f"{choice.name}, {choice.state}")
        chip.set_icon(_ICONS[choice.state])
        if not _ICONS[choice.state]:
            chip.setIcon(QIcon())
        if choice.state == ACTIVE:
            chip.setChecked(True)
        self._flow.invalidate()
        self.updateGeometry()

    def _lock(self) -> None:
        for choice in self._choices:
            chip = self._chips[choice.key]
            chip.setEnabled(not self._locked)
            chip.setToolTip(plain_tip(self._locked or f"{choice.name}: {_WORDS[choice.state]}"))

    def _on_clicked(self) -> None:
        chip = self.sender()
        if chip is not None:
            self.chosen.emit(str(chip.property("key")))
