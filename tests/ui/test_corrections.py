"""An answer is kept in Chat, corrected, listed under Corrections and made into a dataset, in the window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QPlainTextEdit, QPushButton, QWidget

from core.datasets import store as datasets
from core.projects import corrections
from tests.support.chatting import Chatting, tiny_studio
from tests.support.pages import click, dialog, settle, take_back, until
from ui.pages.corrections.page import CorrectionsPage


@pytest.fixture
def chat(qtbot: Any, services: Any, window: Any, tmp_path: Path) -> Chatting:
    made = Chatting(qtbot, window, tiny_studio(services, tmp_path))
    made.until(lambda: made.page.chat is not None)
    made.settle()
    return made


def tool(chat: Chatting, place: int, name: str) -> QPushButton:
    found: QPushButton = chat.page.transcript.views[place].findChild(QPushButton, name)
    return found


def pill(chat: Chatting, place: int) -> Any:
    return chat.page.transcript.views[place].findChild(QWidget, "answer_kept")


def test_an_answer_is_kept_taken_back_and_brought_back(chat: Chatting) -> None:
    chat.ask("Hello")
    assert not pill(chat, 1).isVisible()
    chat.click(tool(chat, 1, "keep_answer"))
    chat.until(lambda: pill(chat, 1).isVisible())
    (kept,) = corrections.listing(chat.db)
    assert kept.answer == chat.rows()[1].content.strip()
    chat.click(tool(chat, 1, "keep_answer"))
    chat.until(lambda: not pill(chat, 1).isVisible())
    assert corrections.count(chat.db) == 0
    take_back(chat.qtbot, chat.window, "no longer kept")
    chat.until(lambda: pill(chat, 1).isVisible())
    assert corrections.count(chat.db) == 1


def test_a_corrected_answer_is_listed_edited_and_trained_on(chat: Chatting, qapp: Any) -> None:
    chat.choose("calm")
    for number in range(3):
        chat.ask(f"Question {number}")
        chat.click(tool(chat, 2 * number + 1, "correct_answer"))
        asked = dialog(qapp, "correct_dialog")
        field = asked.findChild(QPlainTextEdit, "corrected_answer")
        assert field.toPlainText().startswith("I am Empathy v3")
        field.setPlainText(" ")
        assert not asked.primary.isEnabled()
        field.setPlainText(f"Better answer {number}")
        click(chat.qtbot, asked, "keep_corrected")
        chat.until(lambda: corrections.count(chat.db) == number + 1)  # noqa: B023
        chat.until(lambda: pill(chat, 2 * number + 1).isVisible())  # noqa: B023
    chat.window.open_page("datasets")
    settle(chat.qtbot, chat.window)
    datasets_page = chat.window.current_page
    chat.click(datasets_page.corrections)
    page = chat.window.current_page
    assert isinstance(page, CorrectionsPage)
    assert chat.window.sidebar.buttons["datasets"].isChecked()
    until(chat.qtbot, lambda: page.model.rowCount() == 3)
    assert [page.model.rows[0].who, page.model.rows[0].correction.title] == ["Empathy v3", "Question 2"]
    page.inspector.answer.setPlainText("The best answer")
    click(chat.qtbot, page, "save_correction")
    until(chat.qtbot, lambda: corrections.listing(chat.db)[0].answer == "The best answer")
    settle(chat.qtbot, chat.window)
    assert page.make.text() == "Make dataset of 3"
    chat.click(page.make)
    until(chat.qtbot, lambda: any(found.name == "Corrections" for found in datasets.listing(chat.db)))
    until(chat.qtbot, lambda: chat.window.current_name == "datasets")
    made = next(found for found in datasets.listing(chat.db) if found.name == "Corrections")
    assert made.total_conversations == 3
    assert made.total_training_pairs + made.total_validation_pairs == 3
    assert {found.dataset_name for found in corrections.listing(chat.db)} == {"Corrections"}


def test_what_was_typed_is_kept_while_another_answer_is_shown(chat: Chatting) -> None:
    for number in range(2):
        chat.ask(f"Question {number}")
        chat.click(tool(chat, 2 * number + 1, "keep_answer"))
        chat.until(lambda: corrections.count(chat.db) == number + 1)  # noqa: B023
    chat.window.open_page("corrections")
    settle(chat.qtbot, chat.window)
    page: Any = chat.window.current_page
    page.inspector.answer.setPlainText("Half a thou")
    page.table.selectRow(1)
    settle(chat.qtbot, chat.window)
    assert page.inspector.answer.toPlainText().startswith("I am base")
    assert "Question 0" in page.inspector.said.toPlainText()
    page.table.selectRow(0)
    settle(chat.qtbot, chat.window)
    assert page.inspector.answer.toPlainText() == "Half a thou"
    assert page.inspector.save.isEnabled()


def test_an_empty_page_leads_to_chat(chat: Chatting) -> None:
    chat.window.open_page("corrections")
    settle(chat.qtbot, chat.window)
    page = chat.window.current_page
    assert page.shown_state == "empty"
    click(chat.qtbot, page, "empty_button")
    assert chat.window.current_name == "chat"
