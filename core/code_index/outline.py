"""What stands around a definition in its file: its rows, the comments above it, its signature and documentation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from core.code_index.languages import Language
from core.code_index.limits import LIMITS

if TYPE_CHECKING:
    from tree_sitter import Node

_COMMENT_MARKS = re.compile(r"^\s*(/\*+!?|\*+/|\*(?!\*)|//+!?|#+!?)\s?|\s*\*+/\s*$")
_STRING_MARKS = re.compile(r"^[rRuUbBfF]{0,2}(\"\"\"|'''|\"|')|(\"\"\"|'''|\"|')$")
_LAST_COMMENT = re.compile(r"(?<=[:{])\s*(#|//|/\*).*$")
_SPAN = 4 * LIMITS.signature


class Outline:
    """Reads what belongs to definitions. `lines` is the file's text; `source` the same in UTF-8."""

    def __init__(
        self, language: Language, source: bytes, lines: Sequence[str], captures: Mapping[str, list[Node]]
    ) -> None:
        self.language, self.source, self.lines = language, source, lines
        self._above = {_last_row(node): (node, role) for role in ("leading", "comment")
                       for node in captures.get(role, ())}  # fmt: skip

    def rows(self, node: Node, wrapper: Node | None) -> tuple[int, int, int]:
        """(row of its name, first row, last row); widened to the wrapper that ends with it."""
        name = node.child_by_field_name("name") or node
        first, last = node.start_point[0], _last_row(node)
        if wrapper is not None and _last_row(wrapper) == last:
            first = wrapper.start_point[0]
        return name.start_point[0], first, last

    def lead(self, first: int, floor: int) -> tuple[int, str]:
        """The first row of the comments and attributes right above row `first`, below `floor`; the comments' text."""
        spans: list[tuple[int, int]] = []
        while first - 1 > floor and (found := self._above.get(first - 1)):
            node, role = found
            row, column = node.start_point
            if row <= floor or self.source[node.start_byte - column : node.start_byte].strip():
                break
            if role == "comment":
                spans.append((row, first))
            first = row
        comments = [line for row, end in reversed(spans) for line in self.lines[row:end]]
        return first, _clean("\n".join(_COMMENT_MARKS.sub("", line[: LIMITS.doc]) for line in comments))

    def signature(self, node: Node) -> str:
        """The definition up to its body in one line, without what decorates it."""
        name = node.child_by_field_name("name") or node
        row, column = name.start_point
        start = max(name.start_byte - column, name.start_byte - _SPAN)
        body = _body(node)
        if body is not None and body.start_byte > name.start_byte:
            text = self.source[start : min(body.start_byte, start + _SPAN)].decode("utf-8", "replace")
        else:
            text = self.lines[row][:_SPAN]
        line = " ".join(text.split())
        if "#" in line or "/" in line:
            line = _LAST_COMMENT.sub("", line)
        line = line.rstrip(" {:=;").removesuffix("=>").rstrip(" =")
        return line[: LIMITS.signature].strip()

    def docstring(self, body: Node | None) -> str:
        """The string that a body begins with, comments aside; empty where the language has none."""
        if body is None or not self.language.docstrings:
            return ""
        for index in range(min(4, body.named_child_count)):
            text = body.named_child(index)
            if text.type == "expression_statement" and text.named_child_count:
                text = text.named_child(0)
            if text.type != "comment":
                break
        else:
            return ""
        if text.type != "string":
            return ""
        said = self.source[text.start_byte : min(text.end_byte, text.start_byte + 4 * LIMITS.doc)]
        return _clean(_STRING_MARKS.sub("", said.decode("utf-8", "replace")))

    def marks_test(self, name: str, first: int, head: int) -> bool:
        """Whether its name or the lines down to it say that it is a test."""
        if self.language.test_name.search(name):
            return True
        return self.language.test_mark.search("\n".join(self.lines[first : head + 1])) is not None


def _last_row(node: Node) -> int:
    """The row of its last character: some nodes end with a line end, at column 0 of the next row."""
    row, column = node.end_point
    return row - 1 if not column and row > node.start_point[0] else row


def _body(node: Node) -> Node | None:
    body = node.child_by_field_name("body")
    if body is not None:
        return body
    for name in ("value", "right"):
        value = node.child_by_field_name(name)
        if value is not None:
            return value.child_by_field_name("body")
    return None


def _clean(text: str) -> str:
    lines = [line.strip() for line in text.strip().split("\n")]
    return "\n".join(line for line in lines if line)[: LIMITS.doc].strip()
