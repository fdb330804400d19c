"""What is said once before Claude writes for the first time."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from ui.dialogs.base import Dialog
from ui.theme import theme
from ui.widgets.basic import Button, label

TERMS_SETTING = "generation_terms_read"
TERMS = (
    "What Claude writes here is used to train a model of your own. That use is subject to Anthropic's commercial terms,"
    " which allow it for assistants like yours and forbid building a model that competes with theirs."
)


class TermsDialog(Dialog):
    """Shown once, before Claude writes for the first time; `agreed()`."""

    agreed = Signal()

    def __init__(self, parent: QWidget, sent: str) -> None:
        """`sent` says what is sent to Claude."""
        super().__init__(parent, "Before Claude writes")
        self.setObjectName("terms_dialog")
        self.body.addWidget(label(TERMS, wrap=True))
        self.body.addWidget(label(sent, "muted", wrap=True))
        agree = Button("Continue", "main", on_click=self._agree, name="agree")
        self.set_buttons(agree)
        agree.setFocus()
        self.setMinimumWidth(theme().sizes.field + theme().sizes.label)

    def _agree(self) -> None:
        self.accept()
        self.agreed.emit()
