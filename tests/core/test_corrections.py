"""Answers kept to train on: a copy of the conversation, in the model's words or better ones, and a dataset of them."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from sqlite_utils import Database

from core import trash
from core.datasets import store as datasets
from core.errors import AppError
from core.projects import chats, corrections
from core.projects.attachments import Attachment
from tests.core import factories
from tests.core.factories import Place
from tests.support.chat import TINY_BASE, add_base
from tests.support.studio import add_dataset


@pytest.fixture
def here(tmp_path: Path) -> Place:
    made = factories.place(tmp_path)
    add_base(made.db, tmp_path)
    return made


def talk(db: Database) -> list[chats.Message]:
    chat = chats.create(db, TINY_BASE, system_prompt="Be kind.")
    chats.add_message(db, chat.id, "user", "I am afraid.", attachments=[Attachment("a.txt", "Rent 900")])
    chats.add_message(db, chat.id, "assistant", "Of what?")
    chats.add_message(db, chat.id, "user", "Of letters.")
    chats.add_message(db, chat.id, "assistant", "Open one.")
    return chats.messages(db, chat.id)


def test_a_good_answer_is_a_row_whose_last_answer_trains(here: Place) -> None:
    rows = talk(here.db)
    _, kept = corrections.keep(here.db, rows[3].id)
    assert (kept.title, kept.answer, kept.corrected) == ("Of letters.", "Open one.", False)
    assert kept.row()["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "I am afraid.\n\nFile a.txt:\n```\nRent 900\n```"},
        {"role": "assistant", "content": "Of what?", "weight": 0}, {"role": "user", "content": "Of letters."},
        {"role": "assistant", "content": "Open one.", "weight": 1},
    ]  # fmt: skip


def test_kept_twice_it_is_one_and_the_newer_words_count(here: Place) -> None:
    message = talk(here.db)[3]
    _, first = corrections.keep(here.db, message.id)
    _, second = corrections.keep(here.db, message.id, "Open the smallest one first.")
    assert second.id == first.id
    (found,) = corrections.listing(here.db)
    assert (found.answer, found.original, found.corrected) == ("Open the smallest one first.", "Open one.", True)
    corrections.rewrite(here.db, found.id, "Open the smallest one.")
    assert corrections.get(here.db, found.id).answer == "Open the smallest one."
    for empty in (lambda: corrections.rewrite(here.db, found.id, " "),
                  lambda: corrections.keep(here.db, message.id, "\n")):  # fmt: skip
        with pytest.raises(AppError) as refused:
            empty()
        assert refused.value.code == "empty_content"


def test_another_answer_in_its_place_is_another_one(here: Place) -> None:
    message = talk(here.db)[3]
    corrections.keep(here.db, message.id)
    again = chats.ask_again(here.db, message.id, None)
    chats.write_answer(here.db, chats.replace(again, content="Breathe first.", status="complete"))
    corrections.keep(here.db, message.id)
    assert sorted(found.answer for found in corrections.listing(here.db)) == ["Breathe first.", "Open one."]
    assert corrections.of_answer(here.db, message.id, "Open one. ") is not None


def test_it_stays_when_the_chat_goes_and_comes_back_from_the_trash(here: Place) -> None:
    message = talk(here.db)[1]
    _, kept = corrections.keep(here.db, message.id)
    trash.delete(here.db, "chats", [message.chat_id])
    assert [found.id for found in corrections.listing(here.db, "AFRAID")] == [kept.id]
    for words in ("nothing like it", "role", '"content"'):
        assert corrections.listing(here.db, words) == []
    trash.delete(here.db, "corrections", [kept.id])
    assert corrections.count(here.db) == 0
    trash.restore(here.db, "corrections", [kept.id])
    assert corrections.count(here.db) == 1


def test_the_file_is_imported_as_a_dataset(here: Place, tmp_path: Path) -> None:
    rows = talk(here.db)
    for message in (rows[1], rows[3]):
        corrections.keep(here.db, message.id)
    path = tmp_path / "Corrections.jsonl"
    kept = corrections.whole(here.db, [found.id for found in corrections.listing(here.db)])
    assert corrections.write_file(path, kept) == 2
    assert all(orjson.loads(line)["messages"] for line in path.read_bytes().splitlines())
    found = datasets.get(here.db, add_dataset(here.db, here.workspace, path))
    assert (found.name, found.total_conversations) == ("Corrections", 2)
    assert found.total_training_pairs + found.total_validation_pairs == 2


def test_it_keeps_the_prompt_that_the_answer_was_given_with(here: Place) -> None:
    message = talk(here.db)[3]
    chats.write_answer(here.db, chats.replace(message, stats={chats.PROMPT: "As trained."}))
    chats.update(here.db, message.chat_id, system_prompt="")
    _, kept = corrections.keep(here.db, message.id)
    assert kept.row()["messages"][0] == {"role": "system", "content": "As trained."}
