"""An answer that is worth training on is kept with one click; the dialog gives it better words first."""

from __future__ import annotations

from core.projects import corrections
from core.projects.chats import Message
from core.projects.corrections import Correction
from ui.dialogs.writing import WritingDialog
from ui.theme import theme
from ui.widgets.basic import Button, label
from ui.widgets.forms import text_area
from ui.widgets.page import Page

LINES = 10


class CorrectDialog(WritingDialog):
    """Keeps the answer in other words."""

    def __init__(self, page: Page, message: Message, there: Correction | None) -> None:
        super().__init__(page, page.services, "Correct answer")
        self.setObjectName("correct_dialog")
        self._message = message
        self.text = text_area(there.answer if there is not None else message.content, LINES)
        self.text.setObjectName("corrected_answer")
        self.text.setAccessibleName("Corrected answer")
        self.text.document().setModified(False)
        self.text.textChanged.connect(self._judge)
        words = "Kept under Datasets, Corrections, to train on; the chat stays as it is."
        for widget in (label("What the answer should have been", "section"), self.banners, self.text,
                       label(words, "caption", wrap=True)):  # fmt: skip
            self.body.addWidget(widget)
        self.set_buttons(Button("Keep", "main", "ph.check", on_click=self._keep, name="keep_corrected"))
        self.setMinimumWidth(theme().sizes.inspector + theme().sizes.label)
        self._judge()
        self.text.setFocus()

    def _judge(self) -> None:
        self.hold("" if self.text.toPlainText().strip() else "Write what the answer should have been.")

    def _keep(self) -> None:
        ident, text = self._message.id, self.text.toPlainText()

        self.write(lambda db: corrections.keep(db, ident, text), lambda _kept: self.accept())
