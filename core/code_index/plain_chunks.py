"""Files without a grammar: Markdown by its headings, everything else in windows of lines that overlap."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import PurePosixPath
from typing import NamedTuple

from core.code_index.limits import LIMITS
from core.code_index.splitting import Row, split

MARKDOWN = frozenset({".md", ".markdown", ".mdown", ".mdx"})
_BLANKS = b" \t\v\f\r\x1c\x1d\x1e\x1f"
_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_UNDERLINE = re.compile(r"^ {0,3}(=+|-+)[ \t]*$")
_PARAGRAPH = re.compile(r"^ {0,3}[^\s#>|*+-]")


class Section(NamedTuple):
    """A piece of a text: its name, the names of what it stands in, and its rows, in parts where they are too many."""

    name: str
    parents: tuple[str, ...]
    signature: str
    parts: Sequence[Sequence[Row]]


def weight(line: str) -> int:
    """The characters of a line that are not blank."""
    return len("".join(line.split()))


def weights(lines: Sequence[str]) -> list[int]:
    """The same of each line, faster than one by one where most are ASCII."""
    text = "\n".join(lines)
    dense = text.encode().translate(None, _BLANKS).split(b"\n")
    if text.isascii():
        return list(map(len, dense))
    return [len(left) if left.isascii() else weight(line) for left, line in zip(dense, lines, strict=True)]


def sections(path: str, lines: Sequence[str], limit: int) -> Iterator[Section]:
    """The file's sections in order. Those of Markdown do not overlap; windows do, by `LIMITS.overlap_lines`."""
    rows = [Row(number, number, line, size)
            for number, (line, size) in enumerate(zip(lines, weights(lines), strict=True))]  # fmt: skip
    if PurePosixPath(path).suffix.lower() in MARKDOWN:
        return _by_heading(PurePosixPath(path).stem, rows, limit)
    return _windows(PurePosixPath(path).name, rows, limit)


def _windows(name: str, rows: Sequence[Row], limit: int) -> Iterator[Section]:
    at = 0
    while at < len(rows):
        end, size = at, 0
        while end < len(rows) and end - at < LIMITS.window_lines and (end == at or size + rows[end].weight <= limit):
            size += rows[end].weight
            end += 1
        window = rows[at:end]
        if size:
            # A long line becomes parts; anything else is one.
            alone = len(window) == 1 and (size > limit or len(window[0].text) > limit)
            yield Section(name, (), name, split(window, limit, ()) if alone else [window])
        if end == len(rows):
            return
        # Short windows of long lines overlap less, so that they always go on.
        at = end - min(LIMITS.overlap_lines, (end - at) // 4)


def _by_heading(stem: str, rows: Sequence[Row], limit: int) -> Iterator[Section]:
    marks = [(0, 0, ""), *_headings([row.text for row in rows]), (len(rows), 0, "")]
    path: list[tuple[int, str]] = []
    for (start, level, title), (end, _, _) in pairwise(marks):
        body = rows[start:end]
        if level:
            while path and path[-1][0] >= level:
                path.pop()
        if any(row.weight for row in body):
            parents = tuple(name for _, name in path)
            yield Section(title or stem, parents, body[0].text.strip() or stem, split(body, limit, ()))
        if level:
            path.append((level, title))


def _headings(lines: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """(row, level, title) of each heading that is not in a block of code."""
    fence = ""
    for number, line in enumerate(lines):
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        if fence or mark:
            continue
        if found := _HEADING.match(line):
            yield number, len(found[1]), found[2] or "#"
        elif number + 1 < len(lines) and line.strip() and _PARAGRAPH.match(line):
            below = _UNDERLINE.match(lines[number + 1])
            if below and (not number or not lines[number - 1].strip()):
                yield number, 1 if below[1][0] == "=" else 2, line.strip()
