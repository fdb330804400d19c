"""The sizes of the index's chunks and of what is kept of a symbol."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in characters unless said otherwise; `soft` in characters that are not blank.

    `nested` is the share of `soft` from which on a function inside a function that is too long is a chunk of its own.
    `depth` definitions may stand in one another; deeper ones stay in the text of the one around them. `parse_s` is the
    processor time that the grammar may take for one file before it is cut by lines.
    """

    soft: int = 1600
    window_lines: int = 40
    overlap_lines: int = 10
    doc: int = 600
    signature: int = 200
    references: int = 64
    nested: float = 0.125
    depth: int = 16
    parse_s: float = 10.0


LIMITS = Limits()
