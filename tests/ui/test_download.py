"""The Adapters page downloads a base from a local hub: looked up first, stopped, resumed; what is refused is told."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import keyring
import pytest
from PySide6.QtWidgets import QLineEdit
from pytestqt.qtbot import QtBot

from app.services import Services
from core import jobs, memory
from core.jobs import JobState
from core.memory import Memory, Pressure
from core.models import store as models
from core.workspace import secrets
from core.workspace.paths import models_cache
from tests.contract.hub_server import TOKEN, HubServer
from tests.core.test_secrets import MemoryKeyring
from tests.support.hf_model import write_hf_model
from tests.support.hub import use_hub
from tests.support.pages import click, dialog, find, open_page, shown_text, until
from ui.pages.adapters.download import DownloadDialog
from ui.pages.adapters.page import AdaptersPage
from ui.pages.settings.page import SettingsPage
from ui.window.main_window import MainWindow

opened = partial(open_page, kind=AdaptersPage)
REPO = "tiny/Llama-it"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    with HubServer() as server:
        use_hub(monkeypatch, server)
        server.add(REPO, write_hf_model(tmp_path / "published"))
        yield server


@pytest.fixture
def keychain() -> Iterator[MemoryKeyring]:
    before, made = keyring.get_keyring(), MemoryKeyring()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


def asked(qtbot: QtBot, qapp: Any, page: AdaptersPage, name: str) -> DownloadDialog:
    """The dialog, with that name looked up."""
    click(qtbot, page, "download_base_model")
    made = dialog(qapp, "download_dialog")
    qtbot.keyClicks(find(made, QLineEdit, "field_model"), name)
    click(qtbot, made, "download_go")
    until(qtbot, lambda: made.go.isEnabled() or bool(made._reason and made._found))
    return made


def test_a_base_is_looked_up_and_downloaded(
    qtbot: QtBot, qapp: Any, window: MainWindow, services: Services, hub: HubServer, trained: str
) -> None:
    page = opened(qtbot, window)
    click(qtbot, page, "download_base_model")
    made = dialog(qapp, "download_dialog")
    assert hub.requests == []
    qtbot.keyClicks(made.model, "nonsense")
    assert not made.go.isEnabled()
    made.model.clear()
    qtbot.keyClicks(made.model, f"https://huggingface.co/{REPO}")
    click(qtbot, made, "download_go")
    until(qtbot, made.offer.isVisible)
    assert made.pill.status.word == "Fits"
    assert made.facts.facts["Files"] == "4 files"
    assert "model.safetensors" not in hub.sent
    click(qtbot, made, "download_go")
    until(qtbot, lambda: len(models.listing(services.connections.db)) == 2)
    until(qtbot, lambda: page.bases.rows.rowCount() == 2)
    assert "Hugging Face" in [page.bases.rows.index(row, 1).data() for row in range(2)]


def test_a_stopped_download_is_resumed_from_its_banner(
    qtbot: QtBot, qapp: Any, window: MainWindow, services: Services, hub: HubServer, trained: str
) -> None:
    hub.hold["model.safetensors"] = 65536
    page = opened(qtbot, window)
    made = asked(qtbot, qapp, page, REPO)
    click(qtbot, made, "download_go")
    until(qtbot, hub.held.is_set)
    until(qtbot, lambda: bool(page.strip.jobs))
    click(qtbot, page.strip, "strip_stop")
    db = services.connections.db
    until(qtbot, lambda: [j.status for j in jobs.listing(db, kind="download_base")] == [JobState.CANCELLED])
    until(qtbot, lambda: bool(page.banners.banners))
    hub.released.set()
    click(qtbot, page.banners, "banner_action")
    until(qtbot, lambda: len(models.listing(db)) == 2)


def test_what_has_come_of_a_download_can_be_discarded(
    qtbot: QtBot, qapp: Any, window: MainWindow, services: Services, hub: HubServer, trained: str
) -> None:
    hub.hold["model.safetensors"] = 65536
    page = opened(qtbot, window)
    made = asked(qtbot, qapp, page, REPO)
    click(qtbot, made, "download_go")
    until(qtbot, hub.held.is_set)
    until(qtbot, lambda: bool(page.strip.jobs))
    click(qtbot, page.strip, "strip_stop")
    db = services.connections.db
    until(qtbot, lambda: [j.status for j in jobs.listing(db, kind="download_base")] == [JobState.CANCELLED])
    assert list((models_cache() / "hub").glob(".part-*"))
    made = asked(qtbot, qapp, page, REPO)
    until(qtbot, lambda: made.discard.isVisible() and made.discard.isEnabled())
    click(qtbot, made, "download_discard")
    until(qtbot, lambda: not list((models_cache() / "hub").glob(".part-*")))
    until(qtbot, lambda: made.go.isEnabled() and not made.discard.isVisible())
    hub.released.set()
    made.leave()


def test_what_is_too_large_is_said_before_the_start(
    qtbot: QtBot, qapp: Any, window: MainWindow, hub: HubServer, trained: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "read", lambda: Memory(1 << 20, 1 << 20, Pressure.NORMAL))
    page = opened(qtbot, window)
    made = asked(qtbot, qapp, page, REPO)
    assert "Too large" in made.pill.status.word
    assert made.go.isEnabled()
    facts = dict(made._found or {}) | {"free": 1000}
    made._show(facts)
    assert not made.go.isEnabled()
    assert made.pill.status.word == "Disk too full"
    made.leave()


def test_a_gated_model_asks_for_a_token_which_goes_to_the_keychain(
    qtbot: QtBot, qapp: Any, window: MainWindow, hub: HubServer, trained: str, keychain: MemoryKeyring
) -> None:
    hub.repos[REPO].gated = True
    page = opened(qtbot, window)
    made = asked(qtbot, qapp, page, REPO)
    assert "licence" in made.banners.banners[0].text
    click(qtbot, made.banners, "banner_action")
    token = dialog(qapp, "hub_token_dialog")
    qtbot.keyClicks(find(token, QLineEdit, "hub_token"), TOKEN)
    click(qtbot, token, "save_hub_token")
    until(qtbot, lambda: list(keychain.kept.values()) == [TOKEN])
    made.leave()
    settings = open_page(qtbot, window, kind=SettingsPage)
    until(qtbot, lambda: "in the keychain" in shown_text(settings, "hub_token_state"))
    click(qtbot, settings, "remove_hub_token")
    click(qtbot, dialog(qapp, "confirm_dialog"), "confirm")
    until(qtbot, lambda: secrets.get(secrets.HUB_TOKEN) is None)


def test_cancel_ends_the_look_up_and_advanced_needs_no_scrolling(
    qtbot: QtBot, qapp: Any, window: MainWindow, services: Services, hub: HubServer, trained: str
) -> None:
    page = opened(qtbot, window)
    click(qtbot, page, "download_base_model")
    made = dialog(qapp, "download_dialog")
    qtbot.keyClicks(made.model, REPO)
    click(qtbot, made, "advanced")
    until(qtbot, lambda: not made._area.verticalScrollBar().isVisible() and made.revision.isVisible())
    qtbot.keyClicks(made.revision, "../etc")
    assert not made.go.isEnabled()
    made.revision.clear()
    hub.hold["config.json"] = 0
    click(qtbot, made, "download_go")
    until(qtbot, hub.held.is_set)
    made.leave()
    db = services.connections.db
    until(qtbot, lambda: [j.status for j in jobs.listing(db, kind="look_up_base")] == [JobState.CANCELLED])
    assert jobs.listing(db, kind="download_base") == []
