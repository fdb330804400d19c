"""The keyboard alone: Tab reads the page, each stop has a name and is seen, none is a trap."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
import shiboken6
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QWidget
from pytestqt.qtbot import QtBot

from app.services import Services
from tests.core.factories import add_conversation
from tests.support import focus_walk
from tests.support.pages import filled, settle, until
from ui.registry import PAGES
from ui.theme import theme
from ui.window.main_window import MainWindow

NAMES = [spec.name for spec in PAGES.specs()]
CHECKS: dict[str, Callable[[list[QWidget], QWidget], list[str]]] = {
    "against the way one reads": focus_walk.out_of_order, "without a name": focus_walk.nameless,
    "focus is not seen": focus_walk.unmarked,
}  # fmt: skip


def page_of(qtbot: QtBot, window: MainWindow, name: str, argument: object = None) -> Any:
    window.services.navigator.open_page(name, argument)
    page = window.current_page
    assert page is not None
    until(qtbot, lambda: page.shown_state != "busy")
    settle(qtbot, window)
    return page


def wrong(window: MainWindow, parent: QWidget, least: int = 1) -> dict[str, list[str]]:
    with_focus = focus_walk.reached(window, parent)
    assert len(with_focus) >= least
    found = {name: check(with_focus, parent) for name, check in CHECKS.items()}
    return {name: pairs for name, pairs in found.items() if pairs}


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_page_is_walked_by_tab(qtbot: QtBot, window: MainWindow, name: str) -> None:
    page = page_of(qtbot, window, name)
    assert wrong(window, page) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_filled_page_is_walked_by_tab(qtbot: QtBot, everything: str, window: MainWindow, name: str) -> None:
    page = page_of(qtbot, window, name)
    assert wrong(window, page) == {}


@pytest.mark.slow
def test_the_form_of_a_new_run_and_a_run_are_walked_by_tab(qtbot: QtBot, everything: str, window: MainWindow) -> None:
    for argument in ({"new": True}, {"run": everything}):
        page = page_of(qtbot, window, "training", argument)
        assert wrong(window, page) == {}


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_sidebar_and_tray_are_walked_by_tab(qtbot: QtBot, window: MainWindow, mode: str) -> None:
    theme().set_mode(mode)
    settle(qtbot, window)
    # Tab stops at the page that is shown; from there the arrows lead to the others.
    assert [w.objectName() for w in focus_walk.reached(window, window.sidebar)] == ["fold", "nav_home"]
    assert wrong(window, window.sidebar, 2) == {}
    window.sidebar.buttons["home"].setFocus()
    qtbot.keyClick(window.sidebar.buttons["home"], Qt.Key.Key_Down)
    assert window.current_name == NAMES[1]


def test_a_page_that_was_opened_while_it_read_gives_its_table_the_focus(
    qtbot: QtBot, window: MainWindow, services: Services
) -> None:
    add_conversation(filled(services))
    window.open_page("conversations")
    page: Any = window.current_page
    assert page.hasFocus()
    until(qtbot, lambda: page.table.hasFocus())


@pytest.mark.parametrize("name", ["scaffolding", "conversations"])
def test_esc_leads_from_the_detail_to_the_list_it_came_from(
    qtbot: QtBot, window: MainWindow, services: Services, name: str
) -> None:
    add_conversation(filled(services))
    page = page_of(qtbot, window, name)
    table = page.table_in_use()
    assert table.hasFocus()
    qtbot.keyClick(table, Qt.Key.Key_Space)
    focus = QApplication.focusWidget()
    assert focus is not None
    assert focus is not table
    window.actions_["back"].trigger()
    assert table.hasFocus()


def test_walking_a_page_leaves_its_parts_alive(qtbot: QtBot, window: MainWindow) -> None:
    page = page_of(qtbot, window, "settings")
    bars = [area.verticalScrollBar() for area in window.findChildren(QAbstractScrollArea)]
    assert bars
    focus_walk.reached(window, page)
    gc.collect()
    assert all(shiboken6.isValid(bar) for bar in bars)


def test_tab_goes_on_from_a_page_that_has_the_focus_itself(qtbot: QtBot, window: MainWindow) -> None:
    page = page_of(qtbot, window, "datasets")
    page.setFocus()
    qtbot.keyClick(page, Qt.Key.Key_Tab)
    first = QApplication.focusWidget()
    assert first is not None
    assert page.isAncestorOf(first)
    page.setFocus()
    qtbot.keyClick(page, Qt.Key.Key_Backtab)
    assert QApplication.focusWidget() is window.sidebar.buttons["datasets"]
