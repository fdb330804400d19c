"""Words have room: every page, filled and empty, at both sizes, in the shipped font and in a wider one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtGui import QFontDatabase, QFontInfo
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from core.projects import chats
from tests.screens.fits import problems
from tests.support.pages import settle
from ui import fonts
from ui.models.rows import Column, RowModel, Status
from ui.registry import PAGES
from ui.theme import NATURAL, theme
from ui.widgets.basic import Button, label
from ui.widgets.chip import StatusPill
from ui.widgets.segments import Segments
from ui.widgets.table import TableView
from ui.window.main_window import MainWindow

WIDE = 115
SIZES = ((1440, 900), (1100, 700))


@pytest.fixture(params=[NATURAL, WIDE], ids=["shipped font", "15 % wider"])
def stretch(request: pytest.FixtureRequest, qapp: Any) -> Iterator[int]:
    theme().set_stretch(request.param)
    yield request.param
    theme().set_stretch(NATURAL)


def cut_on_every_page(qtbot: QtBot, window: MainWindow, arguments: dict[str, object]) -> list[str]:
    found = []
    for spec in PAGES.specs():
        window.services.navigator.open_page(spec.name, arguments.get(spec.name))
        for size in SIZES:
            window.resize(*size)
            settle(qtbot, window)
            found += [f"{spec.name} at {size[0]}: {text}" for text in problems(window)]
    return found


def arguments(window: MainWindow, run_id: str) -> dict[str, object]:
    return {"training": run_id, "chat": chats.listing(window.services.connections.db)[0].id}


@pytest.mark.slow
def test_nothing_is_cut_on_a_filled_page(qtbot: QtBot, stretch: int, everything: str, window: MainWindow) -> None:
    assert cut_on_every_page(qtbot, window, arguments(window, everything)) == []


def test_nothing_is_cut_on_an_empty_page(qtbot: QtBot, stretch: int, window: MainWindow) -> None:
    assert cut_on_every_page(qtbot, window, {}) == []


@pytest.mark.slow
def test_at_twice_the_size_pages_may_scroll_and_words_are_whole(
    qtbot: QtBot, everything: str, window: MainWindow
) -> None:
    theme().set_scale(2.0)
    found = cut_on_every_page(qtbot, window, arguments(window, everything))
    assert [text for text in found if " wide, its place " not in text] == []


# The checker finds what once was cut


def shown(qtbot: QtBot, widget: QWidget, width: int) -> QWidget:
    holder = QWidget()
    widget.setParent(holder)
    qtbot.addWidget(holder)
    holder.resize(width + 200, 200)
    widget.setFixedWidth(width)
    holder.show()
    return holder


def test_a_pill_that_is_too_narrow_is_found(qtbot: QtBot) -> None:
    pill = StatusPill(Status("warn", "Needs review"))
    holder = shown(qtbot, pill, pill.sizeHint().width())
    assert problems(holder) == []
    pill.setFixedWidth(pill.sizeHint().width() - 8)
    assert "Needs review" in problems(holder)[0]


def test_a_button_is_found_when_its_letters_grow_by_being_checked(qtbot: QtBot) -> None:
    button = Button("Turns of the conversation", "chip")
    holder = shown(qtbot, button, button.sizeHint().width())
    button.setCheckable(True)
    assert problems(holder) == []
    button.setChecked(True)
    assert "Turns" in problems(holder)[0]
    button.setFixedWidth(button.sizeHint().width())
    assert problems(holder) == []


def test_a_label_that_sticks_out_is_found(qtbot: QtBot) -> None:
    name = label("A name that is long")
    holder = shown(qtbot, name, name.sizeHint().width())
    assert problems(holder) == []
    name.move(holder.width() - 20, 0)
    assert "sticks out" in problems(holder)[0]


def test_a_title_and_a_pill_in_a_table_that_are_cut_are_found(qtbot: QtBot) -> None:
    columns = (
        Column("id", "A title of many words", "9"),
        Column("state", "S", "9", formatter=lambda v: v),
        Column("x", ""),
    )
    model = RowModel(columns)
    table = TableView(model, "rows", "Rows")
    holder = shown(qtbot, table, 600)
    model.set_rows([{"id": "1", "state": Status("warn", "Needs review"), "x": ""}])
    assert [text for text in problems(holder) if "title" in text] == []
    assert [text for text in problems(holder) if "Needs review" in text]
    table.horizontalHeader().blockSignals(True)
    table.setColumnWidth(0, 40)
    table.horizontalHeader().blockSignals(False)
    assert [text for text in problems(holder) if "A title of many words" in text]


def test_a_column_has_room_for_its_widest_pill_and_never_less_than_its_title(qtbot: QtBot) -> None:
    columns = (
        Column("id", "A title of many words", "9"),
        Column("s", "S", (Status("ok", "Yes"), Status("ok", "Perhaps"))),
    )
    table = TableView(RowModel(columns), "rows", "Rows")
    holder = shown(qtbot, table, 600)
    before = table.columnWidth(0)
    assert table.columnWidth(1) > StatusPill(Status("ok", "Perhaps")).sizeHint().width()
    table.setColumnWidth(0, 40)
    assert table.columnWidth(0) == before
    assert problems(holder) == []


def test_segments_leave_room_for_whichever_is_chosen(qtbot: QtBot) -> None:
    segments = Segments({"turns": "Turns", "report": "Report"}, "What is shown")
    holder = shown(qtbot, segments, segments.sizeHint().width())
    for key in ("turns", "report"):
        segments.set_current(key)
        assert problems(holder) == []


# The fonts themselves


def test_the_application_is_drawn_in_the_shipped_font(qtbot: QtBot) -> None:
    assert QFontInfo(theme().font()).family() == "Inter"
    assert {"Regular", "SemiBold", "Bold"} <= set(QFontDatabase.styles("Inter"))


def test_figures_of_a_table_are_of_one_width(qtbot: QtBot) -> None:
    from PySide6.QtGui import QFontMetricsF

    tabular, plain = QFontMetricsF(theme().font(tabular=True)), QFontMetricsF(theme().font())
    assert tabular.horizontalAdvance("1111") == tabular.horizontalAdvance("0000")
    assert plain.horizontalAdvance("1111") != plain.horizontalAdvance("0000")


def test_code_is_drawn_in_a_font_of_one_width(qtbot: QtBot) -> None:
    from PySide6.QtGui import QFontMetricsF

    metrics = QFontMetricsF(theme().mono())
    assert metrics.horizontalAdvance("i") == metrics.horizontalAdvance("M")


def test_a_font_that_is_missing_is_said_in_the_log(
    qtbot: QtBot, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert fonts.load(("None.ttf",), tmp_path) == ""
    assert "None.ttf can't be read" in caplog.text
