"""Message batches with the real client: half the price, and nothing is asked for twice, whoever dies when."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.generation import store
from core.generation.claude_batch import ClaudeBatches
from core.jobs import JobState
from core.workers.host import JobContext
from tests.contract import anthropic_server as acts
from tests.contract.anthropic_server import AnthropicServer, fail
from tests.core.factories import Place
from tests.support.generation import accounted, again, counts, done, facts, new_batch, records, studio, work
from tests.support.patience import PATIENCE_S


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Place, AnthropicServer]]:
    with studio(tmp_path, monkeypatch) as made:
        yield made


def batch(place: Place, count: int, **over: Any) -> Any:
    return new_batch(place, count, provider="claude_batch", **over)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_batch_costs_half_and_its_bill_is_the_servers(here: tuple[Place, AnthropicServer]) -> None:
    place, server = here
    job = batch(place, 6)
    done(work(place, job.id))
    assert counts(place, job.id) == (6, 0, 0, 0)
    assert len(server.batches) == 1
    assert {row["service_tier"] for row in records(place)} == {"batch"}
    assert {row["remote_batch_id"] for row in records(place)} == set(server.batches)
    assert Decimal(facts(place, job.id)["spent_usd"]) == server.spent
    request = next(iter(server.batches.values())).requests[0]
    assert request["params"]["system"][-1]["cache_control"]["ttl"] == "1h"
    assert request["custom_id"][:32] in {item.id for item in store.items(place.db, job.id)}


def test_failures_in_a_batch_are_those_of_live_calls(here: tuple[Place, AnthropicServer]) -> None:
    place, server = here
    server.script(
        acts.REFUSE, acts.MALFORMED, acts.TRUNCATE, fail(529, "overloaded_error"), acts.Act("expire"),
        fail(400, "invalid_request_error"),
    )  # fmt: skip
    job = batch(place, 8)
    done(work(place, job.id))
    assert counts(place, job.id) == (6, 1, 1, 0)
    assert {failure.kind for failure in store.failures(place.db, job.id)} == {"refused", "bad_request"}
    assert len(server.batches) == 2
    accounted_batches(place, server)


def accounted_batches(place: Place, server: AnthropicServer) -> None:
    rows = records(place)
    assert len(rows) == len({row["message_id"] for row in rows}) == len(server.answered)
    assert sum(Decimal(row["usd"]) for row in rows) == server.spent


def test_a_lost_reply_to_the_creation_makes_no_second_batch(here: tuple[Place, AnthropicServer]) -> None:
    place, server = here
    server.lose_create = True
    job = batch(place, 4)
    done(work(place, job.id))
    assert counts(place, job.id) == (4, 0, 0, 0)
    assert len(server.batches) == 1
    accounted_batches(place, server)


def test_the_end_of_the_window_leaves_the_batch_running_and_the_next_start_fetches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with studio(tmp_path, monkeypatch, batch_s=PATIENCE_S) as (place, server):
        job = batch(place, 4)

        def leave(context: JobContext) -> None:
            until(lambda: bool(server.batches))
            context.token.cancel("orphan")

        assert work(place, job.id, leave).status is JobState.INTERRUPTED
        assert store.get_batch(place.db, job.id).remote[0]["batch_id"] in server.batches
        server.batch_s = 0.0
        done(again(place, job.id))
        assert len(server.batches) == 1
        assert counts(place, job.id) == (4, 0, 0, 0)
        accounted_batches(place, server)


def test_killed_between_creation_and_its_record(here: tuple[Place, AnthropicServer], monkeypatch: Any) -> None:
    place, server = here

    class Killed(BaseException):
        pass

    real = ClaudeBatches.create

    async def create(self: ClaudeBatches, requests: Any) -> Any:
        await real(self, requests)
        raise Killed

    job = batch(place, 3)
    monkeypatch.setattr(ClaudeBatches, "create", create)
    with pytest.raises(Killed):
        work(place, job.id)
    monkeypatch.setattr(ClaudeBatches, "create", real)
    from core.workers.session import recover

    recover(place.db, place.workspace)
    done(again(place, job.id))
    assert len(server.batches) == 1
    assert counts(place, job.id) == (3, 0, 0, 0)
    accounted_batches(place, server)


def test_killed_in_the_middle_of_the_import(here: tuple[Place, AnthropicServer], monkeypatch: Any) -> None:
    from core.generation.run import Run
    from core.workers.session import recover

    place, server = here
    real, seen = Run.conclude, [0]

    class Killed(BaseException):
        pass

    async def conclude(self: Run, flow: Any) -> None:
        seen[0] += 1
        if seen[0] == 3:
            raise Killed
        await real(self, flow)

    job = batch(place, 6)
    monkeypatch.setattr(Run, "conclude", conclude)
    with pytest.raises(Killed):
        work(place, job.id)
    monkeypatch.setattr(Run, "conclude", real)
    recover(place.db, place.workspace)
    done(again(place, job.id))
    assert len(server.batches) == 1
    assert counts(place, job.id) == (6, 0, 0, 0)
    accounted_batches(place, server)


def test_stop_cancels_at_the_service_and_keeps_what_was_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with studio(tmp_path, monkeypatch, batch_s=PATIENCE_S) as (place, server):
        job = batch(place, 6, pace={"grace_s": PATIENCE_S})

        def stop(context: JobContext) -> None:
            until(lambda: bool(server.batches))
            context.token.cancel("user")

        assert work(place, job.id, stop).status is JobState.CANCELLED
        assert counts(place, job.id) == (3, 0, 0, 3)
        accounted_batches(place, server)
        server.batch_s = 0.0
        done(again(place, job.id))
        assert counts(place, job.id) == (6, 0, 0, 0)
        assert len(server.batches) == 2
        accounted_batches(place, server)


def test_a_shape_that_the_service_refuses_is_found_before_anything_is_sent(
    here: tuple[Place, AnthropicServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, server = here
    from core.generation import prompts

    wrong = {**prompts.SCHEMA, "maxProperties": 4}
    monkeypatch.setattr("core.generation.flow.SCHEMA", wrong)
    job = batch(place, 3)
    ended = work(place, job.id)
    assert ended.status is JobState.FAILED
    assert ended.error is not None
    assert ended.error.code == "bad_request"
    assert server.batches == {}


def test_a_cap_holds_in_batches(here: tuple[Place, AnthropicServer]) -> None:
    place, server = here
    job = batch(place, 30, max_cost_usd="0.25")
    ended = work(place, job.id)
    found = facts(place, job.id)
    assert Decimal(found["spent_usd"]) == server.spent <= Decimal("0.25")
    if ended.status is JobState.FAILED:
        assert ended.error is not None
        assert ended.error.code == "budget_reached"
        assert found["not_reached"] > 0
    store.retry(place.db, job.id, max_cost_usd="5")
    done(work(place, job.id))
    assert counts(place, job.id) == (30, 0, 0, 0)
    accounted_batches(place, server)


def test_one_live_request_first_where_it_is_wanted(here: tuple[Place, AnthropicServer]) -> None:
    place, server = here
    job = batch(place, 4, live_first=True)
    done(work(place, job.id))
    assert sorted(row["service_tier"] for row in records(place)) == ["batch", "batch", "batch", "standard"]
    accounted(place, server)


def test_turn_by_turn_is_not_for_batches(here: tuple[Place, AnthropicServer]) -> None:
    place, _ = here
    job = batch(place, 1, mode="turns")
    assert store.get_batch(place.db, job.id).mode == "whole"
