"""Settings of Hugging Face: the access token for models that are gated or private."""

from __future__ import annotations

import os
from dataclasses import dataclass

from core.errors import AppError
from core.workspace import secrets
from ui.dialogs.base import confirm
from ui.dialogs.hub_token import HubTokenDialog
from ui.widgets.basic import Button, label, row
from ui.widgets.card import Card
from ui.widgets.page import Page


@dataclass(frozen=True)
class TokenState:
    """Whether there is an access token, in words; whether it is in the keychain, and whether one can be stored."""

    words: str
    stored: bool
    can_store: bool


def read_token_state() -> TokenState:
    """Asks the keychain, which may take its time: never on the GUI thread."""
    can_store = secrets.backend() is not None
    try:
        if can_store and secrets.get(secrets.HUB_TOKEN):
            return TokenState("An access token is in the keychain.", True, can_store)
    except AppError as error:
        return TokenState(error.message, False, can_store)
    if os.environ.get(secrets.HUB_VARIABLE):
        return TokenState(f"The token of the environment variable {secrets.HUB_VARIABLE} is used.", False, can_store)
    words = "Most models need no access token; those that are gated or private do."
    if not can_store:
        words += f" This computer has no keychain: set the environment variable {secrets.HUB_VARIABLE} instead."
    return TokenState(words, False, can_store)


class HubToken(Card):
    """Where the token comes from; add, replace, remove."""

    def __init__(self, page: Page) -> None:
        super().__init__("Hugging Face")
        self.setObjectName("hub_card")
        self._page = page
        self.state = label("", "muted", wrap=True, name="hub_token_state")
        self.change = Button("Add access token…", "", "ph.key", on_click=self._change, name="change_hub_token")
        self.remove = Button("Remove token", "ghost", "ph.trash", on_click=self._remove, name="remove_hub_token")
        self.add(self.state)
        self.add(row(self.change, self.remove, None))
        self._show(TokenState("", False, False))

    def read(self) -> None:
        """Ask the keychain, off the GUI thread."""
        self._page.services.run(self._page, read_token_state, self._show)

    def _show(self, state: TokenState) -> None:
        self.state.setText(state.words)
        self.change.setText("Replace access token…" if state.stored else "Add access token…")
        self.change.setVisible(state.can_store)
        self.remove.setVisible(state.stored)

    def _change(self) -> None:
        dialog = HubTokenDialog(self._page, self._page.services)
        dialog.stored.connect(self.read)
        dialog.open()

    def _remove(self) -> None:
        confirm(
            self._page, "Remove token", "The access token is removed from the keychain.", "Remove", self._on_remove,
            hint="Gated and private models can't be downloaded without one.",
        )  # fmt: skip

    def _on_remove(self) -> None:
        self._page.services.run(self._page, lambda: secrets.delete(secrets.HUB_TOKEN), lambda _nothing: self.read())
