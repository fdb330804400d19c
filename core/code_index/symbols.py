"""Ranked chunks as symbols: the parts of one put together, and nothing shown twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.code_index.fusion import Fused
from core.code_index.records import Kind

Row = Mapping[str, Any]
# Their parts are pieces of a file, not of a symbol.
_LOOSE = (Kind.MODULE, Kind.TEXT)
# So much of a symbol's lines in the text of another: it is shown there.
NESTED = 0.9


@dataclass(eq=False)
class Symbol:
    """A symbol, or a run of parts of a file: its rows by line, the one that ranked best, and what each leg said."""

    row: Row
    rows: list[Row]
    score: float = 0.0
    legs: dict[str, tuple[int, float]] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The file."""
        return str(self.row["path"])

    @property
    def start(self) -> int:
        """First line."""
        return min(int(row["start_line"]) for row in self.rows)

    @property
    def end(self) -> int:
        """Last line."""
        return max(int(row["end_line"]) for row in self.rows)

    @property
    def loose(self) -> bool:
        """Whether it is a run of parts of a file."""
        return self.row["kind"] in _LOOSE

    @property
    def text(self) -> str:
        """Its rows' texts, one after the other."""
        out = ""
        before: Row | None = None
        for row in self.rows:
            text = str(row["text"])
            shared = int(before["end_line"]) - int(row["start_line"]) + 1 if before is not None else 0
            if shared > 0 and row["nparts"] == 1:
                # Windows of lines overlap; parts that share a line are pieces of it.
                text = "\n".join(text.split("\n")[shared:])
            if text and out and not out.endswith("\n") and (shared <= 0 or row["nparts"] == 1):
                out += "\n"
            out, before = out + text, row
        return out

    def shows(self, other: Symbol) -> bool:
        """Whether its text has the lines of the other. A class is a skeleton: of its methods it has the first lines."""
        if self.path != other.path or other.start < self.start or other.end > self.end:
            return False
        own = {line.strip() for line in self.text.split("\n")}
        lines = [line.strip() for line in other.text.split("\n") if line.strip()]
        return sum(line in own for line in lines) >= NESTED * len(lines)


def in_parts(row: Row) -> bool:
    """Whether it is one of several parts of a symbol."""
    return row["nparts"] > 1 and row["kind"] not in _LOOSE


def whole(row: Row, rows: Sequence[Row]) -> list[Row]:
    """All parts of the symbol that `row` is a part of, from the rows of its file."""
    if not in_parts(row):
        return [row]
    same = [other for other in rows if _key(other) == _key(row)]
    # Overloads have one name: each begins anew with part 1.
    groups: list[list[Row]] = []
    for other in sorted(same, key=lambda one: (one["start_line"], one["part"])):
        if not groups or other["part"] <= groups[-1][-1]["part"]:
            groups.append([])
        groups[-1].append(other)
    return next((group for group in groups if any(other["id"] == row["id"] for other in group)), [row])


def _key(row: Row) -> tuple[Any, ...]:
    return row["kind"], row["qualified"], row["nparts"]


def symbols(ranked: Sequence[Fused], files: Mapping[str, Sequence[Row]], before: Sequence[Symbol] = ()) -> list[Symbol]:
    """The symbols of ranked chunks in their order, after those found `before`.

    Parts of one symbol take the place of the best of them. What stands within one that is shown is dropped.
    """
    kept = list(before)
    for fused in ranked:
        row = fused.row
        holder = next((one for one in kept if any(r["id"] == row["id"] for r in one.rows)), None)
        if holder is not None:
            _add_legs(holder, fused.legs)
            continue
        new = Symbol(row, whole(row, files.get(row["path"], ())), fused.score, dict(fused.legs))
        beside = [one for one in kept if new.loose and _adjoins(one, new)]
        if beside:
            _absorb(beside[0], [*beside[1:], new])
            kept = [one for one in kept if one not in beside[1:]]
        elif not any(one.shows(new) for one in kept):
            kept.append(new)
    return kept


def _absorb(symbol: Symbol, others: Sequence[Symbol]) -> None:
    """Make one run of several; a piece may join two that were found before it."""
    for other in others:
        symbol.rows = sorted([*symbol.rows, *other.rows], key=lambda row: (row["start_line"], row["part"]))
        _add_legs(symbol, other.legs)


def _adjoins(one: Symbol, new: Symbol) -> bool:
    """Whether both are pieces of one file's text, one right after the other."""
    if not one.loose or one.path != new.path or _key(one.row) != _key(new.row):
        return False
    if new.row["nparts"] > 1:
        return any(abs(row["part"] - new.row["part"]) == 1 for row in one.rows)
    return new.start <= one.end + 1 and one.start <= new.end + 1


def _add_legs(symbol: Symbol, legs: Mapping[str, tuple[int, float]]) -> None:
    """The better rank of each leg; the score stays that of the best part."""
    for leg, said in legs.items():
        if leg not in symbol.legs or said[0] < symbol.legs[leg][0]:
            symbol.legs[leg] = said
