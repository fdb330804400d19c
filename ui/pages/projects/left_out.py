"""What of a project is not indexed, by reason; a click lists the files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QWidget

from ui import format as fmt
from ui.pages.projects.words import reason_words
from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel, label, row
from ui.widgets.card import Card
from ui.widgets.scroll import empty_layout

MANY_ROWS, FEW_ROWS = 6, 3


class LeftOutCard(Card):
    """`asked(reason)` for the list of these files, "" for all of them."""

    asked = Signal(str)

    def __init__(self) -> None:
        super().__init__("", gap=theme().sizes.half)
        self.setObjectName("left_out")
        self.title = ElidedLabel("Left out", "section")
        self.all = Button("All files", "ghost", "ph.list", on_click=partial(self.asked.emit, ""), name="all_files",
                          tip="Every file with its state and why")  # fmt: skip
        self._rows = QWidget()
        self._grid = QGridLayout(self._rows)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(0)
        self._grid.setColumnStretch(0, 1)
        self._shown: dict[str, int] | None = None
        self._known, self._most = False, MANY_ROWS
        self.add(row(self.title, self.all, stretch=self.title))
        self.add(self._rows)

    def show_counts(self, left_out: Mapping[str, int], errors: Mapping[str, int], *, known: bool) -> None:
        """Files by reason; nothing is known before the first index."""
        counts = {**left_out, **{reason: n + left_out.get(reason, 0) for reason, n in errors.items()}} if known else {}
        self.all.setEnabled(known)
        self.title.setText(f"Left out: {fmt.count(sum(counts.values()))}" if known else "Left out")
        if counts != self._shown or known != self._known:
            self._shown, self._known = counts, known
            self._fill()

    def make_low(self, low: bool) -> None:
        """Fewer reasons, where there is little room."""
        most = FEW_ROWS if low else MANY_ROWS
        if most != self._most:
            self._most = most
            self._fill()

    def _fill(self) -> None:
        counts, known, most = self._shown or {}, self._known, self._most
        empty_layout(self._grid)
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        for line, (reason, count) in enumerate(ordered[:most]):
            words = reason_words(reason)
            name = Button(words, "link", on_click=partial(self.asked.emit, reason), name=f"reason_{line}",
                          accessible=f"{words}: {fmt.plural(count, 'file')}")  # fmt: skip
            number = label(fmt.count(count))
            number.setFont(theme().font(tabular=True))
            self._grid.addWidget(name, line, 0, Qt.AlignmentFlag.AlignLeft)
            self._grid.addWidget(number, line, 1, Qt.AlignmentFlag.AlignRight)
        if rest := ordered[most:]:
            words = f"{fmt.plural(len(rest), 'more reason')}, {fmt.plural(sum(n for _, n in rest), 'file')}"
            self._grid.addWidget(label(words, "caption"), most, 0)
        elif not ordered:
            words = "Every file is indexed." if known else "Known after the first look."
            self._grid.addWidget(label(words, "muted"), 0, 0)
