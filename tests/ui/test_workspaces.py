"""What a workspace is for is chosen when it is made: at the first start, and in a new one; by mouse and keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QLineEdit
from pytestqt.qtbot import QtBot

from app.bootstrap import Application, Options
from core.scaffolding.seeding import choose, key_of
from core.scaffolding.store import Persona, listing
from core.workspace import settings
from core.workspace.files import write_json
from core.workspace.paths import Workspace, workspaces_folder
from tests.support.pages import click, dialog, find, until
from tests.support.verticals import FINANCE, SUPPORT, TINY, copy_of_support, plug_in_tiny
from ui.dialogs.workspaces import NewWorkspaceDialog, StartDialog, VerticalChoice
from ui.window.main_window import MainWindow


@pytest.fixture
def application(qtbot: QtBot, tmp_path: Path) -> Iterator[Application]:
    made = Application(Options(Workspace(tmp_path / "first")))
    assert made.start()
    yield made
    session = made.session
    if session is not None and session.services.queue.busy:
        with qtbot.waitSignal(session.services.queue.idle):
            session.services.queue.shutdown()
    made.stop()
    qtbot.wait(0)


def names(choice: VerticalChoice) -> list[str]:
    return [choice.itemData(row) for row in range(choice.count())]


def pick_with_the_mouse(qtbot: QtBot, choice: VerticalChoice, key: str) -> None:
    qtbot.mouseClick(choice, Qt.MouseButton.LeftButton)
    view = choice.view()
    until(qtbot, view.isVisible)
    place = view.visualRect(choice.model().index(choice.findData(key), 0)).center()

    def picked() -> bool:
        # Qt takes a click right after the list has opened for the end of the one that opened it.
        if view.isVisible():
            qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
        return bool(choice.currentData() == key)

    until(qtbot, picked)


def test_the_own_workspace_is_started_for_another_vertical_with_the_mouse(
    qtbot: QtBot, qapp: Any, window: MainWindow
) -> None:
    plug_in_tiny()
    home: Any = window.page("home")
    until(qtbot, lambda: home.shown_state == "content")
    click(qtbot, home, "start_own")
    shown: StartDialog = dialog(qapp, "start_dialog")
    until(qtbot, lambda: shown.primary is not None and shown.primary.isEnabled())
    assert names(shown.vertical) == [FINANCE, TINY, SUPPORT]
    assert shown.vertical.currentData() == FINANCE
    assert "households" in shown.form._rows["vertical"].help.text()
    pick_with_the_mouse(qtbot, shown.vertical, SUPPORT)
    assert "outages" in shown.form._rows["vertical"].help.text()
    click(qtbot, shown, "start")
    until(qtbot, lambda: not home.welcome.isVisible())
    db = window.services.connections.db
    assert (key_of(db), settings.get(db, "started")) == (SUPPORT, True)
    window.open_page("settings")
    page: Any = window.current_page
    until(qtbot, lambda: page.vertical.text() == "Support engineer for a software product")
    window.open_page("scaffolding")
    scaffolding: Any = window.current_page
    until(qtbot, lambda: scaffolding.library is not None)
    assert {entry.name for entry in listing(db, Persona)} == {"Marek Dvorak", "Joanna Whitfield", "Devon Okafor"}


def test_what_was_chosen_on_the_command_line_is_offered_first(qtbot: QtBot, qapp: Any, window: MainWindow) -> None:
    choose(window.services.connections.db, SUPPORT)
    shown = StartDialog(window, window.services)
    shown.open()
    until(qtbot, lambda: shown.primary is not None and shown.primary.isEnabled())
    assert shown.vertical.currentData() == SUPPORT
    shown.leave()


def test_a_new_workspace_is_made_with_the_keyboard(qtbot: QtBot, qapp: Any, application: Application) -> None:
    first = application.session
    assert first is not None
    first.window.actions_["new_workspace"].trigger()
    shown: NewWorkspaceDialog = dialog(qapp, "new_workspace_dialog")
    shown.activateWindow()
    until(qtbot, lambda: shown.primary is not None and shown.primary.isEnabled())
    name = find(shown, QLineEdit, "field_name")
    until(qtbot, name.hasFocus)
    QTest.keyClicks(name, "a/b")
    QTest.keyClick(name, Qt.Key.Key_Return)
    assert "can't" in shown.form._rows["name"].help.text()
    name.selectAll()
    QTest.keyClicks(name, "Helpdesk")
    QTest.keyClick(name, Qt.Key.Key_Tab)
    assert QApplication.focusWidget() is shown.vertical
    QTest.keyClick(shown.vertical, Qt.Key.Key_Down)
    assert shown.vertical.currentData() == SUPPORT
    QTest.keyClick(shown.vertical, Qt.Key.Key_Return)
    until(qtbot, lambda: application.session is not first and application.session is not None)
    session = application.session
    assert session is not None
    assert session.opened.workspace.root == workspaces_folder() / "Helpdesk"
    db = session.services.connections.db
    until(qtbot, lambda: len(listing(db, Persona)) == 3)
    assert key_of(db) == SUPPORT
    home: Any = session.window.page("home")
    until(qtbot, lambda: home.shown_state == "content")
    # It was asked already.
    assert not home.welcome.isVisible()


def test_a_name_that_is_taken_is_kept_in_the_field_and_said(qtbot: QtBot, qapp: Any, window: MainWindow) -> None:
    (workspaces_folder() / "Helpdesk" / "logs").mkdir(parents=True)
    window.actions_["new_workspace"].trigger()
    shown: NewWorkspaceDialog = dialog(qapp, "new_workspace_dialog")
    until(qtbot, lambda: shown.primary is not None and shown.primary.isEnabled())
    name = find(shown, QLineEdit, "field_name")
    QTest.keyClicks(name, "Helpdesk")
    click(qtbot, shown, "create")
    until(qtbot, lambda: "already exists" in shown.form._rows["name"].help.text())
    assert (name.text(), shown.isVisible()) == ("Helpdesk", True)
    assert [path.name for path in workspaces_folder().iterdir()] == ["Helpdesk"]
    shown.leave()


def test_a_vertical_that_can_not_be_used_is_said_and_the_others_are_offered(
    qtbot: QtBot, qapp: Any, window: MainWindow
) -> None:
    write_json(copy_of_support("mine") / "enrichment.json", {"emotions": {"panic": "down"}})
    window.actions_["new_workspace"].trigger()
    shown: NewWorkspaceDialog = dialog(qapp, "new_workspace_dialog")
    until(qtbot, lambda: shown.primary is not None and shown.primary.isEnabled())
    assert names(shown.vertical) == [FINANCE, SUPPORT]
    problem = shown.vertical._problem
    assert problem.isVisible()
    assert "mine/enrichment.json" in problem.text()
    shown.leave()


def test_a_workspace_is_opened_again_by_its_folder(qtbot: QtBot, application: Application, tmp_path: Path) -> None:
    first = application.session
    assert first is not None
    first.window.actions_["open_workspace"].trigger()
    (asked,) = first.window.findChildren(QFileDialog, "open_workspace_dialog")
    asked.reject()
    commands = first.window.commands
    commands._on_workspace(str(tmp_path))
    until(qtbot, lambda: bool(first.window.banners.banners))
    assert str(tmp_path) in first.window.banners.banners[0].text
    made = Workspace(tmp_path / "second")
    made.create()
    made.db_path.touch()
    commands._on_workspace(str(made.root))
    until(qtbot, lambda: application.session is not first and application.session is not None)
    assert application.session is not None
    assert application.session.opened.workspace == made
