"""The local checks of a conversation's words, and near-duplicates."""

from __future__ import annotations

import pytest

from core import trash
from core.conversations import digests, likeness, store
from core.conversations.checks import Check
from core.conversations.parse import Turn
from core.conversations.store import Filter
from tests.core.factories import KIND, Place, add_conversation, parsed


def checks(*texts: str | None) -> list[tuple[Check, int]]:
    turns = [Turn(("user", "assistant")[place % 2], text) for place, text in enumerate(texts)]
    return [(remark.check, remark.turn) for remark in digests.digest(turns).remarks]


def test_an_ordinary_conversation_has_no_findings() -> None:
    assert checks(*KIND) == []
    assert checks(
        "We owe $12,450.75 at 6.25% since 2019-04-01, 30 years, about 1,200 a month; 401(k) and a 529 plan.",
        "From 2019 to 2024 that is 60 payments. ISBN 978-3-16-148410-0 is the book; page 12-34. To do it, wait.",
    ) == []  # fmt: skip


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("Write to anna.b@example.org now.", Check.PERSONAL), ("Call +49 30 1234 5678 tonight.", Check.PERSONAL),
        ("Call (415) 555-2671 tonight.", Check.PERSONAL), ("It is DE89 3704 0044 0532 0130 00 then.", Check.PERSONAL),
        ("My card is 4111 1111 1111 1111 here.", Check.PERSONAL), ("My SSN is 219-09-9999 here.", Check.PERSONAL),
        ("The key is sk-ant-api03-aaaaaaaaaaaaaaaaaaaa here.", Check.SECRETS),
        ("-----BEGIN RSA PRIVATE KEY-----", Check.SECRETS), ("The password is hunter2!x for it.", Check.SECRETS),
        ("Hello {{client_name}}, welcome.", Check.PLACEHOLDERS), ("Dear [insert name], welcome.", Check.PLACEHOLDERS),
        ("Support engineer: Try it.", Check.STRUCTURE),
        ("Client: I am lost.", Check.STRUCTURE), ("**Consultant:** We look.", Check.STRUCTURE),
    ],
)  # fmt: skip
def test_what_is_found_in_a_turn(text: str, check: Check) -> None:
    assert checks("I feel lost.", text) == [(check, 2)]


@pytest.mark.parametrize(
    "text",
    ["The card 4111 1111 1111 1112 is none.", "DE89 3704 0044 0532 0130 01 is none.",
     "The password is the one you know.", "The todos are many.", "Call me at 5 or 6.", "The client: well, me."],
)  # fmt: skip
def test_what_only_looks_like_it(text: str) -> None:
    assert checks("I feel lost.", text) == []


def test_secrets_are_named_and_never_repeated() -> None:
    (remark,) = digests.digest([Turn("user", "sk-ant-api03-aaaaaaaaaaaaaaaaaaaa"), Turn("assistant", "Well.")]).remarks
    assert "sk-ant" not in remark.text


def test_repeats_of_turns_and_of_long_sentences() -> None:
    long = "We take one small step together and you decide what comes next."
    assert checks("Hello there.", long, "Hello there!", "Fine.") == [(Check.REPEATS, 3)]
    assert checks("Hello.", long, "Yes.", f"Fine. {long}") == [(Check.REPEATS, 4)]
    assert checks("Hello.", f"{long} Now. {long}") == [(Check.REPEATS, 2)]
    assert checks("Yes, I do.", "Good. Shall we?", "Yes, I do not.", "Good. Shall we go?") == []


def test_missing_answers_and_roles_out_of_order() -> None:
    assert checks("Hello.", None) == [(Check.STRUCTURE, 2)]
    assert [(r.check, r.turn) for r in digests.digest([Turn("user", "One."), Turn("user", "Two.")]).remarks] == [
        (Check.STRUCTURE, 2)
    ]
    assert [r.check for r in digests.digest([]).remarks] == [Check.STRUCTURE]


def test_the_signature_estimates_how_much_two_texts_share() -> None:
    words = [f"word{number}" for number in range(600)]
    one = likeness.signature(words)
    for kept in (580, 500, 300):
        other = likeness.signature([*words[:kept], *(f"other{number}" for number in range(600 - kept))])
        true = (kept - 2) / (1196 - kept + 2)
        assert abs(likeness.share(one, other) - true) < 0.2
    assert likeness.share(one, likeness.signature(["quite", "another", "thing", "said", "by", "others"])) < 0.2
    assert digests.digest([Turn("user", ""), Turn("assistant", "…")]).signature == b""
    assert likeness.share(b"", one) == 0.0
    loud, quiet = (digests.digest([Turn("user", text)]).signature for text in ("Yes.", "yes"))
    assert likeness.share(loud, quiet) == 1.0


def test_a_near_duplicate_names_the_earlier_one(here: Place) -> None:
    first = add_conversation(here, parsed(title="First"))
    again = add_conversation(here, parsed((*KIND[:-1], f"{KIND[-1]} Today?"), title="Again"))
    other = add_conversation(
        here, parsed(("I lost my job on Monday.", "That is hard. What worries you?"), title="Other")
    )
    assert digests.near(here.db, first) is None
    assert digests.near(here.db, other) is None
    found = digests.near(here.db, again)
    assert found is not None
    assert (found.id, found.title) == (first, "First")
    wanted = Filter(check=int(Check.NEAR_DUPLICATE))
    assert store.ids(here.db, wanted) == [again]
    trash.delete(here.db, "conversations", [first])
    assert store.ids(here.db, wanted) == []
    assert store.get(here.db, again).check_flags == Check.NONE
    assert digests.near(here.db, again) is None
    trash.restore(here.db, "conversations", [first])
    assert store.ids(here.db, wanted) == [again]


def test_filter_by_any_of_several_checks(here: Place) -> None:
    mail = add_conversation(here, parsed(("Mail a@b.org.", "Well."), title="Mail"))
    hole = add_conversation(here, parsed(("Dear {{name}}.", "Good."), title="Hole"))
    add_conversation(here, parsed(title="Fine"))
    assert store.ids(here.db, Filter(check=int(Check.PERSONAL))) == [mail]
    assert set(store.ids(here.db, Filter(check=int(Check.PERSONAL | Check.PLACEHOLDERS)))) == {mail, hole}
