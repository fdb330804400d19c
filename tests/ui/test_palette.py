"""The command palette: what it finds, how it is driven, what it gives back."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication, QDialog
from pytestqt.qtbot import QtBot

from app.services import Services
from core.db.connection import now
from core.db.lookup import by_name
from core.projects import chats
from tests.core.factories import Place, add_conversation, parsed
from tests.support.chat import add_base
from tests.support.pages import filled, open_page, settle, until
from ui.pages.conversations.page import ConversationsPage
from ui.registry import PAGES, PageSpec
from ui.theme import theme
from ui.window.main_window import MainWindow
from ui.window.palette import Palette
from ui.window.ranking import score


@pytest.fixture
def here(services: Services) -> Place:
    return filled(services)


def opened(qtbot: QtBot, window: MainWindow, text: str = "") -> Palette:
    palette = window.commands.palette
    with qtbot.waitActive(window):
        window.activateWindow()
    qtbot.keyClick(window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    assert palette.isVisible()
    if text:
        qtbot.keyClicks(palette.field, text)
    return palette


def titles(palette: Palette) -> list[str]:
    return [entry.title for entry in palette.model.entries]


def shown(qtbot: QtBot, palette: Palette, title: str) -> None:
    until(qtbot, lambda: title in titles(palette), f"{title} is not found")


# Ranking


@pytest.mark.parametrize(
    ("query", "better", "worse"),
    [
        ("train", "Training", "Strain of thought"), ("tf", "Training files", "Fact file"),
        ("files tr", "Training files", "Filestrap"), ("set", "Settings", "Datasets"),
        ("home", "Home", "Home of the brave"), ("imp", "Import files", "Simple plan"),
        ("chat", "Chat", "New chat"), ("dark", "Dark theme", "Collapse sidebar"),
    ],
)  # fmt: skip
def test_beginnings_of_words_come_before_what_is_inside(query: str, better: str, worse: str) -> None:
    assert score(query, better) > score(query, worse)


def test_ranking_knows_capitals_accents_gaps_and_strangers() -> None:
    assert score("überblick", "ÜBERBLICK") > 100
    assert score("imprt", "Import files") > 0
    assert score("zzz", "Import files") == score("", "Import files") == score("   ", "x") == 0
    assert score("a%_", "abc") == 0
    assert score("two  words", "Two words") > 100


# Driving it


def test_it_opens_by_key_and_gives_the_focus_back(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    add_conversation(here)
    page = open_page(qtbot, window, ConversationsPage)
    until(qtbot, lambda: page.table.current() is not None)
    page.table.setFocus()
    palette = opened(qtbot, window)
    assert palette.field.hasFocus()
    assert palette.current() is not None
    qtbot.keyClick(palette.field, Qt.Key.Key_Escape)
    assert not palette.isVisible()
    assert page.table.hasFocus()
    opened(qtbot, window)
    qtbot.keyClick(palette.field, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    assert not palette.isVisible()


def test_arrows_and_pages_move_and_tab_stays(qtbot: QtBot, window: MainWindow) -> None:
    palette = opened(qtbot, window)
    last = palette.model.rowCount() - 1

    def place() -> int:
        return palette.list.currentIndex().row()

    keys = Qt.Key
    for key, expected in ((keys.Key_Down, 1), (keys.Key_Up, 0), (keys.Key_Up, last), (keys.Key_Down, 0)):
        qtbot.keyClick(palette.field, key)
        assert place() == expected
    qtbot.keyClick(palette.field, keys.Key_PageDown)
    assert place() > 3
    qtbot.keyClick(palette.field, keys.Key_PageUp)
    assert place() == 0
    qtbot.keyClick(palette.field, keys.Key_Tab)
    assert palette.field.hasFocus()
    chosen = palette.current()
    assert chosen is not None
    assert chosen.title in palette.field.accessibleDescription()


def test_enter_opens_a_page_and_what_was_used_comes_first(qtbot: QtBot, window: MainWindow) -> None:
    palette = opened(qtbot, window, "adap")
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert window.current_name == "adapters"
    settle(qtbot, window)
    opened(qtbot, window)
    assert titles(palette)[0] == "Adapters"
    other = MainWindow(window.services, window.ring)
    qtbot.addWidget(other)
    source = other.commands.palette._source
    source.learn()
    until(qtbot, lambda: source.entries("")[0].title == "Adapters", "it is forgotten")


def test_enter_twice_runs_once_and_presses_nothing_behind_it(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    add_conversation(here)
    page = open_page(qtbot, window, ConversationsPage)
    until(qtbot, lambda: page.table.current() is not None)
    runs: list[str] = []
    pressed: list[object] = []
    window.actions_["refresh"].triggered.connect(lambda: runs.append("refresh"))
    page.table.opened.connect(pressed.append)
    page.table.setFocus()
    palette = opened(qtbot, window, "refresh")
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert page.table.hasFocus()
    qtbot.keyClick(page.table, Qt.Key.Key_Return)
    assert (runs, pressed) == (["refresh"], [])


def test_what_can_t_be_done_says_why_and_is_not_run(qtbot: QtBot, window: MainWindow) -> None:
    palette = opened(qtbot, window, "undo")
    chosen = palette.current()
    assert chosen is not None
    assert (chosen.title, chosen.blocked) == ("Undo", "Nothing to undo")
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert palette.isVisible()


def test_shortcuts_of_the_window_wait_while_it_is_open(qtbot: QtBot, window: MainWindow) -> None:
    palette = opened(qtbot, window)
    before = window.current_name
    for key in (Qt.Key.Key_2, Qt.Key.Key_Return, Qt.Key.Key_R):
        qtbot.keyClick(palette.field, key, Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(palette.field, Qt.Key.Key_5, Qt.KeyboardModifier.ControlModifier)
    assert window.current_name == before


def test_the_mouse_runs_and_a_click_outside_closes(qtbot: QtBot, window: MainWindow) -> None:
    palette = opened(qtbot, window, "cheat")
    assert titles(palette) == []
    assert palette.nothing.isVisible()
    palette.field.clear()
    qtbot.keyClicks(palette.field, "keyboard")
    place = palette.list.visualRect(palette.model.index(0)).center()
    qtbot.mouseClick(palette.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    sheet = window.findChild(QDialog, "shortcuts_dialog")
    assert sheet is not None
    sheet.close()
    for outside in (window.sidebar.buttons["settings"], window.tray, window.centralWidget()):
        opened(qtbot, window)
        qtbot.mouseClick(outside, Qt.MouseButton.LeftButton)
        assert not palette.isVisible()


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_it_lies_inside_the_smallest_window_at_any_size_of_text(qtbot: QtBot, window: MainWindow, scale: float) -> None:
    window.resize(1100, 700)
    theme().set_scale(scale)
    palette = opened(qtbot, window)
    area = palette.geometry()
    assert window.rect().contains(area)
    assert abs(area.center().x() - window.rect().center().x()) <= 1
    assert palette.list.viewport().height() >= 4 * theme().sizes.row
    assert palette.list.mapTo(palette, QPoint(0, palette.list.height())).y() <= palette.height()
    window.resize(1300, 800)
    assert window.rect().contains(palette.geometry())


def test_every_part_has_a_name(qtbot: QtBot, window: MainWindow) -> None:
    palette = opened(qtbot, window)
    for part in (palette, palette.field, palette.list):
        assert part.accessibleName()
    index = palette.model.index(0)
    assert index.data(Qt.ItemDataRole.AccessibleTextRole).startswith(palette.model.entries[0].title)


# Rows


def test_rows_of_every_kind_are_found_by_name_and_opened(
    qtbot: QtBot, trained: str, window: MainWindow, services: Services
) -> None:
    here = filled(services)
    ident = add_conversation(here, parsed(title="The practice of patience"))
    chat = chats.create(here.db, "practice", None, "")
    chats.update(here.db, chat.id, title="A practice chat")
    here.db.execute(
        "insert into training_files(id, name, status, version, created_at, updated_at)"
        " values('f', 'Practice file', 'active', 1, ?, ?)", [now(), now()]
    )  # fmt: skip
    here.db.execute("update personas set name = 'Practical Pat' where rowid = 1")
    here.db.execute("update datasets set name = 'Practice talks'")
    here.db.conn.commit()
    palette = opened(qtbot, window, "pract")
    for title in (
        "The practice of patience", "A practice chat", "Practice file", "Practical Pat", "Practice talks",
        "Practice run", "Practice model",
    ):  # fmt: skip
        shown(qtbot, palette, title)
    # Two pages find the run, and each answers in its own time.
    for page_title in ("Training", "Adapters"):
        found = ("Practice run", page_title)
        until(qtbot, lambda found=found: found in [(entry.title, entry.hint) for entry in palette.model.entries])
    place = palette.model.place(f"row:conversations:{ident}")
    palette._choose(place)
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    page: Any = window.current_page
    until(qtbot, lambda: page.table.current() is not None and page.table.current().id == ident)


def test_an_old_answer_does_not_show_below_a_newer_question(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    for title in ("Alpha one", "Beta two"):
        add_conversation(here, parsed((title, "b"), title=title))
    palette = opened(qtbot, window, "alpha")
    shown(qtbot, palette, "Alpha one")
    palette.field.setText("beta")
    shown(qtbot, palette, "Beta two")
    assert "Alpha one" not in titles(palette)
    palette.field.clear()
    settle(qtbot, window)
    assert "Beta two" not in titles(palette)


def test_what_was_chosen_by_arrow_stays_chosen_when_rows_come(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    add_conversation(here, parsed(title="The"))
    palette = opened(qtbot, window, "the")
    qtbot.keyClick(palette.field, Qt.Key.Key_Down)
    chosen = palette.current()
    shown(qtbot, palette, "The")
    assert palette.current() == chosen


def test_a_new_kind_of_row_is_one_field_of_its_page(qtbot: QtBot, services: Services) -> None:
    PAGES.register(
        PageSpec("demo", "Demo", "TOOLS", "ph.square", "tests.plugins.demo_page:DemoPage",
                 rows="tests.plugins.demo_page:find")
    )  # fmt: skip
    try:
        from app.logs import RingHandler

        window = MainWindow(services, RingHandler())
        qtbot.addWidget(window)
        window.show()
        palette = opened(qtbot, window, "inherited")
        shown(qtbot, palette, "Inherited a portfolio")
        qtbot.keyClick(palette.field, Qt.Key.Key_Return)
        assert window.current_name == "demo"
        page: Any = window.current_page
        assert page.opened == "7"
    finally:
        PAGES.unregister("demo")


def test_looking_up_names_is_limited_knows_the_trash_and_ranks(here: Place) -> None:
    for number in range(9):
        add_conversation(here, parsed((f"a{number}", "b"), title=f"On rent {number}"))
    first = add_conversation(here, parsed(("x", "y"), title="Rent first"))
    gone = add_conversation(here, parsed(("p", "q"), title="Rent gone"))
    here.db.execute("update conversations set deleted_at = ? where id = ?", [now(), gone])
    rows = by_name(here.db, "conversations", "title", "RENT", 4)
    assert [row["title"] for row in rows] == ["Rent first", "On rent 8", "On rent 7", "On rent 6"]
    assert rows[0]["id"] == first
    assert by_name(here.db, "conversations", "title", "  ", 4) == []
    assert by_name(here.db, "conversations", "title", "rent%", 4) == []


def test_nothing_is_asked_of_the_database_without_a_text(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    add_base(here.db, here.workspace.root / "base")
    palette = opened(qtbot, window)
    settle(qtbot, window)
    assert not [entry for entry in palette.model.entries if entry.key.startswith("row:")]
    assert QApplication.focusWidget() is palette.field
