"""An access token of Hugging Face, kept in the keychain: for models that are gated or private."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLineEdit, QWidget

from app.services import Services
from core.errors import AppError
from core.workspace import secrets
from ui.dialogs.base import Dialog
from ui.theme import theme
from ui.widgets.basic import Button, label
from ui.widgets.forms import Form, text_field

EXPLAINED = (
    "Create a token with read access on huggingface.co/settings/tokens. It is kept in this computer's keychain, and "
    "sent only to huggingface.co, and only where a model can't be had without one."
)


class HubTokenDialog(Dialog):
    """Asks for the token and stores it. `stored()` as soon as it is in the keychain."""

    stored = Signal()

    def __init__(self, parent: QWidget, services: Services) -> None:
        super().__init__(parent, "Access token for Hugging Face")
        self.setObjectName("hub_token_dialog")
        self._services = services
        self.body.addWidget(label(EXPLAINED, "muted", wrap=True))
        self.form = Form()
        self.token = text_field("", "hf_…")
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.token.setObjectName("hub_token")
        self.form.add("token", "Access token", self.token)
        self.body.addWidget(self.form)
        self.problem = label("", "error", wrap=True, name="hub_token_problem")
        self.body.addWidget(self.problem)
        self.problem.hide()
        self.set_buttons(Button("Save", "main", on_click=self._save, name="save_hub_token"))
        self.form.changed.connect(self._judge)
        self.setMinimumWidth(theme().sizes.field + theme().sizes.label)
        self._judge()

    def _judge(self) -> None:
        self.hold("" if self.token.text().strip() else "Paste the token first.")

    def _save(self) -> None:
        token = self.token.text()
        self.hold("The token is being stored.")
        self._services.run(self, lambda: secrets.put(secrets.HUB_TOKEN, token), self._on_stored, self._on_failed)

    def _on_stored(self, _nothing: object) -> None:
        self.stored.emit()
        self._services.notifier.say("The access token is in the keychain")
        self.accept()

    def _on_failed(self, exc: Exception) -> None:
        text = f"{exc.message} {exc.hint}".strip() if isinstance(exc, AppError) else str(exc)
        self.problem.setText(text.replace(secrets.KEY_VARIABLE, secrets.HUB_VARIABLE))
        self.problem.show()
        self._judge()
