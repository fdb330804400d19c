"""A file as chunks: a symbol each, what stands outside of them, and lines where there is no grammar.

- A function, a method or a type is one chunk with the comments and decorators right above it. Definitions that share a
  line are one chunk, named by the first; the names of the others are among its references.
- A class, and whatever else holds definitions, is a skeleton: its lines, with those of each definition in it replaced
  by one line, its signature and " ...". A function is whole, and becomes a skeleton only where it is too long.
- What a file says outside of its definitions is one symbol of kind "module", named by the file; where definitions were
  left out between two lines stands one line "...". A definition of one line stays in a skeleton as it is.
- What is longer than the soft limit (characters that are not blank) is cut into parts; their texts, joined with a line
  end, are the whole. A line that alone is longer is cut within: then two parts have the same line number as end and
  start, and are joined with nothing between.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import PurePosixPath
from typing import NamedTuple

from core.code_index.decoding import decode, lines_of
from core.code_index.languages import TEXT, language_of, named
from core.code_index.limits import LIMITS
from core.code_index.parsing import Definition, GrammarError, Parsed, parse
from core.code_index.plain_chunks import sections, weight, weights
from core.code_index.records import Chunk, Kind, ParsedFile, digest
from core.code_index.splitting import BLANKS, Row, joined, levels, split

GAP = "..."
_TEST_FOLDERS = frozenset({"test", "tests", "__tests__", "spec", "specs", "e2e", "testdata"})
_FOLDER_NAMED = frozenset({"__init__", "__main__", "index", "mod"})
_HOLDERS = frozenset({Kind.CLASS, Kind.INTERFACE, Kind.ENUM, Kind.STRUCT, Kind.IMPL, Kind.MODULE, Kind.TYPE})


def parse_file(path: str, data: bytes, soft_limit: int = LIMITS.soft) -> ParsedFile:
    """The chunks of a file; `path` is below the project's root, with "/". Takes any bytes; raises only MemoryError.

    Every character that is not blank is in the text of at least one chunk, and a file of blanks has none. `soft_limit`
    is in characters that are not blank. A file whose grammar fails is cut by lines, and `fallback` says why.
    """
    language = language_of(path)
    text = decode(data)
    lines = lines_of(text)
    if not text.strip():
        return ParsedFile(path, language, ())
    limit = max(soft_limit, 1)
    if language == TEXT:
        return ParsedFile(path, language, _by_lines(path, language, lines, limit))
    try:
        parsed = parse(language, text.encode(), lines, in_tests=in_tests(path, language))
        chunks = _Chunker(path, language, lines, parsed, limit).all()
    except MemoryError:
        raise
    except Exception as exc:
        why = str(exc) if isinstance(exc, GrammarError) else f"it could not be parsed ({exc!r})"
        return ParsedFile(path, language, _by_lines(path, language, lines, limit), fallback=why)
    return ParsedFile(path, language, chunks, parsed.imports, parsed.errors)


def in_tests(path: str, language: str) -> bool:
    """Whether a path is that of a test, by its folders or by what the language calls its test files."""
    folders, name = PurePosixPath(path).parts[:-1], PurePosixPath(path).name
    if not _TEST_FOLDERS.isdisjoint(folder.lower() for folder in folders):
        return True
    return language != TEXT and named(language).test_file.search(name) is not None


class _Names:
    """Gives ids: a symbol's qualified name, its kind, how many of both stood above it, the part."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._seen: Counter[tuple[str, Kind]] = Counter()

    def take(self, qualified: str, kind: Kind) -> int:
        """How many there are of that name and kind so far."""
        self._seen[qualified, kind] += 1
        return self._seen[qualified, kind] - 1

    def id(self, qualified: str, kind: Kind, ordinal: int, part: int) -> str:
        """The same for the same symbol wherever it stands in its file."""
        return digest(self.path, qualified, kind.value, str(ordinal), str(part))


class _Piece(NamedTuple):
    """Rows of a skeleton: as they are, or replaced by `instead`."""

    first: int
    last: int
    instead: str | None = None


class _Plan(NamedTuple):
    """A symbol and the pieces that its text is made of, and its size."""

    definition: Definition
    pieces: Sequence[_Piece]
    size: int


class _Chunker:
    """Makes the chunks of a file that was parsed."""

    def __init__(self, path: str, language: str, lines: Sequence[str], parsed: Parsed, limit: int) -> None:
        self.path, self.language, self.lines, self.parsed, self.limit = path, language, lines, parsed, limit
        self._names = _Names(path)
        self._sizes = [0, *accumulate(weights(lines))]
        self._call_rows = [row for row, _ in parsed.calls]
        self._wide = [row for row, line in enumerate(lines) if len(line) > BLANKS * limit]
        self._called = [name for _, name in parsed.calls]

    def all(self) -> list[Chunk]:
        """The file's own lines first, then the definitions as they stand, each before what it holds."""
        plans = list(self._plans())
        long = [plan for plan in plans if self._too_long(plan)]
        level: Sequence[int] = levels(self.parsed.root, self._wanted(long)) if long else ()
        return [chunk for plan in plans for chunk in self._chunks(plan, level)]

    def _plans(self) -> Iterator[_Plan]:
        outside = list(self._outside())
        if outside:
            name = module_name(self.path)
            yield self._plan(Definition(
                Kind.MODULE, name, name, "", 0, 0, len(self.lines) - 1, doc=self.parsed.doc,
                signature=name, is_test=in_tests(self.path, self.language),
            ), outside)  # fmt: skip
        waiting = list(reversed(self.parsed.definitions))
        while waiting:
            definition = waiting.pop()
            children = self._children(definition)
            yield self._plan(definition, list(self._skeleton(definition, children)))
            waiting.extend(reversed(children))

    def _plan(self, definition: Definition, pieces: Sequence[_Piece]) -> _Plan:
        sizes = (self._size(p.first, p.last) if p.instead is None else weight(p.instead) for p in pieces)
        return _Plan(definition, pieces, sum(sizes))

    def _size(self, first: int, last: int) -> int:
        return self._sizes[last + 1] - self._sizes[first]

    def _too_long(self, plan: _Plan) -> bool:
        return plan.size > self.limit or any(p.first <= row <= p.last for row in self._wide for p in plan.pieces)

    def _wanted(self, plans: Sequence[_Plan]) -> list[int]:
        """How many rows of these plans stand above each row."""
        marks = [0] * (len(self.lines) + 1)
        for plan in plans:
            for piece in plan.pieces:
                if piece.instead is None:
                    marks[piece.first : piece.last + 1] = [1] * (piece.last + 1 - piece.first)
        return [0, *accumulate(marks[:-1])]

    def _children(self, definition: Definition) -> list[Definition]:
        """Which definitions in it are chunks of their own."""
        if definition.kind in _HOLDERS or not definition.children:
            return definition.children
        if self._size(definition.first, definition.last) <= self.limit:
            return []
        least = LIMITS.nested * self.limit
        return [child for child in definition.children if self._size(child.first, child.last) >= least]

    def _skeleton(self, definition: Definition, children: Sequence[Definition]) -> Iterator[_Piece]:
        at = definition.first
        for child in children:
            if child.last == child.first:
                continue
            if child.first > at:
                yield _Piece(at, child.first - 1)
            line = self.lines[child.head]
            indent = line[: min(len(line) - len(line.lstrip()), LIMITS.signature)]
            yield _Piece(child.first, child.last, f"{indent}{child.signature or child.name} {GAP}")
            at = child.last + 1
        if at <= definition.last:
            yield _Piece(at, definition.last)

    def _outside(self) -> Iterator[_Piece]:
        """The rows outside of all definitions, without blank ones at their ends, and the gaps between them."""
        starts = [0, *(definition.last + 1 for definition in self.parsed.definitions)]
        ends = [*(definition.first for definition in self.parsed.definitions), len(self.lines)]
        before = -1
        for first, end in zip(starts, ends, strict=True):
            last = end - 1
            while first <= last and not self._size(first, first):
                first += 1
            while first <= last and not self._size(last, last):
                last -= 1
            if first > last:
                continue
            if 0 <= before < first - 1:
                alone = before == first - 2 or not self._size(before + 1, first - 1)
                yield _Piece(before + 1, first - 1, None if alone else GAP)
            yield _Piece(first, last)
            before = last

    def _chunks(self, plan: _Plan, level: Sequence[int]) -> Iterator[Chunk]:
        definition, pieces, _ = plan
        parts: list[tuple[int, int, str, Sequence[_Piece]]]
        if self._too_long(plan):
            cut = split(list(self._rows(pieces)), self.limit, level)
            parts = [(rows[0].first, rows[-1].last, joined(rows), _own(rows)) for rows in cut]
        else:
            parts = [(pieces[0].first, pieces[-1].last, "\n".join(self._lines_of(pieces)), pieces)]
        branches = self.parsed.branches
        complexity = 1 + sum(bisect_left(branches, p.last + 1) - bisect_left(branches, p.first)
                             for p in pieces if p.instead is None)  # fmt: skip
        ordinal = self._names.take(definition.qualified, definition.kind)
        for number, (first, last, text, own) in enumerate(parts, start=1):
            yield Chunk(
                id=self._names.id(definition.qualified, definition.kind, ordinal, number),
                path=self.path, language=self.language, kind=definition.kind, name=definition.name,
                qualified=definition.qualified, parent=definition.parent, part=number, parts=len(parts),
                start_line=first + 1, end_line=last + 1, complexity=complexity, signature=definition.signature,
                doc=definition.doc, references=self._references(definition, own), is_test=definition.is_test, text=text,
            )  # fmt: skip

    def _lines_of(self, pieces: Sequence[_Piece]) -> Iterator[str]:
        for piece in pieces:
            if piece.instead is None:
                yield from self.lines[piece.first : piece.last + 1]
            else:
                yield piece.instead

    def _rows(self, pieces: Sequence[_Piece]) -> Iterator[Row]:
        for piece in pieces:
            if piece.instead is None:
                for row in range(piece.first, piece.last + 1):
                    yield Row(row, row, self.lines[row], self._size(row, row))
            else:
                yield Row(piece.first, piece.last, piece.instead, weight(piece.instead))

    def _references(self, definition: Definition, pieces: Sequence[_Piece]) -> tuple[str, ...]:
        names: dict[str, None] = {}
        rows = self._call_rows
        for first, last, instead in pieces:
            if instead is None:
                names.update(dict.fromkeys(self._called[bisect_left(rows, first) : bisect_left(rows, last + 1)]))
        names.update(dict.fromkeys(definition.also))
        names.pop("", None)
        return tuple(names)[: LIMITS.references]


def _own(rows: Sequence[Row]) -> list[_Piece]:
    """Neighbouring rows of a part as pieces, what stands for a definition left out."""
    pieces: list[_Piece] = []
    for row in rows:
        if row.first != row.last:
            continue
        if pieces and pieces[-1].last >= row.first - 1:
            pieces[-1] = _Piece(pieces[-1].first, row.last)
        else:
            pieces.append(_Piece(row.first, row.last))
    return pieces


def module_name(path: str) -> str:
    """A file's name, with its folder's before it where the file's own says nothing ("shop/__init__.py").

    With its ending, so that it is no name of a class: those are often named as their file is.
    """
    place = PurePosixPath(path)
    return f"{place.parent.name}/{place.name}" if place.stem in _FOLDER_NAMED and place.parent.name else place.name


def _by_lines(path: str, language: str, lines: Sequence[str], limit: int) -> list[Chunk]:
    names = _Names(path)
    test = in_tests(path, language)
    out = []
    for section in sections(path, lines, limit):
        parent = " > ".join(section.parents)
        qualified = " > ".join((*section.parents, section.name))
        ordinal = names.take(qualified, Kind.TEXT)
        for number, rows in enumerate(section.parts, start=1):
            out.append(Chunk(
                id=names.id(qualified, Kind.TEXT, ordinal, number), path=path, language=language, kind=Kind.TEXT,
                name=section.name, qualified=qualified, parent=parent, part=number, parts=len(section.parts),
                start_line=rows[0].first + 1, end_line=rows[-1].last + 1, complexity=1,
                signature=section.signature[: LIMITS.signature], doc="", references=(), is_test=test, text=joined(rows),
            ))  # fmt: skip
    return out
