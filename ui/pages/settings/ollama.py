"""Settings of Ollama: where it is, and what that means for what leaves the machine."""

from __future__ import annotations

from PySide6.QtCore import Slot

from core.errors import AppError
from core.inference.ollama.address import SETTING, default_address, read_address
from core.loopback import is_loopback
from core.workspace import settings
from ui.dialogs.base import confirm
from ui.widgets.basic import label
from ui.widgets.card import Card
from ui.widgets.forms import Form, text_field
from ui.widgets.page import Page

HELP = "Empty for Ollama on this computer."
HERE = "Nothing leaves this computer: Ollama runs on it."
AWAY = (
    "This is another computer. What you ask models there, with the conversation and the code that goes along, is sent "
    "to it."
)


def _check(text: object) -> str:
    if not str(text).strip():
        return ""
    try:
        read_address(str(text))
    except AppError as error:
        return f"{error.message} {error.hint}"
    return ""


class OllamaCard(Card):
    """Another computer is asked for once more before it is stored."""

    def __init__(self, page: Page) -> None:
        super().__init__("Ollama")
        self.setObjectName("ollama_card")
        self._page = page
        self._stored = ""
        self.form = Form()
        self.address = text_field("", default_address().partition("://")[2])
        self.form.add("ollama_address", "Address", self.address, HELP, check=_check)
        self.words = label(HERE, "muted", wrap=True, name="ollama_words")
        self.add(self.form)
        self.add(self.words)
        self.address.editingFinished.connect(self._on_edited)

    def read(self) -> None:
        """Look what is stored."""
        self._page.read(lambda db: str(settings.get(db, SETTING, "")), self._show, key="ollama")

    def _show(self, stored: str) -> None:
        self._stored = stored
        if not self.address.hasFocus():
            self.address.setText(stored)
        self.words.setText(HERE if is_loopback(stored or default_address()) else AWAY)

    @Slot()
    def _on_edited(self) -> None:
        text = self.address.text().strip()
        if _check(text):
            return
        wanted = read_address(text) if text else ""
        if wanted == self._stored:
            return
        if not wanted or is_loopback(wanted):
            self._keep(wanted)
            return
        self.address.setText(self._stored)
        confirm(
            self._page, "Ollama on another computer", f"Bright Run is to use Ollama at {wanted}.", "Use it",
            lambda: self._keep(wanted), hint=AWAY,
        )  # fmt: skip

    def _keep(self, wanted: str) -> None:
        self._page.write(lambda db: settings.put(db, SETTING, wanted))
