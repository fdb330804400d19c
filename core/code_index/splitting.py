"""Cutting what is too long for one chunk, where the syntax tree is shallowest (cAST, arXiv 2506.15655).

cAST splits a tree down to nodes that fit and merges neighbours again. The same pieces come out of one run over the
lines: fill up to the limit, then go back to the line break that the fewest nodes span. It takes linear time whatever
the nesting.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tree_sitter import Node

_UNBROKEN = 1 << 30
# A line that is that many times as long as the limit is cut too, though most of it is blank.
BLANKS = 4


class Row(NamedTuple):
    """A line of a chunk's text and the file's rows that it stands for (from 0, inclusive).

    `weight` is its size in characters that are not blank; `goes_on` says that it continues the line before it.
    """

    first: int
    last: int
    text: str
    weight: int
    goes_on: bool = False


def joined(rows: Sequence[Row]) -> str:
    """The text of rows."""
    return "".join(row.text if row.goes_on or not number else f"\n{row.text}" for number, row in enumerate(rows))


def levels(root: Node, wanted: Sequence[int]) -> list[int]:
    """For each row of a file, how many nodes span the line break above it: where to cut, the fewer the better.

    `wanted` counts, for each row and one more, the rows before it that are asked for; other rows may get any number.
    """
    count = len(wanted) - 1
    steps = [0] * (count + 2)
    waiting = [root]
    while waiting:
        # Anonymous nodes are never longer than a line.
        for node in waiting.pop().named_children:
            first, last = node.start_point[0], node.end_point[0]
            if last > first and wanted[min(last + 1, count)] > wanted[first]:
                steps[first + 1] += 1
                steps[last + 1] -= 1
                waiting.append(node)
    level = 0
    for row in range(count):
        level += steps[row]
        steps[row] = level
    return steps[:count]


def split(rows: Sequence[Row], limit: int, level: Sequence[int]) -> list[list[Row]]:
    """Rows in parts of about `limit` characters that are not blank; `level` as `levels` gives it, may be empty.

    A line that alone is longer is cut within: its pieces are rows of the same line, the later ones with `goes_on`.
    """
    rows = [piece for row in rows for piece in _pieces(row, limit)]
    parts: list[list[Row]] = []
    at, rest = 0, sum(row.weight for row in rows)
    while rest > limit:
        cut = _cut(rows, at, rest, limit, level)
        parts.append(rows[at:cut])
        rest -= sum(row.weight for row in parts[-1])
        at = cut
    if at < len(rows):
        parts.append(rows[at:])
    return parts


def _cut(rows: Sequence[Row], at: int, rest: int, limit: int, level: Sequence[int]) -> int:
    """The index of the row that the next part begins with."""
    wanted = rest / math.ceil(rest / limit)
    weight, best, best_rank = 0, at + 1, (_UNBROKEN + 1, 0.0)
    for index in range(at, len(rows)):
        if index > at and weight >= wanted / 2:
            row = rows[index]
            depth = _UNBROKEN if row.goes_on else level[row.first] if level else bool(rows[index - 1].text.strip())
            rank = (depth, abs(weight - wanted))
            if rank < best_rank:
                best, best_rank = index, rank
        weight += rows[index].weight
        if weight > limit and index > at:
            break
    return best


def _pieces(row: Row, limit: int) -> list[Row]:
    if row.first != row.last or (row.weight <= limit and len(row.text) <= BLANKS * limit):
        return [row]
    size = limit if row.weight > limit else BLANKS * limit
    texts = [row.text[start : start + size] for start in range(0, len(row.text), size)]
    weights = [max(len("".join(text.split())), len(text) // BLANKS) for text in texts]
    return [Row(row.first, row.last, text, weight, number > 0)
            for number, (text, weight) in enumerate(zip(texts, weights, strict=True))]  # fmt: skip
