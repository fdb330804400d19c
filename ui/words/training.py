"""Words for training: settings, states, verdicts, log lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core.jobs import Job, JobState
from core.training.config import PRESETS, TARGETS, TrainingConfig
from core.training.history import Entry
from core.training.store import Adapter, TrainingRun
from ui import format as fmt
from ui.models.rows import Status
from ui.widgets.facts import Fact

TITLES = {
    "learning_rate": "Learning rate", "batch_size": "Batch size", "epochs": "Epochs", "rank": "Rank",
    "alpha": "Alpha", "dropout": "Dropout", "max_seq_length": "Maximum length", "max_steps": "Maximum steps",
    "gradient_accumulation": "Gradient accumulation", "grad_clip": "Gradient clipping", "weight_decay": "Weight decay",
    "warmup_share": "Warm-up", "validate_every": "Validate every", "checkpoint_every": "Checkpoint every",
    "seed": "Seed",
}  # fmt: skip
VERDICTS = {
    "better": Status("ok", "Better than the base"), "not_better": Status("warn", "Not better than the base"),
    "worse": Status("bad", "Worse than the base"), "unmeasured": Status("neutral", "Not measured"),
}  # fmt: skip
STATE_WORDS = {
    JobState.QUEUED: "Queued. One training run uses the machine at a time.",
    JobState.INITIALIZING: "Starting: loading the base model.",
    JobState.PAUSED: "Paused; its memory is free. Resume continues exactly where it stopped.",
    JobState.CANCELLED: "Stopped. Progress is kept; Resume continues exactly where it stopped.",
}


def rate_words(rate: float) -> str:
    """0.00005 -> "5e-5": the way the field writes it."""
    mantissa, exponent = f"{rate:.2e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def verdict_status(verdict: str) -> Status:
    """An adapter's verdict as icon, word and colour."""
    return VERDICTS.get(verdict, VERDICTS["unmeasured"])


def verdict_short(verdict: str) -> Status:
    """The same for a column whose title says what is meant."""
    status = verdict_status(verdict)
    return Status(status.kind, status.word.removesuffix(" than the base"))


def preset_title(name: str) -> str:
    """The preset as it is called."""
    return PRESETS[name].title if name in PRESETS else fmt.word(name)


def target_title(name: str) -> str:
    """Which layers are trained, without the remark about them: "All linear layers"."""
    return TARGETS.get(name, fmt.word(name)).partition(":")[0]


def run_line(run: TrainingRun) -> str:
    """Below the title: base, dataset, preset."""
    changed = "" if run.preset in PRESETS and PRESETS[run.preset].config == run.config else ", changed"
    return f"{run.base_name} · dataset {run.dataset_name} · {preset_title(run.preset)}{changed}, rank {run.config.rank}"


def losses(before: float | None, after: float | None) -> str:
    """ "2.87 → 1.09"."""
    return f"{fmt.decimal(before)} → {fmt.decimal(after)}" if before is not None or after is not None else fmt.NOTHING


def took(job: Job) -> float | None:
    """Seconds from its start to its end."""
    if not job.started_at or not job.finished_at:
        return None
    return (datetime.fromisoformat(job.finished_at) - datetime.fromisoformat(job.started_at)).total_seconds()


def result_words(adapter: Adapter) -> str:
    """The verdict as a sentence with the losses it is based on."""
    passport = adapter.passport
    if "imported" in passport:
        return "It was trained elsewhere and not measured here. To compare, ask with it and with the base alone."
    before, after = passport.get("loss_before"), passport.get("loss_after")
    numbers = f"from {fmt.decimal(before)} to {fmt.decimal(after)}"
    if adapter.verdict == "better":
        return f"The validation loss fell {numbers}. On conversations it has not seen, it answers more like yours."
    if adapter.verdict == "worse":
        return f"The validation loss rose {numbers}. A lower learning rate or fewer epochs may help."
    if adapter.verdict == "not_better":
        return f"The validation loss went {numbers}: no real difference. More steps or a higher learning rate may help."
    return "There were no validation conversations, so there is no way to tell whether it is better."


def settings_facts(run: TrainingRun) -> list[Fact]:
    """The settings that matter, for the column at the right."""
    config = run.config
    facts = [
        Fact("Preset", preset_title(run.preset)),
        Fact("Learning rate", f"{rate_words(config.learning_rate)}, {config.schedule}"),
        Fact("Batch size", _batch(config)),
        Fact("Epochs", fmt.count(config.epochs)),
        Fact("Rank, alpha", f"{config.rank}, {config.alpha:g}"),
        Fact("Dropout", f"{config.dropout:g}"),
        Fact("Trained layers", target_title(config.targets), TARGETS.get(config.targets, "")),
        Fact("Seed", str(config.seed)),
    ]
    if config.max_steps:
        facts.insert(4, Fact("Maximum steps", fmt.count(config.max_steps)))
    return facts


def _batch(config: TrainingConfig) -> str:
    extra = f" × {config.gradient_accumulation}" if config.gradient_accumulation > 1 else ""
    return f"{config.batch_size}{extra}"


def left_out_words(items: Sequence[Mapping[str, Any]], total: int, limit: int = 6) -> str:
    """Line by line, why; the rest of `total` as a number."""
    shown = [f"Line {item['line']}: {item['reason']}" for item in items[:limit]]
    more = total - len(shown)
    return "\n".join([*shown, *([f"and {fmt.count(more)} more"] if more > 0 else [])])


def log_line(entry: Entry) -> str:
    """One line of the log."""
    words = {
        "started": "started", "resumed": f"resumed at step {fmt.count(entry.step)}",
        "checkpoint": f"checkpoint {fmt.count(entry.step)} saved", "published": "adapter saved", "done": "finished",
        "failed": f"failed: {entry.reason}", "stopped": _stopped(entry.reason),
    }  # fmt: skip
    if entry.kind == "validation":
        mark = ", the base" if entry.step == 0 else " (best)" if entry.best else ""
        text = f"validation {fmt.decimal(entry.loss)}{mark}"
    else:
        text = words[entry.kind]
    return f"{clock(entry.elapsed_s)}  {text}"


def _stopped(reason: str) -> str:
    return {"pause": "paused", "user": "stopped"}.get(reason, "interrupted")


def clock(seconds: float) -> str:
    """Time of training as 0:03:10."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
