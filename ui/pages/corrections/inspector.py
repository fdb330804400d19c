"""Beside the list of corrections: what was asked, what was answered, and the words to train on."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.projects import corrections
from core.projects.corrections import Correction
from ui import format as fmt
from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel, column, label, row
from ui.widgets.forms import text_area
from ui.widgets.page import Page

LINES, SAID_LINES, ORIGINAL_LINES = 8, 6, 4
MOST_SHOWN = 100_000
SPEAKERS = {"user": "You", "assistant": "Answer"}


class CorrectionInspector(QWidget):
    """`delete_wanted()`. What was typed is saved with the button; until then it is kept for each answer."""

    delete_wanted = Signal()

    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page
        self._shown: Correction | None = None
        self._drafts: dict[str, str] = {}
        self.title = ElidedLabel("", "section")
        self.title.setObjectName("correction_title")
        self.line = ElidedLabel("", "muted")
        # A field lays out what can be seen of it; a label would lay out all of a long conversation at once.
        self.said = text_area("", SAID_LINES)
        self.said.setReadOnly(True)
        self.said.setObjectName("correction_said")
        self.said.setAccessibleName("Conversation before the answer")
        self.original_title = label("The model's answer", "strong")
        self.original = text_area("", ORIGINAL_LINES)
        self.original.setReadOnly(True)
        self.original.setObjectName("correction_original")
        self.original.setAccessibleName("The model's answer")
        self.answer = text_area("", LINES)
        self.answer.setObjectName("correction_answer")
        self.answer.setAccessibleName("Answer to train on")
        self.answer.textChanged.connect(self._judge)
        self.save = Button("Save", "main", "ph.check", on_click=self._save, name="save_correction")
        self.chat = Button("Open chat", "", "ph.chat-teardrop-text", on_click=self._open_chat, name="open_chat")
        self.delete = Button("Delete", "", "ph.trash", on_click=self.delete_wanted.emit, name="delete_correction")
        words = column(label("Answer to train on", "strong"), self.answer, gap=theme().sizes.half)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.grid)
        box.addWidget(self.title)
        box.addWidget(self.line)
        box.addWidget(label("Conversation", "strong"))
        box.addWidget(self.said, 1)
        box.addWidget(self.original_title)
        box.addWidget(self.original)
        box.addWidget(words)
        box.addWidget(row(self.save, self.chat, None, self.delete))

    def show_correction(self, found: Correction | None) -> None:
        """This one; the same one again keeps what was typed."""
        self.setVisible(found is not None)
        if self._shown is not None and self._typed():
            self._drafts[self._shown.id] = self.answer.toPlainText()
        if found is None or self._shown == found:
            self._shown = found
            return
        self._shown = found
        self.title.setText(found.title)
        self.line.setText(f"Kept {fmt.moment_long(found.created_at)}")
        self._page.read(lambda db: corrections.get(db, found.id), self._show_said, "said")
        for widget in (self.original_title, self.original):
            widget.setVisible(found.corrected)
        self.original.setPlainText(found.original)
        self.chat.setEnabled(found.chat_id is not None)
        self.answer.setPlainText(self._drafts.pop(found.id, found.answer))
        self._judge()

    def _show_said(self, found: Correction) -> None:
        if self._shown is None or self._shown.id != found.id:
            return
        parts = [f"System prompt\n{found.system_prompt}"] if found.system_prompt else []
        parts += [f"{SPEAKERS.get(m['role'], m['role'])}\n{m['content']}" for m in found.messages]
        text = "\n\n".join(parts)
        # The end is what the answer is to.
        self.said.setPlainText(text if len(text) <= MOST_SHOWN else f"[…]\n{text[-MOST_SHOWN:]}")
        self.said.moveCursor(QTextCursor.MoveOperation.End)

    def _typed(self) -> bool:
        return self._shown is not None and self.answer.toPlainText().strip() != self._shown.answer

    def _judge(self) -> None:
        text = self.answer.toPlainText().strip()
        self.save.setEnabled(bool(text) and self._typed())

    def _save(self) -> None:
        if self._shown is not None:
            ident, text = self._shown.id, self.answer.toPlainText()
            self._page.write(partial(corrections.rewrite, ident=ident, answer=text))

    def _open_chat(self) -> None:
        if self._shown is not None and self._shown.chat_id:
            self._page.services.navigator.open_page("chat", self._shown.chat_id)
