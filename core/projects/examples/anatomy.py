"""A definition taken apart, by its lines: what stands above it, its head, its docstring or comment, its body.

Languages are told apart only where it matters: Python documents inside and begins a body with a colon, the others
document above and use braces. What can't be told apart for certain is not used.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.projects.examples.symbols import Symbol

LONGEST_HEAD = 12
# A signature is kept up to this length; of a longer one the end is not known.
LONGEST_SIGNATURE = 200
_OPENER = re.compile(r'^[rRuUbB]{0,2}("""|\'\'\'|"|\')')
_COMMENT = re.compile(r"^(///?|//!|/\*|\*|#(?!\[|!))")
_MARKS = re.compile(r"^\s*(/\*+!?|\*+/|\*(?!\*)|//+!?|#+!?)\s?|\s*\*+/\s*$")
_NO_WORDS = re.compile(
    r"noqa|type:\s*ignore|pylint|eslint|prettier|@ts-|istanbul|nolint|fmt:|clippy|pragma|TODO|FIXME|XXX|HACK"
    r"|copyright|licen[sc]e|spdx|all rights reserved",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]{2,}")
LEAST_WORDS = 4


@dataclass(frozen=True)
class Anatomy:
    """Lines of a definition without the indentation it stands in. `doc` are its lines in the source, `said` its words.

    `inside` says that the documentation is a docstring; the body of a class has "..." for what is in its methods.
    """

    above: tuple[str, ...]
    head: tuple[str, ...]
    doc: tuple[str, ...]
    body: tuple[str, ...]
    said: str
    inside: bool
    head_row: int

    @property
    def without_doc(self) -> list[str]:
        """Everything but the documentation."""
        above = self.above if self.inside else tuple(line for line in self.above if line not in self.doc)
        return [*above, *self.head, *self.body]

    @property
    def up_to_body(self) -> list[str]:
        """What a body is written from: documentation and head as they stand."""
        return [*self.above, *self.head, *(self.doc if self.inside else ())]


def take_apart(symbol: Symbol) -> Anatomy | None:
    """None where head and body can't be told apart. What a symbol's documentation says is empty where it has none."""
    lines = unindented(symbol.text.split("\n"))
    found = _head(lines, symbol)
    if found is None:
        return None
    first, after = found
    above, head, body = lines[:first], lines[first:after], lines[after:]
    doc: list[str] = []
    inside = False
    if symbol.language == "python" and symbol.doc:
        doc, body = _docstring(body)
        inside = bool(doc)
    if not doc and symbol.doc:
        doc = _comment_above(above)
    body = _without_blank_ends(body)
    said = worded(_prose(doc, inside=inside) or symbol.doc)
    return Anatomy(tuple(above), tuple(head), tuple(doc), tuple(body), said, inside, first)


def unindented(lines: Sequence[str]) -> list[str]:
    """Lines without the indentation of the first; text that stands further left, as in a long string, stays."""
    first = next((line for line in lines if line.strip()), "")
    indent = first[: len(first) - len(first.lstrip())]
    return [line.removeprefix(indent) for line in lines]


def worded(text: str) -> str:
    """What a comment says to a reader: without marks of tools and rulers; empty where that is hardly anything."""
    lines = [line for line in text.split("\n") if not _NO_WORDS.search(line)]
    kept = "\n".join(line.rstrip() for line in lines if not line.strip() or _WORD.search(line)).strip()
    return kept if len(_WORD.findall(kept)) >= LEAST_WORDS else ""


def _head(lines: Sequence[str], symbol: Symbol) -> tuple[int, int] | None:
    """(first row of the head, row after it)."""
    wanted = symbol.signature
    if not wanted or len(wanted) >= LONGEST_SIGNATURE:
        return None
    for first, line in enumerate(lines):
        start = " ".join(line.split())
        if not start or not (start.startswith(wanted) or wanted.startswith(start)):
            continue
        joined = ""
        for last in range(first, min(first + LONGEST_HEAD, len(lines))):
            joined = " ".join(f"{joined} {lines[last]}".split())
            if joined.startswith(wanted):
                after = _opened(joined[len(wanted) :], lines, last, symbol.language)
                return None if after is None else (first, after)
            if not wanted.startswith(joined):
                break
    return None


def _opened(rest: str, lines: Sequence[str], last: int, language: str) -> int | None:
    """The row after the head, whose last row so far is `last` and ends in `rest`; None where the body is in it."""
    if language == "python":
        rest = rest.partition("#")[0].strip()
        return last + 1 if rest.endswith(":") and len(rest) == 1 and last + 1 < len(lines) else None
    rest = rest.partition("//")[0].strip()
    if rest.endswith("{"):
        return last + 1
    below = lines[last + 1].strip() if last + 1 < len(lines) else ""
    return last + 2 if not rest and below == "{" else None


def _docstring(body: Sequence[str]) -> tuple[list[str], list[str]]:
    """(lines of the docstring, lines after it); no docstring where it is not alone on its lines."""
    start = next((n for n, line in enumerate(body) if line.strip()), None)
    opened = _OPENER.match(body[start].strip()) if start is not None else None
    if start is None or opened is None:
        return [], list(body)
    quote, at = opened[1], opened.end()
    for row in range(start, len(body)):
        text = body[row].strip()
        closing = text.find(quote, at if row == start else 0)
        if closing >= 0:
            alone = not text[closing + len(quote) :].strip()
            return (list(body[start : row + 1]), list(body[row + 1 :])) if alone else ([], list(body))
        if len(quote) == 1:
            break
    return [], list(body)


def _comment_above(above: Sequence[str]) -> list[str]:
    """The comment right above the head, attributes and decorators between them left out."""
    taken: list[str] = []
    in_block = False
    for line in reversed(above):
        text = line.strip()
        if in_block or text.endswith("*/"):
            taken.append(line)
            in_block = not text.startswith("/*")
        elif _COMMENT.match(text):
            taken.append(line)
        elif taken:
            break
    return taken[::-1]


def _prose(doc: Sequence[str], *, inside: bool) -> str:
    if not doc:
        return ""
    if inside:
        text = "\n".join(doc).strip()
        opened = _OPENER.match(text)
        return inspect.cleandoc(text[opened.end() : -len(opened[1])]) if opened else ""
    return inspect.cleandoc("\n".join(_MARKS.sub("", line) for line in doc)).strip()


def _without_blank_ends(lines: Sequence[str]) -> list[str]:
    rows = [row for row, line in enumerate(lines) if line.strip()]
    return list(lines[rows[0] : rows[-1] + 1]) if rows else []
