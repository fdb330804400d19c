"""A question asked another way: the dialog that edits it; what comes of it is a branch of the chat."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from core.projects.chats import Message
from ui.dialogs.base import Dialog
from ui.theme import theme
from ui.widgets.basic import Button, label
from ui.widgets.forms import text_area

LINES = 8


class EditQuestionDialog(Dialog):
    """`sent(text)`."""

    sent = Signal(str)

    def __init__(self, parent: QWidget, message: Message) -> None:
        super().__init__(parent, "Edit question")
        self.setObjectName("edit_question_dialog")
        self._files = bool(message.attachments)
        self.text = text_area(message.content, LINES)
        self.text.setObjectName("edited_question")
        self.text.setAccessibleName("Question")
        self.text.document().setModified(False)
        self.text.textChanged.connect(self._judge)
        files = " Its files go along." if self._files else ""
        words = f"Asked in a new chat that has everything before this question; this one stays as it is.{files}"
        self.body.addWidget(self.text, 1)
        self.body.addWidget(label(words, "caption", wrap=True))
        self.set_buttons(Button("Ask in a branch", "main", "ph.git-branch", on_click=self._send, name="send_branch"))
        self.setMinimumWidth(theme().sizes.inspector + theme().sizes.label)
        self._judge()
        self.text.setFocus()

    def _judge(self) -> None:
        self.hold("" if self.text.toPlainText().strip() or self._files else "Write a question.")

    def _send(self) -> None:
        text = self.text.toPlainText().strip()
        self.accept()
        self.sent.emit(text)
