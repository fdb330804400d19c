"""The real client against a server that follows the wire format: whatever goes wrong, nothing is lost or paid twice."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from core.errors import AppError
from core.generation import store
from core.generation.sampling import spread
from core.jobs import JobState
from core.workers.host import JobContext
from tests.contract import anthropic_server as acts
from tests.contract.anthropic_server import AnthropicServer, fail
from tests.core.factories import Place, add_conversation, conversation, enrich, parsed, read
from tests.support.generation import accounted, again, counts, done, facts, new_batch, records, studio, work
from tests.support.patience import PATIENCE_S


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Place, AnthropicServer]]:
    with studio(tmp_path, monkeypatch) as made:
        yield made


def error_of(place: Place, job_id: str) -> AppError:
    from core import jobs

    error = jobs.get(place.db, job_id).error
    assert error is not None
    assert error.message
    assert error.hint
    return error


def test_a_batch_is_written_and_its_bill_is_the_servers(here: tuple[Place, AnthropicServer]) -> None:
    place, server = here
    job = new_batch(place, 6)
    done(work(place, job.id))
    assert counts(place, job.id) == (6, 0, 0, 0)
    accounted(place, server)
    assert Decimal(facts(place, job.id)["spent_usd"]) == server.spent
    assert sum(1 for row in records(place) if row["cache_read_tokens"]) == 5
    assert Decimal(facts(place, job.id)["saved_usd"]) > 0
    item = store.items(place.db, job.id)[0]
    row = conversation(place, str(item.conversation_id))
    parsed, raw = read(place, row["file_path"]), read(place, row["raw_response_path"])
    assert [t["content"] for t in parsed["turns"]] == [t["content"] for t in raw["turns"]]
    assert parsed["input_parameters"]["persona_key"] == item.plan.persona_key == row["persona_key"]
    assert parsed["conversation_metadata"]["generation"]["item_id"] == item.id
    assert row["template_id"]
    enrich(place, str(item.conversation_id))
    assert conversation(place, str(item.conversation_id))["enrichment_status"] == "completed"
    assert row["status"] == "needs_review"


def test_a_conversation_of_yours_is_sent_only_if_that_is_chosen(here: tuple[Place, AnthropicServer]) -> None:
    place, server = here
    own = "What my client told me stays here."
    add_conversation(place, parsed((own, "It does.")))
    place.db.execute("update conversations set status = 'approved', human_score = 5.0")
    done(work(place, new_batch(place, 1).id))
    assert own not in orjson.dumps(server.asked[-1]).decode()
    done(work(place, new_batch(place, 1, spread(place.db, 2, 4), use_example=True).id))
    assert own in orjson.dumps(server.asked[-1]).decode()


def test_requests_keep_to_the_documented_form(here: tuple[Place, AnthropicServer]) -> None:
    place, server = here
    done(work(place, new_batch(place, 1).id))
    done(work(place, new_batch(place, 1, mode="turns").id))
    for body in server.asked:
        assert set(body) <= {"model", "max_tokens", "messages", "system", "output_config", "thinking"}
        assert body["messages"][-1]["role"] == "user"
        assert body["thinking"] == {"type": "between_tools"}
        assert body["output_config"]["format"]["schema"]["additionalProperties"] is False
        assert "reasoning" not in orjson.dumps(body["output_config"]).decode()


@pytest.mark.parametrize(
    ("model", "thinking", "effort"),
    [
        ("claude-haiku-5-5", {"type": "disabled"}, "low"), ("claude-opus-5-5", None, "low"),
        ("claude-haiku-4-5", None, None), ("claude-sonnet-4-5-20250929", None, None),
    ],
)  # fmt: skip
def test_each_model_is_asked_for_what_it_can(
    here: tuple[Place, AnthropicServer], model: str, thinking: Any, effort: Any
) -> None:
    place, server = here
    server.thinking_tokens = 300
    job = new_batch(place, 1, model=model)
    done(work(place, job.id))
    body = server.asked[0]
    assert body.get("thinking") == thinking
    assert body["output_config"].get("effort") == effort
    assert records(place)[0]["thinking_tokens"] == (300 if model == "claude-opus-5-5" else 0)
    if "sonnet-4-5" in model:
        assert "2026-11-30" in store.get_batch(place.db, job.id).notices[0]["message"]


RETRIED = [
    fail(429, "rate_limit_error", retry_after="0.05"), fail(429, "rate_limit_error"), fail(500), fail(503),
    fail(504, "timeout_error"), fail(529, "overloaded_error"), fail(408, "timeout_error"), fail(409, "conflict_error"),
    acts.DROP, acts.PORTAL, acts.OTHER_JSON, fail(429, "rate_limit_error", retry_after_ms="30"),
]  # fmt: skip


@pytest.mark.parametrize("act", RETRIED, ids=lambda act: f"{act.kind}-{act.status}-{dict(act.headers)}")
def test_what_passes_by_itself_is_asked_again(here: tuple[Place, AnthropicServer], act: acts.Act) -> None:
    place, server = here
    server.script(None, act, act)
    job = new_batch(place, 3)
    done(work(place, job.id))
    assert counts(place, job.id) == (3, 0, 0, 0)
    accounted(place, server)
    assert len(server.answered) == 3


PAID_AND_LOST = [acts.DROP_AFTER, acts.BROKEN_BODY]


@pytest.mark.parametrize("act", PAID_AND_LOST, ids=lambda act: act.kind)
def test_what_may_have_been_charged_is_in_the_bill(here: tuple[Place, AnthropicServer], act: acts.Act) -> None:
    place, server = here
    server.script(None, act)
    job = new_batch(place, 3)
    done(work(place, job.id))
    assert counts(place, job.id) == (3, 0, 0, 0)
    accounted(place, server)
    lost = [row for row in records(place) if row["outcome"] == "lost"]
    assert len(lost) == 1
    assert lost[0]["usd"] is None
    bill = facts(place, job.id)
    assert Decimal(bill["known_usd"]) + Decimal(bill["unsure_usd"]) >= server.spent


def test_a_slow_reply_is_given_up_and_asked_again(here: tuple[Place, AnthropicServer]) -> None:
    place, server = here
    server.script(None, acts.slow(60.0))
    job = new_batch(place, 2, pace={"timeout_s": 0.5})
    done(work(place, job.id))
    assert counts(place, job.id) == (2, 0, 0, 0)
    assert [row["outcome"] for row in records(place)].count("lost") == 1
    accounted(place, server)


@pytest.mark.parametrize("act", [acts.CUT_STREAM, acts.STREAM_ERROR, acts.DROP_AFTER, acts.MALFORMED],
                         ids=lambda act: act.kind)  # fmt: skip
def test_a_stream_that_breaks(
    here: tuple[Place, AnthropicServer], act: acts.Act, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr("core.generation.claude.STREAM_ABOVE", 0)
    place, server = here
    server.script(None, act)
    job = new_batch(place, 3)
    done(work(place, job.id))
    assert counts(place, job.id) == (3, 0, 0, 0)
    assert all(body["stream"] for body in server.asked)
    assert len(server.asked) == 4
    bill = facts(place, job.id)
    assert Decimal(bill["known_usd"]) + Decimal(bill["unsure_usd"]) >= server.spent
    if act.kind in ("stream_error", "drop_after"):
        assert next(row for row in records(place) if row["outcome"] == "lost")["input_tokens"] > 0


def test_a_refusal_is_kept_with_its_category_and_not_asked_again(here: tuple[Place, AnthropicServer]) -> None:
    place, server = here
    server.script(None, acts.REFUSE)
    job = new_batch(place, 3)
    done(work(place, job.id))
    assert counts(place, job.id) == (2, 0, 1, 0)
    accounted(place, server)
    assert len(server.asked) == 3
    failure = store.failures(place.db, job.id)[0]
    assert (failure.kind, failure.category) == ("refused", "reasoning_extraction")
    assert "reasoning" in failure.error.hint
    assert failure.asked["messages"]
    assert not store.can_reopen(place.db, job.id)


def test_a_truncated_reply_gets_more_room_and_then_ends(here: tuple[Place, AnthropicServer]) -> None:
    place, server = here
    server.script(None, acts.TRUNCATE)
    done(work(place, new_batch(place, 2).id))
    rooms = sorted({body["max_tokens"] for body in server.asked})
    assert len(server.asked) == 3
    assert len(rooms) >= 2
    server.script(every=acts.TRUNCATE)
    job = new_batch(place, 1)
    done(work(place, job.id))
    assert counts(place, job.id)[1] == 1
    failure = store.failures(place.db, job.id)[0]
    assert failure.kind == "truncated"
    assert failure.raw
    accounted(place, server)


def test_an_invalid_reply_is_asked_for_once_more(here: tuple[Place, AnthropicServer]) -> None:
    place, server = here
    server.script(None, acts.MALFORMED)
    done(work(place, new_batch(place, 2).id))
    assert len(server.asked) == 3
    swapped = '{"title": "x", "turns": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]}'
    server.script(every=acts.say(swapped))
    job = new_batch(place, 1)
    done(work(place, job.id))
    failure = store.failures(place.db, job.id)[0]
    assert (failure.kind, failure.raw) == ("invalid", swapped)
    assert "turn 1" in failure.error.message
    assert len(server.asked) == 5
    accounted(place, server)
    server.clear()
    retried = store.retry(place.db, job.id, [failure.item_id])
    done(work(place, retried.id))
    assert counts(place, job.id) == (1, 0, 0, 0)
    assert len(server.asked) == 6
    assert store.failures(place.db, job.id) == []
    accounted(place, server)


def test_the_context_window_is_an_error_for_the_user(here: tuple[Place, AnthropicServer]) -> None:
    place, server = here
    server.script(every=acts.CONTEXT)
    job = new_batch(place, 1)
    done(work(place, job.id))
    assert store.failures(place.db, job.id)[0].kind == "context_exceeded"
    accounted(place, server)


ENDS = [
    (fail(401, "authentication_error"), "bad_key"), (fail(402, "billing_error"), "billing"),
    (fail(403, "permission_error"), "no_permission"), (fail(404, "not_found_error"), "model_retired"),
    (fail(429, "rate_limit_error", code="enforced_spend_limit_reached"), "spend_limit"),
    (fail(429, "rate_limit_error", retry_after="3600"), "rate_limited"),
]  # fmt: skip


@pytest.mark.parametrize(("act", "code"), ENDS, ids=[code for _, code in ENDS])
def test_what_ends_the_run_is_said_and_can_be_resumed(
    here: tuple[Place, AnthropicServer], act: acts.Act, code: str
) -> None:  # fmt: skip
    place, server = here
    server.script(None, None, every=act)
    job = new_batch(place, 5)
    assert work(place, job.id).status is JobState.FAILED
    assert error_of(place, job.id).code == code
    assert counts(place, job.id) == (2, 0, 0, 3)
    accounted(place, server)
    server.clear()
    done(again(place, job.id))
    assert counts(place, job.id) == (5, 0, 0, 0)
    assert len(server.answered) == 5
    accounted(place, server)


@pytest.mark.parametrize(("act", "code"), [(fail(400, "invalid_request_error"), "bad_request"),
                                           (fail(413, "request_too_large"), "too_large")])  # fmt: skip
def test_a_request_that_is_not_taken_fails_alone(
    here: tuple[Place, AnthropicServer], act: acts.Act, code: str
) -> None:  # fmt: skip
    place, server = here
    server.script(None, act)
    job = new_batch(place, 4)
    done(work(place, job.id))
    assert counts(place, job.id) == (3, 1, 0, 0)
    assert store.failures(place.db, job.id)[0].kind == code
    accounted(place, server)


def test_no_network_ends_the_run_and_resumes(here: tuple[Place, AnthropicServer]) -> None:
    place, server = here
    server.down = True
    job = new_batch(place, 3)
    assert work(place, job.id).status is JobState.FAILED
    assert error_of(place, job.id).code in ("no_network", "no_reply")
    assert counts(place, job.id) == (0, 0, 0, 3)
    server.down = False
    done(again(place, job.id))
    assert counts(place, job.id) == (3, 0, 0, 0)


def test_no_server_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with studio(tmp_path, monkeypatch) as (place, _):
        monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
        job = new_batch(place, 2)
        assert work(place, job.id).status is JobState.FAILED
        assert error_of(place, job.id).code == "no_network"
        assert records(place) == []


def test_without_a_key_nothing_is_sent(here: tuple[Place, AnthropicServer], monkeypatch: pytest.MonkeyPatch) -> None:
    place, server = here
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    job = new_batch(place, 1)
    assert work(place, job.id).status is JobState.FAILED
    assert error_of(place, job.id).code == "no_keychain"
    assert "ANTHROPIC_API_KEY" in error_of(place, job.id).hint
    assert server.asked == []


def test_the_key_is_nowhere_in_the_workspace(here: tuple[Place, AnthropicServer]) -> None:
    place, server = here
    server.script(None, fail(401, "authentication_error"))
    job = new_batch(place, 2)
    work(place, job.id)
    for path in place.workspace.root.rglob("*"):
        if path.is_file():
            assert server.key.encode() not in path.read_bytes(), path


def test_a_limit_in_flight_is_found_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with studio(tmp_path, monkeypatch, latency_s=0.05, most_at_once=3) as (place, server):
        job = new_batch(place, 12, max_in_flight=8, pace={"tries": 12})
        done(work(place, job.id))
        assert counts(place, job.id) == (12, 0, 0, 0)
        assert len(server.answered) == 12
        accounted(place, server)


def test_stop_within_one_request_and_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with studio(tmp_path, monkeypatch) as (place, server):
        server.script(None, None, every=acts.slow(PATIENCE_S))
        job = new_batch(place, 6, max_in_flight=2)

        def stop(context: JobContext) -> None:
            while len(server.asked) < 4:
                pass
            context.token.cancel("user")

        assert work(place, job.id, stop).status is JobState.CANCELLED
        assert counts(place, job.id) == (2, 0, 0, 4)
        assert [row["outcome"] for row in records(place)].count("lost") == 2
        server.clear()
        done(again(place, job.id))
        assert counts(place, job.id) == (6, 0, 0, 0)
        accounted(place, server)


def test_pause_keeps_what_comes_within_its_grace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with studio(tmp_path, monkeypatch, latency_s=0.3) as (place, server):
        job = new_batch(place, 4, max_in_flight=2, pace={"grace_s": PATIENCE_S})

        def pause(context: JobContext) -> None:
            while len(server.asked) < 2:
                pass
            context.token.cancel("pause")

        assert work(place, job.id, pause).status is JobState.PAUSED
        accounted(place, server)
        assert not [row for row in records(place) if row["outcome"] == "lost"]
        done(again(place, job.id))
        assert len(server.answered) == 4
        accounted(place, server)


def test_turn_by_turn_only_a_turn_that_misses_is_written_again(here: tuple[Place, AnthropicServer]) -> None:
    place, server = here
    missed = acts.say('{"content": "Blue is a colour that the sky has on a good day in the north."}')
    server.script(None, None, missed)
    job = new_batch(place, 1, mode="turns")
    done(work(place, job.id))
    item = store.items(place.db, job.id)[0]
    assert len(server.asked) == item.plan.turns + 1
    assert len(item.beats) == item.plan.turns
    texts = [t["content"] for t in read(place, conversation(place, str(item.conversation_id))["file_path"])["turns"]]
    assert not any("Blue is" in text for text in texts)
    accounted(place, server)


def test_a_refused_turn_is_retried_alone(here: tuple[Place, AnthropicServer]) -> None:
    place, server = here
    server.script(None, None, None, acts.REFUSE)
    job = new_batch(place, 1, mode="turns", max_in_flight=1)
    done(work(place, job.id))
    assert counts(place, job.id) == (0, 0, 1, 0)
    item = store.items(place.db, job.id)[0]
    assert item.turns_done == 3
    assert store.failures(place.db, job.id)[0].turn == 4
    store.retry(place.db, job.id, store.ALL)
    done(work(place, job.id))
    assert counts(place, job.id) == (1, 0, 0, 0)
    assert len(server.asked) == item.plan.turns + 1
    accounted(place, server)


def test_words_that_are_there_already_are_kept_and_marked(here: tuple[Place, AnthropicServer]) -> None:
    place, server = here
    text = '{"title": "Same", "turns": [{"role": "user", "content": "a"}, {"role": "Assistant", "content": "b"}]}'
    server.script(every=acts.say(text))
    job = new_batch(place, 3)
    done(work(place, job.id))
    assert counts(place, job.id) == (3, 0, 0, 0)
    notes = [orjson.loads(row[0]) for row in place.db.execute("select import_notes from conversations").fetchall()]
    assert sum("same words" in " ".join(found) for found in notes) == 2


def test_a_full_disk_keeps_what_was_paid_for(
    here: tuple[Place, AnthropicServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from core.workers import protocol

    place, server = here
    job = new_batch(place, 6, max_in_flight=2)
    full = {"now": False}
    real = protocol.EventLog._write

    def write(log: protocol.EventLog, line: bytes) -> None:
        ballast = place.workspace.runs / job.id / "ballast"
        if b'"reply"' in line and len(server.answered) >= 3:
            full["now"] = True
        if full["now"] and ballast.exists():
            # As the system does it: the write fails until there is room.
            make_room, log.make_room = log.make_room, None
            assert make_room is not None
            if not make_room():
                raise OSError(errno.ENOSPC, "No space left on device")
        real(log, line)

    monkeypatch.setattr(protocol.EventLog, "_write", write)
    assert work(place, job.id).status is JobState.FAILED
    assert error_of(place, job.id).code == "disk_full"
    monkeypatch.setattr(protocol.EventLog, "_write", real)
    before = len(server.answered)
    accounted(place, server)
    assert not [row for row in records(place) if row["outcome"] == "lost"]
    done(again(place, job.id))
    assert counts(place, job.id) == (6, 0, 0, 0)
    assert len(server.answered) == 6
    assert before < 6
