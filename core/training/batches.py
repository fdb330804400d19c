"""Rows of a dataset as token batches: nothing truncated, no tail dropped, order a function of seed and epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from core.cancel import CancelToken
from core.errors import AppError
from core.models.rendering import ChatTokenizer, Rendered

PAD_TO = 32


@dataclass
class Rows:
    """Rendered conversations of both splits, and what was left out with the reason."""

    train: list[Rendered] = field(default_factory=list)
    validation: list[Rendered] = field(default_factory=list)
    total: int = 0
    left_out: list[dict[str, Any]] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """in = used + rejected + cut; conversations too long for `max_seq_length` count as cut."""
        cut = sum(1 for item in self.left_out if item["code"] == "too_long")
        used = len(self.train) + len(self.validation)
        return {"in": self.total, "used": used, "rejected": self.total - used - cut, "cut": cut}

    @property
    def left_out_pairs(self) -> dict[str, int]:
        """Answers that would train, in what was left out."""
        cut = sum(item["pairs"] for item in self.left_out if item["code"] == "too_long")
        return {"rejected": sum(item["pairs"] for item in self.left_out) - cut, "cut": cut}

    def leave_out(self, line: int, row: Mapping[str, Any], code: str, reason: str, hint: str) -> None:
        """Note that a row is not used, and why."""
        pairs = sum(1 for message in row["messages"] if message.get("weight"))
        self.left_out.append(
            {"line": line, "id": row["id"], "code": code, "reason": reason, "hint": hint, "pairs": pairs}
        )


@dataclass(frozen=True)
class Limits:
    """Tokens of a conversation at most: by the settings, and by what the base reads (0: it does not say)."""

    max_seq_length: int
    context_length: int = 0


def read_rows(
    path: Path, tokenizer: ChatTokenizer, limits: Limits, token: CancelToken, progress: Callable[[int], None]
) -> Rows:
    """Render every row of data.jsonl. Raises AppError `nothing_to_train` when no training row is left."""
    rows = Rows()
    with path.open("rb") as handle:
        for number, line in enumerate(handle, start=1):
            token.raise_if_cancelled()
            rows.total += 1
            row = orjson.loads(line)
            try:
                rendered = tokenizer.render(row["messages"])
            except AppError as error:
                if error.code == "template_unsupported":
                    raise
                rows.leave_out(number, row, error.code, str(error), error.hint)
                continue
            reason = _unusable(rendered, limits)
            if reason:
                rows.leave_out(number, row, *reason)
                continue
            (rows.train if row["split"] == "train" else rows.validation).append(rendered)
            progress(number)
    if not rows.train:
        raise AppError(
            "nothing_to_train",
            f"None of the {rows.total} conversations can be trained on.",
            hint="Raise max_seq_length, or choose another dataset. First reason: "
            + (rows.left_out[0]["reason"] if rows.left_out else "the dataset has no training conversations")
            + ".",
        )
    return rows


def _unusable(rendered: Rendered, limits: Limits) -> tuple[str, str, str] | None:
    tokens = len(rendered.ids)
    if limits.context_length and tokens > limits.context_length:
        why = f"{tokens} tokens, more than the {limits.context_length} that the base model accepts"
        return "too_long", why, "Shorten it, or choose a base model with a longer context."
    if tokens > limits.max_seq_length:
        why = f"{tokens} tokens, more than the {limits.max_seq_length} of max_seq_length"
        return "too_long", why, "Raise max_seq_length to use it."
    if not rendered.supervised:
        why = "no turn can be trained on (every answer is empty or has weight 0)"
        return "nothing_supervised", why, "Fill in an answer, or set the weight of one to 1."
    return None


def epoch_batches(rows: Sequence[Rendered], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Indices of the batches of one epoch: similar lengths together, batches in random order, none dropped."""
    random = np.random.default_rng([seed, epoch])
    jitter = random.random(len(rows))
    # Lengths within one padding step count as equal, so that the composition changes from epoch to epoch.
    order = sorted(range(len(rows)), key=lambda i: (len(rows[i].ids) // (2 * PAD_TO), jitter[i]))
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    return [batches[i] for i in random.permutation(len(batches))]


def step_plan(
    rows: Sequence[Rendered], batch_size: int, accumulation: int, seed: int, epochs: int
) -> Iterator[tuple[int, float, list[list[int]]]]:
    """(step from 1, epoch reached after it, batches accumulated in it) over the whole run."""
    step = 0
    for epoch in range(epochs):
        batches = epoch_batches(rows, batch_size, seed, epoch)
        for start in range(0, len(batches), accumulation):
            step += 1
            group = batches[start : start + accumulation]
            yield step, epoch + min(1.0, (start + len(group)) / len(batches)), group


def collate(rows: Sequence[Rendered], indices: Sequence[int], pad_id: int = 0) -> tuple[Any, Any, Any]:
    """Inputs, targets and target weights, each (batch, length), padded to a multiple of 32 positions.

    Few different lengths mean few compilations; padded positions have weight 0.
    """
    longest = max(len(rows[i].ids) for i in indices) - 1
    length = -(-longest // PAD_TO) * PAD_TO
    inputs = np.full((len(indices), length), pad_id, dtype=np.int32)
    targets = np.full((len(indices), length), pad_id, dtype=np.int32)
    weights = np.zeros((len(indices), length), dtype=np.float32)
    for line, index in enumerate(indices):
        ids, row_weights = rows[index].ids, rows[index].weights
        inputs[line, : len(ids) - 1] = ids[:-1]
        targets[line, : len(ids) - 1] = ids[1:]
        weights[line, : len(ids) - 1] = row_weights[1:]
    return inputs, targets, weights
