"""Every dialog is one of these: it shows itself without blocking and dies when it is closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent, Qt, QTimer, Slot
from PySide6.QtGui import QGuiApplication, QKeyEvent, QShowEvent
from PySide6.QtWidgets import QDialog, QLineEdit, QPlainTextEdit, QVBoxLayout, QWidget

from ui.theme import theme
from ui.widgets.basic import Button, label, row


class Dialog(QDialog):
    """A dialog that shows itself without blocking and dies when it is closed.

    It has one primary action, declared with `set_buttons`. Enter does it from a field of one line, Ctrl+Enter from
    every field; where it can't be done yet, Enter shows what is missing. A button with the focus takes Enter itself.
    Escape and the window's close button cancel, and ask first if something was typed; `accept` leaves without asking.
    """

    def __init__(self, parent: QWidget | None, title: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowModality(Qt.WindowModality.WindowModal)
        sizes = theme().sizes
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(sizes.margin, sizes.margin - 4, sizes.margin, sizes.margin - 4)
        self.body.setSpacing(sizes.grid + 4)
        self.primary: Button | None = None
        self.cancel: Button | None = None
        self.missing = label("", "error", wrap=True, name="missing")
        self._reason = ""

    def showEvent(self, event: QShowEvent) -> None:
        # In the largest fonts what a dialog asks for may be more than the screen has.
        room = self.size().boundedTo(self.screen().availableSize())
        if room != self.size():
            self.resize(room)
        super().showEvent(event)

    @Slot()
    def fit_soon(self) -> None:
        """As large as what it shows by then takes."""
        QTimer.singleShot(0, self, self._fit)

    def _fit(self) -> None:
        # What is within tells what is around it by an event, level by level.
        QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest.value)
        self.adjustSize()

    def set_buttons(self, primary: Button, *others: QWidget, cancel: str = "Cancel") -> None:
        """The last row: `others` on the left, `cancel` unless there is nothing to cancel, and the primary action."""
        self.primary = primary
        primary.setDefault(True)
        self.missing.hide()
        self.body.addWidget(self.missing)
        right = [primary]
        if cancel:
            self.cancel = Button(cancel, on_click=self.leave, name="cancel")
            right.insert(0, self.cancel)
        self.body.addWidget(row(*others, None, *right))

    def hold(self, reason: str) -> None:
        """Keep the primary action from being done, and say why when it is asked for; "" lets it be done."""
        self._reason = reason
        if self.primary is not None:
            self.primary.setEnabled(not reason)
            self.primary.setToolTip(reason)
        if not reason:
            self.missing.hide()

    @property
    def typed(self) -> bool:
        """Whether the user typed something that cancelling would lose."""
        lines = any(field.isModified() and not field.isReadOnly() for field in self.findChildren(QLineEdit))
        return lines or any(
            field.document().isModified() and not field.isReadOnly() for field in self.findChildren(QPlainTextEdit)
        )

    def press_primary(self) -> None:
        """Do the primary action, or show what is missing."""
        if self.primary is not None and self.primary.isEnabled():
            self.primary.click()
        elif self._reason:
            self.missing.setText(self._reason)
            self.missing.show()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            # A key that is held must not answer the next question too.
            if not event.isAutoRepeat():
                self.press_primary()
            event.accept()
            return
        super().keyPressEvent(event)

    def reject(self) -> None:
        if self.cancel is None or not self.typed:
            self.leave()
            return
        confirm(self, self.windowTitle(), "Discard your changes?", "Discard", self.leave, cancel="Keep editing")

    def leave(self) -> None:
        """Cancel without asking."""
        super().reject()


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
        close = Button("Close", "main", on_click=self.accept, name="close")
        self.set_buttons(close, copy, cancel="")
        close.setFocus()

    def copy(self) -> None:
        """Put the details on the clipboard."""
        QGuiApplication.clipboard().setText(self.details.toPlainText())


class ConfirmDialog(Dialog):
    """Asked only where data would be lost otherwise; the answer comes through `on_yes`. Enter cancels."""

    def __init__(
        self,
        parent: QWidget | None,
        title: str,
        text: str,
        verb: str,
        on_yes: Callable[[], Any],
        hint: str,
        cancel: str,
    ) -> None:
        super().__init__(parent, title)
        self.setObjectName("confirm_dialog")
        self._on_yes = on_yes
        self.body.addWidget(label(text, "section", wrap=True))
        if hint:
            self.body.addWidget(label(hint, "muted", wrap=True))
        self.set_buttons(Button(verb, "danger", on_click=self._yes, name="confirm"), cancel=cancel)
        self.primary = self.cancel
        if self.cancel is not None:
            self.cancel.setDefault(True)
            self.cancel.setFocus()
        self.setMinimumWidth(theme().sizes.inspector)

    def _yes(self) -> None:
        self.accept()
        self._on_yes()


def confirm(
    parent: QWidget,
    title: str,
    text: str,
    verb: str,
    on_yes: Callable[[], Any],
    *,
    hint: str = "",
    cancel: str = "Cancel",
) -> ConfirmDialog:
    """Ask before something is lost for good; returns at once."""
    dialog = ConfirmDialog(parent, title, text, verb, on_yes, hint, cancel)
    dialog.open()
    return dialog
