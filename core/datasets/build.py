"""Build a dataset: check rows, split by conversation, count, write `data.jsonl` in a new folder."""

from __future__ import annotations

import hashlib
import random
import uuid
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import orjson

from core.cancel import CancelToken
from core.datasets.candidates import TRAIN, VALIDATION, Candidate, Found, Refused
from core.datasets.messages import USED, check, supervised
from core.datasets.spool import Spool
from core.errors import AppError, Where
from core.reading.report import Tally
from core.workspace.files import new_folder

DATA, INDEX = "data.jsonl", "data.index"
SAMPLES, SAMPLE_TEXT, ERRORS = 3, 600, 100
MIN_FOR_SPLIT, MIN_FOR_THREE = 4, 14
_BUCKETS = 12
_PROMPTS = 10_000


class Counts(Protocol):
    """What the tokenizer says about one conversation."""

    @property
    def ids(self) -> list[int]:
        """Token ids."""

    @property
    def supervised(self) -> int:
        """Number of tokens that train."""


class Tokenizer(Protocol):
    """The part of `core.models.rendering.ChatTokenizer` that is used here."""

    def render(self, messages: list[dict[str, Any]]) -> Counts:
        """Token ids and weights of a conversation."""


@dataclass(frozen=True)
class Split:
    """Share of conversations kept for validation, and the seed that picks them."""

    share: float = 0.12
    seed: int = 7

    def count(self, conversations: int) -> int:
        """How many of them validate: none below 4, at least 1, at least 3 from 14 on."""
        if conversations < MIN_FOR_SPLIT or self.share <= 0:
            return 0
        least = 3 if conversations >= MIN_FOR_THREE else 1
        return min(conversations - 1, max(least, round(conversations * self.share)))

    def pick(self, conversations: int) -> frozenset[int]:
        """The positions that validate; the same for the same number and seed."""
        rng = random.Random(self.seed)
        return frozenset(rng.sample(range(conversations), self.count(conversations)))

    def reason(self, conversations: int) -> str:
        """Why there is no validation set; empty when there is one."""
        if self.count(conversations):
            return ""
        if self.share <= 0:
            return "No validation set: the validation share is 0."
        found = "1 conversation is" if conversations == 1 else f"{conversations} conversations are"
        return f"No validation set: {found} too few, {MIN_FOR_SPLIT} are needed."


Rejected = Callable[[int, AppError, int], None]


@dataclass
class _Facts:
    """What is collected while rows are written."""

    turns: array[int] = field(default_factory=lambda: array("I"))
    tokens: array[int] = field(default_factory=lambda: array("I"))
    characters: array[int] = field(default_factory=lambda: array("I"))
    supervised_tokens: int = 0
    prompts: Counter[str] = field(default_factory=Counter)
    sample: list[dict[str, Any]] = field(default_factory=list)
    repeated: int = 0
    unanswered: int = 0
    unused: Counter[str] = field(default_factory=Counter)
    # Which rows say that they validate, and how many say either.
    validating: set[int] = field(default_factory=set)
    split_given: int = 0

    def notes(self) -> list[str]:
        """What a reader of the dataset has to know of its rows."""
        out = []
        if self.repeated:
            answers = "answer was" if self.repeated == 1 else "answers were"
            out.append(f"{self.repeated:,} {answers} in an earlier row with the same context: trained on once.")
        if self.unanswered:
            answers = "answer is" if self.unanswered == 1 else "answers are"
            out.append(f"{self.unanswered:,} {answers} empty: kept as context, not trained on.")
        if self.unused:
            listed = ", ".join(f"{name[:40]} ({count:,})" for name, count in self.unused.most_common(8))
            out.append(f"Message fields not used: {listed}.")
        return out


class Builder:
    """One dataset under way. `rejected(line, error, units)` is called for everything that is left out."""

    def __init__(
        self, spool_folder: Path, split: Split, tokenizer: Tokenizer | None, rejected: Rejected, token: CancelToken
    ) -> None:
        self.tally = Tally()
        self.notes: list[str] = []
        self._errors: list[dict[str, Any]] = []
        self.spool = Spool(spool_folder / f"spool-{uuid.uuid4().hex}.db")
        self._split = split
        self._tokenizer = tokenizer
        self._rejected = rejected
        self._token = token
        self._facts = _Facts()

    def _refuse(self, line: int, error: AppError, units: int) -> None:
        self.tally.rejected += units
        self._rejected(line, error, units)
        if len(self._errors) < ERRORS:
            where = {"line": error.where.line or line, "field": error.where.field}
            self._errors.append({**where, "code": error.code, "message": error.message, "hint": error.hint})

    def write(self, found: Iterator[Found], folder: Path) -> dict[str, Any] | None:
        """Write the files into `folder`; returns the columns that follow, None when no row is left."""
        rows = folder / "rows.tmp"
        with rows.open("wb") as out:
            for item in found:
                self._token.raise_if_cancelled()
                if isinstance(item, Refused):
                    self._refuse(item.line, item.error, 1)
                else:
                    self._take(item, out)
        if not self._facts.turns:
            return None
        columns = self._finish(rows, folder)
        rows.unlink()
        return columns

    def _take(self, item: Candidate, out: BinaryIO) -> None:
        try:
            messages = check(item.messages)
            repeated = self.spool.repeated(messages)
            for index in repeated:
                messages[index]["weight"] = 0
            if not supervised(messages):
                raise _duplicate(max(repeated.values()))
            tokens = self._count(messages)
        except AppError as error:
            self._refuse(item.line, error, item.units)
            return
        self.spool.remember(messages, item.line)
        facts = self._facts
        facts.split_given += bool(item.split)
        if item.split == VALIDATION:
            facts.validating.add(len(facts.turns))
        facts.repeated += len(repeated)
        empty = sum(m["role"] == "assistant" and not m["content"].strip() for m in messages)
        facts.unanswered += max(0, empty - item.cut)
        facts.unused.update(key for message in item.messages for key in message if key not in USED)
        self.tally.used += item.units - item.cut
        self.tally.cut += item.cut
        facts.turns.append(supervised(messages))
        facts.characters.append(sum(len(message["content"]) for message in messages))
        if tokens is not None:
            facts.tokens.append(tokens)
        system = messages[0]["content"] if messages[0]["role"] == "system" else ""
        if system in facts.prompts or len(facts.prompts) < _PROMPTS:
            facts.prompts[system] += 1
        source: dict[str, Any] = {"line": item.line} | ({"id": item.source_id} if item.source_id else {})
        source |= {"provenance": dict(item.provenance)} if item.provenance else {}
        row = {"id": f"row-{len(facts.turns)}", "messages": messages, "source": source}
        if len(facts.sample) < SAMPLES:
            facts.sample.append({"id": row["id"], "messages": [_short(message) for message in messages]})
        # Left open: which rows validate is known only when all were read.
        out.write(orjson.dumps(row)[:-1] + b"\n")

    def _count(self, messages: list[dict[str, Any]]) -> int | None:
        if self._tokenizer is None:
            return None
        try:
            rendered = self._tokenizer.render(messages)
        except AppError as error:
            if error.code != "template_unsupported":
                raise
            self._tokenizer = None
            self._facts.tokens = array("I")
            self.notes.append(f"Tokens were not counted. {error.message}")
            return None
        self._facts.supervised_tokens += rendered.supervised
        return len(rendered.ids)

    def _validation(self) -> frozenset[int]:
        """The rows that validate: those that say so, else a random pick where none says anything."""
        facts = self._facts
        return frozenset(facts.validating) if facts.split_given else self._split.pick(len(facts.turns))

    def _finish(self, rows: Path, folder: Path) -> dict[str, Any]:
        validation = self._validation()
        index = array("Q")
        digest, offset = hashlib.sha256(), 0
        with rows.open("rb") as source, (folder / DATA).open("wb") as out:
            for position, line in enumerate(source):
                self._token.raise_if_cancelled()
                name = VALIDATION if position in validation else TRAIN
                data = line[:-1] + b',"split":"' + name.encode() + b'"}\n'
                index.append(offset << 1 | (position in validation))
                digest.update(data)
                out.write(data)
                offset += len(data)
        (folder / INDEX).write_bytes(index.tobytes())
        return self._columns(validation, offset, digest.hexdigest())

    def _reason(self, validating: int) -> str:
        if not self._facts.split_given:
            return self._split.reason(len(self._facts.turns))
        return "" if validating else "No validation set: every conversation of the file says that it is for training."

    def _split_facts(self, validating: int, reason: str) -> dict[str, Any]:
        total, given = len(self._facts.turns), self._facts.split_given
        if not given:
            return {"share": self._split.share, "seed": self._split.seed, "reason": reason}
        return {"share": round(validating / total, 4), "seed": None, "reason": reason, "given": given}

    def _split_notes(self) -> list[str]:
        facts = self._facts
        if not facts.split_given:
            return []
        silent = len(facts.turns) - facts.split_given
        words = f"The split is the file's own: {len(facts.validating):,} of {len(facts.turns):,} are for validation"
        return [f"{words}; {silent:,} say nothing and train." if silent else f"{words}."]

    def _columns(self, validation: frozenset[int], size: int, content_hash: str) -> dict[str, Any]:
        facts, total = self._facts, len(self._facts.turns)
        validating = sum(facts.turns[position] for position in validation)
        training = sum(facts.turns) - validating
        tokens = facts.tokens if len(facts.tokens) == total else None
        reason = self._reason(len(validation))
        stats = {
            "length_unit": "tokens" if tokens else "characters",
            "histogram": histogram(tokens or facts.characters),
            "total_tokens": sum(tokens) if tokens else None,
            "supervised_tokens": facts.supervised_tokens if tokens else None,
            "average_turns": round(sum(facts.turns) / total, 2),
            "split": self._split_facts(len(validation), reason),
            "notes": [*self.notes, *self._split_notes(), *facts.notes(), *([reason] if reason else [])],
        }
        return {
            "file_size": size, "content_hash": content_hash, "status": "ready", "training_ready": int(training > 0),
            "total_conversations": total, "total_validation_conversations": len(validation),
            "total_training_pairs": training, "total_validation_pairs": validating,
            "total_tokens": sum(tokens) if tokens else None, "average_tokens": sum(tokens) / total if tokens else None,
            "max_tokens": max(tokens) if tokens else None, "counts": self.tally.to_json(), "stats": stats,
            "sample": facts.sample, "validation_errors": self._errors,
            "system_prompt": facts.prompts.most_common(1)[0][0],
        }  # fmt: skip


def _short(message: Mapping[str, Any]) -> dict[str, Any]:
    text = message["content"]
    return {**message, "content": text if len(text) <= SAMPLE_TEXT else text[:SAMPLE_TEXT] + "…"}


def _duplicate(line: int) -> AppError:
    return AppError(
        "duplicate",
        f"All its answers, with the same context, are already on line {line}.",
        hint="Remove one of the two; each answer is trained on once.",
        where=Where(field="messages"),
    )


def histogram(lengths: array[int]) -> list[dict[str, int]]:
    """Counts in at most twelve buckets of a round width: {from, to (exclusive), count}."""
    longest = max(lengths)
    width = next(step * 10**power for power in range(10) for step in (1, 2, 5) if step * 10**power * _BUCKETS > longest)
    counts = Counter(length // width for length in lengths)
    return [{"from": n * width, "to": (n + 1) * width, "count": counts[n]} for n in range(max(counts) + 1)]


class _NoRows(Exception):  # noqa: N818 - leaves the folder's block without keeping it
    """Nothing is left to train on."""


def build_folder(builder: Builder, found: Iterator[Found], final: Path) -> dict[str, Any] | None:
    """`Builder.write` into a folder that appears as `final` only when it is complete and holds rows."""
    try:
        with new_folder(final) as folder:
            columns = builder.write(found, folder)
            if columns is None:
                raise _NoRows
        return columns
    except _NoRows:
        return None
    finally:
        builder.spool.close()
