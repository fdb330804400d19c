"""The training configuration: presets, overrides, accepted ranges. Light: the window and the command line use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from core.errors import AppError, Where

TARGETS = {
    "attention": "Attention (query and value): smallest adapter",
    "all_linear": "All linear layers: the usual choice",
    "all_linear_and_embeddings": "Linear layers and embeddings: also the output layer; strongest, largest adapter",
}
SCHEDULES = {"cosine": "Cosine decay", "linear": "Linear decay", "constant": "Constant"}


@dataclass(frozen=True)
class Range:
    """Accepted bounds, the slider's bounds and step, and a line of help."""

    low: float
    high: float
    slider_low: float
    slider_high: float
    step: float
    help: str


RANGES: dict[str, Range] = {
    "learning_rate": Range(
        1e-5, 1e-3, 1e-5, 2e-4, 1e-6, "How far each step moves the weights. If it is too high, the loss jumps."
    ),
    "batch_size": Range(1, 64, 1, 16, 1, "Conversations per step. More is steadier but needs more memory."),
    "epochs": Range(1, 20, 1, 10, 1, "How many times each conversation is seen."),
    "rank": Range(4, 128, 4, 64, 4, "Size of the adapter (LoRA rank): how much it can learn."),
    "alpha": Range(1, 512, 8, 128, 1, "Strength of the adapter; its scale is alpha divided by rank."),
    "dropout": Range(
        0.0, 0.5, 0.0, 0.3, 0.01, "Share of adapter inputs dropped during training, to reduce overfitting."
    ),
    "max_seq_length": Range(
        32,
        131072,
        128,
        8192,
        32,
        "Max sequence length in tokens. Longer conversations are left out and listed, never cut.",
    ),
    "max_steps": Range(0, 1_000_000, 0, 1000, 1, "Stop after this many steps; 0 means all epochs."),
    "gradient_accumulation": Range(1, 64, 1, 16, 1, "Batches accumulated into one step."),
    "grad_clip": Range(0.0, 100.0, 0.0, 5.0, 0.1, "Maximum gradient norm of a step; 0 turns clipping off."),
    "weight_decay": Range(0.0, 1.0, 0.0, 0.1, 0.01, "Pulls adapter weights toward zero."),
    "warmup_share": Range(0.0, 0.5, 0.0, 0.2, 0.01, "Share of the steps during which the learning rate rises."),
    "validate_every": Range(0, 100_000, 0, 500, 1, "Steps between validations; 0 means about ten per run."),
    "checkpoint_every": Range(0, 100_000, 0, 500, 1, "Steps between checkpoints; 0 means about twenty per run."),
    "seed": Range(0, 2**31 - 1, 0, 1000, 1, "The same seed, data, and settings give the identical adapter."),
}


@dataclass(frozen=True)
class TrainingConfig:
    """Hyperparameters of one run; keys are those of `--set key=value`."""

    learning_rate: float = 5e-5
    batch_size: int = 4
    epochs: int = 3
    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.1
    targets: str = "all_linear"
    schedule: str = "cosine"
    max_seq_length: int = 2048
    max_steps: int = 0
    gradient_accumulation: int = 1
    grad_clip: float = 1.0
    weight_decay: float = 0.0
    warmup_share: float = 0.05
    validate_every: int = 0
    checkpoint_every: int = 0
    grad_checkpoint: bool = False
    seed: int = 0

    @property
    def scale(self) -> float:
        """mlx-lm's scale: alpha / rank."""
        return self.alpha / self.rank

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def steps_per_epoch(self, rows: int) -> int:
        """ceil(ceil(rows / batch_size) / gradient_accumulation)."""
        batches = -(-rows // self.batch_size)
        return -(-batches // self.gradient_accumulation)

    def total_steps(self, rows: int) -> int:
        """Steps of the whole run over `rows` training conversations, at most `max_steps`."""
        total = self.steps_per_epoch(rows) * self.epochs
        return min(total, self.max_steps) if self.max_steps else total


@dataclass(frozen=True)
class Preset:
    """A named starting point of the spec."""

    name: str
    title: str
    purpose: str
    config: TrainingConfig


PRESETS: dict[str, Preset] = {
    "fast": Preset(
        "fast", "Fast", "Quick tests",
        TrainingConfig(learning_rate=1e-4, batch_size=8, epochs=1, rank=8, alpha=16, dropout=0.05),
    ),
    "balanced": Preset("balanced", "Balanced", "Most uses", TrainingConfig()),
    "quality": Preset(
        "quality", "Quality", "Production",
        TrainingConfig(learning_rate=3e-5, batch_size=2, epochs=5, rank=32, alpha=64, dropout=0.1),
    ),
}  # fmt: skip
DEFAULT_PRESET = "balanced"

# Within the accepted ranges, and enough to see an effect on a model this small (see docs/practice-model.md).
PRACTICE_OVERRIDES: dict[str, Any] = {
    "learning_rate": 1e-3, "batch_size": 2, "epochs": 4, "rank": 16, "alpha": 64,
    "targets": "all_linear_and_embeddings",
}  # fmt: skip


def configure(preset: str, overrides: Mapping[str, Any] | None = None) -> TrainingConfig:
    """The preset with overrides, checked. Text values (from the command line) are converted.

    Raises AppError `unknown_preset`, `unknown_setting` or `setting_out_of_range` naming the field.
    """
    if preset not in PRESETS:
        raise AppError("unknown_preset", f"There is no preset “{preset}”.", hint=f"Known: {', '.join(PRESETS)}.")
    types = {f.name: f.type for f in fields(TrainingConfig)}
    values: dict[str, Any] = {}
    for key, raw in (overrides or {}).items():
        if key not in types:
            raise AppError(
                "unknown_setting", f"There is no training setting “{key}”.",
                hint=f"Known: {', '.join(types)}.", where=Where(field=key),
            )  # fmt: skip
        values[key] = _convert(key, str(types[key]), raw)
    # A preset's alpha is twice its rank; an overridden rank keeps that unless alpha is given too.
    if "rank" in values and "alpha" not in values:
        values["alpha"] = 2.0 * values["rank"]
    return check(replace(PRESETS[preset].config, **values))


def _convert(key: str, kind: str, raw: Any) -> Any:
    try:
        if kind == "bool":
            if str(raw).lower() not in ("true", "false", "1", "0"):
                raise ValueError
            return str(raw).lower() in ("true", "1")
        if kind == "int":
            if float(raw) != int(float(raw)):
                raise ValueError
            return int(float(raw))
        return float(raw) if kind == "float" else str(raw)
    except (ValueError, TypeError, OverflowError) as exc:
        wanted = {"int": "a whole number", "float": "a number", "bool": "true or false"}.get(kind, "text")
        raise AppError(
            "setting_out_of_range", f"“{raw}” is not a valid value for {key}.", hint=f"Enter {wanted}.",
            where=Where(field=key),
        ) from exc  # fmt: skip


def problems(config: TrainingConfig) -> dict[str, str]:
    """Field → what is wrong with it, for inline validation; empty when all is well."""
    out: dict[str, str] = {}
    for key, allowed in RANGES.items():
        value = getattr(config, key)
        if not allowed.low <= value <= allowed.high:
            out[key] = f"Must be between {allowed.low:g} and {allowed.high:g}."
    if config.rank % 4:
        out.setdefault("rank", "Must be a multiple of 4.")
    for key, known in (("targets", TARGETS), ("schedule", SCHEDULES)):
        if getattr(config, key) not in known:
            out[key] = f"Must be one of {', '.join(known)}."
    return out


def check(config: TrainingConfig) -> TrainingConfig:
    """The config itself. Raises AppError `setting_out_of_range` for the first field that is wrong."""
    for key, text in problems(config).items():
        raise AppError(
            "setting_out_of_range", f"{key} is {getattr(config, key)}, which is out of range.",
            hint=text, where=Where(field=key),
        )  # fmt: skip
    return config
