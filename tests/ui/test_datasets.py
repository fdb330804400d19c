"""The Datasets page over a workspace filled by real imports."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QLabel, QLineEdit
from pytestqt.qtbot import QtBot

from app.services import Services
from core.datasets import store
from tests.support import studio
from tests.support.pages import click, open_page, take_back
from tests.support.pages import shown_text as text
from ui.pages.datasets.conversations import TurnCard
from ui.pages.datasets.page import DatasetsPage
from ui.window.main_window import MainWindow

opened = partial(open_page, kind=DatasetsPage)


def cells(page: DatasetsPage, row: int) -> list[str]:
    model = page.model
    return [str(model.index(row, c).data()) for c in range(model.columnCount())]


def test_without_datasets_the_page_says_what_to_do(qtbot: QtBot, window: MainWindow) -> None:
    page = opened(qtbot, window)
    assert page.shown_state == "empty"
    assert not page.train.isEnabled()
    click(qtbot, page, "empty_link")
    assert window.stack.currentWidget() is not page


def test_the_list_shows_the_numbers_of_each(qtbot: QtBot, datasets: list[str], window: MainWindow) -> None:
    page = opened(qtbot, window)
    assert page.model.rowCount() == 2
    row = cells(page, page.model.position(datasets[0]))
    assert row[0] == "planner"
    assert row[1] == "Chat messages"
    assert row[2] == "6"
    assert row[-1] == "Ready"
    assert "2 datasets" in page.caption.text()


def test_counts_add_up_and_what_was_left_out_is_named(qtbot: QtBot, datasets: list[str], window: MainWindow) -> None:
    page = opened(qtbot, window)
    page.table.select_id(datasets[0])
    assert text(page, "dataset_sum") == "9 in = 6 used + 3 rejected + 0 cut"
    qtbot.waitUntil(lambda: page.inspector.problems.model.rowCount() == 3)
    click(qtbot, page.inspector, "segment_problems")
    problems = page.inspector.problems
    assert [problems.model.index(i, 0).data() for i in range(3)] == ["6", "7", "8"]
    problems.table.setCurrentIndex(problems.model.index(1, 0))
    assert "messages[0].role" in text(page, "problem_place")
    assert "starts with the user" in text(page, "problem_what")
    assert text(page, "problem_mend")
    page.table.select_id(datasets[1])
    qtbot.waitUntil(lambda: problems.none.isVisible())


def test_conversations_are_read_with_what_trains_marked(qtbot: QtBot, datasets: list[str], window: MainWindow) -> None:
    page = opened(qtbot, window)
    page.table.select_id(datasets[0])
    qtbot.keyClick(page.table, Qt.Key.Key_Return)

    def trains() -> set[bool]:
        return {card.trains for card in page.reader.findChildren(TurnCard) if card.isVisible()}

    qtbot.waitUntil(lambda: trains() == {True, False})
    assert text(page, "conversation_place") == "1 of 6"
    click(qtbot, page.reader, "next_conversation")
    assert text(page, "conversation_place") == "2 of 6"
    click(qtbot, page.reader, "segment_validation")
    assert text(page, "conversation_place") == "1 of 1"


def test_search_narrows_the_list(qtbot: QtBot, datasets: list[str], window: MainWindow) -> None:
    page = opened(qtbot, window)
    field = page.findChild(QLineEdit, "search")
    assert field is not None
    qtbot.keyClicks(field, "first")
    qtbot.waitUntil(lambda: page.model.rowCount() == 1)
    assert cells(page, 0)[0] == "first steps"


def test_deleting_is_undone(qtbot: QtBot, datasets: list[str], window: MainWindow, services: Services) -> None:
    page = opened(qtbot, window)
    page.table.select_id(datasets[0])
    page.table.setFocus()
    qtbot.keyClick(page.table, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: page.model.rowCount() == 1)
    qtbot.waitUntil(lambda: window.toast.isVisible())
    assert window.toast.text.text() == "Deleted planner"
    take_back(qtbot, window, "Deleted planner")
    qtbot.waitUntil(lambda: page.model.rowCount() == 2)


def test_renaming_refuses_a_taken_name(qtbot: QtBot, datasets: list[str], window: MainWindow) -> None:
    page = opened(qtbot, window)
    page.table.select_id(datasets[0])
    click(qtbot, page.inspector, "rename")
    dialog: Any = window.findChild(QDialog, "rename_dialog")
    dialog.name.setText("first steps")
    click(qtbot, dialog, "confirm_rename")
    told = [found.text for found in dialog.findChildren(QLabel)]
    qtbot.waitUntil(lambda: any("already a dataset" in say() for say in told))
    dialog.name.setText("Planner 2")
    click(qtbot, dialog, "confirm_rename")
    qtbot.waitUntil(lambda: cells(page, page.model.position(datasets[0]))[0] == "Planner 2")


def test_train_opens_the_form_with_this_dataset(qtbot: QtBot, datasets: list[str], window: MainWindow) -> None:
    page = opened(qtbot, window)
    asked: list[Any] = []
    page.services.navigator.page_requested.connect(lambda name, argument: asked.append((name, argument)))
    page.table.select_id(datasets[1])
    click(qtbot, page, "train_an_adapter")
    assert asked[-1] == ("training", {"dataset": datasets[1]})


def test_an_import_shows_its_progress_and_then_the_dataset(
    qtbot: QtBot, window: MainWindow, services: Services, tmp_path: Path
) -> None:
    page = opened(qtbot, window)
    path = studio.dataset_file(tmp_path, "live", limit=4)
    shown: list[bool] = []
    services.queue.job_changed.connect(lambda _job: shown.append(bool(page.strip.jobs)))
    services.start_job("import", "Importing live", {"files": [str(path)]})
    qtbot.waitUntil(lambda: page.model.rowCount() == 1)
    qtbot.waitUntil(lambda: not page.strip.jobs)
    assert any(shown)
    assert page.shown_state == "content"


def test_a_failed_dataset_is_told_and_can_not_be_trained_on(
    qtbot: QtBot, datasets: list[str], window: MainWindow, services: Services
) -> None:
    db = services.connections.db
    error = '[{"code":"not_json","line":3,"field":"messages","message":"Line 3 is broken.","hint":"Mend it."}]'
    db.execute("update datasets set status = 'error', validation_errors = ? where id = ?", [error, datasets[0]])
    db.conn.commit()
    page = opened(qtbot, window)
    page.table.select_id(datasets[0])
    assert cells(page, page.model.position(datasets[0]))[-1] == "Failed"
    assert not page.train.isEnabled()
    assert page.banners.banners[0].text == "Line 3 is broken."
    dataset = store.get(db, datasets[0])
    assert store.problems(db, dataset)[0].hint == "Mend it."
