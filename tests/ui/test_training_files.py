"""The Training files page: what is shown of a file, datasets, export, rename, trash."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QLabel, QMenu
from pytestqt.qtbot import QtBot

from app.services import Services
from core import jobs
from core.registries import EXPORT_FORMATS
from core.training_files import store
from tests.core.factories import KIND, Place, add_conversation, enrich, parsed, run_job
from tests.support.pages import click, dialog, filled, find, open_page, take_back, until
from ui.pages.training_files.page import TrainingFilesPage
from ui.window.main_window import MainWindow


@pytest.fixture
def here(services: Services) -> Place:
    return filled(services)


@pytest.fixture
def file_id(here: Place) -> str:
    """Version 2 of a training file with two conversations."""
    idents = [add_conversation(here, parsed(KIND[:size], title=f"Talk {size}")) for size in (2, 4)]
    enrich(here, *idents)
    job = run_job(here, "build_training_file", {"name": "Spring", "description": "All", "conversation_ids": idents[:1]})
    ident = str(job.result["training_file_id"])
    run_job(here, "build_training_file", {"training_file_id": ident, "conversation_ids": idents[1:]})
    return ident


opened = partial(open_page, kind=TrainingFilesPage)


def test_an_empty_page_points_to_the_conversations(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    page = opened(qtbot, window)
    assert page.shown_state == "empty"
    assert not page.make_button.isEnabled()
    click(qtbot, page, "empty_button")
    assert type(window.current_page).__name__ == "ConversationsPage"


def test_a_file_with_its_numbers_versions_and_members(
    qtbot: QtBot, window: MainWindow, here: Place, file_id: str
) -> None:
    page = opened(qtbot, window)
    until(qtbot, lambda: page.inspector.detail is not None)
    assert find(page, QLabel, "inspector_title").text() == "Spring"
    assert find(page, QLabel, "number_conversations").text() == "2"
    assert find(page, QLabel, "number_pairs").text() == "3"
    assert find(page, QLabel, "number_reviewed").text() == "0 of 2"
    assert [row.title for row in page.inspector.model.rows] == ["Talk 2", "Talk 4"]
    assert [v.version for v in page.inspector.detail.versions] == [2, 1]
    balance = page.inspector.balances["personas"]
    assert "David Chen 2" in balance._bars.accessibleName()
    shown = [page.model.index(0, column).data() for column in range(4)]
    assert shown == ["Spring", "2", "2", "3"]


def test_a_dataset_is_asked_for_by_name(qtbot: QtBot, qapp: Any, window: MainWindow, here: Place, file_id: str) -> None:
    page = opened(qtbot, window)
    until(qtbot, page.make_button.isEnabled)
    click(qtbot, page, "make_a_dataset")
    asked = dialog(qapp, "dataset_dialog")
    assert asked.form.values()["name"] == "Spring v2"
    asked.form.field("name").clear()
    click(qtbot, asked, "make")
    assert asked.isVisible()
    qtbot.keyClicks(asked.form.field("name"), "First set")
    with qtbot.waitSignal(window.services.queue.finished, timeout=60_000):
        click(qtbot, asked, "make")
    job = jobs.listing(here.db, kind="build_dataset")[0]
    assert job.params == {"training_file_id": file_id, "name": "First set"}
    assert job.status == "completed", job.error
    until(qtbot, lambda: any("First set" in banner.text for banner in page.banners.banners))


def test_every_registered_format_can_be_exported(
    qtbot: QtBot, window: MainWindow, here: Place, file_id: str, tmp_path: Path
) -> None:
    EXPORT_FORMATS.register("tiny_format", "tests.plugins.tiny_format:FORMAT")
    page = opened(qtbot, window)
    until(qtbot, page.export_button.isEnabled)
    click(qtbot, page, "export")
    menu = find(page, QMenu, "export_menu")
    assert [action.objectName() for action in menu.actions()] == [f"export_{name}" for name in EXPORT_FORMATS.names()]
    menu.actions()[1].trigger()
    menu.close()
    asked = find(page, QFileDialog, "export_dialog")
    assert asked.selectedFiles()[0].endswith("Spring v2.jsonl")
    asked.close()
    target = tmp_path / "out.jsonl"
    page.export_file(page.table.current(), "v4_jsonl", target)
    until(qtbot, lambda: window.toast.text.text() == "3 pairs exported to out.jsonl")
    assert len([orjson.loads(line) for line in target.read_bytes().splitlines()]) == 3
    page.export_file(page.table.current(), "v4_jsonl", tmp_path / "missing" / "out.jsonl")
    until(qtbot, lambda: bool(page.banners.banners))
    until(qtbot, page.export_button.isEnabled)


def test_a_name_that_is_taken_is_said_in_the_form(
    qtbot: QtBot, qapp: Any, window: MainWindow, here: Place, file_id: str
) -> None:
    ident = add_conversation(here, parsed(("I am lost.", "We look together."), title="Other"))
    enrich(here, ident)
    run_job(here, "build_training_file", {"name": "Autumn", "conversation_ids": [ident]})
    page = opened(qtbot, window)
    until(qtbot, lambda: page.model.rowCount() == 2)
    page.open_item(file_id)
    click(qtbot, page, "rename")
    asked = dialog(qapp, "rename_dialog")
    asked.form.field("name").setText("Autumn")
    click(qtbot, asked, "rename_ok")
    until(qtbot, lambda: any("already a training file" in w.text() for w in asked.findChildren(QLabel)))
    asked.form.field("name").setText("Spring talks")
    click(qtbot, asked, "rename_ok")
    until(qtbot, lambda: store.get(here.db, file_id).name == "Spring talks")


def test_members_enriched_again_are_offered_as_a_new_version(
    qtbot: QtBot, window: MainWindow, here: Place, file_id: str
) -> None:
    enrich(here, store.members(here.db, file_id)[0].conversation_id)
    page = opened(qtbot, window)
    until(qtbot, lambda: page.inspector.detail is not None and page.inspector.detail.newer == 1)
    assert page.inspector.newer.isVisible()
    click(qtbot, page, "rebuild")
    until(qtbot, lambda: store.get(here.db, file_id).version == 3)
    until(qtbot, lambda: page.inspector.detail is not None and page.inspector.detail.newer == 0)


def test_delete_with_undo(qtbot: QtBot, window: MainWindow, here: Place, file_id: str) -> None:
    page = opened(qtbot, window)
    until(qtbot, lambda: page.table.current() is not None)
    page.table.setFocus()
    qtbot.keyClick(page.table, Qt.Key.Key_Delete)
    until(qtbot, lambda: page.shown_state == "empty")
    take_back(qtbot, window)
    until(qtbot, lambda: page.shown_state == "content")
