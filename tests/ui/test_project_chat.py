"""Chat about a project's code: what a question is given, places that open, and projects left and come back to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QLabel, QPushButton
from sqlite_utils import Database

from core.db.connection import transaction
from core.jobs import JobState
from core.projects import assistant, chats, projects
from core.projects.assistant import given_of
from core.projects.jobs import index_params
from core.projects.projects import Project
from tests.support.chatting import Chatting, tiny_studio
from tests.support.code_project import write_project
from tests.support.pages import until
from ui.widgets.code_block import CodeBlock

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("project_chat")]
QUESTION = "When does a refund need a second approval?"


class Code:
    """Two projects that are indexed by words."""

    def __init__(self, qtbot: Any, services: Any, folder: Path) -> None:
        self.qtbot, self.services = qtbot, services
        self.shop = self._add(write_project(folder / "shop"))
        (folder / "ledger").mkdir()
        (folder / "ledger" / "booking.py").write_text("def book_entry(entry):\n    return entry\n")
        self.ledger = self._add(folder / "ledger")

    def _add(self, root: Path) -> Project:
        db: Database = self.services.connections.db
        project = projects.add(db, root, embedder="none")
        ended: list[Any] = []
        params = index_params(self.services.workspace, project)
        self.services.start_job("index_project", f"Index {project.name}", params, ended.append)
        until(self.qtbot, lambda: bool(ended))
        assert ended[0].status is JobState.COMPLETED, ended[0].error
        return projects.get(db, project.id)


@pytest.fixture
def code(qtbot: Any, services: Any, tmp_path: Path) -> Code:
    services.queue.start()
    return Code(qtbot, services, tmp_path)


@pytest.fixture
def chat(qtbot: Any, services: Any, tmp_path: Path, code: Code, window: Any) -> Chatting:
    made = Chatting(qtbot, window, tiny_studio(services, tmp_path))
    made.until(lambda: made.page.chat is not None)
    made.settle()
    return made


def choose(chat: Chatting, project_id: str) -> None:
    """As somebody who opens the list and clicks."""
    chooser = chat.page.list.projects
    until(chat.qtbot, lambda: chooser.findData(project_id) >= 0 and chooser.isVisible())
    place = chooser.findData(project_id)
    chooser.setCurrentIndex(place)
    chooser.activated.emit(place)
    until(chat.qtbot, lambda: chat.page.of_project == project_id)
    chat.settle()


def test_a_question_is_given_what_was_found_and_the_code_comes_before_it(chat: Chatting, code: Code) -> None:
    choose(chat, code.shop.id)
    chat.ask(QUESTION)
    answer = chat.rows()[-1]
    given = given_of(answer.stats)
    assert given is not None
    assert "core/refunds/policy.py" in {source.path for source in given.used}
    assert answer.content.rstrip().endswith(f"Question: {QUESTION}")
    # The row keeps the question as it was asked.
    assert chat.rows()[0].content == QUESTION
    kept = chats.get(chat.db, chat.page.chat.id)
    assert (kept.project_id, kept.system_prompt) == (code.shop.id, assistant.system_prompt("shop"))
    panel = chat.page.given
    assert panel.isVisible()
    places = {row.place.text() for row in panel.rows}
    assert "policy.py:6-10" in places
    assert panel.line.text().startswith(f"{len(given.used)} of {len(given.sources)} found")


def test_places_in_an_answer_open_the_lines_that_were_given(chat: Chatting, code: Code) -> None:
    choose(chat, code.shop.id)
    chat.ask(QUESTION)
    chips = [b for b in chat.page.transcript.views[-1].findChildren(QPushButton, "place") if b.isVisible()]
    chip = next(b for b in chips if b.text() == "core/refunds/policy.py:6-10")
    chat.click(chip)
    row = next(row for row in chat.page.given.rows if row.place.text() == "policy.py:6-10")
    until(chat.qtbot, lambda: row.findChild(CodeBlock) is not None)
    assert "return refund.amount > LIMIT" in row.findChild(CodeBlock).source


def test_the_same_question_about_the_same_code_is_answered_at_once(chat: Chatting, code: Code) -> None:
    choose(chat, code.shop.id)
    chat.ask(QUESTION)
    first = chat.rows()[-1].content
    chat.page.new_chat()
    chat.ask(QUESTION)
    again = chat.rows()[-1]
    assert again.content == first
    assert again.stats["cached"]
    speed = chat.page.transcript.views[-1].findChild(QLabel, "answer_speed")
    assert speed.text().startswith("the same answer as")
    # Asked again it is given anew.
    chat.page.ask_again()
    chat.ended()
    assert "cached" not in chat.rows()[-1].stats


def test_each_project_is_found_as_it_was_left(chat: Chatting, code: Code) -> None:
    choose(chat, code.shop.id)
    chat.ask(QUESTION)
    shop_chat = chat.page.chat.id
    chat.write("half a thought")
    choose(chat, code.ledger.id)
    assert (chat.page.composer.text, chat.page.chat.id) == ("", "")
    assert chat.page.list.list.count() == 0
    chat.ask("book_entry")
    assert given_of(chat.rows()[-1].stats).used[0].path == "booking.py"
    choose(chat, code.shop.id)
    until(chat.qtbot, lambda: chat.page.chat.id == shop_chat)
    assert chat.page.composer.text == "half a thought"
    assert chat.texts()[0] == QUESTION
    # Over a restart too: it is in the database.
    chat.page.flush()
    chat.settle()
    assert projects.get(chat.db, code.shop.id).state["draft"] == "half a thought"


def test_projects_that_are_switched_faster_than_they_open_keep_what_is_theirs(chat: Chatting, code: Code) -> None:
    chooser, page = chat.page.list.projects, chat.page
    choose(chat, code.shop.id)
    chat.ask(QUESTION)
    shop_chat = page.chat.id
    chat.write("half a thought")
    for ident in (code.ledger.id, code.shop.id, code.ledger.id, "", code.ledger.id):
        chooser.activated.emit(chooser.findData(ident))
    chat.settle()
    assert (page.of_project, page.chat.project_id, page.chat.id) == (code.ledger.id, code.ledger.id, "")
    assert page.composer.text == ""
    choose(chat, code.shop.id)
    assert (page.chat.id, page.composer.text) == (shop_chat, "half a thought")
    page.flush()
    chat.settle()
    states = {project.id: project.state for project in projects.listing(chat.db)}
    assert (states[code.shop.id]["chat"], states[code.shop.id]["draft"]) == (shop_chat, "half a thought")
    assert "chat" not in states[code.ledger.id]


def test_a_code_worker_that_dies_costs_the_context_and_not_the_answer(chat: Chatting, code: Code) -> None:
    choose(chat, code.shop.id)
    broken = projects.get(chat.db, code.shop.id).folder(chat.services.workspace) / "lexical" / "state.db"
    broken.write_bytes(b"not a database at all" * 100)
    chat.ask("Where is the limit?")
    answer = chat.rows()[-1]
    assert answer.status == chats.COMPLETE
    given = given_of(answer.stats)
    assert given is not None
    assert not given.used
    assert given.notices
    assert chat.page.given.notices.isVisible()


def test_a_deleted_project_leaves_its_chats(chat: Chatting, code: Code) -> None:
    choose(chat, code.shop.id)
    chat.ask(QUESTION)
    with transaction(chat.db):
        chat.db.execute("update projects set deleted_at = 'now' where id = ?", [code.shop.id])
    chat.announce()
    until(chat.qtbot, lambda: chat.page.of_project == "")
    assert not chat.page.given.isVisible()
    assert chat.texts()[0] == QUESTION


def test_a_question_waits_until_the_chat_of_its_project_is_shown(chat: Chatting, code: Code) -> None:
    choose(chat, code.shop.id)
    chat.ask(QUESTION)
    chat.write("for the shop")
    choose(chat, code.ledger.id)
    place = chat.page.list.projects.findData(code.shop.id)
    chat.page.list.projects.setCurrentIndex(place)
    chat.page.list.projects.activated.emit(place)
    # The draft is there before its chat is.
    assert chat.page.composer.text == "for the shop"
    chat.page.composer.submit()
    assert chat.page.composer.text == "for the shop"
    until(chat.qtbot, lambda: chat.page.chat.project_id == code.shop.id)
    chat.page.composer.submit()
    chat.ended()
    assert [m.content for m in chat.rows() if m.role == "user"] == [QUESTION, "for the shop"]
