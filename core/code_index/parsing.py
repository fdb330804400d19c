"""One pass of a grammar over a file: its definitions with the rows they take, what they call, imports, branches.

Everything is in rows (lines from 0): a chunk is made of whole lines. Captures are nested by one sweep over their byte
ranges, since asking a node for its parent or its sibling takes as long as there are siblings.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from core.code_index.languages import Language, Name, named
from core.code_index.limits import LIMITS
from core.code_index.outline import Outline, body_of
from core.code_index.records import Kind

if TYPE_CHECKING:
    from tree_sitter import Language as Grammar
    from tree_sitter import Node, Query, Tree

KINDS = {kind.value: kind for kind in Kind}
_BLOCK = 1 << 16


class GrammarError(Exception):
    """Why a file could not be parsed; it is cut by lines instead."""


@dataclass(slots=True, eq=False)
class Definition:
    """A symbol. Rows count from 0, `last` is inclusive; `first` has its comments and decorators, `head` its name.

    `also` are names of definitions that share a line with this one and so belong to its text.
    """

    kind: Kind
    name: str
    qualified: str
    parent: str
    head: int
    first: int
    last: int
    node_type: str = ""
    signature: str = ""
    doc: str = ""
    is_test: bool = False
    depth: int = 0
    also: list[str] = field(default_factory=list)
    children: list[Definition] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a grammar made of a file. `branches` are rows, `calls` (row, name), both in order; `root` is the tree's."""

    definitions: Sequence[Definition]
    branches: Sequence[int]
    calls: Sequence[tuple[int, str]]
    imports: Sequence[str]
    doc: str
    errors: bool
    root: Node


def parse(language_name: str, source: bytes, lines: Sequence[str], *, in_tests: bool = False) -> Parsed:
    """Parse a file: `source` is its decoded text in UTF-8, `lines` the same text. Raises `GrammarError`.

    `in_tests` says that the file's path is that of a test.
    """
    language = named(language_name)
    grammar, query = _loaded(language)
    tree = _tree(grammar, source)
    root = tree.root_node
    captures = _captures(query, root)
    outline = Outline(language, source, lines, captures)
    return Parsed(
        definitions=_definitions(outline, captures, in_tests=in_tests),
        branches=sorted(node.start_point[0] for node in captures.get("branch", ())),
        calls=_calls(source, captures.get("call", ())),
        imports=_imports(source, captures.get("import", ())),
        doc=outline.docstring(root),
        errors=root.has_error,
        root=root,
    )


@lru_cache(maxsize=32)
def _loaded(language: Language) -> tuple[Grammar, Query]:
    try:
        import tree_sitter

        grammar = tree_sitter.Language(language.grammar())
        return grammar, tree_sitter.Query(grammar, language.query)
    except Exception as exc:
        raise GrammarError(f"the grammar for {language.name} could not be loaded ({exc})") from exc


def _tree(grammar: Grammar, source: bytes) -> Tree:
    from tree_sitter import Parser

    parser = Parser(grammar)
    if len(source) <= _BLOCK:
        return parser.parse(source)
    # Only a parse that reads by callback can be ended: quotes without an end take time that grows with the square.
    try:
        return parser.parse(lambda at, _: source[at : at + _BLOCK], progress_callback=_deadline())
    except ValueError as exc:
        raise GrammarError(f"the grammar took longer than {LIMITS.parse_s:g} s") from exc


def _captures(query: Query, root: Node) -> Mapping[str, list[Node]]:
    from tree_sitter import QueryCursor

    # Not its progress callback: in tree-sitter 0.26.1 that crashes the process. Without a depth, a pattern that waits
    # for its last child at each of n levels takes time that grows with the square (a chain of 10,000 calls: 4 s).
    cursor = QueryCursor(query)
    cursor.set_max_start_depth(LIMITS.levels)
    return cursor.captures(root)


def _deadline() -> Callable[..., bool]:
    end = time.thread_time() + LIMITS.parse_s
    return lambda *_: time.thread_time() > end


def _calls(source: bytes, nodes: Sequence[Node]) -> list[tuple[int, str]]:
    found = [(node.start_byte, node.end_byte, node.start_point[0]) for node in nodes]
    found.sort()
    return [(row, source[start:end].decode("utf-8", "replace")) for start, end, row in found]


def _imports(source: bytes, nodes: Sequence[Node]) -> list[str]:
    texts = (source[start:end].decode("utf-8", "replace") for start, end in sorted(node.byte_range for node in nodes))
    return list(dict.fromkeys(" ".join(text.split()).strip("\"'`") for text in texts))


class _Open:
    """A capture that the sweep is in: the definition that what comes next stands in, and the names between."""

    __slots__ = ("definition", "end", "owners", "prefix", "wrapper")

    def __init__(self, end: int, definition: Definition, prefix: str, owners: int = 0, wrapper: Any = None) -> None:
        self.end, self.definition, self.prefix, self.owners, self.wrapper = end, definition, prefix, owners, wrapper


def _definitions(outline: Outline, captures: Mapping[str, list[Node]], *, in_tests: bool) -> list[Definition]:
    file = Definition(Kind.MODULE, "", "", "", -1, 0, len(outline.lines) - 1, is_test=in_tests)
    stack = [_Open(1 << 62, file, "")]
    for start, end, role, node in _in_order(captures):
        while stack[-1].end <= start:
            stack.pop()
        top = stack[-1]
        if role == "wrapper":
            stack.append(_Open(end, top.definition, top.prefix, top.owners, node))
            continue
        name = outline.language.naming(node, outline.source)
        if name is None:
            continue
        name = Name(_tidy(name.own), _tidy(name.owner))
        if role == "owner":
            deep = top.owners >= LIMITS.depth
            prefix = top.prefix if deep else _dotted(_dotted(top.prefix, name.owner), name.own)
            stack.append(_Open(end, top.definition, prefix, top.owners + 1))
            continue
        made = _made(outline, KINDS[role], name, node, top)
        if made is not None:
            placed = _place(made, top.definition, outline)
            stack.append(_Open(end, placed, placed.qualified))
    return file.children


def _in_order(captures: Mapping[str, list[Node]]) -> Iterator[tuple[int, int, str, Node]]:
    nodes = [(role, node) for role in ("wrapper", "owner", *KINDS) for node in captures.get(role, ())]
    # The number keeps those with the same range in this order, wrappers first.
    for start, end, number in sorted((n.start_byte, -n.end_byte, i) for i, (_, n) in enumerate(nodes)):
        yield start, -end, *nodes[number]


_CLASSES = frozenset({Kind.CLASS, Kind.INTERFACE, Kind.ENUM, Kind.STRUCT, Kind.IMPL})


def _made(outline: Outline, kind: Kind, name: Name, node: Node, top: _Open) -> Definition | None:
    around = top.definition
    if kind is Kind.TYPE and around.kind in (Kind.IMPL, Kind.INTERFACE):
        return None
    if kind is Kind.FUNCTION and (around.kind in _CLASSES or top.owners or name.owner):
        kind = Kind.METHOD
    first, last = outline.rows(node, top.wrapper)
    top.wrapper = None
    name_node, body = node.child_by_field_name("name") or node, body_of(node)
    prefix = _dotted(top.prefix, name.owner)
    return Definition(
        kind, name.own, _dotted(prefix, name.own), prefix, name_node.start_point[0], first, last,
        node_type=node.type,
        signature=outline.signature(name_node, body),
        doc=outline.docstring(body),
        is_test=around.is_test,
        depth=around.depth + 1,
    )  # fmt: skip


def _tidy(name: str) -> str:
    """A name in one line: a method may be named by an expression."""
    short = name if name.isidentifier() else " ".join(name.split())
    return short[: LIMITS.signature]


def _dotted(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix and name else prefix or name


def _place(made: Definition, around: Definition, outline: Outline) -> Definition:
    """Put it into what it stands in, or into the text of what has its first line already; what it is now part of."""
    before = around.children[-1] if around.children else None
    floor = before.last if before else around.head
    if made.head <= floor or made.depth > LIMITS.depth:
        into = before if before and made.head <= before.last else around
        into.last = max(into.last, made.last)
        into.also.append(made.name)
        return into
    first, comment = outline.lead(made.first, floor)
    made.first = max(first, floor + 1)
    made.doc = made.doc or comment
    made.is_test = made.is_test or outline.marks_test(made.name, made.first, made.head)
    if before and before.node_type in outline.language.overloads and before.qualified == made.qualified:
        before.last, before.node_type, before.doc = made.last, made.node_type, before.doc or made.doc
        return before
    around.children.append(made)
    return made
