"""The scrolled transcript: newest turns are built first and in small bites, older ones when one scrolls to them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from ui.pages.chat.message import Turn, TurnView
from ui.theme import theme
from ui.widgets.basic import Button

FIRST = 24
BITE_S = 0.008
SETTLE_MS = 150


class Transcript(QScrollArea):
    """Follows the newest text only while the reader is at the end.

    `again_requested` from the last answer, `variant_wanted(id, place)` from any, `side_wanted(id, place)` from
    answers side by side, `edit_wanted(id)` from a question, `keep_wanted(id)`, `correct_wanted(id)` and
    `place_wanted(id, path, line)` from answers.
    """

    again_requested = Signal()
    variant_wanted = Signal(str, int)
    side_wanted = Signal(str, int)
    edit_wanted = Signal(str)
    keep_wanted = Signal(str)
    correct_wanted = Signal(str)
    place_wanted = Signal(str, str, int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("transcript")
        self.setAccessibleName("Conversation")
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        sizes = theme().sizes
        self._turns: list[Turn] = []
        self._views: list[TurnView] = []
        self._first = 0
        self._wanted = FIRST
        self._intro: QWidget | None = None
        self._stick = True
        self._from_end: int | None = None
        self._moving = False
        inner = QWidget()
        inner.setObjectName("scrolled")
        self._box = QVBoxLayout(inner)
        self._box.setContentsMargins(0, sizes.grid, sizes.grid + sizes.half, sizes.grid)
        self._box.setSpacing(2 * sizes.grid)
        self._box.addStretch(1)
        self.setWidget(inner)
        self._filler = QTimer(self)
        self._filler.setSingleShot(True)
        self._filler.timeout.connect(self._fill)
        # The range changes more than once for one bite: code blocks find their height a little later.
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLE_MS)
        self._settled.timeout.connect(self._on_settled)
        self.to_end = Button(
            "Newest", "", "ph.arrow-down", on_click=self.follow, name="to_newest",
            accessible="Scroll to the newest answer", parent=self,
        )  # fmt: skip
        self.to_end.hide()
        bar = self.verticalScrollBar()
        bar.rangeChanged.connect(self._on_range)
        bar.valueChanged.connect(self._on_value)
        bar.installEventFilter(self)

    # What is shown

    def show_turns(self, turns: Sequence[Turn]) -> None:
        """Another chat: the newest turns at once, the rest when they are asked for."""
        self.show_intro(None)
        for view in self._views:
            self._drop(view)
        self._views = []
        self._turns, self._first, self._wanted = list(turns), len(turns), FIRST
        self._stick, self._from_end = True, None
        self.to_end.hide()
        self._fill()

    def add_turns(self, turns: Sequence[Turn]) -> None:
        """New turns at the end; the view scrolls there."""
        self.show_intro(None)
        self._turns += turns
        for turn in turns:
            self._views.append(self._make(turn))
            self._box.insertWidget(self._box.count() - 1, self._views[-1])
        self._stick = True

    def change_turn(self, turn: Turn) -> None:
        """A turn as it is now: more text, or its end."""
        place = next((i for i in range(len(self._turns) - 1, -1, -1) if self._turns[i].id == turn.id), None)
        if place is None:
            return
        self._turns[place] = turn
        index = place - self._first
        if index < 0:
            return
        view = self._views[index]
        if view.fits(turn):
            view.show_turn(turn)
            return
        self._views[index] = self._make(turn)
        self._box.replaceWidget(view, self._views[index])
        self._drop(view)

    def show_intro(self, widget: QWidget | None) -> None:
        """In the place of turns, while there are none."""
        if self._intro is not None:
            self._box.removeWidget(self._intro)
            self._intro.hide()
            self._intro.deleteLater()
        self._intro = widget
        if widget is not None:
            self._box.insertWidget(0, widget, 1, Qt.AlignmentFlag.AlignVCenter)

    @property
    def turns(self) -> list[Turn]:
        """All turns, built or not."""
        return list(self._turns)

    @property
    def views(self) -> list[TurnView]:
        """Those that are built, oldest first."""
        return list(self._views)

    def _make(self, turn: Turn) -> TurnView:
        view = TurnView(turn)
        view.again_requested.connect(self.again_requested)
        view.variant_wanted.connect(self.variant_wanted)
        view.side_wanted.connect(self.side_wanted)
        view.edit_wanted.connect(self.edit_wanted)
        view.keep_wanted.connect(self.keep_wanted)
        view.correct_wanted.connect(self.correct_wanted)
        view.place_wanted.connect(self.place_wanted)
        return view

    def _drop(self, view: TurnView) -> None:
        self._box.removeWidget(view)
        view.hide()
        view.deleteLater()

    # Building in bites

    @Slot()
    def _fill(self) -> None:
        begun = time.monotonic()
        bar = self.verticalScrollBar()
        if self._first > 0 and not self._stick and self._from_end is None:
            self._from_end = bar.maximum() - bar.value()
        self._settled.start()
        while self._first > 0 and len(self._turns) - self._first < self._wanted:
            self._first -= 1
            view = self._make(self._turns[self._first])
            self._views.insert(0, view)
            self._box.insertWidget(0, view)
            if time.monotonic() - begun > BITE_S:
                break
        if self._first > 0 and len(self._turns) - self._first < self._wanted:
            self._filler.start(0)

    @Slot()
    def _on_settled(self) -> None:
        self._from_end = None

    def _want_more(self) -> None:
        if self._first > 0 and not self._filler.isActive():
            self._wanted = len(self._turns) - self._first + FIRST
            self._filler.start(0)

    # Scrolling

    def follow(self) -> None:
        """Go to the end and stay there."""
        self._stick = True
        self.verticalScrollBar().setValue(self.verticalScrollBar().maximum())

    @property
    def from_end(self) -> int:
        """Pixels between what is shown and the end; 0 while the newest text is followed."""
        bar = self.verticalScrollBar()
        return 0 if self._stick else bar.maximum() - bar.value()

    def go_back(self, from_end: int) -> None:
        """Show the place that was so far from the end, once its turns are built."""
        if from_end > 0:
            self._stick, self._from_end = False, from_end
            self._go(max(0, self.verticalScrollBar().maximum() - from_end))
            self._settled.start()

    @property
    def at_end(self) -> bool:
        """Whether the newest text is followed."""
        return self._stick

    @Slot(int, int)
    def _on_range(self, _low: int, high: int) -> None:
        if self._stick:
            self._go(high)
        elif self._from_end is not None:
            # Older turns came in above: what is read stays where it is.
            self._go(max(0, high - self._from_end))
        self._after_scroll()

    def _go(self, value: int) -> None:
        self._moving = True
        self.verticalScrollBar().setValue(value)
        self._moving = False

    @Slot(int)
    def _on_value(self, value: int) -> None:
        bar = self.verticalScrollBar()
        self._stick = value >= bar.maximum() - theme().sizes.row
        if self._stick or not self._moving:
            self._from_end = None
        self._after_scroll()

    def _after_scroll(self) -> None:
        bar = self.verticalScrollBar()
        self.to_end.setVisible(not self._stick)
        if self.to_end.isVisible():
            self._place_button()
        if not self._stick and bar.value() < self.viewport().height() // 2:
            self._want_more()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        # A wheel turned at the very top moves nothing, so no value change signals that older turns are wanted.
        if event.type() == QEvent.Type.Wheel and self.verticalScrollBar().value() == 0:
            self._want_more()
        return super().eventFilter(watched, event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_button()
        if self._stick:
            self.follow()

    def _place_button(self) -> None:
        size = self.to_end.sizeHint()
        gap = theme().sizes.grid
        self.to_end.setGeometry(
            (self.width() - size.width()) // 2, self.height() - size.height() - gap, size.width(), size.height()
        )
        self.to_end.raise_()
