"""Where the question is written: Enter sends, Shift+Enter makes a line, one button sends or stops."""

from __future__ import annotations

from PySide6.QtCore import QMimeData, QSize, Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from ui.pages.chat.attach import AttachedFiles
from ui.theme import theme
from ui.widgets.basic import Button

LINES = 7
# Far more than a model reads at once; with more the field itself becomes slow.
MOST_CHARACTERS = 50_000


class QuestionField(QPlainTextEdit):
    """Grows with its text up to some lines. `submitted` on Enter; `fitted(height of one line)`.

    `refused(characters)` when a text that is too long was to be put in; nothing of it is.
    """

    submitted = Signal()
    fitted = Signal(int)
    refused = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("question_field")
        self.setAccessibleName("Your question")
        self.setTabChangesFocus(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        theme().changed.connect(self._fit)
        self._fit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        plain = event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)
        if enter and plain:
            self.submitted.emit()
            return
        super().keyPressEvent(event)

    def canInsertFromMimeData(self, source: QMimeData) -> bool:
        # Files are meant for the window, which gives them to the page.
        return not source.hasUrls() and super().canInsertFromMimeData(source)

    def insertFromMimeData(self, source: QMimeData) -> None:
        text = source.text()
        if len(text) + self.document().characterCount() > MOST_CHARACTERS:
            self.refused.emit(len(text))
        else:
            super().insertFromMimeData(source)

    @Slot()
    def _fit(self) -> None:
        sizes = theme().sizes
        line = self.fontMetrics().lineSpacing()
        lines = min(max(1, round(self.document().size().height())), LINES)
        self.setFixedHeight(lines * line + 2 * sizes.grid + sizes.half)
        self.fitted.emit(line + 2 * sizes.grid + sizes.half)
        policy = Qt.ScrollBarPolicy
        self.setVerticalScrollBarPolicy(policy.ScrollBarAsNeeded if lines == LINES else policy.ScrollBarAlwaysOff)

    def minimumSizeHint(self) -> QSize:
        return QSize(theme().sizes.sidebar, self.height())


class Composer(QWidget):
    """`asked(text)` with the field emptied; `stop_requested`. While an answer is under way only Stop is there."""

    asked = Signal(str)
    attach_wanted = Signal()
    stop_requested = Signal()
    edited = Signal()

    def __init__(self) -> None:
        super().__init__()
        sizes = theme().sizes
        self.field = QuestionField()
        self.send = Button("Send", "main", "ph.arrow-up", on_click=self.submit, name="send", tip="Send  Enter")
        self.stop = Button("Stop", "", "ph.stop", on_click=self.stop_requested.emit, name="stop", tip="Stop  Ctrl+.")
        self.stop.hide()
        self.attach = Button(
            "", "", "ph.paperclip", on_click=self.attach_wanted.emit, name="attach", tip="Attach text files",
            accessible="Attach text files",
        )  # fmt: skip
        self.attached = AttachedFiles()
        self.attached.changed.connect(self._on_edited)
        self._busy = self._reading = False
        self._why = ""
        box = QHBoxLayout()
        box.setSpacing(sizes.grid)
        box.addWidget(self.attach, 0, Qt.AlignmentFlag.AlignBottom)
        box.addWidget(self.field, 1)
        for button in (self.send, self.stop):
            box.addWidget(button, 0, Qt.AlignmentFlag.AlignBottom)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(sizes.half)
        outer.addWidget(self.attached)
        outer.addLayout(box)
        self.field.submitted.connect(self.submit)
        self.field.fitted.connect(self._fit)
        self._fit(self.field.height())
        self.field.textChanged.connect(self._on_edited)
        self._judge()

    @property
    def text(self) -> str:
        """What is written, without blanks around it."""
        return self.field.toPlainText().strip()

    @property
    def written(self) -> bool:
        """Whether there is anything to ask, be it a file alone."""
        return bool(self.text or self.attached.files)

    def set_text(self, text: str) -> None:
        """Write this instead."""
        self.field.setPlainText(text)

    def set_busy(self, busy: bool, why: str = "") -> None:
        """Whether an answer is under way; `why` explains it where another chat's is."""
        self._busy, self._why = busy, why
        self.send.setVisible(not busy)
        self.stop.setVisible(busy)
        self._judge()

    def set_reading(self, reading: bool) -> None:
        """Whether files that are to go with the question are still being read."""
        self._reading = reading
        self._judge()

    def set_hint(self, text: str) -> None:
        """What the empty field says."""
        if text != self.field.placeholderText():
            self.field.setPlaceholderText(text)
            # Qt paints it anew only where it was not shown before.
            self.field.viewport().update()

    @Slot()
    def submit(self) -> None:
        """Ask, unless there is nothing to ask or an answer is under way."""
        text = self.text
        if not self.written or self._busy or self._reading:
            return
        self.field.clear()
        # The button that was clicked goes, and the focus with it.
        self.field.setFocus()
        self.asked.emit(text)

    @Slot(int)
    def _fit(self, height: int) -> None:
        for button in (self.send, self.stop, self.attach):
            button.setFixedHeight(height)
        self.attach.setFixedWidth(height)

    @Slot()
    def _on_edited(self) -> None:
        self._judge()
        self.edited.emit()

    def _judge(self) -> None:
        self.send.setEnabled(self.written and not self._busy and not self._reading)
        self.stop.setToolTip(self._why or "Stop  Ctrl+.")
