"""Answers side by side, a question asked another way, files that go with one: in the window, with a real worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QItemSelectionModel, QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QCheckBox, QPlainTextEdit, QPushButton, QWidget

from core.projects import chats
from core.projects.compared import compared_of
from core.projects.summary import KEEP, STEP
from core.workspace import settings
from tests.support.chat import add_adapter
from tests.support.chatting import Chatting, tiny_studio
from tests.support.pages import click, dialog, settle


@pytest.fixture
def chat(qtbot: Any, services: Any, window: Any, tmp_path: Path) -> Chatting:
    made = Chatting(qtbot, window, tiny_studio(services, tmp_path))
    made.until(lambda: made.page.chat is not None)
    made.settle()
    return made


def compare(chat: Chatting, qapp: Any, *adapters: str, blind: bool = False) -> None:
    chat.click(chat.page.compare_more)
    asked = dialog(qapp, "compare_dialog")
    for name in adapters:
        asked.findChild(QCheckBox, f"compare_{name}").setChecked(True)
    asked.blind.setChecked(blind)
    click(chat.qtbot, asked, "compare_chosen")
    chat.until(lambda: chat.page.session.busy)
    chat.ended()


def cards(chat: Chatting) -> list[QWidget]:
    return list(chat.page.transcript.views[-1].findChildren(QWidget, "compared"))


def test_the_base_and_two_adapters_answer_and_one_of_them_is_used(chat: Chatting, qapp: Any) -> None:
    assert not chat.page.compare_more.isEnabled()
    chat.choose("calm")
    chat.write("Who are you?")
    compare(chat, qapp, "legal")
    assert sorted(chat.said_by()) == ["Empathy v3", "Legal tone", "Practice model, no adapter"]
    assert len(cards(chat)) == 3
    row = chat.rows()[-1]
    assert row.artifact_id == "calm"
    place = chat.said_by().index("Legal tone")
    click(chat.qtbot, cards(chat)[place], "use_answer")
    chat.until(lambda: chat.rows()[-1].artifact_id == "legal")
    chat.settle()
    assert cards(chat)[place].findChild(QWidget, "answer_counts").isVisible()
    chat.ask("And now?")
    # What the next answer is given to is the chosen one.
    assert "turn 3" in chat.last
    assert len(chat.rows()) == 4


def test_one_that_fails_does_not_keep_the_others_from_answering(chat: Chatting, qapp: Any) -> None:
    chat.choose("calm")
    chat.write("fail calm")
    compare(chat, qapp, "legal")
    assert [banner.text for banner in chat.page.banners.banners] == ["Empathy v3 can't answer this."]

    def sides() -> dict[str | None, tuple[str, bool]]:
        found = compared_of(chat.rows()[-1])
        return {side.artifact_id: (side.status, bool(side.content)) for side in found.sides} if found else {}

    wanted = {None: (chats.COMPLETE, True), "calm": (chats.FAILED, False), "legal": (chats.COMPLETE, True)}
    chat.until(lambda: sides() == wanted)


def test_the_dialog_takes_two_to_four(chat: Chatting, qapp: Any) -> None:
    chat.write("Who are you?")
    chat.click(chat.page.compare_more)
    asked = dialog(qapp, "compare_dialog")
    assert not asked.primary.isEnabled()
    for box in asked.boxes.values():
        box.setChecked(True)
    assert asked.primary.isEnabled()
    assert len(asked.boxes) == 4
    asked.reject()
    assert chat.page.composer.text == "Who are you?"


def test_blind_nobody_is_named_until_the_best_was_chosen(chat: Chatting, qapp: Any) -> None:
    chat.choose("calm")
    chat.write("Who are you?")
    states: list[str] = []
    session = chat.page.session
    session.moved.connect(lambda: states.append(chat.state) if session.running is not None else None)
    compare(chat, qapp, "legal", blind=True)
    assert chat.said_by() == ["Answer A", "Answer B", "Answer C"]
    assert "switched" not in chat.state
    assert not any(name in " ".join(states) for name in ("Empathy", "Legal", "the base", "The base"))
    view = chat.page.transcript.views[-1]
    assert not [w for w in view.findChildren(QWidget, "answer_counts") if w.isVisible()]
    assert not any(part.speed.text() for part in view.parts)
    row = chat.rows()[-1]
    shown = compared_of(row)
    assert shown is not None
    assert shown.blind
    click(chat.qtbot, cards(chat)[1], "use_answer")
    chat.until(lambda: "Answer B" not in chat.said_by())
    assert sorted(chat.said_by()) == ["Empathy v3", "Legal tone", "Practice model, no adapter"]
    assert chat.rows()[-1].content == shown.sides[1].content
    chat.page.open_item(chat.page.chat.id)
    chat.settle()
    assert len(set(chat.said_by())) == 3


def test_stopped_in_the_second_answer_the_first_is_kept(chat: Chatting, qapp: Any, tmp_path: Path) -> None:
    chat.choose("calm")
    gate = tmp_path / "gate"
    chat.write(f"until {gate}")
    chat.click(chat.page.compare)
    chat.until(lambda: chat.page.session.running is not None and bool(chat.page.session.running.sides[0].text))
    gate.touch()
    chat.until(lambda: not chat.page.session.busy or chat.page.session.running.place == 1)
    chat.page.session.stop()
    chat.ended()
    found = compared_of(chat.rows()[-1])
    assert found is not None
    assert found.sides[0].status == "complete"


def test_an_edited_question_is_asked_in_a_branch(chat: Chatting, qapp: Any) -> None:
    chat.choose("calm")
    chat.ask("First")
    chat.ask("Second")
    before = chat.page.chat
    rows = chat.rows()
    view = chat.page.transcript.views[2]
    chat.click(view.findChild(QPushButton, "edit_question"))
    asked = dialog(qapp, "edit_question_dialog")
    field = asked.findChild(QPlainTextEdit, "edited_question")
    assert field.toPlainText() == "Second"
    field.setPlainText("")
    assert not asked.primary.isEnabled()
    field.setPlainText("Another second")
    click(chat.qtbot, asked, "send_branch")
    chat.until(lambda: chat.page.chat is not None and chat.page.chat.id != before.id)
    chat.ended()
    assert chat.page.chat.branched_from == before.id
    assert chat.page.chat.title == "First 2"
    assert [m.content for m in chat.rows()][:3] == [rows[0].content, rows[1].content, "Another second"]
    assert chat.rows()[3].content.endswith("turn 3: Another second ")
    assert [m.content for m in chats.messages(chat.db, before.id)] == [m.content for m in rows]
    assert not {m.id for m in chat.rows()} & {m.id for m in rows}


def drop(chat: Chatting, *paths: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    event = QDropEvent(
        QPointF(10, 10), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    chat.window.dropEvent(event)


def test_dropped_files_go_with_the_question(chat: Chatting, qapp: Any, tmp_path: Path) -> None:
    notes, photo = tmp_path / "notes.md", tmp_path / "photo.png"
    notes.write_text("Rent is 900.")
    photo.write_bytes(b"\0\1\2" * 100)
    drop(chat, notes, photo)
    chat.until(lambda: len(chat.page.composer.attached.files) == 1)
    assert "photo.png can't be attached" in chat.banner().text
    drop(chat, notes)
    chat.settle()
    assert len(chat.page.composer.attached.files) == 1
    chat.ask("What is the rent?")
    assert chat.page.composer.attached.files == ()
    assert "Rent is 900." in chat.last
    asked = chat.rows()[0]
    assert (asked.content, asked.attachments[0].name) == ("What is the rent?", "notes.md")
    chat.page.open_item(chat.page.chat.id)
    chat.settle()
    chat.click(chat.page.transcript.views[0].findChild(QPushButton, "attached"))
    shown = dialog(qapp, "attached_file")
    assert "Rent is 900." in shown.findChild(QPlainTextEdit).toPlainText()
    shown.accept()


def test_a_file_alone_can_be_asked_and_one_can_be_taken_off(chat: Chatting, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("one.txt", "two.txt")]
    for path in paths:
        path.write_text(f"Text of {path.name}")
    chat.page.attach(paths)
    chat.until(lambda: len(chat.page.composer.attached.files) == 2)
    chat.click(chat.page.composer.attached.findChildren(QPushButton, "detach")[0])
    assert [file.name for file in chat.page.composer.attached.files] == ["two.txt"]
    chat.click(chat.page.composer.send)
    chat.until(lambda: chat.page.session.busy)
    chat.ended()
    assert chat.page.chat.title == "two.txt"
    assert "Text of two.txt" in chat.last


def test_older_messages_are_summarised_shown_and_edited(chat: Chatting, qapp: Any) -> None:
    made = chats.create(chat.db, chat.page.base.id)
    for number in range(KEEP + STEP - 1):
        chats.add_message(chat.db, made.id, "user", f"Question {number}")
        chats.add_message(chat.db, made.id, "assistant", f"Answer {number}")
    chat.page.open_item(made.id)
    chat.settle()
    assert not chat.page.notes.isVisible()
    chat.ask("One more")
    chat.until(lambda: chat.page.notes.isVisible())
    assert chat.page.notes.summary.text() == f"The model reads the first {2 * STEP} messages as a summary"
    chat.until(lambda: chats.get(chat.db, made.id).summary_upto == 2 * STEP)
    assert "I am base, told" in chats.get(chat.db, made.id).summary
    chat.click(chat.find(QPushButton, "show_summary"))
    asked = dialog(qapp, "summary_dialog")
    field = asked.findChild(QPlainTextEdit, "summary_text")
    field.setPlainText("They want to sleep better.")
    click(chat.qtbot, asked, "save_summary")
    chat.until(lambda: chats.get(chat.db, made.id).summary == "They want to sleep better.")
    chat.ask("And now?")
    assert "They want to sleep better." in chat.last
    assert f"turn {2 * KEEP + 1}" in chat.last
    chat.click(chat.find(QPushButton, "show_summary"))
    asked = dialog(qapp, "summary_dialog")
    chat.qtbot.keyClicks(asked.findChild(QPlainTextEdit, "summary_text"), "Half a word")
    click(chat.qtbot, asked, "forget_summary")
    # What was typed is asked for first.
    click(chat.qtbot, dialog(qapp, "confirm_dialog"), "confirm")
    chat.until(lambda: not chat.page.notes.isVisible())
    chat.ask("Once more")
    # Who wants the messages gets no other summary.
    assert chats.get(chat.db, made.id).summary == ""
    assert not chat.page.notes.isVisible()


def test_a_question_comes_before_the_summary(chat: Chatting) -> None:
    made = chats.create(chat.db, chat.page.base.id)
    for number in range(KEEP + STEP - 1):
        # So long that the summary takes its time.
        chats.add_message(chat.db, made.id, "user", f"slow {number}")
        chats.add_message(chat.db, made.id, "assistant", f"Answer {number}")
    chat.page.open_item(made.id)
    chat.settle()
    chat.send("Quick")
    chat.until(lambda: chat.page.session.summarizer.chat is not None)
    assert "Summarising older messages" in chat.state
    chat.send("Another")
    chat.until(lambda: not chat.page.session.busy and chat.rows()[-1].status == "complete")
    chat.until(lambda: chats.get(chat.db, made.id).summary_upto > 0)


def test_a_pinned_adapter_stays_in_memory(chat: Chatting, qapp: Any) -> None:
    settings.put(chat.db, "max_resident_adapters", 1)
    chat.announce()
    chat.choose("calm")
    chat.ask("Hello")
    chip = chat.page.chips.chip("calm")
    chip.customContextMenuRequested.emit(chip.rect().center())
    menu = next(w for w in qapp.topLevelWidgets() if w.objectName() == "adapter_chip_menu")
    menu.actions()[0].trigger()
    menu.close()
    chat.until(lambda: "stays in memory" in chip.toolTip())
    chat.settle()
    assert settings.get(chat.db, "pinned_adapters", []) == ["calm"]
    assert chat.services.engine._pinned == ("calm",)


def test_after_a_click_on_send_the_field_has_the_focus(chat: Chatting) -> None:
    chat.write("Hello")
    chat.click(chat.page.composer.send)
    chat.ended()
    assert chat.page.composer.field.hasFocus()


def test_folders_and_datasets_dropped_on_chat_are_imported(chat: Chatting, tmp_path: Path) -> None:
    (tmp_path / "talks").mkdir()
    (tmp_path / "set.jsonl").write_text("{}")
    imported: list[Any] = []
    chat.window.files_dropped.connect(imported.append)
    for name in ("talks", "set.jsonl"):
        chat.window.open_page("chat")
        drop(chat, tmp_path / name)
    assert imported == [[tmp_path / "talks"], [tmp_path / "set.jsonl"]]


def test_a_name_with_an_ampersand_is_shown_as_it_is(chat: Chatting, qapp: Any) -> None:
    add_adapter(chat.db, chat.services.workspace, "qa", "Q&A coach")
    chat.announce()
    chat.write("Hello")
    chat.click(chat.page.compare_more)
    asked = dialog(qapp, "compare_dialog")
    assert asked.boxes["qa"].text() == "Q&&A coach"
    asked.reject()


def test_adapters_chosen_on_their_page_answer_the_next_question_side_by_side(chat: Chatting) -> None:
    chat.window.open_page("adapters")
    settle(chat.qtbot, chat.window)
    page: Any = chat.window.current_page
    rows = [row.id for row in page.adapters.rows.rows]
    page.adapters.selectAll()
    page.adapters.selectionModel().select(
        page.adapters.model().index(rows.index("broken"), 0),
        QItemSelectionModel.SelectionFlag.Deselect | QItemSelectionModel.SelectionFlag.Rows,
    )
    page.compare_selected()
    assert chat.window.current_name == "chat"
    chat.settle()
    assert chat.page.composer.field.placeholderText().endswith("side by side")
    chat.ask("Who are you?")
    assert sorted(chat.said_by()) == ["Empathy v3", "Legal tone"]
    chat.ask("And now?")
    assert len(chat.page.transcript.views[-1].parts) == 1
