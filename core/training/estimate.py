"""What a run will take and what to expect of it, before it starts. Light: the window follows every control with it."""

from __future__ import annotations

from dataclasses import dataclass

from core.training.config import PRESETS, TrainingConfig

# Steps times learning rate: below the first hardly anything moves, from the second on answers change clearly.
SMALL_EFFECT, CLEAR_EFFECT = 0.002, 0.01
MANY_EPOCHS = 8


@dataclass(frozen=True)
class Material:
    """What there is to train on; `supervised_tokens` counts all conversations, None where nothing could count."""

    conversations: int
    validation: int
    supervised_tokens: int | None

    @property
    def training(self) -> int:
        """Conversations that train."""
        return max(0, self.conversations - self.validation)


@dataclass(frozen=True)
class Estimate:
    """`tokens` train over the whole run; `seconds` is None until a run was measured on this machine."""

    steps_per_epoch: int
    steps: int
    tokens: int | None
    seconds: float | None
    effect: str
    verdict: str
    warnings: tuple[str, ...]


def estimate(config: TrainingConfig, material: Material, seconds_per_token: float | None, preset: str = "") -> Estimate:
    """The spec's formula on the material; `preset` names the settings in the verdict unless they were changed."""
    rows = material.training
    per_epoch = config.steps_per_epoch(rows)
    steps = config.total_steps(rows)
    tokens = None
    if material.supervised_tokens is not None and material.conversations and per_epoch:
        share = rows / material.conversations * steps / per_epoch
        tokens = round(material.supervised_tokens * share)
    seconds = tokens * seconds_per_token if tokens is not None and seconds_per_token is not None else None
    effect = effect_of(steps * config.learning_rate)
    return Estimate(
        per_epoch, steps, tokens, seconds, effect, _verdict(config, material, steps, effect, preset),
        _warnings(config, material, per_epoch),
    )  # fmt: skip


def effect_of(budget: float) -> str:
    """How much to expect of so many steps at such a rate: small, moderate or clear."""
    if budget < SMALL_EFFECT:
        return "small"
    return "moderate" if budget < CLEAR_EFFECT else "clear"


def _verdict(config: TrainingConfig, material: Material, steps: int, effect: str, preset: str) -> str:
    if not steps:
        return "There are no conversations to train on."
    unchanged = preset in PRESETS and PRESETS[preset].config == config
    who = f"{PRESETS[preset].title} makes" if unchanged else "These settings make"
    return f"{who} {_count(steps, 'step')} over {_count(material.training, 'conversation')}: expect a {effect} effect."


def _warnings(config: TrainingConfig, material: Material, per_epoch: int) -> tuple[str, ...]:
    out = []
    if per_epoch == 1 and material.training > 1:
        out.append("All conversations fit into one step. A smaller batch size gives more steps.")
    if config.epochs >= MANY_EPOCHS and not config.max_steps:
        out.append(f"Every conversation is seen {config.epochs} times: watch the validation loss for overfitting.")
    if material.training and not material.validation:
        out.append("There are no validation conversations, so there is no way to tell whether the adapter is better.")
    return tuple(out)


def _count(value: int, noun: str) -> str:
    return f"{value:,} {noun}" + ("" if value == 1 else "s")
