"""The symbols of a parsed file: its chunks, parts of one put together again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from core.code_index.records import Chunk, Kind, ParsedFile, digest

CALLABLE = frozenset({Kind.FUNCTION, Kind.METHOD})


@dataclass(frozen=True, slots=True)
class Symbol:
    """A definition, or a file outside of its definitions (`Kind.MODULE`). `text` is as the index has it.

    `key` names it among all symbols of the project wherever in its file it stands.
    """

    path: str
    language: str
    kind: Kind
    name: str
    qualified: str
    signature: str
    doc: str
    is_test: bool
    start_line: int
    end_line: int
    text: str
    cut: bool
    key: str

    @property
    def is_file(self) -> bool:
        """Whether it is what a file says outside of its definitions, and no module that stands in a file."""
        return self.kind is Kind.MODULE and self.signature == PurePosixPath(self.path).name

    @property
    def text_hash(self) -> str:
        """Names what it says; blanks at the ends of lines and how deep it stands make no difference."""
        return digest("\n".join(line.strip() for line in self.text.split("\n")))[:16]


def symbols_of(parsed: ParsedFile) -> list[Symbol]:
    """Every symbol in order; text without a grammar has none."""
    seen: Counter[str] = Counter()
    out = []
    for parts in _whole(parsed.chunks):
        first = parts[0]
        if first.kind is Kind.TEXT:
            continue
        named = digest(first.path, first.kind.value, first.qualified)
        seen[named] += 1
        out.append(Symbol(
            first.path, first.language, first.kind, first.name, first.qualified, first.signature, first.doc,
            first.is_test, first.start_line, parts[-1].end_line, "\n".join(part.text for part in parts),
            len(parts) > 1, digest(named, str(seen[named]))[:16],
        ))  # fmt: skip
    return out


def _whole(chunks: Sequence[Chunk]) -> Iterator[list[Chunk]]:
    parts: list[Chunk] = []
    for chunk in chunks:
        if chunk.part == 1 and parts:
            yield parts
            parts = []
        parts.append(chunk)
    if parts:
        yield parts
