"""Pairs of name and value, one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from ui.theme import theme
from ui.widgets.basic import label, plain_tip


@dataclass(frozen=True)
class Fact:
    """A name, its value, and the whole of it where the value is shortened; `mono` is for hashes."""

    name: str
    value: str
    whole: str = ""
    mono: bool = False


class Facts(QWidget):
    """Names in muted at the left, values at the right; they can be selected and copied."""

    def __init__(self, facts: Sequence[Fact] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(2 * theme().sizes.grid)
        self._grid.setVerticalSpacing(theme().sizes.half)
        self._grid.setColumnStretch(1, 1)
        self._labels: list[tuple[QLabel, QLabel]] = []
        self._facts: tuple[Fact, ...] = ()
        self.set_facts(facts)

    @property
    def facts(self) -> dict[str, str]:
        """What is shown."""
        return {fact.name: fact.value for fact in self._facts}

    def set_facts(self, facts: Sequence[Fact]) -> None:
        """Show these; labels are kept, so that a selection survives a refresh."""
        if tuple(facts) == self._facts:
            return
        self._facts = tuple(facts)
        while len(self._labels) < len(facts):
            self._add_line()
        for i, (name, value) in enumerate(self._labels):
            shown = i < len(facts)
            name.setVisible(shown)
            value.setVisible(shown)
            if not shown:
                continue
            fact = facts[i]
            name.setText(fact.name)
            if value.text() != fact.value:
                value.setText(fact.value)
            value.setToolTip(plain_tip(fact.whole))
            value.setAccessibleName(f"{fact.name}: {fact.whole or fact.value}")
            value.setFont(theme().mono() if fact.mono else theme().font(tabular=True))

    def _add_line(self) -> None:
        line = len(self._labels)
        name, value = label("", "muted"), label("", wrap=True, selectable=True)
        value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
        self._grid.addWidget(name, line, 0, Qt.AlignmentFlag.AlignTop)
        self._grid.addWidget(value, line, 1)
        self._labels.append((name, value))


def short_hash(name: str, value: str | None) -> Fact:
    """A hash cut to twelve characters, with the whole of it as tooltip."""
    text = value or ""
    return Fact(name, text[:12] or "–", text, mono=bool(text))
