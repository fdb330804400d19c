"""Python: functions, classes, type aliases; what decorates them; docstrings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from core.code_index.languages.language import Language, Name, by_field, text_of

if TYPE_CHECKING:
    from tree_sitter import Node

_QUERY = """
(function_definition) @function
(class_definition) @class
(type_alias_statement) @type
(decorated_definition) @wrapper
(comment) @comment
(call function: [(identifier) @call (attribute attribute: (identifier) @call)])
(class_definition superclasses: (argument_list [(identifier) @call (attribute attribute: (identifier) @call)]))
(decorator [(identifier) @call (attribute attribute: (identifier) @call)])
(import_statement name: [(dotted_name) @import (aliased_import name: (dotted_name) @import)])
(import_from_statement module_name: (_) @import)
(future_import_statement "__future__" @import)
["if" "elif" "for" "while" "except" "and" "or" "case"] @branch
"""


def _grammar() -> object:
    import tree_sitter_python

    return tree_sitter_python.language()


def _naming(node: Node, source: bytes) -> Name | None:
    if node.type == "type_alias_statement":
        return Name(text_of(node.child_by_field_name("left"), source).partition("[")[0].strip())
    return by_field(node, source)


LANGUAGE = Language(
    name="python",
    extensions=(".py", ".pyi", ".pyw"),
    grammar=_grammar,
    query=_QUERY,
    naming=_naming,
    docstrings=True,
    test_file=re.compile(r"^(test_.*|.*_tests?|tests?|conftest)\.py$"),
    test_name=re.compile(r"^test_"),
)
