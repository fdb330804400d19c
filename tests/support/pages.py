"""What the tests of pages share: a filled workspace, a window to drive, waiting for what is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.services import Services
from core.scaffolding.store import seed
from tests.core.factories import Place
from ui.pages.conversations.page import ConversationsPage
from ui.window.main_window import MainWindow


def filled(services: Services) -> Place:
    """The workspace of `services` with the shipped scaffolding in it."""
    here = Place(services.workspace, services.connections.db)
    seed(here.db)
    return here


def find(parent: QWidget, kind: type[Any], name: str) -> Any:
    """The newest widget of that name: those that wait for their deletion are hidden and come first."""
    found = [w for w in parent.findChildren(kind, name) if not w.isHidden()]
    assert found, f"there is no {name}"
    return found[-1]


def click(qtbot: Any, parent: QWidget, name: str) -> None:
    """Click a button a user could click."""
    button = find(parent, QPushButton, name)
    assert button.isVisible(), f"{name} is not shown"
    assert button.isEnabled(), f"{name} is not enabled"
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def until(qtbot: Any, check: Callable[[], bool], what: str = "", timeout: int = 15_000) -> None:
    """Wait until `check()` holds."""

    def ask() -> None:
        assert check(), what

    qtbot.waitUntil(ask, timeout=timeout)


def dialog(qapp: Any, name: str) -> Any:
    """The open dialog of that name."""
    found = [w for w in qapp.topLevelWidgets() if w.objectName() == name and w.isVisible()]
    assert found, f"no dialog {name}"
    return found[-1]


def conversations_page(qtbot: QtBot, window: MainWindow) -> ConversationsPage:
    """The Conversations page, opened and read."""
    window.open_page("conversations")
    page = window.current_page
    assert isinstance(page, ConversationsPage)
    until(qtbot, lambda: page.shown_state != "busy")
    return page
