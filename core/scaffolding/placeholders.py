"""Everything that is wrong with the {{placeholders}} of a template, with its place, for an editor to mark."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import lru_cache
from itertools import islice

from core.scaffolding.render import KNOWN, PLACEHOLDER

# The innermost pair of braces counts; two opening ones that begin none are left over. Closing ones alone are no fault:
# a template may ask for JSON, which ends in them.
_PIECE = re.compile(PLACEHOLDER.pattern + r"|\{\{(?!\{)[^{}\n]*")
LONGEST_SHOWN = 40


class Fault(StrEnum):
    """What can be wrong with a placeholder. Only `UNFILLED` depends on what a conversation is made of."""

    UNKNOWN = "unknown_placeholder"
    UNCLOSED = "unclosed_placeholder"
    UNFILLED = "unfilled_placeholder"


@dataclass(frozen=True)
class Problem:
    """`text[start:end]` is wrong. `line` and `column` count from 1; all of them in code points."""

    fault: Fault
    name: str
    start: int
    end: int
    line: int
    column: int

    @property
    def blocks(self) -> bool:
        """Whether no conversation could be made from the template."""
        return self.fault is not Fault.UNFILLED

    @property
    def nearest(self) -> str:
        """The known name that is meant, empty if it is anybody's guess."""
        return _nearest(self.name)

    @property
    def message(self) -> str:
        """Place, what is wrong, and what to do."""
        name = self.name if len(self.name) <= LONGEST_SHOWN else f"{self.name[:LONGEST_SHOWN]}…"
        shown = f"{{{{{name}}}}}"
        if self.fault is Fault.UNCLOSED:
            told = f"“{{{{{name}” isn’t closed on its line. Write {{{{{self.nearest or 'name'}}}}}."
        elif self.fault is Fault.UNFILLED:
            told = f"{shown} has no value with the entries chosen for the preview."
        elif not name:
            told = f"{shown} has no name."
        else:
            told = f"{shown} is unknown." + (f" Did you mean {{{{{self.nearest}}}}}?" if self.nearest else "")
        return f"Line {self.line:,}, column {self.column:,}: {told}"


def problems(text: str, values: Mapping[str, str] | None = None, most: int | None = None) -> list[Problem]:
    """The problems in the order of the text, all or the first `most`; without `values` none is called unfilled.

    Takes time in proportion to the text, whatever is in it.
    """
    breaks = [match.start() for match in re.finditer("\n", text)]
    found = []
    for fault, name, start, end in islice(_faults(text, values), most):
        line = bisect_right(breaks, start - 1)
        column = start - (breaks[line - 1] + 1 if line else 0)
        found.append(Problem(fault, name, start, end, line + 1, column + 1))
    return found


def _faults(text: str, values: Mapping[str, str] | None) -> Iterator[tuple[Fault, str, int, int]]:
    for match in _PIECE.finditer(text):
        inner, (start, end) = match.group(1), match.span()
        broken = text.find("\n", start, end)
        if inner is None or broken >= 0:
            stop = broken if broken >= 0 else end
            name = text[start + 2 : stop].strip()
            yield Fault.UNCLOSED, name, start, start + 2 + len(text[start + 2 : stop].rstrip())
        elif (name := inner.strip()) not in KNOWN:
            yield Fault.UNKNOWN, name, start, end
        elif values is not None and not values.get(name, "").strip():
            yield Fault.UNFILLED, name, start, end


@lru_cache(maxsize=256)
def _nearest(name: str) -> str:
    # What was never closed goes on as a sentence, whose first word may be a name.
    first = re.split(r"\W", name.casefold().replace(" ", "_").replace("-", "_"), maxsplit=1)[0][:LONGEST_SHOWN]
    return next(iter(get_close_matches(first, KNOWN, 1)), "")


def utf16(text: str) -> Callable[[int], int]:
    """From places in a text to those in which Qt counts: two for what lies outside the basic plane."""
    wide = [] if text.isascii() else [place for place, char in enumerate(text) if char > "\uffff"]
    return lambda place: place + bisect_left(wide, place)
