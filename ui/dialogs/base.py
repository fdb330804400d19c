"""Every dialog is one of these: it shows itself without blocking and dies when it is closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QPlainTextEdit, QVBoxLayout, QWidget

from ui.theme import theme
from ui.widgets.basic import Button, label, row


class Dialog(QDialog):
    """A dialog that shows itself without blocking and dies when it is closed."""

    def __init__(self, parent: QWidget | None, title: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowModality(Qt.WindowModality.WindowModal)
        sizes = theme().sizes
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(sizes.margin, sizes.margin - 4, sizes.margin, sizes.margin - 4)
        self.body.setSpacing(sizes.grid + 4)


class DetailsDialog(Dialog):
    """A bug, or the report of the last crash: what happened, and text to copy."""

    def __init__(self, parent: QWidget | None, title: str, text: str, hint: str, details: str) -> None:
        super().__init__(parent, title)
        self.setObjectName("details_dialog")
        sizes = theme().sizes
        self.resize(2 * sizes.inspector, sizes.inspector)
        self.body.addWidget(label(text, "section", wrap=True))
        self.body.addWidget(label(hint, "muted", wrap=True))
        self.details = QPlainTextEdit(details)
        self.details.setReadOnly(True)
        self.details.setFont(theme().mono())
        self.details.setAccessibleName("Details")
        self.body.addWidget(self.details, 1)
        copy = Button("Copy details", "", "ph.copy", on_click=self.copy, name="copy_details")
        close = Button("Close", "main", on_click=self.close, name="close")
        self.body.addWidget(row(None, copy, close))
        close.setDefault(True)

    def copy(self) -> None:
        """Put the details on the clipboard."""
        QGuiApplication.clipboard().setText(self.details.toPlainText())


class ConfirmDialog(Dialog):
    """Asked only where data would be lost otherwise; the answer comes through `on_yes`."""

    def __init__(
        self, parent: QWidget | None, title: str, text: str, verb: str, on_yes: Callable[[], Any], hint: str = ""
    ) -> None:
        super().__init__(parent, title)
        self.setObjectName("confirm_dialog")
        self._on_yes = on_yes
        self.body.addWidget(label(text, "section", wrap=True))
        if hint:
            self.body.addWidget(label(hint, "muted", wrap=True))
        no = Button("Cancel", on_click=self.close, name="cancel")
        self.body.addWidget(row(None, no, Button(verb, "main", on_click=self._yes, name="confirm")))
        no.setDefault(True)
        self.setMinimumWidth(theme().sizes.inspector)

    def _yes(self) -> None:
        self.close()
        self._on_yes()


def confirm(
    parent: QWidget, title: str, text: str, verb: str, on_yes: Callable[[], Any], *, hint: str = ""
) -> ConfirmDialog:
    """Ask before something is lost for good; returns at once."""
    dialog = ConfirmDialog(parent, title, text, verb, on_yes, hint)
    dialog.open()
    return dialog
