"""Which adapter the user turns to next: a first-order model of his own switches, and whether it is right.

Each step is a prediction that is scored by the next one. Loading ahead is switched off while too few come true, and
on again when they do: the model goes on predicting in silence.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

# An older step weighs less with every newer one from the same place.
FADE = 0.9
LEAST_SHARE = 0.3
SCORED, LEAST_SCORED = 40, 10
HELPS = 0.35
KEPT = 64


@dataclass
class Habits:
    """`steps` weighs, by the adapter that answered, those that answered next; "" is the base alone."""

    steps: dict[str, dict[str, float]] = field(default_factory=dict)
    scores: list[bool] = field(default_factory=list)
    last: str | None = None

    def saw(self, adapter: str) -> None:
        """It answers now; asking the same one again is no step."""
        before, self.last = self.last, adapter
        if before is None or before == adapter:
            return
        guess = self._likeliest(before)
        if guess is not None:
            self.scores = [*self.scores, guess == adapter][-SCORED:]
        weights = {name: weight * FADE for name, weight in self.steps.get(before, {}).items()}
        weights[adapter] = weights.get(adapter, 0.0) + 1.0
        self.steps[before] = weights
        while len(self.steps) > KEPT:
            del self.steps[next(iter(self.steps))]

    def _likeliest(self, since: str) -> str | None:
        weights = self.steps.get(since, {})
        name = max(weights, key=lambda name: weights[name], default=None)
        return name if name is not None and weights[name] >= LEAST_SHARE * sum(weights.values()) else None

    def next(self, resident: Collection[str], known: Collection[str]) -> str | None:
        """The adapter that is worth loading ahead, None if there is none or loading ahead does not help."""
        if self.last is None or not self.helps:
            return None
        guess = self._likeliest(self.last)
        return guess if guess and guess in known and guess not in resident else None

    @property
    def rate(self) -> float | None:
        """The share of predictions that came true; None before there are enough of them."""
        return sum(self.scores) / len(self.scores) if len(self.scores) >= LEAST_SCORED else None

    @property
    def helps(self) -> bool:
        """Whether to load ahead."""
        return self.rate is None or self.rate >= HELPS

    def to_json(self) -> dict[str, Any]:
        """As in the workspace's settings."""
        return {"steps": self.steps, "scores": self.scores}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Habits:
        """The reverse of `to_json`; anything else is no habits."""
        try:
            steps = {str(a): {str(b): float(w) for b, w in found.items()} for a, found in data.get("steps", {}).items()}
            return cls(steps, [bool(score) for score in data.get("scores", [])])
        except (AttributeError, TypeError, ValueError):
            return cls()
