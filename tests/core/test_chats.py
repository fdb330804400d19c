"""Chats as the engine is asked: what counts of the conversation."""

from __future__ import annotations

from dataclasses import replace

from core.projects import chats, export
from core.projects.chats import COMPLETE, FAILED, STOPPED, Message
from tests.core.factories import Place
from tests.support.studio import add_practice_model


def chat_of(here: Place, *turns: tuple[str, str, str]) -> list[dict[str, str]]:
    chat = chats.create(here.db, add_practice_model(here.db), None, "Be brief.")
    for role, content, status in turns:
        chats.add_message(here.db, chat.id, role, content, status=status)
    history: list[Message] = chats.messages(here.db, chat.id)
    return chats.prompt_messages(chat, history)


def test_a_question_that_failed_is_not_asked_with_the_next(here: Place) -> None:
    found = chat_of(
        here, ("user", "hi", COMPLETE), ("assistant", "Hello.", COMPLETE), ("user", "far too long", COMPLETE),
        ("assistant", "", FAILED), ("user", "short", COMPLETE),
    )  # fmt: skip
    assert [m["content"] for m in found] == ["Be brief.", "hi", "Hello.", "short"]


def test_one_that_failed_midway_or_is_asked_again_is_asked(here: Place) -> None:
    found = chat_of(
        here, ("user", "one", COMPLETE), ("assistant", "A part", FAILED), ("user", "two", COMPLETE),
        ("assistant", "", STOPPED), ("user", "three", COMPLETE),
    )  # fmt: skip
    assert [m["content"] for m in found] == ["Be brief.", "one", "A part", "two\n\nthree"]


def test_the_last_used_chat_need_not_be_the_pinned_one_and_every_answer_is_exported(here: Place) -> None:
    base = add_practice_model(here.db)
    pinned, last = chats.create(here.db, base), chats.create(here.db, base)
    chats.set_pinned(here.db, pinned.id, True)
    chats.add_message(here.db, last.id, "user", "One?")
    answer = chats.add_message(here.db, last.id, "assistant", "First.", artifact_id="a")
    again = chats.ask_again(here.db, answer.id, None)
    chats.write_answer(here.db, replace(again, content="Second.", status=COMPLETE))
    assert chats.listing(here.db)[0].id == pinned.id
    assert chats.last_used(here.db) == last.id
    found = export.as_json(chats.get(here.db, last.id), chats.messages(here.db, last.id), {"a": "Calm"}, "Base")
    said = found["messages"][-1]
    assert (said["content"], said["adapter"]) == ("Second.", None)
    assert [(other["content"], other["adapter"]) for other in said["others"]] == [("First.", "Calm")]
