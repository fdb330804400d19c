"""What tokens cost: a shipped table with dates, the user's own prices over it. USD per million tokens, in Decimal.

A model without a price costs an unknown amount (None), never nothing and never what a sibling costs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from core.db import Database
from core.errors import AppError, Where
from core.events import Changed
from core.workspace import settings
from core.workspace.files import read_json
from core.workspace.paths import resources

SETTING = "price_override"
KINDS = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")
_MILLION = Decimal(1_000_000)
_DATED = re.compile(r"-\d{8}$")


@dataclass(frozen=True)
class Usage:
    """Tokens of one reply. `input_tokens` is the part that was neither written to nor read from the cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    cache_read_tokens: int = 0
    thinking_tokens: int = 0
    service_tier: str = "standard"
    inference_geo: str = ""

    @property
    def prompt_tokens(self) -> int:
        """The whole prompt, cached or not."""
        return self.input_tokens + self.cache_write_5m_tokens + self.cache_write_1h_tokens + self.cache_read_tokens

    def to_json(self) -> dict[str, Any]:
        """As in an event."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Usage:
        """The reverse of `to_json`."""
        return cls(**{f.name: data[f.name] for f in fields(cls) if f.name in data})


@dataclass(frozen=True)
class Rates:
    """Prices of one model at one date, USD per million tokens."""

    since: str
    input: Decimal
    output: Decimal
    cache_write_5m: Decimal
    cache_write_1h: Decimal
    cache_read: Decimal


@dataclass(frozen=True)
class PriceTable:
    """The shipped prices with the user's own over them. Plain data, so that it travels to a worker."""

    data: Mapping[str, Any]

    @property
    def checked(self) -> str:
        """When the table was compared with the price list: a date."""
        return str(self.data.get("checked", ""))

    def rates(self, model: str, on: date, prompt_tokens: int) -> Rates | None:
        """Prices of a model on a day for a prompt of that size; None where they are not known."""
        rows = self._rows(model)
        valid = [row for row in rows if str(row.get("from", "")) <= on.isoformat()]
        if not valid:
            return None
        row = max(valid, key=lambda r: str(r.get("from", "")))
        tier = row.get("over")
        values = tier if tier and prompt_tokens > int(tier["prompt_tokens"]) else row
        return Rates(str(row.get("from", "")), *(Decimal(str(values[kind])) for kind in KINDS))

    def _rows(self, model: str) -> list[Mapping[str, Any]]:
        models = self.data.get("models", {})
        return list(models.get(model) or models.get(_DATED.sub("", model)) or [])

    def factor(self, service_tier: str, geo: str) -> Decimal:
        """What all prices are multiplied with."""
        out = Decimal(1)
        if service_tier == "batch":
            out *= Decimal(str(self.data.get("batch_multiplier", "0.5")))
        return out * Decimal(str(self.data.get("geo_multipliers", {}).get(geo, "1")))

    def cost(self, model: str, usage: Usage, on: date) -> Decimal | None:
        """USD of one reply; None where the model has no price."""
        rates = self.rates(model, on, usage.prompt_tokens)
        if rates is None:
            return None
        total = (
            usage.input_tokens * rates.input + usage.output_tokens * rates.output
            + usage.cache_write_5m_tokens * rates.cache_write_5m + usage.cache_write_1h_tokens * rates.cache_write_1h
            + usage.cache_read_tokens * rates.cache_read
        )  # fmt: skip
        return total / _MILLION * self.factor(usage.service_tier, usage.inference_geo)

    def most(self, model: str, prompt_tokens: int, max_tokens: int, on: date, *, batch: bool = False) -> Decimal | None:
        """The most one request can cost: every prompt token at its dearest, every output token used."""
        rates = self.rates(model, on, prompt_tokens)
        low = self.rates(model, on, 0)
        if rates is None or low is None:
            return None
        dearest: Decimal = max(getattr(r, kind) for r in (rates, low) for kind in KINDS if kind != "output")
        output = max(rates.output, low.output)
        total = (prompt_tokens * dearest + max_tokens * output) / _MILLION
        # The service may answer from a region with a surcharge though none was asked for.
        surcharge = max([Decimal(1), *(Decimal(str(v)) for v in self.data.get("geo_multipliers", {}).values())])
        return total * surcharge * self.factor("batch" if batch else "standard", "")

    def saved_by_cache(self, model: str, usage: Usage, on: date) -> Decimal | None:
        """What the prompt cache saved on one reply; negative where writing it cost more than it brought."""
        rates = self.rates(model, on, usage.prompt_tokens)
        if rates is None:
            return None
        saved = (
            usage.cache_read_tokens * (rates.input - rates.cache_read)
            - usage.cache_write_5m_tokens * (rates.cache_write_5m - rates.input)
            - usage.cache_write_1h_tokens * (rates.cache_write_1h - rates.input)
        )  # fmt: skip
        return saved / _MILLION * self.factor(usage.service_tier, usage.inference_geo)


@lru_cache(maxsize=1)
def _shipped() -> Mapping[str, Any]:
    data: Mapping[str, Any] = read_json(resources() / "generation" / "prices.json")
    return data


def shipped() -> PriceTable:
    """The table as it came with the app."""
    return PriceTable(_shipped())


def table(db: Database) -> PriceTable:
    """The shipped table with the user's prices over it, model by model."""
    own: Mapping[str, Any] = settings.get(db, SETTING, {})
    return PriceTable({**_shipped(), "models": {**_shipped()["models"], **own}})


def override(db: Database, model: str, prices: Mapping[str, str] | None, since: str = "2000-01-01") -> Changed:
    """Set the user's own prices of a model (USD per million tokens, by KINDS), or take them back with None.

    Raises AppError `bad_price` naming the kind.
    """
    own = dict(settings.get(db, SETTING, {}))
    if prices is None:
        own.pop(model, None)
    else:
        own[model] = [{"from": since} | {kind: _price(prices, kind) for kind in KINDS}]
    return settings.put(db, SETTING, own)


def check_price(text: str) -> str:
    """A price as it is kept. Raises ValueError for what is none."""
    plain = text.strip().lstrip("$")
    try:
        value = Decimal(plain)
    except InvalidOperation as exc:
        raise ValueError(text) from exc
    if not value.is_finite() or value < 0:
        raise ValueError(text)
    return plain


def _price(prices: Mapping[str, str], kind: str) -> str:
    text = str(prices.get(kind, "")).strip()
    try:
        return check_price(text)
    except ValueError as exc:
        raise AppError(
            "bad_price", f"{text or 'Nothing'} is not a price.", hint="Enter USD per million tokens, for example 2.50.",
            where=Where(field=kind),
        ) from exc  # fmt: skip
