"""A turn is regenerated through the window: by the practice model, by Claude with its price, and not without a key."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import orjson
import pytest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from app.services import Services
from core.workspace import settings
from tests.contract import anthropic_server as acts
from tests.contract.anthropic_server import AnthropicServer
from tests.core.factories import Place, add_conversation
from tests.support.generation import records, use_server
from tests.support.pages import click, dialog, filled, find, open_page, shown_text, take_back, until
from tests.support.studio import add_practice_model
from ui.pages.conversations.inspector import TurnCard
from ui.pages.conversations.page import ConversationsPage
from ui.pages.conversations.regenerate import RegenerateDialog
from ui.window.main_window import MainWindow

opened = partial(open_page, kind=ConversationsPage)
NEW = "These are other words."


@pytest.fixture
def here(services: Services) -> Place:
    return filled(services)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[AnthropicServer]:
    with AnthropicServer() as running:
        use_server(monkeypatch, running)
        yield running


def card(page: ConversationsPage, number: int) -> Any:
    return page.inspector.turns.findChild(TurnCard, f"turn_{number}")


def asked(qtbot: QtBot, qapp: Any, page: ConversationsPage, number: int) -> RegenerateDialog:
    until(qtbot, lambda: card(page, number) is not None)
    click(qtbot, card(page, number), "regenerate_turn")
    found: RegenerateDialog = dialog(qapp, "regenerate_dialog")
    until(qtbot, lambda: found.primary is not None and found.primary.isEnabled())
    return found


def choose(qtbot: QtBot, found: RegenerateDialog, words: str) -> None:
    place = next(n for n in range(found.writer.count()) if words in found.writer.itemText(n))
    found.writer.setCurrentIndex(place)
    until(qtbot, lambda: found.primary is not None and found.primary.isEnabled())


def test_the_practice_model_writes_it_anew_and_undo_takes_it_back(
    qtbot: QtBot, qapp: Any, window: MainWindow, here: Place
) -> None:
    add_practice_model(here.db)
    add_conversation(here)
    page = opened(qtbot, window)
    until(qtbot, lambda: card(page, 2) is not None)
    before = card(page, 2).text.plain_text()
    found = asked(qtbot, qapp, page, 2)
    choose(qtbot, found, "on this computer")
    assert "nothing leaves it" in shown_text(found, "rewrite_price")
    click(qtbot, found, "regenerate")
    until(qtbot, lambda: window.toast.isVisible() and "regenerated" in find(window.toast, QLabel, "toast_text").text())
    until(qtbot, lambda: card(page, 2).text.plain_text() != before and card(page, 2).again.isEnabled())
    take_back(qtbot, window, "regenerated")
    until(qtbot, lambda: card(page, 2).text.plain_text() == before)


def test_claude_shows_terms_and_price_and_both_are_kept(
    qtbot: QtBot, qapp: Any, window: MainWindow, here: Place, server: AnthropicServer
) -> None:
    add_conversation(here)
    page = opened(qtbot, window)
    found = asked(qtbot, qapp, page, 2)
    assert found.chosen is not None
    assert found.chosen.paid
    assert found.start.text().startswith("Regenerate, about $")
    assert "are sent to Claude" in shown_text(found, "rewrite_price")
    qtbot.keyClicks(found.wish, "Warmer")
    server.script(acts.say(orjson.dumps({"content": NEW}).decode()), every=acts.slow(1))
    until(qtbot, found.start.isEnabled)
    click(qtbot, found, "regenerate")
    click(qtbot, dialog(qapp, "terms_dialog"), "agree")
    until(qtbot, lambda: card(page, 2).text.plain_text() == NEW)
    assert "What is to be different: Warmer" in server.asked[-1]["messages"][-1]["content"]
    until(qtbot, lambda: bool(settings.get(here.db, "generation_terms_read", False)))
    assert [row["outcome"] for row in records(here)] == ["reply"]


def test_a_refusal_says_what_to_do_and_changes_nothing(
    qtbot: QtBot, qapp: Any, window: MainWindow, here: Place, server: AnthropicServer
) -> None:
    settings.put(here.db, "generation_terms_read", "today")
    here.db.conn.commit()
    add_conversation(here)
    page = opened(qtbot, window)
    until(qtbot, lambda: card(page, 2) is not None)
    before = card(page, 2).text.plain_text()
    found = asked(qtbot, qapp, page, 2)
    server.script(acts.REFUSE)
    click(qtbot, found, "regenerate")
    until(qtbot, lambda: any("declined" in banner.text for banner in page.banners.banners))
    assert card(page, 2).text.plain_text() == before


def test_without_a_key_and_a_keychain_it_says_where_a_key_comes_from(
    qtbot: QtBot, qapp: Any, monkeypatch: pytest.MonkeyPatch, window: MainWindow, here: Place
) -> None:
    import keyring
    from keyring.backends.fail import Keyring

    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    keyring.set_keyring(Keyring())
    add_conversation(here)
    page = opened(qtbot, window)
    found = asked(qtbot, qapp, page, 2)
    until(qtbot, lambda: found._key is not None)
    click(qtbot, found, "regenerate")
    assert "ANTHROPIC_API_KEY" in found.missing.text()
    assert found.missing.isVisible()
    found.leave()
