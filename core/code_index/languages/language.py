"""What the index knows of a programming language: its grammar, what in it is a definition, how its tests are named."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tree_sitter import Node

NEVER = re.compile(r"(?!)")


class Name(NamedTuple):
    """A definition's own name, and the dotted name of what it belongs to where that does not stand around it."""

    own: str
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Language:
    """A language with a grammar.

    `grammar` imports its wheel and returns the pointer that `tree_sitter.Language` takes. `query` has one capture a
    pattern: a value of `records.Kind` for a definition ("function" becomes a method where it stands in a class),
    `owner` for what only lends its name to the definitions in it, `wrapper` for what a definition is widened to,
    `comment` and `leading` (attributes, decorators) for what belongs to the definition below it, `call` for a name that
    is called or used, `import` for what is imported, `branch` for what adds one to the complexity. A pattern may look
    only at a node's children and theirs, so that a file is read in linear time.
    `test_file`, `test_name` and `test_mark` find tests by the file's name, a definition's name, and its first lines.
    """

    name: str
    extensions: tuple[str, ...]
    grammar: Callable[[], object]
    query: str
    naming: Callable[[Node, bytes], Name | None]
    overloads: frozenset[str] = frozenset()
    docstrings: bool = False
    test_file: re.Pattern[str] = NEVER
    test_name: re.Pattern[str] = NEVER
    test_mark: re.Pattern[str] = NEVER


def text_of(node: Node | None, source: bytes) -> str:
    """What the node says in its file; empty for None. (`Node.text` is None in a file that was read by callback.)"""
    return source[node.start_byte : node.end_byte].decode("utf-8", "replace") if node is not None else ""


def by_field(node: Node, source: bytes) -> Name | None:
    """The name in the field "name", as most grammars have it."""
    name = text_of(node.child_by_field_name("name"), source)
    return Name(name) if name else None
