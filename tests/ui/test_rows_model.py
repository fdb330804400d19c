"""The row model differs, keeps selection and scroll, and pages; the table speaks by keyboard."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from PySide6.QtCore import QItemSelectionModel, QModelIndex, QPoint, Qt
from PySide6.QtGui import QHelpEvent
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QToolTip
from pytestqt.qtbot import QtBot

from app.services import Services
from app.window_state import WindowState
from tests.plugins.demo_page import COLUMNS, Line, lines
from tests.support.patience import PATIENCE_S
from ui.models import paged
from ui.models.paged import PagedRows, Query
from ui.models.rows import KIND_ROLE, ROW_ROLE, RowModel, Status
from ui.widgets.table import TableView

Show = Callable[[RowModel], TableView]


@pytest.fixture
def model(qtbot: QtBot) -> RowModel:
    made = RowModel(COLUMNS)
    made.tester = QAbstractItemModelTester(made, QAbstractItemModelTester.FailureReportingMode.Fatal)  # type: ignore[attr-defined]
    return made


@pytest.fixture
def show(qtbot: QtBot) -> Show:
    def build(model: RowModel) -> TableView:
        table = TableView(model, "table", "Rows")
        qtbot.addWidget(table)
        table.resize(700, 300)
        table.show()
        with qtbot.waitActive(table):
            table.activateWindow()
        return table

    return build


def ids(model: RowModel) -> list[str]:
    return [row.id for row in model.rows]


def test_random_changes_end_where_they_should_without_a_reset(qtbot: QtBot, model: RowModel) -> None:
    chance, all_lines, resets = random.Random(7), lines(40), []
    model.modelReset.connect(lambda: resets.append(1))
    for _ in range(200):
        wanted = chance.sample(all_lines, chance.randint(0, 40))
        wanted = [Line(**{**vars(row), "tokens": chance.randint(0, 3)}) for row in wanted]
        model.set_rows(wanted)
        assert list(model.rows) == wanted
        for place, row in enumerate(wanted):
            assert model.index(place, 1).data() == str(row.tokens)
    assert resets == []


def test_selection_and_current_survive_a_refresh(qtbot: QtBot, model: RowModel, show: Show) -> None:
    rows = lines(200)
    model.set_rows(rows)
    table = show(model)
    flags = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
    table.select_id("50")
    table.selectionModel().select(model.index(60, 0), flags)
    table.verticalScrollBar().setValue(900)
    model.set_rows([row for row in reversed(rows) if row.id != "70"])
    assert {row.id for row in table.selected()} == {"50", "60"}
    assert table.current().id == "50"
    assert table.verticalScrollBar().value() == 900
    model.set_rows([row for row in rows if row.id != "50"])
    assert {row.id for row in table.selected()} >= {"60"}


def test_only_what_differs_is_repainted(qtbot: QtBot, model: RowModel) -> None:
    rows = lines(10)
    model.set_rows(rows)
    seen: list[tuple[int, int]] = []
    model.dataChanged.connect(lambda first, last: seen.append((first.row(), last.row())))
    model.set_rows(list(rows))
    assert seen == []
    changed = [Line(**{**vars(r), "tokens": 1}) if r.id in {"2", "3", "7"} else r for r in rows]
    model.set_rows(changed)
    assert seen == [(2, 3), (7, 7)]


def test_cells_say_what_they_are(qtbot: QtBot, model: RowModel) -> None:
    model.set_rows(lines(5))
    assert model.index(0, 1).data() == "3,000"
    assert model.index(4, 2).data() == "–"
    assert model.index(1, 4).data() == "Needs review"
    assert model.index(1, 4).data(KIND_ROLE) == "warn"
    assert model.index(1, 4).data(Qt.ItemDataRole.AccessibleTextRole) == "State: Needs review"
    assert model.index(1, 0).data(ROW_ROLE).id == "1"
    assert model.headerData(1, Qt.Orientation.Horizontal) == "Tokens"
    right = model.index(0, 1).data(Qt.ItemDataRole.TextAlignmentRole)
    assert right & Qt.AlignmentFlag.AlignRight


def test_more_rows_are_asked_for_once(qtbot: QtBot) -> None:
    model = RowModel(COLUMNS)
    asked: list[int] = []
    model.more_wanted.connect(asked.append)
    model.set_rows(lines(10), more=True)
    assert model.canFetchMore(QModelIndex())
    model.fetchMore(QModelIndex())
    model.fetchMore(QModelIndex())
    assert asked == [10]
    model.append_rows(lines(15)[5:], more=False)
    assert ids(model) == [str(i) for i in range(15)]
    assert not model.canFetchMore(QModelIndex())


def test_paged_rows_come_from_sql_in_order(qtbot: QtBot, services: Services) -> None:
    # Without the tester, which fetches more by itself.
    model = RowModel(COLUMNS, services.root)
    everything = lines(500)
    asked: list[Query] = []

    def fetch(_db: object, query: Query) -> list[Line]:
        asked.append(query)
        ordered = sorted(everything, key=lambda r: r.tokens, reverse=query.descending)
        return ordered[query.offset : query.offset + query.limit]

    rows = PagedRows(services, model, fetch, services.root, count=lambda _db: len(everything), page_size=50)
    with qtbot.waitSignal(rows.loaded) as heard:
        rows.reload()
    assert heard.args == [500]
    assert ids(model) == [str(i) for i in range(50)]
    with qtbot.waitSignal(rows.loaded):
        model.fetchMore(QModelIndex())
    assert len(model.rows) == 100
    with qtbot.waitSignal(rows.loaded):
        rows.set_order("tokens", True)
    assert ids(model) == [str(i) for i in range(499, 399, -1)]
    assert asked[-1].limit == 101


def test_scrolling_while_rows_are_read_again_does_not_keep_the_old_ones(qtbot: QtBot, services: Services) -> None:
    model = RowModel(COLUMNS, services.root)
    everything, held = lines(30), threading.Event()

    def fetch(_db: object, query: Query) -> list[Line]:
        assert held.wait(PATIENCE_S)
        return everything[query.offset : query.offset + query.limit]

    made = PagedRows(services, model, fetch, services.root, page_size=10)
    held.set()
    with qtbot.waitSignal(made.loaded):
        made.reload()
    held.clear()
    everything[:0] = [replace(everything[0], id="new")]
    made.reload()
    model.fetchMore(QModelIndex())
    held.set()
    qtbot.waitUntil(lambda: ids(model)[0] == "new")
    assert model.canFetchMore(QModelIndex())
    model.fetchMore(QModelIndex())
    qtbot.waitUntil(lambda: len(model.rows) == 20)
    assert ids(model) == [row.id for row in everything[:20]]


def test_rows_from_above_never_make_another_row_current(
    qtbot: QtBot, services: Services, show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paged, "MOST_KEPT", 20)
    model = RowModel(COLUMNS, services.root)
    everything = lines(30)
    table = show(model)
    made = PagedRows(
        services, model, lambda _db, query: everything[query.offset : query.offset + query.limit], services.root,
        keep=table, page_size=10,
    )  # fmt: skip

    def place_after(change: list[Line]) -> int:
        everything[:] = change
        with qtbot.waitSignal(made.loaded):
            made.reload()
        return table.place()

    assert place_after(everything) == -1
    table.select_id("3")
    chosen: list[str | None] = []
    table.current_changed.connect(lambda row: chosen.append(row and row.id))
    fresh = [replace(row, id=f"new {row.id}") for row in lines(30)]
    assert place_after([*fresh[:9], *lines(30)]) == 12
    assert place_after([*fresh, *lines(30)]) == -1
    assert (chosen, table.selected()) == ([None], [])
    table.select_id("new 4")
    assert place_after([row for row in everything if row.id != "new 4"]) in (3, 4)


def test_keys_open_preview_and_step(qtbot: QtBot, model: RowModel, show: Show) -> None:
    model.set_rows(lines(5))
    table = show(model)
    table.review_keys = True
    opened, previewed = [], []
    table.opened.connect(lambda row: opened.append(row.id))
    table.previewed.connect(lambda row: previewed.append(row.id))
    table.select_id("0")
    qtbot.keyClick(table, Qt.Key.Key_J)
    qtbot.keyClick(table, Qt.Key.Key_J)
    qtbot.keyClick(table, Qt.Key.Key_K)
    qtbot.keyClick(table, Qt.Key.Key_Space)
    qtbot.keyClick(table, Qt.Key.Key_Return)
    assert previewed == ["1"]
    assert opened == ["1"]


def test_the_header_asks_for_an_order_and_turns_it(qtbot: QtBot, model: RowModel, show: Show) -> None:
    model.set_rows(lines(5))
    table = show(model)
    asked: list[tuple[str, bool]] = []
    table.sort_requested.connect(lambda key, down: asked.append((key, down)))
    header = table.horizontalHeader()

    def click(section: int) -> None:
        middle = header.sectionViewportPosition(section) + header.sectionSize(section) // 2
        qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(middle, 10))

    for section in (1, 1, 0, 3):
        click(section)
    assert asked == [("tokens", False), ("tokens", True), ("title", False)]


def test_rows_are_28_px_and_elided_text_has_a_tooltip(qtbot: QtBot, model: RowModel, show: Show) -> None:
    long = Line("x", "A title that has no room here whatever one does " * 2, 1, 1.0, Status("ok", "Approved"))
    model.set_rows([long, *lines(3)])
    table = show(model)
    assert table.rowHeight(0) == 28
    for row, expected in ((1, ""), (0, long.title)):
        place = table.visualRect(model.index(row, 0)).center()
        event = QHelpEvent(QHelpEvent.Type.ToolTip, place, table.viewport().mapToGlobal(place))
        table.viewportEvent(event)
        assert QToolTip.text() == expected
    QToolTip.hideText()


def test_widths_are_remembered(qtbot: QtBot, model: RowModel, show: Show, tmp_path: object) -> None:
    from pathlib import Path

    state = WindowState(Path(f"{tmp_path}/s.ini"))
    table = show(model)
    table.remember(state)
    table.setColumnWidth(1, 133)
    other = TableView(RowModel(COLUMNS), "table", "Rows")
    qtbot.addWidget(other)
    other.remember(state)
    assert other.columnWidth(1) == 133


def test_painting_a_large_model_asks_for_one_screen(qtbot: QtBot, model: RowModel, show: Show) -> None:
    model.set_rows(lines(20_000))
    table = show(model)
    table.grab()
    assert sum(cells is not None for cells in model._cells) < 200
