"""Beside the list of corrections: what was asked, what was answered, and the words to train on."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.projects import corrections
from core.projects.corrections import Correction
from ui import format as fmt
from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel, column, label, row
from ui.widgets.forms import text_area
from ui.widgets.page import Page
from ui.widgets.scroll import ScrollColumn

LINES = 8
SPEAKERS = {"user": "You", "assistant": "Answer"}


class CorrectionInspector(QWidget):
    """`delete_wanted()`. What was typed is saved with the button, and kept while another one is shown only if it is."""

    delete_wanted = Signal()

    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page
        self._shown: Correction | None = None
        self.title = ElidedLabel("", "section")
        self.title.setObjectName("correction_title")
        self.line = ElidedLabel("", "muted")
        self.said = label("", wrap=True, selectable=True, name="correction_said")
        self.original_title = label("The model's answer", "strong")
        self.original = label("", "muted", wrap=True, selectable=True, name="correction_original")
        self.answer = text_area("", LINES)
        self.answer.setObjectName("correction_answer")
        self.answer.setAccessibleName("Answer to train on")
        self.answer.textChanged.connect(self._judge)
        self.save = Button("Save", "main", "ph.check", on_click=self._save, name="save_correction")
        self.chat = Button("Open chat", "", "ph.chat-teardrop-text", on_click=self._open_chat, name="open_chat")
        self.delete = Button("Delete", "", "ph.trash", on_click=self.delete_wanted.emit, name="delete_correction")
        scroll = ScrollColumn(
            label("Conversation", "strong"), self.said, self.original_title, self.original,
            gap=theme().sizes.grid, accessible="Conversation before the answer",
        )  # fmt: skip
        words = column(label("Answer to train on", "strong"), self.answer, gap=theme().sizes.half)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.grid)
        box.addWidget(self.title)
        box.addWidget(self.line)
        box.addWidget(scroll, 1)
        box.addWidget(words)
        box.addWidget(row(self.save, self.chat, None, self.delete))

    def show_correction(self, found: Correction | None) -> None:
        """This one; the same one again keeps what was typed."""
        self.setVisible(found is not None)
        if found is None or (self._shown == found):
            self._shown = found
            return
        same = self._shown is not None and self._shown.id == found.id and self._typed()
        self._shown = found
        self.title.setText(found.title)
        self.line.setText(f"Kept {fmt.moment_long(found.created_at)}")
        parts = [f"System prompt\n{found.system_prompt}"] if found.system_prompt else []
        parts += [f"{SPEAKERS.get(m['role'], m['role'])}\n{m['content']}" for m in found.messages]
        self.said.setText("\n\n".join(parts))
        for widget in (self.original_title, self.original):
            widget.setVisible(found.corrected)
        self.original.setText(found.original)
        self.chat.setEnabled(found.chat_id is not None)
        if not same:
            self.answer.setPlainText(found.answer)
        self._judge()

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
