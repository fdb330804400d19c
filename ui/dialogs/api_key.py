"""The key for Claude: stored in the keychain and tested with one click."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLineEdit, QWidget

from app.services import Services
from core.errors import AppError
from core.jobs import Job
from core.workspace import secrets
from ui import format as fmt
from ui.dialogs.base import Dialog
from ui.theme import theme
from ui.widgets.basic import Button, label
from ui.widgets.forms import Form, text_field

TEST = {"ask": "models"}


@dataclass(frozen=True)
class KeyState:
    """Where the key for Claude comes from, in words; whether there is one, and whether one can be stored here."""

    words: str
    there: bool
    can_store: bool


def read_key_state() -> KeyState:
    """Asks the keychain, which may take its time: never on the GUI thread."""
    can_store = secrets.backend() is not None
    try:
        found = secrets.anthropic_credentials()
    except AppError as error:
        return KeyState(f"{error.message} {error.hint}".strip(), False, can_store)
    if found.source == "keychain":
        return KeyState("The API key is in the keychain.", True, can_store)
    return KeyState(f"The API key of the environment variable {secrets.KEY_VARIABLE} is used.", True, can_store)


class ApiKeyDialog(Dialog):
    """Asks for the key, stores it, and lets Claude list its models. `stored()` as soon as it is in the keychain."""

    stored = Signal()

    def __init__(self, parent: QWidget, services: Services) -> None:
        super().__init__(parent, "API key for Claude")
        self.setObjectName("api_key_dialog")
        self._services = services
        self.body.addWidget(label(
            "Create a key in the Anthropic Console. It is kept in this computer's keychain and sent only to Claude.",
            "muted", wrap=True,
        ))  # fmt: skip
        self.form = Form()
        self.key = text_field("", "sk-ant-…")
        self.key.setEchoMode(QLineEdit.EchoMode.Password)
        self.key.setObjectName("api_key")
        self.form.add("key", "API key", self.key)
        self.form.begin_advanced()
        self.address = text_field("", secrets.DEFAULT_URL)
        self.form.add("address", "Address", self.address, "Only for a gateway of your own. The key is sent there.",
                      check=_check_address)  # fmt: skip
        self.body.addWidget(self.form)
        self.state = label("", wrap=True, name="key_test")
        self.body.addWidget(self.state)
        self.state.hide()
        self.save = Button("Save and test", "main", on_click=self._save, name="save_key")
        self.set_buttons(self.save)
        self.form.changed.connect(self._judge)
        self.setMinimumWidth(theme().sizes.field + theme().sizes.label)
        self._judge()

    def _judge(self) -> None:
        missing = "" if self.key.text().strip() else "Paste the key first."
        self.hold(missing or ("" if self.form.valid else "The address has to begin with https://."))

    def _save(self) -> None:
        key, address = self.key.text(), self.address.text()
        self._say("Saving…")
        self.hold("The key is being tested.")
        self._services.run(self, lambda: secrets.store_anthropic(key, address), self._on_stored, self._on_failed)

    def _on_stored(self, _nothing: object) -> None:
        self.key.setModified(False)
        self.address.setModified(False)
        self.stored.emit()
        self._say("Saved. Claude is asked for its models; this waits for jobs that use the network.")
        self._services.start_job("ask_claude", "Testing the API key", TEST, self._on_tested, self,
                                 refused=self._judge)  # fmt: skip

    def _on_tested(self, job: Job) -> None:
        if job.error is not None:
            self._on_failed(job.error)
        elif "models" in job.result:
            count = fmt.plural(int(job.result["models"]), "model")
            self._services.notifier.say(f"The key works: {count} to choose from")
            self.accept()
        else:
            self._on_failed(AppError("stopped", "The test was stopped.", hint="Test the key again before generating."))

    def _on_failed(self, exc: Exception) -> None:
        text = f"{exc.message} {exc.hint}".strip() if isinstance(exc, AppError) else str(exc)
        self._say(text, bad=True)
        self._judge()

    def _say(self, text: str, *, bad: bool = False) -> None:
        self.state.setProperty("role", "error" if bad else "muted")
        self.state.style().polish(self.state)
        self.state.setText(text)
        self.state.show()


def _check_address(text: str) -> str:
    plain = text.strip()
    local = plain.startswith(("http://127.0.0.1", "http://localhost"))
    return "" if not plain or plain.startswith("https://") or local else "Begin with https://, so that the key is safe."
