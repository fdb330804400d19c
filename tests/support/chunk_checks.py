"""What holds for the chunks of every file, whatever is in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby, pairwise

from core.code_index.chunking import parse_file
from core.code_index.decoding import decode, lines_of
from core.code_index.limits import LIMITS
from core.code_index.records import Chunk, Kind, ParsedFile, joined_text


def symbols(parsed: ParsedFile) -> list[list[Chunk]]:
    """The parts of each symbol together; checks that they are numbered, in order, and say the same of it."""
    number = 0
    numbered: list[tuple[int, Chunk]] = []
    for chunk in parsed.chunks:
        number += chunk.part == 1
        numbered.append((number, chunk))
    found = [[chunk for _, chunk in group] for _, group in groupby(numbered, key=lambda pair: pair[0])]
    for parts in found:
        assert [part.part for part in parts] == list(range(1, parts[0].parts + 1))
        assert len({(p.qualified, p.kind, p.parts, p.signature, p.doc, p.is_test, p.complexity) for p in parts}) == 1
        assert all(a.end_line <= b.start_line for a, b in pairwise(parts))
    return found


def check(path: str, data: bytes, soft_limit: int = LIMITS.soft) -> ParsedFile:
    """Parse, and check ids, lines, texts, sizes and that nothing is lost."""
    parsed = parse_file(path, data, soft_limit)
    lines = lines_of(decode(data))
    assert len({chunk.id for chunk in parsed.chunks}) == len(parsed.chunks)
    for chunk in parsed.chunks:
        assert chunk.path == path
        assert 1 <= chunk.start_line <= chunk.end_line <= len(lines)
        assert chunk.complexity >= 1
        assert len(chunk.references) <= LIMITS.references
        assert len(chunk.doc) <= LIMITS.doc
        assert len(chunk.signature) <= LIMITS.signature
        assert solid(chunk.text) <= max(soft_limit, LIMITS.signature + len(" ..."))
    lost = uncovered(lines, symbols(parsed))
    assert not lost, f"{sum(map(solid, lost))} characters in no chunk, the first of them {lost[0][:80]!r}"
    return parsed


def uncovered(lines: Sequence[str], found: Sequence[Sequence[Chunk]]) -> list[str]:
    """Lines in no chunk. Where no line is left out, the text must be the file's lines to the letter."""
    literal: set[int] = set()
    abridged: Counter[str] = Counter()
    for parts in found:
        start, end, text = parts[0].start_line, parts[-1].end_line, joined_text(parts)
        said = text.split("\n")
        if len(said) == end - start + 1 and not any(part.abridged for part in parts):
            assert said == list(lines[start - 1 : end])
            literal.update(range(start, end + 1))
        else:
            assert parts[0].kind not in (Kind.TEXT,)
            assert is_skeleton(said, lines[start - 1 : end])
            abridged.update(said)
    rest = [line for number, line in enumerate(lines, start=1) if number not in literal and line.strip()]
    abridged.subtract(rest)
    return [line for line in rest if abridged[line] < 0]


def is_skeleton(said: Sequence[str], lines: Sequence[str]) -> bool:
    """Whether a text is some of the lines in their order, and lines that end with "..." for the others."""
    at = 0
    for line in said:
        found = next((n for n in range(at, len(lines)) if lines[n] == line), None)
        if found is None and not line.endswith("..."):
            return False
        at = at if found is None else found + 1
    return True


def solid(text: str) -> int:
    """The number of characters that are not blank."""
    return len("".join(text.split()))
