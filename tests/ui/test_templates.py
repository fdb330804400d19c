"""Prompt templates: shown, written and edited with a live preview; what is wrong is marked where it is typed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QTextCharFormat
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QComboBox, QLabel, QLineEdit, QPlainTextEdit, QPushButton
from pytestqt.qtbot import QtBot

from app.services import Services
from core.scaffolding import store
from core.scaffolding.render import KNOWN
from core.scaffolding.store import Persona, PromptTemplate
from tests.core.factories import Place
from tests.support.pages import click, dialog, filled, find, until
from ui.dialogs.base import ConfirmDialog
from ui.pages.scaffolding.page import ScaffoldingPage
from ui.pages.scaffolding.template_dialog import HELP, TemplateDialog
from ui.theme import theme
from ui.window.main_window import MainWindow

KEY = "clarity_walkthrough"
WAVE = QTextCharFormat.UnderlineStyle.WaveUnderline


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


def opened(qtbot: QtBot, qapp: Any, page: ScaffoldingPage, key: str = KEY) -> TemplateDialog:
    page.open_item({"kind": "template", "key": key})
    until(qtbot, lambda: getattr(page.tables["template"].table.current(), "key", "") == key)
    click(qtbot, page, "edit_template")
    return exposed(qtbot, qapp)


def exposed(qtbot: QtBot, qapp: Any) -> TemplateDialog:
    shown = dialog(qapp, "template_dialog")
    assert isinstance(shown, TemplateDialog)
    shown.activateWindow()
    until(qtbot, lambda: getattr(QApplication.focusWidget(), "window", lambda: None)() is shown)
    return shown


@pytest.fixture
def shown(qtbot: QtBot, qapp: Any, page: ScaffoldingPage) -> Iterator[TemplateDialog]:
    made = opened(qtbot, qapp, page)
    gone: list[int] = []
    made.finished.connect(gone.append)
    yield made
    if not gone:
        made.leave()


def template(here: Place, key: str = KEY) -> PromptTemplate:
    return store.require_key(here.db, PromptTemplate, key)


def preview(shown: TemplateDialog) -> str:
    return str(find(shown, QPlainTextEdit, "template_preview").toPlainText())


def put(shown: TemplateDialog, text: str) -> None:
    shown.text.setFocus()
    shown.text.selectAll()
    shown.text.insertPlainText(text)


def below(shown: TemplateDialog) -> str:
    """The line below the text."""
    return next(w.text() for w in shown.findChildren(QLabel) if w.isVisible() and w.text() in (
        shown.text.accessibleDescription(),) and w.text())  # fmt: skip


def waves(shown: TemplateDialog) -> list[tuple[int, int, str]]:
    """What is underlined: line, place in Qt's units, and the colour's name."""
    out, block = [], shown.text.document().begin()
    names = {theme().colour(name).name(): name for name in ("bad", "warn")}
    while block.isValid():
        for part in block.layout().formats():
            if part.format.underlineStyle() == WAVE:
                out.append((block.blockNumber(), part.start, names[part.format.underlineColor().name()]))
        block = block.next()
    return out


def test_a_template_is_shown_and_filled(qtbot: QtBot, page: ScaffoldingPage) -> None:
    click(qtbot, page, "segment_template")
    assert page.add.text() == "Add prompt template"
    text = find(page, QPlainTextEdit, "template_text").toPlainText()
    assert "{{persona_name}}" in text
    click(qtbot, page, "segment_preview")
    filled_in = find(page, QPlainTextEdit, "template_preview").toPlainText()
    assert filled_in
    assert "{{" not in filled_in
    assert "David Chen" in filled_in


def test_the_preview_follows_the_typing_and_what_is_chosen(qtbot: QtBot, shown: TemplateDialog) -> None:
    assert "David Chen" in preview(shown)
    put(shown, "")
    QTest.keyClicks(shown.text, "Dear {{persona_name}}, from {{start_emotion}} about {{topic_name}}.")
    until(qtbot, lambda: preview(shown).startswith("Dear David Chen, from confusion about "))
    for name in ("persona", "arc", "topic"):
        box = find(shown, QComboBox, f"preview_{name}")
        before = preview(shown)
        box.setCurrentIndex((box.currentIndex() + 1) % box.count())
        assert preview(shown) != before
    # The arc that the template belongs to comes into the preview.
    arcs = shown.form.field("emotional_arc_key")
    assert isinstance(arcs, QComboBox)
    arcs.setCurrentIndex(arcs.findData("shame_to_acceptance"))
    assert "from shame about" in preview(shown)


def test_what_is_unknown_is_marked_named_and_not_saved(qtbot: QtBot, shown: TemplateDialog, here: Place) -> None:
    before = template(here)
    put(shown, "Hello 😀 {{personna_name}}\nand {{persona_title}} {{topic_name")
    assert waves(shown) == [(0, 9, "bad"), (1, 22, "bad")]
    told = below(shown)
    assert told.startswith("Line 1, column 9: {{personna_name}} is unknown. Did you mean {{persona_name}}?")
    assert "1 more problem" in told
    assert all(name in told for name in KNOWN)
    until(qtbot, lambda: preview(shown).startswith("Hello 😀 {{personna_name}}\nand The Pragmatic"))
    click(qtbot, shown, "save_template")
    assert shown.isVisible()
    assert shown.text.hasFocus()
    assert template(here) == before
    put(shown, "Hello {{persona_name}} {{topic_name")
    assert below(shown).startswith("Line 1, column 24: “{{topic_name” isn’t closed on its line. Write {{topic_name}}.")
    put(shown, "")
    assert below(shown) == "Write what the conversation is to be."
    put(shown, "Hello {{persona_name}}")
    assert waves(shown) == []
    assert below(shown) == HELP


def test_what_has_no_value_is_marked_and_can_be_saved(
    qtbot: QtBot, qapp: Any, page: ScaffoldingPage, here: Place
) -> None:
    david = store.require_key(here.db, Persona, "pragmatic_optimist")
    store.update(here.db, replace(david, title=""))
    page.reload()
    until(qtbot, lambda: page.library is not None and not any(
        getattr(entry, "title", "") for entry in page.library.entries["persona"] if entry.id == david.id))  # fmt: skip
    shown = opened(qtbot, qapp, page)
    put(shown, "{{persona_name}} is {{persona_title}}.")
    assert waves(shown) == [(0, 20, "warn")]
    assert below(shown).startswith("Line 1, column 21: {{persona_title}} has no value with the entries chosen")
    box = find(shown, QComboBox, "preview_persona")
    box.setCurrentIndex(1)
    assert waves(shown) == []
    assert below(shown) == HELP
    box.setCurrentIndex(0)
    click(qtbot, shown, "save_template")
    until(qtbot, lambda: template(here).text == "{{persona_name}} is {{persona_title}}.")
    # The inspector says so as well.
    until(qtbot, lambda: "{{persona_title}} has no value" in page.template.problem.text())


def test_names_are_completed(qtbot: QtBot, shown: TemplateDialog) -> None:
    put(shown, "😀 ")
    names = shown.text.names
    QTest.keyClicks(shown.text, "{{per")
    until(qtbot, names.popup().isVisible)
    assert names.currentCompletion().startswith("persona_")
    QTest.keyClicks(names.popup(), "sona_n")
    assert shown.text.toPlainText() == "😀 {{persona_n"
    QTest.keyClick(names.popup(), Qt.Key.Key_Return)
    assert shown.text.toPlainText() == "😀 {{persona_name}}"
    assert not names.popup().isVisible()
    # The braces that are there already are not doubled, and what is left of an older name goes.
    put(shown, "{{}} and {{x_name}}")
    cursor = shown.text.textCursor()
    cursor.setPosition(2)
    shown.text.setTextCursor(cursor)
    QTest.keyClicks(shown.text, "arc")
    until(qtbot, names.popup().isVisible)
    QTest.keyClick(names.popup(), Qt.Key.Key_Tab)
    assert shown.text.toPlainText() == "{{arc_name}} and {{x_name}}"
    assert shown.text.textCursor().position() == len("{{arc_name}}")
    QTest.keyClicks(shown.text, " {{qq")
    assert not names.popup().isVisible()
    QTest.keyClick(shown.text, Qt.Key.Key_Backspace)
    QTest.keyClick(shown.text, Qt.Key.Key_Backspace)
    until(qtbot, names.popup().isVisible)
    QTest.keyClick(names.popup(), Qt.Key.Key_Escape)
    assert not names.popup().isVisible()
    assert shown.isVisible()


def test_names_are_inserted_from_the_menu(shown: TemplateDialog) -> None:
    put(shown, "Ask ")
    menu = find(shown, QPushButton, "insert_placeholder").menu()
    parts = [action.menu() for action in menu.actions()]
    names = [action.text() for part in parts for action in part.actions()]
    assert names == [f"{{{{{name}}}}}" for name in KNOWN]
    next(action for action in parts[2].actions() if action.objectName() == "insert_skills").trigger()
    assert shown.text.toPlainText() == "Ask {{skills}}"


def test_a_template_is_edited_stored_and_shown_again(
    qtbot: QtBot, qapp: Any, page: ScaffoldingPage, here: Place, shown: TemplateDialog
) -> None:
    before = template(here)
    assert not shown.typed
    put(shown, "Talk with {{persona_name}}\n\nabout {{topic_name}}.\n")
    click(qtbot, shown, "save_template")
    until(qtbot, lambda: template(here).text == "Talk with {{persona_name}}\n\nabout {{topic_name}}.\n")
    assert replace(template(here), text=before.text, updated_at=before.updated_at) == before
    text = find(page, QPlainTextEdit, "template_text")
    until(qtbot, lambda: text.toPlainText() == template(here).text)
    until(qtbot, lambda: not any(w.objectName() == "template_dialog" and w.isVisible() for w in qapp.topLevelWidgets()))
    again = opened(qtbot, qapp, page)
    assert again.text.toPlainText() == template(here).text
    again.reject()
    assert not again.isVisible()


def test_cancel_asks_if_something_was_typed(shown: TemplateDialog, here: Place) -> None:
    before = template(here)
    put(shown, "Other")
    shown.reject()
    (asked,) = [w for w in QApplication.topLevelWidgets() if isinstance(w, ConfirmDialog) and w.isVisible()]
    asked.leave()
    assert shown.isVisible()
    shown.leave()
    assert template(here) == before


def test_a_new_template_is_added(qtbot: QtBot, qapp: Any, page: ScaffoldingPage, here: Place) -> None:
    click(qtbot, page, "segment_template")
    click(qtbot, page, "add_entry")
    shown = exposed(qtbot, qapp)
    key, name = (find(shown, QLineEdit, f"field_{part}") for part in ("key", "name"))
    assert key.hasFocus()
    QTest.keyClicks(key, KEY)
    click(qtbot, shown, "save_template")
    assert "This key is already used by another prompt template." in [
        w.text() for w in shown.findChildren(QLabel) if w.isVisible()
    ]
    key.clear()
    QTest.keyClicks(key, "own_words")
    QTest.keyClicks(name, "Own words")
    put(shown, "About {{topic_name}}")
    click(qtbot, shown, "save_template")
    until(qtbot, lambda: store.by_key(here.db, PromptTemplate, "own_words") is not None)
    stored = template(here, "own_words")
    assert (stored.name, stored.text, stored.is_active) == ("Own words", "About {{topic_name}}", True)
    assert stored.emotional_arc_key == page.library.entries["arc"][0].key if page.library else False
    until(qtbot, lambda: getattr(page.tables["template"].table.current(), "key", "") == "own_words")
    click(qtbot, page, "duplicate_template")
    until(qtbot, lambda: getattr(page.tables["template"].table.current(), "key", "") == "own_words_2")
    assert not any(w.objectName() == "template_dialog" and w.isVisible() for w in qapp.topLevelWidgets())
    click(qtbot, page, "delete_template")
    until(qtbot, lambda: store.by_key(here.db, PromptTemplate, "own_words_2") is None)
    QTest.keyClick(page.tables["template"].table, Qt.Key.Key_Return)
    exposed(qtbot, qapp).reject()
