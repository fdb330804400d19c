"""The beats of an arc: the curve by mouse and keys, the list by drag, the fields, and what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QPlainTextEdit, QPushButton
from pytestqt.qtbot import QtBot

from app.services import Services
from core.scaffolding import store
from core.scaffolding.store import EmotionalArc
from tests.core.factories import Place
from tests.support.pages import click, dialog, filled, find, take_back, until
from ui.dialogs.base import ConfirmDialog
from ui.pages.scaffolding.beats_dialog import BeatsDialog
from ui.pages.scaffolding.beats_field import BeatsField
from ui.pages.scaffolding.page import ScaffoldingPage
from ui.window.main_window import MainWindow

KEY = "confusion_to_clarity"
ALT = Qt.KeyboardModifier.AltModifier


@pytest.fixture
def here(services: Services) -> Place:
    return filled(services)


@pytest.fixture
def page(qtbot: QtBot, window: MainWindow, here: Place) -> ScaffoldingPage:
    window.open_page("scaffolding")
    found = window.current_page
    assert isinstance(found, ScaffoldingPage)
    until(qtbot, lambda: found.library is not None)
    return found


def opened(qtbot: QtBot, qapp: Any, page: ScaffoldingPage, key: str = KEY) -> BeatsDialog:
    page.open_item({"kind": "arc", "key": key})
    until(qtbot, lambda: page.forms["arc"].entry.key == key)
    click(qtbot, page.forms["arc"], "edit_beats")
    shown = dialog(qapp, "beats_dialog")
    assert isinstance(shown, BeatsDialog)
    qtbot.waitExposed(shown)
    return shown


@pytest.fixture
def shown(qtbot: QtBot, qapp: Any, page: ScaffoldingPage) -> Iterator[BeatsDialog]:
    made = opened(qtbot, qapp, page)
    gone: list[int] = []
    made.finished.connect(gone.append)
    yield made
    if not gone:
        made.leave()


def arc(here: Place, key: str = KEY) -> EmotionalArc:
    return store.require_key(here.db, EmotionalArc, key)


def emotions(shown: BeatsDialog) -> list[str]:
    return [str(beat["emotion"]) for beat in shown.edit.beats]


def drag(widget: Any, start: QPointF, end: QPointF) -> None:
    """Press, move in steps, release, as a hand does."""
    QTest.mousePress(widget, Qt.MouseButton.LeftButton, pos=start.toPoint())
    for step in range(1, 6):
        QTest.mouseMove(widget, (start + (end - start) * step / 5).toPoint())
    QTest.mouseRelease(widget, Qt.MouseButton.LeftButton, pos=end.toPoint())


def test_a_point_is_dragged_up_and_down(shown: BeatsDialog) -> None:
    curve = shown.curve
    start, area = curve.point(2), curve.area()
    drag(curve, start, QPointF(start.x() + 30, area.bottom() - 0.25 * area.height()))
    assert shown.edit.at == 2
    assert float(shown.edit.beats[2]["intensity"]) == pytest.approx(0.25, abs=0.02)
    assert [beat["intensity"] for place, beat in enumerate(shown.edit.beats) if place != 2] == [0.8, 0.6, 0.8]
    assert shown.form.values()["intensity"] == shown.edit.beats[2]["intensity"]
    assert f"{shown.edit.beats[2]['intensity']:.2f}" in shown.list.item(2).text()
    # Beyond the edges it stays within 0 and 1; the pointer that moves on without a button changes nothing.
    drag(curve, curve.point(2), QPointF(start.x(), curve.height() + 300))
    assert shown.edit.beats[2]["intensity"] == 0
    drag(curve, curve.point(0), QPointF(start.x(), -300))
    assert shown.edit.beats[0]["intensity"] == 1
    before = shown.edit.beats
    QTest.mouseMove(curve, QPoint(30, 60))
    assert shown.edit.beats == before
    # A whole drag is one step back.
    for _ in range(3):
        click_undo(shown)
    assert not shown.edit.changed
    assert not shown.undo.isEnabled()


def click_undo(shown: BeatsDialog) -> None:
    QTest.mouseClick(shown.undo, Qt.MouseButton.LeftButton)


def test_a_press_beside_the_points_chooses_and_does_not_change(shown: BeatsDialog) -> None:
    curve = shown.curve
    spot = QPointF(curve.point(1).x(), curve.area().bottom())
    drag(curve, spot, spot - QPointF(0, 40))
    assert shown.edit.at == 1
    assert not shown.edit.changed
    assert shown.list.currentRow() == 1
    assert find(shown, QLineEdit, "field_emotion").text() == "curiosity"


def test_the_curve_is_edited_with_the_keyboard(qtbot: QtBot, shown: BeatsDialog) -> None:
    curve = shown.curve
    until(qtbot, curve.hasFocus)
    QTest.keyClick(curve, Qt.Key.Key_Right)
    QTest.keyClick(curve, Qt.Key.Key_Up)
    QTest.keyClick(curve, Qt.Key.Key_Up)
    QTest.keyClick(curve, Qt.Key.Key_Down)
    assert shown.edit.beats[1]["intensity"] == 0.65
    assert curve.accessibleDescription() == "Beat 2 of 4: Curiosity, intensity 0.65"
    QTest.keyClick(curve, Qt.Key.Key_Right, ALT)
    assert emotions(shown) == ["confusion", "doubt", "curiosity", "clarity"]
    assert shown.edit.at == 2
    QTest.keyClick(curve, Qt.Key.Key_Left, ALT)
    QTest.keyClick(curve, Qt.Key.Key_End)
    assert shown.edit.at == 3
    QTest.keyClick(curve, Qt.Key.Key_Delete)
    assert emotions(shown) == ["confusion", "curiosity", "doubt"]
    QTest.keyClick(curve, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert emotions(shown) == ["confusion", "curiosity", "doubt", "clarity"]
    for _ in range(12):
        QTest.keyClick(curve, Qt.Key.Key_Up)
    assert shown.edit.beats[3]["intensity"] == 1


def test_a_row_of_the_list_is_dragged(shown: BeatsDialog) -> None:
    rows = shown.list
    start, end = (QPointF(rows.visualItemRect(rows.item(place)).center()) for place in (0, 2))
    drag(rows.viewport(), start, end)
    assert emotions(shown) == ["curiosity", "doubt", "confusion", "clarity"]
    assert [rows.item(place).text()[:2] for place in range(4)] == ["1.", "2.", "3.", "4."]
    assert rows.currentRow() == shown.edit.at == 2
    assert find(shown, QLineEdit, "field_emotion").text() == "confusion"
    drag(rows.viewport(), end, start - QPointF(0, 300))
    assert emotions(shown) == ["confusion", "curiosity", "doubt", "clarity"]
    drag(rows.viewport(), start, QPointF(start.x(), rows.height() + 300))
    assert emotions(shown) == ["curiosity", "doubt", "clarity", "confusion"]
    for _ in range(3):
        click_undo(shown)
    assert not shown.edit.changed
    # Beside the rows there is nothing to drag; a press that trembles chooses.
    drag(rows.viewport(), QPointF(start.x(), rows.viewport().height() - 4), start)
    assert not shown.edit.changed
    drag(rows.viewport(), start, start + QPointF(0, 3))
    assert shown.edit.at == 0
    assert not shown.undo.isEnabled()


def test_rows_are_moved_with_the_keyboard(shown: BeatsDialog) -> None:
    rows = shown.list
    rows.setFocus()
    QTest.keyClick(rows, Qt.Key.Key_Down)
    for _ in range(2):
        QTest.keyClick(rows, Qt.Key.Key_Down, ALT)
    assert emotions(shown) == ["confusion", "doubt", "clarity", "curiosity"]
    QTest.keyClick(rows, Qt.Key.Key_Down, ALT)
    QTest.keyClick(rows, Qt.Key.Key_Up, ALT)
    assert emotions(shown) == ["confusion", "doubt", "curiosity", "clarity"]
    QTest.keyClick(rows, Qt.Key.Key_Delete)
    assert emotions(shown) == ["confusion", "doubt", "clarity"]


def test_what_is_edited_is_stored_and_shown_again(
    qtbot: QtBot, qapp: Any, window: MainWindow, page: ScaffoldingPage, here: Place, shown: BeatsDialog
) -> None:
    before = arc(here)
    form = page.forms["arc"]
    find(form, QLineEdit, "field_end_emotion").setText("trust")
    QTest.keyClick(shown.curve, Qt.Key.Key_Down)
    click(qtbot, shown, "add_beat")
    until(qtbot, find(shown, QLineEdit, "field_emotion").hasFocus)
    QTest.keyClicks(find(shown, QLineEdit, "field_emotion"), "relief ")
    shown.form.field("intensity").set_value(0.35)
    find(shown, QPlainTextEdit, "field_goal").setPlainText("Breathe")
    find(shown, QPlainTextEdit, "field_guidance").setPlainText("Wait.")
    click(qtbot, shown, "duplicate_beat")
    click(qtbot, shown, "remove_beat")
    click(qtbot, shown, "save_beats")
    until(qtbot, lambda: len(arc(here).beats) == 5)
    added = {"emotion": "relief", "intensity": 0.35, "goal": "Breathe", "guidance": "Wait."}
    assert arc(here).beats == ({**before.beats[0], "intensity": 0.75}, added, *before.beats[1:])
    # Only the beats: the rest of the form waits for its own Save.
    assert arc(here).end_emotion == before.end_emotion
    until(qtbot, lambda: len(find(form, BeatsField, "field_beats").value()) == 5)
    assert find(form, QLineEdit, "field_end_emotion").text() == "trust"
    assert form.dirty
    until(qtbot, lambda: not any(w.objectName() == "beats_dialog" and w.isVisible() for w in qapp.topLevelWidgets()))
    again = opened(qtbot, qapp, page)
    assert again.edit.beats == arc(here).beats
    assert not again.typed
    again.reject()
    take_back(qtbot, window)
    until(qtbot, lambda: arc(here).beats == before.beats)


def test_a_beat_without_an_emotion_is_found_and_named(qtbot: QtBot, shown: BeatsDialog, here: Place) -> None:
    before = arc(here).beats
    click(qtbot, shown, "add_beat")
    assert not complaints(shown)
    shown.list.setCurrentRow(3)
    QTest.keyClick(shown.curve, Qt.Key.Key_Up)
    click(qtbot, shown, "save_beats")
    assert complaints(shown) == ["The beat has no emotion. Name the emotion of the beat."]
    assert shown.edit.at == 1
    until(qtbot, find(shown, QLineEdit, "field_emotion").hasFocus)
    shown.list.setCurrentRow(0)
    assert not complaints(shown)
    for _ in range(4):
        click(qtbot, shown, "remove_beat")
    click(qtbot, shown, "save_beats")
    assert complaints(shown)[0].startswith("An arc needs at least two beats")
    assert arc(here).beats == before


def complaints(shown: BeatsDialog) -> list[str]:
    return [w.text() for w in shown.findChildren(QLabel) if w.isVisible() and w.property("role") == "error"]


def test_cancel_asks_only_if_something_changed(qtbot: QtBot, shown: BeatsDialog, here: Place) -> None:
    before = arc(here).beats
    QTest.keyClick(shown.curve, Qt.Key.Key_Up)
    QTest.keyClick(shown.curve, Qt.Key.Key_Escape)
    (asked,) = [w for w in QApplication.topLevelWidgets() if isinstance(w, ConfirmDialog) and w.isVisible()]
    asked.leave()
    assert shown.isVisible()
    QTest.keyClick(shown.curve, Qt.Key.Key_Down)
    assert not shown.typed
    QTest.keyClick(shown.curve, Qt.Key.Key_Escape)
    assert not shown.isVisible()
    assert arc(here).beats == before


def test_a_new_arc_is_given_its_beats_before_it_is_stored(
    qtbot: QtBot, qapp: Any, page: ScaffoldingPage, here: Place
) -> None:
    click(qtbot, page, "segment_arc")
    click(qtbot, page, "add_entry")
    form = page.forms["arc"]
    for name, text in (("key", "fear_to_trust"), ("name", "Fear"), ("start_emotion", "fear"), ("end_emotion", "trust")):
        QTest.keyClicks(find(form, QLineEdit, f"field_{name}"), text)
    click(qtbot, form, "edit_beats")
    shown = dialog(qapp, "beats_dialog")
    assert emotions(shown) == ["fear", "trust"]
    assert find(shown, QPushButton, "save_beats").text() == "Use these beats"
    QTest.keyClick(shown.curve, Qt.Key.Key_Up)
    click(qtbot, shown, "save_beats")
    assert store.by_key(here.db, EmotionalArc, "fear_to_trust") is None
    click(qtbot, form, "save_entry")
    until(qtbot, lambda: store.by_key(here.db, EmotionalArc, "fear_to_trust") is not None)
    assert [beat["intensity"] for beat in arc(here, "fear_to_trust").beats] == [0.75, 0.7]


def test_older_beats_are_shown_and_kept(qtbot: QtBot, qapp: Any, page: ScaffoldingPage, here: Place) -> None:
    old: tuple[Any, ...] = ({"emotion": "worry"}, {"emotion": "calm", "intensity": None, "note": [1]}, "hope")
    store.add(here.db, EmotionalArc("old_one", "Old", start_emotion="a", end_emotion="b", beats=old))
    page.reload()
    until(qtbot, lambda: "old_one" in page.library.keys("arc") if page.library else False)
    shown = opened(qtbot, qapp, page, "old_one")
    assert [shown.list.item(place).text() for place in range(3)] == [
        "1. Worry · 0.60",
        "2. Calm · 0.60",
        "3. Hope · 0.60",
    ]
    shown.list.setCurrentRow(1)
    shown.list.setCurrentRow(2)
    assert not shown.typed
    QTest.keyClick(shown.curve, Qt.Key.Key_Up)
    click(qtbot, shown, "save_beats")
    until(qtbot, lambda: arc(here, "old_one").beats == (*old[:2], {"emotion": "hope", "intensity": 0.65}))
