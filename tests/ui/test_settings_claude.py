"""Settings of Claude: the key goes into the keychain and is tested, own prices go before the shipped ones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import keyring
import pytest
from PySide6.QtWidgets import QLineEdit
from pytestqt.qtbot import QtBot

from app.services import Services
from core import jobs
from core.generation import prices
from core.jobs import JobState
from core.workspace import secrets
from tests.contract.anthropic_server import AnthropicServer
from tests.core.test_secrets import MemoryKeyring
from tests.support.generation import use_server
from tests.support.pages import click, dialog, find, open_page, shown_text, until
from ui.pages.settings.page import SettingsPage
from ui.window.main_window import MainWindow

opened = partial(open_page, kind=SettingsPage)
KEY = "sk-ant-api03-typed-in-the-dialog"


@pytest.fixture
def keychain(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryKeyring]:
    """A keychain of this process; the worker finds its key in the environment."""
    with AnthropicServer() as server:
        use_server(monkeypatch, server)
        before, made = keyring.get_keyring(), MemoryKeyring()
        keyring.set_keyring(made)
        yield made
        keyring.set_keyring(before)


def test_a_key_is_stored_tested_and_removed(
    qtbot: QtBot, qapp: Any, window: MainWindow, services: Services, keychain: MemoryKeyring
) -> None:
    page = opened(qtbot, window)
    until(qtbot, lambda: "ANTHROPIC_API_KEY" in shown_text(page, "claude_key_state"))
    click(qtbot, page, "change_key")
    asked = dialog(qapp, "api_key_dialog")
    qtbot.keyClicks(find(asked, QLineEdit, "api_key"), KEY)
    click(qtbot, asked, "save_key")
    until(qtbot, lambda: list(keychain.kept.values()) == [KEY])
    until(qtbot, lambda: "keychain" in shown_text(page, "claude_key_state"))
    db = services.connections.db
    until(qtbot, lambda: [job.status for job in jobs.listing(db, kind="ask_claude")] == [JobState.COMPLETED])
    until(qtbot, lambda: "api_key_dialog" not in [w.objectName() for w in qapp.topLevelWidgets() if w.isVisible()])
    everything = "".join(str(tuple(row)) for row in db.execute("select params, result, message from jobs").fetchall())
    assert KEY not in everything
    click(qtbot, page, "remove_key")
    click(qtbot, dialog(qapp, "confirm_dialog"), "confirm")
    until(qtbot, lambda: keychain.kept == {})
    until(qtbot, lambda: "ANTHROPIC_API_KEY" in shown_text(page, "claude_key_state"))


def test_a_locked_keychain_is_named_and_the_key_is_kept_in_the_field(
    qtbot: QtBot, qapp: Any, window: MainWindow, keychain: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_args: str) -> None:
        raise keyring.errors.KeyringLocked("locked")

    monkeypatch.setattr(keychain, "set_password", locked)
    page = opened(qtbot, window)
    until(qtbot, lambda: page.claude.change.isVisible())
    click(qtbot, page, "change_key")
    asked = dialog(qapp, "api_key_dialog")
    qtbot.keyClicks(find(asked, QLineEdit, "api_key"), KEY)
    click(qtbot, asked, "save_key")
    until(qtbot, lambda: "Unlock the keychain" in shown_text(asked, "key_test"))
    assert find(asked, QLineEdit, "api_key").text() == KEY
    asked.leave()


def test_own_prices_go_before_the_shipped_ones_until_they_are_taken_back(
    qtbot: QtBot, window: MainWindow, services: Services, keychain: MemoryKeyring
) -> None:
    page = opened(qtbot, window)
    until(qtbot, lambda: page.prices.model.count() > 0)
    model = str(page.prices.model.currentData())
    today = datetime.now(UTC).date()
    shipped = prices.shipped().rates(model, today, 0)
    assert shipped is not None
    field = page.prices.fields["output"]
    field.setText("a lot")
    assert not page.prices.keep.isEnabled()
    field.setText("99.5")
    click(qtbot, page, "keep_prices")

    def rate() -> Decimal:
        found = prices.table(services.connections.db).rates(model, today, 0)
        assert found is not None
        return found.output

    until(qtbot, lambda: rate() == Decimal("99.5"))
    until(qtbot, lambda: page.prices.shipped.isEnabled())
    click(qtbot, page, "shipped_prices")
    until(qtbot, lambda: rate() == shipped.output)
    until(qtbot, lambda: Decimal(field.text()) == shipped.output)
    assert secrets.backend() is keychain
