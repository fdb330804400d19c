"""The chat page over a real worker with an engine whose answers can be foreseen."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import orjson
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QTextCursor
from PySide6.QtWidgets import QLabel, QLineEdit, QPushButton, QTextEdit, QWidget

from core import trash
from core.db.connection import transaction
from core.errors import AppError
from core.events import Changed
from core.inference.arbiter import READING_BYTES
from core.memory import Memory, Pressure
from core.projects import chats
from core.projects.compared import compared_of
from core.workspace import settings
from tests.support.chat import TINY_BASE, add_adapter, add_base
from tests.support.chatting import PROMPT, QUESTIONS, Chatting, tiny_studio
from tests.support.pages import take_back
from tests.support.painted import Painted
from ui.pages.chat.data import switch_text
from ui.pages.chat.message import TurnView
from ui.theme import theme
from ui.widgets.code_block import CodeBlock
from ui.widgets.markdown import blocks
from ui.widgets.message_text import MessageText, column_width

ENDLESS = "until /nowhere"
STATS = {
    "prompt_tokens": 100, "tokens": 40, "first_token_s": 0.18, "tokens_per_second": 34.2, "switch_s": 0.00001,
    "was_resident": True, "context": 1024, "finish_reason": "stop",
}  # fmt: skip


@pytest.fixture
def tiny(services: Any, tmp_path: Path) -> Any:
    return tiny_studio(services, tmp_path)


@pytest.fixture
def chat(qtbot: Any, tiny: Any, window: Any) -> Chatting:
    made = Chatting(qtbot, window, tiny)
    made.until(lambda: made.page.chat is not None)
    made.settle()
    return made


def stored(db: Any, *turns: tuple[str, str], adapter: str | None = None, status: str = chats.COMPLETE) -> chats.Chat:
    made = chats.create(db, TINY_BASE, adapter)
    for role, text in turns:
        answer = role == "assistant"
        chats.add_message(
            db, made.id, role, text, status=status if answer else chats.COMPLETE,
            artifact_id=adapter if answer else None, stats=STATS if answer else None,
        )  # fmt: skip
    return made


def test_without_a_base_the_page_says_where_to_get_one(qtbot: Any, services: Any, window: Any) -> None:
    chat = Chatting(qtbot, window, services)
    chat.until(lambda: chat.page.shown_state == "empty")
    assert "base model" in chat.page._empty.findChild(QLabel, "").parent().findChildren(QLabel)[1].text()
    asked: list[str] = []
    services.navigator.page_requested.connect(lambda name, _argument: asked.append(name))
    chat.click(chat.find(QPushButton, "empty_button"))
    assert asked == ["adapters"]
    chat.settle()


def test_the_first_question_makes_the_chat_and_starts_the_process(chat: Chatting) -> None:
    assert chat.services.engine.pid == 0
    assert chats.listing(chat.db) == []
    assert "practice" in chat.page.base_pill.status.word.lower()
    chat.ask("Hello there")
    assert chat.services.engine.pid
    rows = chat.rows()
    assert [(m.role, m.status) for m in rows] == [("user", "complete"), ("assistant", "complete")]
    assert rows[1].content == "I am base, told 'nothing', turn 1: Hello there "
    assert chat.texts() == ["Hello there", rows[1].content]
    assert chat.said_by() == ["Practice model, no adapter"]
    assert chat.page._title.text() == "Hello there"
    assert chat.page.list.current == chat.page.chat.id
    assert "context 1" in chat.state
    assert "of 1,024 tokens" in chat.state
    speed = chat.page.transcript.views[-1].findChild(QLabel, "answer_speed")
    assert speed.text() == "50 tokens/s · first token 20 ms"


def test_shift_enter_makes_a_line_and_enter_sends_it(chat: Chatting) -> None:
    chat.write("One")
    chat.qtbot.keyClick(chat.page.composer.field, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    chat.write("two")
    height = chat.page.composer.field.height()
    chat.qtbot.keyClick(chat.page.composer.field, Qt.Key.Key_Return)
    chat.ended()
    assert chat.rows()[0].content == "One\ntwo"
    assert chat.page.composer.field.height() < height
    chat.qtbot.keyClick(chat.page.composer.field, Qt.Key.Key_Return)
    assert not chat.page.session.busy


def test_the_question_is_stored_before_it_is_sent(chat: Chatting, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[list[tuple[str, str]]] = []
    load = chat.services.engine.load

    def look(*args: Any, **kwargs: Any) -> None:
        found.append([(m["role"], m["content"]) for m in chat.db.execute("select * from chat_messages").fetchall()])
        load(*args, **kwargs)

    monkeypatch.setattr(chat.services.engine, "load", look)
    chat.ask("Hello")
    assert found == [[("user", "Hello"), ("assistant", "")]]


def test_a_chat_with_an_adapter_starts_with_its_own_prompt_and_examples(chat: Chatting) -> None:
    chat.services.navigator.open_page("chat", {"adapter": "calm"})
    chat.settle()
    assert chat.page.chips.chip("calm").isChecked()
    assert chat.page.chips.chip("calm").property("state") == "active"
    assert chat.find(QWidget, "system_prompt").toPlainText() == PROMPT
    assert [chat.find(QPushButton, f"example_{n}").text() for n in (1, 2, 3)] == QUESTIONS
    assert chat.services.engine.pid == 0
    chat.click(chat.find(QPushButton, "example_2"))
    chat.ended()
    row = chats.get(chat.db, chat.page.chat.id)
    assert (row.artifact_id, row.system_prompt) == ("calm", PROMPT)
    assert chat.rows()[1].content.startswith(f"I am Empathy v3, told {PROMPT!r}, turn 1: My partner")
    assert chat.rows()[1].artifact_id == "calm"
    assert chat.said_by() == ["Empathy v3"]
    assert "Switched in 0.01 ms, conversation kept" in chat.state or "switched in 0.01 ms, conv" in chat.state
    assert not chat.page.findChildren(QPushButton, "example_1") or not chat.find(QPushButton, "example_1").isVisible()


def test_switching_applies_to_the_next_answer_and_keeps_the_conversation(chat: Chatting) -> None:
    chat.ask("First")
    assert [chat.page.chips.chip(k).property("state") for k in ("base", "calm", "legal")] == [
        "active", "on disk", "on disk",
    ]  # fmt: skip
    chat.choose("legal")
    assert chat.page.chips.chip("legal").property("state") == "active"
    assert chat.page.chips.chip("base").property("state") == "resident"
    assert "Legal tone loaded in 1.00 ms and answers next" in chat.state
    chat.ask("Second")
    chat.choose("calm")
    assert chat.page.chips.chip("legal").property("state") == "resident"
    chat.choose("base")
    chat.ask("Third")
    assert chat.said_by() == ["Practice model, no adapter", "Legal tone", "Practice model, no adapter"]
    assert "turn 5: Third" in chat.last
    assert "2 adapters in memory" in chat.state
    assert chats.get(chat.db, chat.page.chat.id).artifact_id is None


def test_chips_are_radio_like_by_keyboard_too(chat: Chatting) -> None:
    keys = chat.page.chips.keys
    assert keys[0] == "base"
    chip = chat.page.chips.chip("base")
    with chat.qtbot.waitActive(chat.window):
        chat.window.activateWindow()
    assert chip.focusPolicy() & Qt.FocusPolicy.TabFocus
    chip.setFocus()
    # The arrow keys go by where the buttons are, so they must have been laid out.
    chat.until(lambda: chip.hasFocus() and chat.page.chips.chip(keys[1]).x() > chip.x())
    chat.qtbot.keyClick(chip, Qt.Key.Key_Right)
    chat.until(lambda: chat.page.chips.chip(keys[1]).isChecked())
    chat.settle()
    assert sum(chat.page.chips.chip(k).isChecked() for k in keys) == 1
    assert chat.page.chips.chip(keys[1]).accessibleName().endswith("active")


def test_while_an_answer_is_written_nothing_can_be_switched_and_stop_keeps_it(chat: Chatting) -> None:
    chat.send(ENDLESS)
    chat.until(lambda: "word9" in chat.last)
    chip = chat.page.chips.chip("legal")
    assert not chip.isEnabled()
    assert "when this answer is done" in chip.toolTip()
    assert not chat.page.compare.isEnabled()
    assert not chat.page.composer.send.isVisible()
    assert "The base is answering" in chat.state
    chat.window.actions_["stop"].trigger()
    chat.until(lambda: not chat.page.session.busy)
    chat.settle()
    row = chat.rows()[-1]
    assert row.status == "stopped"
    assert "word9" in row.content
    assert chat.page.transcript.views[-1].findChild(QWidget, "answer_status").status.word == "Stopped"
    assert chip.isEnabled()
    chat.ask("Next")
    assert chat.rows()[-1].status == "complete"


def test_the_partial_answer_is_in_the_database_while_it_streams(chat: Chatting) -> None:
    chat.send(ENDLESS)
    chat.until(lambda: bool(chat.rows() and chat.rows()[-1].content))
    row = chat.rows()[-1]
    assert chat.page.session.busy
    # Whatever ends the program now, the row already says that it was interrupted.
    assert row.status == "interrupted"
    chat.click(chat.page.composer.stop)
    chat.ended()
    assert len(chat.rows()[-1].content) >= len(row.content)


def test_a_kill_in_mid_answer_keeps_it_and_ask_again_works(chat: Chatting, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    chat.send(f"until {gate}")
    chat.until(lambda: "word9" in chat.last)
    os.kill(chat.services.engine.pid, signal.SIGKILL)
    chat.ended()
    row = chat.rows()[-1]
    assert row.status == "failed"
    assert "word9" in row.content
    assert "ended unexpectedly" in chat.banner().text
    assert chat.banner().details
    chat.click(chat.banner().findChild(QPushButton, "banner_action"))
    gate.touch()
    chat.ended()
    assert chat.rows()[-1].status == "complete"
    assert len(chat.rows()) == 2
    assert not chat.page.banners.banners


def test_a_bad_adapter_is_refused_when_it_is_chosen_and_the_base_stays(chat: Chatting) -> None:
    chat.ask("Hello")
    chat.choose("broken")
    assert "Half trained can't be used" in chat.banner().text
    assert chat.page.chips.chip("base").isChecked()
    assert chats.get(chat.db, chat.page.chat.id).artifact_id is None
    chat.ask("Still there?")
    assert chat.rows()[-1].status == "complete"


def test_a_bad_adapter_that_is_asked_leaves_the_answer_to_the_base(chat: Chatting) -> None:
    chat.page.open_item({"adapter": "broken"})
    chat.settle()
    chat.ask("Hello")
    chat.ended()
    assert "The base answers instead of Half trained" in chat.banner().findChild(QLabel, "banner_hint").text()
    assert chat.said_by() == ["Practice model, no adapter"]
    assert [m.status for m in chat.rows()] == ["complete", "complete"]
    assert chat.rows()[-1].artifact_id is None


def test_what_fails_in_a_chat_that_was_left_changes_no_other(chat: Chatting) -> None:
    other = stored(chat.db, ("user", "Earlier"), adapter="calm")
    chat.announce()
    chat.page.open_item({"adapter": "broken"})
    chat.settle()
    chat.send("Hello")
    chat.until(lambda: bool(chat.page.chat and chat.page.chat.id))
    mine = chat.page.chat.id
    chat.page.open_chat(other.id)
    chat.until(lambda: chat.page.chat.id == other.id)
    chat.ended()
    assert "instead of Half trained in “Hello”" in chat.banner().findChild(QLabel, "banner_hint").text()
    assert chats.get(chat.db, other.id).artifact_id == "calm"
    assert [m.content for m in chats.messages(chat.db, other.id)] == ["Earlier"]
    # It may be mended by the next question.
    assert chats.get(chat.db, mine).artifact_id == "broken"
    assert [m.status for m in chats.messages(chat.db, mine)] == ["complete", "complete"]


def test_what_fails_in_a_chat_that_was_left_does_not_take_over_a_new_one(chat: Chatting) -> None:
    chat.page.open_item({"adapter": "broken"})
    chat.settle()
    chat.send("Hello")
    chat.until(lambda: bool(chat.page.chat and chat.page.chat.id))
    mine = chat.page.chat.id
    chat.page.new_chat()
    chat.ended()
    assert (chat.page.chat.id, chat.page.messages) == ("", [])
    assert [m.status for m in chats.messages(chat.db, mine)] == ["complete", "complete"]


def test_compare_asks_base_and_adapter_the_same_and_shows_both(chat: Chatting) -> None:
    assert not chat.page.compare.isEnabled()
    chat.choose("calm")
    chat.write("Who are you?")
    chat.click(chat.page.compare)
    chat.ended()
    base, adapter = chat.texts()[1:]
    assert base.startswith("I am base")
    assert adapter.startswith("I am Empathy v3")
    assert base.endswith("turn 1: Who are you? ")
    assert adapter.endswith("turn 1: Who are you? ")
    assert chat.said_by() == ["Practice model, no adapter", "Empathy v3"]
    sides = chat.page.transcript.views[-1].findChildren(QWidget, "compared")
    assert len(sides) == 2
    assert sides[0].geometry().right() < sides[1].geometry().left()
    row = chat.rows()[-1]
    assert row.content == adapter
    shown = compared_of(row)
    assert shown is not None
    assert [side.content for side in shown.sides] == [base, adapter]
    chat.ask("And now?")
    assert "turn 3" in chat.last
    chat.click(chat.page.compare)
    chat.ended()
    assert len(chat.rows()) == 4
    chat.page.open_item(chat.page.chat.id)
    chat.settle()
    assert len(chat.texts()) == 6


def test_asking_again_replaces_the_answer_and_can_be_undone(chat: Chatting) -> None:
    chat.ask("Hello")
    first = chat.last
    chat.choose("calm")
    again = chat.page.transcript.views[-1].findChild(QPushButton, "ask_again")
    chat.click(again)
    chat.ended()
    assert chat.last.startswith("I am Empathy v3")
    assert len(chat.rows()) == 2
    assert chat.rows()[-1].artifact_id == "calm"
    chat.window.actions_["undo"].trigger()
    chat.settle()
    assert chat.last == first
    assert chat.rows()[-1].artifact_id is None
    # The new answer stays beside it.
    assert [other["artifact_id"] for other in chat.rows()[-1].others] == ["calm"]


def test_undo_while_the_new_answer_is_being_written(chat: Chatting) -> None:
    chat.send(ENDLESS)
    chat.until(lambda: "word9" in chat.last)
    chat.page.stop()
    chat.ended()
    first = chat.rows()[-1].content
    chat.page.ask_again()
    chat.until(lambda: "word2" in chat.last)
    chat.window.actions_["undo"].trigger()
    chat.ended()
    assert chat.rows()[-1].content == first
    assert chat.rows()[-1].status == "stopped"
    assert chat.last == first


def test_sampling_and_prompt_are_kept_per_chat(chat: Chatting) -> None:
    assert "repeatable answers, at most 256 tokens" in chat.find(QLabel, "sampling_summary").text()
    assert not chat.page.settings.prompt.isVisible()
    chat.click(chat.page.settings.prompt_fold)
    chat.qtbot.keyClicks(chat.page.settings.prompt, "Be brief.")
    chat.click(chat.page.settings.sampling_fold)
    chat.page.settings.temperature.set_value(0.7)
    chat.page.settings.tokens.setValue(12)
    chat.ask("slow")
    row = chats.get(chat.db, chat.page.chat.id)
    assert row.system_prompt == "Be brief."
    assert row.sampling == {"temperature": 0.7, "max_tokens": 12}
    assert len(chat.last.split()) == 12
    assert chat.rows()[-1].stats["seed"] > 0
    chat.click(chat.page.list.new)
    chat.settle()
    assert chat.page.settings.prompt.toPlainText() == ""
    chat.page.open_item(row.id)
    chat.settle()
    assert chat.page.settings.prompt.toPlainText() == "Be brief."
    assert chat.page.settings.temperature.value() == 0.7
    chat.page.settings.prompt.moveCursor(QTextCursor.MoveOperation.End)
    chat.qtbot.keyClicks(chat.page.settings.prompt, " Always.")
    chat.until(lambda: chats.get(chat.db, row.id).system_prompt == "Be brief. Always.")
    assert chat.page.back()
    assert not chat.page.settings.prompt.isVisible()


def test_the_list_searches_renames_and_deletes_with_undo(chat: Chatting) -> None:
    bread = stored(chat.db, ("user", "How do I keep bread fresh?"), ("assistant", "In a cloth."))
    bank = stored(chat.db, ("user", "A letter from the bank"), ("assistant", "Open it."))
    chat.announce()
    names = chat.page.list.list
    assert [names.item(i).text() for i in range(2)] == ["A letter from the bank", "How do I keep bread fresh?"]
    chat.qtbot.keyClicks(chat.page.search, "cloth")
    chat.until(lambda: names.count() == 1)
    assert names.item(0).text() == "How do I keep bread fresh?"
    chat.page.back()
    chat.until(lambda: names.count() == 2)
    names.setCurrentRow(1)
    chat.settle()
    assert chat.page.chat.id == bread.id
    chat.click(chat.page.list.rename)
    editor = names.findChild(QLineEdit)
    editor.clear()
    chat.qtbot.keyClicks(editor, "Bread")
    chat.qtbot.keyClick(editor, Qt.Key.Key_Return)
    chat.until(lambda: chats.get(chat.db, bread.id).title == "Bread")
    chat.until(lambda: chat.page._title.text() == "Bread")
    chat.click(chat.page.list.delete)
    chat.until(lambda: [c.id for c in chats.listing(chat.db)] == [bank.id])
    chat.until(lambda: chat.page.chat.id == bank.id)
    assert [t.id for t in trash.listing(chat.db, "chats")] == [bread.id]
    take_back(chat.qtbot, chat.window)
    chat.until(lambda: chat.page.chat.id == bread.id)
    chat.settle()
    assert chat.texts() == ["How do I keep bread fresh?", "In a cloth."]


def test_a_message_without_an_end_state_is_shown_as_interrupted(chat: Chatting) -> None:
    made = stored(chat.db, ("user", "Hello"), ("assistant", "I was about to"), status="streaming")
    chat.page.open_item(made.id)
    chat.settle()
    assert chat.page.transcript.views[-1].findChild(QWidget, "answer_status").status.word == "Interrupted"
    lonely = stored(chat.db, ("user", "Nobody answered"))
    chat.page.open_item(lonely.id)
    chat.settle()
    chat.click(chat.page.transcript.views[-1].findChild(QPushButton, "ask_again"))
    chat.ended()
    assert [m.status for m in chat.rows()] == ["complete", "complete"]


def test_leaving_the_chat_does_not_stop_its_answer(chat: Chatting, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    other = stored(chat.db, ("user", "Earlier"), ("assistant", "Yes."))
    chat.announce()
    chat.send(f"until {gate}")
    chat.until(lambda: "word9" in chat.last)
    mine = chat.page.chat.id
    chat.page.open_item(other.id)
    chat.settle()
    assert chat.page.chat.id == other.id
    assert "Answering in “until " in chat.state
    assert chat.texts() == ["Earlier", "Yes."]
    chat.page.open_item(mine)
    chat.until(lambda: chat.page.chat.id == mine)
    chat.until(lambda: "word60" in chat.last)
    gate.touch()
    chat.ended()
    assert chat.texts() == [m.content for m in chat.rows()]
    assert chats.messages(chat.db, other.id)[-1].content == "Yes."


HOSTILE = (
    '<img src="file:///etc/passwd"><b>bold</b> <a href="http://x">x</a> ![i](http://x/y.png)\n'
    "back\x08\x1b[31m \u202ereversed\n**real bold** and `<i>code</i>`\n```html\n<script>x</script>\n```\n"
)


def test_what_the_model_wrote_is_text_and_nothing_else(chat: Chatting) -> None:
    made = stored(chat.db, ("user", HOSTILE), ("assistant", HOSTILE), ("user", "and"), ("assistant", "x" * 1_000_000))
    chat.page.open_item(made.id)
    chat.settle()
    view = chat.page.transcript.views[1]
    own = ("answered_by", "answer_speed", "code_text", "code_language")
    labels = [x for x in view.findChildren(QLabel) if x.objectName() not in own]
    rich = "".join(x.text() for x in labels if x.textFormat() == Qt.TextFormat.RichText)
    assert {x.textFormat() for x in labels} <= {Qt.TextFormat.RichText, Qt.TextFormat.PlainText}
    for tag in ("<img", "<a ", "<script", "\x1b", "\u202e"):
        assert tag not in rich
    assert "&lt;img src=&quot;file:" in rich
    assert "<b>real bold</b>" in rich
    code = view.findChild(CodeBlock)
    assert code.source == "<script>x</script>"
    assert code.code.font().family() == theme().mono().family()
    assert code.findChild(QLabel, "code_language").text() == "html"
    chat.click(code.findChild(QPushButton, "copy_code"))
    assert QGuiApplication.clipboard().text() == "<script>x</script>"
    chat.click(view.findChild(QPushButton, "copy"))
    assert QGuiApplication.clipboard().text() == HOSTILE
    assert not view.findChildren(QTextEdit)
    assert "<img" in chat.page.transcript.views[0].findChild(QLabel).text()
    long = chat.page.transcript.views[-1]
    assert "980,000 characters left" in long.findChild(QPushButton, "show_more").text()
    assert long.width() <= chat.page.transcript.viewport().width()


def test_streaming_stays_at_the_end_only_while_the_reader_is_there(chat: Chatting) -> None:
    turns = [(("user", "assistant")[n % 2], f"Line one of {n}\n\nline two\n\nline three") for n in range(20)]
    made = stored(chat.db, *turns)
    chat.page.open_item(made.id)
    chat.settle()
    bar = chat.page.transcript.verticalScrollBar()
    assert bar.value() == bar.maximum() > 0
    chat.send(ENDLESS)
    chat.until(lambda: "word40" in chat.last)
    assert bar.value() == bar.maximum()
    place = bar.maximum() // 2
    bar.setValue(place)
    before = bar.maximum()
    chat.until(lambda: bar.maximum() > before)
    assert bar.value() == place
    assert chat.page.transcript.to_end.isVisible()
    chat.click(chat.page.transcript.to_end)
    assert bar.value() == bar.maximum()
    chat.page.stop()
    chat.ended()
    assert bar.value() == bar.maximum()


def test_a_chat_of_500_messages_makes_widgets_for_what_is_seen(chat: Chatting) -> None:
    text = (
        "A paragraph of some length that wraps at least once in the column of the chat.\n\n```python\nprint(1)\n```\n"
    )
    turns = [(("user", "assistant")[n % 2], f"{n}: {text}") for n in range(500)]
    with transaction(chat.db):
        made = stored(chat.db, *turns, adapter="calm")
    chat.page.open_item(made.id)
    chat.until(lambda: len(chat.page.transcript.turns) == 500)
    chat.settle()
    assert 10 < len(chat.page.transcript.views) < 60
    assert chat.page.transcript.views[-1].turn.said[0].text.startswith("499")
    bar = chat.page.transcript.verticalScrollBar()
    assert bar.value() == bar.maximum()
    seen = chat.page.transcript.views[0].turn.id
    bar.setValue(bar.minimum())
    chat.until(lambda: chat.page.transcript.views[0].turn.id != seen)
    chat.settle()
    kept = next(v for v in chat.page.transcript.views if v.turn.id == seen)
    assert abs(kept.mapTo(chat.page.transcript.viewport(), kept.rect().topLeft()).y()) < 60


def test_no_line_is_longer_than_76_characters(chat: Chatting) -> None:
    made = stored(chat.db, ("user", "Hello"), ("assistant", "The lender reads your statements first. " * 12))
    chat.page.open_item(made.id)
    chat.window.resize(1440, 900)
    chat.settle()
    shown = chat.page.transcript.views[-1].findChild(MessageText)
    assert shown.width() <= column_width()
    assert shown.fontMetrics().averageCharWidth() * 76 >= column_width() * 0.7
    question = chat.page.transcript.views[0].findChild(QWidget, "question")
    assert question.mapTo(chat.page, question.rect().topRight()).x() == pytest.approx(
        shown.mapTo(chat.page, shown.rect().topRight()).x(), abs=3
    )


def test_training_takes_the_memory_and_the_header_says_so(chat: Chatting, tiny_jobs: None) -> None:
    size, moment = 2 * READING_BYTES, [0.0]
    chat.services.arbiter.book.read = lambda: Memory(size, size, Pressure.NORMAL)
    chat.services.arbiter._clock = lambda: moment[0]
    chat.ask("Hello")
    params = {"mode": "loop", "asks": size}
    job_id = chat.services.start_job("tiny_gpu", "Something large", params)
    chat.until(lambda: chat.services.engine.state == "off")
    assert "Model unloaded while “Something large” runs; it loads again when you ask" in chat.state
    assert "switched" not in chat.state
    chat.click(chat.page.chips.chip("calm"))
    chat.settle()
    assert chat.services.engine.pid == 0
    chat.send("And now?")
    chat.until(lambda: "Waiting for the memory: “Something large” has it for another 60 s" in chat.state)
    moment[0] = 61.0
    chat.services.arbiter._turn.timeout.emit()
    chat.until(lambda: chat.rows()[-1].status == "complete")
    chat.services.queue.stop(job_id)
    chat.until(lambda: not chat.services.queue.busy)


def test_closing_in_mid_answer_leaves_it_interrupted(qtbot: Any, tiny: Any, window: Any, workspace: Any) -> None:
    from core.db.connection import connect

    chat = Chatting(qtbot, window, tiny)
    chat.until(lambda: chat.page.chat is not None)
    chat.settle()
    chat.send(ENDLESS)
    chat.until(lambda: "word9" in chat.last)
    tiny.close()
    db = connect(workspace.db_path)
    row = db.execute("select * from chat_messages order by position desc").fetchone()
    assert row["status"] == "interrupted"
    assert "word9" in row["content"]
    db.close()


def test_a_question_that_can_not_be_stored_comes_back_into_the_field(
    chat: Chatting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: Any, **_kwargs: Any) -> Any:
        raise AppError("disk_full", "The disk is full.", hint="Free some space.")

    monkeypatch.setattr(chats, "ask", full)
    chat.write("Precious words")
    chat.qtbot.keyClick(chat.page.composer.field, Qt.Key.Key_Return)
    chat.settle()
    assert chat.page.composer.text == "Precious words"
    assert "The disk is full" in chat.banner().text
    assert chats.listing(chat.db) == []


def test_another_base_brings_its_own_adapters(chat: Chatting, tmp_path: Path) -> None:
    add_base(chat.db, tmp_path / "other", "other", "Larger model")
    add_adapter(chat.db, chat.services.workspace, "far", "Far away", base="other")
    chat.announce()
    assert "far" not in chat.page.chips.keys
    assert chat.page.choose_base.isVisible()
    chat.page.choose_base.chosen.emit("other")
    chat.settle()
    assert chat.page.chips.keys == ["base", "far"]
    assert chat.page.base_pill.status.word == "Larger model"
    chat.ask("Hello")
    assert chat.said_by() == ["Larger model, no adapter"]
    assert chats.get(chat.db, chat.page.chat.id).base_model_id == "other"


def test_an_adapter_in_the_trash_leaves_the_base_and_keeps_its_name(chat: Chatting) -> None:
    made = stored(chat.db, ("user", "Hello"), ("assistant", "Hi."), adapter="calm")
    trash.delete(chat.db, "model_artifacts", ["calm"])
    chat.announce()
    chat.page.open_item(made.id)
    chat.settle()
    assert chat.said_by() == ["Empathy v3"]
    assert "calm" not in chat.page.chips.keys
    assert chat.page.chips.chip("base").isChecked()
    assert "The chosen adapter was deleted; the base answers" in chat.state


@pytest.mark.parametrize("size", [(1100, 700), (1440, 900)])
def test_nothing_is_cut_off_at_either_size(chat: Chatting, size: tuple[int, int]) -> None:
    made = stored(chat.db, ("user", "Hello " * 30), ("assistant", "Word " * 200))
    chat.page.open_item(made.id)
    chat.window.resize(*size)
    theme().set_scale(1.0)
    chat.settle()
    assert chat.window.width() == size[0]
    for name in ("compare", "adapter_base", "adapter_calm", "send", "base_chip"):
        widget = chat.find(QWidget, name)
        right = widget.mapTo(chat.page, widget.rect().topRight()).x()
        assert right <= chat.page.width() - theme().sizes.grid, name
    for view in chat.page.transcript.views:
        assert isinstance(view, TurnView)
        assert view.width() <= chat.page.transcript.viewport().width()


def test_blocks_and_words() -> None:
    cut = blocks("one\n\n```py extra\nx = 1\n```\ntwo\n```\nopen")
    assert [(b.kind, b.text, b.language) for b in cut] == [
        ("text", "one", ""), ("code", "x = 1", "py"), ("text", "two", ""), ("code", "open", ""),
    ]  # fmt: skip
    assert blocks("") == []
    assert switch_text({"switch_s": 0.0123, "was_resident": False}).startswith("loaded and switched in 12 ms")


def test_each_adapter_is_asked_with_the_prompt_it_was_trained_with_unless_one_is_pinned(chat: Chatting) -> None:
    shown = chat.page.settings
    chat.ask("Hello")
    chat.ended()
    assert "told 'nothing'" in chat.rows()[-1].content
    chat.choose("calm")
    chat.ask("And now?")
    chat.ended()
    assert f"told {PROMPT!r}" in chat.rows()[-1].content
    chat.click(shown.prompt_fold)
    assert shown.whose.text().startswith("The adapter's own")
    chat.click(shown.pin)
    chat.until(lambda: chats.get(chat.db, chat.page.chat.id).prompt_pinned)
    chat.choose("base")
    chat.ask("Still told?")
    chat.ended()
    assert f"told {PROMPT!r}" in chat.rows()[-1].content
    chat.click(shown.pin)
    chat.until(lambda: chats.get(chat.db, chat.page.chat.id).system_prompt == "")
    assert shown.prompt.toPlainText() == ""
    chat.qtbot.keyClicks(shown.prompt, "Mine.")
    assert shown.whose.text() == "Kept for every adapter"
    chat.choose("calm")
    chat.until(lambda: chats.get(chat.db, chat.page.chat.id).system_prompt == "Mine.")


def from_menu(chat: Chatting, qapp: Any, words: str) -> None:
    """Click an entry of the menu of saved prompts."""
    chat.click(chat.page.settings.presets)
    chat.until(lambda: bool(_menus(qapp)))
    (menu,) = _menus(qapp)
    action = next(action for action in menu.actions() if action.text() == words)
    assert action.isEnabled()
    chat.qtbot.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(action).center())
    chat.until(lambda: not _menus(qapp))


def _menus(qapp: Any) -> list[Any]:
    return [w for w in qapp.topLevelWidgets() if w.objectName() == "saved_prompts_menu" and w.isVisible()]


def test_a_prompt_is_saved_used_in_another_chat_and_removed(chat: Chatting, qapp: Any) -> None:
    shown = chat.page.settings
    chat.click(shown.prompt_fold)
    chat.qtbot.keyClicks(shown.prompt, "Be brief & kind.")
    from_menu(chat, qapp, "Save this prompt")
    chat.until(lambda: settings.get(chat.db, "system_prompts", []) == ["Be brief & kind."])
    chat.click(chat.page.list.new)
    chat.settle()
    assert shown.prompt.toPlainText() == ""
    from_menu(chat, qapp, "Be brief && kind.")
    assert shown.prompt.toPlainText() == "Be brief & kind."
    chat.ask("Hello")
    assert "told 'Be brief & kind.'" in chat.rows()[-1].content
    assert chats.get(chat.db, chat.page.chat.id).prompt_pinned
    from_menu(chat, qapp, "Remove this prompt")
    chat.until(lambda: settings.get(chat.db, "system_prompts", []) == [])
    chat.settle()
    assert shown.prompt.toPlainText() == "Be brief & kind."


def export_dialogs(qapp: Any) -> list[Any]:
    return [w for w in qapp.topLevelWidgets() if w.objectName() == "export_chat_dialog" and w.isVisible()]


def test_a_pinned_chat_stays_on_top_and_is_exported(chat: Chatting, tmp_path: Path, qapp: Any) -> None:
    old = stored(chat.db, ("user", "Old/one: ?"), ("assistant", "Yes, **dear**."), adapter="calm")
    stored(chat.db, ("user", "Newer"), ("assistant", "No."))
    chat.announce()
    names = chat.page.list.list
    chat.until(lambda: names.count() == 2)
    names.setCurrentRow(1)
    chat.until(lambda: chat.page.chat.id == old.id)
    names.setFocus()
    chat.qtbot.keyClick(names, Qt.Key.Key_P)
    chat.until(lambda: names.item(0).text() == "Old/one: ?")
    assert "pinned" in names.item(0).data(Qt.ItemDataRole.AccessibleTextRole)
    assert chats.get(chat.db, old.id).updated_at == old.updated_at or chats.get(chat.db, old.id).pinned
    for suffix in ("md", "json"):
        chat.page.list.export_current()
        chat.until(lambda: len(export_dialogs(qapp)) == 1)
        (asked,) = export_dialogs(qapp)
        assert Path(asked.selectedFiles()[0]).name == "Old one.md"
        path = tmp_path / f"talk.{suffix}"
        asked.fileSelected.emit(str(path))
        asked.close()
        chat.until(path.exists)
    text = (tmp_path / "talk.md").read_text()
    assert text.startswith("# Old/one: ?\n\nBase: Practice model")
    assert "## You\n\nOld/one: ?\n\n## Empathy v3\n\nYes, **dear**." in text
    found = orjson.loads((tmp_path / "talk.json").read_bytes())
    assert [(m["role"], m["content"], m["adapter"]) for m in found["messages"]] == [
        ("user", "Old/one: ?", None), ("assistant", "Yes, **dear**.", "Empathy v3")
    ]  # fmt: skip


def test_the_empty_field_says_who_answers_next(chat: Chatting) -> None:
    field = chat.page.composer.field
    chat.choose("calm")
    chat.until(lambda: field.placeholderText() == "Ask Empathy v3")
    painted = Painted(field.viewport())
    chat.choose("legal")
    chat.until(lambda: field.placeholderText() == "Ask Legal tone")
    chat.until(lambda: any(region.contains(field.viewport().rect().center()) for region in painted.regions))


def test_the_adapter_that_usually_comes_next_is_loaded_ahead(chat: Chatting) -> None:
    for key in ("calm", "legal", "calm"):
        chat.choose(key)
        chat.ask(f"Hello {key}")
    chat.services.engine.unload()
    chat.until(lambda: chat.services.engine.state == "off")
    chat.ask("And again")
    chat.until(lambda: chat.page.session.resident >= {"calm", "legal"})
    assert chat.page.chips.chip("legal").property("state") == "resident"
    assert chat.rows()[-1].artifact_id == "calm"
    kept = settings.get(chat.db, "switching_habits", {})
    assert kept["steps"]["calm"] == {"legal": 1.0}
    assert chat.page.session.ahead.words.startswith("The adapter was in memory for ")
    assert " of 4 answers, and loaded first for " in chat.page.session.ahead.words


def test_answers_that_are_asked_for_again_stay_beside_each_other(chat: Chatting) -> None:
    chat.ask("Hello")
    base = chat.rows()[-1].content
    for key in ("calm", "legal"):
        chat.choose(key)
        chat.click(chat.page.transcript.views[-1].findChild(QPushButton, "ask_again"))
        chat.ended()
    calm, legal = chat.rows()[-1].others[1]["content"], chat.rows()[-1].content
    assert len({base, calm, legal}) == 3

    def variants() -> Any:
        return chat.page.transcript.views[-1].findChild(QWidget, "variants")

    assert variants().words.text() == "3 of 3"
    chat.click(variants().earlier)
    chat.until(lambda: variants().words.text() == "2 of 3")
    assert chat.rows()[-1].content == calm
    assert chat.said_by() == ["Empathy v3"]
    chat.click(variants().earlier)
    chat.until(lambda: variants().words.text() == "1 of 3")
    assert chat.rows()[-1].content == base
    assert not variants().earlier.isEnabled()
    # What counts is what the next question follows.
    chat.ask("Go on")
    assert chat.rows()[1].content == base
    assert [m.place for m in chat.rows()] == [0, 0, 0, 0]
    again = chats.choose_answer(chat.db, chat.rows()[1].id, 2)
    assert again == Changed.CHATS
    assert chat.rows()[1].content == legal
    with pytest.raises(AppError):
        chats.choose_answer(chat.db, chat.rows()[1].id, 3)
