"""What the tests of pages share: a filled workspace, a window to drive, waiting for what is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QLabel, QPushButton, QWidget

from app.services import Services
from core.scaffolding.seeding import seed
from tests.core.factories import Place
from ui.registry import PAGES
from ui.widgets.page import Page
from ui.window.main_window import MainWindow

P = TypeVar("P", bound=Page)


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


def shown_text(parent: QWidget, name: str) -> str:
    """What the newest label of that name says."""
    return str(find(parent, QLabel, name).text())


def click(qtbot: Any, parent: QWidget, name: str) -> None:
    """Click a button a user could click."""
    button = find(parent, QPushButton, name)
    assert button.isVisible(), f"{name} is not shown"
    assert button.isEnabled(), f"{name} is not enabled"
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def take_back(qtbot: Any, window: MainWindow, words: str = "") -> None:
    """Click Undo in the toast that has these words; an earlier one may still be shown."""
    until(qtbot, lambda: window.toast.isVisible() and words in window.toast.text.text(), f"no toast says {words!r}")
    click(qtbot, window.toast, "toast_undo")


def until(qtbot: Any, check: Callable[[], bool], what: str = "") -> None:
    """Wait until `check()` holds."""

    def ask() -> None:
        assert check(), what

    qtbot.waitUntil(ask)


def settle(qtbot: Any, window: MainWindow) -> None:
    """All reads and writes that were asked for are through, and what they led to."""

    def quiet() -> bool:
        # A page gathers its wishes in short timers of one shot; longer ones, as the toast's, are for people.
        waiting = [t for t in window.findChildren(QTimer) if t.isActive() and t.isSingleShot() and t.interval() <= 1000]
        return not waiting and not window.services.tasks.busy

    for _ in range(4):
        qtbot.wait(5)
        until(qtbot, quiet, "the window does not come to rest")


def dialog(qapp: Any, name: str) -> Any:
    """The open dialog of that name."""
    found = [w for w in qapp.topLevelWidgets() if w.objectName() == name and w.isVisible()]
    assert found, f"no dialog {name}"
    return found[-1]


def open_page(qtbot: Any, window: MainWindow, kind: type[P]) -> P:
    """The page of that kind, opened and read."""
    (name,) = [spec.name for spec in PAGES.specs() if spec.widget == f"{kind.__module__}:{kind.__name__}"]
    window.open_page(name)
    page = window.current_page
    assert isinstance(page, kind)
    until(qtbot, lambda: page.shown_state != "busy")
    return page
