"""The small buttons below an answer: which of several counts, and whether it is kept to train on."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QHBoxLayout, QWidget

from ui.models.rows import Status
from ui.theme import theme
from ui.widgets.basic import Button, label
from ui.widgets.chip import StatusPill


class Variants(QWidget):
    """Which of several answers counts: "2 of 3" between two arrows; `choose(place)`."""

    def __init__(self, choose: Callable[[int], object]) -> None:
        super().__init__()
        self.setObjectName("variants")
        self._place = 0
        self.earlier = Button("", "ghost", "ph.caret-left", on_click=lambda: choose(self._place - 1),
                              tip="Earlier answer", name="earlier_answer")  # fmt: skip
        self.later = Button("", "ghost", "ph.caret-right", on_click=lambda: choose(self._place + 1),
                            tip="Later answer", name="later_answer")  # fmt: skip
        self.words = label("", "caption", name="variant")
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        for item in (self.earlier, self.words, self.later):
            box.addWidget(item)
        for button in (self.earlier, self.later):
            button.setFixedWidth(theme().sizes.control)

    def show_place(self, place: int, count: int) -> None:
        """Another one counts."""
        self._place = place
        self.words.setText(f"{place + 1} of {count}")
        self.earlier.setEnabled(place > 0)
        self.later.setEnabled(place + 1 < count)


class KeepTools(QWidget):
    """Good answer, and Correct; what is kept says so, and Good takes it back then."""

    def __init__(self, keep: Callable[[], object], correct: Callable[[], object]) -> None:
        super().__init__()
        self.setObjectName("keep_tools")
        self.good = Button("", "ghost", "ph.thumbs-up", on_click=keep, name="keep_answer")
        self.correct = Button(
            "", "ghost", "ph.note-pencil", on_click=correct, name="correct_answer", tip="Correct this answer",
            accessible="Correct this answer",
        )  # fmt: skip
        self.pill = StatusPill(Status("ok", "Kept"))
        self.pill.setObjectName("answer_kept")
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.half)
        for item in (self.good, self.correct, self.pill):
            box.addWidget(item)
        for button in (self.good, self.correct):
            button.setFixedWidth(theme().sizes.control)

    def show_kept(self, kept: str) -> None:
        """How it is kept, "" if it is not."""
        self.pill.setVisible(bool(kept))
        if kept:
            self.pill.set_status(Status("ok", kept))
        words = "No longer keep this answer" if kept else "Good answer: keep it to train on"
        self.good.setToolTip(words)
        self.good.setAccessibleName(words)
        self.good.set_icon("ph.thumbs-up-fill" if kept else "ph.thumbs-up")
