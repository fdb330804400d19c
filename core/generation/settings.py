"""How a batch is written: everything a worker needs beside the plan, as kept in `batch_jobs.settings`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from decimal import Decimal
from typing import Any

from core.generation.models import ModelFacts, facts_of

WHOLE, TURNS = "whole", "turns"
LOCAL = "local"
# The provider chosen last, in the workspace's settings.
PROVIDER_SETTING = "generation_provider"


@dataclass(frozen=True)
class Pace:
    """How long things are waited for, in seconds. Tests use shorter ones."""

    base_s: float = 0.5
    longest_s: float = 30.0
    longest_wait_s: float = 120.0
    tries: int = 6
    timeout_s: float = 120.0
    poll_s: float = 60.0
    poll_longest_s: float = 300.0
    grace_s: float = 5.0


@dataclass(frozen=True)
class Target:
    """A turn that is written anew: `number` from 1 of `turns` (role, content) as they were asked with."""

    conversation_id: str
    number: int
    turns: tuple[Mapping[str, str], ...]
    wish: str = ""

    @property
    def before(self) -> str:
        """The words it had."""
        return self.turns[self.number - 1]["content"]

    def to_json(self) -> dict[str, Any]:
        """As in `RunSettings.rewrite`."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Target:
        """The reverse of `to_json`."""
        return cls(**{**data, "turns": tuple(data["turns"])})


@dataclass(frozen=True)
class RunSettings:
    """Settings of one batch. Money is text, as JSON has no decimals; `max_cost_usd` None means no cap.

    `profile` and `example` are the consultant's profile and, with `use_example`, a conversation for the tone, frozen
    when the batch was made; `base` describes the local model; `prices` is the price table of that day. `rewrite` is a
    `Target` where the batch is one turn and not conversations.
    """

    provider: str
    model: str
    mode: str = WHOLE
    effort: str = "low"
    thinking: str = "off"
    max_cost_usd: str | None = None
    max_in_flight: int = 8
    cache: bool = True
    beat_retries: int = 1
    live_first: bool = False
    use_example: bool = False
    profile: Mapping[str, Any] = field(default_factory=dict)
    example: Sequence[Mapping[str, str]] = ()
    base: Mapping[str, Any] = field(default_factory=dict)
    prices: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    rewrite: Mapping[str, Any] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)

    @property
    def structured(self) -> bool:
        """Whether the model answers in JSON of a schema; a local model writes plain text, turn by turn."""
        return self.provider != LOCAL

    @property
    def practice(self) -> bool:
        """Whether the tiny practice model writes: it is spoken to briefly, and no arc is expected of it."""
        return bool(self.base.get("practice"))

    @property
    def cap(self) -> Decimal | None:
        """The most that may be spent, in USD."""
        return None if self.max_cost_usd is None else Decimal(self.max_cost_usd)

    @property
    def model_facts(self) -> ModelFacts:
        """What is known of the model."""
        return ModelFacts(**self.facts) if self.facts else facts_of(self.model)

    def to_json(self) -> dict[str, Any]:
        """As in the database."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RunSettings:
        """The reverse of `to_json`; fields of a later version are ignored."""
        known = {f.name for f in fields(cls)}
        values = {key: value for key, value in data.items() if key in known}
        pace = {f.name: values["pace"][f.name] for f in fields(Pace) if f.name in values.get("pace", {})}
        return cls(**{**values, "pace": Pace(**pace)})
