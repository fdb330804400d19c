"""The Scaffolding page: lists, forms, templates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtWidgets import QFileDialog, QLabel, QLineEdit, QMenu, QPlainTextEdit, QPushButton
from pytestqt.qtbot import QtBot

from app.services import Services
from core.scaffolding import store
from core.scaffolding.exchange import read_plan, write_file
from core.scaffolding.store import Persona, TrainingTopic
from core.scaffolding.verticals import default_key, load
from tests.core.factories import Place, add_conversation, parsed
from tests.support.pages import click, dialog, filled, find, shown_text, take_back, until
from ui.pages.scaffolding.kinds import ARC, PERSONA, TOPIC, form_values, to_entry
from ui.pages.scaffolding.page import ScaffoldingPage
from ui.pages.scaffolding.profile_dialog import ProfileDialog, to_profile
from ui.pages.scaffolding.profile_dialog import form_values as profile_values
from ui.window.main_window import MainWindow

SHIPPED = dict(load(default_key()).profile)


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


def write(qtbot: QtBot, form: Any, name: str, text: str) -> None:
    field = find(form, QLineEdit, f"field_{name}")
    field.selectAll()
    qtbot.keyClicks(field, text)


@pytest.mark.parametrize("kind", [PERSONA, ARC, TOPIC])
def test_a_form_that_was_not_touched_changes_nothing(here: Place, kind: Any) -> None:
    entries = store.listing(here.db, kind.entry)
    assert entries
    for entry in entries:
        assert to_entry(kind, entry, form_values(kind, entry)) == entry


def test_the_lists_show_the_library(qtbot: QtBot, page: ScaffoldingPage) -> None:
    assert page.kinds.buttons["persona"].text() == "Personas 3"
    assert find(page, QLabel, "entry_title").text() == "David Chen"
    click(qtbot, page, "segment_arc")
    assert page.tables["arc"].table.isVisible()
    assert find(page.forms["arc"], QLabel, "entry_title").text()
    assert page.add.text() == "Add emotional arc"
    qtbot.keyClicks(page.search, "zzz")
    assert page.tables["arc"].nothing.isVisible()
    page.back()
    assert page.tables["arc"].table.isVisible()


def test_a_persona_is_added_after_its_faults_are_mended(qtbot: QtBot, page: ScaffoldingPage, here: Place) -> None:
    click(qtbot, page, "add_entry")
    form = page.forms["persona"]
    write(qtbot, form, "key", "Bad Key")
    assert not form.form.valid
    click(qtbot, form, "save_entry")
    assert store.by_key(here.db, Persona, "Bad Key") is None
    write(qtbot, form, "key", "anxious_planner")
    write(qtbot, form, "name", "Ruth")
    for wrong in ("old", "²", "9" * 5_000):
        write(qtbot, form, "age", wrong)
        click(qtbot, form, "save_entry")
        assert form.is_new
    write(qtbot, form, "key", "late_starter")
    write(qtbot, form, "age", "58")
    click(qtbot, form, "save_entry")
    until(qtbot, lambda: page.tables["persona"].table.current().key == "late_starter")
    stored = store.by_key(here.db, Persona, "late_starter")
    assert stored is not None
    assert (stored.name, stored.demographics) == ("Ruth", {"age": 58})
    # The first one of a session too.
    assert stored.is_active
    assert not form.is_new
    assert not form.dirty


def test_what_was_typed_is_kept_until_it_is_saved(qtbot: QtBot, page: ScaffoldingPage, here: Place) -> None:
    table, form = page.tables["persona"].table, page.forms["persona"]
    first, second = page.tables["persona"].model.rows[:2]
    write(qtbot, form, "title", "The Planner of Plans")
    table.select_id(second.id)
    assert not form.dirty
    table.select_id(first.id)
    assert find(form, QLineEdit, "field_title").text() == "The Planner of Plans"
    assert form.dirty_pill.isVisible()
    click(qtbot, form, "save_entry")
    until(qtbot, lambda: store.get(here.db, Persona, first.id).title == "The Planner of Plans")
    until(qtbot, lambda: not form.dirty)


def test_skills_are_edited_as_lines(qtbot: QtBot, page: ScaffoldingPage, here: Place) -> None:
    page.open_item({"kind": "topic", "key": "estate_planning_basics"})
    form = page.forms["topic"]
    until(qtbot, lambda: form.entry.key == "estate_planning_basics")
    find(form, QPlainTextEdit, "field_skills").setPlainText("validation\n\n framing ")
    click(qtbot, form, "save_entry")

    def stored() -> tuple[str, ...]:
        topic = store.by_key(here.db, TrainingTopic, "estate_planning_basics")
        return topic.skills if topic else ()

    until(qtbot, lambda: stored() == ("validation", "framing"))


def test_a_missing_key_opens_the_form_with_it(qtbot: QtBot, window: MainWindow, page: ScaffoldingPage) -> None:
    window.services.navigator.follow("page:scaffolding/topic/pet_insurance")
    form = page.forms["topic"]
    assert find(form, QLineEdit, "field_key").text() == "pet_insurance"
    assert find(form, QLineEdit, "field_name").text() == "Pet Insurance"
    assert form.is_new
    click(qtbot, form, "revert_entry")
    until(qtbot, lambda: not form.is_new)


def test_delete_with_undo(qtbot: QtBot, window: MainWindow, page: ScaffoldingPage, here: Place) -> None:
    click(qtbot, page, "segment_topic")
    before = page.tables["topic"].model.rowCount()
    page.tables["topic"].table.setFocus()
    qtbot.keyClick(page.tables["topic"].table, Qt.Key.Key_Delete)
    until(qtbot, lambda: page.tables["topic"].model.rowCount() == before - 1)
    take_back(qtbot, window, "trash")
    until(qtbot, lambda: len(store.listing(here.db, TrainingTopic)) == before)


def test_uses_lead_to_the_conversations(qtbot: QtBot, window: MainWindow, page: ScaffoldingPage, here: Place) -> None:
    add_conversation(here, parsed(), persona_key="pragmatic_optimist")
    page.reload()
    form = page.forms["persona"]
    until(qtbot, form.uses.isVisible)
    assert form.uses.text() == "Used by 1 conversation"
    click(qtbot, form, "uses")
    conversations: Any = window.current_page
    assert conversations.filters.value.persona_key == "pragmatic_optimist"


def select(page: ScaffoldingPage, count: int) -> list[Any]:
    """The first rows of the list that is shown."""
    table = page.tables[page.kind.name].table
    table.setFocus()
    table.clearSelection()
    mode = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
    for number in range(count):
        table.selectionModel().select(table.rows.index(number, 0), mode)
    assert len(table.selected()) == count
    return list(table.selected())


def test_a_duplicate_opens_in_its_form_and_can_be_undone(
    qtbot: QtBot, window: MainWindow, page: ScaffoldingPage, here: Place
) -> None:
    form = page.forms["persona"]
    click(qtbot, form, "duplicate_entry")
    until(qtbot, lambda: form.entry.key == "pragmatic_optimist_2")
    assert find(form, QLineEdit, "field_name").text() == "David Chen 2"
    until(qtbot, find(form, QLineEdit, "field_name").hasFocus)
    take_back(qtbot, window, "duplicated")
    until(qtbot, lambda: len(store.listing(here.db, Persona)) == 3)


def test_several_are_switched_off_and_on_again(
    qtbot: QtBot, window: MainWindow, page: ScaffoldingPage, here: Place
) -> None:
    click(qtbot, page, "segment_topic")
    table = page.tables["topic"]
    off = {entry.key for entry in select(page, 2)}
    click(qtbot, table, "bulk_switch_off")

    def stored_off() -> set[str]:
        return {topic.key for topic in store.listing(here.db, TrainingTopic) if not topic.is_active}

    until(qtbot, lambda: stored_off() == off)
    page.states.put(False)
    until(qtbot, lambda: {row.key for row in table.model.rows} == off)
    assert table.caption.text() == "2 of 22 training topics"
    select(page, 2)
    click(qtbot, table, "bulk_switch_on")
    until(qtbot, lambda: not stored_off())
    take_back(qtbot, window, "switched on")
    until(qtbot, lambda: stored_off() == off)
    until(qtbot, lambda: table.model.rowCount() == 2)
    page.states.put(True)
    assert not {row.key for row in table.model.rows} & off
    page.states.put(False)
    select(page, 2)
    page.switch_on()
    until(qtbot, table.nothing.isVisible)
    (chip,) = page.states.chips.findChildren(QPushButton)
    qtbot.mouseClick(chip, Qt.MouseButton.LeftButton)
    until(qtbot, lambda: table.model.rowCount() == 22)


def test_switching_off_keeps_what_was_typed(qtbot: QtBot, page: ScaffoldingPage, here: Place) -> None:
    form = page.forms["persona"]
    select(page, 1)
    write(qtbot, form, "title", "The Planner of Plans")
    page.switch_off()
    until(qtbot, lambda: not form.form.values()["is_active"])
    assert form.form.values()["title"] == "The Planner of Plans"
    click(qtbot, form, "save_entry")
    until(qtbot, lambda: not form.dirty)
    stored = store.by_key(here.db, Persona, "pragmatic_optimist")
    assert stored is not None
    assert (stored.title, stored.is_active) == ("The Planner of Plans", False)


def chosen_file(qtbot: QtBot, page: ScaffoldingPage, name: str, path: Path) -> None:
    """Answer the dialog of that name with a file."""
    until(qtbot, lambda: bool(page.findChildren(QFileDialog, name)))
    (asked,) = page.findChildren(QFileDialog, name)
    asked.fileSelected.emit(str(path))
    asked.reject()


def test_the_selection_is_exported_and_read_back(
    qtbot: QtBot, window: MainWindow, page: ScaffoldingPage, here: Place, tmp_path: Path
) -> None:
    path = tmp_path / "two.json"
    keys = {entry.key for entry in select(page, 2)}
    click(qtbot, page.tables["persona"], "bulk_export")
    chosen_file(qtbot, page, "export_dialog", path)
    until(qtbot, path.exists)
    assert {row.key for row in read_plan(here.db, path).rows} == keys
    click(qtbot, page, "export_scaffolding")
    menu = page.findChildren(QMenu, "export_menu")[-1]
    assert [action.text() for action in menu.actions()] == [
        "Selected entries (2)", "All personas (3)", "Whole library (45)",
    ]  # fmt: skip
    menu.close()


def test_an_import_is_shown_decided_and_undone(
    qtbot: QtBot, qapp: Any, window: MainWindow, page: ScaffoldingPage, here: Place, tmp_path: Path
) -> None:
    david = store.by_key(here.db, Persona, "pragmatic_optimist")
    assert david is not None
    path = tmp_path / "theirs.json"
    write_file(path, [replace(david, summary="Theirs"), Persona("late_starter", "Ruth")])
    click(qtbot, page, "import_scaffolding")
    chosen_file(qtbot, page, "import_dialog", path)
    until(qtbot, lambda: any(w.objectName() == "import_scaffolding" and w.isVisible() for w in qapp.topLevelWidgets()))
    shown = dialog(qapp, "import_scaffolding")
    assert shown_text(shown, "import_counts") == "2 entries: 1 new, 0 same, 1 conflict, 0 rejected"
    assert "Summary" in shown_text(shown, "import_detail") or "summary" in shown_text(shown, "import_detail")
    assert shown.ok.text() == "Import 1 entry"
    click(qtbot, shown, "segment_theirs")
    assert shown.ok.text() == "Import 2 entries"
    assert len(store.listing(here.db, Persona)) == 3
    click(qtbot, shown, "import_entries")

    def summary() -> str:
        found = store.by_key(here.db, Persona, "pragmatic_optimist")
        return found.summary if found else ""

    until(qtbot, lambda: summary() == "Theirs")
    assert len(store.listing(here.db, Persona)) == 4
    until(qtbot, lambda: page.tables["persona"].model.rowCount() == 4)
    take_back(qtbot, window, "replaced")
    until(qtbot, lambda: summary() == david.summary)
    assert len(store.listing(here.db, Persona)) == 3


def test_a_file_that_can_not_be_read_is_named(qtbot: QtBot, page: ScaffoldingPage, tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text("{")
    page.exchange.open_file(tmp_path / "odd.json")
    until(qtbot, lambda: bool(page.banners.banners))
    assert "odd.json" in page.banners.banners[0].text


def opened_profile(qtbot: QtBot, qapp: Any, page: ScaffoldingPage) -> ProfileDialog:
    click(qtbot, page, "consultant_profile_action")
    shown = dialog(qapp, "consultant_profile")
    assert isinstance(shown, ProfileDialog)
    until(qtbot, shown.ok.isEnabled)
    return shown


def test_a_profile_that_was_not_touched_stays_as_it_is() -> None:
    for found in (SHIPPED, SHIPPED | {"vertical": "planning", "core_philosophy": {"a": "B"}}):
        assert to_profile(found, profile_values(found)) == found


def test_the_profile_is_edited_restored_and_put_back(
    qtbot: QtBot, qapp: Any, window: MainWindow, page: ScaffoldingPage, here: Place
) -> None:
    shown = opened_profile(qtbot, qapp, page)
    assert shown.form.values() == profile_values(SHIPPED)
    prompt = find(shown, QPlainTextEdit, "field_system_prompt")
    prompt.setPlainText("")
    assert "Enter a system prompt." in [w.text() for w in shown.findChildren(QLabel) if w.isVisible()]
    click(qtbot, shown, "save_profile")
    assert store.consultant_profile(here.db) == SHIPPED
    prompt.setPlainText("You are Ines.")
    find(shown, QPlainTextEdit, "field_avoid").setPlainText("Jargon\n\n Blame ")
    click(qtbot, shown, "save_profile")
    until(qtbot, lambda: store.consultant_profile(here.db)["system_prompt"] == "You are Ines.")
    mine = store.consultant_profile(here.db)
    assert mine["communication_style"]["avoid"] == ["Jargon", "Blame"]
    until(qtbot, lambda: not any(w.objectName() == "consultant_profile" and w.isVisible()
                                 for w in qapp.topLevelWidgets()))  # fmt: skip
    click(qtbot, opened_profile(qtbot, qapp, page), "restore_profile")
    until(qtbot, lambda: store.consultant_profile(here.db) == SHIPPED)
    until(qtbot, lambda: "restored" in window.toast.text.text())
    take_back(qtbot, window, "restored")
    until(qtbot, lambda: store.consultant_profile(here.db) == mine)
