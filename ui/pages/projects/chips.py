"""A line of names that lead somewhere: what a symbol calls, what calls it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QHBoxLayout, QMenu, QWidget

from ui.pages.projects.words import plain
from ui.theme import theme
from ui.widgets.basic import Button, label
from ui.widgets.flow import WholeFlow

MOST_CHIPS = 8
MOST_IN_MENU = 60


@dataclass(frozen=True)
class Target:
    """Where a name leads: to a line of a file, or to a search for it where `path` is empty."""

    name: str
    path: str = ""
    line: int = 0

    @property
    def tip(self) -> str:
        """What a click does."""
        return f"{plain(self.path)}:{self.line}" if self.path else f"Search for {plain(self.name)}"


class NameChips(QWidget):
    """`NameChips("calls", go)`; `go(Target)` when one is chosen. Hidden while there is none."""

    def __init__(self, title: str, name: str, go: Callable[[Target], Any]) -> None:
        super().__init__()
        self.setObjectName(name)
        self._title, self._go = title, go
        self._flow = WholeFlow(gap=theme().sizes.half + 2)
        self._flow.align(right=False)
        self._label = label(title, "caption")
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.grid)
        box.addWidget(self._label, 0, Qt.AlignmentFlag.AlignTop)
        box.addWidget(self._flow, 1)
        self._label.setMinimumHeight(theme().sizes.pill + 2)
        self.hide()

    def show_targets(self, targets: Sequence[Target], gathered: Sequence[Target] = (), noun: str = "") -> None:
        """One chip a target, the last for those there is no room for; `gathered` share a chip of their own."""
        while self._flow.flow.count():
            item = self._flow.flow.takeAt(0)
            if item is not None and (old := item.widget()) is not None:
                old.hide()
                old.deleteLater()
        shown = targets[:MOST_CHIPS]
        for target in shown:
            self._add(target)
        if rest := targets[MOST_CHIPS:]:
            self._add_several(f"{len(rest)} more", rest)
        if len(gathered) == 1:
            self._add(gathered[0])
        elif gathered:
            self._add_several(f"{len(gathered)} {noun}", gathered)
        self.setVisible(bool(targets or gathered))
        self._flow.updateGeometry()
        self._flow.claim()

    def _add(self, target: Target) -> None:
        most = theme().sizes.label
        metrics = QFontMetrics(theme().font())
        short = metrics.elidedText(plain(target.name), Qt.TextElideMode.ElideMiddle, most)
        chip = Button(short, "chip", on_click=partial(self._go, target), name="name_chip", tip=target.tip,
                      accessible=f"{self._title} {plain(target.name)}")  # fmt: skip
        self._flow.flow.addWidget(chip)

    def _add_several(self, words: str, targets: Sequence[Target]) -> None:
        chip = Button(words, "chip", name="more_chip", accessible=f"{self._title} {words}")
        chip.clicked.connect(partial(self._open, chip, list(targets)))
        self._flow.flow.addWidget(chip)

    def _open(self, chip: Button, targets: list[Target], _checked: bool = False) -> None:
        menu = QMenu(self)
        menu.setObjectName("names_menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        metrics = QFontMetrics(theme().font())
        for target in targets[:MOST_IN_MENU]:
            words = f"{plain(target.name)}  {target.tip}" if target.path else plain(target.name)
            short = metrics.elidedText(words, Qt.TextElideMode.ElideMiddle, 2 * theme().sizes.inspector)
            menu.addAction(short.replace("&", "&&")).triggered.connect(partial(self._go_to, target))
        menu.popup(chip.mapToGlobal(chip.rect().bottomLeft()))

    def _go_to(self, target: Target, _checked: bool = False) -> None:
        self._go(target)

    def texts(self) -> list[str]:
        """What the chips say."""
        return [chip.text() for chip in self._flow.findChildren(Button) if not chip.isHidden()]
