"""The Adapters page: base models and adapters."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.services import Services
from core import jobs
from core.models import store as models
from core.models.practice import shipped_folder
from core.models.work import base_row
from core.training.store import list_adapters
from core.workspace import settings
from tests.support.hf_model import write_hf_model
from tests.support.pages import click, dialog, open_page, take_back
from tests.support.pages import shown_text as text
from ui.pages.adapters.page import AdaptersPage
from ui.practice import STEP, add_practice
from ui.steps import once
from ui.window.main_window import MainWindow

opened = partial(open_page, kind=AdaptersPage)


def click_row(qtbot: QtBot, table: Any, row: int) -> None:
    place = table.visualRect(table.rows.index(row, 0)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)


def test_an_empty_workspace_offers_the_practice_model(qtbot: QtBot, window: MainWindow) -> None:
    page = opened(qtbot, window)
    assert page.shown_state == "empty"
    click(qtbot, page, "empty_button")
    qtbot.waitUntil(lambda: page.bases.rows.rowCount() == 1 and not page.strip.jobs)
    assert page.shown_state == "content"
    assert text(page, "base_title") == "Practice model"
    assert "almost nothing" in text(page, "base_notes")
    assert not page.add_practice.isVisible()
    assert page.no_adapters.isVisible()


def test_an_adapter_shows_its_passport(qtbot: QtBot, trained: str, window: MainWindow, services: Services) -> None:
    page = opened(qtbot, window)
    assert text(page, "adapter_title") == "Practice run"
    assert text(page, "adapter_sum") == "6 in = 6 used + 0 rejected + 0 cut"
    detail = page.inspector.adapter
    assert detail.facts.facts["Used by"] == "nothing"
    assert detail.settings.facts["Maximum steps"] == "2"
    assert "mlx" in detail.versions.facts
    assert len(detail.hashes.facts["Adapter"]) == 12
    asked: list[Any] = []
    services.navigator.page_requested.connect(lambda name, argument: asked.append((name, argument)))
    click(qtbot, page, "talk_to_it")
    assert asked == [("chat", {"adapter": trained})]


def test_open_its_run_goes_to_the_training_page(
    qtbot: QtBot, trained: str, window: MainWindow, services: Services
) -> None:
    page = opened(qtbot, window)
    asked: list[Any] = []
    services.navigator.page_requested.connect(lambda name, argument: asked.append((name, argument)))
    click(qtbot, page.inspector, "open_run")
    assert asked[0][0] == "training"
    assert "run" in asked[0][1]


def test_a_folder_is_added_and_made_the_default(
    qtbot: QtBot, trained: str, window: MainWindow, services: Services
) -> None:
    page = opened(qtbot, window)
    click(qtbot, page, "add_base_model")
    dialog = page.findChild(QFileDialog, "base_dialog")
    assert dialog is not None
    assert dialog.isVisible()
    dialog.reject()
    page.arrivals.add_folder(str(shipped_folder()))
    qtbot.waitUntil(lambda: page.bases.rows.rowCount() == 2)
    click_row(qtbot, page.bases, 1)
    assert text(page, "base_title") == "model"
    assert not page.adapters.selected()
    click(qtbot, page.inspector, "set_default")
    qtbot.waitUntil(lambda: page.bases.rows.rows[1].is_default)
    assert settings.get(services.connections.db, "default_base") == page.bases.rows.rows[1].id
    assert not page.inspector.base.default.isEnabled()


def test_a_folder_that_is_no_model_is_told(
    qtbot: QtBot, trained: str, window: MainWindow, tmp_path: Path
) -> None:  # fmt: skip
    page = opened(qtbot, window)
    (tmp_path / "nothing").mkdir()
    page.arrivals.add_folder(str(tmp_path / "nothing"))
    qtbot.waitUntil(lambda: bool(page.banners.banners))
    assert "config.json" in page.banners.banners[0].text


def test_adapters_and_bases_are_deleted_with_undo(
    qtbot: QtBot, trained: str, window: MainWindow, services: Services
) -> None:
    page = opened(qtbot, window)
    click(qtbot, page.inspector, "delete_adapter")
    qtbot.waitUntil(lambda: page.adapters.rows.rowCount() == 0)
    assert page.no_adapters.isVisible()
    take_back(qtbot, window)
    qtbot.waitUntil(lambda: page.adapters.rows.rowCount() == 1)
    click_row(qtbot, page.bases, 0)
    click(qtbot, page.inspector, "delete_base")
    qtbot.waitUntil(lambda: page.bases.rows.rowCount() == 0)
    assert models.listing(services.connections.db) == []
    assert list_adapters(services.connections.db) == []
    take_back(qtbot, window)
    qtbot.waitUntil(lambda: page.bases.rows.rowCount() == page.adapters.rows.rowCount() == 1)


def test_open_item_selects(qtbot: QtBot, trained: str, window: MainWindow, services: Services) -> None:
    page = opened(qtbot, window)
    services.navigator.open_page("adapters", {"base": "practice"})
    qtbot.waitUntil(lambda: page.inspector.base.isVisible())
    services.navigator.open_page("adapters", trained)
    qtbot.waitUntil(lambda: page.inspector.adapter.isVisible())


def test_the_practice_model_is_added_once_for_two_quick_clicks(
    qtbot: QtBot, window: MainWindow, services: Services
) -> None:
    window.open_page("adapters")
    for _ in range(2):
        add_practice(services)
    db = services.connections.db
    qtbot.waitUntil(lambda: bool(models.listing(db)))
    assert len(jobs.listing(db, kind="add_base_model")) == 1
    qtbot.waitUntil(lambda: once(services, STEP))


def test_a_base_is_quantised_from_its_detail(
    qtbot: QtBot, qapp: Any, trained: str, window: MainWindow, services: Services, tmp_path: Path
) -> None:
    db = services.connections.db
    wide = write_hf_model(tmp_path / "Tiny", hidden_size=64, head_dim=16, intermediate_size=128)
    models.upsert(db, base_row("tiny", "Tiny", wide, "folder", []))
    page = opened(qtbot, window)
    page.open_item({"base": "practice"})
    qtbot.waitUntil(lambda: text(page, "base_title") == "Practice model")
    assert not page.inspector.base.quantise.isVisible()
    assert page.inspector.base.facts.facts["Used by"] == "1 adapter"
    assert "too large" not in page.inspector.base.facts.facts["In memory"]
    page.open_item({"base": "tiny"})
    qtbot.waitUntil(lambda: text(page, "base_title") == "Tiny")
    click(qtbot, page.inspector, "quantise_base")
    asked = dialog(qapp, "quantise_dialog")
    assert asked.name.text() == "Tiny 4-bit"
    asked.bits.setCurrentIndex(1)
    assert asked.name.text() == "Tiny 8-bit"
    click(qtbot, asked, "quantise_go")
    qtbot.waitUntil(lambda: "Tiny 8-bit" in [base.name for base in models.listing(db)])
    qtbot.waitUntil(lambda: page.bases.rows.rowCount() == 3)
