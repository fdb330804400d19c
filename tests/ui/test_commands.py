"""One table of commands: menus, palette, shortcuts and cheat sheet; what a page adds to it."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QDialog, QLabel
from pytestqt.qtbot import QtBot

from app.services import Services
from core.workspace.paths import source_root
from tests.core.factories import Place, add_conversation, parsed
from tests.support.pages import filled, open_page, settle, until
from ui.pages.conversations.page import ConversationsPage
from ui.registry import PAGES
from ui.window.actions import COMMANDS, KEYS_IN_LISTS
from ui.window.main_window import MainWindow

# UI.md, "Keyboard"; Ctrl reads as Cmd on a Mac.
WANTED = {
    "Ctrl+K": "palette", "Ctrl+F": "search", "Ctrl+Return": "primary", "Ctrl+.": "stop", "Esc": "back",
    "Ctrl+,": "settings",
}  # fmt: skip


@pytest.fixture
def here(services: Services) -> Place:
    return filled(services)


def test_every_shortcut_of_the_design_is_there(window: MainWindow) -> None:
    for keys, name in WANTED.items():
        assert QKeySequence(keys) in window.actions_[name].shortcuts()
    for number, spec in enumerate(PAGES.specs()[:9], start=1):
        assert window.actions_[f"go_{spec.name}"].shortcut() == QKeySequence(f"Ctrl+{number}")
    assert "J, K" in [keys for keys, _ in KEYS_IN_LISTS]


def test_every_command_is_in_a_menu_and_in_the_palette(window: MainWindow) -> None:
    in_menus = [action for menu in window.menuBar().actions() for action in menu.menu().actions()]
    shown = {entry.key for entry in window.commands.palette._source.entries("")}
    for command in window.actions_.table:
        assert window.actions_[command.name] in in_menus
        assert (f"command:{command.name}" in shown) is command.in_palette
    # What is not there by its own name is the palette itself, and the page's primary button under its words.
    assert {c.name for c in window.actions_.table if not c.in_palette} == {"palette", "primary"}


def test_no_two_commands_share_a_key(window: MainWindow, here: Place) -> None:
    of_window = [s.toString() for c in window.actions_.table for s in window.actions_[c.name].shortcuts()]
    assert [key for key, uses in Counter(of_window).items() if uses > 1] == []
    for spec in PAGES.specs():
        page = window.page(spec.name)
        assert page is not None
        own = [QKeySequence(key).toString() for command in page._commands for key in command.keys]
        assert [key for key, uses in Counter([*own, *of_window]).items() if uses > 1 and key in own] == []


def test_keys_and_menus_are_made_in_one_place() -> None:
    made = re.compile(r"QShortcut\(|setShortcuts?\(")
    found = {p.as_posix() for p in (source_root() / "ui").rglob("*.py") if made.search(p.read_text(encoding="utf-8"))}
    assert {name.rpartition("/ui/")[2] for name in found} == {"window/actions.py", "widgets/page.py"}


def test_a_page_adds_its_commands_while_it_is_shown(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    add_conversation(here)
    page = open_page(qtbot, window, ConversationsPage)
    until(qtbot, lambda: page.table.current() is not None)
    source = window.commands.palette._source

    def found(text: str) -> list[str]:
        return [entry.title for entry in source.entries(text)]

    assert found("approve") == ["Approve selected"]
    assert next(e for e in source.entries("Enrich 1")).hint == "Ctrl+Return"
    window.open_page("home")
    assert found("approve") == []


def test_a_key_of_a_page_works_in_its_table_and_in_the_cheat_sheet(
    qtbot: QtBot, window: MainWindow, here: Place
) -> None:
    ident = add_conversation(here, parsed(title="One"))
    page = open_page(qtbot, window, ConversationsPage)
    until(qtbot, lambda: page.table.current() is not None)
    window.actions_["shortcuts"].trigger()
    sheet = window.findChild(QDialog, "shortcuts_dialog")
    assert sheet is not None
    words = [label.accessibleName() for label in sheet.findChildren(QLabel) if label.accessibleName()]
    assert "A: Approve selected" in words
    assert "Ctrl+K: Command palette" in words
    sheet.close()
    qtbot.keyClick(page.table, Qt.Key.Key_A)
    settle(qtbot, window)
    status = here.db.execute("select status from conversations where id = ?", [ident]).fetchone()[0]
    assert status == "approved"


def test_the_table_of_commands_has_no_name_twice() -> None:
    names = [command.name for command in COMMANDS]
    assert len(names) == len(set(names))
