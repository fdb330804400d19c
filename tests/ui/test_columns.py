"""Columns that the user chooses: what is kept, what a narrow window folds, the order of lists held whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication, QMenu
from pytestqt.qtbot import QtBot

from app.services import Services
from app.window_state import WindowState
from core import trash
from tests.core.factories import Place, add_conversation, parsed
from tests.support.pages import click, filled, open_page, settle, until
from tests.support.painted import Painted
from tests.support.studio import add_dataset, dataset_file
from ui.models.local import LocalRows
from ui.models.rows import Column, RowModel, Status
from ui.pages.conversations.page import ConversationsPage
from ui.theme import theme
from ui.widgets.fit_columns import FitColumns
from ui.widgets.table import TableView
from ui.window.main_window import MainWindow

READY = Status("ok", "Ready")


@dataclass(frozen=True)
class Line:
    id: str
    name: str
    size: int | None = 1
    state: Status = READY


COLUMNS = (
    Column("name", "Name", sort="name"),
    Column("size", "Size", "1,000,000", "right", sort="size", formatter=lambda v: "–" if v is None else f"{v:,}"),
    Column("age", "Age", "1,000,000", value=lambda _line: 1),
    Column("place", "Place", "1,000,000", value=lambda _line: "here"),
    Column("state", "State", "A longer state", formatter=lambda v: v, sort="state"),
)
FOLDS = ("age", "size", "place")
Make = Callable[..., TableView]


@pytest.fixture
def state(tmp_path: Path) -> WindowState:
    return WindowState(tmp_path / "state.ini")


@pytest.fixture
def make(qtbot: QtBot, state: WindowState) -> Make:
    def build(width: int = 900, folds: tuple[str, ...] = FOLDS) -> TableView:
        table = TableView(RowModel(COLUMNS), "lines", "Lines")
        qtbot.addWidget(table)
        FitColumns(table, folds)
        table.remember(state)
        table.rows.set_rows([Line("a", "Anna"), Line("b", "Bert")])
        table.resize(width, 300)
        table.show()
        return table

    return build


def test_the_end_of_a_row_is_painted_with_it_when_it_is_chosen(qtbot: QtBot, make: Make) -> None:
    table = make()
    qtbot.waitExposed(table)
    viewport = table.viewport()
    watch = Painted(viewport)
    painted = watch.regions
    ends = [QPoint(viewport.width() - 2, table.rowViewportPosition(row) + 5) for row in (0, 1)]
    assert ends[0].x() > table.horizontalHeader().length()
    table.selectRow(0)
    qtbot.waitUntil(lambda: any(region.contains(ends[0]) for region in painted))
    painted.clear()
    table.selectRow(1)
    qtbot.waitUntil(lambda: all(any(region.contains(end) for region in painted) for end in ends))


def menu_of(table: TableView) -> QMenu:
    found = [m for m in table.findChildren(QMenu, "columns_menu") if m.isVisible()]
    assert len(found) == 1
    return found[0]


def close_menu(menu: QMenu) -> None:
    menu.close()
    QApplication.processEvents()


# The choice


def test_a_hidden_column_stays_hidden_in_another_session(make: Make) -> None:
    table = make()
    table.columns.toggle("size")
    assert table.columns.shown() == ["name", "age", "place", "state"]
    other = make()
    assert other.columns.shown() == ["name", "age", "place", "state"]
    other.columns.reset()
    assert make().columns.shown() == ["name", "size", "age", "place", "state"]


def test_order_and_widths_are_kept_by_name(make: Make, state: WindowState) -> None:
    table = make()
    header = table.horizontalHeader()
    as_declared = table.columnWidth(1)
    header.moveSection(4, 0)
    table.setColumnWidth(1, 133)
    other = make()
    assert other.columns.shown() == ["state", "name", "size", "age", "place"]
    assert other.columnWidth(1) == 133
    # A column that came with a newer version, and one that is gone.
    kept = state.text("columns/lines").replace('"age"', '"gone"')
    state.put_text("columns/lines", kept)
    assert make().columns.shown()[:3] == ["state", "name", "size"]
    other.columns.reset()
    assert other.columns.shown() == ["name", "size", "age", "place", "state"]
    assert other.columnWidth(1) == as_declared


def test_a_width_of_the_users_outlasts_theme_and_text_size(make: Make) -> None:
    table = make(1800)
    table.setColumnWidth(1, 120)
    theme().set_mode("dark")
    assert table.columnWidth(1) == 120
    theme().set_scale(2.0)
    assert table.columnWidth(1) == 240
    theme().set_scale(1.0)
    assert table.columnWidth(1) == 120


@pytest.mark.parametrize("rubbish", ["{", "[1]", '{"widths": {"size": "x"}}', '{"hidden": 3}'])
def test_a_broken_choice_is_no_choice(make: Make, state: WindowState, rubbish: str) -> None:
    state.put_text("columns/lines", rubbish)
    assert make().columns.shown() == ["name", "size", "age", "place", "state"]


def test_widths_of_an_older_version_are_taken_over(qtbot: QtBot, make: Make, state: WindowState) -> None:
    old = TableView(RowModel(COLUMNS), "lines", "Lines")
    qtbot.addWidget(old)
    old.setColumnWidth(1, 111)
    old.setColumnHidden(2, True)
    state.put_bytes("table/lines", old.horizontalHeader().saveState())
    table = make()
    assert table.columnWidth(1) == 111
    assert "age" in table.columns.shown()


def test_one_column_always_stays(make: Make) -> None:
    table = make()
    for key in ("name", "size", "age", "place", "state"):
        table.columns.toggle(key)
    assert table.columns.shown() == ["state"]
    table.columns.open_menu()
    menu = menu_of(table)
    assert [a.objectName() for a in menu.actions() if a.isCheckable() and not a.isEnabled()] == ["column_state"]
    close_menu(menu)


# A narrow window


def test_what_the_user_asked_for_is_folded_last_and_what_he_hid_stays_hidden(make: Make) -> None:
    table = make(440)
    assert table.columns.shown() == ["name", "place", "state"]
    table.columns.toggle("age")
    assert table.columns.shown() == ["name", "age", "state"]
    table.columns.toggle("age")
    table.resize(900, 300)
    assert table.columns.shown() == ["name", "size", "place", "state"]
    table.resize(440, 300)
    assert table.columns.shown() == ["name", "place", "state"]


def test_the_menu_says_what_has_no_room(qtbot: QtBot, make: Make) -> None:
    table = make(440)
    table.columns.open_menu()
    menu = menu_of(table)
    words = {a.objectName(): (a.text(), a.isChecked()) for a in menu.actions() if a.isCheckable()}
    assert words["column_age"] == ("Age (no room)", False)
    assert words["column_place"] == ("Place", True)
    qtbot.keyClick(menu, Qt.Key.Key_Down)
    qtbot.keyClick(menu, Qt.Key.Key_Down)
    qtbot.keyClick(menu, Qt.Key.Key_Return)
    assert "age" in table.columns.shown()


def test_the_button_has_its_own_place_in_the_header(qtbot: QtBot, make: Make) -> None:
    table = make()
    button = table.columns.button
    assert button is not None
    header = table.horizontalHeader()
    assert header.length() + button.width() <= header.width()
    assert button.accessibleName() == "Choose columns"
    assert button.focusPolicy() & Qt.FocusPolicy.TabFocus
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    close_menu(menu_of(table))
    header.customContextMenuRequested.emit(QPoint(5, 5))
    close_menu(menu_of(table))


def test_the_command_opens_the_chooser_of_the_table_in_front(
    qtbot: QtBot, window: MainWindow, services: Services
) -> None:
    filled(services)
    assert window.commands.why_not("columns") == "No table on this page"
    window.open_page("scaffolding")
    page: Any = window.current_page
    until(qtbot, lambda: page.shown_state == "content")
    assert window.commands.why_not("columns") == ""
    window.actions_["columns"].trigger()
    menu = menu_of(page.tables["persona"].table)
    qtbot.keyClick(menu, Qt.Key.Key_Down)
    qtbot.keyClick(menu, Qt.Key.Key_Return)
    assert "title" not in page.tables["persona"].table.columns.shown()


# Lists held whole


@pytest.mark.parametrize(
    ("sort", "descending", "expected"),
    [
        ("name", False, "acb"), ("name", True, "bca"), ("size", False, "bac"), ("size", True, "abc"),
        ("state", False, "bac"), ("nothing", False, "abc"),
    ],
)  # fmt: skip
def test_a_list_held_whole_is_ordered_by_any_column(sort: str, descending: bool, expected: str) -> None:
    model = RowModel(COLUMNS)
    rows = LocalRows(model, model)
    rows.set_order(sort, descending)
    rows.show(
        [
            Line("a", "anna", 20), Line("b", "Émile", 3, Status("bad", "Failed")),
            Line("c", "Bert", None, Status("ok", "Zero")),
        ]
    )  # fmt: skip
    assert "".join(row.id for row in model.rows) == expected


# Every list: order by header, Delete with Undo for several, selection kept


@pytest.fixture
def here(services: Services) -> Place:
    return filled(services)


def table_of(page: Any, name: str) -> TableView:
    found: TableView = page.findChild(TableView, name)
    return found


def test_every_list_of_a_page_is_ordered_by_its_headers_and_can_choose(window: MainWindow) -> None:
    names = []
    for spec in ("conversations", "training_files", "datasets", "training", "adapters", "scaffolding"):
        page = window.page(spec)
        assert page is not None
        for table in page.findChildren(TableView):
            if not table.columns.offered:
                continue
            names.append(table.objectName())
            assert all(column.sort for column in table.rows.columns), table.objectName()
            assert table.accessibleName()
    assert len(names) == len(set(names)) == 10


def test_several_datasets_are_deleted_by_the_bar_and_come_back(
    qtbot: QtBot, window: MainWindow, services: Services, tmp_path: Path
) -> None:
    here = filled(services)
    for name in ("one", "two"):
        add_dataset(here.db, here.workspace, dataset_file(tmp_path, name, limit=3, broken=False))
    window.open_page("datasets")
    page: Any = window.current_page
    until(qtbot, lambda: page.model.rowCount() == 2)
    assert not page.bulk.isVisible()
    page.table.selectAll()
    click(qtbot, page, "bulk_delete")
    until(qtbot, lambda: len(trash.listing(here.db)) == 2)
    until(qtbot, lambda: services.notifier.last_undo is not None)
    window.actions_["undo"].trigger()
    until(qtbot, lambda: page.model.rowCount() == 2)


def test_several_entries_of_the_library_are_deleted_by_the_bar(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    window.open_page("scaffolding")
    page: Any = window.current_page
    until(qtbot, lambda: page.shown_state == "content")
    part = page.tables["persona"]
    count = part.model.rowCount()
    part.table.selectAll()
    click(qtbot, part, "bulk_delete")
    until(qtbot, lambda: part.model.rowCount() == 0)
    window.actions_["undo"].trigger()
    until(qtbot, lambda: part.model.rowCount() == count)


def test_an_order_that_no_column_shows_has_no_arrow(qtbot: QtBot, window: MainWindow) -> None:
    window.open_page("datasets")
    page: Any = window.current_page
    assert not page.table.horizontalHeader().isSortIndicatorShown()


def test_selection_and_scroll_stay_when_the_list_is_read_again(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    for number in range(60):
        add_conversation(here, parsed((f"{number}", "b"), title=f"Talk {number}"))
    page = open_page(qtbot, window, ConversationsPage)
    until(qtbot, lambda: page.model.rowCount() == 60)
    page.table.select_id(page.model.rows[40].id)
    page.table.verticalScrollBar().setValue(300)
    chosen = page.table.current()
    page.reload()
    settle(qtbot, window)
    assert page.table.current() == chosen
    assert page.table.verticalScrollBar().value() == 300


def test_space_goes_into_the_detail_and_esc_comes_back(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    here.db.execute(
        "insert into training_files(id, name, status, version, created_at, updated_at)"
        " values('f', 'File', 'active', 1, '2026-01-01', '2026-01-01')"
    )
    here.db.conn.commit()
    window.open_page("training_files")
    page: Any = window.current_page
    until(qtbot, lambda: page.inspector.isVisible() and page.inspector.detail is not None)
    page.table.setFocus()
    qtbot.keyClick(page.table, Qt.Key.Key_Space)
    focus = QApplication.focusWidget()
    assert focus is not None
    assert page.inspector.isAncestorOf(focus)
    window.actions_["back"].trigger()
    assert page.table.hasFocus()
