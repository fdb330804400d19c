"""What is made of a project's code: examples with their provenance, what was left out, and the limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from core.code_index.records import ParsedFile, digest
from core.datasets.candidates import TRAIN, VALIDATION


class What(StrEnum):
    """Kinds of examples."""

    COMPLETE = "completion"
    BODY = "body"
    DOC = "docstring"
    EXPLAIN = "explanation"
    WHERE = "where is"
    CONVENTION = "convention"


class Why(StrEnum):
    """Why a symbol gives no example, or why one that was made is not kept."""

    SHORT = "nothing to learn: too short, and no comment"
    SHAPE = "its signature and body can't be told apart"
    NAME_TWICE = "nothing to learn: its name has several places"
    KEY = "holds what looks like a key"
    SAME = "the same as another"
    ALIKE = "nearly the same as another"
    HELD_OUT = "names a symbol of a held-out file"
    LONG = "longer than the base or the settings read at once"
    CONTROL = "holds a control token of the base"
    FILE_FULL = "more than enough from its file"
    KIND_FULL = "more than enough of its kind"


@dataclass(frozen=True, slots=True)
class CodeFile:
    """A file that was read: its chunks, and the hash of its bytes (`records.digest`)."""

    parsed: ParsedFile
    hash: str
    text: str = ""

    @property
    def path(self) -> str:
        """Below the project's root, with "/"."""
        return self.parsed.path


@dataclass(frozen=True, slots=True)
class Example:
    """A question and its answer with where both come from. Lines count from 1, inclusive."""

    what: What
    question: str
    answer: str
    path: str
    start_line: int
    end_line: int
    symbol: str
    language: str
    file_hash: str
    is_test: bool = False

    @property
    def id(self) -> str:
        """The same for the same example."""
        return digest(self.what, self.question, self.answer)[:16]

    @property
    def provenance(self) -> dict[str, Any]:
        """As it is kept with the row of the dataset."""
        return {
            "kind": str(self.what), "path": self.path, "lines": [self.start_line, self.end_line],
            "symbol": self.symbol, "language": self.language, "file_hash": self.file_hash,
        }  # fmt: skip

    def messages(self, system: str) -> list[dict[str, str]]:
        """As a conversation."""
        return [
            {"role": "system", "content": system},
            {"role": "user", "content": self.question},
            {"role": "assistant", "content": self.answer},
        ]

    def row(self, system: str, *, held_out: bool) -> dict[str, Any]:
        """As a record that a dataset is built from."""
        split = VALIDATION if held_out else TRAIN
        return {"id": self.id, "messages": self.messages(system), "split": split, "provenance": self.provenance}


@dataclass(frozen=True)
class Limits:
    """How much is made of a project; `shares` are of all examples of a split, scaled where kinds are missing.

    `validation` is the share of files held out, `alike` the likeness (Jaccard of three-word shingles) from which on two
    answers count as one. `least_training` and `least_validation` are what a run needs at least.
    """

    total: int = 1_500
    per_file: int = 24
    validation: float = 0.1
    most_validation: int = 150
    alike: float = 0.8
    least_training: int = 20
    least_validation: int = 3
    shares: Mapping[What, float] = field(default_factory=lambda: dict(SHARES))


SHARES: Mapping[What, float] = {
    What.COMPLETE: 0.35, What.BODY: 0.3, What.DOC: 0.25, What.EXPLAIN: 0.25, What.WHERE: 0.2, What.CONVENTION: 0.1,
}  # fmt: skip


@dataclass(frozen=True)
class Made:
    """Examples of both splits and the counts. Symbols in = used + rejected; examples made = kept + dropped.

    `tokens` are those that train, over both splits, None where nothing counted them. `unused_files` maps reasons to
    files that gave no symbol.
    """

    training: Sequence[Example]
    validation: Sequence[Example]
    held_out: Sequence[str]
    files: int
    unused_files: Mapping[str, int]
    symbols: int
    used_symbols: int
    rejected: Counter[str]
    dropped: Counter[str]
    conventions: Sequence[str] = ()
    tokens: int | None = None

    @property
    def kept(self) -> int:
        """Examples of both splits."""
        return len(self.training) + len(self.validation)

    @property
    def kinds(self) -> dict[str, dict[str, int]]:
        """Examples a kind: {"train", "validation"}."""
        return {
            str(what): {
                TRAIN: sum(example.what is what for example in self.training),
                VALIDATION: sum(example.what is what for example in self.validation),
            }
            for what in What
        }  # fmt: skip

    def counts(self) -> dict[str, Any]:
        """Everything that is counted, as JSON."""
        return {
            "kinds": self.kinds, "held_out": list(self.held_out), "files": self.files,
            "unused_files": dict(self.unused_files), "tokens": self.tokens,
            "symbols": {
                "in": self.symbols, "used": self.used_symbols, "rejected": dict(self.rejected.most_common()),
            },
            "examples": {
                "in": self.kept + self.dropped.total(), "used": self.kept, "rejected": dict(self.dropped.most_common()),
            },
            "conventions": list(self.conventions),
        }  # fmt: skip
