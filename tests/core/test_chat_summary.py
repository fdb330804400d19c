"""What was said long ago as a summary: when it is due, of what, and what the model is given instead."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlite_utils import Database

from core.events import Changed
from core.projects import chats, summary
from core.projects.chats import Chat
from core.projects.summary import KEEP, STEP, due, pieces
from tests.core import factories
from tests.support.chat import TINY_BASE, add_base


@pytest.fixture
def db(tmp_path: Path) -> Database:
    made = factories.place(tmp_path).db
    add_base(made, tmp_path)
    return made


def talk(db: Database, exchanges: int) -> Chat:
    chat = chats.create(db, TINY_BASE, system_prompt="Be kind.")
    for number in range(exchanges):
        chats.add_message(db, chat.id, "user", f"Question {number}")
        chats.add_message(db, chat.id, "assistant", f"Answer {number}")
    return chats.get(db, chat.id)


def test_the_last_exchanges_stay_and_older_ones_go_in_steps(db: Database) -> None:
    shorter = talk(db, KEEP + STEP - 1)
    assert due(shorter, chats.messages(db, shorter.id)) == 0
    chat = talk(db, KEEP + STEP)
    history = chats.messages(db, chat.id)
    upto = due(chat, history)
    assert upto == 2 * STEP
    assert summary.put(db, chat.id, "Ten things were said.", upto) == Changed.CHATS
    chat = chats.get(db, chat.id)
    assert due(chat, history) == 0
    asked = chats.prompt_messages(chat, history)
    assert asked[0]["content"] == "Be kind.\n\nWhat was said before, in short:\nTen things were said."
    assert asked[1]["content"] == f"Question {STEP}"
    assert len(asked) == 1 + 2 * KEEP


@pytest.mark.parametrize(("left_out", "upto"), [(1, 2), (2, 2), (3, 4), (7, 8), (50, 18)])
def test_what_had_no_room_is_summarised_by_whole_exchanges(db: Database, left_out: int, upto: int) -> None:
    chat = talk(db, 10)
    assert due(chat, chats.messages(db, chat.id), left_out) == upto


def test_the_pieces_hold_everything_that_was_said_since_the_last_summary(db: Database) -> None:
    chat = talk(db, 10)
    history = chats.messages(db, chat.id)
    found = pieces(chat, history, 20, 100)
    assert all(len(piece) <= 100 for piece, _ in found)
    assert [upto for _, upto in found] == sorted({upto for _, upto in found})
    assert found[-1][1] == 20
    whole = "\n\n".join(piece for piece, _ in found)
    assert [f"User: Question {n}" in whole and f"Assistant: Answer {n}" in whole for n in range(10)] == [True] * 10
    ((later, upto),) = pieces(replace(chat, summary="Short.", summary_upto=10), history, 20, 10_000)
    assert upto == 20
    assert "Question 4" not in later
    assert "Question 5" in later


def test_one_endless_message_is_cut_in_its_middle(db: Database) -> None:
    chat = chats.create(db, TINY_BASE)
    chats.add_message(db, chat.id, "user", "begin " + "x" * 5_000 + " end")
    ((piece, _),) = pieces(chat, chats.messages(db, chat.id), 1, 200)
    assert piece.startswith("User: begin")
    assert "[…]" in piece
    assert piece.endswith(" end")
    assert len(piece) <= 210


def test_a_summary_made_of_older_words_does_not_replace_a_newer_one(db: Database) -> None:
    chat = talk(db, 3)
    summary.put(db, chat.id, "By hand", 4)
    assert summary.put(db, chat.id, "Late", 2, instead_of=("", 0)) == Changed.NOTHING
    assert summary.put(db, chat.id, "Late", 4, instead_of=("By another hand", 4)) == Changed.NOTHING
    assert chats.get(db, chat.id).summary == "By hand"
    assert chats.get(db, chat.id).updated_at == chat.updated_at


def test_who_wants_the_messages_gets_no_other_summary(db: Database) -> None:
    chat = talk(db, KEEP + STEP)
    history = chats.messages(db, chat.id)
    summary.put(db, chat.id, " ", 4)
    found = chats.get(db, chat.id)
    assert (found.summary, due(found, history), due(found, history, left_out=10)) == ("", 0, 0)
    assert chats.prompt_messages(found, history)[1]["content"] == "Question 0"


def test_what_is_left_out_is_counted_as_the_model_was_given_it(db: Database) -> None:
    chat = chats.create(db, TINY_BASE)
    for number in range(6):
        chats.add_message(db, chat.id, "user", f"In vain {number}")
        chats.add_message(db, chat.id, "assistant", "", status=chats.FAILED)
    for number in range(4):
        chats.add_message(db, chat.id, "user", f"Question {number}")
        chats.add_message(db, chat.id, "assistant", f"Answer {number}")
    history = chats.messages(db, chat.id)
    upto = due(chat, history, left_out=4)
    assert next(m.content for m in history if m.position == upto) == "Answer 1"


def test_a_branch_keeps_the_summary_of_what_it_has(db: Database) -> None:
    chat = talk(db, 10)
    summary.put(db, chat.id, "Two things.", 4)
    later, earlier = chats.branch(db, chat.id, before=9), chats.branch(db, chat.id, before=3)
    assert (later.summary, later.summary_upto, len(chats.messages(db, later.id))) == ("Two things.", 4, 8)
    assert (earlier.summary, earlier.summary_upto, len(chats.messages(db, earlier.id))) == ("", 0, 2)
    assert later.branched_from == chat.id
