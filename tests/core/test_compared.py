"""Answers side by side: kept with the message, read in the older form too, and one of them chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlite_utils import Database

from core.errors import AppError
from core.projects import chats, compared
from core.projects.chats import Message
from core.projects.compared import Compared, Side, compared_of
from core.projects.export import as_json, as_markdown
from tests.core import factories
from tests.support.chat import add_base

SIDES = (
    Side("calm", "Breathe first.", "complete", {"tokens": 3}), Side(None, "Pay it.", "complete", {"tokens": 2}),
    Side("legal", "Read the letter.", "stopped", {}),
)  # fmt: skip


@pytest.fixture
def db(tmp_path: Path) -> Database:
    made = factories.place(tmp_path).db
    add_base(made, tmp_path)
    return made


@pytest.fixture
def answer(db: Database) -> Message:
    chat = chats.create(db, chats_base(db))
    return chats.ask(db, chat.id, "What now?", "legal")[1]


def chats_base(db: Database) -> str:
    return str(db.execute("select id from base_models").fetchone()[0])


def test_what_was_put_in_is_read_back(db: Database, answer: Message) -> None:
    shown = Compared(SIDES, 2, blind=True)
    chats.write_answer(db, shown.put_into(answer))
    found = chats.message(db, answer.id)
    assert (found.content, found.artifact_id, found.status) == ("Read the letter.", "legal", "stopped")
    assert compared_of(found) == shown


@pytest.mark.parametrize("place", range(3))
def test_the_chosen_answer_counts_and_everybody_is_named(db: Database, answer: Message, place: int) -> None:
    chats.write_answer(db, Compared(SIDES, 2, blind=True).put_into(answer))
    compared.choose(db, answer.id, place)
    found = chats.message(db, answer.id)
    assert compared_of(found) == Compared(SIDES, place)
    assert (found.content, found.artifact_id) == (SIDES[place].content, SIDES[place].artifact_id)
    history = chats.messages(db, answer.chat_id)
    assert chats.prompt_messages(chats.get(db, answer.chat_id), history)[-1]["content"] == SIDES[place].content


def test_there_is_nothing_to_choose_where_one_answered(db: Database, answer: Message) -> None:
    for place in (0, 1):
        with pytest.raises(AppError) as caught:
            compared.choose(db, answer.id, place)
        assert caught.value.code == "no_such_message"


def test_the_older_form_is_read(answer: Message) -> None:
    kept = {"content": "Pay it.", "status": "complete", "stats": {"tokens": 2}}
    old = replace(answer, content="Breathe.", status="complete", stats={"tokens": 3, "compared": kept})
    assert compared_of(old) == Compared(
        (Side(None, "Pay it.", "complete", {"tokens": 2}), Side("legal", "Breathe.", "complete", {"tokens": 3})), 1
    )


def test_the_export_has_every_side(db: Database, answer: Message) -> None:
    chats.write_answer(db, Compared(SIDES, 0).put_into(answer))
    chat = chats.get(db, answer.chat_id)
    text = as_markdown(chat, chats.messages(db, chat.id), {"calm": "Calm", "legal": "Legal"}, "Base")
    heads = [line for line in text.splitlines() if line.startswith("## ")]
    assert heads == ["## You", "## Calm", "## Base", "## Legal"]


def test_asked_again_the_others_are_kept_also_where_the_one_that_counts_was_stopped(
    db: Database, answer: Message
) -> None:
    sides = (SIDES[1], Side("legal", "", "stopped", {}))
    chats.write_answer(db, Compared(sides, 1).put_into(answer))
    fresh = chats.ask_again(db, answer.id, None)
    assert len(fresh.others) == 1
    chats.choose_answer(db, answer.id, 0)
    assert compared_of(chats.message(db, answer.id)) == Compared(sides, 1)


def test_the_export_of_a_blind_comparison_names_nobody(db: Database, answer: Message) -> None:
    chats.write_answer(db, Compared(SIDES, 0, blind=True).put_into(answer))
    chat = chats.get(db, answer.chat_id)
    names = {"calm": "Calm", "legal": "Legal"}
    rows = chats.messages(db, chat.id)
    text = as_markdown(chat, rows, names, "The base")
    assert [line for line in text.splitlines() if line.startswith("## ")][1:] == [
        "## Answer 1",
        "## Answer 2",
        "## Answer 3",
    ]
    assert not any(
        word in repr(as_json(chat, rows, names, "B")["messages"]) for word in ("Calm", "calm", "Legal", "legal")
    )
