"""Prices, the cap that is never crossed, estimates."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import AppError
from core.generation import prices
from core.generation.budget import Budget, money
from core.generation.estimate import Measured, estimate
from core.generation.models import ModelFacts, chosen, facts_of, listing, notice_of, remember, retirement
from core.generation.prices import PriceTable, Usage, shipped
from core.generation.provider import Limits, Reply, Request, Scope, Trouble
from core.workspace import settings as workspace_settings
from tests.core.factories import place
from tests.support.generation import MODEL, facts, library, new_batch, work

TODAY = date(2026, 11, 25)


def test_a_reply_costs_what_its_kinds_of_tokens_cost() -> None:
    usage = Usage(1_000, 2_000, 4_000, 500, 8_000)
    expected = (1000 * 2 + 2000 * 10 + 4000 * Decimal("2.5") + 500 * 4 + 8000 * Decimal("0.1")) / Decimal(10**6)
    assert shipped().cost(MODEL, usage, TODAY) == expected
    batch = Usage(**{**usage.to_json(), "service_tier": "batch"})
    assert shipped().cost(MODEL, batch, TODAY) == expected / 2
    us = Usage(**{**usage.to_json(), "inference_geo": "us"})
    assert shipped().cost(MODEL, us, TODAY) == expected * Decimal("1.1")


def test_prices_have_dates_and_long_prompts_have_their_own() -> None:
    read = Usage(cache_read_tokens=1_000_000)
    assert shipped().cost(MODEL, read, date(2026, 10, 6)) == Decimal("0.20")
    assert shipped().cost(MODEL, read, date(2026, 10, 7)) == Decimal("0.10")
    assert shipped().cost("claude-haiku-5-5", Usage(100_000, 0), TODAY) == Decimal("0.01")
    assert shipped().cost("claude-haiku-5-5", Usage(60_000, 0, cache_read_tokens=40_001), TODAY) == (
        60_000 * Decimal("0.5") + 40_001 * Decimal("0.05")
    ) / Decimal(10**6)
    assert shipped().checked == "2026-11-20"


def test_an_unknown_price_is_unknown() -> None:
    usage = Usage(10, 10)
    assert shipped().cost("claude-fable-5-2", usage, TODAY) is None
    assert shipped().cost("claude-sonnet-5-6", usage, TODAY) is None
    assert shipped().cost("claude-sonnet-4-5-20250929", usage, TODAY) is not None
    assert money(None) == "unknown"


def test_the_users_own_prices_win_and_can_be_taken_back(tmp_path: Path) -> None:
    here = place(tmp_path)
    own = dict.fromkeys(prices.KINDS, "1")
    prices.override(here.db, "claude-fable-5-2", own)
    assert prices.table(here.db).cost("claude-fable-5-2", Usage(1_000_000, 0), TODAY) == 1
    prices.override(here.db, "claude-fable-5-2", None)
    assert prices.table(here.db).cost("claude-fable-5-2", Usage(1, 0), TODAY) is None
    with pytest.raises(AppError) as caught:
        prices.override(here.db, MODEL, {**own, "output": "cheap"})
    assert caught.value.where.field == "output"
    here.db.close()


def test_a_cap_needs_a_price(tmp_path: Path) -> None:
    here = place(tmp_path)
    with pytest.raises(AppError) as caught:
        new_batch(here, 1, model="claude-fable-5-2", max_cost_usd="1")
    assert caught.value.code == "price_unknown"
    assert "claude-fable-5-2" in caught.value.message
    assert new_batch(here, 1, model="claude-fable-5-2").status == "queued"
    here.db.close()


class Till:
    """A provider that charges at random, within what a request allows, and sometimes loses the reply."""

    def __init__(self, table: PriceTable, chance: random.Random) -> None:
        self.table, self.chance, self.charged = table, chance, Decimal(0)

    async def send(self, request: Request) -> Reply:
        await asyncio.sleep(0)
        chance = self.chance
        prompt = chance.randint(1, request.most_prompt_tokens)
        written = chance.choice([0, chance.randint(0, prompt)])
        read = chance.choice([0, chance.randint(0, prompt - written)])
        ttl = chance.random() < 0.5
        usage = Usage(
            prompt - written - read, chance.choice([1, request.max_tokens, chance.randint(1, request.max_tokens)]),
            0 if ttl else written, written if ttl else 0, read, inference_geo=chance.choice(["", "us", "global"]),
        )  # fmt: skip
        kind = chance.random()
        if kind < 0.1:
            raise Trouble(AppError("rate_limited", "no"), Scope.RETRY, slow_down=True)
        cost = self.table.cost(request.model, usage, date.today())
        assert cost is not None
        self.charged += cost
        if kind < 0.2:
            raise Trouble(AppError("no_reply", "lost"), Scope.RETRY, charged=True)
        text = '{"title": "t", "turns": [{"role": "user", "content": "%d"}, {"role": "assistant", "content": "b"}]}'
        if kind < 0.3:
            return Reply("{", chance.choice(["end_turn", "max_tokens"]), usage)
        return Reply(text % chance.randint(0, 10**9), chance.choice(["end_turn"] * 9 + ["refusal"]), usage)

    def limits(self) -> Limits:
        return Limits()

    async def close(self) -> None:
        """Nothing is open."""


def random_prices(chance: random.Random) -> dict[str, Any]:
    def price(low: float, high: float) -> str:
        return f"{chance.uniform(low, high):.4f}"

    row: dict[str, Any] = {"from": "2000-01-01"}
    row |= {kind: price(0.01, 60) for kind in prices.KINDS}
    if chance.random() < 0.5:
        row["over"] = {"prompt_tokens": chance.randint(1, 6_000)} | {kind: price(0.01, 90) for kind in prices.KINDS}
    return {**shipped().data, "models": {MODEL: [row]}}


@pytest.mark.parametrize("block", range(4))
def test_the_cap_is_never_crossed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """A cap of $1.00 under 100 random mixes of prices, lengths and failures: 25 of them each."""
    tills: list[Till] = []
    monkeypatch.setattr("core.generation.claude.open_live", lambda opening: tills[-1])
    here = place(tmp_path)
    stopped = 0
    for number in range(25):
        chance = random.Random(1000 * block + number)
        data = random_prices(chance)
        tills.append(Till(PriceTable(data), chance))
        job = new_batch(
            here, 30, prices=data, max_cost_usd="1.00", max_in_flight=chance.randint(1, 8), pace={"base_s": 0.0},
            cache=chance.random() < 0.5,
        )  # fmt: skip
        ended = work(here, job.id)
        assert tills[-1].charged <= Decimal("1.00"), (block, number)
        found = facts(here, job.id)
        assert Decimal(found["known_usd"]) + Decimal(found["unsure_usd"]) <= Decimal("1.00")
        assert ended.error is None or ended.error.code in ("budget_reached", "no_reply", "rate_limited")
        stopped += ended.error is not None and ended.error.code == "budget_reached"
    assert stopped > 12, "the cap has to be what ends most of them, or this shows nothing"
    here.db.close()


amounts = st.lists(
    st.tuples(st.decimals("0.0001", "0.4", places=4), st.floats(0, 1), st.sampled_from("srl")), max_size=60
)


@given(amounts, st.decimals("0.01", "2", places=2))
@settings(max_examples=200, deadline=None)
def test_the_books_never_commit_more_than_the_cap(requests: Sequence[tuple[Decimal, float, str]], cap: Decimal) -> None:
    budget, under_way = Budget(cap), list[tuple[str, Decimal, str]]()
    for number, (most, share, how) in enumerate(requests):
        if budget.fits(most):
            budget.reserve(str(number), most)
            under_way.append((str(number), most * Decimal(str(round(share, 6))), how))
        if len(under_way) > 3:
            key, cost, end = under_way.pop(0)
            {"s": lambda k, c: budget.settle(k, c), "r": lambda k, _c: budget.release(k),
             "l": lambda k, _c: budget.lose(k)}[end](key, cost)  # fmt: skip
        assert budget.committed <= cap


def test_an_estimate_says_what_it_rests_on(tmp_path: Path) -> None:
    from core.generation.create import complete, provider_of
    from core.generation.sampling import spread
    from core.generation.settings import RunSettings

    here = place(tmp_path)
    plan = spread(here.db, 20, 1)
    whole = complete(here.db, here.workspace, RunSettings("claude", MODEL), provider_of("claude"))
    guess = estimate(plan, library(here), whole)
    known = estimate(plan, library(here), whole, known=Measured(20, 95.0, 10.0))
    batch = estimate(plan, library(here), whole, known=Measured(20, 95.0, 10.0), batch=True)
    assert guess.usd is not None
    assert known.usd is not None
    assert batch.usd is not None
    assert guess.low is not None
    assert known.low is not None
    assert (guess.basis, known.basis) == ("guessed", "measured")
    assert guess.low < known.low < known.usd
    assert batch.usd < known.usd * Decimal("0.6")
    counted = estimate(plan, library(here), whole, counted=[10_000])
    assert counted.prompt_tokens > guess.prompt_tokens
    unknown = complete(here.db, here.workspace, RunSettings("claude", "claude-fable-5-2"), provider_of("claude"))
    assert estimate(plan, library(here), unknown).usd is None
    here.db.close()


def test_models_that_go_are_replaced_with_a_notice(tmp_path: Path) -> None:
    here = place(tmp_path)
    old = "claude-sonnet-4-5-20250929"
    assert chosen(here.db, TODAY) == (MODEL, "")
    workspace_settings.put(here.db, "generation_model", old)
    model, notice = chosen(here.db, TODAY)
    assert model == MODEL
    assert "2026-11-30" in notice
    assert chosen(here.db, TODAY) == (MODEL, "")
    assert retirement(old) == (date(2026, 11, 30), MODEL)
    assert "was retired" in notice_of(old, date(2026, 12, 1))
    remember(here.db, [ModelFacts("claude-new-6", "Claude New 6", thinking_off="disabled")])
    assert [found.id for found in listing(here.db)] == ["claude-new-6"]
    stranger = facts_of("claude-unheard-of")
    assert stranger.thinking_parameter() is None
    assert stranger.effort_parameter("low") is None
    here.db.close()
