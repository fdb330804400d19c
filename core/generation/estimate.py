"""What a plan will cost: from what replies of the same model measured, else from counted prompts and a wide guess."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from core.db import Database
from core.generation.flow import make_flow
from core.generation.plan import Library, Plan, PlanItem
from core.generation.prices import PriceTable, Usage
from core.generation.prompts import Prompts
from core.generation.settings import WHOLE, RunSettings

# Output tokens a turn before anything was measured, and how far off that may be.
GUESSED_TURN, GUESSED_OFF = 95, Decimal("0.5")
BYTES_A_TOKEN = 4.0
LEAST_OFF = Decimal("0.08")
PROBED = 12


@dataclass(frozen=True)
class Measured:
    """What replies of this model and mode came to: output tokens a turn with their spread, prompt bytes a token."""

    replies: int
    output_a_turn: float
    spread: float


@dataclass(frozen=True)
class Estimate:
    """USD for the whole plan. None where the price is not known. `basis`: measured, counted or guessed."""

    usd: Decimal | None
    low: Decimal | None
    high: Decimal | None
    basis: str
    prompt_tokens: int
    output_tokens: int
    requests: int
    saved_by_cache: Decimal | None
    prices_checked: str

    def to_json(self) -> dict[str, Any]:
        """As kept with the batch and printed by the command line."""
        money = {name: None if getattr(self, name) is None else str(round(getattr(self, name), 6))
                 for name in ("usd", "low", "high", "saved_by_cache")}  # fmt: skip
        return money | {
            "basis": self.basis, "prompt_tokens": self.prompt_tokens, "output_tokens": self.output_tokens,
            "requests": self.requests, "prices_checked": self.prices_checked,
        }  # fmt: skip


def measured(db: Database, model: str, mode: str) -> Measured | None:
    """From the newest finished conversations of this model and mode; None before there are three."""
    rows = db.execute(
        "select i.turns_done as turns, sum(c.output_tokens) as output from batch_items i join batch_jobs b"
        " on b.id = i.batch_job_id join cost_records c on c.batch_item_id = i.id where i.status = 'completed'"
        " and b.model = ? and b.mode = ? and i.turns_done > 0 group by i.id order by i.updated_at desc limit 50",
        [model, mode],
    ).fetchall()
    values = [row["output"] / row["turns"] for row in rows if row["output"]]
    if len(values) < 3:
        return None
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return Measured(len(values), mean, math.sqrt(variance))


def estimate(
    plan: Plan,
    library: Library,
    settings: RunSettings,
    *,
    known: Measured | None = None,
    counted: Sequence[int] = (),
    batch: bool = False,
) -> Estimate:
    """The cost of a plan under complete settings (`core.generation.create.complete`).

    `counted` are prompt tokens of its first conversations as the service counted them; `known` what replies measured.
    """
    prompts, table = Prompts(settings.profile, library.vertical, settings.example), PriceTable(settings.prices)
    sample = plan.items[:: max(1, len(plan.items) // PROBED)][:PROBED]
    shapes = [_shape(item, library, prompts, settings) for item in sample]
    scale = 1.0
    if counted and shapes:
        first = sum(shape.prompt for shape in shapes[: len(counted)])
        scale = sum(counted[: len(shapes)]) / max(1, first)
    a_turn = known.output_a_turn if known else GUESSED_TURN
    usage, requests = _sum(plan, sample, shapes, scale, a_turn, batch=batch)
    today = datetime.now(UTC).date()
    usd = table.cost(settings.model, usage, today) if settings.structured else Decimal(0)
    off = _off(known, plan)
    return Estimate(
        usd, None if usd is None else usd * (1 - off), None if usd is None else usd * (1 + off),
        "measured" if known else "counted" if counted else "guessed",
        usage.prompt_tokens, usage.output_tokens, requests,
        table.saved_by_cache(settings.model, usage, today) if settings.structured else Decimal(0), table.checked,
    )  # fmt: skip


@dataclass(frozen=True)
class _Shape:
    turns: int
    prompt: float
    cached: float
    requests: int


def _shape(item: PlanItem, library: Library, prompts: Prompts, settings: RunSettings) -> _Shape:
    """Prompt tokens of one conversation, all its requests together, by the size of its text."""
    request = make_flow(item, library, prompts, settings).next()
    system = sum(len(text.encode()) for text in request.system) / BYTES_A_TOKEN
    user = sum(len(message["content"].encode()) for message in request.messages) / BYTES_A_TOKEN + 60
    cached = system if request.cache else 0.0
    if settings.mode == WHOLE:
        return _Shape(item.turns, system + user, cached, 1)
    # Each turn's request holds all turns before it.
    history = GUESSED_TURN * item.turns * (item.turns - 1) / 2
    return _Shape(item.turns, item.turns * (system + user) + history, item.turns * cached, item.turns)


def _sum(
    plan: Plan, sample: Sequence[PlanItem], shapes: Sequence[_Shape], scale: float, a_turn: float, *, batch: bool
) -> tuple[Usage, int]:  # fmt: skip
    times = len(plan.items) / max(1, len(sample))
    prompt = sum(shape.prompt for shape in shapes) * times * scale
    cached = sum(shape.cached for shape in shapes) * times * scale
    requests = round(sum(shape.requests for shape in shapes) * times)
    # The first request writes the cache; in a batch only some of the others find it.
    hits = 0.5 if batch else 1.0
    read = cached * hits * (1 - 1 / max(1, requests))
    written = cached - read if batch else cached / max(1, requests)
    return Usage(
        input_tokens=round(prompt - read - written), output_tokens=round(a_turn * plan.turns),
        cache_write_1h_tokens=round(written) if batch else 0, cache_write_5m_tokens=0 if batch else round(written),
        cache_read_tokens=round(read), service_tier="batch" if batch else "standard",
    ), requests  # fmt: skip


def _off(known: Measured | None, plan: Plan) -> Decimal:
    if known is None:
        return GUESSED_OFF
    # Twice the error of the mean of that many conversations, and what retries may add.
    share = 2 * known.spread / max(1.0, known.output_a_turn) / math.sqrt(max(1, len(plan.items)))
    return max(LEAST_OFF, min(GUESSED_OFF, Decimal(str(round(share, 4)))))
