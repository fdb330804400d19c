"""What training on a project would be, before it starts: examples, held-out files, steps, time, what is in the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.datasets.candidates import TRAIN, VALIDATION
from core.errors import AppError
from core.projects.examples.records import Limits
from core.training.config import TrainingConfig
from core.training.estimate import Estimate, Material, estimate


@dataclass(frozen=True)
class Plan:
    """`kinds` maps each kind of example to {"train", "validation"}; `problem` says why a run can't begin, if so.

    `symbols` and `examples` are {"in", "used", "rejected": {reason: count}}; `left_out` counts files by reason;
    `counts` is all of it as it was counted.
    """

    kinds: Mapping[str, Mapping[str, int]]
    training: int
    validation: int
    held_out: tuple[str, ...]
    files: int
    left_out: Mapping[str, int]
    symbols: Mapping[str, Any]
    examples: Mapping[str, Any]
    conventions: tuple[str, ...]
    estimate: Estimate
    problem: AppError | None
    counts: Mapping[str, Any]

    @property
    def words(self) -> str:
        """In a sentence: what is trained on."""
        files = "1 file is" if len(self.held_out) == 1 else f"{len(self.held_out):,} files are"
        return (
            f"{self.training:,} examples from {self.symbols['used']:,} of {self.symbols['in']:,} symbols; {files} held"
            f" out, with {self.validation:,} examples to measure on."
        )


def plan(
    counts: Mapping[str, Any], config: TrainingConfig, seconds_per_token: float | None = None, preset: str = "",
    limits: Limits | None = None,
) -> Plan:  # fmt: skip
    """From the counts of what would be made (`Made.counts()`, or the result of a job of this package)."""
    kinds = counts["kinds"]
    training, validation = (sum(kind[split] for kind in kinds.values()) for split in (TRAIN, VALIDATION))
    material = Material(training + validation, validation, counts.get("tokens"))
    return Plan(
        kinds, training, validation, tuple(counts["held_out"]), int(counts["files"]),
        {**counts["unused_files"], **counts.get("left_out", {})}, counts["symbols"], counts["examples"],
        tuple(counts["conventions"]), estimate(config, material, seconds_per_token, preset),
        problem(counts, limits or Limits()), counts,
    )  # fmt: skip


def problem(counts: Mapping[str, Any], limits: Limits) -> AppError | None:
    """Why too little can be made of the code to train on and to measure with; None where there is enough."""
    kinds = counts["kinds"]
    training, validation = (sum(kind[split] for kind in kinds.values()) for split in (TRAIN, VALIDATION))
    if not counts["symbols"]["in"]:
        return AppError(
            "no_code_to_train_on", "There is no code here in a language that can be parsed.",
            hint="Choose a folder with Python, JavaScript, TypeScript, Java, Go or Rust. The assistant answers from the"
            " files without an adapter too.",
        )  # fmt: skip
    if training < limits.least_training:
        reasons = ", ".join(f"{why}: {count:,}" for why, count in list(counts["examples"]["rejected"].items())[:3])
        return AppError(
            "too_few_examples",
            f"The code gives {training:,} training examples; {limits.least_training:,} are needed at least.",
            hint="The assistant answers from the code without an adapter too. Train when there is more code, or a base"
            " that reads longer texts.",
            detail=f"Left out: {reasons}." if reasons else "",
        )  # fmt: skip
    if validation < limits.least_validation:
        held_out = "1 file" if len(counts["held_out"]) == 1 else f"{len(counts['held_out']):,} files"
        return AppError(
            "too_few_held_out",
            f"There are {validation:,} examples to measure an adapter with, from {held_out} held out;"
            f" {limits.least_validation:,} are needed at least.",
            hint="Train when there are more files; without held-out files nobody could tell whether the adapter is"
            " better than the base.",
        )  # fmt: skip
    return None
