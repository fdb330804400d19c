"""One turn written anew: through the real client, paid for once, a version that can be taken back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from core import jobs
from core.conversations import store as conversations
from core.conversations import versions
from core.errors import AppError
from core.generation import store
from core.generation.flow import RewriteFlow
from core.generation.rewrite import create_rewrite, offer, under_way, usual_writer, writers
from core.jobs import Job, JobState
from core.lanes import Lane
from tests.contract import anthropic_server as acts
from tests.contract.anthropic_server import AnthropicServer
from tests.core.factories import Place, add_conversation, conversation, enrich, parsed, read
from tests.support.generation import FAST, MODEL, accounted, again, done, new_batch, records, studio, work
from tests.support.studio import add_practice_model

NEW = "These words are new, and who says them is glad."


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Place, AnthropicServer]]:
    with studio(tmp_path, monkeypatch) as made:
        yield made


def written(place: Place) -> str:
    """A conversation that Claude wrote."""
    job = new_batch(place, 1)
    done(work(place, job.id))
    return str(store.items(place.db, job.id)[0].conversation_id)


def words(place: Place, ident: str) -> list[str | None]:
    found = conversations.get(place.db, ident)
    return [turn.content for turn in conversations.turns(place.workspace, found)]


def asked(place: Place, ident: str, number: int, wish: str = "", *, model: str = MODEL) -> Job:
    offered = offer(place.db, place.workspace, ident, number, "claude", model, wish)
    offered = replace(offered, settings=replace(offered.settings, pace=FAST))
    return create_rewrite(place.db, offered, conversations.get(place.db, ident).title)


def spoken(text: str) -> acts.Act:
    return acts.say(orjson.dumps({"content": text}).decode())


def test_the_new_words_are_a_version_and_their_price_is_kept(here: tuple[Place, AnthropicServer]) -> None:
    place, server = here
    ident = written(place)
    enrich(place, ident)
    before, row = words(place, ident), conversation(place, ident)
    offered = offer(place.db, place.workspace, ident, 2, "claude", MODEL)
    assert offered.usd is not None
    assert offered.settings.cap is not None
    assert 0 < offered.usd < offered.settings.cap
    spent = server.spent
    server.script(spoken(NEW))
    job = asked(place, ident, 2, "Shorter, please.")
    assert job.lane is Lane.QUESTION
    assert under_way(place.db, ident) == (2,)
    done(work(place, job.id))
    assert under_way(place.db, ident) == ()
    assert words(place, ident) == [before[0], NEW, *before[2:]]
    assert conversation(place, ident)["enrichment_status"] == "not_started"
    assert read(place, row["raw_response_path"]) == read(place, conversation(place, ident)["raw_response_path"])
    prompt = server.asked[-1]["messages"][-1]["content"]
    for said in ("Shorter, please.", str(before[0]), str(before[1]), str(before[3]), "(Turn 2, to be written)"):
        assert said in prompt
    paid = Decimal(records(place)[-1]["usd"])
    assert paid == server.spent - spent
    assert paid <= offered.settings.cap
    accounted(place, server)
    versions.restore(place.db, place.workspace, ident, 1)
    assert words(place, ident) == before
    assert conversation(place, ident)["enrichment_status"] == "completed"


def test_price_and_cap_follow_the_wish(here: tuple[Place, AnthropicServer]) -> None:
    place, _ = here
    ident = written(place)
    short, long = (offer(place.db, place.workspace, ident, 2, "claude", MODEL, wish) for wish in ("", "Warmer. " * 200))
    assert short.usd is not None
    assert long.usd is not None
    assert short.usd < long.usd
    assert short.settings.cap is not None
    assert long.settings.cap is not None
    assert short.settings.cap < long.settings.cap


def test_a_turn_under_way_is_not_asked_for_twice(here: tuple[Place, AnthropicServer]) -> None:
    place, server = here
    ident = written(place)
    server.script(spoken(NEW))
    before = len(server.asked)
    job = asked(place, ident, 2)
    with pytest.raises(AppError) as caught:
        asked(place, ident, 2)
    assert caught.value.code == "being_rewritten"
    done(work(place, job.id))
    assert len(server.asked) == before + 1


def test_an_imported_one_without_scaffolding_and_without_an_answer(here: tuple[Place, AnthropicServer]) -> None:
    place, server = here
    bare = parsed(("I have a question.", None))
    bare["input_parameters"] = {}
    ident = add_conversation(place, bare)
    server.script(spoken(NEW))
    done(work(place, asked(place, ident, 2).id))
    assert words(place, ident) == ["I have a question.", NEW]
    prompt = server.asked[-1]["messages"][-1]["content"]
    assert "<plan>" not in prompt
    assert "These were its words" not in prompt


def test_a_refusal_and_the_same_words_leave_the_conversation_alone(here: tuple[Place, AnthropicServer]) -> None:
    place, server = here
    ident = written(place)
    before = words(place, ident)
    server.script(acts.REFUSE)
    job = asked(place, ident, 1)
    done(work(place, job.id))
    assert store.failures(place.db, job.id)[0].kind == "refused"
    server.script(spoken(str(before[1])), spoken(str(before[1])))
    job = asked(place, ident, 2)
    done(work(place, job.id))
    (failure,) = store.failures(place.db, job.id)
    assert "repeats the words" in failure.error.message
    assert words(place, ident) == before
    # Only what failed is paid for again.
    server.script(spoken(NEW))
    job = store.retry(place.db, job.id)
    done(work(place, job.id))
    assert words(place, ident)[1] == NEW
    accounted(place, server)


def test_words_that_come_too_late_are_kept_beside_the_conversation(here: tuple[Place, AnthropicServer]) -> None:
    place, server = here
    ident = written(place)
    server.script(spoken(NEW))
    job = asked(place, ident, 2)
    versions.edit(place.db, place.workspace, ident, 2, "Written by hand meanwhile.")
    done(work(place, job.id))
    assert words(place, ident)[1] == "Written by hand meanwhile."
    (failure,) = store.failures(place.db, job.id)
    assert (failure.raw, failure.error.code) == (NEW, "turn_changed")
    assert store.can_reopen(place.db, job.id, store.ALL) == []
    accounted(place, server)


def test_a_reply_that_was_paid_for_is_not_asked_for_again_after_a_crash(
    here: tuple[Place, AnthropicServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, server = here
    ident = written(place)
    server.script(spoken(NEW))
    job = asked(place, ident, 2)

    def crash(_self: object, _reply: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as broken:
        broken.setattr(RewriteFlow, "take", crash)
        assert work(place, job.id).status is JobState.FAILED
    requests = len(server.asked)
    assert words(place, ident)[1] != NEW
    done(again(place, job.id))
    assert len(server.asked) == requests
    assert words(place, ident)[1] == NEW
    accounted(place, server)


def test_it_does_not_wait_behind_a_batch(here: tuple[Place, AnthropicServer]) -> None:
    place, _server = here
    ident = written(place)
    batch, turn = new_batch(place, 3), asked(place, ident, 2)
    for wanted in (batch, turn):
        claimed = jobs.claim_next(place.db, wanted.id)
        assert claimed is not None


def test_who_wrote_it_is_offered_first(here: tuple[Place, AnthropicServer]) -> None:
    place, _server = here
    add_practice_model(place.db)
    known = writers(place.db)
    assert {writer.provider for writer in known} == {"claude", "local"}
    by_claude = usual_writer(place.db, place.workspace, written(place), known)
    assert by_claude is not None
    assert by_claude.model == MODEL
    job = new_batch(place, 1, provider="local", model="practice", mode="turns")
    done(work(place, job.id))
    by_local = usual_writer(place.db, place.workspace, str(store.items(place.db, job.id)[0].conversation_id), known)
    assert by_local is not None
    assert by_local.model == "practice"


def test_the_practice_model_writes_both_speakers(here: tuple[Place, AnthropicServer]) -> None:
    place, _server = here
    add_practice_model(place.db)
    ident = add_conversation(place, parsed(("How do I bake bread?", "With time.", "How much?", "A night.")))
    for number in (1, 2, 3, 4):
        before = words(place, ident)
        offered = offer(place.db, place.workspace, ident, number, "local", "practice")
        assert offered.usd == 0
        done(work(place, create_rewrite(place.db, offered, "Bread").id))
        after = words(place, ident)
        assert [n for n, (old, new) in enumerate(zip(before, after, strict=True), start=1) if old != new] == [number]


def test_no_cap_where_no_price_is_known_and_no_turn_that_is_not_there(here: tuple[Place, AnthropicServer]) -> None:
    place, _server = here
    ident = written(place)
    offered = offer(place.db, place.workspace, ident, 2, "claude", "claude-of-tomorrow")
    assert (offered.usd, offered.settings.cap) == (None, None)
    with pytest.raises(AppError) as caught:
        offer(place.db, place.workspace, ident, 99, "claude", MODEL)
    assert caught.value.code == "no_such_turn"
